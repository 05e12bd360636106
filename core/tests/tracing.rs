//! Spans and events of the feature `tracing`, as a subscriber sees them.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;
#[cfg(feature = "tower")]
use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use reknock::ErrorKind;
use reknock::client::{Callbacks, Client};
#[cfg(feature = "tower")]
use reknock::http::{Request, Response};
use serde_json::json;
use support::{Scripted, Step, policy};
#[cfg(feature = "tower")]
use tower_service::Service;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

type Fields = BTreeMap<String, String>;

/// Keeps everything under the target `reknock`.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    spans: Vec<Fields>,
    events: Vec<(String, Fields)>,
    entered: Vec<u64>,
}

struct Into<'a>(&'a mut Fields);

impl Visit for Into<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "reknock"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields::new();
        attributes.record(&mut Into(&mut fields));
        let mut seen = self.0.lock().unwrap();
        seen.spans.push(fields);
        Id::from_u64(seen.spans.len() as u64)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        values.record(&mut Into(&mut self.0.lock().unwrap().spans[id.into_u64() as usize - 1]));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Into(&mut fields));
        self.0.lock().unwrap().events.push((event.metadata().level().to_string(), fields));
    }

    fn enter(&self, id: &Id) {
        self.0.lock().unwrap().entered.push(id.into_u64());
    }

    fn exit(&self, _: &Id) {
        self.0.lock().unwrap().entered.pop();
    }
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_span_per_attempt() {
    let kept = Kept::default();
    let _guard = tracing::subscriber::set_default(kept.clone());
    let script = Scripted::new([Step::status(503), Step::fail(ErrorKind::Reset), Step::status(200)]);
    let client = Client::on(script.clone()).policy(policy(&json!({"backoff": "5ms"}))).build().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (seen, inside) = (Arc::clone(&asked), kept.clone());
    // Where a propagator puts the context of the present span into the attempt.
    let trace = Callbacks::new().before_attempt(move |_, fields| {
        let span = *inside.0.lock().unwrap().entered.last().unwrap();
        seen.lock().unwrap().push(span);
        fields.insert("traceparent", format!("span-{span}").parse().unwrap());
    });
    let response = client.get("http://server.test/orders/7?token=secret").name("/orders/{id}").callbacks(trace).send().await.unwrap();
    let id = response.call().unwrap().call_id.to_string();
    let seen = kept.0.lock().unwrap();
    let common = [
        ("otel.kind", "client"),
        ("otel.name", "GET /orders/{id}"),
        ("http.request.method", "GET"),
        ("server.address", "server.test"),
        ("server.port", "80"),
        ("url.full", "http://server.test/orders/7?token=..."),
        ("url.template", "/orders/{id}"),
        ("network.protocol.version", "1.1"),
        ("reknock.call_id", &id),
    ];
    let with = |more: &[(&str, &str)], without: &[&str]| {
        let mut all = fields(&common);
        all.extend(fields(more));
        without.iter().for_each(|name| drop(all.remove(*name)));
        all
    };
    let failed = ("otel.status_code", "ERROR");
    assert_eq!(seen.spans[0], with(&[("http.response.status_code", "503"), ("error.type", "503"), failed], &[]));
    let resent = [("http.request.resend_count", "1"), ("error.type", "reset"), failed];
    assert_eq!(seen.spans[1], with(&resent, &["network.protocol.version"]));
    assert_eq!(seen.spans[2], with(&[("http.request.resend_count", "2"), ("http.response.status_code", "200")], &[]));
    assert_eq!((seen.spans.len(), &*asked.lock().unwrap()), (3, &vec![1, 2, 3]));
    let parents: Vec<_> = script.sent().iter().map(|sent| sent.headers["traceparent"].to_str().unwrap().to_owned()).collect();
    assert_eq!(parents, ["span-1", "span-2", "span-3"]);
    let told: Vec<_> = seen.events.iter().map(|(level, fields)| (level.as_str(), fields["reknock.event"].as_str())).collect();
    assert_eq!(told, [("INFO", "retry"), ("INFO", "retry")]);
    assert!(seen.events[0].1["message"].ends_with("retry 1 in 5ms, because of 503"), "{:?}", seen.events[0]);
}

