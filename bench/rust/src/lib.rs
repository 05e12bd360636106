//! What the Rust programs share: arguments, the measured loop, the report. The protocol is described in bench/README.md.

use std::error::Error;
use std::fs;
use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};

pub type Failure = Box<dyn Error + Send + Sync>;

/// What came back from one call.
pub struct Reply {
    pub status: u16,
    pub body: Bytes,
}

/// What the orchestrator asks for.
pub struct Task {
    pub url: String,
    pub in_flight: usize,
    pub retries: u32,
    warm: f64,
    seconds: f64,
}

struct Phase {
    calls: u64,
    bytes: u64,
    wall: f64,
    last: Bytes,
}

/// Measures the calls of the client that `open` makes.
pub fn run<C, F>(open: impl FnOnce(&Task) -> Result<C, Failure>) -> Result<(), Failure>
where
    C: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Reply, Failure>> + Send + 'static,
{
    let task = Task::from_arguments()?;
    let bare = peak_kib();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let start = Instant::now();
        let call = open(&task)?;
        let first = checked(call().await?)?;
        let start = start.elapsed().as_secs_f64();

        let warm = phase(&call, task.in_flight, task.warm).await?;
        let cpu = cpu_seconds();
        let timed = phase(&call, task.in_flight, task.seconds).await?;
        let cpu = cpu_seconds() - cpu;

        println!(
            r#"{{"calls": {}, "all_calls": {}, "wall": {:.6}, "cpu": {cpu:.6}, "bytes": {}, "checksums": [{}, {}], "import": null, "start": {start:.6}, "bare_kib": {bare}, "peak_kib": {}}}"#,
            timed.calls,
            timed.calls + warm.calls + 1,
            timed.wall,
            timed.bytes + warm.bytes + first.body.len() as u64,
            checksum(&first.body),
            checksum(&timed.last),
            peak_kib(),
        );
        Ok(())
    })
}

impl Task {
    /// What each call sends.
    pub fn body(&self) -> Option<Bytes> {
        self.url.ends_with("/upload").then(|| (0..100 * 1024).map(|i| b'a' + (i % 23) as u8).collect())
    }

    fn from_arguments() -> Result<Self, Failure> {
        let mut arguments = std::env::args().skip(1);
        let mut next = || arguments.next().ok_or("usage: PROGRAM URL IN_FLIGHT WARM SECONDS RETRIES");
        Ok(Self { url: next()?, in_flight: next()?.parse()?, warm: next()?.parse()?, seconds: next()?.parse()?, retries: next()?.parse()? })
    }
}

/// Keeps `in_flight` calls going for so long; each of them ends.
async fn phase<C, F>(call: &C, in_flight: usize, seconds: f64) -> Result<Phase, Failure>
where
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<Reply, Failure>> + Send + 'static,
{
    let begin = Instant::now();
    let end = begin + Duration::from_secs_f64(seconds);
    let workers: Vec<_> = (0..in_flight).map(|_| tokio::spawn(worker(call.clone(), end))).collect();
    let mut total = Phase { calls: 0, bytes: 0, wall: 0.0, last: Bytes::new() };
    for worker in workers {
        let part = worker.await??;
        total.calls += part.calls;
        total.bytes += part.bytes;
        total.last = part.last;
    }
    total.wall = begin.elapsed().as_secs_f64();
    Ok(total)
}

async fn worker<C, F>(call: C, end: Instant) -> Result<Phase, Failure>
where
    C: Fn() -> F,
    F: Future<Output = Result<Reply, Failure>>,
{
    let mut done = Phase { calls: 0, bytes: 0, wall: 0.0, last: Bytes::new() };
    loop {
        done.last = checked(call().await?)?.body;
        done.calls += 1;
        done.bytes += done.last.len() as u64;
        if Instant::now() >= end {
            return Ok(done);
        }
    }
}

fn checked(reply: Reply) -> Result<Reply, Failure> {
    if reply.status == 200 { Ok(reply) } else { Err(format!("status {}", reply.status).into()) }
}

fn checksum(body: &[u8]) -> u32 {
    body.iter().fold(0, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)))
}

/// Largest memory of this process so far. Not `ru_maxrss`, which starts with that of the process that started us.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
