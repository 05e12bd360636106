//! What observers of calls are told: the one list of events, which every surface converts, and their lines for logs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::cancel::cancel_message;
use crate::client::message::status::outcome_text;
use crate::error::{Error, ErrorKind};
use crate::identity::Identity;
use crate::record::{AttemptRecord, StopReason, explain};
use crate::retry::driver::Driver;
use crate::time::{Measured, Tick};

/// What an observer is told. Nobody waits for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// Whose call it is about. `None` for notices about none.
    pub call: Option<Arc<Identity>>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened, in the order in which calls tell it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// An attempt begins: each one, those of redirects' hops included.
    AttemptStart {
        /// Its number, hop and start.
        attempt: AttemptRecord,
        /// The method that it sends.
        method: String,
        /// Where it goes, query values removed.
        target: String,
    },
    /// An interim answer (1xx) came. Told once the attempt has ended, before its end.
    Interim {
        /// The number of the attempt.
        number: u32,
        /// Its status.
        status: u16,
    },
    /// An attempt ended, with the body of its response where that is read into memory.
    AttemptEnd(AttemptRecord),
    /// The attempt that ended will be retried after its `wait`. Told before the wait.
    Retry {
        /// The attempt that ended.
        attempt: AttemptRecord,
        /// Why: its status or kind of failure, as [`AttemptRecord::outcome`] has it.
        reason: String,
    },
    /// A redirect is followed.
    Redirect {
        /// The attempt that it answered.
        attempt: AttemptRecord,
        /// Where it leads, query values removed.
        target: String,
    },
    /// The call is over; a body that is handed out as it comes may still break.
    End {
        /// What was sent.
        attempts: Vec<AttemptRecord>,
        /// Why nothing further was sent.
        stop_reason: StopReason,
        /// From the start of the call.
        elapsed: Duration,
        /// Whether it failed: with an error, or with a response that would have been retried if it could have been. Not if its caller gave it up, nor
        /// if the call around it retries.
        failed: bool,
        /// How it ended, in one line: of a failure, the text of the error.
        text: String,
    },
    /// What whoever runs the program should know.
    Notice {
        /// What about.
        about: Notice,
        /// One line, without the call.
        text: String,
    },
}

macro_rules! notices {
    ($($(#[doc = $doc:literal])* $variant:ident = $number:literal, $code:literal;)*) => {
        /// What a notice is about. The numbers are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Notice { $($(#[doc = $doc])* $variant = $number,)* }

        impl Notice {
            /// Every one, in the order of its numbers.
            pub const ALL: &'static [Notice] = &[$(Notice::$variant,)*];

            /// The stable name, for example `"budget_refused"`.
            pub const fn code(self) -> &'static str {
                match self { $(Notice::$variant => $code,)* }
            }
        }
    };
}

notices! {
    /// A budget refused a retry. At most once a second and origin.
    BudgetRefused = 1, "budget_refused";
    /// A header field of a response was dropped, because its value has characters that no value can have.
    FieldDropped = 2, "field_dropped";
    /// The file that the client's policy comes from has changed and cannot be used: the policy before holds on.
    PolicyRefused = 3, "policy_refused";
    /// A budget that was to be the host's (`share: host`) is this process's alone. Once a client.
    BudgetUnshared = 4, "budget_unshared";
}

impl Notice {
    /// The stable number.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// How much an event matters, as loggers have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What happens with every call.
    Debug,
    /// A retry.
    Info,
    /// A call that failed, and notices.
    Warning,
}

impl Level {
    /// The stable name: `"debug"`, `"info"` or `"warning"`.
    pub const fn code(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warning => "warning",
        }
    }
}

impl Event {
    /// The file of a client's policy was not taken.
    pub(in crate::client) fn of_policy(error: &Error) -> Self {
        let text = format!("the policy's file has changed and cannot be used, the policy before holds on: {error}");
        Event { call: None, kind: EventKind::Notice { about: Notice::PolicyRefused, text } }
    }

