//! One call, decided step by step.

use std::sync::Arc;
use std::time::Duration;

use super::budget::{Budget, DepositOn, Grant};
use super::condition::{Condition, Conditions, ResponseFacts};
use super::hint::{Combine, WhenOver};
use super::outcome::{Answer, Attempt, Call, Decision, HeaderView, Outcome, Verdict};
use super::{BudgetKind, HeaderMatcher, draw, mix};
use crate::policy::{Compat, IdempotencyKey, Policy};
use crate::record::{Evidence, StopReason};
use crate::time::{Tick, UnixTime};

/// One call on its way: per attempt [`attempt`](Retry::attempt), [`classify`](Retry::classify), [`decide`](Retry::decide);
/// at the end [`finish`](Retry::finish), or drop it to abandon the call.
///
/// `now` is read from the driver's clock immediately before each method. Allocates nothing. Dropping it gives back what it
/// holds of its budget.
#[derive(Debug)]
pub struct Retry {
    policy: Policy,
    budget: Option<Arc<Budget>>,
    /// The granted retry that is waiting to be sent (ratio) or is not decided yet (concurrency).
    grant: Option<Grant>,
    /// A send is counted in the budget.
    entered: bool,
    /// The retry that `grant` paid for was sent.
    spent: bool,
    succeeded: bool,
    /// The response at hand is one that `stop_headers` match; nor is a body of it that breaks ever retried.
    vetoed: bool,
    idempotent: bool,
    /// An attempt of this call may have reached a server.
    touched: bool,
    asked: bool,
    nested: bool,
    seed: u64,
    deadline: Option<Tick>,
    /// An interim answer (1xx) came in this attempt.
    interim: bool,
    now: Tick,
    sent: u32,
    retries: u32,
    hops: u32,
    /// Back-offs taken, which is the retries less those whose wait a hint replaced.
    backoffs: u32,
    previous: Duration,
}

impl Retry {
    /// Begins a call at `now`: fixes its deadline and counts it in its budget.
    ///
    /// `budget` is what [`Budgets::find`](super::Budgets::find) gave for the policy's budget and the request's origin; `None` if the policy has none.
    /// `entropy` and `serial` seed the waits: any number that differs between processes, and the number of the call.
    /// A policy with a seed uses that in place of `entropy`.
    pub fn begin(policy: &Policy, call: Call<'_>, budget: Option<Arc<Budget>>, entropy: u64, serial: u64, now: Tick) -> Self {
        let mut retry = Retry {
            policy: policy.clone(),
            budget: None,
            grant: None,
            entered: false,
            spent: false,
            succeeded: false,
            vetoed: false,
            idempotent: false,
            touched: false,
            asked: call.asked,
            nested: false,
            seed: mix(policy.seed().unwrap_or(entropy), serial),
            deadline: policy.timeout().map(|timeout| now.after(timeout)),
            interim: false,
            now,
            sent: 0,
            retries: 0,
            hops: 0,
            backoffs: 0,
            previous: Duration::ZERO,
        };
        retry.target(call, budget);
        retry
    }

    /// The call is made within an attempt of another one that retries: where it would be retried it ends with `nested`, as else the
    /// retries of the two would multiply.
    #[must_use]
    pub fn nested(mut self, nested: bool) -> Self {
        self.set_nested(nested);
        self
    }

    /// Likewise, where it is.
    pub(crate) fn set_nested(&mut self, nested: bool) {
        self.nested = nested;
    }

    /// A redirect is followed: the next attempt goes to another place, counts in that place's budget, and is no retry. Whether somebody
    /// is asked stays as it was.
    pub fn redirect(&mut self, call: Call<'_>, budget: Option<Arc<Budget>>, now: Tick) {
        self.now = now;
        // A server that sends elsewhere is well.
        self.succeed();
        self.release();
        self.leave();
        self.hops += 1;
        self.target(call, budget);
    }

    fn target(&mut self, call: Call<'_>, budget: Option<Arc<Budget>>) {
        let honoured = self.policy.idempotency_key() != IdempotencyKey::None;
        self.idempotent = self.policy.methods().contains(call.method) || (call.has_idempotency_key && honoured);
        self.touched = false;
        // With retries off a call leaves the budgets alone.
        self.budget = budget.filter(|_| self.policy.max_retries() > 0);
        self.deposit(DepositOn::Call);
    }

