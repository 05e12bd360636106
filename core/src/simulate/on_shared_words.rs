//! The simulator's processes on the words that real ones share: each has a mapping of the file, budgets and machines of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::measure::Measure;
use super::scenario::Scenario;
use super::world;
use crate::policy::Policy;
use crate::retry::{Budget, BudgetKind, BudgetReading, Budgets, Grant, Share, SharedPurse, SharedPurses};
use crate::share::Host;
use crate::time::Tick;

/// What a host's clock shows: the simulator's time.
static NOW: AtomicU64 = AtomicU64::new(0);

fn clock() -> Tick {
    Tick(NOW.load(Ordering::Relaxed))
}

/// A process's way to the host's purses, on the simulator's clock.
#[derive(Debug)]
struct Process(Host);

struct Purse(Box<dyn SharedPurse>);

impl SharedPurses for Process {
    fn purse(&self, text: &str, kind: &BudgetKind) -> Result<Box<dyn SharedPurse>, String> {
        Ok(Box::new(Purse(self.0.purse(text, kind)?)))
    }

    fn required(&self) -> bool {
        self.0.required()
    }

    fn check(&self) -> Result<(), String> {
        self.0.check()
    }
}

impl Purse {
    fn at(&self, now: Tick) -> &dyn SharedPurse {
        NOW.store(now.0, Ordering::Relaxed);
        &*self.0
    }
}

impl SharedPurse for Purse {
    fn deposit(&self, now: Tick) {
        self.at(now).deposit(now);
    }

    fn withdraw(&self, now: Tick) -> Option<Grant> {
        self.at(now).withdraw(now)
    }

    fn refund(&self, grant: Grant, now: Tick) {
        self.at(now).refund(grant, now);
    }

    fn reading(&self, now: Tick) -> BudgetReading {
        self.at(now).reading(now)
    }

    fn is_idle(&self, now: Tick) -> bool {
        self.at(now).is_idle(now)
    }

    fn is_lost(&self) -> bool {
        self.0.is_lost()
    }
}

fn scenario(processes: u64) -> Scenario {
    Scenario::from_text(&format!(r#"{{"preset": "spike", "processes": {processes}}}"#)).expect("a scenario")
}

/// Each process has a purse of the file in this directory.
fn on_file(policy: &Policy, processes: u64, seed: u64, directory: &Path) -> Measure {
    let scenario = Scenario { share: Some(Share::Process), ..scenario(processes) };
    let spec = policy.budget().expect("a budget");
    let mut all = Vec::new();
    world::run_on(policy, &scenario, seed, |_| {
        let process = Process(Host::new(Some(directory.to_owned()), true, clock));
        all.push(Budgets::of_host(Arc::default(), Some(Box::new(process))));
        all.last().map(|budgets| budgets.find(spec, "http://up", clock())).expect("pushed").expect("the host's purse")
    })
}

/// All have the one that the simulator keeps for a host.
fn on_model(policy: &Policy, processes: u64, seed: u64) -> Measure {
    world::run_on(policy, &scenario(processes), seed, |kind| Arc::new(Budget::new(kind)))
}

/// A spike, survived: not nearly as one purse would have it, but retry for retry.
#[test]
fn any_number_of_processes_is_one_purse() {
    let document = "{timeout: none, per_try_timeout: 3s, retry_on: [per-try-timeout], backoff: {base: 50ms},
        budget: {ratio: 0.2, min_per_second: 1, deposit_on: call, share: host}}";
    let policy = Policy::from_yaml(document).expect("a policy");
    for processes in [1, 4, 16, 64, 256] {
        for seed in 0..2 {
            let directory = std::env::temp_dir().join(format!("reknock-words-{}-{processes}-{seed}", std::process::id()));
            let (file, model) = (on_file(&policy, processes, seed, &directory), on_model(&policy, processes, seed));
            std::fs::remove_dir_all(&directory).expect("the file's directory");
            let told = |run: &Measure| (run.attempts.clone(), run.good.clone(), run.refusals, run.by_retries.clone(), run.recovery());
            assert_eq!(told(&file), told(&model), "{processes} processes, seed {seed}");
            assert!(file.refusals > 0 && file.recovery().flatten().is_some(), "{processes} processes, seed {seed}");
            // The simulator adds up what it takes for purses of many.
            let one: Vec<i64> = file.balance.iter().map(|balance| balance / processes as i64).collect();
            assert_eq!(one, model.balance, "{processes} processes, seed {seed}");
        }
    }
}
