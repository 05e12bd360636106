//! What the log says of requests, and what `echo` and placeholders give back.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::client::{GET, Test, body, call, connect, exchange, response, start};

const HELLO_SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[tokio::test]
async fn the_last_outcome_repeats() -> Test {
    let (_server, script) = start(json!([{"do": "status", "status": 503}, {"do": "status", "status": 200}])).await?;
    let mut tcp = connect(&script).await?;
    for status in [503, 200, 200, 200] {
        tcp.write_all(GET).await?;
        let (head, _) = response(&mut tcp).await?;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
    let n: Vec<usize> = script.log().iter().map(|arrival| arrival.n).collect();
    assert_eq!(n, [0, 1, 1, 1]);
    assert_eq!(script.connections(), 1);
    Ok(())
}

#[tokio::test]
async fn the_log_holds_what_arrived() -> Test {
    let (_server, script) = start(json!([{"do": "status", "status": 201}])).await?;
    let mut tcp = connect(&script).await?;
    tcp.write_all(GET).await?;
    response(&mut tcp).await?;
    let chunked = b"PUT /a HTTP/1.1\r\nX-One: 1\r\nx-one: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
        2;ext=1\r\nhe\r\n3\r\nllo\r\n0\r\ntrailer: x\r\n\r\n";
    tcp.write_all(chunked).await?;
    response(&mut tcp).await?;
    drop(tcp);
    call(&script).await?;
    let log = script.log();
    let first = &log[0];
    assert_eq!((first.method.as_str(), first.target.as_str()), ("GET", "/path?q=1"));
    assert_eq!((first.version, first.did.as_str()), ("1.1", "status 201"));
    assert_eq!((first.body_size, first.body_sha256.as_str()), (0, EMPTY_SHA256));
    assert!(first.body_complete && !first.ended_early && first.client_gone_ms.is_none());
    let second = &log[1];
    assert_eq!((second.body_size, second.body_sha256.as_str()), (5, HELLO_SHA256));
    assert!(second.body_complete && second.at_ms > first.at_ms);
    assert_eq!(second.headers[0], ("X-One".to_owned(), "1".to_owned()));
    assert_eq!(second.header("TRANSFER-ENCODING"), Some("chunked"));
    let connections: Vec<u64> = log.iter().map(|arrival| arrival.connection).collect();
    assert_eq!(connections, [1, 1, 2]);
    Ok(())
}

#[tokio::test]
async fn an_unfinished_body_is_logged_as_such() -> Test {
    let (_server, script) = start(json!([{"do": "status", "status": 200}])).await?;
    let mut tcp = connect(&script).await?;
    tcp.write_all(b"POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nhello").await?;
    tcp.shutdown().await?;
    crate::client::until(&script, || script.log().iter().any(|arrival| arrival.ended_early)).await?;
    let arrival = &script.log()[0];
    assert_eq!((arrival.body_size, arrival.body_complete), (5, false));
    assert_eq!(arrival.body_sha256, HELLO_SHA256);
    Ok(())
}

#[tokio::test]
async fn echo_tells_what_arrived() -> Test {
    let (_server, script) = start(json!([{"do": "echo"}])).await?;
    let mut tcp = connect(&script).await?;
    tcp.write_all(b"POST /e HTTP/1.1\r\nExpect: 100-continue\r\ncontent-length: 5\r\n\r\n").await?;
    assert!(response(&mut tcp).await?.0.starts_with("HTTP/1.1 100 "));
    tcp.write_all(b"hello").await?;
    let echo: Value = serde_json::from_slice(&response(&mut tcp).await?.1)?;
    assert_eq!(echo["method"], "POST");
    assert_eq!(echo["target"], "/e");
    assert_eq!(echo["body"], "hello");
    assert_eq!(echo["body_sha256"], HELLO_SHA256);
    assert_eq!(echo["headers"][1], json!(["content-length", "5"]));
    Ok(())
}

#[tokio::test]
async fn placeholders_are_filled_in() -> Test {
    let server = reknock_test_server::Server::start().await?;
    let other = server.script(json!([{"do": "echo"}])).await?;
    let location = format!("$url:{}/next", other.id());
    let document = json!([
        {"do": "redirect", "status": 307, "location": location},
        {"do": "status", "status": 200, "headers": [
            ["x-self", "$url/a"], ["x-now", "$now"], ["x-late", "$now+2"], ["x-early", "$now-5"],
            ["x-ms", "$nowms+1000"], ["x-date", "$date+1"], ["x-dollar", "$5 $url:zz"]]},
    ]);
    let script = server.script(document).await?;
    let (head, _) = call(&script).await?;
    assert!(head.contains(&format!("location: {}/next\r\n", other.url())), "{head}");
    let (head, _) = call(&script).await?;
    let value = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(&format!("x-{name}: ")));
        line.unwrap_or("").to_owned()
    };
    assert_eq!(value("self"), format!("{}/a", script.url()));
    let now: i64 = value("now").parse()?;
    assert!(now > 1_700_000_000);
    assert!((now + 2..=now + 3).contains(&value("late").parse()?));
    assert!((now - 5..=now - 4).contains(&value("early").parse()?));
    let ms: i64 = value("ms").parse()?;
    assert!((0..2000).contains(&(ms - 1000 - now * 1000)));
    assert!(value("date").ends_with(" GMT"));
    assert_eq!(value("dollar"), "$5 $url:zz");
    Ok(())
}

#[tokio::test]
async fn wrong_requests_get_an_answer_and_take_no_outcome() -> Test {
    let (_server, script) = start(json!([{"do": "status", "status": 200}])).await?;
    for request in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\u{16}\u{3}\u{1} \r\n\r\n", "GET / HTTP/1.1\r\nx\r\n\r\n"] {
        let (bytes, _) = exchange(&script, request.as_bytes()).await?;
        assert!(bytes.starts_with(b"HTTP/1.1 400 "), "{request}");
        assert!(!body(&bytes).is_empty());
    }
    let endless = vec![b'a'; (1 << 20) + 100];
    let (bytes, _) = exchange(&script, &endless).await?;
    assert!(bytes.starts_with(b"HTTP/1.1 431 "));
    assert!(script.log().is_empty());
    Ok(())
}