    /// The next attempt is about to be sent.
    pub fn attempt(&mut self, now: Tick) -> Attempt {
        self.now = now;
        self.leave();
        self.spent = self.grant.is_some();
        self.vetoed = false;
        self.interim = false;
        self.sent += 1;
        if let Some(budget) = &self.budget {
            budget.enter(now);
            self.entered = true;
        }
        Attempt { number: self.sent, retries_left: self.retries_left(), deadline: self.deadline }
    }

    /// The body of the first attempt was handed over, or the attempt ended before it was: with `compat: envoy` the call's `timeout` counts from
    /// `at`. Any other call's deadline stays as it was.
    pub fn uploaded(&mut self, at: Tick) {
        if self.policy.compat() == Some(Compat::Envoy) && self.sent == 1 && self.hops == 0 {
            self.deadline = self.policy.timeout().map(|timeout| at.after(timeout));
        }
    }

    /// An interim answer (1xx) came in the attempt under way: with `compat: envoy` the policy does not retry it.
    pub fn interim(&mut self) {
        self.interim = true;
    }

    /// The policy's verdict on an outcome. `wall` is needed for hints that are dates.
    pub fn classify(&mut self, outcome: Outcome<'_>, wall: UnixTime) -> Verdict {
        self.classify_with(outcome, || wall)
    }

    /// Likewise, reading that clock only where it is needed.
    pub(crate) fn classify_with(&mut self, outcome: Outcome<'_>, wall: impl FnOnce() -> UnixTime) -> Verdict {
        let backoff = self.policy.backoff().wait(self.backoffs + 1, self.previous, self.draw(0));
        let mut verdict = Verdict::new(backoff);
        self.succeeded = false;
        match outcome {
            Outcome::Failure { kind, evidence, local } => {
                verdict.retry = self.before_request().failure(kind) && !self.vetoed;
                verdict.evidence = evidence;
                verdict.local = local;
                verdict.over = StopReason::of_kind(kind).or(self.vetoed.then_some(StopReason::NotRetryable));
            }
            Outcome::Foreign { evidence } => verdict.evidence = evidence,
            Outcome::Returned => {
                verdict.completed = true;
                self.succeeded = true;
            }
            Outcome::Response { status, headers } => {
                let headers = HeaderView(headers);
                self.vetoed = any_matches(self.policy.stop_headers(), status, headers);
                verdict.retry = !self.vetoed && self.retryable(status, headers);
                verdict.completed = status < 400;
                verdict.over = self.vetoed.then_some(if verdict.completed { StopReason::Completed } else { StopReason::NotRetryable });
                self.succeeded = !verdict.retry;
                if unprocessed(status) || any_matches(self.policy.refused_headers(), status, headers) {
                    verdict.evidence = Evidence::Refused;
                }
                let envoy = self.policy.compat() == Some(Compat::Envoy);
                verdict.at_once = envoy && status == 425 && self.policy.statuses().contains(425);
                verdict.hint = self.hint(verdict, headers, wall);
            }
        }
        verdict.retry &= !(self.interim && self.policy.compat() == Some(Compat::Envoy));
        self.touched |= verdict.evidence != Evidence::NotSent;
        verdict
    }

    /// The verdict on a failure, with the wait that a proxy asks for which refused a tunnel.
    #[cfg(feature = "client")]
    pub(crate) fn hinted(&self, verdict: Verdict, headers: &dyn super::Headers, wall: UnixTime) -> Verdict {
        Verdict { hint: self.hint(verdict, HeaderView(headers), || wall), ..verdict }
    }

    /// Whether [`classify`](Retry::classify) looks at the header fields of a response with this status: where it does not, a driver for which reading
    /// them is work may leave them out.
    pub fn reads_fields(&self, status: u16) -> bool {
        const NONE: &[(&str, &str)] = &[];
        let policy = &self.policy;
        self.asked
            || policy.compat() == Some(Compat::Envoy)
            || policy.conditions().read_fields()
            || [policy.stop_headers(), policy.refused_headers(), policy.response_headers()].iter().any(|matchers| !matchers.is_empty())
            || self.retryable(status, HeaderView(&NONE))
    }

