//! A transport and a host that do something else every time, as a seed has it, in virtual time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use reknock::client::transport::{Failure, Incoming, Outgoing, OutgoingBody, Received, Transport};
use reknock::client::{Clock, Event, EventKind, Host, Opinion, Question, Reply, TokioClock, Wants};
use reknock::{BoxError, ErrorKind, Evidence};

/// splitmix64.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn ms(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.below(most + 1))
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// One send that was touched: something of it may have arrived.
#[derive(Clone, Debug)]
pub struct Touched {
    pub method: String,
    pub hop: u32,
    /// The whole body, if it was uploaded.
    pub body: Option<Vec<u8>>,
}

/// What the sends of each call were.
#[derive(Clone)]
pub struct Chaos {
    pub seed: u64,
    pub calls: Arc<Mutex<Vec<Vec<Touched>>>>,
    /// The hops that the transport was asked for, per call.
    pub sends: Arc<Mutex<Vec<Vec<u32>>>>,
}

impl Chaos {
    pub fn new(seed: u64, calls: usize) -> Self {
        Chaos { seed, calls: Arc::new(Mutex::new(vec![Vec::new(); calls])), sends: Arc::new(Mutex::new(vec![Vec::new(); calls])) }
    }
}

pub struct ChaosBody(VecDeque<(Duration, Option<usize>)>);

fn number(headers: &HeaderMap, name: &str) -> usize {
    headers[name].to_str().unwrap().parse().unwrap()
}

impl Transport for Chaos {
    type Body = ChaosBody;

    async fn send(&self, outgoing: Outgoing) -> Result<Received<ChaosBody>, Failure> {
        let call = number(&outgoing.headers, "x-call");
        let hop: u32 = outgoing.url.path()[2..].parse().unwrap();
        let nth = {
            let mut sends = self.sends.lock().unwrap();
            sends[call].push(hop);
            sends[call].len() as u64
        };
        let mut dice = Dice(self.seed ^ (call as u64) << 40 ^ nth << 20);
        dice.next();
        let clock = TokioClock;
        let progress = outgoing.progress;
        if dice.chance(25) {
            progress.connect_began(clock.now());
            let wait = dice.ms(60);
            let limit = outgoing.connect_timeout.unwrap_or(Duration::MAX);
            tokio::time::sleep(wait.min(limit)).await;
            progress.connect_ended(clock.now());
            if wait > limit {
                return Err(Failure::new(ErrorKind::ConnectTimeout, Evidence::NotSent, "chaos"));
            }
            if dice.chance(30) {
                return Err(Failure::new(dice.pick(&[ErrorKind::Connect, ErrorKind::Tls]), Evidence::NotSent, "chaos"));
            }
        }
        progress.touch(clock.now());
        let place = {
            let mut calls = self.calls.lock().unwrap();
            calls[call].push(Touched { method: outgoing.method.to_string(), hop, body: None });
            calls[call].len() - 1
        };
        let mut uploaded = Vec::new();
        match outgoing.body {
            OutgoingBody::Bytes(bytes) => uploaded.extend_from_slice(&bytes),
            OutgoingBody::Stream { mut stream, .. } => {
                // Some die half-way.
                let most = if dice.chance(20) { dice.below(4) } else { u64::MAX };
                for n in 0.. {
                    if n == most {
                        return Err(Failure::new(ErrorKind::Reset, Evidence::Unknown, "chaos"));
                    }
                    let Some(piece) = stream.next().await else { break };
                    let failed = |source| Failure { source: Some(source), ..Failure::new(ErrorKind::Callback, Evidence::Unknown, "chaos") };
                    uploaded.extend_from_slice(&piece.map_err(failed)?);
                    progress.touch(clock.now());
                }
            }
            _ => panic!("an unknown kind of body"),
        }
        self.calls.lock().unwrap()[call][place].body = Some(uploaded);
        progress.uploaded(clock.now());
        match dice.below(20) {
            0 => std::future::pending().await,
            1..=10 => tokio::time::sleep(dice.ms(150)).await,
            _ => {}
        }
        outcome(&mut dice, hop)
    }
}

