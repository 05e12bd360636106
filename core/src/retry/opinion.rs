//! What callbacks say of an outcome.

use std::time::Duration;

use super::outcome::Answer;

/// What `retry_if` thinks of an attempt: it adds retries to the policy's, and stops only where it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Opinion {
    /// Nothing, or "no": the policy's verdict holds.
    #[default]
    None,
    /// Retry. Method and evidence rules, body replay, limits, deadline and budget still hold.
    Retry,
    /// Retry after exactly this long; server hints do not apply, all else as for `Retry`.
    After(Duration),
    /// Stop, whatever the policy says.
    Stop,
}

/// `false` leaves it to the policy, so that `|attempt| attempt.status == Some(404)` adds one case. [`Opinion::Stop`] stops.
impl From<bool> for Opinion {
    fn from(retry: bool) -> Self {
        if retry { Opinion::Retry } else { Opinion::None }
    }
}

impl From<Duration> for Opinion {
    fn from(wait: Duration) -> Self {
        Opinion::After(wait)
    }
}

impl<O: Into<Opinion>> From<Option<O>> for Opinion {
    fn from(opinion: Option<O>) -> Self {
        opinion.map_or(Opinion::None, Into::into)
    }
}

impl From<Opinion> for Answer {
    fn from(opinion: Opinion) -> Self {
        let (retry, wait) = match opinion {
            Opinion::None => (None, None),
            Opinion::Retry => (Some(true), None),
            Opinion::After(wait) => (Some(true), Some(wait)),
            Opinion::Stop => (Some(false), None),
        };
        Answer { retry, wait, backoff: None }
    }
}
