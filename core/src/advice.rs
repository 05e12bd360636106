//! What helps a call that ended as it did.

use std::borrow::Cow;

use crate::error::ErrorKind;
use crate::record::{AttemptRecord, StopReason};

/// What to change if this end is not what one wanted; empty where nothing went wrong.
///
/// "Not retryable" has many causes, and the last attempt tells most of them apart.
pub(crate) fn advice(reason: StopReason, attempts: &[AttemptRecord]) -> Cow<'static, str> {
    // Each retry has a wait before it, were it none at all.
    if reason == StopReason::RetriesExhausted && attempts.iter().all(|attempt| attempt.wait.is_none()) {
        return RETRIES_ARE_OFF.into();
    }
    let last = attempts.last().filter(|_| reason == StopReason::NotRetryable);
    match last.map(|last| (last.error, last.status)) {
        Some((Some(kind), _)) => of_failure(kind).unwrap_or(reason.advice()).into(),
        Some((None, Some(status))) => of_response(status),
        Some((None, None)) if last.is_some_and(|last| last.error_class.is_some()) => {
            "name its class in on, or let retry_if say so, to have it retried".into()
        }
        _ => reason.advice().into(),
    }
}

/// Somebody said so, and the server may well recover at once.
const RETRIES_ARE_OFF: &str = "retries are off (max_retries: 0, or policy: false); set max_retries to have it repeated";

/// What a policy leaves out although it names it.
macro_rules! unless {
    () => {
        "; if it is there, a \"not\" or request_headers leave this one out"
    };
}

const fn of_failure(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::InvalidRequest => "it could not be sent as it is; correct it",
        ErrorKind::Connect => concat!(
            "name connect-failure in retry_on to have it retried",
            unless!(),
            "; a proxy that demands authentication is never retried: its URL needs a user and a password that it accepts"
        ),
        ErrorKind::ConnectTimeout => concat!("raise connect_timeout, or name connect-failure in retry_on to have it retried", unless!()),
        ErrorKind::Tls => concat!(
            "it seldom heals: look at the certificate, at ca_bundle and cert; name tls in retry_on to have it retried all the same",
            unless!()
        ),
        ErrorKind::Reset => concat!("name reset in retry_on to have it retried", unless!()),
        ErrorKind::RefusedStream => concat!("name refused-stream in retry_on to have it retried", unless!()),
        ErrorKind::Protocol => {
            concat!("look what answers there, it is no HTTP that is understood; name reset in retry_on to have it retried", unless!())
        }
        ErrorKind::PerTryTimeout => concat!("raise per_try_timeout, or name per-try-timeout in retry_on to have it retried", unless!()),
        ErrorKind::Body => {
            concat!(
                "what is streamed is never repeated, as part of it is in your hands: buffer it to have it retried",
                "; if it was buffered, retry_on leaves truncated-body out, or a \"not\" or request_headers leave this one out",
                "; if the peer is slow, raise idle_timeout"
            )
        }
        ErrorKind::TooManyRedirects => "allow more redirects, or look why the servers send it in circles",
        ErrorKind::ResponseTooLarge => "raise max_response_size, or stream the response",
        ErrorKind::Internal => "this is a bug in reknock or below; please report it",
        // They have stop reasons of their own, or no attempts.
        ErrorKind::Config | ErrorKind::Deadline | ErrorKind::Cancelled | ErrorKind::Callback | ErrorKind::Closed => return None,
    })
}

fn of_response(status: u16) -> Cow<'static, str> {
    match status {
        401 => "the server wants credentials, or other ones (auth)".into(),
        407 => "the proxy wants credentials: its URL needs a user and a password that it accepts".into(),
        // Too early, too often, elsewhere, in conflict: the same request may well succeed later.
        408 | 409 | 421 | 425 | 429 => named(status),
        400..=499 => {
            let text = "the server refuses the request as it is and may well do so again; correct it, or name";
            format!("{text} {status} in statuses to have it retried").into()
        }
        _ => named(status),
    }
}