#[tokio::test(start_paused = true)]
async fn warnings() {
    let kept = Kept::default();
    let _guard = tracing::subscriber::set_default(kept.clone());
    let poor = json!({"backoff": "none", "budget": {"ratio": 0, "min_per_second": 0}});
    let client = Client::on(Scripted::new([Step::status(503)])).policy(policy(&poor)).build().unwrap();
    client.get("http://server.test/").send().await.unwrap();
    let seen = kept.0.lock().unwrap();
    let told: Vec<_> = seen.events.iter().map(|(level, fields)| (level.as_str(), fields["reknock.event"].as_str())).collect();
    assert_eq!(told, [("WARN", "notice"), ("WARN", "end")]);
    assert!(
        seen.events[1].1["message"].starts_with("GET http://server.test/: 503 Service Unavailable after 1 attempt in "),
        "{:?}",
        seen.events[1]
    );
}

/// A call that is dropped ends the span of its attempt; of an attempt that had ended it changes nothing.
#[tokio::test(start_paused = true)]
async fn dropped_calls() {
    let kept = Kept::default();
    let _guard = tracing::subscriber::set_default(kept.clone());
    let hour = Duration::from_secs(3600);
    let script = Scripted::new([Step::status(503), Step::status(200).head(hour)]);
    let client = Client::on(script).policy(policy(&json!({"backoff": "5ms", "per_try_timeout": "none"}))).build().unwrap();
    tokio::time::timeout(Duration::from_secs(1), client.get("http://server.test/").send()).await.unwrap_err();
    let seen = kept.0.lock().unwrap();
    let errors: Vec<_> = seen.spans.iter().map(|span| (span["error.type"].as_str(), span["otel.status_code"].as_str())).collect();
    assert_eq!(errors, [("503", "ERROR"), ("cancelled", "ERROR")]);
}

/// A service that answers by a function.
#[cfg(feature = "tower")]
#[derive(Clone)]
struct Answering<F>(F);

#[cfg(feature = "tower")]
impl<F, A> Service<Request<String>> for Answering<F>
where
    F: FnMut() -> A,
    A: Future<Output = Result<Response<String>, Infallible>>,
{
    type Response = Response<String>;
    type Error = Infallible;
    type Future = A;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> A {
        (self.0)()
    }
}

#[cfg(feature = "tower")]
fn status(status: u16) -> Response<String> {
    Response::builder().status(status).body(String::new()).unwrap()
}

