//! What the tests share: vectors, policies from JSON, a transport that follows a script in virtual time.
#![allow(dead_code)] // each test binary uses its part
#![allow(clippy::unwrap_used)] // a test may

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use reknock::client::transport::{Failure, Incoming, Outgoing, OutgoingBody, Received, Transport};
use reknock::client::{Clock, TokioClock};
use reknock::policy::Value;
use reknock::{ErrorKind, Evidence, Policy, Tick};
use serde_json::Value as Json;

/// A file of tests/vectors.
pub fn vector(name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Guards against a runner that passes because it ran nothing.
pub fn counted(ran: usize, expected: usize) {
    assert_eq!(ran, expected, "the number of cases that ran; correct it if cases were added");
    println!("{ran} cases");
}

/// JSON as the neutral value that bindings fill.
pub fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap()), Value::Int),
        Json::String(text) => Value::Str(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        Json::Object(entries) => Value::map(entries.iter().map(|(key, item)| (key.as_str(), value(item)))),
    }
}

/// The policy of a JSON document.
pub fn policy(document: &Json) -> Policy {
    Policy::from_value(&value(document)).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// A policy whose only rule of interest is a concurrency budget.
pub fn concurrency_policy(percent: u64, min: u32) -> Policy {
    policy(&serde_json::json!({"budget": {"kind": "concurrency", "percent": percent, "min": min}}))
}

/// What a scripted attempt does. Times run on tokio's clock.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Time in the connector.
    pub connect: Duration,
    /// Fails in the connector after that time.
    pub refuse: Option<ErrorKind>,
    /// Time between two of the ten pieces of the upload; zero hands it over at once.
    pub upload_piece: Duration,
    /// Time from the end of the upload to the head (or the failure).
    pub head: Duration,
    /// The head, or how it fails after the request was sent.
    pub status: u16,
    pub fail: Option<ErrorKind>,
    pub headers: Vec<(&'static str, String)>,
    /// The body, piece by piece: time before it, and its size; `None` cuts the body.
    pub body: Vec<(Duration, Option<usize>)>,
    /// The content-length, if it is announced.
    pub length: Option<u64>,
}

impl Step {
    pub fn status(status: u16) -> Self {
        Step { status, ..Step::default() }
    }

    pub fn fail(kind: ErrorKind) -> Self {
        Step { fail: Some(kind), ..Step::default() }
    }

    pub fn refuse(kind: ErrorKind) -> Self {
        Step { refuse: Some(kind), ..Step::default() }
    }

    pub fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub fn head(mut self, after: Duration) -> Self {
        self.head = after;
        self
    }

    pub fn body(mut self, pieces: impl IntoIterator<Item = (Duration, Option<usize>)>) -> Self {
        self.body = pieces.into_iter().collect();
        self
    }
}

/// One send as the transport saw it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at: Tick,
    pub method: String,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A transport that follows a script; the last step repeats.
#[derive(Clone, Default)]
pub struct Scripted {
    steps: Arc<Mutex<VecDeque<Step>>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Scripted {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Scripted { steps: Arc::new(Mutex::new(steps.into_iter().collect())), sent: Arc::default() }
    }

    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    fn next(&self) -> Step {
        let mut steps = self.steps.lock().unwrap();
        if steps.len() > 1 { steps.pop_front() } else { steps.front().cloned() }.unwrap_or_else(|| Step::status(200))
    }
}

pub struct ScriptedBody {
    pieces: VecDeque<(Duration, Option<usize>)>,
}

impl Transport for Scripted {
    type Body = ScriptedBody;

    async fn send(&self, outgoing: Outgoing) -> Result<Received<ScriptedBody>, Failure> {
        let step = self.next();
        let clock = TokioClock;
        let Outgoing { method, url, headers, body, connect_timeout, progress } = outgoing;
        let body = match body {
            OutgoingBody::Bytes(body) => body,
            OutgoingBody::Stream { mut stream, .. } => {
                let mut all = Vec::new();
                while let Some(piece) = stream.next().await {
                    let failed =
                        |error| Failure { source: Some(error), ..Failure::new(ErrorKind::Callback, Evidence::Unknown, "scripted source") };
                    all.extend_from_slice(&piece.map_err(failed)?);
                }
                all.into()
            }
            _ => panic!("an unknown kind of body"),
        };
        let began = clock.now();
        if !step.connect.is_zero() || step.refuse.is_some() {
            progress.connect_began(began);
            let limit = connect_timeout.unwrap_or(Duration::MAX);
            tokio::time::sleep(step.connect.min(limit)).await;
            progress.connect_ended(clock.now());
            if step.connect > limit {
                return Err(Failure::new(ErrorKind::ConnectTimeout, Evidence::NotSent, "scripted connect timeout"));
            }
            if let Some(kind) = step.refuse {
                return Err(Failure::new(kind, Evidence::NotSent, "scripted refusal"));
            }
        }
        self.sent.lock().unwrap().push(Sent { at: began, method: method.to_string(), url: url.to_string(), headers, body: body.clone() });
        progress.touch(clock.now());
        if !step.upload_piece.is_zero() {
            for _ in 0..10 {
                tokio::time::sleep(step.upload_piece).await;
                progress.touch(clock.now());
            }
        }
        progress.uploaded(clock.now());
        tokio::time::sleep(step.head).await;
        if let Some(kind) = step.fail {
            let evidence = if kind == ErrorKind::RefusedStream { Evidence::Refused } else { Evidence::Unknown };
            return Err(Failure::new(kind, evidence, format!("scripted {kind}")));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &step.headers {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let status = StatusCode::from_u16(step.status).unwrap();
        let body = ScriptedBody { pieces: step.body.into() };
        Ok(Received { reason: None, status, version: Version::HTTP_11, headers, body, length: step.length })
    }
}

impl Incoming for ScriptedBody {
    async fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        // The piece is taken only once its time has come: who stops waiting for it has not lost it.
        let Some((after, piece)) = self.pieces.front().copied() else { return Ok(None) };
        tokio::time::sleep(after).await;
        self.pieces.pop_front();
        match piece {
            Some(size) => Ok(Some(Bytes::from(vec![b'x'; size]))),
            None => Err(Failure::new(ErrorKind::Body, Evidence::Unknown, "scripted cut")),
        }
    }
}
