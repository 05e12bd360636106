//! The control endpoint and the program.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{GET, Test, response};

const PROGRAM: &str = env!("CARGO_BIN_EXE_reknock-test-server");

fn program(arguments: &[&str]) -> Result<(Child, String), Box<dyn std::error::Error>> {
    let mut child = Command::new(PROGRAM).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
    let address = line.trim().strip_prefix("reknock-test-server http://127.0.0.1:");
    let address = format!("127.0.0.1:{}", address.ok_or("unexpected first line")?);
    Ok((child, address))
}

async fn control(tcp: &mut TcpStream, method: &str, path: &str, body: &str) -> Result<(u16, Value), Box<dyn std::error::Error>> {
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}");
    tcp.write_all(request.as_bytes()).await?;
    let (head, body) = response(tcp).await?;
    let status = head.split(' ').nth(1).unwrap_or("").parse()?;
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
    Ok((status, body))
}

/// Whether it ends by itself. If not, it is killed.
fn ends(mut child: Child) -> Result<bool, Box<dyn std::error::Error>> {
    let id = child.id().to_string();
    let (tell, told) = channel();
    std::thread::spawn(move || tell.send(child.wait()));
    let ended = told.recv_timeout(Duration::from_secs(10)).is_ok();
    if !ended {
        Command::new("kill").arg(id).status()?;
    }
    Ok(ended)
}

#[tokio::test]
async fn scripts_are_run_over_http() -> Test {
    let (mut child, address) = program(&[])?;
    let mut tcp = TcpStream::connect(&address).await?;
    assert_eq!(control(&mut tcp, "GET", "/health", "").await?, (200, json!({"ok": true})));
    let document = json!({"script": [{"do": "refused"}, {"do": "status", "status": 200}]});
    let (status, script) = control(&mut tcp, "POST", "/scripts", &document.to_string()).await?;
    assert_eq!(status, 201);
    let id = script["id"].as_str().ok_or("no id")?.to_owned();
    let port = script["port"].as_u64().ok_or("no port")? as u16;
    assert_eq!(script["url"], format!("http://127.0.0.1:{port}"));
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    let (status, _) = control(&mut tcp, "POST", &format!("/scripts/{id}/advance"), "").await?;
    assert_eq!(status, 200);
    let mut client = TcpStream::connect(("127.0.0.1", port)).await?;
    client.write_all(GET).await?;
    response(&mut client).await?;
    let (_, log) = control(&mut tcp, "GET", &format!("/scripts/{id}/log"), "").await?;
    let seen = log["changes"].as_u64().ok_or("no changes")?;
    assert!(seen >= 2);
    // What has changed since is told at once, what has not as soon as it does.
    let [at_once, later, wrong] = [&(seen - 1).to_string(), &seen.to_string(), "x"].map(|n| format!("/scripts/{id}/log?after={n}"));
    assert_eq!(control(&mut tcp, "GET", &at_once, "").await?.1, log);
    let mut waiting = TcpStream::connect(&address).await?;
    let (later, answered) = tokio::join!(control(&mut waiting, "GET", &later, ""), async {
        client.write_all(GET).await?;
        response(&mut client).await
    });
    answered?;
    assert!(later?.1["changes"].as_u64() > Some(seen));
    assert_eq!(control(&mut tcp, "GET", &wrong, "").await?.0, 400);
    let (_, log) = control(&mut tcp, "GET", &format!("/scripts/{id}/log"), "").await?;
    assert_eq!((&log["connections"], &log["open"]), (&json!(1), &json!(1)));
    assert_eq!(log["arrivals"][0]["n"], 1);
    assert_eq!(log["arrivals"][0]["headers"], json!([["host", "test"]]));
    assert!(log["arrivals"][0].get("ended_early").is_none());
    let (status, _) = control(&mut tcp, "DELETE", &format!("/scripts/{id}"), "").await?;
    assert_eq!(status, 204);
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    let (status, _) = control(&mut tcp, "GET", &format!("/scripts/{id}/log"), "").await?;
    assert_eq!(status, 404);

    for (body, expected) in [
        ("{", "not JSON: EOF while parsing an object at line 1 column 1"),
        (r#"[{"do":"nope"}]"#, "script[0].do: unknown outcome (see tests/server/README.md), got \"nope\""),
    ] {
        let answer = control(&mut tcp, "POST", "/scripts", body).await?;
        assert_eq!(answer, (400, json!({"error": expected})));
    }
    let tls = r#"{"tls":"trusted","client_cert":true,"script":[{"do":"echo"}]}"#;
    let (_, script) = control(&mut tcp, "POST", "/scripts", tls).await?;
    for key in ["ca", "client_cert", "client_key"] {
        assert!(script[key].as_str().is_some_and(|pem| pem.starts_with("-----BEGIN ")));
    }

    // It ends with its stdin, whatever is open.
    drop(child.stdin.take());
    assert!(ends(child)?);
    Ok(())
}

#[tokio::test]
async fn the_program_can_stay() -> Test {
    let (mut child, address) = program(&["--stay"])?;
    drop(child.stdin.take());
    std::thread::sleep(Duration::from_millis(100));
    let mut tcp = TcpStream::connect(&address).await?;
    assert_eq!(control(&mut tcp, "GET", "/health", "").await?.0, 200);
    child.kill()?;
    child.wait()?;
    Ok(())
}
