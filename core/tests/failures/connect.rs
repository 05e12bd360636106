//! Before the request is handed over.

use std::time::Duration;

use http::{HeaderValue, Method, header};
use reknock::ErrorKind::{Connect, ConnectTimeout, InvalidRequest, Protocol, Reset};
use reknock::Evidence::{NotSent, Unknown};
use reknock::client::Proxy;
use tokio::io::AsyncWriteExt;

use crate::Tested;
use crate::support::*;

#[tokio::test]
async fn refused() {
    let address = closed_port().await;
    let failure = get(address).await.unwrap_err();
    assert_eq!(failure.message, format!("connection refused ({address})"));
    assert_eq!(verdict::<()>(Err(failure)), (Connect, NotSent));
    assert_eq!(verdict(post(closed_port().await, "x").await), (Connect, NotSent));
}

#[tokio::test]
async fn unknown_name() {
    let failure = send(&transport(), outgoing(Method::GET, "http://nonexistent.invalid/", "")).await.unwrap_err();
    assert!(
        failure.message.starts_with("host name not resolved: ") && failure.message.ends_with(" (nonexistent.invalid:80)"),
        "{}",
        failure.message
    );
    assert_eq!(verdict::<()>(Err(failure)), (Connect, NotSent));
}

#[tokio::test]
async fn bad_local_address() {
    let mut options = options();
    options.local_address = Some("192.0.2.1".parse().unwrap());
    let transport = Tested::new(&options).unwrap();
    let url = format!("http://{}/", closed_port().await);
    assert_eq!(verdict(send(&transport, outgoing(Method::GET, &url, "")).await), (Connect, NotSent));
}

#[tokio::test]
async fn no_answer_to_the_syn() {
    let silent = silent("127.0.0.1").await;
    let mut request = outgoing(Method::POST, &format!("http://{}/", silent.address), "x");
    request.connect_timeout = Some(Duration::from_millis(50));
    let progress = request.progress.clone();
    let failure = send(&transport(), request).await.unwrap_err();
    assert_eq!(failure.message, format!("no connection within 50ms ({})", silent.address));
    assert_eq!(verdict::<()>(Err(failure)), (ConnectTimeout, NotSent));
    assert!(!progress.is_connecting() && !progress.is_touched());
}

#[tokio::test]
async fn the_limit_includes_the_handshake() {
    let address = peer(|mut stream| async move { until_closed(&mut stream).await }).await;
    let mut request = outgoing(Method::GET, &format!("https://{address}/"), "");
    request.connect_timeout = Some(Duration::from_millis(50));
    assert_eq!(verdict(send(&transport(), request).await), (ConnectTimeout, NotSent));
}

