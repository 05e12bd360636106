//! URLs for people: without secrets.

use std::sync::Arc;

use url::Url;

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
    let mut shown = url.clone();
    // These two fail only for URLs without a host, which have no userinfo.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    let Some(query) = url.query() else { return shown.into() };
    let hidden: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) => format!("{name}=..."),
            None => "...".to_owned(),
        })
        .collect();
    shown.set_query(Some(&hidden.join("&")));
    shown.into()
}
