//! Answers that come before their request is there.

use std::io::{Read, Write};
use std::time::Duration;

use crate::{client, options, server};

/// The server answers as soon as it has the head and closes, with most of the body on its way: what it said is read all the same.
#[test]
fn an_early_answer_wins_over_the_broken_pipe() {
    let (address, _) = server(|stream, _, _| {
        let mut head = [0; 1024];
        let _ = stream.read(&mut head);
        let _ = stream.write_all(b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 5\r\n\r\nlarge");
        std::thread::sleep(Duration::from_millis(1)); // the answer goes out before the RST that unread bytes bring
    });
    let client = client(options());
    for size in [300_000, 2_000_000, 20_000_000] {
        let body = bytes::Bytes::from(vec![7; size]);
        for _ in 0..10 {
            let response = client.put(&format!("http://{address}/")).body(body.clone()).send_blocking().unwrap();
            assert_eq!((response.status(), &response.text()[..], response.attempts().len()), (413, "large", 1), "{size} bytes");
        }
    }
}
