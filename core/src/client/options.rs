//! A client from a host's options: their names, shapes and messages, the same on every surface.

use std::path::PathBuf;
use std::time::Duration;

use super::budgets::budgets_at;
use super::builder::ClientBuilder;
use super::client::Client;
use super::message::redirect::Redirects;
use super::option_values::{address, client_cert, cookies, credentials, directory, http2, pairs, pem, ping, typed, verify, whole};
use super::transport::options::{Proxy, TransportOptions};
use crate::error::Error;
use crate::policy::{Keys, Node, OptionBlock, OptionRow, Problem, Unit, Value, bytes, or_none, row};
use crate::retry::Budgets;
use crate::time::DurationText;

const BUDGET_DIR: OptionRow =
    row("budget_dir", "absolute path", "Where budgets with `share: host` are: a directory that is this user's alone.");
const SHARE_REQUIRED: OptionRow = row(
    "share_required",
    "true or false",
    "Whether a budget with `share: host` that cannot be shared is an error; else it is the process's alone.",
);

/// The options of budgets without a client; a client's mean the same.
static BUDGETS_OPTIONS: OptionBlock = OptionBlock { name: "budgets", rows: &[BUDGET_DIR, SHARE_REQUIRED] };

/// The options of a client besides its policy and its callbacks.
pub static CLIENT_OPTIONS: OptionBlock = OptionBlock {
    name: "client",
    rows: &[
        row("base_url", "URL", "What relative URLs are appended to."),
        row("headers", "map, or list of pairs", "Header fields of all requests that do not bring them themselves."),
        row("auth", "user name and password", "Basic credentials of all requests."),
        row(
            "follow_redirects",
            "true or false",
            "Whether redirects are followed. One whose `Location` leads nowhere (empty, `#top`, `data:`) is the answer itself.",
        ),
        row("max_redirects", "0..=1000", "The most redirects that are followed in one call."),
        row("max_response_size", "bytes, or `none`", "The largest response body, decompressed, that is read into memory."),
        row("http2", "`auto`, `only`, `none`, true or false", "Which HTTP versions to speak."),
        row(
            "http2_ping",
            "duration, or `none`",
            "How long the peer of an HTTP/2 connection is silent, while requests are open, before it is asked for a sign of life. After as long again the connection is lost.",
        ),
        row("proxy", "URL, or `none`", "The proxy for everything (http, https, socks5 or socks5h); none also ignores the environment's."),
        row(
            "verify",
            "true or false, PEM text, or a path",
            "Whether the server's certificate is checked; or the root certificates to trust alone.",
        ),
        row("ca_bundle", "PEM text, or a path", "Root certificates to trust besides the system's."),
        row("cert", "PEM text or a path, or a list of certificate and key", "The certificate to show to servers that ask for one."),
        row("compression", "true or false", "Whether to ask for compressed bodies, and decompress them."),
        row(
            "unix_socket",
            "path, or `none`",
            "The Unix socket to connect to in place of any address, whatever the URL's host; no proxy is used then.",
        ),
        row("local_address", "IP address", "The address to connect from; a server's addresses of the other family are passed over."),
        row("interface", "name, or `none`", "The network interface to connect from, such as `eth0` (Linux and Android)."),
        row("pool_idle_timeout", "duration, or `none`", "How long an unused connection is kept."),
        row("pool_max_idle_per_host", "0..=100000", "How many unused connections are kept per origin."),
        row(
            "max_connections",
            "1..=100000",
            "The most connections that are open at once, unused ones included. Calls beyond wait in order: no attempt's time, only `timeout` goes on.",
        ),
        row("max_connections_per_origin", "1..=100000", "Likewise, to one origin."),
        row(
            "cookies",
            "true, false, or map of names and values",
            "Whether cookies that servers set are kept and sent back; a map is what to begin with.",
        ),
        BUDGET_DIR,
        SHARE_REQUIRED,
        row("envoy_headers", "true or false", "Whether `x-envoy-retry-on` and its kin on a request change its policy, as in Envoy."),
    ],
};

