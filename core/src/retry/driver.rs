//! The machine for hosts whose compiler does not see to the order of its steps: Python, Node and C.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::outcome::{Answer, Attempt, Call, Decision, Headers, Outcome, Verdict};
use super::{Budget, Budgets, Retry, Scope};
use crate::error::{Error, ErrorKind};
use crate::policy::{Policy, Problem, Value};
use crate::record::{Evidence, StopReason};
use crate::time::{Tick, UnixTime};

/// A [`Retry`] that minds the order of its steps: an attempt, its outcome (any number of times, the last one counts), the decision. After a
/// stop another outcome of the same attempt may be told, as of a body that breaks. A step that is refused changes nothing.
#[derive(Debug)]
pub struct Driver {
    /// `None` once it is over.
    retry: Option<Retry>,
    budgets: Option<Arc<Budgets>>,
    state: State,
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
    /// As [`Retry::begin`], with the budget that `budgets` have for the policy and the origin.
    ///
    /// # Errors
    /// No origin where budgets are kept per origin; a budget whose name is in use with other parameters.
    pub fn begin(
        policy: &Policy,
        call: Call<'_>,
        origin: &str,
        budgets: Option<Arc<Budgets>>,
        entropy: u64,
        now: Tick,
    ) -> Result<Self, Misuse> {
        let budget = budget(policy, budgets.as_deref(), origin, now)?;
        let retry = Retry::begin(policy, call, budget, entropy, 0, now);
        Ok(Driver { retry: Some(retry), budgets, state: State::Due })
    }

    /// As [`Retry::redirect`], with the budget of the next hop's origin.
    ///
    /// # Errors
    /// As [`Driver::begin`]; where no attempt is under way that could have been redirected.
    pub fn redirect(&mut self, call: Call<'_>, origin: &str, now: Tick) -> Result<(), Misuse> {
        let retry = under_way(&mut self.retry, self.state, "redirect")?;
        let budget = budget(retry.policy(), self.budgets.as_deref(), origin, now)?;
        retry.redirect(call, budget, now);
        self.state = State::Due;
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
                self.state = State::Sent;
                return Ok(retry.attempt(now));
            }
            State::Sent | State::Classified(_) => format!("attempt {number} is not decided; classify its outcome and decide first"),
            State::Stopped(reason) => {
                format!("it was decided to send nothing after attempt {number} ({reason}); finish the call, or redirect it")
            }
        };
        Err(Misuse::Order(format!("attempt: {refused}")))
    }

    /// As [`Retry::classify`]; and [`Retry::planned_wait`].
    ///
    /// # Errors
    /// Where no attempt is under way.
    pub fn classify(&mut self, outcome: Outcome<'_>, wall: UnixTime) -> Result<(Verdict, Option<Duration>), Misuse> {
        let retry = under_way(&mut self.retry, self.state, "classify")?;
        let verdict = retry.classify(outcome, wall);
        self.state = State::Classified(verdict);
        Ok((verdict, retry.planned_wait(verdict)))
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
                self.state = match decision {
                    Decision::Retry { .. } => State::Due,
                    Decision::Stop(reason) => State::Stopped(reason),
                };
                return Ok(decision);
            }
            State::Stopped(reason) => format!("attempt {number} is decided ({reason}); classify another outcome of it first"),
            State::Due | State::Sent => format!("attempt {number} has no outcome; classify it first"),
        };
        Err(Misuse::Order(format!("decide: {refused}")))
    }

    /// As [`Retry::finish`]. Nothing if the call is over.
    pub fn finish(&mut self, now: Tick) {
        if let Some(retry) = self.retry.take() {
            retry.finish(now);
        }
    }

    /// The call is abandoned: what it holds of its budget is given back. Nothing if it is over.
    pub fn abandon(&mut self) {
        self.retry = None;
    }

    /// The machine, until the call is over.
    pub fn retry(&self) -> Option<&Retry> {
        self.retry.as_ref()
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
    budgets.find(spec, origin, now).map(Some).map_err(Misuse::Budget)
}

/// How an attempt ended, in a host's words: a status, or the code of a kind of error with its evidence, and whether it is one of this
/// machine alone.
///
/// # Errors
/// Both or neither; as [`response`]; a text that is no kind or no evidence.
pub fn outcome<'a>(
    status: Option<f64>,
    headers: &'a dyn Headers,
    error: Option<&str>,
    evidence: &str,
    local: bool,
) -> Result<Outcome<'a>, Misuse> {
    match (status, error) {
        (Some(status), None) => response(status, headers),
        (None, Some(kind)) => {
            let kind = ErrorKind::from_code(kind).ok_or_else(|| no_error(&Value::from(kind)))?;
            let evidence = Evidence::from_code(evidence).ok_or_else(|| no_evidence(&Value::from(evidence)))?;
            Ok(Outcome::Failure { kind, evidence, local })
        }
        (Some(_), Some(_)) => Err(Problem::new("outcome", "must be a status or an error, got both").into()),
        (None, None) => Err(Problem::new("outcome", "must be a status or an error, got neither").into()),
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