fn outcome(dice: &mut Dice, hop: u32) -> Result<Received<ChaosBody>, Failure> {
    if dice.chance(25) {
        let (kind, evidence) = dice.pick(&[
            (ErrorKind::Reset, Evidence::Unknown),
            (ErrorKind::Reset, Evidence::Unknown),
            (ErrorKind::RefusedStream, Evidence::Refused),
            (ErrorKind::Protocol, Evidence::Unknown),
            (ErrorKind::Internal, Evidence::Unknown),
        ]);
        return Err(Failure { permanent: dice.chance(3), ..Failure::new(kind, evidence, "chaos") });
    }
    let status = dice.pick(&[200, 200, 200, 204, 404, 503, 503, 503, 500, 429, 421, 425, 302, 303, 307, 308]);
    let mut headers = HeaderMap::new();
    if (300..400).contains(&status) && dice.chance(90) {
        let location = format!("http://o{}.test/h{}", dice.below(3), hop + 1);
        headers.insert("location", HeaderValue::from_str(&location).unwrap());
    }
    if dice.chance(15) {
        headers.insert("retry-after", HeaderValue::from(dice.below(4)));
    }
    let mut pieces = VecDeque::new();
    if status != 204 {
        for _ in 0..dice.below(3) {
            pieces.push_back((dice.ms(40), Some(dice.below(3000) as usize)));
        }
        match dice.below(12) {
            0 => pieces.push_back((dice.ms(20), None)),
            1 => pieces.push_back((Duration::from_secs(3600), Some(1))),
            _ => {}
        }
    }
    let length = dice.chance(10).then_some(1000);
    let status = StatusCode::from_u16(status).unwrap();
    Ok(Received { reason: None, status, version: Version::HTTP_11, headers, body: ChaosBody(pieces), length })
}

impl Incoming for ChaosBody {
    async fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some((after, piece)) = self.0.front().copied() else { return Ok(None) };
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        self.0.pop_front();
        match piece {
            Some(size) => Ok(Some(Bytes::from(vec![b'x'; size]))),
            None => Err(Failure::new(ErrorKind::Body, Evidence::Unknown, "chaos")),
        }
    }
}

/// Callbacks that answer anything, late, never, with an error or a panic.
pub struct Moody {
    pub dice: Dice,
    pub wants: Wants,
    /// Where redirects led.
    pub redirects: Arc<Mutex<Vec<String>>>,
}

impl Host for Moody {
    fn wants(&self) -> Wants {
        self.wants
    }

    async fn ask(&mut self, question: Question) -> Result<Reply, BoxError> {
        // At once: what a hop has deposited whose attempt never began is told by nobody.
        if let Question::BeforeAttempt(_) = question {
            return Ok(Reply::Fields(HeaderMap::from_iter([(HeaderName::from_static("x-attempt"), HeaderValue::from_static("1"))])));
        }
        match self.dice.below(60) {
            0 => std::future::pending().await,
            1 => return Err("chaos".into()),
            // Without the panic hook, which would print it.
            2 => std::panic::resume_unwind(Box::new("chaos")),
            3..=8 => tokio::time::sleep(self.dice.ms(80)).await,
            _ => {}
        }
        Ok(match question {
            Question::RetryIf(_) => Reply::Opinion(match self.dice.below(5) {
                0 => Opinion::Stop,
                1 => Opinion::Retry,
                2 => Opinion::After(self.dice.ms(60)),
                _ => Opinion::None,
            }),
            Question::Delay(_) => Reply::Delay(self.dice.chance(70).then(|| self.dice.ms(50))),
            Question::BeforeRetry(_, mut request) => {
                request.set_header("x-edited", "1").unwrap();
                Reply::Request(request)
            }
            Question::BeforeAttempt(_) => {
                Reply::Fields(HeaderMap::from_iter([(HeaderName::from_static("x-attempt"), "1".parse().unwrap())]))
            }
            other => panic!("{other:?}"),
        })
    }

    fn tell(&mut self, event: Event) {
        if let EventKind::Redirect { target, .. } = event.kind {
            self.redirects.lock().unwrap().push(target);
        }
    }
}
