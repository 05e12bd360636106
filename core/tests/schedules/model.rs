//! One client with some calls at once, and what must be true of them afterwards.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::iter;
use reknock::client::{Body, CallOptions, Cancel, Client, Clock, Redirects, Request, TokioClock, Wants};
use reknock::policy::Value;
use reknock::{AttemptRecord, Error, ErrorKind, Evidence, Policy, StopReason, Tick};

use crate::chaos::{Chaos, Dice, Moody, Touched};

/// Calls at once.
pub const CALLS: usize = 12;
const HOPS: u32 = 3;

/// What came about, so that a run which proves nothing shows.
#[derive(Debug, Default)]
pub struct Seen {
    pub calls: u64,
    retries: u64,
    hops: u64,
    dropped: u64,
    reasons: BTreeMap<&'static str, u64>,
    kinds: BTreeMap<&'static str, u64>,
}

impl Seen {
    pub fn add(&mut self, other: Seen) {
        self.calls += other.calls;
        self.retries += other.retries;
        self.hops += other.hops;
        self.dropped += other.dropped;
        for (mine, theirs) in [(&mut self.reasons, other.reasons), (&mut self.kinds, other.kinds)] {
            for (name, count) in theirs {
                *mine.entry(name).or_default() += count;
            }
        }
    }

    /// Every stop reason came about, but those of clients that are closed and of calls within attempts of another loop.
    pub fn everything(&self) {
        for reason in StopReason::ALL.iter().filter(|reason| !matches!(reason, StopReason::Closed | StopReason::Nested)) {
            assert!(self.reasons.contains_key(reason.code()), "{reason} never came about");
        }
        assert!(self.dropped > 0 && self.hops > 0 && self.retries > 0);
    }
}

/// What the parameters of a client's budget promise.
enum Purse {
    None,
    /// In millionths of a retry.
    Ratio(i64, i64),
    Concurrency(i64),
}

fn policy(dice: &mut Dice) -> (Policy, Purse, bool) {
    let ms = |n: u64| Value::Str(format!("{n}ms"));
    let any = dice.chance(15);
    let (budget, purse) = match dice.below(4) {
        0 => (Value::Null, Purse::None),
        1 => {
            let min = dice.below(3) as i64;
            let percent = dice.pick(&[0, 20, 100]);
            let kind = Value::map([("kind", Value::from("concurrency")), ("percent", Value::Int(percent)), ("min", Value::Int(min))]);
            (kind, Purse::Concurrency(min))
        }
        _ => {
            let (ratio, millionths) = dice.pick(&[(0.0, 0), (0.2, 200_000), (0.5, 500_000), (1.0, 1_000_000)]);
            let min = dice.pick(&[0, 0, 1]);
            let kind = Value::map([
                ("ratio", Value::Float(ratio)),
                ("min_per_second", Value::Int(min)),
                ("ttl", Value::from("60s")),
                ("deposit_on", Value::from("call")),
            ]);
            (kind, Purse::Ratio(millionths, min * 60_000_000))
        }
    };
    let optional = |dice: &mut Dice, from: u64, most: u64| if dice.chance(70) { ms(from + dice.below(most)) } else { Value::Null };
    let document = Value::map([
        ("max_retries", Value::Int(dice.below(5) as i64)),
        ("timeout", ms(100 + dice.below(3000))),
        ("per_try_timeout", optional(dice, 20, 300)),
        ("connect_timeout", optional(dice, 10, 60)),
        ("idle_timeout", optional(dice, 10, 200)),
        ("backoff", if dice.chance(30) { Value::from("none") } else { ms(1 + dice.below(120)) }),
        ("max_body_buffer", Value::Int(dice.pick(&[0, 10, 1000]))),
        ("methods", Value::from(if any { "any" } else { "idempotent" })),
        ("budget", budget),
        ("retry_after", if dice.chance(30) { Value::map([("max", Value::from("1s"))]) } else { Value::Null }),
    ]);
    (Policy::default().merge(&document).unwrap_or_else(|error| panic!("{error}")), purse, any)
}

enum Off {
    Not,
    Cancel(Duration),
    Drop(Duration),
}

/// What a call says of itself.
type Told = Result<(u16, Vec<AttemptRecord>, StopReason), Error>;

/// A call as it ended.
struct Over {
    /// `None` if it was dropped.
    result: Option<Told>,
    ended: Tick,
    began: Tick,
    cancelled: Option<Tick>,
    redirects: Vec<String>,
}

