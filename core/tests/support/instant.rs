//! A transport that answers at once, to see what the executor itself costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use reknock::Policy;
use reknock::client::transport::{Failure, Incoming, Outgoing, Received, Transport};

/// Retries at once, with a budget that never says no.
pub fn policy() -> Policy {
    Policy::from_yaml("{backoff: none, budget: {ratio: 10}}").expect("a policy")
}

/// Each call meets a 503 on all its attempts but the last of so many.
#[derive(Clone)]
pub struct Instant {
    attempts: usize,
    sent: Arc<AtomicUsize>,
}

impl Instant {
    pub fn new(attempts: usize) -> Self {
        Instant { attempts, sent: Arc::default() }
    }
}

pub struct Hello(Option<Bytes>);

impl Incoming for Hello {
    async fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        Ok(self.0.take())
    }
}

impl Transport for Instant {
    type Body = Hello;

    async fn send(&self, outgoing: Outgoing) -> Result<Received<Hello>, Failure> {
        drop(outgoing);
        let last = (self.sent.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.attempts);
        let status = if last { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let body = Hello(Some(Bytes::from_static(b"hello world")));
        Ok(Received { reason: None, status, version: Version::HTTP_11, headers: HeaderMap::new(), body, length: Some(11) })
    }
}
