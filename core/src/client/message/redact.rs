//! URLs for people: without secrets.

use url::Url;

/// The URL without userinfo, with the values of its query replaced by `...`.
pub(in crate::client) fn redacted(url: &Url) -> String {
    let mut shown = url.clone();
    // These two fail only for URLs without a host, which have no userinfo.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
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
