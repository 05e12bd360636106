//! The machine for those who send by other means: it minds the order of its steps, keeps the records, and knows what an attempt may take.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::outcome::{Answer, Attempt, Call, Decision, Headers, Outcome, Verdict};
pub use super::target::Target;
use super::target::{origin_of, outer_retry};
use super::{Budget, BudgetReading, Budgets, Retry, Scope, refusals};
use crate::error::{Error, ErrorKind};
use crate::policy::{Policy, Problem, Value};
use crate::record::{self, AttemptRecord, Evidence, StopReason};
use crate::time::{Tick, UnixTime};

/// A [`Retry`] that minds the order of its steps: an attempt, its outcome (any number of times, the last one counts), the decision. After a
/// stop another outcome of the same attempt may be told, as of a body that breaks. A step that is refused changes nothing.
///
/// It keeps the records of the call, which can be read when it is over, too.
#[derive(Debug)]
pub struct Driver {
    /// `None` once it is over.
    retry: Option<Retry>,
    options: Options,
    state: State,
    began: Tick,
    /// When the last attempt began.
    sent: Tick,
    records: Vec<AttemptRecord>,
    stop_reason: Option<StopReason>,
    /// That of the present hop's request.
    outer_retry: Option<u32>,
    /// The origin of the present hop, where budgets are kept.
    origin: Box<str>,
    /// What is to be told of a budget that refused.
    notice: Option<String>,
    /// Likewise, of one that is not the host's as it was to be.
    unshared: Option<String>,
}

/// What a call of a driver wants, besides its request and its policy.
#[derive(Debug, Default)]
pub struct Options {
    /// The budgets to share. None: none is kept, whatever the policy says.
    pub budgets: Option<Arc<Budgets>>,
    /// Somebody is asked about every outcome (`retry_if`): hints are then read on every response.
    pub asked: bool,
    /// The call is made within an attempt of another one that retries: see [`Retry::nested`].
    pub nested: bool,
    /// The idempotency key that was minted for the call, by [`Policy::wants_key`].
    pub minted_key: Option<String>,
    /// What seeds the waits: see [`Retry::begin`].
    pub entropy: u64,
}

/// The limits of one attempt, none longer than what is left of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Of making a connection.
    pub connect_timeout: Option<Duration>,
    /// Of the attempt up to its response head.
    pub per_try_timeout: Option<Duration>,
    /// Of silence while a body is written or read.
    pub idle_timeout: Option<Duration>,
    /// What is left of the call's `timeout`.
    pub remaining: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The next step is an attempt: none was made yet, or a retry was decided, or a redirect is followed.
    Due,
    /// An attempt is under way, and nothing is known of it.
    Sent,
    /// Its outcome is known and not decided.
    Classified(Verdict),
    /// It is decided that nothing is sent again.
    Stopped(StopReason),
}

