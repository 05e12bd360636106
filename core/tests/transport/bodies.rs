//! Bodies of requests: when they go out, and when their bytes are freed.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reknock::client::{CallOptions, Callbacks, Cancel, Http2};

use crate::{client, options, server};

/// What comes after a head until the peer closes.
fn rest(stream: &mut std::net::TcpStream, first: &[u8]) -> usize {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    rest.len() + first.len() - String::from_utf8_lossy(first).find("\r\n\r\n").unwrap() - 4
}

/// A body that waits for `100 Continue` does not go out where the answer is there before.
#[test]
fn a_body_waits_where_it_is_to() {
    let came = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&came);
    let (address, _) = server(move |stream, _, _| {
        let mut head = [0; 4096];
        let size = stream.read(&mut head).unwrap();
        let _ = stream.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 5\r\n\r\nlarge");
        seen.fetch_add(usize::from(rest(stream, &head[..size]) > 0), Ordering::SeqCst);
    });
    let client = client(options());
    for _ in 0..5 {
        let request = client.put(&format!("http://{address}/")).header("Expect", "100-Continue").body(vec![7; 1000]);
        let response = request.send_blocking().unwrap();
        assert_eq!((response.status(), &response.text()[..], response.attempts().len()), (413, "large", 1));
    }
    // In none, unless this machine stood still for a second.
    assert!(came.load(Ordering::SeqCst) < 5);
}

/// It goes out when the server says so, and after a second where it says nothing.
#[test]
fn a_body_that_waited_goes_out() {
    for says in [true, false] {
        let (address, _) = server(move |stream, _, _| {
            let mut head = [0; 4096];
            while stream.read(&mut head).is_ok_and(|size| size > 0) {
                if says {
                    let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                let mut body = [0; 1000];
                stream.read_exact(&mut body).unwrap();
                assert_eq!(body, [7; 1000]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            }
        });
        let client = client(options());
        for _ in 0..2 {
            let request = client.put(&format!("http://{address}/")).header("expect", "100-continue").body(vec![7; 1000]);
            let response = request.send_blocking().unwrap();
            let record = &response.attempts()[0];
            assert_eq!((response.status(), response.attempts().len(), record.interim), (200, 1, u32::from(says)));
        }
    }
}

/// Bytes that tell when they are freed.
struct Told(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Told {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

/// The bytes of an upload that was cancelled go with it, and not with the next call.
#[test]
fn what_was_cancelled_is_freed_at_once() {
    let (address, seen) = server(|stream, _, _| {
        let mut some = [0; 100];
        let _ = stream.read(&mut some);
        // The rest is never read.
        let _ = stream.peer_addr();
        std::thread::park_timeout(Duration::from_secs(20));
    });
    let url = format!("http://{address}/");
    let freed = Arc::new(AtomicUsize::new(0));
    let mut count = 0;
    for http2 in [Http2::None, Http2::Only] {
        let mut options = options();
        options.http2 = http2;
        let client = client(options);
        let body = || Bytes::from_owner(Told(vec![7; 8_000_000], Arc::clone(&freed)));
        // In a task, which is aborted.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let before = seen.connections();
        runtime.block_on(async {
            let (client, url, body) = (client.clone(), url.clone(), body());
            let call = tokio::spawn(async move { client.put(&url).body(body).send().await.map(drop) });
            while seen.connections() == before {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            call.abort();
            assert!(call.await.is_err_and(|error| error.is_cancelled()));
            count += 1;
            // The task of an HTTP/2 connection has to let go of it, too: without any further call.
            for _ in 0..1000 {
                if freed.load(Ordering::SeqCst) == count {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            panic!("{http2:?}: a task that is gone keeps its upload");
        });
        // On a thread.
        let cancel = Cancel::new();
        let ends = cancel.clone();
        let options = CallOptions { cancel: Some(cancel), ..CallOptions::default() };
        let request = client.put(&url).body(body()).build().unwrap();
        let ended = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                ends.cancel();
            });
            client.send_blocking(request, &options, Callbacks::default())
        });
        assert_eq!(ended.unwrap_err().kind(), reknock::ErrorKind::Cancelled);
        count += 1;
        assert_eq!(freed.load(Ordering::SeqCst), count, "{http2:?}, a thread");
    }
}