pub async fn schedule(seed: u64, seen: &mut Seen) {
    let mut dice = Dice(seed);
    let (policy, purse, any) = policy(&mut dice);
    let transport = Chaos::new(dice.next(), CALLS);
    let redirects = Redirects { max: dice.below(u64::from(HOPS) + 1) as u32, ..Redirects::default() };
    let client = Client::on(transport.clone()).policy(policy.clone()).redirects(redirects).build().unwrap();
    let began = TokioClock.now();
    let (mut bodies, mut calls) = (Vec::new(), Vec::new());
    for call in 0..CALLS {
        let (running, body) = one(&client, call, Dice(dice.next()));
        bodies.push(body);
        calls.push(running);
    }
    let over = join_all(calls).await;
    assert!(TokioClock.now().since(began) < Duration::from_secs(50), "the window of the budget must not move on");

    let touched = transport.calls.lock().unwrap().clone();
    let sends = transport.sends.lock().unwrap().clone();
    let mut expected: HashMap<String, (u64, u64, u64)> = HashMap::new();
    for (call, over) in over.iter().enumerate() {
        let what = format!("seed {seed} call {call}: {:?}", over.result);
        seen.calls += 1;
        check(over, &policy, any, redirects.max, &touched[call], &what);
        for sent in touched[call].iter().filter(|sent| sent.method != "GET") {
            assert!(sent.body.as_ref().is_none_or(|body| *body == bodies[call]), "{what}: {sent:?}");
        }
        let hops: Vec<u32> = match &over.result {
            Some(Ok((_, records, _))) => records.iter().map(|record| record.hop).collect(),
            Some(Err(error)) => error.attempts().iter().map(|record| record.hop).collect(),
            None => sends[call].clone(),
        };
        // What the budgets must have seen.
        let host = |hop: u32| match hop {
            0 => "http://o0.test".to_owned(),
            hop => over.redirects[hop as usize - 1][..14].to_owned(),
        };
        expected.entry(host(0)).or_default().0 += 1;
        for (n, hop) in hops.iter().enumerate() {
            let entry = expected.entry(host(*hop)).or_default();
            entry.2 += 1;
            if n > 0 && hops[n - 1] == *hop {
                entry.1 += 1;
                seen.retries += 1;
            } else if n > 0 {
                entry.0 += 1;
                seen.hops += 1;
            }
        }
        note(over, seen);
    }
    for (origin, (deposits, withdrawals, sends)) in expected {
        let what = format!("seed {seed} {origin}");
        let Some(reading) = client.budget(&origin) else {
            assert!(matches!(purse, Purse::None), "{what}: no budget");
            continue;
        };
        if policy.max_retries() == 0 {
            assert_eq!((reading.deposits, reading.withdrawals), (0, 0), "{what}: retries are off");
            continue;
        }
        assert_eq!(reading.withdrawals, withdrawals, "{what}: retries paid and made {reading:?}");
        match purse {
            Purse::None => panic!("{what}: a budget"),
            Purse::Ratio(ratio, reserve) => {
                let balance = (reserve + ratio * deposits as i64 - 1_000_000 * withdrawals as i64) / 1_000_000;
                assert_eq!((reading.deposits, reading.balance), (deposits, balance), "{what}: {reading:?}");
            }
            Purse::Concurrency(min) => {
                assert_eq!((reading.deposits, reading.balance), (sends, min), "{what}: nothing in flight, nothing held: {reading:?}");
            }
        }
    }
}

fn note(over: &Over, seen: &mut Seen) {
    match &over.result {
        None => seen.dropped += 1,
        Some(Ok((_, _, reason))) => *seen.reasons.entry(reason.code()).or_default() += 1,
        Some(Err(error)) => {
            *seen.kinds.entry(error.kind().code()).or_default() += 1;
            *seen.reasons.entry(error.stop_reason().unwrap().code()).or_default() += 1;
        }
    }
}

