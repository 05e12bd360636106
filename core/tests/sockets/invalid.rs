//! Requests that cannot be sent: the documented kind and message, nothing sent, never a panic.

use reknock::ErrorKind;
use reknock::client::{Client, Request};
use serde_json::json;

use crate::harness::*;

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
    assert!(append("x-a", &"v".repeat(65_536)).is_ok());
    let long = append(&"n".repeat(70_000), "1").unwrap_err();
    assert_eq!(long.kind(), ErrorKind::InvalidRequest);
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
    for (name, value) in [("x a", "1"), ("", "1"), ("x-a", "a\nb")] {
        let error = Client::builder().header(name, value).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.to_string(), format!("headers: {name:?} is no valid header name, or its value has control characters"));
    }
}
