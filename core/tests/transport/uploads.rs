//! Uploads that are answered early, or given up.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use crate::{client, options, server, times};

/// The server answers as soon as it has the head, with most of the body on its way, and closes at once or reads on: what it said is read all the same.
#[test]
fn an_early_answer_wins_over_the_broken_pipe() {
    for reads_on in [false, true] {
        let (address, _) = server(move |stream, _, _| {
            let mut piece = [0; 1024];
            let _ = stream.read(&mut piece);
            let _ = stream.write_all(b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 5\r\n\r\nlarge");
            if reads_on {
                let _ = stream.shutdown(Shutdown::Write);
                while stream.read(&mut piece).is_ok_and(|size| size > 0) {}
            } else {
                std::thread::sleep(Duration::from_millis(1)); // the answer goes out before the RST that unread bytes bring
            }
        });
        let client = client(options());
        for size in [300_000, 2_000_000, 20_000_000] {
            let body = bytes::Bytes::from(vec![7; size]);
            for _ in 0..5 * times() {
                let response = client.put(&format!("http://{address}/")).body(body.clone()).send_blocking().unwrap();
                let got = (response.status(), &*response.text(), response.attempts().len());
                assert_eq!(got, (413, "large", 1), "{size} bytes, reads on: {reads_on}");
            }
        }
    }
}

/// How many sockets of processes are connected to this port; those that nobody holds any more are not counted.
#[cfg(target_os = "linux")]
fn held(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let peer = format!(":{port:04X}");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[2].ends_with(&peer) && row[9] != "0").count()
}

/// The peer does not read, so that the write is blocked: dropping the call closes its socket in that moment.
#[cfg(target_os = "linux")]
#[test]
fn an_upload_that_is_given_up_leaves_no_socket() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = client(options());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let call = client.put(&format!("http://{address}/")).body(vec![7; 20_000_000]).send();
        assert!(tokio::time::timeout(Duration::from_millis(300), call.into_future()).await.is_err(), "nobody answers");
        assert_eq!(held(address.port()), 0);
    });
}
