//! What the transport of our own promises and another cannot: evidence that races do not bend, connections that are counted, shared and closed in time.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // tests may; the servers here are threads

mod bodies;
mod connects;
#[cfg(unix)]
mod ends;
mod hostile;
mod pool;
mod races;
mod uploads;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reknock::client::{Client, HttpTransport, Proxy, TransportOptions};

/// What a server has seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// How often each request came, by its number.
    requests: Mutex<HashMap<u64, u32>>,
    connections: AtomicUsize,
    open: AtomicUsize,
}

impl Seen {
    fn note(&self, request: &[u8]) {
        let text = String::from_utf8_lossy(request);
        let number = text.split_once("/id/").and_then(|(_, rest)| rest.split(|end: char| !end.is_ascii_digit()).next()?.parse().ok());
        if let Some(number) = number {
            *self.requests.lock().unwrap().entry(number).or_default() += 1;
        }
    }

    pub(crate) fn times(&self, number: u64) -> u32 {
        self.requests.lock().unwrap().get(&number).copied().unwrap_or(0)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

/// A server that treats its connections like this, each in a thread and with its number.
pub(crate) fn server(treat: impl Fn(&mut TcpStream, u64, &Seen) + Send + Sync + 'static) -> (SocketAddr, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, seen, treat) = (listener.local_addr().unwrap(), Arc::new(Seen::default()), Arc::new(treat));
    let shared = Arc::clone(&seen);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { continue };
            let (seen, treat) = (Arc::clone(&shared), Arc::clone(&treat));
            seen.connections.fetch_add(1, Ordering::SeqCst);
            seen.open.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                treat(&mut stream, number as u64, &seen);
                drop(stream);
                seen.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (address, seen)
}

/// Reads one request, which comes in one piece, and notes it. False at the end.
pub(crate) fn read(stream: &mut TcpStream, seen: &Seen) -> bool {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(size) if size > 0 => {
            seen.note(&buffer[..size]);
            true
        }
        _ => false,
    }
}

pub(crate) fn answer(stream: &mut TcpStream) -> bool {
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_ok()
}

/// Answers what comes, as long as it comes.
pub(crate) fn answers(stream: &mut TcpStream, _: u64, seen: &Seen) {
    while read(stream, seen) && answer(stream) {}
}

pub(crate) fn options() -> TransportOptions {
    let mut options = TransportOptions::default();
    options.proxy = Proxy::None;
    options
}

pub(crate) fn client(options: TransportOptions) -> Client<HttpTransport> {
    Client::on(HttpTransport::new(&options).unwrap()).build().unwrap()
}

/// Numbers that look random, the same each time.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// How many times as many calls as in every run; ten are those of the measurements in docs/real-servers.md.
pub(crate) fn times() -> u64 {
    std::env::var("REKNOCK_RACES").map_or(1, |text| text.parse().unwrap())
}

#[track_caller]
pub(crate) fn eventually(what: &str, done: impl Fn() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(std::time::Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Passes so many microseconds without sleeping, which would take longer.
pub(crate) fn pass(microseconds: u64) {
    let began = std::time::Instant::now();
    while began.elapsed().as_micros() < u128::from(microseconds) {
        std::hint::spin_loop();
    }
}