/// 300 ms after a silent first address the next one is tried, long before the limit.
#[tokio::test]
async fn a_silent_first_address_is_passed_over() {
    // Somebody else may have the port of the same number.
    let (_silent, port, listener) = loop {
        let silent = silent("127.0.0.2").await;
        let port = silent.address.port();
        if let Ok(listener) = tokio::net::TcpListener::bind(("127.0.0.1", port)).await {
            break (silent, port, listener);
        }
    };
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    });
    let mut options = options();
    options.resolve = vec![("twins.test".to_owned(), vec!["127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap()])];
    let transport = Tested::new(&options).unwrap();
    let received = send(&transport, outgoing(Method::GET, &format!("http://twins.test:{port}/"), "")).await.unwrap();
    assert_eq!(received.status, 204);
    assert_eq!(received.body.remote_addr().unwrap(), format!("127.0.0.1:{port}").parse().unwrap());
}

/// The peer is gone before it got anything; how much of that the client notices in time is a race.
#[tokio::test]
async fn closed_at_accept() {
    let fin = peer(|stream| async move { drop(stream) }).await;
    let rst = peer(|stream| async move { reset(stream) }).await;
    for address in [fin, rst] {
        for _ in 0..20 {
            one_of(verdict(get(address).await), &[(Connect, NotSent), (Reset, NotSent), (Reset, Unknown)]);
            one_of(verdict(post(address, "x").await), &[(Connect, NotSent), (Reset, NotSent), (Reset, Unknown)]);
        }
    }
}

#[tokio::test]
async fn a_banner_at_accept() {
    let address = peer(|mut stream| async move {
        let _ = stream.write_all(b"220 mail.test ESMTP\r\n").await;
        until_closed(&mut stream).await;
    })
    .await;
    for _ in 0..20 {
        one_of(verdict(get(address).await), &[(Connect, NotSent), (Reset, NotSent), (Protocol, Unknown)]);
    }
}

#[tokio::test]
async fn impossible_requests() {
    for url in ["ftp://127.0.0.1/", "http://{{h}}/"] {
        assert_eq!(verdict(send(&transport(), outgoing(Method::GET, url, "")).await), (InvalidRequest, NotSent), "{url}");
    }
    let mut request = outgoing(Method::POST, &format!("http://{}/", closed_port().await), "12345");
    request.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("12"));
    assert_eq!(verdict(send(&transport(), request).await), (InvalidRequest, NotSent));
}

async fn through(proxy: std::net::SocketAddr) -> reknock::client::transport::Failure {
    let mut options = options();
    options.proxy = Proxy::Url(format!("http://user:hunter2@{proxy}"));
    let transport = Tested::new(&options).unwrap();
    let failure = send(&transport, outgoing(Method::GET, "https://target.test/", "")).await.err().unwrap();
    presentable(&failure);
    failure
}

#[tokio::test]
async fn proxies_that_open_no_tunnel() {
    let refused = through(closed_port().await).await;
    assert_eq!((refused.kind, refused.evidence, refused.permanent), (Connect, NotSent, false));

    let proxy = answers("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    let unauthorised = through(proxy).await;
    assert_eq!((unauthorised.kind, unauthorised.evidence, unauthorised.permanent), (Connect, NotSent, true));
    let said = if ours() { ": 407 Proxy Authentication Required" } else { " (407)" };
    assert_eq!(unauthorised.message, format!("the proxy demands authentication{said} (proxy {proxy}, for target.test:443)"));

    for (answer, permanent) in [
        ("HTTP/1.1 403 Forbidden\r\n\r\n", ours()),
        ("HTTP/1.1 429 Too Many Requests\r\n\r\n", false),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", false),
        ("garbage\r\n\r\n", false),
        ("", false),
    ] {
        let failure = through(answers(answer).await).await;
        assert_eq!((failure.kind, failure.evidence, failure.permanent), (Connect, NotSent, permanent), "{answer:?}");
    }
    let reset = through(
        peer(|mut stream| async move {
            read_head(&mut stream).await;
            reset(stream)
        })
        .await,
    )
    .await;
    assert_eq!((reset.kind, reset.evidence, reset.permanent), (Connect, NotSent, false));
}

#[tokio::test]
async fn plain_http_through_a_proxy() {
    let mut options = options();
    options.proxy = Proxy::Url(format!("http://{}", answers("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await));
    let transport = Tested::new(&options).unwrap();
    let received = send(&transport, outgoing(Method::GET, "http://target.test/", "")).await.unwrap();
    assert_eq!(received.status, 502);
}

/// Who refuses is said, and for whom it was asked; not its credentials.
#[tokio::test]
async fn a_proxy_that_is_not_there() {
    let mut options = options();
    let proxy = closed_port().await;
    options.proxy = Proxy::Url(format!("http://user:hunter2@{proxy}"));
    let transport = Tested::new(&options).unwrap();
    for (url, message) in [
        ("http://target.test/", format!("connection refused (proxy {proxy}, for target.test:80)")),
        (
            "https://target.test/",
            format!(
                "{}connection refused (proxy {proxy}, for target.test:443)",
                if ours() { "" } else { "the proxy did not open a tunnel: " }
            ),
        ),
    ] {
        let failure = send(&transport, outgoing(Method::GET, url, "")).await.unwrap_err();
        presentable(&failure);
        assert_eq!((failure.kind, failure.evidence, failure.message), (Connect, NotSent, message));
    }
}
