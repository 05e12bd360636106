//! Policies that are replaced while a client runs: calls in flight keep theirs, budgets go on, and a file is followed.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use reknock::client::transport::{Failure, Incoming, Outgoing, Received, Transport};
use reknock::client::{CallOptions, Callbacks, Client, Clock, EventKind, Notice, TokioClock};
use reknock::policy::{PolicySet, Value};
use reknock::{Policy, Tick, UnixTime};
use serde_json::json;
use support::{Scripted, Step, policy};

const URL: &str = "http://server.test/";

/// A client's clock that stands still until a test moves it on; timers are real.
#[derive(Clone)]
struct Moved(Arc<AtomicU64>);

impl Default for Moved {
    fn default() -> Self {
        Moved(Arc::new(AtomicU64::new(TokioClock.now().nanos())))
    }
}

impl Moved {
    fn seconds(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1_000_000_000, Ordering::Relaxed);
    }
}

impl Clock for Moved {
    fn now(&self) -> Tick {
        Tick(self.0.load(Ordering::Relaxed))
    }
    fn wall(&self) -> UnixTime {
        TokioClock.wall()
    }
    async fn sleep_until(&self, when: Tick) {
        TokioClock.sleep_until(when).await;
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("reknock-reload-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// As editors and Kubernetes do it: another file takes the place of the one before.
    fn write(&self, text: &str) -> PathBuf {
        let (new, path) = (self.0.join("new"), self.0.join("policy.yaml"));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &path).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The client calls until what its file said is taken; each call that looks at it is a second later.
async fn until(client: &Client<Scripted, Moved>, clock: &Moved, is_so: impl Fn() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        clock.seconds(1);
        client.get(URL).send().await.unwrap();
        tokio::task::yield_now().await;
    }
    panic!("the file was not followed");
}

fn watched(path: &Path, clock: &Moved) -> Client<Scripted, Moved> {
    let set = PolicySet::watch(path, None).unwrap().with(|policy| policy.merge(&Value::from([("timeout", "9s")]))).unwrap();
    Client::on(Scripted::new([Step::status(200)])).clock(clock.clone()).policy(set).build().unwrap()
}

#[tokio::test]
async fn a_file_is_followed_and_a_broken_one_is_not() {
    let (folder, clock) = (Folder::new("followed"), Moved::default());
    let path = folder.write("max_retries: 1\n");
    let client = watched(&path, &clock);
    let retries = || client.policy().max_retries();
    folder.write("policies: {a: {max_retries: 5}}\ndefault: a\n");
    until(&client, &clock, || retries() == 5).await;
    assert_eq!(client.policy().timeout(), Some(Duration::from_secs(9)), "what was changed by hand is changed again");
    folder.write("max_retrys: 7\n");
    until(&client, &clock, || client.policy_error().is_some()).await;
    assert!(client.policy_error().unwrap().to_string().contains("max_retrys: unknown key; did you mean max_retries?"));
    assert_eq!(retries(), 5, "the broken one changes nothing");
    let told = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..2 {
        let seen = Arc::clone(&told);
        let listen = Callbacks::new().on_event(move |event| {
            if let EventKind::Notice { about, .. } = event.kind {
                seen.lock().unwrap().push((about, event.call.is_none(), event.to_string()));
            }
        });
        client.get(URL).callbacks(listen).send().await.unwrap();
    }
    let told = told.lock().unwrap().clone();
    assert!(matches!(&told[..], [(Notice::PolicyRefused, true, text)] if text.contains("max_retrys")), "{told:?}");
    std::fs::remove_file(&path).unwrap();
    until(&client, &clock, || client.policy_error().is_some_and(|error| error.to_string().contains("No such file"))).await;
    folder.write("max_retries: 2\n");
    until(&client, &clock, || retries() == 2).await;
    assert!(client.policy_error().is_none());
    client.set_policy(Policy::none()).unwrap();
    folder.write("max_retries: 3\n");
    for _ in 0..20 {
        clock.seconds(2);
        client.get(URL).send().await.unwrap();
    }
    assert_eq!(retries(), 0, "a policy given by hand is no file's");
}

/// Each of several clients that were given one set.
#[tokio::test]
async fn clients_of_one_set_follow_its_file_each() {
    let (folder, clock) = (Folder::new("shared"), Moved::default());
    let set = PolicySet::watch(folder.write("max_retries: 1\n"), None).unwrap();
    let make = || Client::on(Scripted::new([Step::status(200)])).clock(clock.clone()).policy(set.clone()).build().unwrap();
    let clients = [make(), make()];
    clients[1].set_policy(set.clone()).unwrap();
    for retries in [2, 3] {
        folder.write(&format!("max_retries: {retries}\n"));
        for client in &clients {
            // The first one has settled before the other looks.
            for _ in 0..2 {
                until(client, &clock, || client.policy().max_retries() == retries).await;
                clock.seconds(1);
                client.get(URL).send().await.unwrap();
                tokio::task::spawn_blocking(|| {}).await.unwrap();
            }
        }
    }
}

#[test]
fn a_file_is_looked_at_once_a_second() {
    // With one thread for what blocks: what it is given later it does later.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (folder, clock) = (Folder::new("seldom"), Moved::default());
        let client = watched(&folder.write("max_retries: 1\n"), &clock);
        clock.seconds(1);
        client.get(URL).send().await.unwrap();
        tokio::task::spawn_blocking(|| {}).await.unwrap();
        folder.write("max_retries: 4\n");
        for _ in 0..50 {
            client.get(URL).send().await.unwrap();
        }
        tokio::task::spawn_blocking(|| {}).await.unwrap();
        assert_eq!(client.policy().max_retries(), 1, "within the second nobody looks");
        until(&client, &clock, || client.policy().max_retries() == 4).await;
    });
}

