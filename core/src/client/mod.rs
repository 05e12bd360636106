//! The executor: sends, asks the machine, waits, sends again.

mod auth;
mod builder;
mod call;
mod clock;
mod entropy;
mod redact;
mod request;
mod reqwest;
mod response;
mod timers;
pub mod transport;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;

pub use self::reqwest::{ClientCert, Http2, Proxy, ReqwestBody, ReqwestTransport, TlsOptions, TransportOptions};
pub use builder::{ClientBuilder, IntoTransport, RequestBuilder};
pub use clock::{Clock, TokioClock};
pub use request::{Body, Request};
pub use response::Response;

use crate::error::Error;
use crate::policy::Policy;
use crate::retry::{BudgetReading, Budgets};
use crate::time::Tick;
use transport::{Incoming, Transport};

/// Sends requests under a policy.
///
/// Cheap to clone; clones share connections and budgets. May be used from any thread and any number of tasks at once, but
/// from one tokio runtime: pooled connections live where they were opened.
pub struct Client<T = ReqwestTransport, C = TokioClock>(Arc<Shared<T, C>>);

/// What the calls of one client share.
struct Shared<T, C> {
    transport: T,
    clock: C,
    policy: Policy,
    budgets: Budgets,
    headers: HeaderMap,
    max_response_size: Option<u64>,
    entropy: u64,
    serial: AtomicU64,
}

impl<T, C> Clone for Client<T, C> {
    fn clone(&self) -> Self {
        Client(Arc::clone(&self.0))
    }
}

/// The policy alone: header fields and the transport may hold secrets.
impl<T, C> fmt::Debug for Client<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("policy", &self.0.policy).finish_non_exhaustive()
    }
}

impl<T: Transport, C: Clock> Client<T, C> {
    /// Sends a request under the client's policy and reads the whole response.
    ///
    /// Dropping the future cancels the call in whatever state it is.
    ///
    /// # Errors
    /// The original failure of the last attempt, or `deadline`; with the attempts and the stop reason. A response of any
    /// status is no error.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        call::Running::send(&self.0, &self.0.policy, request).await
    }

    /// Likewise, under another policy.
    ///
    /// # Errors
    /// As [`send`](Client::send), and `config` if the policy names a budget that is in use with other parameters.
    pub async fn send_with(&self, request: Request, policy: &Policy) -> Result<Response, Error> {
        call::Running::send(&self.0, policy, request).await
    }

    /// The client's policy.
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// What the budget for `origin` (`scheme://host`, with the port if it is not the scheme's default) has under the client's
    /// policy; `None` if the policy has no budget or no call used it yet.
    pub fn budget(&self, origin: &str) -> Option<BudgetReading> {
        let spec = self.0.policy.budget()?;
        self.0.budgets.reading(spec, origin, self.0.clock.now())
    }
}

impl<T, C> Shared<T, C> {
    /// Adds what every request of this client carries, under what it brings itself.
    fn complete(&self, request: &mut Request) {
        for name in self.headers.keys() {
            if !request.headers.contains_key(name) {
                for value in self.headers.get_all(name) {
                    request.headers.append(name, value.clone());
                }
            }
        }
    }

    fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }
}

/// The most of a dropped response that is read so that its connection can be used again, and the longest that may take.
const DRAIN: (usize, Duration) = (64 * 1024, Duration::from_millis(50));

/// Reads a response that nobody wants, if that is cheap; else its connection is closed.
async fn drain(clock: &impl Clock, mut body: impl Incoming, deadline: Option<Tick>) {
    let end = clock.now().after(DRAIN.1).min(deadline.unwrap_or(Tick::MAX));
    let read = async {
        let mut left = DRAIN.0;
        while let Ok(Some(piece)) = body.frame().await {
            match left.checked_sub(piece.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    tokio::select! {
        biased;
        () = read => {}
        () = clock.sleep_until(end) => {}
    }
}
