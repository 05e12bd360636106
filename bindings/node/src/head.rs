//! The head of a response, read as it is asked for, and what was sent, attempt by attempt. Times are milliseconds.

use std::time::Duration;

use http::HeaderMap;
use napi::bindgen_prelude::{Array, External, Object};
use napi::{Env, Result};
use napi_derive::napi;
use reknock::client::ResponseHead;
use reknock::{AttemptRecord, ErrorKind, HttpVersion, Identity};

pub type Head = External<ResponseHead>;

/// What the garbage collector is told that a head weighs, in bytes.
const WEIGHT: usize = 1024;

pub fn head(head: ResponseHead) -> Head {
    External::new_with_size_hint(head, WEIGHT)
}

pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Names and values in turn, one pair per line. Bytes are characters, as in fetch: a value is what Headers takes.
pub fn flat<'env>(env: &'env Env, headers: &HeaderMap) -> Result<Array<'env>> {
    let mut lines = env.create_array((headers.len() * 2) as u32)?;
    for (index, (name, value)) in headers.iter().enumerate() {
        lines.set(index as u32 * 2, name.as_str())?;
        lines.set(index as u32 * 2 + 1, env.create_string_latin1(value)?)?;
    }
    Ok(lines)
}

/// `1.1`, as Node's own clients have it.
fn version(version: HttpVersion) -> &'static str {
    version.code().trim_start_matches("HTTP/")
}

pub fn record<'env>(env: &'env Env, record: &AttemptRecord) -> Result<Object<'env>> {
    let mut object = Object::new(env)?;
    object.set("number", record.number)?;
    object.set("hop", record.hop)?;
    object.set("startMs", millis(record.start))?;
    object.set("durationMs", millis(record.duration))?;
    object.set("status", record.status)?;
    object.set("error", record.error.map(ErrorKind::code))?;
    object.set("evidence", record.evidence.code())?;
    object.set("hintMs", record.hint.map(millis))?;
    object.set("waitMs", record.wait.map(millis))?;
    object.set("errorClass", record.error_class.as_deref())?;
    object.set("errorType", record.error_type().as_deref())?;
    object.set("outerRetry", record.outer_retry)?;
    object.set("firstByteMs", record.first_byte.map(millis))?;
    object.set("resends", record.resends)?;
    object.set("interim", record.interim)?;
    let connection = &record.connection;
    object.set("reused", connection.reused)?;
    object.set("peer", connection.peer.map(|peer| peer.to_string()))?;
    object.set("httpVersion", connection.version.map(version))?;
    object.set("resolveMs", connection.resolve.map(millis))?;
    object.set("connectMs", connection.connect.map(millis))?;
    object.set("tlsMs", connection.tls.map(millis))?;
    object.set("waitedMs", connection.waited.map(millis))?;
    Ok(object)
}

/// Whose call something is about.
pub fn identity<'env>(env: &'env Env, call: &Identity) -> Result<Object<'env>> {
    let mut object = Object::new(env)?;
    object.set("callId", call.call_id as f64)?;
    object.set("method", call.method.as_str())?;
    object.set("url", call.url.as_str())?;
    object.set("origin", call.origin.as_str())?;
    object.set("name", call.name.as_deref())?;
    Ok(object)
}

pub fn records<'env>(env: &'env Env, attempts: &[AttemptRecord]) -> Result<Array<'env>> {
    let mut array = env.create_array(attempts.len() as u32)?;
    for (index, attempt) in attempts.iter().enumerate() {
        array.set(index as u32, record(env, attempt)?)?;
    }
    Ok(array)
}

/// Whose call it answers.
#[napi(catch_unwind)]
pub fn head_call<'env>(env: &'env Env, head: &Head) -> Result<Option<Object<'env>>> {
    head.call().map(|call| identity(env, &call)).transpose()
}

/// Names and values in turn.
#[napi(catch_unwind)]
pub fn head_headers<'env>(env: &'env Env, head: &Head) -> Result<Array<'env>> {
    flat(env, head.headers())
}

/// What was sent, in order.
#[napi(catch_unwind)]
pub fn head_attempts<'env>(env: &'env Env, head: &Head) -> Result<Array<'env>> {
    records(env, head.attempts())
}

/// How many attempts were made.
#[napi(catch_unwind)]
pub fn head_attempt_count(head: &Head) -> u32 {
    head.attempts().len() as u32
}

/// The URL of the last attempt, after redirects.
#[napi(catch_unwind)]
pub fn head_url(head: &Head) -> &str {
    head.url().as_str()
}

/// Whether a redirect was followed.
#[napi(catch_unwind)]
pub fn head_redirected(head: &Head) -> bool {
    head.attempts().last().is_some_and(|attempt| attempt.hop > 0)
}

/// Whether it is a redirect whose location leads nowhere.
#[napi(catch_unwind)]
pub fn head_leads_nowhere(head: &Head) -> bool {
    head.leads_nowhere()
}

/// The words that came with the status.
#[napi(catch_unwind)]
pub fn head_status_text(head: &Head) -> &str {
    head.reason()
}

/// One line that says what is wrong, unless the status is 200-299.
#[napi(catch_unwind)]
pub fn head_problem(head: &Head) -> Option<String> {
    head.status_problem()
}

/// The protocol version.
#[napi(catch_unwind)]
pub fn head_version(head: &Head) -> &'static str {
    version(head.version().into())
}

/// From the start of the call to the last byte of a buffered body, or to the head of a streamed one.
#[napi(catch_unwind)]
pub fn head_elapsed(head: &Head) -> f64 {
    millis(head.elapsed())
}

/// Why nothing further was sent.
#[napi(catch_unwind)]
pub fn head_stop_reason(head: &Head) -> &'static str {
    head.stop_reason().code()
}

/// The attempts as a short timeline.
#[napi(catch_unwind)]
pub fn head_explain(head: &Head) -> String {
    head.explain()
}
