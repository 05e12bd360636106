//! Retries as a layer of tower, for those who keep their client: it sends, the policy decides.
//!
//! [`RetryLayer`] goes around any `Service<http::Request<B>>` that answers with an `http::Response`: hyper-util's client, tonic's `Channel`, `reqwest::Client` (in a
//! `ReqwestService`, feature `tower-reqwest`), a stack of other layers. Deadline, `per_try_timeout`, budgets, server hints, evidence and methods are those of the policy, as
//! everywhere; waits and limits are tokio's timers.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use http::{Request, Response};
//! use reknock::Policy;
//! use reknock::tower::{Records, RetryLayer};
//! use tower_layer::Layer;
//! # use std::task::{Context, Poll};
//! # #[derive(Clone)]
//! # struct Busy;
//! # impl tower_service::Service<Request<String>> for Busy {
//! #     type Response = Response<String>;
//! #     type Error = Infallible;
//! #     type Future = std::future::Ready<Result<Response<String>, Infallible>>;
//! #     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> { Poll::Ready(Ok(())) }
//! #     fn call(&mut self, _: Request<String>) -> Self::Future {
//! #         std::future::ready(Ok(Response::builder().status(503).body(String::new()).unwrap()))
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use tower_service::Service;
//! let mut service = RetryLayer::new(Policy::builder().max_retries(2).build()?).layer(Busy);
//! let response = service.call(Request::get("http://127.0.0.1/orders").body(String::new())?).await?;
//!
//! let records = response.extensions().get::<Records>().ok_or("none")?;
//! assert_eq!((response.status().as_u16(), records.attempts().len()), (503, 3));
//! println!("{}", records.explain());
//! # Ok(())
//! # }
//! ```
//!
//! - The last response comes back as it is, with [`Records`] among its extensions; a failure as a [`RetryError`], whose source is the original error.
//! - Bodies of requests: [`Cloned`] by default; [`RetryLayer::recording`] keeps what passes, up to `max_body_buffer`. Bodies of responses are handed out as they come: one that breaks is
//!   not retried here, and `timeout` ends with the head. A response that is not handed out is read first, if that is cheap (64 KiB, 50 ms).
//! - `per_try_timeout` runs from the moment the service takes the request, connecting included, and anew with each piece of a recorded body. `connect_timeout` and `idle_timeout`
//!   are the client's own business here. An attempt whose limit is over may have reached the server: evidence `unknown`.
//! - Redirects are the inner service's.
//! - What an error means is known by its type: [`KnownErrors`], and a [`Classify`] of yours before it. An error that nobody knows is retried if `retry_if` says so.
//! - gRPC: the policy's conditions (`unavailable`, `resource-exhausted`, ...) read `grpc-status` of the head, which is where a call that fails at once has it ("trailers only"). What
//!   comes in trailers after messages is the reader's. All calls are POST: say `methods: any` for what may be repeated. Streams may go both ways at once: the response is
//!   handed out while the request goes on. A `grpc-timeout` is each attempt's own, and what a channel ends by it is not retried; the policy's `timeout` limits the call.
//! - A call within an attempt of another such layer (the request carries an [`Attempt`]) makes one attempt, `nested`.
//! - Dropping the future cancels the call, in any state.
//! - With the feature `tracing` each attempt is a span, as those of [`Client`](crate::client::Client) are; the service is called within it. Calls are named by
//!   [`RetryLayer::name`], or a [`CallName`] among the request's extensions.
//!
//! Without the other features this is the machine, tokio's timers and the crates `http`, `http-body`, `tower-layer`, `tower-service`.

mod body;
mod call;
mod failure;
mod layer;
mod outcome;
#[cfg(feature = "tower-reqwest")]
mod reqwest;
mod trace;

#[cfg(feature = "tower-reqwest")]
pub use self::reqwest::ReqwestService;
pub use body::{Cloned, Mapped, Recorded, Replay, ReplayBody};
pub use failure::{Classify, Failure, KnownErrors};
pub use layer::{Attempt, Attempted, CallName, RetryFuture, RetryLayer, RetryService};
pub use outcome::{Records, RetryError};
