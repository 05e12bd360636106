//! Scripts in place of servers.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use napi::bindgen_prelude::{Array, JsObjectValue, Object, Unknown};
use napi::{Env, Result, ValueType};
use napi_derive::napi;
use reknock::client::Clock;
use reknock::client::testing::{Script, Step};
use reknock::{ErrorKind, Tick, UnixTime};
use std::time::Duration;

use crate::bridge::copied;
use crate::error::or_throw;
use crate::head::{flat, millis};
use crate::value::{UNIT, to_bytes, to_value, wrong};

/// What answers in place of servers, and its time.
#[napi]
pub struct NativeScript {
    pub(crate) core: Script,
}

#[napi]
impl NativeScript {
    /// `steps`: objects as lib/testing.js makes them; `wall`: milliseconds since 1970.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: &Env, steps: Vec<Object<'_>>, wall: f64, seed: f64, strict: bool) -> Result<Self> {
        let steps = steps.iter().map(|given| step(env, given)).collect::<Result<Vec<_>>>()?;
        Ok(NativeScript { core: Script::made(UnixTime(wall as i64), seed as u64, steps, strict) })
    }

    /// What servers would have seen so far.
    #[napi(catch_unwind)]
    pub fn sends<'env>(&self, env: &'env Env) -> Result<Array<'env>> {
        let sends = self.core.sends();
        let mut all = env.create_array(sends.len() as u32)?;
        for (index, sent) in sends.iter().enumerate() {
            let mut object = Object::new(env)?;
            object.set("atMs", millis(sent.at))?;
            object.set("method", &sent.method)?;
            object.set("url", sent.url.as_str())?;
            object.set("headers", flat(env, &sent.headers)?)?;
            object.set("body", copied(env, &sent.body)?)?;
            all.set(index as u32, object)?;
        }
        Ok(all)
    }

    /// The waits of clients, in milliseconds.
    #[napi(catch_unwind)]
    pub fn waits(&self) -> Vec<f64> {
        self.core.waits().into_iter().map(millis).collect()
    }

    /// Steps that nothing was answered with yet.
    #[napi(catch_unwind)]
    pub fn remaining(&self) -> u32 {
        self.core.remaining() as u32
    }

    /// The sends that no step was for.
    #[napi(catch_unwind)]
    pub fn missed(&self) -> Vec<String> {
        self.core.missed()
    }

    /// Milliseconds since it was made, in its time.
    #[napi(catch_unwind)]
    pub fn now(&self) -> f64 {
        millis(self.now_in_full())
    }

    /// Time goes on to this many milliseconds; never back.
    #[napi(catch_unwind)]
    pub fn move_to(&self, ms: f64) {
        let then = Duration::from_nanos((ms * 1e6) as u64);
        self.core.advance(then.saturating_sub(self.now_in_full()));
    }

    /// What the next step does to a send that is no client's.
    #[napi(catch_unwind)]
    pub fn play<'env>(&self, env: &'env Env, method: String, url: String, headers: Vec<String>, body: Unknown<'_>) -> Result<Object<'env>> {
        let body = to_bytes(body)?.unwrap_or_default();
        let played = or_throw(env, self.core.play(&method, &url, fields(&headers)?, body))?;
        let mut object = Object::new(env)?;
        object.set("status", played.status)?;
        object.set("fail", played.failure.map(|(kind, _)| ErrorKind::code(kind)))?;
        object.set("headers", flat(env, &played.headers)?)?;
        object.set("body", copied(env, &played.body)?)?;
        object.set("isCut", played.is_cut)?;
        object.set("after", millis(played.after))?;
        Ok(object)
    }
}

impl NativeScript {
    fn now_in_full(&self) -> Duration {
        self.core.now().since(Tick::default())
    }
}

/// Names and values in turn as header fields, whose characters are bytes.
fn fields(lines: &[String]) -> Result<HeaderMap> {
    let mut fields = HeaderMap::new();
    for line in lines.chunks_exact(2) {
        let value: Option<Vec<u8>> = line[1].chars().map(|letter| u8::try_from(letter).ok()).collect();
        let field = HeaderName::from_bytes(line[0].as_bytes()).ok().zip(value.and_then(|value| HeaderValue::from_bytes(&value).ok()));
        let (name, value) = field.ok_or_else(|| wrong("headers: what the platform takes is no header field"))?;
        fields.append(name, value);
    }
    Ok(fields)
}

fn step(env: &Env, given: &Object<'_>) -> Result<Step> {
    let mut step = or_throw(env, Step::from_value(&to_value(given.get_named_property("does")?)?))?;
    let text = |name: &str| given.get::<String>(name);
    if let Some(method) = text("method")? {
        step = or_throw(env, step.for_method(&method))?;
    }
    if let Some(url) = text("url")? {
        step = step.for_url(url);
    }
    for line in given.get::<Vec<String>>("headers")?.unwrap_or_default().chunks_exact(2) {
        step = or_throw(env, step.header(&line[0], &line[1]))?;
    }
    let body: Unknown<'_> = given.get_named_property("body")?;
    if body.get_type()? != ValueType::Undefined {
        step = step.body(to_bytes(body)?.map_or_else(Bytes::new, Bytes::from));
    }
    if let Some(after) = given.get::<f64>("after")? {
        step = step.after(or_throw(env, UNIT.duration("script", after))?);
    }
    if let Some(ends) = text("ends")? {
        step = or_throw(env, step.ends(&ends))?;
    }
    if let Some(evidence) = text("evidence")? {
        step = or_throw(env, step.evidence(&evidence))?;
    }
    Ok(step)
}