impl Client {
    /// A builder with these options; durations may be numbers of `unit`. What is missing has its default.
    ///
    /// # Errors
    /// `config` for the first mistake: `option: rule, got value; fix`.
    pub fn with_options(options: &Value, unit: Unit, keys: Keys) -> Result<ClientBuilder, Error> {
        let root = Node::root(options, keys);
        let fields = root.fields(&CLIENT_OPTIONS)?;
        let mut transport = TransportOptions::default();
        let (mut cert, mut roots) = (None, None);
        for (key, node) in fields.iter() {
            match key {
                "http2" => transport.http2 = http2(node)?,
                "http2_ping" => transport.http2_ping = or_none(node, |node| ping(node, unit))?,
                "proxy" => transport.proxy = or_none(node, |node| node.text().map(str::to_owned))?.map_or(Proxy::None, Proxy::Url),
                "verify" => roots = verify(node, &mut transport.tls)?,
                "ca_bundle" => transport.tls.ca_bundle = or_none(node, pem)?,
                "cert" => cert = or_none(node, client_cert)?,
                "compression" => transport.compression = node.flag()?,
                "unix_socket" => transport.unix_socket = or_none(node, |node| node.text().map(PathBuf::from))?,
                "interface" => transport.interface = or_none(node, |node| node.text().map(str::to_owned))?,
                "local_address" => transport.local_address = or_none(node, address)?,
                "pool_idle_timeout" => transport.pool_idle_timeout = or_none(node, |node| typed(node, unit))?,
                "pool_max_idle_per_host" => transport.pool_max_idle_per_host = whole(key, node)? as usize,
                "max_connections" => transport.max_connections = whole(key, node)? as usize,
                "max_connections_per_origin" => transport.max_connections_per_origin = whole(key, node)? as usize,
                _ => {}
            }
        }
        transport.tls.client_cert = cert;
        if let Some(roots) = roots {
            if fields.iter().any(|(key, _)| key == "ca_bundle") {
                return Err(Problem::new("verify", "must be true or false where ca_bundle says whom to trust").into());
            }
            transport.tls.system_roots = false;
            transport.tls.ca_bundle = Some(roots);
        }
        let mut builder = Client::on(transport);
        let mut redirects = Redirects::default();
        for (key, node) in fields.iter() {
            match key {
                "base_url" => {
                    if let Some(url) = or_none(node, |node| node.text().map(str::to_owned))?.filter(|url| !url.is_empty()) {
                        builder = builder.base_url(&url);
                    }
                }
                "headers" => {
                    for (name, value) in pairs(node)? {
                        builder = match value {
                            Some(value) => builder.header(&name, &value),
                            None => builder.without_header(&name),
                        };
                    }
                }
                "auth" => {
                    if let Some((user, password)) = or_none(node, credentials)? {
                        builder = builder.basic_auth(&user, &password);
                    }
                }
                "cookies" => {
                    if let Some(jar) = cookies(node)? {
                        builder = builder.cookies(jar);
                    }
                }
                "budget_dir" => {
                    if let Some(directory) = or_none(node, directory)? {
                        builder = builder.budget_dir(directory);
                    }
                }
                "share_required" => builder = builder.share_required(node.flag()?),
                "envoy_headers" => builder = builder.envoy_headers(node.flag()?),
                "follow_redirects" => redirects.follow = node.flag()?,
                "max_redirects" => redirects.max = whole(key, node)?,
                "max_response_size" => {
                    if let Some(size) = or_none(node, bytes)? {
                        builder = builder.max_response_size(size);
                    }
                }
                _ => {}
            }
        }
        Ok(builder.redirects(redirects))
    }
}