/// A step that was refused.
#[derive(Debug)]
pub enum Misuse {
    /// The step does not come next: `step: what is wrong; what to do`.
    Order(String),
    /// A value is none (an error of kind `config`).
    Value(Error),
    /// The policy's budget cannot be had (an error of kind `config`).
    Budget(Error),
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misuse::Order(text) => f.write_str(text),
            Misuse::Value(error) | Misuse::Budget(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Misuse {}

impl From<Problem> for Misuse {
    fn from(problem: Problem) -> Self {
        Misuse::Value(problem.into())
    }
}

impl Driver {
    /// As [`Retry::begin`], with the budget that the options' have for the policy and the origin. What the policy says of the request's own
    /// header fields is heeded ([`Policy::for_request`]).
    ///
    /// # Errors
    /// No origin where budgets are kept per origin; a budget whose name is in use with other parameters.
    pub fn begin(policy: &Policy, target: Target<'_>, options: Options, now: Tick) -> Result<Self, Misuse> {
        let policy = policy.for_request(&target.head());
        let budget = budget(&policy, options.budgets.as_deref(), target.origin, now)?;
        let has_idempotency_key = options.minted_key.is_some() || target.carries_key();
        let call = Call { method: target.method, has_idempotency_key, asked: options.asked };
        let origin = origin_of(target.origin);
        let unshared = unshared(options.budgets.as_deref(), budget.as_deref(), &origin);
        let mut retry = Retry::begin(&policy, call, budget, options.entropy, 0, now);
        retry.set_nested(options.nested);
        Ok(Driver {
            retry: Some(retry),
            options,
            state: State::Due,
            began: now,
            sent: now,
            records: Vec::new(),
            stop_reason: None,
            outer_retry: outer_retry(target.headers),
            origin: origin.into(),
            notice: None,
            unshared,
        })
    }

    /// As [`Retry::redirect`], with the budget of the next hop's origin. A minted key goes along.
    ///
    /// # Errors
    /// As [`Driver::begin`]; where no attempt is under way that could have been redirected.
    pub fn redirect(&mut self, target: Target<'_>, now: Tick) -> Result<(), Misuse> {
        let retry = under_way(&mut self.retry, self.state, "redirect")?;
        let budget = budget(retry.policy(), self.options.budgets.as_deref(), target.origin, now)?;
        let has_idempotency_key = self.options.minted_key.is_some() || target.carries_key();
        let origin = origin_of(target.origin);
        self.unshared = self.unshared.take().or_else(|| unshared(self.options.budgets.as_deref(), budget.as_deref(), &origin));
        retry.redirect(Call { method: target.method, has_idempotency_key, asked: self.options.asked }, budget, now);
        (self.state, self.stop_reason, self.outer_retry) = (State::Due, None, outer_retry(target.headers));
        self.origin = origin.into();
        Ok(())
    }

    /// As [`Retry::attempt`].
    ///
    /// # Errors
    /// Where no attempt is due: the one before is not decided, or it is decided that nothing is sent again.
    pub fn attempt(&mut self, now: Tick) -> Result<Attempt, Misuse> {
        let retry = live(&mut self.retry, "attempt")?;
        let number = retry.attempts();
        let refused = match self.state {
            State::Due => {
                let attempt = retry.attempt(now);
                let mut record = AttemptRecord::begun(attempt.number, retry.hops(), now.since(self.began));
                record.outer_retry = self.outer_retry;
                self.records.push(record);
                (self.state, self.sent) = (State::Sent, now);
                return Ok(attempt);
            }
            State::Sent | State::Classified(_) => format!("attempt {number} is not decided; classify its outcome and decide first"),
            State::Stopped(reason) => {
                format!("it was decided to send nothing after attempt {number} ({reason}); finish the call, or redirect it")
            }
        };
        Err(Misuse::Order(format!("attempt: {refused}")))
    }

    /// As [`Retry::classify`]; and [`Retry::planned_wait`]. `error_class` is what the host calls a failure.
    ///
    /// # Errors
    /// Where no attempt is under way.
    pub fn classify(
        &mut self,
        outcome: Outcome<'_>,
        error_class: Option<&str>,
        wall: UnixTime,
        now: Tick,
    ) -> Result<(Verdict, Option<Duration>), Misuse> {
        let retry = under_way(&mut self.retry, self.state, "classify")?;
        let verdict = retry.classify(outcome, wall);
        self.state = State::Classified(verdict);
        if let Some(record) = self.records.last_mut() {
            record.duration = now.since(self.sent);
            (record.evidence, record.hint) = (verdict.evidence, verdict.hint);
            record.error_class = error_class.map(Box::from);
            match outcome {
                Outcome::Response { status, .. } => (record.status, record.error) = (Some(status), None),
                // A body that breaks came after a head.
                Outcome::Failure { kind, .. } => record.error = Some(kind),
                Outcome::Foreign { .. } | Outcome::Returned => {}
            }
        }
        Ok((verdict, retry.planned_wait(verdict)))
    }

    /// What was classified last came after redirects that the client followed by itself: what it proves says nothing of the requests that were redirected,
    /// one of which may have been executed.
    ///
    /// # Errors
    /// Where nothing is classified.
    pub fn followed(&mut self) -> Result<(), Misuse> {
        let State::Classified(verdict) = &mut self.state else {
            return Err(Misuse::Order(
                "followed: nothing is classified; call it after the outcome of an attempt was classified".to_owned(),
            ));
        };
        verdict.evidence = Evidence::Unknown;
        if let Some(record) = self.records.last_mut() {
            record.evidence = Evidence::Unknown;
        }
        Ok(())
    }

    /// Whether `retry_if` is to be asked about the outcome that was classified last.
    pub fn is_worth_asking(&self, replayable: bool, now: Tick) -> bool {
        let State::Classified(verdict) = self.state else { return false };
        self.retry.as_ref().is_some_and(|retry| !verdict.is_final() && retry.worth_asking(replayable, now))
    }

    /// As [`Retry::decide`], about the outcome that was classified last. A verdict is good for one decision.
    ///
    /// # Errors
    /// Where no attempt is under way, or its outcome was not classified since it was decided.
    pub fn decide(&mut self, answer: Answer, replayable: bool, now: Tick) -> Result<Decision, Misuse> {
        let retry = under_way(&mut self.retry, self.state, "decide")?;
        let number = retry.attempts();
        let refused = match self.state {
            State::Classified(verdict) => {
                let decision = retry.decide(verdict, answer, replayable, now);
                match decision {
                    Decision::Retry { wait } => {
                        (self.state, self.stop_reason) = (State::Due, None);
                        if let Some(record) = self.records.last_mut() {
                            record.wait = Some(wait);
                        }
                    }
                    Decision::Stop(reason) => (self.state, self.stop_reason) = (State::Stopped(reason), Some(reason)),
                }
                if decision == Decision::Stop(StopReason::BudgetExhausted) && refusals::OF_PROCESS.first(&self.origin, now) {
                    self.notice = Some(refusals::text(&self.origin, self.records.last()));
                }
                return Ok(decision);
            }
            State::Stopped(reason) => format!("attempt {number} is decided ({reason}); classify another outcome of it first"),
            State::Due | State::Sent => format!("attempt {number} has no outcome; classify it first"),
        };
        Err(Misuse::Order(format!("decide: {refused}")))
    }

    /// What whoever runs the program should know, in one line and once: a budget refused a retry. At most one a second and origin, with those that clients
    /// tell: ticks are taken for those of the host's clock.
    pub fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    /// Likewise, once for all calls of its [`Budgets`]: a budget that was to be the host's (`share: host`) is this process's alone.
    pub fn take_unshared(&mut self) -> Option<String> {
        self.unshared.take()
    }

    /// As [`Retry::finish`]. Nothing if the call is over.
    pub fn finish(&mut self, now: Tick) {
        if let Some(retry) = self.retry.take() {
            retry.finish(now);
        }
    }

    /// The call is abandoned: what it holds of its budget is given back. Nothing if it is over.
    pub fn abandon(&mut self) {
        if self.retry.take().is_some() && self.stop_reason.is_none() {
            self.stop_reason = Some(StopReason::Cancelled);
        }
    }

    /// As [`abandon`](Driver::abandon), of a call that observers are told of: it ends by what ended it, whatever was decided. That is its caller
    /// (`cancelled`), a callback that failed (`callback`), or a request that cannot be made (`invalid_request`). An attempt that is under way, or whose
    /// body is being read, ends now, by the same.
    pub fn give_up(&mut self, why: ErrorKind, now: Tick) {
        if self.retry.take().is_none() {
            return;
        }
        self.stop_reason = Some(StopReason::of_kind(why).unwrap_or(StopReason::NotRetryable));
        if let (State::Sent | State::Stopped(_), Some(record)) = (self.state, self.records.last_mut()) {
            (record.error, record.duration) = (Some(why), now.since(self.sent));
        }
    }

    /// The machine, until the call is over.
    pub fn retry(&self) -> Option<&Retry> {
        self.retry.as_ref()
    }

    /// The limits of an attempt that is made now; `None` if the call is over.
    pub fn limits(&self, now: Tick) -> Option<Limits> {
        let retry = self.retry.as_ref()?;
        let policy = retry.policy();
        let remaining = retry.deadline().map(|deadline| deadline.since(now));
        let clipped = |limit: Option<Duration>| limit.into_iter().chain(remaining).min();
        Some(Limits {
            connect_timeout: clipped(policy.connect_timeout()),
            per_try_timeout: clipped(policy.per_try_timeout()),
            idle_timeout: clipped(policy.idle_timeout()),
            remaining,
        })
    }

    /// The header fields that the policy puts on the attempt under way, in place of the request's own of the same name.
    pub fn headers(&self) -> Vec<(String, String)> {
        let Some(retry) = &self.retry else { return Vec::new() };
        let mut headers = retry.policy().attempt_fields(retry.attempts(), self.sent.since(self.began));
        headers.extend(self.options.minted_key.iter().map(|key| ("idempotency-key".to_owned(), key.clone())));
        headers
    }

    /// What was sent, in order.
    pub fn records(&self) -> &[AttemptRecord] {
        &self.records
    }

    /// Why nothing further was sent; `None` before that is decided.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.stop_reason
    }

    /// Whether it stopped, and the call has failed by that: with an error, or with a response that would have been retried if it could have been.
    pub fn has_failed(&self) -> bool {
        let with_error = self.records.last().is_some_and(|last| last.error.is_some() || last.error_class.is_some());
        self.stop_reason.is_some_and(|reason| reason.is_failure(with_error))
    }

    /// Since the call began.
    pub fn elapsed(&self, now: Tick) -> Duration {
        now.since(self.began)
    }

    /// The attempts as a short timeline, with the advice that fits the stop reason.
    pub fn explain(&self) -> String {
        record::explain(&self.records, self.stop_reason)
    }
}

fn live<'a>(retry: &'a mut Option<Retry>, step: &str) -> Result<&'a mut Retry, Misuse> {
    retry.as_mut().ok_or_else(|| Misuse::Order(format!("{step}: the call was finished or abandoned; begin another one")))
}

