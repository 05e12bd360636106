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

    /// The usual words for the status, for example `Not Found`; empty if it has none.
    pub fn reason(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or_default()
    }
}
