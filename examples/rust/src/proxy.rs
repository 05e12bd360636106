//! An axum proxy that streams, and retries what its upstream refuses: uploads are recorded as they pass, up to the policy's `max_body_buffer`, and downloads are
//! handed on piece by piece.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reknock::PolicySet;
use reknock::tower::{Recorded, Records, ReplayBody, RetryLayer, RetryService};
use tower::{Layer, Service};

type Upstream = RetryService<Client<HttpConnector, ReplayBody<Body>>, Recorded>;

/// What all requests need.
#[derive(Clone)]
struct Proxy {
    /// Its authority, as `127.0.0.1:8080`.
    to: String,
    upstream: Upstream,
}

/// A router that hands every request on to this authority.
pub fn proxy(policies: impl Into<PolicySet>, to: &str) -> Router {
    let http = Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http();
    let upstream = RetryLayer::new(policies).recording().layer(http);
    Router::new().fallback(forward).with_state(Proxy { to: to.to_owned(), upstream })
}

async fn forward(State(mut proxy): State<Proxy>, mut request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let Ok(uri) = format!("http://{}{path}", proxy.to).parse::<Uri>() else { return StatusCode::BAD_REQUEST.into_response() };
    *request.uri_mut() = uri;
    // Of this connection, not of the next one.
    for name in [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING] {
        request.headers_mut().remove(name);
    }
    if let Err(error) = std::future::poll_fn(|context| proxy.upstream.poll_ready(context)).await {
        return (StatusCode::BAD_GATEWAY, error.to_string()).into_response();
    }
    match proxy.upstream.call(request).await {
        Ok(response) => {
            let attempts = response.extensions().get::<Records>().map_or(0, |records| records.attempts().len());
            let mut response = response.map(Body::new);
            response.headers_mut().insert("x-attempts", attempts.into());
            response
        }
        // What was tried is for the log of the proxy: `error.explain()`.
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