    /// What whoever runs the program should know of a call that somebody else sends, since this was asked last: its budget refused a retry, or is not the
    /// host's as it was to be. As seldom as clients tell it.
    pub fn notices_of_driver(call: Option<&Arc<Identity>>, driver: &mut Driver) -> Vec<Self> {
        let unshared = driver.take_unshared().map(|text| (Notice::BudgetUnshared, text));
        let refused = driver.take_notice().map(|text| (Notice::BudgetRefused, text));
        let event = |(about, text)| Event { call: call.cloned(), kind: EventKind::Notice { about, text } };
        unshared.into_iter().chain(refused).map(event).collect()
    }

    /// What is told last of a call that somebody else sends: the retry that was decided, or how the call ended.
    pub fn of_driver(call: Arc<Identity>, driver: &Driver, now: Tick) -> Self {
        let attempts = driver.records();
        let last = attempts.last();
        let kind = match (driver.stop_reason(), last) {
            (None, Some(attempt)) => EventKind::Retry { attempt: attempt.clone(), reason: attempt.outcome().into_owned() },
            (reason, _) => {
                let (stop_reason, elapsed) = (reason.unwrap_or(StopReason::Cancelled), driver.elapsed(now));
                let what = match stop_reason {
                    StopReason::Cancelled => cancel_message(ErrorKind::Cancelled).to_owned(),
                    StopReason::Callback => "a callback failed".to_owned(),
                    _ => outcome_text(last),
                };
                let text = call.ended(&what, attempts.len(), elapsed, stop_reason);
                EventKind::End { attempts: attempts.to_vec(), stop_reason, elapsed, failed: driver.has_failed(), text }
            }
        };
        Event { call: Some(call), kind }
    }

    /// How much it matters.
    pub const fn level(&self) -> Level {
        match self.kind {
            EventKind::Notice { .. } | EventKind::End { failed: true, .. } => Level::Warning,
            EventKind::Retry { .. } => Level::Info,
            _ => Level::Debug,
        }
    }
}

impl EventKind {
    /// The stable names of all kinds, in the order of their numbers.
    pub const CODES: &'static [&'static str] = &["retry", "redirect", "end", "notice", "attempt_start", "attempt_end", "interim"];

    /// The stable number, from 1.
    pub const fn number(&self) -> u8 {
        match self {
            EventKind::Retry { .. } => 1,
            EventKind::Redirect { .. } => 2,
            EventKind::End { .. } => 3,
            EventKind::Notice { .. } => 4,
            EventKind::AttemptStart { .. } => 5,
            EventKind::AttemptEnd(_) => 6,
            EventKind::Interim { .. } => 7,
        }
    }

    /// The stable name, for example `"attempt_start"`.
    pub const fn code(&self) -> &'static str {
        Self::CODES[self.number() as usize - 1]
    }

    /// The attempt that it is about, where it is about one.
    pub const fn attempt(&self) -> Option<&AttemptRecord> {
        match self {
            EventKind::AttemptStart { attempt, .. } | EventKind::Retry { attempt, .. } | EventKind::Redirect { attempt, .. } => {
                Some(attempt)
            }
            EventKind::AttemptEnd(attempt) => Some(attempt),
            _ => None,
        }
    }

    /// Where an attempt goes that starts, or where a redirect leads, query values removed.
    pub fn target(&self) -> Option<&str> {
        match self {
            EventKind::AttemptStart { target, .. } | EventKind::Redirect { target, .. } => Some(target),
            _ => None,
        }
    }
}

/// One line, for logs, without secrets.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let EventKind::End { text, .. } = &self.kind {
            return f.write_str(text);
        }
        if let Some(call) = &self.call {
            write!(f, "{call}: ")?;
        }
        match &self.kind {
            EventKind::AttemptStart { attempt, method, target } => write!(f, "attempt {} begins: {method} {target}", attempt.number),
            EventKind::Interim { number, status } => write!(f, "{status} came before the answer to attempt {number}"),
            EventKind::AttemptEnd(attempt) => write!(f, "attempt ended: {}", explain(std::slice::from_ref(attempt), None).trim()),
            EventKind::Retry { attempt, reason } => {
                let wait = Measured(attempt.wait.unwrap_or_default());
                write!(f, "retry {} in {wait}, because of {reason}", attempt.number.saturating_sub(attempt.hop))
            }
            EventKind::Redirect { attempt, target } => write!(f, "{} leads to {target}", attempt.outcome()),
            EventKind::Notice { text, .. } => f.write_str(text),
            EventKind::End { .. } => Ok(()),
        }
    }
}
