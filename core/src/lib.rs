//! Retries for HTTP clients: one policy, one budget, one decision machine.
//!
//! A [`Policy`] says what a call is allowed to do; [`client::Client`] does it on tokio and hyper; every response and every error
//! tells what was sent, what was decided and why.
//!
#![cfg_attr(all(feature = "client", feature = "documents"), doc = "```no_run")]
#![cfg_attr(not(all(feature = "client", feature = "documents")), doc = "```text")]
//! # async fn run() -> Result<(), reknock::Error> {
//! use reknock::Policy;
//! use reknock::client::Client;
//!
//! let policy = Policy::from_yaml("{max_retries: 3, backoff: {base: 100ms}, timeout: 10s}")?;
//! let client = Client::builder().policy(policy).build()?;
//! let response = client.get("http://127.0.0.1:8080/").send().await?;
//! println!("{} {}", response.status(), response.explain());
//! # Ok(())
//! # }
//! ```
//!
//! # The machine alone
//!
//! Without features the crate is the decision machine: no I/O, no clock, no randomness, no allocation per call. Whoever has an HTTP
//! client of their own drives it; this is the whole loop:
//!
//! ```
//! use std::time::Duration;
//! use reknock::retry::{Answer, Budgets, Call, Decision, Outcome, Retry};
//! use reknock::{Policy, StopReason, Tick, UnixTime};
//!
//! // Stands for a clock, a wait and a server that recovers.
//! let (mut now, mut statuses) = (Tick(0), vec![200, 503, 503]);
//!
//! let policy = Policy::builder().max_retries(3).seed(1).build()?;
//! let budgets = Budgets::new();
//! let budget = policy.budget().map(|spec| budgets.find(spec, "http://host", now)).transpose()?;
//! let call = Call { method: "GET", has_idempotency_key: false, asked: false };
//! let mut retry = Retry::begin(&policy, call, budget, 0, 0, now);
//! let (status, reason) = loop {
//!     retry.attempt(now);
//!     let status = statuses.pop().unwrap_or(200); // send
//!     let headers: &[(&str, &str)] = &[("retry-after", "1")];
//!     let verdict = retry.classify(Outcome::Response { status, headers: &headers }, UnixTime(0));
//!     match retry.decide(verdict, Answer::default(), true, now) {
//!         Decision::Retry { wait } => now = now.after(wait), // sleep
//!         Decision::Stop(reason) => break (status, reason),
//!     }
//! };
//! retry.finish(now);
//! assert_eq!((status, reason), (200, StopReason::Completed));
//! assert!(now.since(Tick(0)) >= Duration::from_secs(2), "the server's hints were obeyed");
//! # Ok::<(), reknock::Error>(())
//! ```
//!
//! # Features
//!
//! - `client` (default): the executor on tokio, hyper and h2.
//! - `reqwest`: a second transport, for those who bring a `reqwest::ClientBuilder`. What it cannot show or do is listed at `client::ReqwestTransport`.
//! - `tower`: `RetryLayer`, around any service of `http` messages; with `default-features = false` on a small tree of crates. `hyper`: what failures of hyper and hyper-util mean
//!   (part of `client`); `tower-reqwest`: the same for reqwest, and its client as a service.
//! - `serde`: `Serialize` and `Deserialize` for `Policy` and `PolicySet`, as their documents have it.
//! - `http`: header fields of the crate `http` as the machine takes them (part of `client` and `tower`).
//! - `tracing`: a span of the crate `tracing` per attempt, by OpenTelemetry's stable conventions for HTTP clients, and events for retries and warnings;
//!   of calls of the client and of the layer.
//! - `documents` (default): policies from YAML, JSON and TOML.
//! - `simulate` (default): what a policy will do, in virtual time against a model of a server.

mod advice;
#[cfg(any(feature = "client", feature = "tower"))]
mod causes;
#[cfg(feature = "client")]
pub mod client;
#[doc(hidden)] // for the packages alone
pub mod command;
mod error;
#[cfg(any(feature = "client", feature = "documents"))]
mod files;
mod identity;
#[cfg(any(feature = "client", feature = "tower"))]
mod kept;
pub mod lint;
pub mod policy;
mod record;
pub mod retry;
#[cfg(feature = "client")]
mod share;
#[cfg(feature = "simulate")]
pub mod simulate;
#[cfg(feature = "system")]
mod system;
mod time;
#[cfg(feature = "tower")]
pub mod tower;

#[cfg(feature = "client")]
pub use ::{bytes, url};
/// The crates whose types stand in this one's signatures, in the versions that fit.
#[cfg(feature = "http")]
pub use ::http;
pub use error::{BoxError, Error, ErrorKind};
pub use identity::Identity;
pub use policy::{Policy, PolicySet};
pub use record::{AttemptRecord, Connection, Evidence, HttpVersion, StopReason, explain, explain_call};
pub use time::{DurationText, Measured, Tick, UnixTime, parse_duration};
