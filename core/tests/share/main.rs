//! Budgets that the processes of a host share: whole clients in processes of their own, and what keeps a process out.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, clippy::unwrap_used)] // fork

#[path = "../support/child.rs"]
mod child;
mod doors;
mod processes;

use std::path::{Path, PathBuf};

use reknock::Policy;
use reknock::client::{Client, Proxy, TransportOptions};

/// A directory of a test, which goes with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("reknock-share-{name}-{}", std::process::id()));
        std::fs::create_dir(&place).unwrap();
        Place(place)
    }

    /// Where budgets are, which is not there yet.
    fn budgets(&self) -> PathBuf {
        self.0.join("budgets")
    }

    /// The only file of the budgets.
    fn file(&self) -> PathBuf {
        let mut files: Vec<_> = std::fs::read_dir(self.budgets()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A reserve of 60 retries, and nothing else: what is spent in this test stays spent.
const SIXTY: &str = "{max_retries: 3, backoff: 0s, budget: {ratio: 0, min_per_second: 1, ttl: 60s, share: host}}";

fn client(policy: &str, directory: &Path) -> Result<Client, reknock::Error> {
    let mut options = TransportOptions::default();
    options.proxy = Proxy::None;
    Client::on(options).policy(Policy::from_yaml(policy)?).budget_dir(directory).share_required(true).build()
}