fn named(status: u16) -> Cow<'static, str> {
    format!("name {status} in statuses to have it retried{}", unless!()).into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::explain;
    use crate::retry::{Condition, Conditions};

    /// The last line of the timeline of a call whose last attempt ended so.
    fn last_line(reason: StopReason, status: Option<u16>, error: Option<ErrorKind>) -> String {
        let record = AttemptRecord { status, error, ..AttemptRecord::begun(1, 0, Duration::ZERO) };
        let text = explain(&[record], Some(reason));
        text.lines().last().unwrap_or_default().trim().to_owned()
    }

    fn failed(kind: ErrorKind) -> String {
        last_line(StopReason::NotRetryable, None, Some(kind))
    }

    /// The word between `name` and `in LIST`.
    fn named_in<'t>(list: &str, text: &'t str) -> Option<&'t str> {
        let (before, _) = text.split_once(&format!(" in {list}"))?;
        before.rsplit_once("name ").map(|(_, word)| word)
    }

    #[test]
    fn of_every_kind_that_a_token_covers_it_is_named() {
        for kind in ErrorKind::ALL.iter().copied() {
            let text = failed(kind);
            let covering = |condition: &&Condition| Conditions::NONE.with(**condition).failure(kind);
            match named_in("retry_on", &text).and_then(Condition::from_token) {
                Some(token) => assert!(covering(&&token) && text.contains("request_headers"), "{kind}: {text}"),
                // By default it is named: nobody is told to name it once more.
                None if kind == ErrorKind::Body => assert!(text.contains("truncated-body"), "{text}"),
                None => assert!(!Condition::ALL.iter().any(|condition| covering(&condition)), "{kind}: {text}"),
            }
        }
    }

    #[test]
    fn each_cause_has_its_own_advice() {
        let words = [
            (ErrorKind::InvalidRequest, "correct it"),
            (ErrorKind::Connect, "a proxy that demands authentication is never retried"),
            (ErrorKind::ConnectTimeout, "raise connect_timeout"),
            (ErrorKind::Tls, "look at the certificate"),
            (ErrorKind::Protocol, "look what answers there"),
            (ErrorKind::PerTryTimeout, "raise per_try_timeout"),
            (ErrorKind::Body, "raise idle_timeout"),
            (ErrorKind::TooManyRedirects, "allow more redirects"),
            (ErrorKind::ResponseTooLarge, "raise max_response_size"),
            (ErrorKind::Internal, "report it"),
        ];
        for (kind, word) in words {
            let with: Vec<_> = ErrorKind::ALL.iter().filter(|kind| failed(**kind).contains(word)).collect();
            assert_eq!(with, [&kind], "{word}");
        }
        let exact =
            "= not_retryable: name reset in retry_on to have it retried; if it is there, a \"not\" or request_headers leave this one out";
        assert_eq!(failed(ErrorKind::Reset), exact);
    }

    #[test]
    fn a_response_is_told_by_its_status() {
        let answered = |status| last_line(StopReason::NotRetryable, Some(status), None);
        let exact =
            "= not_retryable: name 503 in statuses to have it retried; if it is there, a \"not\" or request_headers leave this one out";
        assert_eq!(answered(503), exact);
        for status in [408, 409, 421, 425, 429, 500, 599, 600, 999] {
            assert_eq!(named_in("statuses", &answered(status)), Some(status.to_string().as_str()));
            assert!(!answered(status).contains("correct it"), "{status}");
        }
        for status in [400, 403, 404, 410, 422, 451] {
            assert_eq!(named_in("statuses", &answered(status)), Some(status.to_string().as_str()));
            assert!(answered(status).contains("correct it"), "{status}");
        }
        assert!(answered(401).contains("the server wants credentials") && answered(407).contains("the proxy wants credentials"));
        // What broke after its head is told by what broke it.
        assert_eq!(last_line(StopReason::NotRetryable, Some(404), Some(ErrorKind::Body)), failed(ErrorKind::Body));
    }

    #[test]
    fn no_server_is_blamed_where_retries_are_off() {
        let record = |wait| AttemptRecord { status: Some(503), wait, ..AttemptRecord::begun(1, 0, Duration::ZERO) };
        let line = |attempts: &[AttemptRecord]| explain(attempts, Some(StopReason::RetriesExhausted));
        assert!(line(&[record(None)]).contains(RETRIES_ARE_OFF));
        let retried = line(&[record(Some(Duration::ZERO)), record(None)]);
        assert!(retried.contains("did not recover within max_retries") && !retried.contains(RETRIES_ARE_OFF), "{retried}");
    }

    #[test]
    fn other_reasons_have_one_advice() {
        for reason in StopReason::ALL.iter().copied() {
            let general = match reason {
                StopReason::RetriesExhausted => format!("= {reason}: {RETRIES_ARE_OFF}"),
                _ => format!("= {reason}: {}", reason.advice()),
            };
            let general = general.trim_end_matches([' ', ':']);
            if reason != StopReason::NotRetryable {
                assert_eq!(last_line(reason, Some(404), Some(ErrorKind::Tls)), general);
            }
            assert_eq!(last_line(reason, None, None), general);
        }
        assert!(explain(&[], Some(StopReason::NotRetryable)).contains(StopReason::NotRetryable.advice()));
    }
}
