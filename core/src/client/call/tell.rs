//! Telling the host what happens. Where nobody listens, nothing is made.

use std::panic::AssertUnwindSafe;

use url::Url;

use super::events::{Event, EventKind, Notice};
use super::question::Host;
use super::state::Running;
use crate::client::message::redact::redacted;
use crate::client::message::status::outcome_text;
use crate::client::system::clock::Clock;
use crate::client::transport::Transport;
use crate::record::{AttemptRecord, StopReason};
use crate::retry::refusals;

impl<T: Transport, C: Clock, H: Host> Running<'_, T, C, H> {
    /// An attempt begins; its record is there.
    pub(super) fn tell_start(&mut self) {
        if self.host.wants().events {
            self.started = true;
            if let Some(attempt) = self.records.last().cloned() {
                let start = self.start_of(attempt);
                self.say(start);
            }
        }
    }

    /// The start of the attempt that comes next, whose clock does not run yet.
    pub(super) fn attempt_start(&mut self) -> Event {
        let start = self.config.clock.now().since(self.began);
        let attempt = AttemptRecord::begun(self.retry.attempts() + 1, self.retry.hops(), start);
        self.start_of(attempt)
    }

    fn start_of(&mut self, attempt: AttemptRecord) -> Event {
        let call = Some(self.identity());
        let request = self.sent();
        let (method, target) = (request.method.to_string(), redacted(&request.url));
        Event { call, kind: EventKind::AttemptStart { attempt, method, target } }
    }

    pub(super) fn tell_retry(&mut self) {
        if let Some(attempt) = self.ended() {
            let reason = attempt.outcome().into_owned();
            self.tell(EventKind::Retry { attempt, reason });
        }
    }

    pub(super) fn tell_redirect(&mut self, to: &Url) {
        if let Some(attempt) = self.ended() {
            self.tell(EventKind::Redirect { attempt, target: redacted(to) });
        }
    }

    /// The call is over. `failure`: the text of its error.
    pub(super) fn tell_end(&mut self, stop_reason: StopReason, failure: Option<&str>) {
        if stop_reason == StopReason::BudgetExhausted {
            self.tell_refusal();
        }
        let wants = self.host.wants();
        let failed = stop_reason.is_failure(failure.is_some());
        if !(wants.events || wants.notices && failed) {
            return;
        }
        self.ended();
        let elapsed = self.config.clock.now().since(self.began);
        let text = failure.map_or_else(
            || self.identity().ended(&outcome_text(self.records.last()), self.records.len(), elapsed, stop_reason),
            str::to_owned,
        );
        self.tell(EventKind::End { attempts: self.records.clone(), stop_reason, elapsed, failed, text });
    }

    /// A budget that refuses is an outage, or a budget that is too small: somebody should know.
    fn tell_refusal(&mut self) {
        let wants = self.host.wants();
        let clock = &self.config.clock;
        let told = if clock.is_of_the_host() { &refusals::OF_PROCESS } else { &self.shared.refusals };
        if (wants.events || wants.notices) && told.first(self.request.origin(), clock.now()) {
            let text = refusals::text(self.request.origin(), self.records.last());
            self.tell(EventKind::Notice { about: Notice::BudgetRefused, text });
        }
    }

    /// The attempt that ended, where somebody listens, who is told that first.
    fn ended(&mut self) -> Option<AttemptRecord> {
        if !self.host.wants().events {
            return None;
        }
        let attempt = self.records.last().cloned()?;
        if std::mem::take(&mut self.started) {
            let (interim, dropped) = self.progress.take_notes();
            for status in interim {
                self.tell(EventKind::Interim { number: attempt.number, status });
            }
            for name in dropped {
                let text = format!("the server's header field {name} was dropped: its value has characters that no value can have");
                self.tell(EventKind::Notice { about: Notice::FieldDropped, text });
            }
            self.tell(EventKind::AttemptEnd(attempt.clone()));
        }
        Some(attempt)
    }

    fn tell(&mut self, kind: EventKind) {
        let call = Some(self.identity());
        self.say(Event { call, kind });
    }

    fn say(&mut self, event: Event) {
        tell(&mut self.host, event);
    }
}

/// Whatever an observer does, the call goes on.
pub(in crate::client) fn tell(host: &mut impl Host, event: Event) {
    // The panic hook has reported it.
    let _ = std::panic::catch_unwind(AssertUnwindSafe(|| host.tell(event)));
}
