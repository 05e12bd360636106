//! What errors of other services mean: kinds and evidence by types alone, never by message text. Unknown, unless a type proves more.

use std::error::Error as StdError;
use std::io;

use super::RetryError;
use crate::causes::{chain, find, is_local};
use crate::error::{Error, ErrorKind};
use crate::record::{AttemptRecord, Evidence};

/// What an error of the inner service means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What went wrong; `None` for what is no failure of HTTP: no condition of a policy covers it, only `retry_if` has it retried.
    pub kind: Option<ErrorKind>,
    /// Whether the server may have acted on the request.
    pub evidence: Evidence,
    /// This machine alone is short of something (descriptors, ports, memory): no budget is asked.
    pub local: bool,
}

impl Failure {
    /// A failure of this kind, of which this much is proved.
    pub const fn new(kind: ErrorKind, evidence: Evidence) -> Self {
        Failure { kind: Some(kind), evidence, local: false }
    }

    /// One of which nothing is known.
    pub const fn unknown() -> Self {
        Failure { kind: None, evidence: Evidence::Unknown, local: false }
    }
}

/// Knows what errors of a service mean. A closure of the same shape is one.
pub trait Classify: Send + Sync {
    /// What this error means, or `None` where this classifier does not know it: then [`KnownErrors`] is asked.
    fn failure(&self, error: &(dyn StdError + 'static)) -> Option<Failure>;
}

impl<F: Fn(&(dyn StdError + 'static)) -> Option<Failure> + Send + Sync> Classify for F {
    fn failure(&self, error: &(dyn StdError + 'static)) -> Option<Failure> {
        self(error)
    }
}

/// Knows, with all sources of an error and whatever is boxed around it: `std::io::Error` and reknock's own; with the features `hyper` (which `client` asks for) those of
/// hyper, hyper-util and h2, so also of tonic's channels; with `tower-reqwest` those of reqwest.
///
/// That a request was not sent is known of connections that were not made, and of requests that hyper gave back unwritten.
#[derive(Clone, Copy, Debug, Default)]
pub struct KnownErrors;

impl Classify for KnownErrors {
    fn failure(&self, error: &(dyn StdError + 'static)) -> Option<Failure> {
        of_ours(error).or_else(|| of_clients(error)).or_else(|| of_system(error))
    }
}

/// Of a retry loop of ours within: what it found. Its attempts are one here, so the least that is proved of any of them.
fn of_ours(error: &(dyn StdError + 'static)) -> Option<Failure> {
    let proved = |attempts: &[AttemptRecord]| {
        let weakest = Evidence::ALL.iter().rev().find(|least| attempts.iter().any(|attempt| attempt.evidence == **least));
        weakest.copied().unwrap_or(Evidence::Unknown)
    };
    if let Some(inner) = find::<RetryError>(error) {
        return Some(Failure { kind: inner.kind(), evidence: proved(inner.attempts()), local: false });
    }
    find::<Error>(error).map(|inner| Failure::new(inner.kind(), proved(inner.attempts())))
}

/// The first failure of the system's that says something: those around it may only hold it.
fn of_system(error: &(dyn StdError + 'static)) -> Option<Failure> {
    let mut all = chain(error).filter_map(|error| error.downcast_ref::<io::Error>()).map(of_io);
    let first = all.next()?;
    if first.kind.is_some() { Some(first) } else { Some(all.find(|failure| failure.kind.is_some()).unwrap_or(first)) }
}

fn of_io(error: &io::Error) -> Failure {
    let (kind, evidence) = match error.kind() {
        // Only connecting is refused so.
        io::ErrorKind::ConnectionRefused => (ErrorKind::Connect, Evidence::NotSent),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown => (ErrorKind::Reset, Evidence::Unknown),
        _ => return Failure { local: is_local(error), ..Failure::unknown() },
    };
    Failure { local: is_local(error), ..Failure::new(kind, evidence) }
}

#[cfg(not(feature = "hyper"))]
fn of_clients(_: &(dyn StdError + 'static)) -> Option<Failure> {
    None
}

/// The rules in order: the first match wins.
#[cfg(feature = "hyper")]
fn of_clients(error: &(dyn StdError + 'static)) -> Option<Failure> {
    use hyper_util::client::legacy;

    #[cfg(feature = "tower-reqwest")]
    if let Some(failure) = find::<reqwest::Error>(error).and_then(of_reqwest) {
        return Some(failure);
    }
    if let Some(pool) = find::<legacy::Error>(error) {
        if pool.is_connect() || find::<hyper::Error>(error).is_none() {
            return Some(of_connecting(error));
        }
    } else if find::<TcpError>(error).is_some() {
        return Some(of_connecting(error));
    }
    if let Some(stream) = find::<h2::Error>(error) {
        return Some(of_stream(stream));
    }
    find::<hyper::Error>(error).map(|http| of_exchange(http, error))
}

/// hyper-util's error of a TCP connection that was not made; its name is private.
#[cfg(feature = "hyper")]
type TcpError = <hyper_util::client::legacy::connect::HttpConnector as tower_service::Service<http::Uri>>::Error;

#[cfg(feature = "hyper")]
fn of_connecting(error: &(dyn StdError + 'static)) -> Failure {
    let io = find::<io::Error>(error);
    let kind = match io.map(io::Error::kind) {
        Some(io::ErrorKind::TimedOut) => ErrorKind::ConnectTimeout,
        _ => tls(error, ErrorKind::Connect),
    };
    Failure { local: io.is_some_and(is_local), ..Failure::new(kind, Evidence::NotSent) }
}

#[cfg(feature = "hyper")]
fn of_exchange(http: &hyper::Error, error: &(dyn StdError + 'static)) -> Failure {
    let kind = if http.is_user() && !http.is_canceled() {
        // The request's own body failed, or broke its word.
        ErrorKind::InvalidRequest
    } else if http.is_parse() {
        ErrorKind::Protocol
    } else if http.is_canceled()
        || http.is_incomplete_message()
        || http.is_closed()
        || http.is_timeout()
        || find::<io::Error>(error).is_some()
    {
        ErrorKind::Reset
    } else {
        ErrorKind::Protocol
    };
    // What hyper cancels it gives back unwritten.
    let evidence = if http.is_canceled() { Evidence::NotSent } else { Evidence::Unknown };
    Failure::new(kind, evidence)
}

#[cfg(feature = "hyper")]
fn of_stream(error: &h2::Error) -> Failure {
    let reason = error.reason();
    let refused = error.is_remote() && (error.is_go_away() || reason == Some(h2::Reason::REFUSED_STREAM));
    match refused {
        // In a graceful shutdown hyper reports GOAWAY also for requests that went out and were answered.
        true if error.is_go_away() && reason == Some(h2::Reason::NO_ERROR) => Failure::new(ErrorKind::RefusedStream, Evidence::Unknown),
        true => Failure::new(ErrorKind::RefusedStream, Evidence::Refused),
        false if error.is_remote() || error.is_io() => Failure::new(ErrorKind::Reset, Evidence::Unknown),
        false => Failure::new(ErrorKind::Protocol, Evidence::Unknown),
    }
}

/// What reqwest alone knows: its own timers, and requests that it would not build.
#[cfg(feature = "tower-reqwest")]
fn of_reqwest(error: &reqwest::Error) -> Option<Failure> {
    match () {
        () if error.is_builder() => Some(Failure::new(ErrorKind::InvalidRequest, Evidence::NotSent)),
        () if error.is_timeout() && error.is_connect() => Some(Failure::new(ErrorKind::ConnectTimeout, Evidence::NotSent)),
        () if error.is_timeout() => Some(Failure::new(ErrorKind::PerTryTimeout, Evidence::Unknown)),
        () => None,
    }
}

/// A refusal on the level of TLS does not heal; a lost connection can.
#[cfg(feature = "rustls")]
fn tls(error: &(dyn StdError + 'static), other: ErrorKind) -> ErrorKind {
    use crate::causes::tls::{Meaning, meaning};
    match find::<rustls::Error>(error).map(meaning) {
        None | Some(Meaning::Broken) => other,
        Some(Meaning::Refused | Meaning::Nonsense) => ErrorKind::Tls,
    }
}

#[cfg(all(feature = "hyper", not(feature = "rustls")))]
fn tls(_: &(dyn StdError + 'static), other: ErrorKind) -> ErrorKind {
    other
}
