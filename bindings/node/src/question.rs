//! Questions of a call: what callbacks are shown, and what their answers mean.

use http::{HeaderMap, HeaderName, HeaderValue};
use napi::bindgen_prelude::{Array, BufferSlice, External, Null, Object, ToNapiValue, Unknown};
use napi::{Env, Result};
use reknock::ErrorKind;
use reknock::client::{Attempt, Event, EventKind, Opinion, Question, Reply, Request, delay_from_value};
use reknock::policy::Value;

use crate::error::or_throw;
use crate::head::{flat, identity, millis, record, records};
use crate::value::{UNIT, to_bytes, to_value, wrong};

/// The request that `beforeRetry` may edit; it waits here for the edits.
pub type Pending = External<std::cell::RefCell<Option<Box<Request>>>>;

/// The name of a question, what it is about, and what is sent next.
pub fn shown<'env>(env: &'env Env, question: Question) -> Result<Array<'env>> {
    let (name, about, request) = match question {
        Question::BeforeAttempt(start) => {
            let mut array = env.create_array(2)?;
            array.set(0, "beforeAttempt")?;
            array.set(1, event(env, &start)?)?;
            return Ok(array);
        }
        Question::RetryIf(about) => ("retryIf", about, None),
        Question::Delay(about) => ("delay", about, None),
        Question::BeforeRetry(about, request) => ("beforeRetry", about, Some(request)),
        _ => return Err(wrong("an unknown question")),
    };
    let mut array = env.create_array(3)?;
    array.set(0, name)?;
    array.set(1, attempt(env, &about)?)?;
    if let Some(request) = request {
        let mut object = Object::new(env)?;
        object.set("method", request.method())?;
        object.set("url", request.url().as_str())?;
        object.set("headers", flat(env, request.headers())?)?;
        object.set("pending", Pending::new(std::cell::RefCell::new(Some(request))))?;
        array.set(2, object)?;
    }
    Ok(array)
}

fn attempt<'env>(env: &'env Env, about: &Attempt) -> Result<Object<'env>> {
    let mut object = Object::new(env)?;
    object.set("call", identity(env, &about.call)?)?;
    object.set("number", about.number)?;
    object.set("retriesLeft", about.retries_left)?;
    object.set("method", about.method.as_str())?;
    object.set("url", about.url.as_str())?;
    object.set("requestHeaders", flat(env, &about.request_headers)?)?;
    object.set("elapsedMs", millis(about.elapsed))?;
    object.set("status", about.status)?;
    object.set("headers", flat(env, &about.headers)?)?;
    match &about.body {
        Some(body) => object.set("body", BufferSlice::copy_from(env, body)?)?,
        None => object.set("body", Null)?,
    }
    object.set("error", about.error.map(ErrorKind::code))?;
    object.set("message", about.message.as_deref())?;
    object.set("evidence", about.evidence.code())?;
    object.set("hintMs", about.hint.map(millis))?;
    object.set("verdict", about.verdict)?;
    object.set("plannedWaitMs", about.planned_wait.map(millis))?;
    Ok(object)
}

/// What observers are told: what there is depends on its kind.
pub fn event<'env>(env: &'env Env, event: &Event) -> Result<Object<'env>> {
    let mut object = Object::new(env)?;
    object.set("kind", event.kind.code())?;
    object.set("level", event.level().code())?;
    object.set("text", event.to_string())?;
    match &event.call {
        Some(call) => object.set("call", identity(env, call)?)?,
        None => object.set("call", Null)?,
    }
    if let Some(about) = event.kind.attempt() {
        object.set("attempt", record(env, about)?)?;
    }
    if let Some(target) = event.kind.target() {
        object.set("target", target)?;
    }
    match &event.kind {
        EventKind::AttemptStart { method, .. } => object.set("method", method)?,
        EventKind::Interim { number, status } => {
            object.set("number", *number)?;
            object.set("status", *status)?;
        }
        EventKind::Retry { reason, .. } => object.set("reason", reason)?,
        EventKind::Notice { about, .. } => object.set("reason", about.code())?,
        EventKind::End { attempts, stop_reason, elapsed, failed, .. } => {
            object.set("attempts", records(env, attempts)?)?;
            object.set("stopReason", stop_reason.code())?;
            object.set("elapsedMs", millis(*elapsed))?;
            object.set("failed", *failed)?;
        }
        _ => {}
    }
    Ok(object)
}

/// What the answer to a question means.
pub fn reply(env: &Env, question: &str, answer: Unknown<'_>) -> Result<Reply> {
    let value = to_value(answer)?;
    Ok(match question {
        "retryIf" => Reply::Opinion(or_throw(env, Opinion::from_value(&value, UNIT))?),
        "beforeAttempt" => Reply::Fields(fields(&value)?),
        "delay" => Reply::Delay(or_throw(env, delay_from_value(&value, UNIT))?),
        _ => return Err(wrong("an unknown question")),
    })
}

/// The header fields that `beforeAttempt` gave, as an object of texts; null for none.
fn fields(given: &Value) -> Result<HeaderMap> {
    let mut fields = HeaderMap::new();
    let given = match given {
        Value::Map(given) => given.as_slice(),
        Value::Null => &[],
        _ => return Err(wrong("beforeAttempt: must return an object of header fields, or nothing")),
    };
    for (name, value) in given {
        let Value::Str(text) = value else { return Err(wrong("beforeAttempt: a value must be a text")) };
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(text)) {
            (Ok(name), Ok(value)) => fields.insert(name, value),
            _ => return Err(wrong("beforeAttempt: a header field that is none")),
        };
    }
    Ok(fields)
}

/// The request with its edits: null is none.
pub fn edited(env: &Env, pending: &Pending, url: Option<String>, headers: Option<Vec<String>>, body: Option<Unknown<'_>>) -> Result<Reply> {
    let Some(mut request) = pending.take() else { return Err(wrong("the request has been sent")) };
    if let Some(lines) = headers {
        let names: Vec<String> = request.headers().keys().map(|name| name.as_str().to_owned()).collect();
        names.iter().for_each(|name| request.remove_header(name));
        append(env, &mut request, &lines)?;
    }
    // After the fields: those that came in the URL before do not go to another origin.
    if let Some(url) = url {
        or_throw(env, request.set_url(&url))?;
    }
    if let Some(body) = body {
        request.set_body(to_bytes(body)?.ok_or_else(|| wrong("a body must be text or bytes"))?);
    }
    Ok(Reply::Request(request))
}

/// Adds header lines: names and values in turn. Values go out as Latin-1, as those of fetch do.
pub fn append(env: &Env, request: &mut Request, lines: &[String]) -> Result<()> {
    for line in lines.chunks_exact(2) {
        let value: Option<Vec<u8>> = line[1].chars().map(|letter| u8::try_from(letter).ok()).collect();
        // lib/input.js has refused others.
        let value = value.ok_or_else(|| wrong("headers: a value holds characters above U+00FF"))?;
        or_throw(env, request.append_header_bytes(&line[0], &value))?;
    }
    Ok(())
}

/// The values of an array that holds what differs in kind.
pub fn listed<'env>(env: &'env Env, events: &[Event]) -> Result<Unknown<'env>> {
    let mut array = env.create_array(events.len() as u32)?;
    for (index, told) in events.iter().enumerate() {
        array.set(index as u32, event(env, told)?)?;
    }
    array.into_unknown(env)
}