#[tokio::test]
async fn calls_in_flight_keep_their_policy() {
    let script = Scripted::new([Step::status(503)]);
    let client = Client::on(script).policy(policy(&json!({"max_retries": 3, "backoff": "20ms"}))).build().unwrap();
    let call = client.get(URL).send();
    let change = async {
        tokio::task::yield_now().await;
        client.set_policy(Policy::none()).unwrap();
    };
    let (response, ()) = tokio::join!(call, change);
    assert_eq!(response.unwrap().attempts().len(), 4);
    assert_eq!(client.get(URL).send().await.unwrap().attempts().len(), 1);
}

#[tokio::test]
async fn a_name_with_other_parameters_is_a_fresh_purse_for_all_clients() {
    let named = |ratio: f64| policy(&json!({"budget": {"name": "reload-named", "ratio": ratio, "deposit_on": "call"}}));
    let make = |ratio: f64| Client::on(Scripted::new([Step::status(200)])).policy(named(ratio)).build();
    let (client, other) = (make(0.5).unwrap(), make(0.5).unwrap());
    let deposits = |client: &Client<Scripted>| client.budget(URL).unwrap().deposits;
    client.get(URL).send().await.unwrap();
    assert_eq!(deposits(&other), 1);
    client.set_policy(named(0.25)).unwrap();
    assert_eq!(client.policy(), named(0.25));
    assert!(make(0.5).unwrap_err().to_string().contains("reload-named"), "it is made with other parameters than the name has now");
    // Who has the parameters of before, as the other client and calls in flight, has the purse of now.
    other.get(URL).send().await.unwrap();
    client.get(URL).send().await.unwrap();
    assert_eq!((deposits(&client), deposits(&other)), (2, 2));
    other.set_policy(named(0.25)).unwrap();
    assert_eq!(deposits(&other), 2, "the same parameters are the same purse");
    make(0.25).unwrap();
}

