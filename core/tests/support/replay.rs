//! The real transport on a scripted server, for cases whose script says what happens to each attempt.
#![allow(clippy::unwrap_used)] // a test may

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use reknock::client::transport::{Failure, Outgoing, Received, Transport};
use reknock::client::{Clock, Http2, HttpTransport, TokioClock, TransportOptions};
use reknock::{Error, Tick, UnixTime};
use reknock_test_server::Script;
use serde_json::Value as Json;

/// The real transport; tells the server of attempts that it cannot see.
#[derive(Clone)]
pub struct Watched {
    inner: HttpTransport,
    script: Arc<Script>,
    outcomes: Vec<String>,
    sends: Arc<AtomicUsize>,
}

impl Watched {
    /// `outcomes`: the script's.
    pub fn new(script: &Arc<Script>, outcomes: &Json, http2: bool) -> Result<Self, Error> {
        let mut options = TransportOptions::default();
        options.http2 = if http2 { Http2::Only } else { Http2::None };
        Ok(Watched {
            inner: HttpTransport::new(&options)?,
            script: Arc::clone(script),
            outcomes: outcomes.as_array().unwrap().iter().map(|outcome| outcome["do"].as_str().unwrap().to_owned()).collect(),
            sends: Arc::default(),
        })
    }

    /// Tells how many attempts were sent.
    pub fn sends(&self) -> impl Fn() -> usize + use<> {
        let sends = Arc::clone(&self.sends);
        move || sends.load(Ordering::SeqCst)
    }
}

impl Transport for Watched {
    type Body = <HttpTransport as Transport>::Body;

    fn send(&self, outgoing: Outgoing) -> impl Future<Output = Result<Received<Self::Body>, Failure>> + Send {
        let index = self.sends.fetch_add(1, Ordering::SeqCst).min(self.outcomes.len() - 1);
        async move {
            let result = self.inner.send(outgoing).await;
            if matches!(self.outcomes[index].as_str(), "refused" | "connect-timeout") && index + 1 < self.outcomes.len() {
                self.script.advance().await;
            }
            result
        }
    }
}

/// Real time for timers; the waits between attempts are leapt over.
#[derive(Clone, Default)]
pub struct Leaping(Arc<AtomicU64>);

impl Clock for Leaping {
    fn now(&self) -> Tick {
        Tick(TokioClock.now().nanos().saturating_add(self.0.load(Ordering::SeqCst)))
    }

    fn wall(&self) -> UnixTime {
        TokioClock.wall()
    }

    fn sleep_until(&self, when: Tick) -> impl Future<Output = ()> + Send {
        TokioClock.sleep_until(Tick(when.nanos() - self.0.load(Ordering::SeqCst).min(when.nanos())))
    }

    async fn pause_until(&self, when: Tick) {
        let wait = when.since(self.now());
        let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |leapt| Some(leapt.saturating_add(wait))).unwrap();
    }
}
