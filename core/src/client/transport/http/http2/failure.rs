//! From an error of h2 to a kind and evidence: by types alone.

use std::io;

use h2::Reason;

use super::connection::Link;
use crate::client::transport::Failure;
use crate::client::transport::http::failure::find;
use crate::client::transport::source::UploadError;
use crate::client::transport::tls::failure as tls;
use crate::error::ErrorKind;
use crate::record::Evidence;

/// Why a request got no head. `before`: what had been taken from us when it entered h2.
pub(super) fn of_head(error: h2::Error, link: &Link, before: u64) -> Failure {
    let (kind, evidence) = judge(&error, link);
    // Nothing at all went out since: neither did this request.
    let evidence = if link.counts.taken() == before { Evidence::NotSent } else { evidence };
    let message = text(&error, link);
    Failure { source: Some(Box::new(error)), ..Failure::new(kind, evidence, message) }
}

/// Why a request did not enter its connection.
pub(super) fn of_entry(error: h2::Error, link: &Link) -> Failure {
    // A request that h2 would not send is none; else the connection was lost.
    let lost = error.is_io() || error.is_go_away() || error.is_reset();
    let (kind, message) = match lost {
        true => (ErrorKind::Reset, text(&error, link)),
        false => (ErrorKind::InvalidRequest, format!("the request cannot be sent over HTTP/2: {error}")),
    };
    Failure { source: Some(Box::new(error)), stale: lost, ..Failure::new(kind, Evidence::NotSent, message) }
}

/// Why the request's own body broke off.
pub(super) fn of_upload(error: UploadError, link: &Link, before: u64) -> Failure {
    let evidence = if link.counts.taken() == before { Evidence::NotSent } else { Evidence::Unknown };
    let (kind, message) = (error.kind(), error.to_string());
    Failure { source: Some(Box::new(error)), ..Failure::new(kind, evidence, message) }
}

/// Why a body ended before its end.
pub(super) fn of_body(error: h2::Error, link: &Link) -> Failure {
    let message = match error.is_library() && error.is_reset() && error.reason() == Some(Reason::PROTOCOL_ERROR) {
        true => "the response body failed: it is not as long as its content-length says".to_owned(),
        false => format!("the response body failed: {}", text(&error, link)),
    };
    Failure { source: Some(Box::new(error)), ..Failure::new(ErrorKind::Body, Evidence::Unknown, message) }
}

/// Nobody polls what has ended.
pub(super) fn polled_again() -> Failure {
    Failure::new(ErrorKind::Internal, Evidence::Unknown, "an exchange was polled after its end")
}

fn judge(error: &h2::Error, link: &Link) -> (ErrorKind, Evidence) {
    if error.is_remote() {
        // h2 gives a GOAWAY to the streams above its number alone: they were not looked at, whatever its code.
        return match error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM) {
            true => (ErrorKind::RefusedStream, Evidence::Refused),
            false => (ErrorKind::Reset, Evidence::Unknown),
        };
    }
    let kind = match link.counts.broken().and_then(|error| find::<rustls::Error>(error)) {
        Some(error) => tls::later(error),
        None if error.is_io() => ErrorKind::Reset,
        None => ErrorKind::Protocol,
    };
    (kind, Evidence::Unknown)
}

fn text(error: &h2::Error, link: &Link) -> String {
    let reason = error.reason().map_or_else(String::new, |reason| format!(" {reason:?}"));
    match (error.is_remote(), error.is_go_away()) {
        (true, true) => format!("the server is closing the HTTP/2 connection: GOAWAY{reason}"),
        (true, _) if error.reason() == Some(Reason::REFUSED_STREAM) => "the server refused the HTTP/2 stream".to_owned(),
        (true, _) => format!("the server reset the HTTP/2 stream:{reason}"),
        _ if link.is_silent() => "the HTTP/2 connection is lost: the peer does not answer to pings (http2_ping)".to_owned(),
        _ if error.is_io() => lost(link.counts.broken()),
        _ => format!("the server broke the rules of HTTP/2:{reason}"),
    }
}

fn lost(error: Option<&io::Error>) -> String {
    if let Some(error) = error.and_then(|error| find::<rustls::Error>(error)) {
        return tls::text(error);
    }
    let why = match error.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionReset) => ": connection reset by the peer",
        Some(io::ErrorKind::BrokenPipe) => ": connection closed by the peer while sending",
        Some(io::ErrorKind::TimedOut) => ": the peer does not answer on the level of TCP",
        _ => ": connection closed by the peer",
    };
    format!("the HTTP/2 connection was lost{why}")
}
