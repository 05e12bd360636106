//! What a transport can be told.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use crate::policy::{Problem, Value};

/// How an [`HttpTransport`](crate::client::HttpTransport) connects and what it keeps. Start from the default and change fields:
///
/// ```
/// use reknock::client::{Http2, TransportOptions};
///
/// let mut options = TransportOptions::default();
/// options.http2 = Http2::None;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportOptions {
    /// Which HTTP versions to speak. Default: [`Http2::Auto`].
    pub http2: Http2,
    /// How long the peer of an HTTP/2 connection is silent, while requests are open, before it is asked for a sign of life. After as long again the
    /// connection is lost, and its requests with it (kind `reset`). `None` asks never. Default: 5 s.
    pub http2_ping: Option<Duration>,
    /// How long an unused connection is kept; `None` for as long as the server does. Default: 4 s.
    ///
    /// A request that meets its kept connection just as the server closes it fails with evidence "unknown", so that a POST is not
    /// repeated. Common servers close after 5 s (Node, Apache, uvicorn) to 75 s (nginx): staying below avoids the meeting.
    pub pool_idle_timeout: Option<Duration>,
    /// How many unused connections are kept per origin; 0 keeps none. Default: 1000. Fewer than calls in flight means opening connections anew all the time.
    pub pool_max_idle_per_host: usize,
    /// The most connections that are open at once, those that nobody uses included. Calls beyond wait in order, which is no attempt's time: its limits
    /// stand still, only `timeout` goes on. At least 1. Default: 512. The transport on reqwest knows no such limit.
    pub max_connections: usize,
    /// Likewise, to one origin (scheme, host and port). At least 1. Default: 256.
    pub max_connections_per_origin: usize,
    /// Whether requests go through a proxy. Default: [`Proxy::Environment`].
    pub proxy: Proxy,
    /// Whom to trust and who to be. Default: the system's roots, no client certificate.
    pub tls: TlsOptions,
    /// Whether to ask for gzip, br, zstd and deflate, and undo them. Off, bodies and headers are handed out as they came. Default: on.
    pub compression: bool,
    /// The local address to connect from; addresses of the other family are passed over then. Default: the system's choice.
    pub local_address: Option<IpAddr>,
    /// The network interface to connect from, such as `eth0` (`SO_BINDTODEVICE`, Linux and Android; elsewhere an error). Names are resolved as without
    /// it. Default: the system's choice.
    pub interface: Option<String>,
    /// After how long without any acknowledgement from the peer a connection counts as lost (`TCP_USER_TIMEOUT`, Linux and Android).
    /// It bounds how long a cancelled upload stays in a blocked write; slow answers are not concerned. Executors pass their
    /// idle timeout. `None` leaves it to the system (about 15 minutes). Default: 20 s.
    pub write_stall: Option<Duration>,
    /// Whether small writes go out at once (`TCP_NODELAY`). Default: on.
    pub tcp_nodelay: bool,
    /// The path of a Unix socket to connect to in place of any address, whatever the URL's host, those of redirects included. Names are not resolved
    /// and no proxy is used; https speaks TLS there, with the URL's host as the server's name, and HTTP/2 is as over TCP. Default: none.
    pub unix_socket: Option<PathBuf>,
    /// Addresses of names that are not asked from the resolver, lower case; the port is the URL's. Default: none.
    pub resolve: Vec<(String, Vec<IpAddr>)>,
}

impl Default for TransportOptions {
    fn default() -> Self {
        TransportOptions {
            http2: Http2::Auto,
            http2_ping: Some(Duration::from_secs(5)),
            pool_idle_timeout: Some(Duration::from_secs(4)),
            pool_max_idle_per_host: 1000,
            max_connections: 512,
            max_connections_per_origin: 256,
            proxy: Proxy::Environment,
            tls: TlsOptions::default(),
            compression: true,
            local_address: None,
            interface: None,
            write_stall: Some(Duration::from_secs(20)),
            tcp_nodelay: true,
            unix_socket: None,
            resolve: Vec::new(),
        }
    }
}

