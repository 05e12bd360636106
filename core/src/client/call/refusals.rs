//! Which refusals of budgets are told: the first one in a second and origin.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::time::Tick;

/// The origins whose refusals were told within the last second.
#[derive(Debug, Default)]
pub(in crate::client) struct Refusals(Mutex<Vec<(Box<str>, Tick)>>);

impl Refusals {
    /// Whether nobody was told of this origin for a second; from now on somebody was.
    pub(super) fn first(&self, origin: &str, now: Tick) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(_, at)| now.since(*at) < Duration::from_secs(1));
        let first = told.iter().all(|(known, _)| **known != *origin);
        if first {
            told.push((origin.into(), now));
        }
        first
    }
}
