//! Servers that cost the client as little as any can: one answer, over connections that stay.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use reknock_test_server::{Script, Server};
use serde_json::json;
use tokio::runtime::Runtime;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 11\r\ndate: Sun, 22 Nov 2026 12:00:00 GMT\r\n\r\nhello world";

const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\ndate: Sun, 22 Nov 2026 12:00:00 GMT\r\n\r\nbusy";

/// The URL that a workload calls, and what serves it.
pub struct Servers {
    plain: String,
    tls: Script,
    http2: Script,
    _serving: (Runtime, Server),
}

impl Servers {
    pub fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let (server, tls, http2) = runtime.block_on(async {
            let server = Server::start().await.unwrap();
            let hello = json!([{"do": "status", "status": 200, "headers": [["content-type", "text/plain"]], "body": "hello world"}]);
            let tls = server.script(json!({"script": hello, "tls": "trusted", "http2": false})).await.unwrap();
            let http2 = server.script(json!({"script": hello, "http2": true})).await.unwrap();
            (server, tls, http2)
        });
        Servers { plain: plain(), tls, http2, _serving: (runtime, server) }
    }

    pub fn url(&self, workload: &str) -> String {
        let path = "a/path?and=query";
        match workload {
            "blocking, TLS" => format!("{}/{path}", self.tls.url()),
            "blocking, HTTP/2" => format!("{}/{path}", self.http2.url()),
            "reqwest alone, 100 KiB" | "loopback, 100 KiB" => format!("{}/large", self.plain),
            "blocking, one retry" => format!("{}/busy?and=query", self.plain),
            _ => format!("{}/{path}", self.plain),
        }
    }
}

/// Serves until the process ends: HTTP/1, with a 503 to every other request of a connection for `/busy`, and 100 KiB to those for `/large`.
fn plain() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || serve(stream.unwrap()));
        }
    });
    url
}

fn serve(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let large = [b"HTTP/1.1 200 OK\r\ncontent-length: 102400\r\n\r\n".as_slice(), &[b'a'; 100 * 1024]].concat();
    let (mut buffer, mut filled, mut busy) = (vec![0; 128 * 1024], 0, false);
    while let Ok(read) = stream.read(&mut buffer[filled..])
        && read > 0
    {
        filled += read;
        let Some(head) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        // Whoever posts sends 100 KiB.
        let body = if buffer.starts_with(b"POST") { 100 * 1024 } else { 0 };
        if filled == head + 4 + body {
            filled = 0;
            busy = !busy && buffer.starts_with(b"GET /busy");
            let answer = if buffer.starts_with(b"GET /large") { large.as_slice() } else { ANSWER };
            if stream.write_all(if busy { BUSY } else { answer }).is_err() {
                break;
            }
        }
    }
}
