//! A plain tower stack over hyper-util's client: retries outside, a limit of requests in flight inside, where each attempt counts.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use reknock::tower::{Records, RetryLayer};
use reknock::{BoxError, PolicySet};
use tower::{ServiceBuilder, ServiceExt};

/// Puts a text somewhere. What came back, and after how many attempts.
///
/// # Errors
/// The last one, as it was.
pub async fn put(policies: impl Into<PolicySet>, url: &str, text: &str) -> Result<(u16, Bytes, usize), BoxError> {
    // hyper-util would send again by itself, and nobody would know.
    let http = Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http::<Full<Bytes>>();
    let service = ServiceBuilder::new().layer(RetryLayer::new(policies)).concurrency_limit(64).service(http);
    let request = Request::put(url).body(Full::from(text.to_owned()))?;
    let response = service.oneshot(request).await?;
    let attempts = response.extensions().get::<Records>().map_or(0, |records| records.attempts().len());
    Ok((response.status().as_u16(), response.into_body().collect().await?.to_bytes(), attempts))
}