/// The machine, if an attempt was made of which something can be said.
fn under_way<'a>(retry: &'a mut Option<Retry>, state: State, step: &str) -> Result<&'a mut Retry, Misuse> {
    let retry = live(retry, step)?;
    match state {
        State::Due => Err(Misuse::Order(format!("{step}: no attempt is under way; call attempt immediately before each send"))),
        State::Sent | State::Classified(_) | State::Stopped(_) => Ok(retry),
    }
}

fn budget(policy: &Policy, budgets: Option<&Budgets>, origin: &str, now: Tick) -> Result<Option<Arc<Budget>>, Misuse> {
    let (Some(budgets), Some(spec)) = (budgets, policy.budget()) else { return Ok(None) };
    // All calls that forget it would share one budget.
    if origin.is_empty() && spec.scope == Scope::Origin {
        let rule = "be scheme and authority where budgets are kept per origin";
        return Err(Problem::must("origin", rule, &Value::from(origin)).fix("write for example \"http://127.0.0.1:8080\"").into());
    }
    budgets.find(spec, &origin_of(origin), now).map(Some).map_err(Misuse::Budget)
}

/// What is to be told of a call's budget that was to be the host's and is not.
fn unshared(budgets: Option<&Budgets>, budget: Option<&Budget>, origin: &str) -> Option<String> {
    budgets?.untold(budget?).map(|why| refusals::unshared_text(origin, why))
}

