//! Ports that refuse, that do not answer, and that many come to.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{GET, Test, call, connect, response, soon, start, until};

async fn hangs(port: u16) -> bool {
    let connect = TcpStream::connect(("127.0.0.1", port));
    tokio::time::timeout(Duration::from_millis(300), connect).await.is_err()
}

#[tokio::test]
async fn a_refused_port_serves_again_after_advance() -> Test {
    let (_server, script) = start(json!([{"do": "refused"}, {"do": "refused"}, {"do": "status", "status": 200}])).await?;
    for _ in 0..2 {
        for _ in 0..3 {
            let error = connect(&script).await.err().ok_or("connected")?;
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
        // Nobody else can take the port meanwhile.
        let taken = TcpListener::bind(("127.0.0.1", script.port())).await;
        assert_eq!(taken.err().map(|error| error.kind()), Some(ErrorKind::AddrInUse));
        script.advance().await;
    }
    assert!(call(&script).await?.0.starts_with("HTTP/1.1 200"));
    assert_eq!(script.log()[0].n, 2);
    assert_eq!(script.connections(), 1);
    Ok(())
}

#[tokio::test]
async fn a_port_refuses_before_the_answer_that_led_there_arrives() -> Test {
    let (_server, script) = start(json!([{"do": "status", "status": 503}, {"do": "refused"}, {"do": "echo"}])).await?;
    let mut idle = connect(&script).await?;
    until(&script, || script.connections() == 1).await?;
    let (head, _) = call(&script).await?;
    assert!(head.contains("connection: close"), "{head}");
    let error = connect(&script).await.err().ok_or("connected")?;
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    // The idle connection was closed too.
    assert_eq!(soon(idle.read_u8()).await?.err().map(|e| e.kind()), Some(ErrorKind::UnexpectedEof));
    script.advance().await;
    assert!(call(&script).await?.0.starts_with("HTTP/1.1 200"));
    Ok(())
}

#[tokio::test]
async fn a_full_backlog_hangs_and_serves_after_advance() -> Test {
    let document = json!([
        {"do": "connect-timeout"},
        {"do": "status", "status": 204},
        {"do": "connect-timeout"},
        {"do": "refused"},
        {"do": "connect-timeout"},
        {"do": "status", "status": 200},
    ]);
    let (_server, script) = start(document).await?;
    assert!(hangs(script.port()).await);
    assert!(hangs(script.port()).await);
    script.advance().await;
    assert!(call(&script).await?.0.starts_with("HTTP/1.1 204"));
    assert!(hangs(script.port()).await);
    script.advance().await;
    let error = connect(&script).await.err().ok_or("connected")?;
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    script.advance().await;
    assert!(hangs(script.port()).await);
    script.advance().await;
    assert!(call(&script).await?.0.starts_with("HTTP/1.1 200"));
    // Our own connections in the queue are not counted.
    assert_eq!(script.connections(), 2);
    Ok(())
}

#[tokio::test]
async fn a_connect_that_waits_gets_through_when_the_port_serves() -> Test {
    let (_server, script) = start(json!([{"do": "connect-timeout"}, {"do": "status", "status": 200}])).await?;
    let port = script.port();
    let waiting = tokio::spawn(TcpStream::connect(("127.0.0.1", port)));
    // By then it has been asking for long.
    assert!(hangs(port).await && !waiting.is_finished());
    script.advance().await;
    let mut tcp = soon(waiting).await???;
    tcp.write_all(GET).await?;
    assert!(response(&mut tcp).await?.0.starts_with("HTTP/1.1 200"));
    Ok(())
}

#[tokio::test]
async fn the_last_outcome_of_the_port_stays() -> Test {
    let (_server, script) = start(json!([{"do": "connect-timeout"}])).await?;
    script.advance().await;
    assert!(hangs(script.port()).await);
    Ok(())
}

#[tokio::test]
async fn closing_a_script_frees_its_port() -> Test {
    let (_server, script) = start(json!([{"do": "hang"}])).await?;
    let port = script.port();
    let mut tcp = connect(&script).await?;
    tcp.write_all(GET).await?;
    until(&script, || script.log().len() == 1).await?;
    script.close().await;
    assert!(soon(tcp.read_u8()).await?.is_err());
    let error = TcpStream::connect(("127.0.0.1", port)).await.err().ok_or("connected")?;
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_at_once() -> Test {
    let (_server, script) = start(json!([{"do": "status", "status": 200, "delay": "300ms", "body": "ok"}])).await?;
    let mut clients = Vec::new();
    for _ in 0..1000 {
        let port = script.port();
        clients.push(tokio::spawn(async move {
            let mut tcp = TcpStream::connect(("127.0.0.1", port)).await?;
            tcp.write_all(GET).await?;
            response(&mut tcp).await
        }));
    }
    for client in clients {
        assert_eq!(soon(client).await???.1, b"ok");
    }
    assert_eq!(script.connections(), 1000);
    assert_eq!(script.log().len(), 1000);
    until(&script, || script.open_connections() == 0).await?;
    Ok(())
}
