//! From an error of reqwest to a kind and evidence. By types alone, never by message text; every row is a test in
//! `tests/failures/` on real sockets, because hyper promises nothing about the types of its sources.

use std::error::Error as StdError;
use std::io;

use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use tower_service::Service;
use url::Url;

use super::connect::ConnectTimeout;
use super::message;
use super::probe::BodyError;
pub(super) use crate::causes::{chain, find, root};
use crate::client::transport::Failure;
use crate::client::transport::tls::failure::{self as tls, Meaning};
use crate::error::ErrorKind;
use crate::record::Evidence;

/// hyper-util's error of a proxy's CONNECT; its name is private.
pub(super) type TunnelError = <Tunnel<HttpConnector> as Service<http::Uri>>::Error;

/// What is known of the request besides its error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// The connection never looked at the body and cannot any more: nothing was sent.
    pub(super) untouched: bool,
    /// The body has no bytes.
    pub(super) empty: bool,
}

/// The failure of an attempt that got no response head, through one of these proxies if any.
pub(super) fn classify(error: reqwest::Error, sent: Sent, proxies: Option<&Matcher>) -> Failure {
    let (kind, evidence) = judge(&error, sent);
    let permanent = matches!(find::<TunnelError>(&error), Some(TunnelError::ProxyAuthRequired));
    let message = message::of(kind, &error, proxies);
    Failure { permanent, source: Some(Box::new(error.without_url())), ..Failure::new(kind, evidence, message) }
}

/// The failure of a response body.
pub(super) fn classify_body(error: reqwest::Error) -> Failure {
    let message = message::of(ErrorKind::Body, &error, None);
    Failure { source: Some(Box::new(error.without_url())), ..Failure::new(ErrorKind::Body, Evidence::Unknown, message) }
}

/// The failure of a body whose coding is being undone: that of the body itself, or of the coding.
pub(super) fn classify_coded(error: io::Error, url: &Url) -> Failure {
    match error.downcast::<reqwest::Error>() {
        Ok(error) => classify_body(error.with_url(url.clone())),
        Err(error) => {
            let message = message::of_coding(&error, url);
            Failure { source: Some(Box::new(error)), ..Failure::new(ErrorKind::Body, Evidence::Unknown, message) }
        }
    }
}

/// The rules in order: the first match wins.
fn judge(error: &reqwest::Error, sent: Sent) -> (ErrorKind, Evidence) {
    use ErrorKind as Kind;
    let probed = if sent.untouched { Evidence::NotSent } else { Evidence::Unknown };
    if error.is_builder() {
        return (Kind::InvalidRequest, Evidence::NotSent);
    }
    // Without a pool error it would be one of reqwest's own timers, and we set none.
    let Some(pool) = find::<legacy::Error>(error) else { return (Kind::Internal, probed) };
    if pool.is_connect() {
        return (connecting(error), Evidence::NotSent);
    }
    let established = pool.connect_info().is_some();
    if pool.source().is_none() {
        // With a connection: it does not speak the version asked for. Without: the connect of another request, which this
        // one was waiting for, came to nothing.
        return (if established { Kind::InvalidRequest } else { Kind::Connect }, Evidence::NotSent);
    }
    if !established {
        // The connection died between its handshake and the hand-over of the request.
        return (tls_or(Kind::Connect, error), Evidence::NotSent);
    }
    let Some(http) = find::<hyper::Error>(error) else { return (Kind::Reset, probed) };
    if http.is_canceled() {
        // hyper gave the request back unwritten.
        return (tls_or(Kind::Reset, error), Evidence::NotSent);
    }
    if let Some(body) = find::<BodyError>(error) {
        let kind = match body {
            BodyError::Abandoned => Kind::Cancelled,
            BodyError::Upload(error) => error.kind(),
        };
        return (kind, probed);
    }
    if http.is_body_write_aborted() {
        return (Kind::InvalidRequest, probed);
    }
    if http.is_user() || http.is_closed() {
        // Nobody's mistake: the task of the connection is gone.
        return (Kind::Reset, probed);
    }
    if let Some(h2) = find::<h2::Error>(error) {
        return judge_http2(h2, sent, probed);
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return (tls::later(tls), probed);
    }
    if http.is_parse() {
        return (Kind::Protocol, probed);
    }
    if http.is_incomplete_message() || http.is_timeout() || find::<io::Error>(error).is_some() {
        return (Kind::Reset, probed);
    }
    (Kind::Protocol, probed)
}

fn judge_http2(error: &h2::Error, sent: Sent, probed: Evidence) -> (ErrorKind, Evidence) {
    let reason = error.reason();
    if error.is_remote() && (error.is_go_away() || reason == Some(h2::Reason::REFUSED_STREAM)) {
        // In a graceful shutdown hyper reports GOAWAY also for requests without a body that went out and were answered.
        let doubtful = error.is_go_away() && reason == Some(h2::Reason::NO_ERROR) && sent.empty;
        let evidence = match probed {
            Evidence::Unknown if !doubtful => Evidence::Refused,
            evidence => evidence,
        };
        return (ErrorKind::RefusedStream, evidence);
    }
    (if error.is_remote() || error.is_io() { ErrorKind::Reset } else { ErrorKind::Protocol }, probed)
}

fn connecting(error: &reqwest::Error) -> ErrorKind {
    if find::<ConnectTimeout>(error).is_some() {
        return ErrorKind::ConnectTimeout;
    }
    match tls_or(ErrorKind::Connect, error) {
        // The kernel's limit, or TCP_USER_TIMEOUT.
        ErrorKind::Connect if error.is_timeout() => ErrorKind::ConnectTimeout,
        kind => kind,
    }
}

/// A refusal on the level of TLS does not heal; a lost connection can.
fn tls_or(other: ErrorKind, error: &reqwest::Error) -> ErrorKind {
    match find::<rustls::Error>(error).map(tls::meaning) {
        None | Some(Meaning::Broken) => other,
        Some(Meaning::Refused | Meaning::Nonsense) => ErrorKind::Tls,
    }
}
