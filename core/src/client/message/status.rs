//! Statuses as errors, for callers who ask for that.

use super::response::ResponseHead;

impl ResponseHead {
    /// One line that says what is wrong, unless the status is 200-299.
    pub fn status_problem(&self) -> Option<String> {
        if self.is_success() {
            return None;
        }
        let reason = self.status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
        let problem = format!("{}{reason} from {}", self.status.as_u16(), super::redact::redacted(&self.url));
        Some(self.stop_reason.said_after(problem))
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