/// What clients tell is told of the calls of the layer, and the service is called within the span of its attempt.
#[cfg(feature = "tower")]
#[tokio::test(start_paused = true)]
async fn the_layer_of_tower_too() {
    let kept = Kept::default();
    let _guard = tracing::subscriber::set_default(kept.clone());
    let called: Arc<Mutex<Vec<u64>>> = Arc::default();
    let layer = |about| reknock::tower::RetryLayer::new(policy(&about));
    let inner = |called: Arc<Mutex<Vec<u64>>>| {
        let kept = kept.clone();
        Answering(move || {
            let mut called = called.lock().unwrap();
            called.extend(kept.0.lock().unwrap().entered.last());
            std::future::ready(Ok(status(if called.len() < 3 { 503 } else { 200 })))
        })
    };
    let mut service = tower_layer::Layer::layer(&layer(json!({"backoff": "5ms"})), inner(Arc::clone(&called)));
    let request = |url: &str| Request::get(url).body(String::new()).unwrap();
    service.call(request("http://server.test/orders/7?token=secret")).await.unwrap();
    let seen = std::mem::take(&mut *kept.0.lock().unwrap());
    let common = [
        ("otel.kind", "client"),
        ("otel.name", "GET"),
        ("http.request.method", "GET"),
        ("server.address", "server.test"),
        ("server.port", "80"),
        ("url.full", "http://server.test/orders/7?token=..."),
        ("network.protocol.version", "1.1"),
        ("reknock.call_id", &seen.spans[0]["reknock.call_id"]),
    ];
    let with = |more: &[(&str, &str)]| common.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let failed = [("http.response.status_code", "503"), ("error.type", "503"), ("otel.status_code", "ERROR")];
    let resent = |count| ("http.request.resend_count", count);
    let spans: [Fields; 3] =
        [with(&failed), with(&[&failed[..], &[resent("1")]].concat()), with(&[resent("2"), ("http.response.status_code", "200")])];
    assert_eq!(seen.spans, spans);
    assert_eq!(*called.lock().unwrap(), [1, 2, 3]);
    let told: Vec<_> = seen.events.iter().map(|(level, fields)| (level.as_str(), fields["reknock.event"].as_str())).collect();
    assert_eq!(told, [("INFO", "retry"), ("INFO", "retry")]);
    assert!(seen.events[0].1["message"].ends_with("retry 1 in 5ms, because of 503"), "{:?}", seen.events[0]);

    called.lock().unwrap().clear();
    let poor = layer(json!({"backoff": "none", "budget": {"ratio": 0, "min_per_second": 0}}));
    let mut service = tower_layer::Layer::layer(&poor, inner(called));
    service.call(request("http://poor.test/")).await.unwrap();
    let seen = kept.0.lock().unwrap();
    let told: Vec<_> = seen.events.iter().map(|(level, fields)| (level.as_str(), fields["reknock.event"].as_str())).collect();
    assert_eq!(told, [("WARN", "notice"), ("WARN", "end")]);
}

/// A call of the layer that is dropped ends the span of its attempt.
#[cfg(feature = "tower")]
#[tokio::test(start_paused = true)]
async fn dropped_calls_of_the_layer() {
    let kept = Kept::default();
    let _guard = tracing::subscriber::set_default(kept.clone());
    let layer = reknock::tower::RetryLayer::new(policy(&json!({"per_try_timeout": "none"})));
    let mut service = tower_layer::Layer::layer(&layer, Answering(std::future::pending));
    let call = service.call(Request::get("http://server.test/").body(String::new()).unwrap());
    tokio::time::timeout(Duration::from_secs(1), call).await.unwrap_err();
    let seen = kept.0.lock().unwrap();
    assert_eq!(seen.spans.iter().map(|span| span["error.type"].as_str()).collect::<Vec<_>>(), ["cancelled"]);
}

/// Calls of the layer are named by it, or one by one.
#[cfg(feature = "tower")]
#[tokio::test(start_paused = true)]
async fn names_of_the_layers_calls() {
    use reknock::tower::{CallName, RetryLayer};

    let kept = Kept::default();
    let _guard = tracing::subscriber::set_default(kept.clone());
    let layer = RetryLayer::new(policy(&json!({"backoff": "none", "max_retries": 1}))).name("orders");
    let mut service = tower_layer::Layer::layer(&layer, Answering(|| std::future::ready(Ok(status(503)))));
    let request = || Request::get("http://server.test/orders/7").body(String::new()).unwrap();
    service.call(request()).await.unwrap();
    let mut own = request();
    own.extensions_mut().insert(CallName::from("/orders/{id}"));
    service.call(own).await.unwrap();
    let seen = kept.0.lock().unwrap();
    let names: Vec<_> = seen.spans.iter().map(|span| (span["otel.name"].as_str(), span["url.template"].as_str())).collect();
    let (all, one) = (("GET orders", "orders"), ("GET /orders/{id}", "/orders/{id}"));
    assert_eq!(names, [all, all, one, one]);
    let logged: Vec<_> = seen.events.iter().map(|(_, fields)| fields["reknock.name"].as_str()).collect();
    assert_eq!(logged, ["orders", "orders", "/orders/{id}", "/orders/{id}"]);
}
