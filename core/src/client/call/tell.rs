//! Telling the host what happens. Where nobody listens, nothing is made.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use url::Url;

use super::events::{Event, EventKind, Level, Notice};
use super::question::{Host, Wants};
use super::state::Running;
use super::trace;
use crate::client::message::redact::redacted;
use crate::client::message::status::outcome_text;
use crate::client::system::clock::Clock;
use crate::client::transport::Transport;
use crate::identity::shown_method;
use crate::record::{AttemptRecord, StopReason};
use crate::retry::{Budget, refusals};

impl<T: Transport, C: Clock, H: Host> Running<'_, T, C, H> {
    fn wanted(&self, level: Level) -> bool {
        self.heard.is_some_and(|least| level >= least)
    }

    /// An attempt begins; its record is there.
    pub(super) fn tell_start(&mut self) {
        self.started = self.wanted(Level::Warning);
        if self.wanted(Level::Debug)
            && let Some(attempt) = self.records.last().cloned()
        {
            let start = self.start_of(attempt);
            self.say(start);
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
        let (method, target) = (shown_method(request.method.as_str()), redacted(&request.url));
        Event { call, kind: EventKind::AttemptStart { attempt, method, target } }
    }

    pub(super) fn tell_retry(&mut self) {
        self.tell_attempt();
        if self.wanted(Level::Info)
            && let Some(attempt) = self.records.last().cloned()
        {
            let reason = attempt.outcome().into_owned();
            self.tell(EventKind::Retry { attempt, reason });
        }
    }

    pub(super) fn tell_redirect(&mut self, to: &Url) {
        self.tell_attempt();
        if self.wanted(Level::Debug)
            && let Some(attempt) = self.records.last().cloned()
        {
            self.tell(EventKind::Redirect { attempt, target: redacted(to) });
        }
    }

    /// The call is over. `failure`: the text of its error.
    pub(super) fn tell_end(&mut self, stop_reason: StopReason, failure: Option<&str>) {
        self.tell_attempt();
        if stop_reason == StopReason::BudgetExhausted {
            self.tell_refusal();
        }
        let failed = stop_reason.is_failure(failure.is_some());
        if !self.wanted(if failed { Level::Warning } else { Level::Debug }) {
            return;
        }
        let elapsed = self.config.clock.now().since(self.began);
        let text = failure.map_or_else(
            || self.identity().ended(&outcome_text(self.records.last()), self.records.len(), elapsed, stop_reason),
            str::to_owned,
        );
        self.tell(EventKind::End { attempts: self.records.clone(), stop_reason, elapsed, failed, text });
    }

    /// A budget that refuses is an outage, or a budget that is too small: somebody should know.
    fn tell_refusal(&mut self) {
        let clock = &self.config.clock;
        let told = if clock.is_of_the_host() { &refusals::OF_PROCESS } else { &self.shared.refusals };
        if self.wanted(Level::Warning) && told.first(self.request.origin(), clock.now()) {
            let text = refusals::text(self.request.origin(), self.records.last());
            self.tell(EventKind::Notice { about: Notice::BudgetRefused, text });
        }
    }

    /// The call, or its hop, asks a budget that was to be the host's: should it be this process's alone, somebody should know, once a client.
    pub(in crate::client) fn tell_unshared(&mut self, budget: Option<&Arc<Budget>>) {
        if self.heard.is_some()
            && let Some(why) = budget.and_then(|budget| self.shared.budgets.untold(budget))
        {
            let text = refusals::unshared_text(self.request.origin(), why);
            self.tell(EventKind::Notice { about: Notice::BudgetUnshared, text });
        }
    }

    /// The attempt is over, with what came of it besides: told before what follows from it.
    fn tell_attempt(&mut self) {
        let Some(attempt) = self.records.last() else { return };
        self.trace.end(attempt);
        if !std::mem::take(&mut self.started) {
            return;
        }
        let number = attempt.number;
        let ended = self.wanted(Level::Debug).then(|| attempt.clone());
        let (interim, dropped) = self.progress.take_notes();
        for status in interim.into_iter().filter(|_| ended.is_some()) {
            self.tell(EventKind::Interim { number, status });
        }
        for name in dropped {
            let text = format!("the server's header field {name} was dropped: its value has characters that no value can have");
            self.tell(EventKind::Notice { about: Notice::FieldDropped, text });
        }
        if let Some(attempt) = ended {
            self.tell(EventKind::AttemptEnd(attempt));
        }
    }

    fn tell(&mut self, kind: EventKind) {
        let call = Some(self.identity());
        self.say(Event { call, kind });
    }

    fn say(&mut self, event: Event) {
        tell(&mut self.host, self.wants, event);
    }
}

/// The least that somebody wants to be told, a host with these wishes or a subscriber of `tracing`; `None` if nobody listens.
pub(in crate::client) fn heard(wants: Wants) -> Option<Level> {
    let least = if wants.notices { Some(Level::Warning) } else { None };
    if wants.events { Some(Level::Debug) } else { trace::heard().or(least) }
}

/// Tells those who want it. Whatever an observer does, the call goes on.
pub(in crate::client) fn tell(host: &mut impl Host, wants: Wants, event: Event) {
    trace::log(&event);
    if wants.events || wants.notices && event.level() == Level::Warning {
        // The panic hook has reported it.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| host.tell(event)));
    }
}
