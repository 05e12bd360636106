//! The budgets of a process: those that have names are all of its clients', those of `share: host` all processes'.

use std::path::PathBuf;
use std::sync::Arc;

use super::system::clock::host_now;
use super::system::environment;
use super::system::process::PerProcess;
use crate::retry::{BudgetNames, Budgets};
use crate::share;

/// Budgets that share those with names with all clients of the process, and those of `share: host` with all processes (see
/// [`ClientBuilder::budget_dir`](super::ClientBuilder::budget_dir)): for [`ClientBuilder::budgets`](super::ClientBuilder::budgets) and for
/// those who drive the machine.
pub fn process_budgets() -> Budgets {
    budgets_at(None, false)
}

/// Likewise, where the host's are in this directory, or have to be had.
pub(super) fn budgets_at(directory: Option<PathBuf>, required: bool) -> Budgets {
    let directory = directory.or_else(|| environment::path("REKNOCK_BUDGET_DIR"));
    Budgets::of_host(Arc::clone(process_names()), Some(Box::new(share::Host::new(directory, required, host_now))))
}

/// The names of budgets that all clients of the process share.
pub(super) fn process_names() -> &'static Arc<BudgetNames> {
    static NAMES: PerProcess<Arc<BudgetNames>> = PerProcess::new();
    NAMES.get_or_make(Arc::default)
}