/// [`process_budgets`](super::process_budgets) with these options: `budget_dir` and `share_required`, as a client's.
///
/// # Errors
/// `config` for the first mistake: `option: rule, got value; fix`.
pub fn process_budgets_with(options: &Value, keys: Keys) -> Result<Budgets, Error> {
    let root = Node::root(options, keys);
    let (mut place, mut required) = (None, false);
    for (key, node) in root.fields(&BUDGETS_OPTIONS)?.iter() {
        match key {
            "budget_dir" => place = or_none(node, directory)?,
            _ => required = node.flag()?,
        }
    }
    Ok(budgets_at(place, required))
}

/// The default of a client option as text: asked of what it stands in, so that it cannot differ. `None` for a key without one here.
pub fn client_default(key: &str) -> Option<String> {
    let (transport, redirects) = (TransportOptions::default(), Redirects::default());
    let duration = |limit: Option<Duration>| limit.map_or("none".to_owned(), |limit| DurationText(limit).to_string());
    Some(match key {
        "follow_redirects" => redirects.follow.to_string(),
        "max_redirects" => redirects.max.to_string(),
        "http2" => format!("{:?}", transport.http2).to_lowercase(),
        "http2_ping" => duration(transport.http2_ping),
        "verify" => transport.tls.verify.to_string(),
        "compression" => transport.compression.to_string(),
        "pool_idle_timeout" => duration(transport.pool_idle_timeout),
        "pool_max_idle_per_host" => transport.pool_max_idle_per_host.to_string(),
        "max_connections" => transport.max_connections.to_string(),
        "max_connections_per_origin" => transport.max_connections_per_origin.to_string(),
        "proxy" => "what the environment says".to_owned(),
        "budget_dir" => "REKNOCK_BUDGET_DIR, else /dev/shm/reknock-UID".to_owned(),
        "cookies" | "share_required" | "envoy_headers" => "false".to_owned(),
        "base_url" | "headers" | "auth" | "max_response_size" | "ca_bundle" | "cert" | "unix_socket" | "local_address" | "interface" => {
            "none".to_owned()
        }
        _ => return None,
    })
}

/// A client option that is a whole number, for hosts whose options are no document.
///
/// # Errors
/// `config` for a number out of its range, which [`CLIENT_OPTIONS`] names.
pub fn whole_option(key: &str, given: i64) -> Result<u32, Error> {
    Ok(whole(key, &Node::at(key, &Value::Int(given)))?)
}