/// One call, to be started a little later, and its body.
fn one<'a>(client: &'a Client<Chaos>, call: usize, mut dice: Dice) -> (impl Future<Output = Over> + 'a, Vec<u8>) {
    let method = dice.pick(&["GET", "PUT", "POST", "POST"]);
    let mut request = Request::new(method, "http://o0.test/h0").unwrap();
    request.set_header("x-call", &call.to_string()).unwrap();
    let whole = if method == "GET" { Vec::new() } else { vec![b'b'; dice.below(30) as usize] };
    if dice.chance(40) {
        request.set_body(whole.clone());
    } else if method != "GET" {
        let wait = dice.ms(20);
        let pieces: Vec<Result<Bytes, reknock::BoxError>> = whole.chunks(7).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let slowly = iter(pieces).then(move |piece| async move {
            tokio::time::sleep(wait).await;
            piece
        });
        request.set_body(Body::stream(slowly, None));
    }
    let answers = dice.chance(50);
    let wants = Wants {
        retry_if: answers && dice.chance(60),
        body: dice.chance(20),
        delay: answers && dice.chance(40),
        before_retry: answers && dice.chance(40),
        before_attempt: answers && dice.chance(20),
        events: true,
        notices: false,
    };
    let told = Arc::new(Mutex::new(Vec::new()));
    let host = Moody { dice: Dice(dice.next()), wants, redirects: told.clone() };
    let at_once = dice.chance(20);
    let off = match dice.below(10) {
        0 => Off::Cancel(dice.ms(if at_once { 0 } else { 600 })),
        1 => Off::Drop(dice.ms(600)),
        _ => Off::Not,
    };
    let (start, streamed) = (dice.ms(300), dice.chance(20));
    let running = async move {
        tokio::time::sleep(start).await;
        let cancel = Cancel::new();
        let options = CallOptions { cancel: Some(cancel.clone()), ..CallOptions::default() };
        let began = TokioClock.now();
        let running = async {
            let result = match streamed {
                false => client.send_with(request, &options, host).await.map(reknock::client::Response::into_parts).map(|(head, _)| head),
                true => client.stream_with(request, &options, host).await.map(|response| reknock::client::ResponseHead::clone(&response)),
            };
            let result = result.map(|head| (head.status(), head.attempts().to_vec(), head.stop_reason()));
            (result, TokioClock.now())
        };
        let (result, ended, cancelled) = match off {
            Off::Not => {
                let (result, ended) = running.await;
                (Some(result), ended, None)
            }
            Off::Cancel(after) => {
                let calling_off = async {
                    if !after.is_zero() {
                        tokio::time::sleep(after).await;
                    }
                    cancel.cancel();
                    TokioClock.now()
                };
                // The cancel comes first: one of zero is there before the call.
                let (at, (result, ended)) = tokio::join!(biased; calling_off, running);
                (Some(result), ended, Some(at))
            }
            Off::Drop(after) => match tokio::time::timeout(after, running).await {
                Ok((result, ended)) => (Some(result), ended, None),
                Err(_) => (None, TokioClock.now(), None),
            },
        };
        let redirects = told.lock().unwrap().clone();
        Over { result, ended, began, cancelled, redirects }
    };
    (running, whole)
}

fn check(over: &Over, policy: &Policy, any: bool, max_hops: u32, touched: &[Touched], what: &str) {
    let timeout = policy.timeout().unwrap();
    // Tokio's timers count whole milliseconds.
    assert!(over.ended.since(over.began) <= timeout + Duration::from_millis(1), "{what}: outlived its deadline");
    if let Some(at) = over.cancelled {
        assert!(over.ended <= at, "{what}: cancelled at {at:?}, ended at {:?}", over.ended);
    }
    let Some(result) = &over.result else { return };
    let (records, reason) = match result {
        Ok((status, records, reason)) => {
            assert_eq!(records.last().unwrap().status, Some(*status), "{what}");
            (&records[..], *reason)
        }
        Err(error) => (error.attempts(), error.stop_reason().expect(what)),
    };
    let hops = records.last().map_or(0, |record| record.hop);
    assert!(hops <= max_hops && records.len() as u32 <= policy.max_retries() + 1 + hops, "{what}: too many sends");
    let sent = records.iter().filter(|record| record.evidence != Evidence::NotSent).count();
    assert_eq!(sent, touched.len(), "{what}: {touched:?}");
    for (n, record) in records.iter().enumerate() {
        assert_eq!(record.number as usize, n + 1, "{what}");
        let Some(next) = records.get(n + 1) else { continue };
        assert!(record.status.is_some() || record.error.is_some(), "{what}");
        let retried = next.hop == record.hop;
        assert!(retried || next.hop == record.hop + 1, "{what}");
        assert_eq!(record.wait.is_some(), retried, "{what}: a wait before a retry, none before a hop");
        assert!(next.start >= record.start + record.duration + record.wait.unwrap_or_default(), "{what}");
        let method = touched.iter().find(|sent| sent.hop == record.hop).map(|sent| sent.method.as_str());
        if retried && method == Some("POST") && !any {
            assert_ne!(record.evidence, Evidence::Unknown, "{what}: an unsafe method was repeated");
        }
    }
    if let Err(error) = result {
        let fits = match error.kind() {
            // While the body of a response that had been given up on is read, the reason is why it was.
            ErrorKind::Deadline if reason != StopReason::Deadline => error.status().is_some() && reason != StopReason::Completed,
            ErrorKind::Deadline => over.ended.since(over.began) >= timeout,
            ErrorKind::Cancelled => over.cancelled == Some(over.ended) && reason == StopReason::Cancelled,
            ErrorKind::Callback => reason == StopReason::Callback,
            _ => !matches!(reason, StopReason::Completed | StopReason::Cancelled | StopReason::Callback),
        };
        assert!(fits, "{what}: {reason}");
    }
}
