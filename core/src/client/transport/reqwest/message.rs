//! One line for people about an error of reqwest: what happened, and with which host and port. For eyes only, nothing is decided by it.

use std::fmt::Write as _;
use std::io;

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use super::connect::ConnectTimeout;
use super::failure::{TunnelError, chain, find, root};
use super::probe::BodyError;
use crate::client::transport::tls::failure as tls;
use crate::error::ErrorKind;

/// `what happened (host:port)`, or `(proxy host:port, for host:port)`. Of the URL nothing else is shown.
pub(super) fn of(kind: ErrorKind, error: &reqwest::Error, proxy: Option<&Matcher>) -> String {
    let mut out = match kind {
        ErrorKind::InvalidRequest => what(error).unwrap_or_else(|| format!("the request cannot be sent: {}", one_line(error))),
        ErrorKind::Body => format!("the response body failed: {}", what(error).unwrap_or_else(|| one_line(error))),
        _ => what(error).unwrap_or_else(|| format!("the connection failed: {}", one_line(error))),
    };
    if let Some(target) = error.url().and_then(target) {
        // Writing to a String cannot fail.
        let _ = match error.url().and_then(|url| proxy.and_then(|proxy| address(proxy, url))) {
            Some(proxy) => write!(out, " (proxy {proxy}, for {target})"),
            None => write!(out, " ({target})"),
        };
    }
    out
}

/// That of the proxy for this URL, if there is one.
fn address(proxies: &Matcher, url: &Url) -> Option<String> {
    let proxy = proxies.intercept(&url.as_str().parse().ok()?)?;
    target(&Url::parse(&proxy.uri().to_string()).ok()?)
}

/// Likewise of a body whose content-encoding is not what it says.
pub(super) fn of_coding(error: &io::Error, url: &Url) -> String {
    let what = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
        _ => words(root(error)),
    };
    let target = target(url).map_or_else(String::new, |target| format!(" ({target})"));
    format!("the response body failed: its content-encoding cannot be undone: {what}{target}")
}

fn target(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// `None` where only the words of the cause itself are left.
fn what(error: &reqwest::Error) -> Option<String> {
    if let Some(timeout) = find::<ConnectTimeout>(error) {
        return Some(timeout.to_string());
    }
    if let Some(body) = find::<BodyError>(error) {
        return Some(body.to_string());
    }
    if error.is_dns() {
        return Some(format!("host name not resolved: {}", one_line(error)));
    }
    if let Some(tunnel) = find::<TunnelError>(error) {
        return Some(match tunnel {
            TunnelError::ProxyAuthRequired => "the proxy demands authentication (407)".to_owned(),
            TunnelError::TunnelUnsuccessful => "the proxy refused to open a tunnel".to_owned(),
            TunnelError::TunnelUnexpectedEof => "the proxy closed the connection instead of opening a tunnel".to_owned(),
            _ => format!("the proxy did not open a tunnel: {}", io_text(error).map_or_else(|| one_line(error), str::to_owned)),
        });
    }
    if let Some(error) = find::<rustls::Error>(error) {
        return Some(tls::text(error));
    }
    if let Some(h2) = find::<h2::Error>(error) {
        return Some(h2_text(h2));
    }
    // Inside a request that was given back is the error of its connection.
    if let Some(http) = chain(error).filter_map(|error| error.downcast_ref::<hyper::Error>()).last() {
        if http.is_incomplete_message() {
            return Some("connection closed before the response was complete".to_owned());
        }
        if http.is_parse() {
            return Some(format!("the answer is not valid HTTP: {http}"));
        }
    }
    io_text(error).map(str::to_owned)
}

fn io_text(error: &reqwest::Error) -> Option<&'static str> {
    // The innermost one: the outer ones of a TLS handshake are of kind "other".
    let io = chain(error).filter_map(|error| error.downcast_ref::<io::Error>()).last()?;
    Some(match io.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset by the peer",
        io::ErrorKind::BrokenPipe => "connection closed by the peer while sending",
        io::ErrorKind::UnexpectedEof => "connection closed by the peer too early",
        io::ErrorKind::TimedOut => "the peer does not answer on the level of TCP",
        _ => return None,
    })
}

fn h2_text(error: &h2::Error) -> String {
    let reason = error.reason().map_or_else(String::new, |reason| format!(" {reason:?}"));
    match (error.is_remote(), error.is_go_away(), error.is_reset()) {
        (true, true, _) => format!("the server is closing the HTTP/2 connection: GOAWAY{reason}"),
        (true, _, true) if error.reason() == Some(h2::Reason::REFUSED_STREAM) => "the server refused the HTTP/2 stream".to_owned(),
        (true, _, true) => format!("the server reset the HTTP/2 stream:{reason}"),
        _ if error.is_io() => "the HTTP/2 connection was lost".to_owned(),
        _ => format!("the server broke the rules of HTTP/2:{reason}"),
    }
}

/// The cause of all, on one line.
fn one_line(error: &reqwest::Error) -> String {
    words(root(error))
}

fn words(error: &dyn std::error::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
