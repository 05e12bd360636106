//! From an error to a kind and a message. By types alone, never by message text; every row is a test in `tests/failures/` on real sockets.
//! What was sent is not read from errors: the socket knows.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use super::dial::OwnEnd;
use super::heads::HeadError;
use crate::causes::{chain, root};
pub(super) use crate::causes::{find, is_local};
use crate::client::transport::Failure;
use crate::client::transport::source::UploadError;
use crate::client::transport::tls::failure::{self as tls, Meaning};
use crate::error::ErrorKind;
use crate::record::Evidence;

/// The failure of a connect: of a name, of TCP, or of TLS.
pub(super) fn connecting(error: io::Error, origin: &impl fmt::Display) -> Failure {
    let kind = match find::<rustls::Error>(&error).map(tls::meaning) {
        Some(Meaning::Refused | Meaning::Nonsense) => ErrorKind::Tls,
        // The kernel's limit, or TCP_USER_TIMEOUT.
        None if error.kind() == io::ErrorKind::TimedOut => ErrorKind::ConnectTimeout,
        _ => ErrorKind::Connect,
    };
    let local = is_local(&error);
    Failure { local, ..failure(kind, Evidence::NotSent, &what(&error), origin, error) }
}

/// The failure of an exchange without a response head. `touched`: something of the request may have been seen.
pub(super) fn exchange(error: hyper::Error, touched: bool, origin: &impl fmt::Display) -> Failure {
    let evidence = if touched { Evidence::Unknown } else { Evidence::NotSent };
    failure(of_exchange(&error), evidence, &what(&error), origin, error)
}

/// The failure of a response body.
pub(super) fn body(error: impl StdError + Send + Sync + 'static, origin: &impl fmt::Display) -> Failure {
    let text = format!("the response body failed: {}", what(&error));
    failure(ErrorKind::Body, Evidence::Unknown, &text, origin, error)
}

/// Likewise, of one whose content-encoding is not what it says.
pub(super) fn coding(error: io::Error, origin: &impl fmt::Display) -> Failure {
    let what = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
        _ => one_line(root(&error)),
    };
    let text = format!("the response body failed: its content-encoding cannot be undone: {what}");
    failure(ErrorKind::Body, Evidence::Unknown, &text, origin, error)
}

/// A failure that does not say yet where it happened.
pub(super) fn at(failure: Failure, place: &impl fmt::Display) -> Failure {
    Failure { message: format!("{} ({place})", failure.message), ..failure }
}

fn failure(
    kind: ErrorKind,
    evidence: Evidence,
    what: &str,
    origin: &impl fmt::Display,
    error: impl StdError + Send + Sync + 'static,
) -> Failure {
    Failure { source: Some(Box::new(error)), ..Failure::new(kind, evidence, format!("{what} ({origin})")) }
}

fn of_exchange(error: &hyper::Error) -> ErrorKind {
    if let Some(upload) = find::<UploadError>(error) {
        return upload.kind();
    }
    if find::<HeadError>(error).is_some() {
        return ErrorKind::Protocol;
    }
    if error.is_body_write_aborted() {
        return ErrorKind::InvalidRequest;
    }
    if let Some(error) = find::<rustls::Error>(error) {
        return tls::later(error);
    }
    if error.is_parse() {
        return ErrorKind::Protocol;
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() || error.is_timeout() || find::<io::Error>(error).is_some()
    {
        return ErrorKind::Reset;
    }
    ErrorKind::Protocol
}

/// Whether descriptors ran out, so that giving up a connection would help.
pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    #[cfg(unix)]
    return matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
    #[cfg(not(unix))]
    return false;
}

/// What happened, on one line.
fn what(error: &(dyn StdError + 'static)) -> String {
    if let Some(upload) = find::<UploadError>(error) {
        return upload.to_string();
    }
    if let Some(error) = find::<rustls::Error>(error) {
        return tls::text(error);
    }
    if let Some(head) = find::<HeadError>(error) {
        return head.to_string();
    }
    if let Some(own) = find::<OwnEnd>(error) {
        return own.to_string();
    }
    if let Some(http) = find::<hyper::Error>(error) {
        if http.is_incomplete_message() {
            return "connection closed before the response was complete".to_owned();
        }
        if http.is_parse() {
            return format!("the answer is not valid HTTP: {http}");
        }
    }
    match chain(error).filter_map(|error| error.downcast_ref::<io::Error>()).last().and_then(io_text) {
        Some(text) => text,
        None => format!("the connection failed: {}", one_line(root(error))),
    }
}

fn io_text(error: &io::Error) -> Option<String> {
    let text = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset by the peer",
        io::ErrorKind::BrokenPipe => "connection closed by the peer while sending",
        io::ErrorKind::UnexpectedEof => "connection closed by the peer too early",
        io::ErrorKind::TimedOut => "the peer does not answer on the level of TCP",
        // The system's own words, with their number: this is for the machine's owner.
        _ if is_local(error) => return Some(format!("no connection can be opened here: {error}")),
        _ => return None,
    };
    Some(text.to_owned())
}

/// The words of an error, on one line.
pub(super) fn one_line(error: &(dyn StdError + 'static)) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
