//! The head of a request as HTTP/2 wants it.

use http::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri, Version};

/// Fields that speak of an HTTP/1 connection. In HTTP/2 they make a message malformed (RFC 9113 section 8.2.2).
const OF_CONNECTIONS: [HeaderName; 5] =
    [CONNECTION, TRANSFER_ENCODING, UPGRADE, HeaderName::from_static("keep-alive"), HeaderName::from_static("proxy-connection")];

/// A request without its body. `:authority` is what `host` says, if it is there, and there is no `host` then; `None` if it says something that is no
/// authority.
pub(in crate::client::transport::http) fn request(
    method: Method,
    scheme: Scheme,
    authority: &Authority,
    path: PathAndQuery,
    mut headers: HeaderMap,
) -> Option<Request<()>> {
    // Comparing those few that are there is cheaper than to look for each that should not be.
    let odd = headers.keys().any(|name| *name == HOST || *name == TE || OF_CONNECTIONS.contains(name));
    let authority = match odd.then(|| headers.remove(HOST)).flatten() {
        None => authority.clone(),
        Some(host) => Authority::try_from(host.as_bytes().trim_ascii()).ok()?,
    };
    if odd {
        strip(&mut headers);
    }
    trim(&mut headers);
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = Some(authority);
    parts.path_and_query = Some(path);
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    Some(request)
}

/// Takes out what HTTP/2 forbids: fields of the connection, and those that `connection` names.
fn strip(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &OF_CONNECTIONS {
        headers.remove(name);
    }
    if headers.get_all(TE).iter().any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"trailers")) {
        headers.remove(TE);
    }
}

/// Takes white space from the ends of values, as all that read HTTP/1 do.
pub(in crate::client::transport::http) fn trim(headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        let bytes = value.as_bytes();
        let is_blank = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        if is_blank(bytes.first()) || is_blank(bytes.last()) {
            let sensitive = value.is_sensitive();
            if let Ok(mut trimmed) = HeaderValue::from_bytes(bytes.trim_ascii()) {
                trimmed.set_sensitive(sensitive);
                *value = trimmed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(fields: &[(&str, &str)]) -> Option<(Uri, Vec<String>)> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let (authority, path) = (Authority::from_static("there:81"), PathAndQuery::from_static("/a?b"));
        let request = request(Method::GET, Scheme::HTTP, &authority, path, headers)?;
        let fields = request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        Some((request.uri().clone(), fields))
    }

    #[test]
    fn the_authority_is_what_host_says() {
        assert_eq!(sent(&[]).unwrap(), ("http://there:81/a?b".parse().unwrap(), vec![]));
        assert_eq!(sent(&[("host", " other ")]).unwrap(), ("http://other/a?b".parse().unwrap(), vec![]));
        assert_eq!(sent(&[("host", "not a host")]), None);
    }

    #[test]
    fn fields_of_the_connection_stay_behind() {
        let fields = [
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "1"),
            ("proxy-connection", "1"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("x", "\t a b "),
        ];
        assert_eq!(sent(&fields).unwrap().1, ["te: trailers", "x: a b"]);
        assert_eq!(sent(&[("te", "gzip, trailers")]).unwrap().1, Vec::<String>::new());
    }
}
