//! What the four systems' own tests assert of waits, counts and answers, replayed in virtual time with policies read from their documents.

mod ballerina;
mod ballerina_calls;
mod documentation;
mod envoy;
mod envoy_calls;
mod ktor;
mod ktor_calls;
mod ktor_functions;
mod ktor_recorded;
mod linkerd;

use std::time::Duration;

use crate::support::{Scripted, Step};
use reknock::client::{Client, Clock, Response, TokioClock};
use reknock::policy::{Dialect, Value, read_all};
use reknock::{Error, ErrorKind, Policy, StopReason};

const URL: &str = "http://server.test/";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn secs(secs: f64) -> Duration {
    Duration::from_secs_f64(secs)
}

fn read(text: &str) -> Policy {
    read_all(text, None).unwrap_or_else(|error| panic!("{text}: {error}")).remove(0).policy
}

/// One call: when each attempt was sent, and how it ended.
async fn call(policy: Policy, method: &str, steps: impl IntoIterator<Item = Step>) -> (Vec<Duration>, Result<Response, Error>) {
    let script = Scripted::new(steps);
    let client = Client::on(script.clone()).policy(policy).build().unwrap();
    let began = TokioClock.now();
    let result = client.request(method, URL).body("x").send().await;
    (script.sent().iter().map(|sent| sent.at.since(began)).collect(), result)
}

fn gaps(times: &[Duration]) -> Vec<Duration> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn statuses<const N: usize>(list: [u16; N]) -> [Step; N] {
    list.map(Step::status)
}

fn io() -> Step {
    Step::fail(ErrorKind::Reset)
}

/// A document of any dialect is a policy like any other: it merges, prints and comes back.
#[test]
fn a_read_policy_is_a_policy() {
    let policy = Policy::from_dialect(Dialect::Ktor, &Value::from([("maxRetries", 2)])).unwrap();
    let merged = policy.merge(&Value::from([("max_retries", 5)])).unwrap();
    assert_eq!(Policy::from_yaml(&merged.to_string()).unwrap(), merged);
}
