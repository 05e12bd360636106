//! A call from what JavaScript hands over.

use std::sync::Arc;

use napi::bindgen_prelude::{ClassInstance, FromNapiValue, JsObjectValue, Null, Object, Unknown};
use napi::{Env, Result, ValueType};
use reknock::client::testing::Engine;
use reknock::client::{CallOptions, Page, Request, Wants};

use crate::body::{Outlet, pulled};
use crate::client::NativeClient;
use crate::error::or_throw;
use crate::identity::NativeIdentity;
use crate::policy::{chosen, with_argument};
use crate::question::append;
use crate::value::{to_bytes, wrong};

/// Which questions a call answers, and how it is read: the bits that lib/call.js sends.
const RETRY_IF: u32 = 1;
const DELAY: u32 = 2;
const BEFORE_RETRY: u32 = 4;
const EVENTS: u32 = 8;
const BODY: u32 = 16;
const STREAM: u32 = 32;
const AUTO: u32 = 64;
/// What the Fetch standard has and others have not.
const PLATFORM: u32 = 128;
const NESTED: u32 = 256;
const BEFORE_ATTEMPT: u32 = 512;
const OMIT_COOKIES: u32 = 1024;
/// It is looked at, and not sent.
pub const CHECK: u32 = 2048;
/// What it says of what it takes, as fetch does, unless it says so itself. Over plain HTTP only codings that everybody on the way knows.
const ANYTHING: [(u32, &str, &str); 3] =
    [(4096, "accept", "*/*"), (8192, "accept-language", "*"), (OVER_HTTP, "accept-encoding", "gzip, deflate")];
const OVER_HTTP: u32 = 16384;

/// How the body of the response comes.
pub enum Delivery {
    Buffered,
    Streamed,
    /// Whole if that is soon.
    Auto,
}

/// What is sent, and how.
pub struct Call {
    pub client: Engine,
    pub request: Request,
    pub options: CallOptions,
    pub wants: Wants,
    pub delivery: Delivery,
    /// Where the pieces of its body are asked for.
    pub outlet: Option<Outlet>,
}

impl Call {
    pub fn new(
        env: &Env,
        client: &NativeClient,
        method: &str,
        url: &str,
        headers: Option<Vec<String>>,
        body: Unknown<'_>,
        bits: u32,
    ) -> Result<Self> {
        let client = client.engine.clone();
        let mut request = or_throw(env, client.request(method, url))?;
        if let Some(lines) = headers {
            append(env, &mut request, &lines)?;
        }
        for (bit, name, value) in ANYTHING {
            if bits & bit != 0 && !request.headers().contains_key(name) && (bit != OVER_HTTP || request.url().scheme() == "http") {
                or_throw(env, request.append_header_bytes(name, value.as_bytes()))?;
            }
        }
        let outlet = set_body(&mut request, body)?;
        let has = |bit| bits & bit != 0;
        let wants = Wants {
            retry_if: has(RETRY_IF),
            delay: has(DELAY),
            before_retry: has(BEFORE_RETRY),
            before_attempt: has(BEFORE_ATTEMPT),
            events: has(EVENTS),
            notices: false,
            body: has(BODY),
        };
        let options =
            CallOptions { nested: has(NESTED), as_fetch: has(PLATFORM), omit_cookies: has(OMIT_COOKIES), ..CallOptions::default() };
        let delivery = match (has(STREAM), has(AUTO)) {
            (true, _) => Delivery::Streamed,
            (false, true) => Delivery::Auto,
            (false, false) => Delivery::Buffered,
        };
        Ok(Call { client, request, options, wants, delivery, outlet })
    }

    /// Reads the options that a call seldom has.
    pub fn read(&mut self, env: &Env, options: &Object<'_>) -> Result<()> {
        let query: Option<Vec<String>> = options.get("query")?;
        if let Some(query) = query {
            or_throw(env, self.request.append_query(query.chunks_exact(2).map(|pair| (&pair[0], &pair[1]))))?;
        }
        let page: Option<Vec<String>> = options.get("page")?;
        if let Some([url, referrer, policy, mode]) = page.as_deref() {
            self.request.set_page(Page::new(url, referrer, policy, mode));
        }
        let name: Option<String> = options.get("name")?;
        self.options.name = name.map(Into::into);
        let call: Option<ClassInstance<'_, NativeIdentity>> = options.get("call")?;
        self.options.call = call.map(|call| Arc::clone(&call.core));
        self.options.follow_redirects = options.get("followRedirects")?;
        let policy: Unknown<'_> = options.get_named_property("policy")?;
        self.options.policy = chosen(env, &self.client.policy_for(&self.request), policy)?;
        let timeout: Unknown<'_> = options.get_named_property("timeout")?;
        if timeout.get_type()? != ValueType::Undefined {
            let base = self.options.policy.take().unwrap_or_else(|| self.client.policy_for(&self.request));
            self.options.policy = Some(with_argument(env, &base, "timeout", timeout)?);
        }
        if let Some(policy) = self.options.policy.take() {
            self.options.policy = Some(or_throw(env, self.client.prepared(policy))?);
        }
        Ok(())
    }
}

/// Text or bytes; or `{once, length}` of a body that is asked for in pieces.
fn set_body(request: &mut Request, body: Unknown<'_>) -> Result<Option<Outlet>> {
    if matches!(body.get_type()?, ValueType::Null | ValueType::Undefined) {
        return Ok(None);
    }
    if let Some(bytes) = to_bytes(body)? {
        request.set_body(bytes);
        return Ok(None);
    }
    let source = Object::from_unknown(body)?;
    let once = source.get("once")?.ok_or_else(|| wrong("a body without its kind"))?;
    let length: Option<f64> = source.get::<napi::Either<f64, Null>>("length")?.and_then(|length| match length {
        napi::Either::A(length) => Some(length),
        napi::Either::B(Null) => None,
    });
    let outlet = Outlet::default();
    request.set_body(pulled(&outlet, once, length.map(|length| length as u64)));
    Ok(Some(outlet))
}
