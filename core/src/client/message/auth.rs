//! Credentials as header values.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::Url;

/// The value of `authorization` for a user name and password (RFC 7617).
pub(in crate::client) fn basic(user: &[u8], password: &[u8]) -> HeaderValue {
    let plain = [user, b":", password].concat();
    // Base64 is always a valid value; the fallback is that of two empty texts.
    let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(plain)));
    sensitive(value.unwrap_or(HeaderValue::from_static("Basic Og==")))
}

/// The value of `authorization` for a token; `None` if no header can carry it.
pub(in crate::client) fn bearer(token: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("Bearer {token}")).ok().map(sensitive)
}

/// Basic credentials from a URL's userinfo.
pub(in crate::client) fn of_url(url: &Url) -> HeaderValue {
    let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    basic(&decode(url.username()), &decode(url.password().unwrap_or_default()))
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}
