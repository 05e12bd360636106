//! The calls that wait for a connection, or for leave to open one: they are served in the order in which they came.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Entry, Granted, Limits, Pool, State};
use crate::client::transport::http::origin::Origin;

/// A call's place in the queue, which goes with the call: what came meanwhile is for the next one.
pub(super) struct Waiting {
    pub(super) pool: Arc<Pool>,
    pub(super) origin: Arc<Origin>,
    pub(super) number: u64,
    pub(super) granted: oneshot::Receiver<Granted>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        if state.origins.get_mut(&self.origin.name).is_some_and(|entry| entry.waiting.remove(&self.number).is_some()) {
            state.waiting -= 1;
            state.count(&self.origin, 0);
        }
        drop(state);
        self.granted.close();
        if let Ok(Granted { kept: Some(kept), lease }) = self.granted.try_recv() {
            lease.keep(kept);
        }
    }
}

impl State {
    /// The last place: its number, and where what it waits for comes.
    pub(super) fn queue(&mut self, origin: &Origin) -> (u64, oneshot::Receiver<Granted>) {
        let (call, granted) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.waiting += 1;
        if let Some(entry) = self.origins.get_mut(&origin.name) {
            entry.waiting.insert(number, call);
        }
        (number, granted)
    }

    /// Where the call leads whose turn it is when `origin` has a place to give: the one that has waited for longest, of all that could use it. So
    /// an origin that always has calls waiting holds up no other.
    pub(super) fn next_origin(&self, origin: &Origin, limits: &Limits) -> Option<&Arc<Origin>> {
        if self.waiting == 0 {
            return None;
        }
        let may = |entry: &&Entry| entry.origin.name == origin.name || entry.open < limits.open_per_origin;
        let firsts = self.origins.values().filter(may).filter_map(|entry| Some((*entry.waiting.keys().next()?, &entry.origin)));
        Some(firsts.min_by_key(|(number, _)| *number)?.1)
    }

    /// The call whose turn it is then.
    pub(super) fn next_waiting(&mut self, origin: &Origin, limits: &Limits) -> Option<(Arc<Origin>, oneshot::Sender<Granted>)> {
        let chosen = Arc::clone(self.next_origin(origin, limits)?);
        let (_, call) = self.origins.get_mut(&chosen.name)?.waiting.pop_first()?;
        self.waiting -= 1;
        Some((chosen, call))
    }
}
