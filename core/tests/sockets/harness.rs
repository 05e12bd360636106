//! A client for a script, one call, and the comparison of what was recorded with what arrived.

use reknock::client::{Client, ClientBuilder, Http2, Response, TransportOptions};
use reknock::policy::Value;
use reknock::{AttemptRecord, Error, ErrorKind, Evidence, Policy, StopReason};
use reknock_test_server::{Arrival, Script};

pub use crate::live::{Peer, eventually, patient, peer, without_waits};

/// The default policy without waits, changed by a YAML document.
pub fn policy(document: &str) -> Policy {
    without_waits(&Value::from_yaml(document).unwrap_or_else(|error| panic!("{document}: {error}")))
}

/// Transport options that suit the script: its authority, and HTTP/2 without asking if that is all it speaks.
pub fn options(script: &Script, http2: Http2) -> TransportOptions {
    let mut options = crate::live::options(script.ca());
    options.http2 = http2;
    options
}

pub fn builder(script: &Script, document: &str) -> ClientBuilder {
    Client::on(options(script, Http2::Auto)).policy(policy(document))
}

pub fn client(script: &Script, document: &str) -> Client {
    builder(script, document).build().unwrap()
}

pub type Outcome = Result<Response, Error>;

/// What was recorded, and why the call stopped.
pub fn told(outcome: &Outcome) -> (&[AttemptRecord], StopReason) {
    match outcome {
        Ok(response) => (response.attempts(), response.stop_reason()),
        Err(error) => (error.attempts(), error.stop_reason().expect("an error of a call that was tried")),
    }
}

/// The status or the kind: what the caller sees first.
pub fn seen(outcome: &Outcome) -> Result<u16, ErrorKind> {
    outcome.as_ref().map(|response| response.status()).map_err(Error::kind)
}

/// What every call owes: a request arrives for every attempt but those that say "not sent", and all that arrive are alike. Text that
/// is told to people is there.
pub async fn honest(script: &Script, outcome: &Outcome) -> Vec<Arrival> {
    let (records, _) = told(outcome);
    let sent = records.iter().filter(|record| record.evidence != Evidence::NotSent).count();
    eventually(script, &format!("a request arrives for every attempt of {outcome:?}"), || script.log().len() >= sent).await;
    let log = script.log();
    assert_eq!(log.len(), sent, "arrivals for {records:#?}");
    alike(&log);
    presentable(outcome);
    log
}

/// The weaker truth where the peer closes before it reads: nothing arrives that was not recorded.
pub fn honest_at_most(script: &Script, outcome: &Outcome) {
    let (records, _) = told(outcome);
    let sent = records.iter().filter(|record| record.evidence != Evidence::NotSent).count();
    let log = script.log();
    assert!(log.len() <= sent, "{} arrivals for {records:#?}", log.len());
    alike(&log);
    presentable(outcome);
}

/// Method, target, header lines and body are the same on every attempt.
fn alike(log: &[Arrival]) {
    let Some(first) = log.first() else { return };
    for other in log {
        assert_eq!((&first.method, &first.target, &first.headers), (&other.method, &other.target, &other.headers));
        if first.body_complete && other.body_complete {
            assert_eq!((first.body_size, &first.body_sha256), (other.body_size, &other.body_sha256));
        }
    }
}

fn presentable(outcome: &Outcome) {
    let (explained, error) = match outcome {
        Ok(response) => (response.explain(), None),
        Err(error) => (error.explain(), Some(error)),
    };
    let (records, reason) = told(outcome);
    assert_eq!(explained.lines().count(), records.len() + 2, "{explained}");
    assert!(explained.contains(reason.code()), "{explained}");
    let numbers: Vec<u32> = records.iter().map(|record| record.number).collect();
    assert_eq!(numbers, (1..=records.len() as u32).collect::<Vec<_>>());
    for pair in records.windows(2) {
        assert!(pair[1].start >= pair[0].start + pair[0].duration, "{pair:?}");
    }
    if let Some(error) = error {
        let text = error.to_string();
        assert!(!text.is_empty() && !text.contains('\n') && !format!("{text} {error:?}").contains("hunter2"), "{text}");
    }
}