impl TransportOptions {
    /// Whether all this can be, and at once.
    ///
    /// # Errors
    /// The first mistake: `option: rule, got value; fix`.
    pub(super) fn check(&self) -> Result<(), Problem> {
        for (name, most) in [("max_connections", self.max_connections), ("max_connections_per_origin", self.max_connections_per_origin)] {
            if most == 0 {
                return Err(Problem::must(name, "be at least 1", &Value::Int(0)));
            }
        }
        if let Some(name) = &self.interface {
            check_interface(name)?;
        }
        let Some(path) = &self.unix_socket else { return Ok(()) };
        check_unix_socket(path)?;
        let given = [
            ("proxy", matches!(self.proxy, Proxy::Url(_))),
            ("local_address", self.local_address.is_some()),
            ("interface", self.interface.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(Problem::new(name, "cannot be where unix_socket says what to connect to").fix("leave one of them out")),
            None => Ok(()),
        }
    }
}

fn check_interface(name: &str) -> Result<(), Problem> {
    if !cfg!(any(target_os = "linux", target_os = "android", target_os = "fuchsia")) {
        return Err(Problem::new("interface", "is known on Linux and Android alone").fix("give the interface's address as local_address"));
    }
    let is_name =
        (1..=15).contains(&name.len()) && !name.contains(|letter: char| letter.is_whitespace() || letter.is_control() || letter == '/');
    let rule = "be the name of a network interface: 1 to 15 bytes without spaces and slashes, such as eth0";
    if is_name { Ok(()) } else { Err(Problem::must("interface", rule, &Value::from(name))) }
}

#[cfg(unix)]
fn check_unix_socket(path: &Path) -> Result<(), Problem> {
    let fits = !path.as_os_str().is_empty() && std::os::unix::net::SocketAddr::from_pathname(path).is_ok();
    let rule = "be a path that fits into a socket's address: not empty, below 108 bytes, without NUL";
    if fits { Ok(()) } else { Err(Problem::must("unix_socket", rule, &Value::from(&*path.to_string_lossy()))) }
}

#[cfg(not(unix))]
fn check_unix_socket(_: &Path) -> Result<(), Problem> {
    Err(Problem::new("unix_socket", "is known on Unix systems alone"))
}

/// Which HTTP versions to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Http2 {
    /// HTTP/2 where the server offers it in the TLS handshake, else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/2 only, without asking, over plain TCP too.
    Only,
    /// HTTP/1.1 only.
    None,
}

/// Whether requests go through a proxy.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proxy {
    /// What `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say (either case) when the transport is made. Ignored in a CGI
    /// process (`REQUEST_METHOD` is set), where `HTTP_PROXY` could be a request header. A variable that would be used and cannot be is an error of kind `config`.
    /// `NO_PROXY` holds names (they and what is below them), addresses and networks, each perhaps with a port, or `*`, between commas or spaces.
    #[default]
    Environment,
    /// No proxy.
    None,
    /// This proxy for everything: an `http`, `https`, `socks5` (names are resolved here) or `socks5h` (names are resolved by the proxy) URL, with
    /// userinfo if the proxy wants to know a user and a password.
    Url(String),
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proxy::Environment => f.write_str("Environment"),
            Proxy::None => f.write_str("None"),
            Proxy::Url(url) => {
                let host = url.rsplit_once('@').map_or(url.as_str(), |(_, host)| host);
                f.debug_tuple("Url").field(&host).finish()
            }
        }
    }
}

/// Whom to trust and who to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsOptions {
    /// Whether the server's certificate and name are checked. Off, anybody in between can read and change everything. Default: on.
    pub verify: bool,
    /// Whether the system's root certificates are trusted (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured). Default: on.
    ///
    /// A system without any is no error: plain http works, and https fails as `tls` with a message that says what to do.
    pub system_roots: bool,
    /// Root certificates in PEM to trust besides the system's, or alone if `system_roots` is off. Default: none.
    pub ca_bundle: Option<Bytes>,
    /// The certificate to show to servers that ask for one. Default: none.
    pub client_cert: Option<ClientCert>,
}

impl Default for TlsOptions {
    fn default() -> Self {
        TlsOptions { verify: true, system_roots: true, ca_bundle: None, client_cert: None }
    }
}

/// A client certificate with its key.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCert {
    /// The certificate, then its intermediates, in PEM.
    pub cert: Bytes,
    /// The private key in PEM (PKCS#8, PKCS#1 or SEC1, not encrypted); `None` if it is among the certificates.
    pub key: Option<Bytes>,
}

impl fmt::Debug for ClientCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCert")
    }
}
