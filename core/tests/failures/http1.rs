//! HTTP/1 after the request was handed over.

use bytes::Bytes;
use h2::Error as H2Error;
use http::{HeaderValue, Method};
use reknock::ErrorKind::{Protocol, Reset};
use reknock::Evidence::Unknown;
use tokio::io::AsyncWriteExt;

use crate::support::*;

#[tokio::test]
async fn closed_instead_of_an_answer() {
    let fin = answers("").await;
    let rst = peer(|mut stream| async move {
        read_head(&mut stream).await;
        reset(stream);
    })
    .await;
    let early = answers("HTTP/1.1 200 OK\r\ncontent-le").await;
    let hints = answers("HTTP/1.1 103 Early Hints\r\n\r\n").await;
    for address in [fin, rst, early, hints] {
        assert_eq!(verdict(get(address).await), (Reset, Unknown));
        assert_eq!(verdict(post(address, "").await), (Reset, Unknown));
        assert_eq!(verdict(post(address, "x").await), (Reset, Unknown));
    }
}

#[tokio::test]
async fn closed_while_uploading() {
    let address = peer(|mut stream| async move {
        read_head(&mut stream).await;
        reset(stream);
    })
    .await;
    let failure = post(address, vec![b'x'; 20_000_000]).await.unwrap_err();
    assert_eq!(verdict::<()>(Err(failure)), (Reset, Unknown));
}

#[tokio::test]
async fn answers_that_are_not_http() {
    let large = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(2_000_000));
    let texts: [&[u8]; 14] = [
        b"garbage\r\n\r\n",
        b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64",
        b"HTTP/3.7 200 OK\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 2000 High\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2, 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2, +2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2,\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\n",
        large.as_bytes(),
    ];
    for text in texts {
        let bytes = Bytes::copy_from_slice(text);
        let head = String::from_utf8_lossy(&text[..text.len().min(40)]);
        // The whole text is sent before the peer closes, so that no close overtakes it.
        let address = peer(move |mut stream| {
            let bytes = bytes.clone();
            async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(&bytes).await;
                until_closed(&mut stream).await;
            }
        })
        .await;
        assert_eq!(verdict(get(address).await), (Protocol, Unknown), "{head:?}");
    }
}

#[tokio::test]
async fn odd_but_valid_answers() {
    for head in
        ["HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 600 Odd\r\ncontent-length: 0\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"]
    {
        assert!(get(answers(head).await).await.is_ok(), "{head}");
    }
}

/// RFC 9110 section 8.6: a list of one valid length is that length.
#[tokio::test]
async fn lengths_that_are_said_twice() {
    for lines in ["content-length: 002, 2", "content-length: 2,2", "content-length: 2\r\nContent-Length: 02"] {
        let address = peer(move |mut stream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\nok").as_bytes()).await;
            until_closed(&mut stream).await;
        })
        .await;
        let received = get(address).await.unwrap();
        assert_eq!((received.length, read(received.body).await.0), (Some(2), b"ok".to_vec()), "{lines}");
    }
}

/// What curl, requests and httpx read is read, whatever the number of fields and however they are written.
#[tokio::test]
async fn fields_of_all_kinds() {
    // reqwest leaves no choice: 100 fields, none folded.
    if crate::REQWEST {
        return;
    }
    let many = "a: b\r\n".repeat(20_000);
    let head = format!(
        "HTTP/1.1 200 OK\r\n{many}folded: a\r\n  b\r\nspaced : c\r\nbad: \x01\r\nworse: \x7f\r\nworst: a\0b\r\ncontent-length: 2\r\n\r\nok"
    );
    let received = get(answers(head).await).await.unwrap();
    assert_eq!(received.headers.get_all("a").iter().count(), 20_000);
    assert_eq!(
        (&received.headers["folded"], &received.headers["spaced"]),
        (&HeaderValue::from_static("a b"), &HeaderValue::from_static("c"))
    );
    assert!(["bad", "worse", "worst"].iter().all(|name| !received.headers.contains_key(*name)));
    assert_eq!((received.length, read(received.body).await.0), (Some(2), b"ok".to_vec()));
}

/// A connection that stays open: the body ends as its length says.
#[tokio::test]
async fn a_coding_that_is_none() {
    if crate::REQWEST {
        return;
    }
    for name in ["transfer-encoding: identity", "Transfer-Encoding: Identity "] {
        let address = peer(move |mut stream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{name}\r\ncontent-length: 2\r\n\r\nok").as_bytes()).await;
            until_closed(&mut stream).await;
        })
        .await;
        let received = get(address).await.unwrap();
        assert_eq!((received.length, read(received.body).await.0), (Some(2), b"ok".to_vec()), "{name}");
    }
}

#[tokio::test]
async fn a_post_without_a_body_says_so() {
    let (heard, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let address = peer(move |mut stream| {
        let heard = heard.clone();
        async move {
            heard.send(read_head(&mut stream).await).unwrap();
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    })
    .await;
    for (method, body, says) in [
        (Method::POST, "", Some("content-length: 0")),
        (Method::PUT, "", Some("content-length: 0")),
        (Method::PATCH, "", Some("content-length: 0")),
        (Method::POST, "12345", Some("content-length: 5")),
        (Method::GET, "", None),
        (Method::DELETE, "", None),
    ] {
        send(&transport(), outgoing(method.clone(), &format!("http://{address}/"), body)).await.unwrap();
        let head = hear.recv().await.unwrap().to_ascii_lowercase();
        assert_eq!(head.lines().find(|line| line.starts_with("content-length")), says, "{method}: {head}");
        assert!(!head.contains("transfer-encoding") && !head.contains("user-agent"), "{head}");
    }
}

/// One version of every crate whose errors are looked for: a second h2, rustls or hyper in the tree would turn failures into others.
#[tokio::test]
async fn every_type_is_found_in_a_real_chain() {
    use std::error::Error as StdError;

    fn found<T: StdError + 'static>(failure: &reknock::client::transport::Failure) -> bool {
        let mut at: Option<&(dyn StdError + 'static)> = failure.source.as_ref().map(|source| &**source as _);
        while let Some(error) = at {
            if error.is::<T>() {
                return true;
            }
            let payload = error.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref());
            at = payload.map(|payload| payload as &(dyn StdError + 'static)).or_else(|| error.source());
        }
        false
    }

    let refused = get(closed_port().await).await.unwrap_err();
    assert!(found::<std::io::Error>(&refused));
    if crate::REQWEST {
        assert!(found::<reqwest::Error>(&refused) && found::<hyper_util::client::legacy::Error>(&refused));
        assert!(found::<<hyper_util::client::legacy::connect::HttpConnector as tower_service::Service<http::Uri>>::Error>(&refused));
    }
    let garbage = get(answers("garbage\r\n\r\n").await).await.unwrap_err();
    assert!(found::<hyper::Error>(&garbage));
    let reset = crate::http2::get(crate::http2::resets(7).await).await.unwrap_err();
    assert!(found::<H2Error>(&reset) && found::<hyper::Error>(&reset) == crate::REQWEST);
    let untrusted = crate::tls::untrusted().await;
    assert!(found::<rustls::Error>(&untrusted));
}
