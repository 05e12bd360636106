//! Uploads that are not over when their call is: nobody runs a lane that is not in use, so nothing would close them later.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use futures_util::StreamExt;
use reknock::client::{Body, Client};

use super::client;

/// What nothing here may take, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that answers each connection's first request early, with the next of these heads, and reads none of its body before it is told
/// that the call is over; then it tells of each connection whether it was closed.
struct Early {
    url: String,
    over: Sender<()>,
    closed: Receiver<bool>,
}

fn early(heads: &'static [&'static str]) -> Early {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let ((over, is_over), (tell, closed)) = (channel(), channel());
    std::thread::spawn(move || {
        let open: Vec<TcpStream> = heads.iter().map(|head| answered(listener.accept().unwrap().0, head)).collect();
        is_over.recv().unwrap();
        for mut stream in open {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut rest = vec![0; 1 << 20];
            let end = loop {
                match stream.read(&mut rest) {
                    Ok(1..) => {}
                    Ok(0) => break true,
                    Err(error) => break error.kind() == std::io::ErrorKind::ConnectionReset,
                }
            };
            let _ = tell.send(end);
        }
    });
    Early { url, over, closed }
}

fn answered(mut stream: TcpStream, status: &str) -> TcpStream {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
        head.push(byte[0]);
    }
    stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nno").as_bytes()).unwrap();
    stream
}

/// More than the buffers on the way take.
fn large() -> Body {
    vec![7; 30_000_000].into()
}

/// One that waits for its source.
fn waiting() -> Body {
    let stream = futures_util::stream::iter([Ok("first".into())]).chain(futures_util::stream::pending());
    Body::stream(Box::pin(stream), None)
}

#[test]
fn a_call_leaves_no_upload_behind() {
    let sent = |client: &Client, url: &str, body| client.put(url).body(body).send_blocking().unwrap().status();
    let streamed = |client: &Client, url: &str, body| {
        let mut stream = client.put(url).body(body).stream_blocking().unwrap();
        while stream.chunk().unwrap().is_some() {}
        stream.status()
    };
    for (what, body) in [("large", large as fn() -> Body), ("waiting", waiting)] {
        for (how, call) in [("sent", &sent as &dyn Fn(&Client, &str, Body) -> u16), ("streamed", &streamed)] {
            let peer = early(&["413 Too Large"]);
            let client = client("{}");
            assert_eq!(call(&client, &peer.url, body()), 413);
            peer.over.send(()).unwrap();
            assert!(peer.closed.recv().unwrap(), "{what}, {how}");
        }
    }
}

/// The upload of an attempt that was repeated is left behind by that attempt.
#[test]
fn nor_do_its_attempts() {
    let peer = early(&["503 Later", "413 Too Large"]);
    let client = client("{}");
    let response = client.put(&peer.url).body(large()).send_blocking().unwrap();
    assert_eq!((response.status(), response.attempts().len()), (413, 2));
    peer.over.send(()).unwrap();
    assert_eq!((peer.closed.recv(), peer.closed.recv()), (Ok(true), Ok(true)));
}
