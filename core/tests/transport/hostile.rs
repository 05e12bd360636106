//! A client of many threads against a server that does everything wrong, as chance has it: what is recorded is what was seen, and nobody gets another's answer.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use reknock::client::{Client, HttpTransport};
use reknock::{AttemptRecord, ErrorKind, Evidence, Policy};

use crate::{Numbers, Seen, client, options, server, times};

/// Reads the head of a request, and tells its number and the size of its body, as much of which as came is read, too.
fn head(stream: &mut TcpStream, seen: &Seen) -> Option<(u64, u64)> {
    let (mut request, mut piece) = (Vec::new(), [0; 16 * 1024]);
    let end = loop {
        let size = stream.read(&mut piece).ok().filter(|size| *size > 0)?;
        request.extend_from_slice(&piece[..size]);
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    seen.note(&request[..end]);
    let text = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let after = |name: &str| text.split_once(name)?.1.split(|end: char| !end.is_ascii_digit()).next()?.parse::<u64>().ok();
    let came = (request.len() - end) as u64;
    Some((after("/id/")?, after("content-length: ").unwrap_or(0).saturating_sub(came)))
}

/// Treats a connection as chance has it.
fn mean(stream: &mut TcpStream, number: u64, seen: &Seen) {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ ((number + 1) * 7919));
    let reset = |stream: &TcpStream| socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
    while let Some((id, body)) = head(stream, seen) {
        let how = numbers.below(24);
        let body_of = |text: &str| format!("content-length: {}\r\n\r\n{text}", text.len());
        let whole = format!("HTTP/1.1 200 OK\r\n{}", body_of(&id.to_string()));
        // Before the request is there.
        match how {
            0 => return reset(stream),
            1 => return,
            2 => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le");
                return reset(stream);
            }
            3 => {
                let _ = stream.write_all(format!("HTTP/1.1 413 Too Large\r\nconnection: close\r\n{}", body_of("no")).as_bytes());
                let _ = stream.shutdown(Shutdown::Write);
                stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
                let mut piece = [0; 4096];
                while stream.read(&mut piece).is_ok_and(|size| size > 0) {}
                return;
            }
            _ => {}
        }
        if std::io::copy(&mut stream.take(body), &mut std::io::sink()).is_err() {
            return;
        }
        let answer = match how {
            4 => format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{}and more", body_of(&id.to_string())),
            5 => format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x};a=b;c=\"d;e\"\r\n{id}\r\n0;last\r\nx-trailer: 1\r\n\r\n",
                id.to_string().len()
            ),
            6 => format!("{whole}HTTP/1.1 200 OK\r\n{}", body_of("another's")),
            7 => format!("{whole}HTTP/1.1 100 Continue\r\n\r\n"),
            8 => format!("{}{whole}", "HTTP/1.1 100 Continue\r\n\r\n".repeat(3)),
            9 | 10 => format!("HTTP/1.1 503 Busy\r\n{}", body_of("busy")),
            _ => whole,
        };
        let written = match how {
            11 => answer.bytes().all(|byte| stream.write_all(&[byte]).is_ok()),
            _ => stream.write_all(answer.as_bytes()).is_ok(),
        };
        match how {
            4 | 10 | 12 => return,
            13 => {
                let _ = stream.shutdown(Shutdown::Write);
            }
            14 => return reset(stream),
            _ if written => {}
            _ => return,
        }
    }
}

/// What came of a call: the body of a 200, and its records.
type Ended = (Option<String>, Vec<AttemptRecord>);

fn call(client: &Client<HttpTransport>, url: &str, kind: u64) -> Ended {
    let call = match kind {
        0 => client.get(url),
        1 => client.post(url).body("small"),
        _ => client.post(url).body(vec![b'x'; 300_000]),
    };
    match call.send_blocking() {
        Ok(response) => ((response.status() == 200).then(|| response.text().into_owned()), response.attempts().to_vec()),
        Err(error) => {
            assert_ne!(error.kind(), ErrorKind::Deadline, "{error}");
            (None, error.attempts().to_vec())
        }
    }
}

/// 16 threads, 100 calls each.
#[test]
fn everything_goes_wrong() {
    let (address, seen) = server(mean);
    let client = client(options());
    client.set_policy(Policy::from_yaml("{backoff: none, budget: none}").unwrap()).unwrap();
    let threads: Vec<_> = (0..16_u64)
        .map(|thread| {
            let client = client.clone();
            std::thread::spawn(move || {
                let mut numbers = Numbers(thread * 77 + 1);
                (thread * 100_000..thread * 100_000 + 100 * times())
                    .map(|number| {
                        let kind = numbers.below(3);
                        (number, kind, call(&client, &format!("http://{address}/id/{number}"), kind))
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let calls: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let (mut answered, mut retried) = (0, 0);
    for (number, kind, (body, attempts)) in &calls {
        let sends = attempts.iter().filter(|attempt| attempt.evidence != Evidence::NotSent).count() as u32;
        let heads = attempts.iter().filter(|attempt| attempt.status.is_some()).count() as u32;
        let times = seen.times(*number);
        assert!(heads <= times && times <= sends, "{number}: seen {times} times, {attempts:?}");
        assert!(*kind == 0 || times <= 1, "{number}: a POST was seen {times} times");
        assert!(body.as_ref().is_none_or(|body| *body == number.to_string()), "{number}: got {body:?}");
        answered += usize::from(body.is_some());
        retried += usize::from(attempts.len() > 1);
    }
    println!("{answered} of {} answered, {retried} retried, over {} connections", calls.len(), seen.connections());
    assert!(answered > calls.len() / 2 && retried > calls.len() / 20);
}

/// What comes while nobody asks is nobody's answer.
#[test]
fn an_answer_before_its_request_is_not_taken() {
    let (read, said) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (reads, says) = (Arc::clone(&read), Arc::clone(&said));
    let (address, seen) = server(move |stream, _, seen| {
        while let Some((id, _)) = head(stream, seen) {
            let text = id.to_string();
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()).as_bytes());
            reads.wait();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nanother's");
            says.wait();
        }
    });
    let client = client(options());
    for number in 0..5 {
        let (body, attempts) = call(&client, &format!("http://{address}/id/{number}"), 0);
        assert_eq!((body, attempts.len()), (Some(number.to_string()), 1));
        read.wait();
        said.wait();
    }
    assert_eq!(seen.connections(), 5);
}
