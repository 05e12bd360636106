//! Statuses as errors, for callers who ask for that.

use http::StatusCode;

use super::response::ResponseHead;
use crate::record::AttemptRecord;

impl ResponseHead {
    /// One line that says what is wrong, unless the status is 200-299: `GET http://host/orders: 503 Service Unavailable after 2 attempts in 1.2s
    /// (budget_exhausted)`.
    pub fn status_problem(&self) -> Option<String> {
        if self.is_success() {
            return None;
        }
        let (what, url) = (status_text(self.status), super::redact::redacted(&self.url));
        let Some(call) = self.call() else { return Some(format!("{what} from {url}")) };
        let redirected = self.attempts.last().is_some_and(|last| last.hop > 0);
        let what = if redirected { format!("{what} from {url}") } else { what };
        Some(call.ended(&what, self.attempts.len(), self.elapsed, self.stop_reason))
    }

    /// The words that the server sent with the status, for example `Not Found`; the usual ones over HTTP/2, which sends none, empty if there are none.
    pub fn reason(&self) -> &str {
        self.reason.as_deref().or_else(|| self.status.canonical_reason()).unwrap_or_default()
    }

    /// The same head with other words for its status.
    #[must_use]
    pub fn with_reason(self, reason: &str) -> Self {
        ResponseHead { reason: Some(reason.into()), ..self }
    }
}

/// How an attempt ended: its failure, or its status with the usual words for it.
pub(in crate::client) fn outcome_text(attempt: Option<&AttemptRecord>) -> String {
    let Some(attempt) = attempt else { return String::new() };
    match (attempt.error, attempt.status.and_then(|status| StatusCode::from_u16(status).ok())) {
        (None, Some(status)) => status_text(status),
        _ => attempt.outcome().into_owned(),
    }
}

/// A status with the usual words for it.
pub(in crate::client) fn status_text(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}