    /// The wait that these fields ask for, if anybody wants to know.
    fn hint(&self, verdict: Verdict, headers: HeaderView<'_>, wall: impl FnOnce() -> UnixTime) -> Option<Duration> {
        if !(verdict.retry || self.asked) || verdict.at_once {
            return None;
        }
        let hints = self.policy.retry_after()?;
        match self.policy.compat() {
            Some(Compat::Envoy) => hints.read_as_envoy(headers, wall()),
            None => hints.read(headers, wall()),
        }
    }

    /// To Envoy "before request" means before the first byte of the whole call.
    fn before_request(&self) -> Conditions {
        let conditions = self.policy.conditions();
        match self.touched && self.policy.compat() == Some(Compat::Envoy) {
            true => conditions.forgetting(Condition::ResetBeforeRequest),
            false => conditions,
        }
    }

    fn retryable(&self, status: u16, headers: HeaderView<'_>) -> bool {
        let conditions = self.policy.conditions();
        let statuses = self.policy.statuses();
        if statuses.excludes(status) {
            return false;
        }
        let limited = self.policy.compat() == Some(Compat::Envoy) && headers.has("x-envoy-ratelimited");
        if limited {
            return conditions.includes(Condition::EnvoyRatelimited);
        }
        let matched = any_matches(self.policy.response_headers(), status, headers);
        conditions.response(&ResponseFacts { status, headers, listed: statuses.contains(status), matched })
    }

    /// Whether `retry_if` is asked about the outcome at hand: retries are left, the body can be replayed, there is time.
    pub fn worth_asking(&self, replayable: bool, now: Tick) -> bool {
        replayable && self.retries_left() > 0 && self.deadline.is_none_or(|deadline| now < deadline)
    }

    /// What happens after an outcome. The first rule that says no gives the reason; the budget is asked last.
    ///
    /// `replayable`: the request's body can be produced again.
    pub fn decide(&mut self, verdict: Verdict, answer: Answer, replayable: bool, now: Tick) -> Decision {
        match self.permit(verdict, answer, replayable, now) {
            Err(reason) => Decision::Stop(reason),
            Ok(()) => self.schedule(verdict, answer, now),
        }
    }

    /// The first half of [`decide`](Retry::decide): everything that does not depend on the wait. After `Ok` comes
    /// [`schedule`](Retry::schedule), perhaps with a back-off that was asked for in between.
    pub fn permit(&mut self, verdict: Verdict, answer: Answer, replayable: bool, now: Tick) -> Result<(), StopReason> {
        self.now = now;
        self.release();
        if let Some(reason) = verdict.over {
            return Err(reason);
        }
        match answer.retry {
            // What is well needs no reason.
            Some(false) if verdict.completed => return Err(StopReason::Completed),
            Some(false) => return Err(StopReason::PredicateStop),
            None if !verdict.retry && answer.wait.is_none() => {
                return Err(if verdict.completed { StopReason::Completed } else { StopReason::NotRetryable });
            }
            _ => {}
        }
        if verdict.evidence == Evidence::Unknown && !self.idempotent {
            return Err(StopReason::NotIdempotent);
        }
        if !replayable {
            return Err(StopReason::BodyNotReplayable);
        }
        if self.retries_left() == 0 {
            return Err(StopReason::RetriesExhausted);
        }
        Ok(())
    }

    /// The second half of [`decide`](Retry::decide): the wait, the deadline, the budget.
    pub fn schedule(&mut self, verdict: Verdict, answer: Answer, now: Tick) -> Decision {
        self.now = now;
        let own = answer.backoff.unwrap_or(verdict.backoff);
        let Some((wait, advances)) = self.planned(verdict, own, answer.wait) else {
            return Decision::Stop(StopReason::RetryAfterTooLong);
        };
        if self.deadline.is_some_and(|deadline| now.after(wait) >= deadline) {
            return Decision::Stop(StopReason::Deadline);
        }
        if self.nested {
            return Decision::Stop(StopReason::Nested);
        }
        // What failed on this machine alone adds nothing to anybody's load.
        if let Some(budget) = self.budget.as_ref().filter(|_| !verdict.local) {
            self.grant = budget.withdraw(now);
            if self.grant.is_none() {
                return Decision::Stop(StopReason::BudgetExhausted);
            }
        }
        self.leave();
        // A callback may have a response repeated that the policy would have left alone.
        (self.spent, self.succeeded) = (false, false);
        self.retries += 1;
        if advances {
            self.backoffs += 1;
            self.previous = own;
        }
        Decision::Retry { wait }
    }