/// Whether a call within an attempt of another one retries as well: what the option `nesting` of clients, calls and adapters says, for hosts that
/// know whether there is such an attempt.
///
/// # Errors
/// `config` for what is neither `stop` (the default of those who do not ask) nor `allow`.
pub fn allows_nesting(given: &Value) -> Result<bool, Error> {
    match given {
        Value::Str(word) if word == "stop" => Ok(false),
        Value::Str(word) if word == "allow" => Ok(true),
        _ => Err(Problem::must("nesting", "be stop (one attempt within an attempt of another loop) or allow", given).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(options: Value) -> String {
        match Client::with_options(&options, Unit::Seconds, Keys::Either).and_then(|builder| builder.build()) {
            Ok(_) => "fine".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_option_is_read() {
        let options = Value::from([
            ("base_url", Value::from("http://host/v1")),
            ("headers", Value::from([("x-a", "1")])),
            ("auth", Value::list(["me", "secret"])),
            ("follow_redirects", true.into()),
            ("max_redirects", 3.into()),
            ("max_response_size", "1MiB".into()),
            ("http2", false.into()),
            ("http2_ping", "5s".into()),
            ("proxy", Value::Null),
            ("verify", true.into()),
            ("ca_bundle", Value::Null),
            ("cert", Value::Null),
            ("compression", false.into()),
            ("unix_socket", Value::Null),
            ("local_address", "127.0.0.1".into()),
            ("interface", "lo".into()),
            ("poolIdleTimeout", 1.5.into()),
            ("pool_max_idle_per_host", 4.into()),
            ("max_connections", 4.into()),
            ("max_connections_per_origin", 4.into()),
            ("cookies", Value::from([("a", "1")])),
            ("budget_dir", "/dev/shm/mine".into()),
            ("share_required", true.into()),
            ("envoy_headers", true.into()),
        ]);
        let Value::Map(entries) = &options else { panic!("a map") };
        assert_eq!(entries.len(), CLIENT_OPTIONS.rows.len());
        assert_eq!(problem(options), "fine");
    }

    #[test]
    fn mistakes_are_named() {
        for (key, value, message) in [
            ("base_ulr", Value::from("x"), "base_ulr: unknown key; did you mean base_url?"),
            ("headers", "x-key: secret".into(), "headers: must be a map, or a list of pairs of a name and a value"),
            ("headers", Value::from([("x-a", 1)]), "headers.x-a: must be text"),
            ("auth", "secret".into(), "auth: must be a list of a user name and a password"),
            ("cookies", "secret".into(), "cookies: must be true, false, or a map of names and values"),
            ("cookies", Value::from([("a", 1)]), "cookies.a: must be text"),
            (
                "ca_bundle",
                "-----KEY-----\nsecret".into(),
                "ca_bundle: must be PEM text or the path of a file that can be read (No such file or directory (os error 2)), got text of 20 characters with line breaks",
            ),
            (
                "ca_bundle",
                "/dev/zero".into(),
                "ca_bundle: must be PEM text or the path of a file that can be read (must be a regular file, got a device), got \"/dev/zero\"",
            ),
            (
                "cert",
                Value::list(["-----BEGIN", "/"]),
                "cert[1]: must be PEM text or the path of a file that can be read (must be a regular file, got a directory), got \"/\"",
            ),
            ("verify", 1.into(), "verify: must be true or false, got 1; give root certificates as text or path, a client's own as cert"),
            (
                "verify",
                Value::Other("SSLContext".to_owned()),
                "verify: must be true or false, got a value of type SSLContext; give root certificates as text or path, a client's own as cert",
            ),
            ("http2_ping", 0.into(), "http2_ping: must be above 0, or none for no pings, got 0"),
            ("pool_idle_timeout", (-1).into(), "pool_idle_timeout: must be a number of seconds from 0, got -1"),
            ("budget_dir", "here".into(), "budget_dir: must be an absolute path, got \"here\""),
            ("local_address", "home".into(), "local_address: must be an IP address, got \"home\""),
            ("max_connections", 0.into(), "max_connections: must be a whole number from 1 to 100000, got 0"),
            ("max_connections_per_origin", true.into(), "max_connections_per_origin: must be a whole number from 1 to 100000, got true"),
            (
                "interface",
                "eth0 ".into(),
                "interface: must be the name of a network interface: 1 to 15 bytes without spaces and slashes, such as eth0, got \"eth0 \"",
            ),
            ("unix_socket", 7.into(), "unix_socket: must be text, got 7; write \"7\""),
            (
                "unix_socket",
                "".into(),
                "unix_socket: must be a path that fits into a socket's address: not empty, below 108 bytes, without NUL, got \"\"",
            ),
            ("http2", "yes please".into(), "http2: must be one of auto, only, none, got \"yes please\""),
        ] {
            assert_eq!(problem(Value::from([(key, value)])), message);
        }
        for (key, value) in [("proxy", "http://p"), ("local_address", "127.0.0.1"), ("interface", "lo")] {
            let both = [("unix_socket", Value::from("/run/x.sock")), (key, value.into())];
            let message = format!("{key}: cannot be where unix_socket says what to connect to; leave one of them out");
            assert_eq!(problem(Value::from(both)), message);
        }
        let both = [("verify", Value::from("-----BEGIN")), ("ca_bundle", "-----BEGIN".into())];
        assert_eq!(problem(Value::from(both)), "verify: must be true or false where ca_bundle says whom to trust");
    }
}
