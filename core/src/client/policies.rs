//! The policies of a client: a set that may be replaced while it runs, by hand or because its file changed. Calls in flight keep theirs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use http::HeaderMap;
use url::Position;

use super::message::request::Request;
use crate::error::Error;
use crate::policy::{Policy, PolicySet, RequestHead};
use crate::retry::{Budgets, Headers};
use crate::time::Tick;

/// What a client's calls take their policies from.
pub(super) struct Policies {
    set: ArcSwap<PolicySet>,
    /// Why the file's last change was not taken.
    error: ArcSwapOption<Error>,
    /// No observer was told of that.
    untold: AtomicBool,
}

impl Policies {
    pub(super) fn new(set: PolicySet) -> Arc<Self> {
        Arc::new(Policies { set: ArcSwap::from_pointee(own(set)), error: ArcSwapOption::empty(), untold: AtomicBool::new(false) })
    }

    pub(super) fn get(&self) -> PolicySet {
        PolicySet::clone(&self.set.load())
    }

    pub(super) fn error(&self) -> Option<Arc<Error>> {
        self.error.load_full()
    }

    /// Whether somebody should be told why the file's last change was not taken.
    pub(super) fn is_untold(&self) -> bool {
        self.untold.load(Ordering::Relaxed)
    }

    /// Why the file's last change was not taken, if nobody was told of it; from now on somebody was.
    pub(super) fn untold_error(&self) -> Option<Arc<Error>> {
        if self.untold.swap(false, Ordering::AcqRel) { self.error() } else { None }
    }

    /// # Errors
    /// `config`, and nothing is changed: a budget has to be the host's and cannot.
    pub(super) fn replace(&self, set: PolicySet, budgets: &Budgets) -> Result<(), Error> {
        budgets.replace(set.all().filter_map(Policy::budget))?;
        let set = own(set);
        // First: who sees the new set sees no error of the old one.
        self.error.store(None);
        self.set.store(Arc::new(set));
        Ok(())
    }

    /// The policies of a call that begins now. If their file was not looked at for a second, it is, on a thread for what blocks; this call and those that
    /// begin meanwhile have what there is.
    pub(super) fn at(self: &Arc<Self>, now: impl FnOnce() -> Tick, budgets: &Arc<Budgets>) -> PolicySet {
        let set = self.get();
        #[cfg(feature = "documents")]
        if set.file().is_some_and(|file| file.is_due(now()))
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (policies, budgets, before) = (Arc::clone(self), Arc::clone(budgets), set.clone());
            runtime.spawn_blocking(move || policies.refresh(&before, &budgets));
        }
        set
    }

    /// Takes what the file of `before` says now, unless somebody replaced that.
    #[cfg(feature = "documents")]
    fn refresh(&self, before: &PolicySet, budgets: &Budgets) {
        let Some(reloaded) = before.reloaded() else { return };
        let current = self.set.load();
        if !current.is(before) {
            return;
        }
        match reloaded.and_then(|set| budgets.replace(set.all().filter_map(Policy::budget)).map(|()| set)) {
            Ok(set) => {
                // First, as above. Where somebody replaced the set meanwhile, they took the error away, too.
                self.error.store(None);
                if set != **current {
                    self.set.compare_and_swap(&*current, Arc::new(set));
                }
            }
            Err(error) => {
                let is_known = self.error.load().as_ref().is_some_and(|known| known.to_string() == error.to_string());
                if !is_known {
                    self.error.store(Some(Arc::new(error)));
                    self.untold.store(true, Ordering::Release);
                }
            }
        }
    }
}

/// A set for one client alone.
fn own(set: PolicySet) -> PolicySet {
    #[cfg(feature = "documents")]
    let set = set.followed_anew();
    set
}

/// Holds the budgets that a set names, so that a clash shows before it is used.
pub(super) fn hold(set: &PolicySet, budgets: &Budgets) -> Result<(), Error> {
    set.all().filter_map(Policy::budget).try_for_each(|spec| budgets.hold(spec))
}

/// What policies and rules see of a request.
pub(super) fn head<'a>(request: &'a Request, headers: &'a dyn Headers) -> RequestHead<'a> {
    RequestHead {
        method: request.method.as_str(),
        scheme: request.url.scheme(),
        authority: request.url.authority(),
        path: &request.url[Position::BeforePath..],
        headers,
    }
}

/// A request's header fields, and under them those of its client.
pub(super) struct Completed<'a> {
    pub(super) own: &'a HeaderMap,
    pub(super) given: &'a HeaderMap,
}

impl Headers for Completed<'_> {
    fn line(&self, name: &str, index: usize) -> Option<&[u8]> {
        if self.own.contains_key(name) { self.own.line(name, index) } else { self.given.line(name, index) }
    }
}
