//! Closes in time what is idle, of all clients: a thread that lives as long as there is something to look after.
//!
//! A client whose calls are all blocking has no runtime that would do it, and another's runtime may stand still.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::pool::Pool;
use crate::client::system::clock::{Clock, TokioClock};
use crate::client::system::process::PerProcess;
use crate::time::Tick;

/// It calls nothing that is deep.
const STACK: usize = 128 * 1024;

/// Looks come no closer together than that, whatever the limits: many connections are closed in one go.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Watch {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    pools: Vec<Weak<Pool>>,
    thread: Option<JoinHandle<()>>,
    running: bool,
    stopped: bool,
}

static WATCH: PerProcess<Arc<Watch>> = PerProcess::new();

/// Looks after a pool's idle connections from now on, until none is left.
pub(super) fn watch(pool: &Arc<Pool>) {
    let watch = WATCH.get_or_make(Arc::default);
    let mut state = watch.lock();
    state.pools.push(Arc::downgrade(pool));
    if state.stopped {
        return;
    }
    if state.running {
        drop(state);
        return watch.wake.notify_one();
    }
    let own = Arc::clone(watch);
    // Without a thread the next call looks.
    if let Ok(thread) = Builder::new().name("reknock-idle".to_owned()).stack_size(STACK).spawn(move || own.run()) {
        state.running = true;
        state.thread = Some(thread);
    }
}

/// Ends the thread and waits for it. Idle connections are closed by the next calls alone then.
pub(crate) fn stop() {
    let Ok(watch) = WATCH.get_or_try_make(|_| Err(())) else { return };
    let mut state = watch.lock();
    state.stopped = true;
    let thread = state.thread.take();
    drop(state);
    watch.wake.notify_one();
    if let Some(thread) = thread {
        // It does not panic; and if it did, it is gone.
        let _ = thread.join();
    }
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        #[cfg(unix)]
        crate::client::system::signals::leave_to_the_host();
        let mut state = self.lock();
        loop {
            let pools: Vec<_> = std::mem::take(&mut state.pools).iter().filter_map(Weak::upgrade).collect();
            drop(state);
            let now = TokioClock.now();
            let mut next: Option<Tick> = None;
            let mut watched = Vec::new();
            for pool in pools {
                if let Some(due) = pool.sweep(now) {
                    next = Some(next.map_or(due, |next| next.min(due)));
                    watched.push(Arc::downgrade(&pool));
                }
            }
            state = self.lock();
            state.pools.append(&mut watched);
            if state.stopped || state.pools.is_empty() {
                state.running = false;
                return;
            }
            // One that came meanwhile is looked at at once.
            let wait = next.map_or(Duration::ZERO, |due| due.since(now)).max(PAUSE);
            state = self.wake.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// How many idle connections are kept, over all origins: a share of the descriptors that this process may have, which are the host's.
pub(crate) fn most() -> usize {
    const MOST: usize = 512;
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            return MOST.min(usize::try_from(limit / 4).unwrap_or(MOST));
        }
    }
    MOST
}
