//! The decision machine: values in, values out. No I/O, no clock, no randomness, no allocation.

mod backoff;
mod budget;
mod budgets;
mod condition;
mod draw;
pub mod driver;
mod hint;
mod machine;
mod matcher;
mod opinion;
mod outcome;
pub(crate) mod refusals;
mod target;

pub use backoff::{Backoff, DecorrelatedForm, Jitter};
pub use budget::{Budget, BudgetKind, BudgetReading, BudgetSpec, DepositOn, Scope, Share};
#[cfg(feature = "client")]
pub(crate) use budget::{Grant, SharedPurse, SharedPurses};
pub use budgets::{BudgetNames, Budgets};
pub use condition::{Condition, Conditions, Methods, StatusSet};
pub use draw::{draw, mix};
pub use hint::{Combine, Format, HintHeader, RetryAfter, WhenOver};
pub use machine::Retry;
pub use matcher::{HeaderMatcher, IgnoreCase, Pattern, Test};
pub use opinion::Opinion;
pub use outcome::{Answer, Attempt, Call, Decision, Headers, Outcome, Verdict};
#[cfg(feature = "client")]
pub(crate) use target::outer_retry;
