//! The gates of all origins, one for each runtime: a connection is driven by a task, and that belongs to a runtime.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use url::Url;

use super::gate::Gate;
use crate::client::transport::Failure;
use crate::client::transport::http::origin::Origin;
use crate::time::Tick;

/// What there is to one origin: a gate per runtime.
struct Entry {
    origin: Arc<Origin>,
    gates: Vec<(Id, Arc<Gate>)>,
}

type All = BTreeMap<Box<str>, Entry>;

/// The gates of one client.
pub(in crate::client::transport::http) struct Gates {
    all: Mutex<All>,
    /// Every origin is taken to speak HTTP/2.
    known: bool,
    connections: Arc<AtomicUsize>,
}

/// Counts a connection while it is open.
pub(in crate::client::transport::http) struct Counted(Arc<AtomicUsize>);

impl Gates {
    pub(in crate::client::transport::http) fn new(known: bool) -> Self {
        Gates { all: Mutex::default(), known, connections: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gate to a URL's origin in this runtime.
    ///
    /// # Errors
    /// `invalid_request` for a URL that leads nowhere.
    pub(in crate::client::transport::http) fn of(&self, url: &Url) -> Result<(Arc<Origin>, Arc<Gate>), Failure> {
        let here = Handle::current().id();
        let mut all = self.lock();
        let entry = match all.get_mut(Origin::name(url)) {
            Some(entry) => entry,
            None => {
                let origin = Origin::of(url)?;
                all.entry(origin.name.clone()).or_insert(Entry { origin, gates: Vec::new() })
            }
        };
        let origin = Arc::clone(&entry.origin);
        if let Some((_, gate)) = entry.gates.iter().find(|(home, _)| *home == here) {
            return Ok((origin, Arc::clone(gate)));
        }
        entry.gates.retain(|(_, gate)| gate.is_used());
        let gate = Gate::new(self.known);
        entry.gates.push((here, Arc::clone(&gate)));
        Ok((origin, gate))
    }

    /// Whether any connection is open.
    pub(in crate::client::transport::http) fn are_open(&self) -> bool {
        self.connections.load(Ordering::Acquire) > 0
    }

    /// One more is open as long as this lives.
    pub(in crate::client::transport::http) fn count(&self) -> Counted {
        self.connections.fetch_add(1, Ordering::AcqRel);
        Counted(Arc::clone(&self.connections))
    }

    /// Lets go of what has been idle for `age`. When to look again; `None` if no connection is left.
    pub(in crate::client::transport::http) fn sweep(&self, now: Tick, age: Duration) -> Option<Tick> {
        let gates: Vec<_> = self.lock().values().flat_map(|entry| &entry.gates).map(|(_, gate)| Arc::clone(gate)).collect();
        let oldest = Tick(now.nanos().saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)));
        let next = gates.iter().filter_map(|gate| gate.sweep(oldest)).min();
        drop(gates);
        self.lock().retain(|_, entry| {
            entry.gates.retain(|(_, gate)| gate.is_used() || Arc::strong_count(gate) > 1);
            !entry.gates.is_empty()
        });
        match next {
            Some(since) => Some(since.after(age)),
            None => self.are_open().then(|| now.after(age)),
        }
    }

    /// Lets go of one that nobody uses, to this origin or to any, so that its descriptor comes free. False if there is none.
    pub(in crate::client::transport::http) fn give_up_one(&self, origin: Option<&str>) -> bool {
        let all = self.lock();
        let entries = all.iter().filter(|(name, _)| origin.is_none_or(|origin| &***name == origin));
        let gates: Vec<_> = entries.flat_map(|(_, entry)| &entry.gates).map(|(_, gate)| Arc::clone(gate)).collect();
        drop(all);
        gates.into_iter().any(|gate| gate.give_up_one())
    }

    /// Lets go of those to a URL's origin: they end with the requests that are on them.
    pub(in crate::client::transport::http) fn forget(&self, url: &Url) {
        let gates = self
            .lock()
            .get(Origin::name(url))
            .map_or_else(Vec::new, |entry| entry.gates.iter().map(|(_, gate)| Arc::clone(gate)).collect());
        gates.iter().for_each(|gate| gate.forget());
    }

    /// Lets go of all that nobody uses.
    pub(in crate::client::transport::http) fn clear(&self) {
        while self.give_up_one(None) {}
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
