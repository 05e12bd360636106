//! What arrived, and when.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use serde_json::{Value, json};

/// Requests kept per script; later ones are only counted.
const MAX_ARRIVALS: usize = 100_000;

/// One request as the server saw it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Arrival {
    /// Index of the outcome that this request took, from 0.
    pub n: usize,
    /// Serial number of the connection, from 1.
    pub connection: u64,
    /// When its head had been read, in milliseconds since the script was registered.
    pub at_ms: f64,
    /// `"1.0"`, `"1.1"` or `"2"`.
    pub version: &'static str,
    /// As sent.
    pub method: String,
    /// The request target as sent: path and query, or the whole URL where a proxy is meant.
    pub target: String,
    /// In order of arrival, names as sent (lower case in HTTP/2).
    pub headers: Vec<(String, String)>,
    /// Bytes of the body read so far, without framing.
    pub body_size: u64,
    /// Hex SHA-256 of these bytes.
    pub body_sha256: String,
    /// Whether the end of the body has been read.
    pub body_complete: bool,
    /// The outcome, for example `"status 503"` or `"reset"`.
    pub did: String,
    /// The client went away before the outcome was complete.
    pub ended_early: bool,
    /// When the server noticed that, in milliseconds since the script was registered.
    pub client_gone_ms: Option<f64>,
}

impl Arrival {
    /// The first value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The form in which the control endpoint serves it.
    pub fn to_json(&self) -> Value {
        let mut value = json!({
            "n": self.n,
            "connection": self.connection,
            "at_ms": self.at_ms,
            "version": self.version,
            "method": self.method,
            "target": self.target,
            "headers": self.headers,
            "body_size": self.body_size,
            "body_sha256": self.body_sha256,
            "body_complete": self.body_complete,
            "did": self.did,
        });
        if self.ended_early {
            value["ended_early"] = true.into();
        }
        if let Some(at) = self.client_gone_ms {
            value["client_gone_ms"] = at.into();
        }
        value
    }
}

/// The log and the counters of one script.
#[derive(Debug)]
pub(crate) struct Log {
    start: Instant,
    arrivals: Mutex<Vec<Arrival>>,
    unlogged: AtomicU64,
    connections: AtomicU64,
    open: AtomicU64,
    /// How often any of it changed: who waits is told.
    changes: watch::Sender<u64>,
}

/// Where an arrival is in the log; `None` once the log is full.
pub(crate) type Entry = Option<usize>;

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            arrivals: Mutex::new(Vec::new()),
            unlogged: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
            changes: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the script was registered, to the microsecond.
    pub(crate) fn now_ms(&self) -> f64 {
        self.start.elapsed().as_micros() as f64 / 1000.0
    }

    pub(crate) fn add(&self, arrival: Arrival) -> Entry {
        let mut arrivals = self.lock();
        if arrivals.len() >= MAX_ARRIVALS {
            self.unlogged.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        arrivals.push(arrival);
        let entry = arrivals.len() - 1;
        drop(arrivals);
        self.changed();
        Some(entry)
    }

    pub(crate) fn update(&self, entry: Entry, change: impl FnOnce(&mut Arrival)) {
        let mut arrivals = self.lock();
        if let Some(arrival) = entry.and_then(|index| arrivals.get_mut(index)) {
            change(arrival);
            drop(arrivals);
            self.changed();
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// The client left before its outcome was complete.
    pub(crate) fn client_gone(&self, entry: Entry) {
        let now = self.now_ms();
        self.update(entry, |arrival| {
            arrival.ended_early = true;
            arrival.client_gone_ms.get_or_insert(now);
        });
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.lock().clone()
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Returns once this holds: it is asked now and after every change.
    pub(crate) async fn until(&self, mut holds: impl FnMut() -> bool) {
        // A change from here on is not missed.
        let mut changes = self.changes.subscribe();
        while !holds() {
            // Cannot fail: the sender is ours.
            let _ = changes.changed().await;
        }
    }

    /// Returns once there were more changes than these.
    pub(crate) async fn changed_after(&self, changes: u64) {
        let _ = self.changes.subscribe().wait_for(|now| *now > changes).await;
    }

    /// Counts an accepted connection and gives its serial number.
    pub(crate) fn connected(&self) -> u64 {
        self.open.fetch_add(1, Ordering::Relaxed);
        let serial = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        self.changed();
        serial
    }

    pub(crate) fn disconnected(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.changed();
    }

    pub(crate) fn to_json(&self) -> Value {
        // Read first: what changes meanwhile is told to who asks for what came after.
        let changes = *self.changes.borrow();
        let arrivals: Vec<Value> = self.lock().iter().map(Arrival::to_json).collect();
        json!({
            "arrivals": arrivals,
            "changes": changes,
            "connections": self.connections(),
            "open": self.open(),
            "unlogged": self.unlogged.load(Ordering::Relaxed),
        })
    }
}
