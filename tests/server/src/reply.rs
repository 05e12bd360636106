//! Response heads: placeholders, status lines, and the JSON of `echo`.

use std::sync::PoisonError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::json;

use crate::body::Digest;
use crate::log::Arrival;
use crate::outcome::{Content, Framing, Reply};
use crate::script::State;

/// Fills in `$url`, `$url:ID`, `$now`, `$nowms` and `$date`, the last three with an optional `+N` or `-N`
/// (seconds; milliseconds for `$nowms`).
pub(crate) fn fill(value: &str, state: &State) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (text, used) = placeholder(rest, state).unwrap_or(("$".into(), 1));
        out.push_str(&text);
        rest = &rest[used..];
    }
    out + rest
}

/// The replacement for the placeholder at the start of `text`, and its length there.
fn placeholder(text: &str, state: &State) -> Option<(String, usize)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if let Some(rest) = text.strip_prefix("$url:") {
        let len = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let urls = state.urls.lock().unwrap_or_else(PoisonError::into_inner);
        return Some((urls.get(&rest[..len])?.clone(), "$url:".len() + len));
    }
    if text.starts_with("$url") {
        return Some((state.url.clone(), "$url".len()));
    }
    if let Some(rest) = text.strip_prefix("$nowms") {
        let (shift, len) = shift(rest);
        let millis = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        return Some((millis.saturating_add(shift).to_string(), "$nowms".len() + len));
    }
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if let Some(rest) = text.strip_prefix("$now") {
        let (shift, len) = shift(rest);
        return Some((seconds.saturating_add(shift).to_string(), "$now".len() + len));
    }
    let rest = text.strip_prefix("$date")?;
    let (shift, len) = shift(rest);
    // IMF-fixdate has no years beyond 9999.
    let seconds = seconds.saturating_add(shift).clamp(0, 253_402_300_799);
    let time = UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs());
    Some((httpdate::fmt_http_date(time), "$date".len() + len))
}

/// A leading `+N` or `-N`, and its length.
fn shift(text: &str) -> (i64, usize) {
    let Some(rest) = text.strip_prefix(['+', '-']) else {
        return (0, 0);
    };
    let len = 1 + rest.bytes().take_while(u8::is_ascii_digit).count();
    text[..len].parse().map_or((0, 0), |shift| (shift, len))
}

/// Whether a response has no body whatever its head says.
pub(crate) fn is_bodiless(method: &str, status: u16) -> bool {
    method == "HEAD" || status < 200 || status == 204 || status == 304
}

/// The headers that describe the body, and those of the script.
pub(crate) fn headers(reply: &Reply, len: Option<u64>, state: &State) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = reply.headers.iter().map(|(name, value)| (name.clone(), fill(value, state))).collect();
    let has = |name: &str| reply.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    if let Some(encoding) = reply.encoding.filter(|_| !has("content-encoding")) {
        headers.push(("content-encoding".into(), encoding.token().into()));
    }
    let len = reply.content_length.or_else(|| {
        let no_length = reply.status < 200 || matches!(reply.status, 204 | 304);
        len.filter(|_| reply.framing == Framing::Auto && !no_length && !has("transfer-encoding"))
    });
    if let Some(len) = len.filter(|_| !has("content-length")) {
        headers.push(("content-length".into(), len.to_string()));
    }
    headers
}

/// The status line and the headers of an HTTP/1.1 response, with the empty line.
pub(crate) fn head(status: u16, reason: Option<&str>, headers: &[(String, String)]) -> Vec<u8> {
    let canonical = || http::StatusCode::from_u16(status).ok()?.canonical_reason();
    let reason = reason.or_else(canonical).unwrap_or("");
    let mut head = format!("HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// What `echo` answers.
pub(crate) fn echo(arrival: &Arrival, digest: &Digest) -> Reply {
    let document = json!({
        "method": arrival.method,
        "target": arrival.target,
        "version": arrival.version,
        "headers": arrival.headers,
        "body_size": digest.size(),
        "body_sha256": digest.sha256(),
        "body": digest.text(),
    });
    let mut reply = Reply::new(200, Content::Bytes(Bytes::from(document.to_string())));
    reply.headers.push(("content-type".into(), "application/json".into()));
    reply
}