/// What tools and people do to files, one after another.
#[cfg(unix)]
#[tokio::test]
async fn a_file_is_followed_whatever_is_done_to_it() {
    use std::os::unix::fs::symlink;

    let (folder, clock) = (Folder::new("done-to"), Moved::default());
    let version = |name: &str, text: &str| {
        std::fs::create_dir_all(folder.0.join(name)).unwrap();
        std::fs::write(folder.0.join(name).join("policy.yaml"), text).unwrap();
        // As Kubernetes swaps the versions of a ConfigMap.
        symlink(name, folder.0.join("..next")).unwrap();
        std::fs::rename(folder.0.join("..next"), folder.0.join("..data")).unwrap();
    };
    version("..1", "max_retries: 1\n");
    let path = folder.0.join("policy.yaml");
    symlink("..data/policy.yaml", &path).unwrap();
    let client = watched(&path, &clock);
    let has = |retries: u32| client.policy().max_retries() == retries;
    let refused = |text: &str| client.policy_error().is_some_and(|error| error.to_string().contains(text));
    version("..2", "max_retries: 2\n");
    until(&client, &clock, || has(2)).await;

    // Cut in the middle, then whole.
    std::fs::write(&path, "max_retries: 3\nbackoff: {base: \"1").unwrap();
    until(&client, &clock, || refused("YAML line 2")).await;
    std::fs::write(&path, "max_retries: 3\nbackoff: {base: \"100ms\"}\n").unwrap();
    until(&client, &clock, || has(3) && client.policy_error().is_none()).await;

    // Emptied before it is written: that is no policy of defaults.
    std::fs::write(&path, "").unwrap();
    until(&client, &clock, || refused("is empty")).await;
    assert!(has(3));
    std::fs::write(&path, "max_retries: 3\nbackoff: {base: \"100ms\"}\n").unwrap();
    until(&client, &clock, || client.policy_error().is_none()).await;

    // In place, twice within one tick of the file system's clock: the stamp stays.
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    std::fs::write(&path, "max_retries: 4\nbackoff: {base: \"100ms\"}\n").unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
    until(&client, &clock, || has(4)).await;

    std::fs::remove_dir_all(folder.0.join("..2")).unwrap();
    until(&client, &clock, || refused("No such file")).await;
    version("..3", &format!("max_retries: 5\n# {}\n", "x".repeat(2 << 20)));
    until(&client, &clock, || has(5) && client.policy_error().is_none()).await;
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    until(&client, &clock, || refused("directory")).await;
    assert!(has(5));
}

/// Fails every third send, and counts.
#[derive(Clone, Default)]
struct Flaky(Arc<AtomicU64>);
struct Empty;

impl Transport for Flaky {
    type Body = Empty;

    async fn send(&self, _: Outgoing) -> Result<Received<Empty>, Failure> {
        let status = if self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) { 503 } else { 200 };
        tokio::task::yield_now().await;
        let status = StatusCode::from_u16(status).unwrap();
        Ok(Received { reason: None, status, version: Version::HTTP_11, headers: HeaderMap::new(), body: Empty, length: Some(0) })
    }
}

impl Incoming for Empty {
    async fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        Ok(None)
    }
}

/// No call is lost, and no token: what was sent is what the records say, and the budget counts each call and each retry once.
#[test]
fn sixteen_threads_under_two_hundred_reloads() {
    const THREADS: u64 = 16;
    const CALLS: u64 = 10_000;
    let rules = |retries: u64| {
        let budget = json!({"ratio": 0.5, "min_per_second": 1000, "ttl": "60s", "deposit_on": "call"});
        policy(&json!({"max_retries": retries, "backoff": "none", "budget": budget, "timeout": "none"}))
    };
    let transport = Flaky::default();
    let client = Client::on(transport.clone()).policy(rules(1)).build().unwrap();
    let done = AtomicU64::new(0);
    let sends: u64 = std::thread::scope(|scope| {
        let call = || {
            let request = client.get(URL).build().unwrap();
            let response = client.send_blocking(request, &CallOptions::default(), client.callbacks().clone()).unwrap();
            done.fetch_add(1, Ordering::Relaxed);
            response.attempts().len() as u64
        };
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(move || (0..CALLS / THREADS).map(|_| call()).sum::<u64>())).collect();
        for reload in 0..200 {
            // Spread over the calls, however fast they are.
            while done.load(Ordering::Relaxed) < reload * CALLS / 200 {
                std::thread::yield_now();
            }
            client.set_policy(rules(1 + reload % 3)).unwrap();
        }
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!((done.into_inner(), transport.0.load(Ordering::Relaxed)), (CALLS, sends));
    let reading = client.budget(URL).unwrap();
    assert_eq!((reading.deposits, reading.withdrawals, reading.refusals), (CALLS, sends - CALLS, 0));
}
