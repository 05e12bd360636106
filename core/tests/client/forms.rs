//! What requests look like on the wire: forms, multipart, queries, credentials, base URLs; and responses without a body.

use crate::live::*;
use futures_util::stream::iter;
use reknock::client::{Body, Multipart};
use reknock::{ErrorKind, StopReason};
use serde_json::{Value as Json, json};

/// The parts of a multipart body, taken apart by hand: head lines and content.
fn parts(content_type: &str, body: &str) -> Vec<(String, String)> {
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").expect(content_type);
    let body = body.strip_suffix(&format!("--{boundary}--\r\n")).expect("the closing delimiter");
    let delimiter = format!("--{boundary}\r\n");
    let taken = body.split(&delimiter).skip(1).map(|part| {
        let (head, content) = part.strip_suffix("\r\n").unwrap().split_once("\r\n\r\n").unwrap();
        (head.to_owned(), content.to_owned())
    });
    taken.collect()
}

fn stream(text: &'static str) -> Body {
    Body::stream(iter([Ok(text[..2].into()), Ok(text[2..].into())]), None)
}

fn form(last: Body) -> Multipart {
    let form = Multipart::new().text("field", "välue\r\n--x").unwrap();
    let form = form.part("a \"name\"", Some("f\"ile.txt"), Some("text/plain"), Body::from("contents")).unwrap();
    form.part("last", None, None, last).unwrap()
}

#[tokio::test]
async fn multipart() {
    let expected = |last: &str| {
        vec![
            ("content-disposition: form-data; name=\"field\"".to_owned(), "välue\r\n--x".to_owned()),
            (
                "content-disposition: form-data; name=\"a %22name%22\"; filename=\"f%22ile.txt\"\r\ncontent-type: text/plain".to_owned(),
                "contents".to_owned(),
            ),
            ("content-disposition: form-data; name=\"last\"".to_owned(), last.to_owned()),
        ]
    };
    let file = Body::file(file(b"", b"of a file")).unwrap();
    for (what, last, text, sized) in [
        ("bytes", Body::from("of bytes"), "of bytes", true),
        ("file", file, "of a file", true),
        ("factory", Body::factory(|| Ok(Box::pin(iter([Ok("made".into())]))), None), "made", false),
        ("stream", stream("streamed"), "streamed", false),
    ] {
        let peer = peer(json!([{"do": "status", "status": 503}, {"do": "reset-mid-upload", "after": 20}, {"do": "echo"}])).await;
        let client = client(&json!({"methods": "any"}));
        let response = patient(client.post(peer.url()).multipart(form(last)).send()).await.unwrap();
        let echo: Json = response.json().unwrap();
        let log = peer.log();
        assert_eq!((log.len(), log[0].body_size), (3, log[2].body_size), "{what}: sent again");
        assert_eq!(log[0].body_sha256, log[2].body_sha256, "{what}");
        assert_eq!(log[2].header("content-length").is_some(), sized, "{what}");
        assert_eq!(parts(log[2].header("content-type").unwrap(), echo["body"].as_str().unwrap()), expected(text), "{what}");
    }
    // Empty, and a stream above the buffer.
    let peer = peer(json!([{"do": "status", "status": 503}])).await;
    let client = client(&json!({"methods": "any", "max_body_buffer": "10B"}));
    let response = patient(client.post(peer.url()).multipart(form(stream("streamed"))).send()).await.unwrap();
    assert_eq!((response.stop_reason(), peer.log().len()), (StopReason::BodyNotReplayable, 1));
    let response = patient(client.post(peer.url()).multipart(Multipart::new()).send()).await.unwrap();
    assert_eq!(response.stop_reason(), StopReason::RetriesExhausted);
    for text in ["a\r\nb", "a\nb", "a\0b"] {
        assert_eq!(Multipart::new().text(text, "").unwrap_err().kind(), ErrorKind::InvalidRequest);
        assert_eq!(Multipart::new().part("a", Some(text), None, Body::default()).unwrap_err().kind(), ErrorKind::InvalidRequest);
        assert_eq!(Multipart::new().part("a", None, Some(text), Body::default()).unwrap_err().kind(), ErrorKind::InvalidRequest);
    }
}

