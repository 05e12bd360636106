//! Connections that end badly.

use std::io::ErrorKind;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{GET, Test, body, connect, exchange, kind, read_all, start, until};

const RESET: Option<ErrorKind> = Some(ErrorKind::ConnectionReset);

fn post(length: usize, sent: usize) -> Vec<u8> {
    let mut request = format!("POST / HTTP/1.1\r\ncontent-length: {length}\r\n\r\n").into_bytes();
    request.resize(request.len() + sent, b'x');
    request
}

#[tokio::test]
async fn a_reset_is_an_rst_and_a_close_is_a_fin() -> Test {
    let document = json!([
        {"do": "reset"},
        {"do": "close"},
        {"do": "partial-head"},
        {"do": "partial-head", "end": "reset"},
        {"do": "garbage"},
    ]);
    let (_server, script) = start(document).await?;
    let (bytes, end) = exchange(&script, GET).await?;
    assert_eq!((bytes.len(), kind(&end)), (0, RESET));
    let (bytes, end) = exchange(&script, GET).await?;
    assert_eq!((bytes.len(), kind(&end)), (0, None));
    let (bytes, end) = exchange(&script, GET).await?;
    assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n") && body(&bytes).is_empty());
    assert_eq!(kind(&end), None);
    let (_, end) = exchange(&script, GET).await?;
    assert_eq!(kind(&end), RESET);
    let (bytes, end) = exchange(&script, GET).await?;
    assert!(!bytes.is_empty() && !bytes.starts_with(b"HTTP"));
    assert_eq!(kind(&end), None);
    let did: Vec<String> = script.log().into_iter().map(|arrival| arrival.did).collect();
    assert_eq!(did, ["reset", "close", "partial-head fin", "partial-head reset", "garbage"]);
    Ok(())
}

#[tokio::test]
async fn outcomes_on_accept_take_the_connection() -> Test {
    let document = json!([
        {"do": "accept-reset"},
        {"do": "accept-close"},
        {"do": "banner", "text": "220 hello\r\n", "end": "fin"},
        {"do": "status", "status": 200},
        {"do": "accept-reset"},
    ]);
    let (_server, script) = start(document).await?;
    let mut tcp = connect(&script).await?;
    assert_eq!(kind(&read_all(&mut tcp).await?.1), RESET);
    let mut tcp = connect(&script).await?;
    assert_eq!(kind(&read_all(&mut tcp).await?.1), None);
    let mut tcp = connect(&script).await?;
    assert_eq!(read_all(&mut tcp).await?.0, b"220 hello\r\n");
    // The next outcome needs a new connection, so this one ends.
    let (bytes, end) = exchange(&script, GET).await?;
    assert!(bytes.starts_with(b"HTTP/1.1 200") && end.is_ok());
    for _ in 0..2 {
        let mut tcp = connect(&script).await?;
        assert_eq!(kind(&read_all(&mut tcp).await?.1), RESET);
    }
    assert_eq!(script.connections(), 6);
    assert_eq!(script.log().len(), 1);
    assert_eq!(script.log()[0].n, 3);
    Ok(())
}

#[tokio::test]
async fn uploads_can_be_reset_or_left_unread() -> Test {
    let document = json!([
        {"do": "reset-mid-upload", "after": 1000},
        {"do": "stop-reading", "after": 1000},
        {"do": "status", "status": 413, "read_body": false, "close": true},
        {"do": "status", "status": 413, "read_body": false},
    ]);
    let (_server, script) = start(document).await?;
    // Only half of what is declared is ever sent.
    assert_eq!(kind(&exchange(&script, &post(4000, 2000)).await?.1), RESET);
    let mut tcp = connect(&script).await?;
    tcp.write_all(&post(100_000, 2000)).await?;
    until(&script, || script.log().len() == 2 && script.log()[1].body_size >= 1000).await?;
    drop(tcp);
    until(&script, || script.log()[1].client_gone_ms.is_some()).await?;
    let (bytes, _) = exchange(&script, &post(4000, 2000)).await?;
    assert!(bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 413"));
    let mut tcp = connect(&script).await?;
    tcp.write_all(&post(4000, 2000)).await?;
    let (head, _) = crate::client::response(&mut tcp).await?;
    assert!(head.starts_with("HTTP/1.1 413"));
    tcp.write_all(&[b'x'; 2000]).await?;
    until(&script, || script.log()[3].body_complete).await?;
    let log = script.log();
    assert!(!log[0].body_complete && log[0].body_size >= 1000);
    assert_eq!(log[3].body_size, 4000);
    Ok(())
}

#[tokio::test]
async fn bad_heads_are_bad() -> Test {
    let kinds = ["version", "header", "two-lengths", "status"];
    let script: Vec<_> = kinds.map(|kind| json!({"do": "bad-head", "kind": kind})).into();
    let (_server, script) = start(json!(script)).await?;
    for expected in ["HTTP/7.3", "bad name\u{1}", "content-length: 5", "HTTP/1.1 99"] {
        let (bytes, end) = exchange(&script, GET).await?;
        assert!(String::from_utf8_lossy(&bytes).contains(expected));
        end?;
    }
    Ok(())
}

#[tokio::test]
async fn big_heads_are_big() -> Test {
    let document = json!({"keep_alive": false, "script": [
        {"do": "big-head", "size": 500_000},
        {"do": "big-head", "lines": 300},
        {"do": "status", "status": 200, "interim": [100, 103], "interim_endless": true},
    ]});
    let (_server, script) = start(document).await?;
    let (bytes, _) = exchange(&script, GET).await?;
    assert!(bytes.len() > 500_000);
    let (bytes, _) = exchange(&script, GET).await?;
    assert_eq!(bytes.windows(7).filter(|part| *part == b"x-line-").count(), 300);
    // The last one has no end that anybody would wait for.
    let mut tcp = connect(&script).await?;
    tcp.write_all(GET).await?;
    let mut bytes = vec![0; 1 << 20];
    tcp.read_exact(&mut bytes).await?;
    assert!(bytes.starts_with(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n"));
    assert!(!bytes.windows(12).any(|part| part == b"HTTP/1.1 200"));
    Ok(())
}

#[tokio::test]
async fn the_log_tells_when_the_client_gave_up() -> Test {
    let document = json!([
        {"do": "hang"},
        {"do": "status", "status": 200, "delay": "20s"},
        {"do": "status", "status": 200, "body_mode": "stall"},
        {"do": "status", "status": 200, "body_size": 100, "drip": {"bytes": 1, "every": "1s"}},
    ]);
    let (_server, script) = start(document).await?;
    for n in 0..4 {
        let mut tcp = connect(&script).await?;
        tcp.write_all(GET).await?;
        until(&script, || script.log().len() == n + 1).await?;
        if n >= 2 {
            tcp.read_u8().await?;
        }
        assert_eq!(script.open_connections(), 1);
        drop(tcp);
        until(&script, || script.log()[n].client_gone_ms.is_some()).await?;
        let arrival = &script.log()[n];
        let gone = arrival.client_gone_ms.ok_or("not noticed")?;
        assert!(arrival.ended_early && gone >= arrival.at_ms);
        until(&script, || script.open_connections() == 0).await?;
    }
    Ok(())
}
