//! URLs for people: without secrets.

use std::sync::Arc;

use url::{Position, Url};

use crate::identity::{Identity, next_call_id};

impl Identity {
    /// Of one more call of this process, which somebody else sends. What is no URL is shown without what stands behind a `?`.
    pub fn of_request(method: &str, url: &str, name: Option<Arc<str>>) -> Self {
        let (shown, origin) = match Url::parse(url) {
            Ok(url) => (redacted(&url), url.origin().ascii_serialization()),
            Err(_) => (without_secrets(url), String::new()),
        };
        Identity::new(next_call_id(), method.to_owned(), shown, origin, name)
    }
}

/// What may be shown of a text that is no URL: all up to its query, without what stands before an `@` where userinfo does.
fn without_secrets(text: &str) -> String {
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = shown.split_once("//") else { return shown.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    format!("{scheme}//{}{path}", authority.rsplit('@').next().unwrap_or_default())
}

/// The URL without userinfo and fragment, with the values of its query replaced by `...`.
pub(in crate::client) fn redacted(url: &Url) -> String {
    let mut shown = String::with_capacity(url.as_str().len());
    shown += &url[..Position::BeforeUsername];
    shown += &url[Position::BeforeHost..Position::AfterPath];
    let mut before = '?';
    for pair in url.query().into_iter().flat_map(|query| query.split('&')) {
        shown.push(std::mem::replace(&mut before, '&'));
        if let Some((name, _)) = pair.split_once('=') {
            shown += name;
            shown.push('=');
        }
        shown += "...";
    }
    shown
}

/// Scheme, host and, unless it is the scheme's default, port, of a URL of http or https.
pub(in crate::client) fn origin(url: &Url) -> String {
    [&url[..Position::BeforeUsername], &url[Position::BeforeHost..Position::AfterPort]].concat()
}