/// What the budget of a policy for an origin, named as in [`Target`], has; `None` if no call used it yet.
pub fn reading(budgets: &Budgets, policy: &Policy, origin: &str, now: Tick) -> Option<BudgetReading> {
    budgets.reading(policy.budget()?, &origin_of(origin), now)
}

/// How an attempt ended, in a host's words: a status, the code of a kind of error with its evidence, the class of a failure that is of no such
/// kind, with its evidence, whether the failure is one of this machine alone, or none of these for what `returned` without a status.
///
/// # Errors
/// Two of them or none; as [`response`]; a text that is no kind or no evidence.
pub fn outcome<'a>(
    status: Option<f64>,
    headers: &'a dyn Headers,
    error: Option<&str>,
    error_class: Option<&str>,
    evidence: &str,
    local: bool,
    returned: bool,
) -> Result<Outcome<'a>, Misuse> {
    let proof = || Evidence::from_code(evidence).ok_or_else(|| no_evidence(&Value::from(evidence)));
    match (status, error, error_class, returned) {
        (Some(status), None, None, false) => response(status, headers),
        (None, Some(kind), _, false) => {
            let kind = ErrorKind::from_code(kind).ok_or_else(|| no_error(&Value::from(kind)))?;
            Ok(Outcome::Failure { kind, evidence: proof()?, local })
        }
        (None, None, Some(_), false) => Ok(Outcome::Foreign { evidence: proof()? }),
        (None, None, None, true) => Ok(Outcome::Returned),
        (None, None, None, false) => Err(Problem::new("outcome", "must be a status or an error, got neither").into()),
        _ => Err(Problem::new("outcome", "must be a status or an error, got both").into()),
    }
}

/// A response head.
///
/// # Errors
/// A number that is no status.
pub fn response(status: f64, headers: &dyn Headers) -> Result<Outcome<'_>, Misuse> {
    if status.fract() != 0.0 || !(100.0..1000.0).contains(&status) {
        return Err(Problem::must("status", "be a whole number from 100 to 999", &Value::number(status)).into());
    }
    Ok(Outcome::Response { status: status as u16, headers })
}

/// What is no kind of error, in a host's words.
pub fn no_error(got: &Value) -> Misuse {
    Problem::one_of("error", ErrorKind::ALL.iter().map(|kind| kind.code()), got).into()
}

/// What is no evidence, in a host's words.
pub fn no_evidence(got: &Value) -> Misuse {
    Problem::one_of("evidence", Evidence::ALL.iter().map(|known| known.code()), got).into()
}