    /// The wait that a retry of this outcome would have by the policy alone; `None` if the server asks for too long a one.
    pub fn planned_wait(&self, verdict: Verdict) -> Option<Duration> {
        self.planned(verdict, verdict.backoff, None).map(|(wait, _)| wait)
    }

    /// The wait and whether it counts as a back-off; `None` for `retry_after_too_long`.
    fn planned(&self, verdict: Verdict, own: Duration, asked: Option<Duration>) -> Option<(Duration, bool)> {
        if let Some(wait) = asked {
            return Some((wait, true));
        }
        if verdict.at_once {
            return Some((Duration::ZERO, false));
        }
        let (Some(hints), Some(hint)) = (self.policy.retry_after(), verdict.hint) else {
            return Some((own, true));
        };
        let wait = match (hints.max, hints.when_over) {
            (Some(max), WhenOver::Stop) if hint > max => return None,
            (Some(max), WhenOver::Ignore) if hint > max => return Some((own, true)),
            // Exactly max: a spread would be longer than allowed.
            (Some(max), WhenOver::Cap) if hint > max => max,
            _ => hint.saturating_add(crate::time::saturating_secs(hint.as_secs_f64() * hints.spread * self.draw(1))),
        };
        match hints.combine {
            Combine::Max => Some((own.max(wait), true)),
            // To Envoy a hint of 0 is no hint.
            Combine::Replace if hint.is_zero() && self.policy.compat() == Some(Compat::Envoy) => Some((own, true)),
            Combine::Replace => Some((wait, false)),
        }
    }

    /// The call is over and its outcome goes to the caller.
    pub fn finish(mut self, now: Tick) {
        self.now = now;
        self.succeed();
    }

    /// The policy that it was begun with.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Retries that may still be made.
    pub fn retries_left(&self) -> u32 {
        self.policy.max_retries().saturating_sub(self.retries)
    }

    /// Attempts sent so far.
    pub fn attempts(&self) -> u32 {
        self.sent
    }

    /// Redirects followed so far.
    pub fn hops(&self) -> u32 {
        self.hops
    }

    /// The end of the call's `timeout`, if it has one.
    pub fn deadline(&self) -> Option<Tick> {
        self.deadline
    }

    /// Whether the request may be repeated although the server may have executed it.
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    fn draw(&self, lane: u64) -> f64 {
        draw(self.seed, u64::from(self.retries) * 2 + lane)
    }

    /// The attempt that was classified last ended, and its outcome is not retried.
    fn succeed(&mut self) {
        if std::mem::take(&mut self.succeeded) {
            self.deposit(DepositOn::Success);
        }
    }

    fn deposit(&self, on: DepositOn) {
        if let Some(budget) = &self.budget
            && matches!(budget.kind(), BudgetKind::Ratio { deposit_on, .. } if deposit_on == on)
        {
            budget.deposit(self.now);
        }
    }

    /// The send that was counted is over.
    fn leave(&mut self) {
        if let Some(budget) = &self.budget
            && std::mem::take(&mut self.entered)
        {
            budget.leave(self.now);
        }
    }

    /// The granted retry is decided (its place is free) or will not be sent (the budget gets it back).
    fn release(&mut self) {
        if let (Some(budget), Some(grant)) = (&self.budget, self.grant.take()) {
            match self.spent {
                true => budget.release(self.now),
                false => budget.refund(grant, self.now),
            }
        }
    }
}

/// Statuses by which a server says that it did not act on the request: it wants credentials, other framing or less of it, or refuses before it looks
/// (RFC 9110 sections 15.5.2, 15.5.8, 15.5.14, 15.5.18, 15.5.20; RFC 6585; RFC 8470).
const fn unprocessed(status: u16) -> bool {
    matches!(status, 401 | 407 | 413 | 417 | 421 | 425 | 429 | 431)
}

fn any_matches(matchers: &[HeaderMatcher], status: u16, headers: HeaderView<'_>) -> bool {
    matchers.iter().any(|matcher| matcher.matches(status, headers))
}

impl Drop for Retry {
    fn drop(&mut self) {
        self.release();
        self.leave();
    }
}
