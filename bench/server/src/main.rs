//! The server that every client is measured against: HTTP/1.1 with keep-alive, one thread, loopback, ends when its standard input does.
//!
//! Prints two addresses. Requests to the first are counted: `/small` answers 11 bytes, so does `/upload` once it has read 100 KiB; anything else
//! 100 KiB. The second is for whoever
//! measures: `/begin/N` resets the counts and makes one of each N requests a 503 (0: none), `/end` returns the counts as JSON.

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rustix::time::{ClockId, clock_gettime};
use tokio::net::TcpListener;

/// What happened since `/begin`.
#[derive(Default)]
struct Counts {
    every: Cell<u64>,
    requests: Cell<u64>,
    failures: Cell<u64>,
    connections: Cell<u64>,
    cpu_at_begin: Cell<f64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let data = TcpListener::bind("127.0.0.1:0").await?;
        let control = TcpListener::bind("127.0.0.1:0").await?;
        println!("{} {}", data.local_addr()?, control.local_addr()?);

        let counts = Rc::new(Counts::default());
        let bodies = Bodies { small: body(11), large: body(100 * 1024) };
        let (on_data, on_control) = (counts.clone(), counts.clone());
        let (opened, ignored) = (counts.clone(), Rc::default());
        let length = bodies.large.len();
        tokio::task::spawn_local(accept(data, opened, length, move |request| answer(request, &on_data, &bodies)));
        tokio::task::spawn_local(accept(control, ignored, 0, move |request| steer(request.uri().path(), &on_control)));
        tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await?;
        Ok(())
    })
}

/// `length`: that of a body sent to `/upload`.
async fn accept(
    listener: TcpListener,
    counts: Rc<Counts>,
    length: usize,
    answer: impl Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Clone + 'static,
) {
    loop {
        // A failed accept (descriptors used up, a client that left) concerns nobody else.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        add(&counts.connections);
        let answer = answer.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut response = answer(&request);
            async move {
                if request.uri().path() == "/upload" && read(request).await != Some(length) {
                    *response.status_mut() = StatusCode::BAD_REQUEST;
                }
                Ok::<_, Infallible>(response)
            }
        });
        tokio::task::spawn_local(http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service));
    }
}

#[derive(Clone)]
struct Bodies {
    small: Bytes,
    large: Bytes,
}

fn answer(request: &Request<Incoming>, counts: &Counts, bodies: &Bodies) -> Response<Full<Bytes>> {
    if fails(add(&counts.requests), counts.every.get()) {
        add(&counts.failures);
        let mut refusal = Response::new(Full::new(bodies.small.clone()));
        *refusal.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return refusal;
    }
    let body = if matches!(request.uri().path(), "/small" | "/upload") { &bodies.small } else { &bodies.large };
    Response::new(Full::new(body.clone()))
}

/// The size of a request's body, unless it breaks off.
async fn read(request: Request<Incoming>) -> Option<usize> {
    let (mut body, mut size) = (request.into_body(), 0);
    while let Some(frame) = body.frame().await {
        size += frame.ok()?.into_data().map_or(0, |data| data.len());
    }
    Some(size)
}

/// Whether this request fails: one of each `every` does (0: none), each time in a place drawn anew, the same for every client. Not every Nth:
/// threads that take turns fall into step with that, until one of them meets nothing but failures.
fn fails(number: u64, every: u64) -> bool {
    every > 0 && number % every == SmallRng::seed_from_u64(number / every).random_range(0..every)
}

fn steer(path: &str, counts: &Counts) -> Response<Full<Bytes>> {
    if let Some(every) = path.strip_prefix("/begin/").and_then(|n| n.parse().ok()) {
        counts.every.set(every);
        counts.requests.set(0);
        counts.failures.set(0);
        counts.connections.set(0);
        counts.cpu_at_begin.set(cpu_seconds());
    }
    let (requests, failures, connections) = (counts.requests.get(), counts.failures.get(), counts.connections.get());
    let cpu = cpu_seconds() - counts.cpu_at_begin.get();
    let text = format!(r#"{{"requests": {requests}, "failures": {failures}, "connections": {connections}, "cpu": {cpu:.6}}}"#);
    Response::new(Full::new(text.into()))
}

/// Adds one and returns the sum.
fn add(count: &Cell<u64>) -> u64 {
    count.set(count.get() + 1);
    count.get()
}

/// Not uniform, so that a body that was cut or mixed up has another checksum.
fn body(length: usize) -> Bytes {
    (0..length).map(|i| b'a' + (i % 23) as u8).collect()
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