#[tokio::test]
async fn what_a_request_says() {
    let peer = peer(json!([{"do": "echo"}])).await;
    let base = format!("{}/api/v1", peer.url());
    let builder = builder(&json!({})).base_url(&base).header("x-all", "1").header("x-own", "client").header("accept", "text/x");
    let client = builder.build().unwrap();
    let pairs = [("a b", "ü&="), ("c", "")];
    let requests = [
        client.post("form").form(pairs).header("x-own", "call"),
        client.post("/json?x=1").json(&json!({"k": [1]})).query(pairs),
        client.put("json").header("content-type", "application/vnd.x+json").json(&json!(null)),
        client.get("?page=2").basic_auth("me", "p:w"),
        client.get(&format!("{}/root", peer.url())).bearer_auth("token"),
        client.get("//host/x"),
        client.get("").query([] as [(&str, &str); 0]).header("user-agent", "mine"),
        client.post("none"),
        client.patch("none"),
        client.delete("none"),
    ];
    for request in requests {
        assert_eq!(patient(request.send()).await.unwrap().status(), 200);
    }
    let log = peer.log();
    let said = |n: usize, name: &str| log[n].header(name).map(str::to_owned);
    let targets: Vec<_> = log.iter().map(|arrival| arrival.target.as_str()).collect();
    let query = "a+b=%C3%BC%26%3D&c=";
    assert_eq!(targets[..5], ["/api/v1/form", &format!("/api/v1/json?x=1&{query}"), "/api/v1/json", "/api/v1/?page=2", "/root"]);
    assert_eq!(targets[5..], ["/api/v1/host/x", "/api/v1/", "/api/v1/none", "/api/v1/none", "/api/v1/none"]);
    assert_eq!(said(0, "content-type").unwrap(), "application/x-www-form-urlencoded");
    assert_eq!(log[0].body_size, query.len() as u64);
    assert_eq!(
        (said(0, "x-all").unwrap(), said(0, "x-own").unwrap(), said(1, "x-own").unwrap()),
        ("1".into(), "call".into(), "client".into())
    );
    assert_eq!(
        (said(1, "content-type").unwrap(), said(2, "content-type").unwrap()),
        ("application/json".into(), "application/vnd.x+json".into())
    );
    assert_eq!((said(3, "authorization").unwrap(), said(4, "authorization").unwrap()), ("Basic bWU6cDp3".into(), "Bearer token".into()));
    assert_eq!(
        (said(3, "user-agent").unwrap(), said(6, "user-agent").unwrap()),
        (concat!("reknock/", env!("CARGO_PKG_VERSION")).into(), "mine".into())
    );
    assert_eq!(said(3, "accept").unwrap(), "text/x");
    assert_eq!(
        (said(7, "content-length"), said(8, "content-length"), said(9, "content-length")),
        (Some("0".into()), Some("0".into()), None)
    );
}

#[tokio::test]
async fn responses_that_have_no_body_by_rule() {
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 404)] {
        // A content-length says there what the body would have been.
        let headers = if status == 204 { json!([]) } else { json!([["content-length", "1234"]]) };
        let peer = peer(json!([{"do": "status", "status": status, "headers": headers}])).await;
        let client = client(&json!({}));
        let response = patient(client.request(method, peer.url()).send()).await.unwrap();
        assert_eq!((response.status(), response.bytes().len()), (status, 0), "{method} {status}");
        let mut response = patient(client.request(method, peer.url()).stream()).await.unwrap();
        assert!(response.chunk().await.unwrap().is_none(), "{method} {status}");
        assert_eq!(peer.connections(), 1, "{method} {status}: it is used again");
    }
}

/// A colon in the first segment is no scheme, unless what follows is an authority.
#[tokio::test]
async fn paths_with_a_colon_are_appended_to_the_base() {
    let peer = peer(json!([{"do": "status", "status": 200}])).await;
    let client = builder(&json!({})).base_url(&format!("{}/v1", peer.url())).build().unwrap();
    for path in ["items:batchGet", "/items:batchGet", "items:get?u=http://x/", "1:2", "a/b:c", "/http://x/", "mailto:", "x:/y"] {
        patient(client.get(path).send()).await.unwrap();
    }
    let targets: Vec<_> = peer.log().into_iter().map(|arrival| arrival.target).collect();
    assert_eq!(targets[..5], ["/v1/items:batchGet", "/v1/items:batchGet", "/v1/items:get?u=http://x/", "/v1/1:2", "/v1/a/b:c"]);
    assert_eq!(targets[5..], ["/v1/http://x/", "/v1/mailto:", "/v1/x:/y"]);
    for (url, mistake) in [("ftp://h/x", "scheme must be http or https"), ("http://[::1/x", "IPv6")] {
        let error = client.get(url).build().unwrap_err().to_string();
        assert!(error.contains(mistake), "{error}");
    }
}
