//! The vectors of the decision machine: policy + steps -> decisions and balances. The format is told in the file.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reknock::retry::{Answer, Budget, Budgets, Call, Decision, Headers, Outcome, Retry};
use reknock::{ErrorKind, Evidence, Policy, Tick, UnixTime};
use serde_json::Value as Json;
use support::{counted, vector};

#[test]
fn decisions() {
    let file = vector("decide.json");
    let cases = file["cases"].as_array().expect("cases");
    for case in cases {
        let name = case["name"].as_str().expect("a name");
        let policy = support::policy(&case["policy"]);
        let budgets = Budgets::new();
        let mut calls = BTreeMap::new();
        for step in case["steps"].as_array().expect("steps") {
            take(name, step, &policy, &budgets, &mut calls);
        }
    }
    counted(cases.len(), 106);
}

struct Running {
    retry: Retry,
    origin: String,
    replayable: bool,
}

fn take(name: &str, step: &Json, policy: &Policy, budgets: &Budgets, calls: &mut BTreeMap<String, Running>) {
    let now = at(&step["at"]);
    let key = step["call"].as_str().unwrap_or("a");
    let call = calls.entry(key.to_owned()).or_insert_with(|| begin(step, policy, budgets));
    if let Some(hop) = step.get("redirect") {
        call.origin = origin(hop);
        call.retry.redirect(facts(hop), budget(policy, budgets, &call.origin, now), now);
    }
    let origin = call.origin.clone();
    match step["end"].as_str() {
        _ if step.get("redirect").is_some() => {}
        Some(how) => {
            let mut call = calls.remove(key).expect("begun");
            if step["sent"] == true {
                call.retry.attempt(now);
            }
            match how {
                "finish" => call.retry.finish(now),
                _ => drop(call),
            }
        }
        None => {
            call.retry.attempt(now);
            let decision = decide(call, step, now);
            let wanted = match (&step["then"], step["then"].as_u64()) {
                (_, Some(ms)) => Decision::Retry { wait: Duration::from_millis(ms) },
                (reason, None) => {
                    Decision::Stop(reknock::StopReason::from_code(reason.as_str().unwrap_or_default()).expect("a stop reason"))
                }
            };
            assert_eq!(decision, wanted, "{name}: {step}");
        }
    }
    if let Some(wanted) = step.get("balance") {
        let balance = policy.budget().and_then(|spec| budgets.reading(spec, &origin, now)).map(|reading| reading.balance);
        // A budget that was found but not used is as good as none.
        let balance = balance.filter(|_| policy.max_retries() > 0);
        assert_eq!(balance, wanted.as_i64(), "{name}: balance after {step}");
    }
}

fn begin(step: &Json, policy: &Policy, budgets: &Budgets) -> Running {
    let now = if step["begin"].is_null() { at(&step["at"]) } else { at(&step["begin"]) };
    let origin = origin(step);
    let retry = Retry::begin(policy, facts(step), budget(policy, budgets, &origin, now), 0, 0, now);
    Running { retry, origin, replayable: step["replayable"] != false }
}

fn origin(step: &Json) -> String {
    step["origin"].as_str().unwrap_or("http://a").to_owned()
}

fn facts(step: &Json) -> Call<'_> {
    Call { method: step["method"].as_str().unwrap_or("GET"), has_idempotency_key: step["key"] == true, asked: step["asked"] == true }
}

fn budget(policy: &Policy, budgets: &Budgets, origin: &str, now: Tick) -> Option<Arc<Budget>> {
    policy.budget().map(|spec| budgets.find(spec, origin, now).expect("a budget"))
}

fn decide(call: &mut Running, step: &Json, now: Tick) -> Decision {
    let outcome = &step["outcome"];
    let headers: Vec<(&str, &str)> = outcome["headers"]
        .as_array()
        .map(|lines| lines.iter().map(|line| (line[0].as_str().expect("a name"), line[1].as_str().expect("a value"))).collect())
        .unwrap_or_default();
    let mut fields = Fields { lines: &headers, announced: false };
    let outcome = match outcome["status"].as_u64() {
        Some(status) => Outcome::Response { status: status as u16, headers: fields.announced(&call.retry, status as u16) },
        None => Outcome::Failure {
            kind: ErrorKind::from_code(outcome["failure"].as_str().expect("a kind")).expect("a known kind"),
            evidence: Evidence::ALL.iter().copied().find(|e| outcome["evidence"] == e.code()).expect("evidence"),
            local: outcome["local"] == true,
        },
    };
    let answer = &step["answer"];
    let ms = |value: &Json| value.as_u64().map(Duration::from_millis);
    let answer = Answer { retry: answer["retry"].as_bool(), wait: ms(&answer["wait"]), backoff: ms(&answer["backoff"]) };
    let verdict = call.retry.classify(outcome, UnixTime(1_795_348_800_000));
    call.retry.decide(verdict, answer, call.replayable, now)
}

/// Header fields at which nobody looks without having said so before.
struct Fields<'a> {
    lines: &'a [(&'a str, &'a str)],
    announced: bool,
}

impl Fields<'_> {
    fn announced(&mut self, retry: &Retry, status: u16) -> &Self {
        self.announced = retry.reads_fields(status);
        self
    }
}

impl Headers for Fields<'_> {
    fn line(&self, name: &str, index: usize) -> Option<&[u8]> {
        assert!(self.announced, "{name} is looked at, of which reads_fields said nothing");
        self.lines.line(name, index)
    }
}

#[test]
fn header_fields_are_read_where_they_say_something() {
    for (document, status, asked, reads) in [
        ("{}", 200, false, false),
        ("{}", 404, false, false),
        ("{}", 503, false, true),
        ("{}", 200, true, true),
        ("{statuses: [404]}", 404, false, true),
        ("{statuses: [404, not 503]}", 503, false, false),
        ("{stop_headers: [{name: x-stop, present: true}]}", 200, false, true),
        ("{response_headers: [{name: x-again, present: true}]}", 200, false, true),
        ("{refused_headers: [{name: x-refused, present: true}]}", 200, false, true),
        ("{retry_on: [unavailable]}", 200, false, true),
        ("{compat: envoy, retry_on: [5xx]}", 200, false, true),
    ] {
        let policy = Policy::from_yaml(document).unwrap_or_else(|error| panic!("{document}: {error}"));
        let call = Call { method: "GET", has_idempotency_key: false, asked };
        assert_eq!(Retry::begin(&policy, call, None, 0, 0, Tick(0)).reads_fields(status), reads, "{document}: {status}, asked: {asked}");
    }
}

fn at(ms: &Json) -> Tick {
    Tick(ms.as_u64().expect("ms") * 1_000_000)
}
