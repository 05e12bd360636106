//! Which refusals of budgets are told: the first one in a second and origin.

use std::sync::{Mutex, TryLockError};
use std::time::Duration;

use crate::record::{AttemptRecord, StopReason};
use crate::time::Tick;

/// The origins whose refusals were told within the last second.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Vec<(Box<str>, Tick)>>);

/// Those of all who count by the host's clock.
pub(crate) static OF_PROCESS: Refusals = Refusals(Mutex::new(Vec::new()));

impl Refusals {
    /// Whether nobody was told of this origin for a second; from now on somebody was.
    pub(crate) fn first(&self, origin: &str, now: Tick) -> bool {
        // In a forked child the lock may be held by a thread that is gone: who cannot have it soon is silent.
        for _ in 0..1000 {
            let mut told = match self.0.try_lock() {
                Ok(told) => told,
                Err(TryLockError::Poisoned(told)) => told.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    std::hint::spin_loop();
                    continue;
                }
            };
            // What is told for later was told by a clock that has leapt.
            told.retain(|(_, at)| *at <= now && now.since(*at) < Duration::from_secs(1));
            let first = told.iter().all(|(known, _)| **known != *origin);
            if first {
                told.push((origin.into(), now));
            }
            return first;
        }
        false
    }
}

/// What is said of a refusal, in one line.
pub(crate) fn text(origin: &str, last: Option<&AttemptRecord>) -> String {
    let ended = last.map(AttemptRecord::outcome).unwrap_or_default();
    format!("the retry budget of {origin} refused a retry after {ended}; {}", StopReason::BudgetExhausted.advice())
}

/// What is said of a budget that was to be the host's.
pub(crate) fn unshared_text(origin: &str, why: &str) -> String {
    format!("the retry budget of {origin} is this process's alone (share: host): {why}; share_required makes that an error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_a_second_and_origin() {
        let refusals = Refusals::default();
        let said: Vec<bool> = [("a", 1), ("a", 900), ("b", 900), ("a", 1001), ("a", 1500), ("a", 20), ("b", 1950)]
            .iter()
            .map(|(origin, millis)| refusals.first(origin, Tick(millis * 1_000_000)))
            .collect();
        assert_eq!(said, [true, false, true, true, false, true, true], "the sixth is of a clock that is behind");
    }
}
