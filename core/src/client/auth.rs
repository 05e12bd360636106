//! Basic credentials.

use http::HeaderValue;

/// The value of `authorization` for a user name and password (percent-encoded as in a URL).
pub(super) fn basic(user: &str, password: Option<&str>) -> HeaderValue {
    let decode = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let mut plain = decode(user);
    plain.push(b':');
    plain.extend(decode(password.unwrap_or_default()));
    let text = format!("Basic {}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, plain));
    let mut value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("Basic Og=="));
    value.set_sensitive(true);
    value
}
