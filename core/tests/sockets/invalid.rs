//! Requests that cannot be sent: the documented kind and message, nothing sent, never a panic.

use reknock::ErrorKind;
use reknock::client::{Client, Request};
use serde_json::json;

use super::harness::*;

#[track_caller]
fn refused(result: Result<Request, reknock::Error>, message: &str) {
    let error = result.expect_err(message);
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidRequest, message));
    assert!(error.attempts().is_empty() && error.stop_reason().is_none());
}

#[test]
fn urls_and_methods() {
    let url = "http://127.0.0.1/";
    refused(Request::new("", url), "method: must be a token such as GET, got \"\"");
    refused(Request::new("GE T", url), "method: must be a token such as GET, got \"GE T\"");
    refused(Request::new("GET\r\nx: y", url), "method: must be a token such as GET, got text of 9 characters with line breaks");
    for connect in ["CONNECT", "connect"] {
        refused(Request::new(connect, url), "method: CONNECT asks for a tunnel, which is no request; proxies are an option of the client");
    }
    refused(Request::new("GÉT", url), "method: must be a token such as GET, got \"GÉT\"");
    refused(Request::new("GET", ""), "url: must be absolute, such as http://host/path");
    refused(Request::new("GET", "/path"), "url: must be absolute, such as http://host/path");
    refused(Request::new("GET", "127.0.0.1:80/"), "url: must be absolute, such as http://host/path");
    refused(Request::new("GET", "http://"), "url: empty host");
    refused(Request::new("GET", "http://host:99999/"), "url: invalid port number");
    refused(Request::new("GET", "ftp://host/"), "url: the scheme must be http or https, got \"ftp\"");
    refused(Request::new("GET", "file:///etc/passwd"), "url: the scheme must be http or https, got \"file\"");
    refused(
        Request::new("GET", &format!("{}://host/", "s".repeat(61))),
        "url: the scheme must be http or https, got text of 61 characters",
    );
    for broken in ["http://host/a\rb", "http://host/a\n", "http://host/\ta", "ht\ntp://host/"] {
        refused(Request::new("GET", broken), "url: must not contain line breaks or tabs; percent-encode them as %0D, %0A, %09");
    }
    for missing in ["http:///x", "http:/x", "http:x", "https:\\\\x"] {
        let scheme = missing.split_once(':').unwrap().0;
        refused(Request::new("GET", missing), &format!("url: must name a host behind two slashes, such as {scheme}://host/path"));
    }
    let long = format!("http://host/{}", "x".repeat(65_523));
    refused(Request::new("GET", &long), "url: must be at most 65534 bytes with its query, got 65535");
    let mut request = Request::new("GET", &long[..65_000]).unwrap();
    let error = request.append_query([("a", "x".repeat(600))]).unwrap_err();
    assert_eq!(error.to_string(), "url: must be at most 65534 bytes with its query, got 65601");
    assert!(Request::new("GET", &long[..65_534]).is_ok());
    refused(Request::new("GET", "http://{{h}}/?key=hunter2"), "url: not a URL that HTTP can carry: http://{{h}}/?key=...");
}

#[test]
fn header_fields() {
    let append = |name: &str, value: &str| {
        let mut request = Request::new("GET", "http://127.0.0.1/").unwrap();
        request.append_header(name, value).map(|()| request)
    };
    let value_rule = "header \"x-a\": the value must not contain control characters such as line breaks";
    for value in ["a\nb", "a\r\nx-b: c", "a\0", "\u{7f}", "\r"] {
        refused(append("x-a", value), value_rule);
    }
    for name in ["", "x a", "x:a", "x\n", "ä"] {
        let error = append(name, "1").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.to_string().ends_with("the name must be a token of letters, digits and !#$%&'*+-.^_`|~"), "{error}");
        assert!(!error.to_string().contains('\n'));
    }
    assert!(append("x-a", "caf\u{e9} \t ok").is_ok());
    assert!(append("x-a", &"v".repeat(1 << 20)).is_ok());
    refused(append("x-a", &"v".repeat((1 << 20) + 1)), "header \"x-a\": the value must be at most 1048576 bytes, got 1048577");
    let long = append(&"n".repeat(70_000), "1").unwrap_err();
    assert_eq!(long.kind(), ErrorKind::InvalidRequest);
    // A token, too, and perhaps a secret one.
    refused(
        append(&"n".repeat(61), "a\n"),
        "header text of 61 characters: the value must not contain control characters such as line breaks",
    );
}

#[tokio::test]
async fn lengths_that_contradict_the_body() {
    let peer = peer(json!([{"do": "echo"}])).await;
    let client = client(&peer, "{}");
    for (said, body, is) in [
        ("7", "four", 4),
        ("3", "four", 4),
        ("0", "four", 4),
        ("5", "", 0),
        ("", "", 0),
        ("-1", "", 0),
        ("four", "four", 4),
        ("99999999999999999999", "", 0),
    ] {
        let error = patient(client.post(peer.url()).header("content-length", said).body(body).send()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert_eq!(error.to_string(), format!("header \"content-length\": must be {is} as the body is, got \"{said}\"; leave it out"));
        assert!(error.attempts().is_empty());
    }
    assert_eq!(peer.connections(), 0);
    let outcome = patient(client.post(peer.url()).header("content-length", "4").body("four").send()).await;
    assert_eq!(seen(&outcome), Ok(200));
    let log = honest(&peer, &outcome).await;
    assert_eq!((log[0].header("content-length"), log[0].body_size), (Some("4"), 4));
}

#[tokio::test]
async fn clients_that_cannot_be() {
    for (base, rule) in [
        ("http:///x", "url: must name a host behind two slashes, such as http://host/path"),
        ("http://h/a\tb", "url: must not contain line breaks or tabs; percent-encode them as %0D, %0A, %09"),
        ("http://h/\r\n", "url: must not contain line breaks or tabs; percent-encode them as %0D, %0A, %09"),
        ("ftp://h/", "url: the scheme must be http or https, got \"ftp\""),
        ("h/x", "url: must be absolute, such as http://host/path"),
        ("http://h/?q=secret", "without query and fragment"),
    ] {
        let error = Client::builder().base_url(base).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.to_string(), format!("base_url: must be an absolute http or https URL, {rule}"));
    }
    let client = Client::builder().base_url("http://h/v1").build().unwrap();
    for relative in ["a\rb", "a\n", "\ta", "/a\tb"] {
        refused(client.get(relative).build(), "url: must not contain line breaks or tabs; percent-encode them as %0D, %0A, %09");
    }
    for (name, value) in [("x a", "1"), ("", "1"), ("x-a", "a\nb")] {
        let error = Client::builder().header(name, value).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.to_string(), format!("headers: {name:?} is no valid header name, or its value has control characters"));
    }
}
