//! The shared vectors of the decision machine, of waits, hints and budgets, through C.
#![allow(clippy::unwrap_used)]

mod support;

use core_::{ErrorKind, Evidence};
use serde_json::{Value, json};
use support::lines::{answers, line, vectors};

/// 2026-11-22T12:00:00Z
const WALL_MS: &str = "1795348800000";

/// A conversation with the program: what is said, and what must be answered where that matters.
#[derive(Default)]
struct Script {
    questions: Vec<String>,
    wanted: Vec<Option<(Wanted, String)>>,
}

#[derive(Debug)]
enum Wanted {
    Text(String),
    /// Of what a call tells: the stop reason and the explanation.
    Told(String, String),
    /// A retry after so many milliseconds, to half of one or a millionth.
    Wait(f64),
}

impl Wanted {
    fn is(&self, answer: &str) -> bool {
        match self {
            Wanted::Text(text) => text == answer,
            Wanted::Told(reason, explained) => answer.starts_with(&format!("{reason}\t")) && answer.ends_with(&format!("\t{explained}")),
            Wanted::Wait(ms) => {
                let wait = answer.strip_prefix("retry\t").and_then(|ns| ns.parse::<f64>().ok());
                wait.is_some_and(|ns| (ns / 1e6 - ms).abs() <= 0.5_f64.max(ms * 1e-6))
            }
        }
    }
}

impl Script {
    /// Says something whose answer does not matter, unless it is a refusal.
    fn say(&mut self, fields: &[&str]) {
        self.questions.push(line(fields));
        self.wanted.push(None);
    }

    /// Says something that must be answered like this. `about` is told if it is not.
    fn expect(&mut self, fields: &[&str], answer: String, about: String) {
        self.questions.push(line(fields));
        self.wanted.push(Some((Wanted::Text(answer), about)));
    }

    /// One retry after another of a call with this seed; each of these waits is near what must be, if it is told.
    fn retries(&mut self, seed: &str, waits: impl IntoIterator<Item = Option<f64>>, about: &Value) {
        self.say(&["begin", "0", "GET", "http://a", "0", "0", "0", seed]);
        for (wait, retry) in waits.into_iter().zip(1..) {
            self.answered("0", "503", "0");
            self.questions.push(line(&decide("0", "0")));
            self.wanted.push(wait.map(|ms| (Wanted::Wait(ms), format!("{about}, retry {retry}"))));
        }
        self.say(&["free", "0"]);
    }

    fn run(self, name: &str) {
        let answers = answers("tests/c/vectors_machine.c", name, &self.questions);
        let all = self.wanted.iter().zip(&answers).filter_map(|(wanted, answer)| Some((wanted.as_ref()?, answer.join("\t"))));
        let wrong: Vec<_> = all.filter(|((wanted, _), answer)| !wanted.is(answer)).collect();
        let mut unasked = self.questions.iter().zip(&self.wanted).zip(&answers).filter(|((_, wanted), _)| wanted.is_none());
        let refused = unasked.find(|(_, answer)| answer[0] == "wrong");
        assert!(refused.is_none(), "{refused:?}");
        assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
    }

    fn policy(&mut self, policy: &Value) {
        self.expect(&["policy", &policy.to_string()], "ok".to_owned(), policy.to_string());
    }

    fn begin(&mut self, call: &str, now: &str) {
        self.say(&["begin", call, "GET", "http://a", "0", "0", now]);
    }

    /// An attempt that the server answers with this status.
    fn answered(&mut self, call: &str, status: &str, now: &str) {
        self.say(&["attempt", call, now]);
        self.say(&["response", call, status, WALL_MS, now]);
    }
}

const DEFAULT: [&str; 4] = ["0", "0", "-1", "1"];

/// The fields of a decision without callbacks.
fn decide<'f>(call: &'f str, now: &'f str) -> Vec<&'f str> {
    [&["decide", call][..], &DEFAULT, &[now]].concat()
}

fn ns(ms: f64) -> String {
    format!("{:.0}", ms * 1e6)
}

#[test]
fn decisions() {
    let file = vectors("decide");
    let cases = file["cases"].as_array().unwrap();
    let mut script = Script::default();
    for case in cases {
        script.policy(&case["policy"]);
        let mut begun: Vec<(&str, &str, &str)> = Vec::new();
        for step in case["steps"].as_array().unwrap() {
            let now = ns(step["at"].as_f64().unwrap());
            let key = step["call"].as_str().unwrap_or("a");
            let call = (key.as_bytes()[0] - b'a').to_string();
            if !begun.iter().any(|(known, ..)| *known == key) {
                let origin = step["origin"].as_str().unwrap_or("http://a");
                let flag = |name: &str| if step[name] == true { "1" } else { "0" };
                let from = ns(step["begin"].as_f64().unwrap_or(step["at"].as_f64().unwrap()));
                script.say(&["begin", &call, step["method"].as_str().unwrap_or("GET"), origin, flag("key"), flag("asked"), &from]);
                begun.push((key, origin, if step["replayable"] == false { "0" } else { "1" }));
            }
            let running = begun.iter_mut().find(|(known, ..)| *known == key).unwrap();
            if let Some(hop) = step.get("redirect") {
                running.1 = hop["origin"].as_str().unwrap_or("http://a");
                let key = if hop["key"] == true { "1" } else { "0" };
                script.say(&["redirect", &call, hop["method"].as_str().unwrap_or("GET"), running.1, key, &now]);
            }
            let (_, origin, replayable) = *running;
            if step.get("redirect").is_some() {
            } else if let Some(how) = step["end"].as_str() {
                if step["sent"] == true {
                    script.say(&["attempt", &call, &now]);
                }
                match how {
                    "finish" => script.say(&["finish", &call, &now]),
                    _ => script.say(&["free", &call]),
                }
                begun.retain(|(known, ..)| *known != key);
            } else {
                step_of(&mut script, &format!("{}: {step}", case["name"]), step, &call, replayable, &now);
            }
            if let Some(balance) = step.get("balance") {
                // A budget that was found but not used is as good as none.
                let unused = case["policy"]["max_retries"] == 0;
                let wanted = balance.as_i64().map_or("none".to_owned(), |balance| balance.to_string());
                if !unused {
                    script.expect(&["balance", origin, &now], wanted, format!("{}: balance after {step}", case["name"]));
                }
            }
        }
    }
    assert_eq!(cases.len(), 106);
    script.run("machine_decide");
}

/// One attempt, and what is decided about it.
fn step_of(script: &mut Script, about: &str, step: &Value, call: &str, replayable: &str, now: &str) {
    let outcome = &step["outcome"];
    script.say(&["attempt", call, now]);
    match outcome["status"].as_u64() {
        Some(status) => {
            let status = status.to_string();
            let mut fields = vec!["response", call, &status, WALL_MS, now];
            let none = Vec::new();
            let lines = outcome["headers"].as_array().unwrap_or(&none).iter();
            fields.extend(lines.flat_map(|line| [line[0].as_str().unwrap(), line[1].as_str().unwrap()]));
            script.say(&fields);
        }
        None => {
            let kind = ErrorKind::from_code(outcome["failure"].as_str().unwrap()).unwrap().number().to_string();
            let evidence = Evidence::ALL.iter().position(|evidence| outcome["evidence"] == evidence.code()).unwrap() + 1;
            let evidence = evidence | if outcome["local"] == true { 128 } else { 0 };
            script.say(&["failure", call, &kind, &evidence.to_string(), now]);
        }
    }
    let answer = &step["answer"];
    let number = match (answer["retry"].as_bool(), answer["wait"].as_u64()) {
        (None, None) => "0",
        (Some(true), None) => "1",
        (Some(false), None) => "2",
        (Some(true), Some(_)) => "3",
        other => panic!("{about}: no answer of C: {other:?}"),
    };
    let wait = answer["wait"].as_u64().unwrap_or(0).to_string();
    let backoff = answer["backoff"].as_i64().unwrap_or(-1).to_string();
    let wanted = step["then"].as_f64().map_or_else(|| step["then"].as_str().unwrap().to_owned(), |ms| format!("retry\t{}", ns(ms)));
    script.expect(&["decide", call, number, &wait, &backoff, replayable, now], wanted, about.to_owned());
}

/// C frees a call when it ends, and has a function each for a status and an error.
#[test]
fn misuse() {
    let file = vectors("misuse");
    let cases = file["cases"].as_array().unwrap();
    let mut script = Script::default();
    let (mut ran, mut refused) = (0, 0);
    for case in cases {
        script.policy(&json!({"backoff": "1ms"}));
        script.begin("0", "0");
        for step in case["steps"].as_array().unwrap() {
            let Some(fields) = misuse_of(step) else { continue };
            // Of the same budgets as the call before it.
            if step["do"] == "begin" {
                script.expect(&["use", &step["policy"].to_string()], "ok".to_owned(), step.to_string());
            }
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            let about = format!("{}: {step}", case["name"]);
            match (&step["wrong"], &step["then"]) {
                (Value::String(kind), _) => {
                    let status = if kind == "budget" { "config" } else { "invalid_argument" };
                    let got = if step["evidence"] == "none" { "0" } else { "99" };
                    let message = step["message"].as_str().unwrap().replace("{got}", got);
                    script.expect(&fields, format!("wrong\t{status}\t{message}"), about);
                    refused += 1;
                }
                (_, Value::Number(ms)) => script.expect(&fields, format!("retry\t{}", ns(ms.as_f64().unwrap())), about),
                (_, Value::String(reason)) => script.expect(&fields, reason.clone(), about),
                _ => script.say(&fields),
            }
            ran += 1;
        }
    }
    assert_eq!((cases.len(), ran, refused), (16, 86, 25));
    script.run("machine_misuse");
}

/// The question that a step is; none for what cannot be asked in C.
fn misuse_of(step: &Value) -> Option<Vec<String>> {
    if step["message"].as_str().is_some_and(|message| message.contains("was finished or abandoned")) {
        return None;
    }
    let origin = step["origin"].as_str().unwrap_or_default();
    let fields: Vec<&str> = match (step["do"].as_str().unwrap(), step["status"].as_i64(), step["error"].as_str()) {
        ("begin", ..) => vec!["begin", "0", "GET", origin, "0", "0", "0"],
        ("attempt", ..) => vec!["attempt", "0", "0"],
        ("classify", Some(_), Some(_)) | ("classify", None, None) => return None,
        ("classify", Some(status), None) => return Some(["response", "0", &status.to_string(), WALL_MS, "0"].map(str::to_owned).to_vec()),
        ("classify", None, Some(error)) => {
            let kind = ErrorKind::from_code(error).map_or(99, ErrorKind::number).to_string();
            let known = Evidence::ALL.iter().position(|evidence| step["evidence"] == evidence.code());
            return Some(["failure", "0", &kind, &known.map_or(0, |place| place + 1).to_string(), "0"].map(str::to_owned).to_vec());
        }
        ("decide", ..) => decide("0", "0"),
        ("redirect", ..) => vec!["redirect", "0", "GET", origin, "0", "0"],
        ("finish" | "abandon", ..) => return None,
        (other, ..) => panic!("no step: {other}"),
    };
    Some(fields.into_iter().map(str::to_owned).collect())
}

/// All but what C does not have: failures that are no kind, and what a call tells that is finished.
#[test]
fn driver() {
    let file = vectors("driver");
    let mut script = Script::default();
    let mut ran = 0;
    for case in file["cases"].as_array().unwrap() {
        script.policy(&case["policy"]);
        let call = &case["call"];
        let lines = call["headers"].as_array().map_or(&[][..], Vec::as_slice);
        let nested = if call["nested"] == true { "1" } else { "0" };
        let mut fields = vec!["begin", "0", call["method"].as_str().unwrap_or("GET"), "http://a.test", "0", "0", "0", "0", nested];
        fields.extend(lines.iter().flat_map(|line| [line[0].as_str().unwrap(), line[1].as_str().unwrap()]));
        script.say(&fields);
        for step in case["steps"].as_array().unwrap() {
            if step.get("class").is_some() || step.get("returned").is_some() || step["do"] == "abandon" {
                break;
            }
            told_of(&mut script, step, &format!("{}: {step}", case["name"]));
            ran += 1;
        }
    }
    assert_eq!(ran, 104);
    script.run("machine_driver");
}

fn told_of(script: &mut Script, step: &Value, about: &str) {
    let now = ns(step["at"].as_f64().unwrap());
    let replayable = if step["replayable"] == false { "0" } else { "1" };
    let expect = |script: &mut Script, fields: &[&str], wanted: String| script.expect(fields, wanted, about.to_owned());
    match step["do"].as_str().unwrap() {
        "attempt" => script.say(&["attempt", "0", &now]),
        "classify" => match step["status"].as_u64() {
            Some(status) => {
                let (status, lines) = (status.to_string(), step["headers"].as_array().map_or(&[][..], Vec::as_slice));
                let mut fields = vec!["response", "0", &status, WALL_MS, &now];
                fields.extend(lines.iter().flat_map(|line| [line[0].as_str().unwrap(), line[1].as_str().unwrap()]));
                script.say(&fields);
            }
            None => {
                let kind = ErrorKind::from_code(step["error"].as_str().unwrap()).unwrap().number().to_string();
                let known = step["evidence"].as_str().unwrap_or("unknown");
                let evidence = Evidence::ALL.iter().position(|evidence| known == evidence.code()).unwrap() + 1;
                script.say(&["failure", "0", &kind, &evidence.to_string(), &now]);
            }
        },
        "asks" => expect(script, &["asks", "0", replayable, &now], i32::from(step["is"] == true).to_string()),
        "decide" => {
            let wait = step["opinion"].as_u64().unwrap_or(0).to_string();
            let answer = match &step["opinion"] {
                Value::Bool(true) => "1",
                Value::String(_) => "2",
                Value::Number(_) => "3",
                _ => "0",
            };
            let wanted = step["then"].as_f64().map_or_else(|| step["then"].as_str().unwrap().to_owned(), |ms| format!("retry\t{}", ns(ms)));
            expect(script, &["decide", "0", answer, &wait, "-1", replayable, &now], wanted);
        }
        "limits" => {
            let limits: Vec<_> = step["is"].as_array().unwrap().iter().map(|limit| limit.as_f64().map_or("-1".to_owned(), ns)).collect();
            let deadline = step["is"][3].as_f64().map_or("-1".to_owned(), |_| ns(10_000.0));
            expect(script, &["limits", "0", &now], format!("{}\t{deadline}", limits.join("\t")));
        }
        // A key that was minted is another one each time.
        "fields" if step["is"].to_string().contains('*') => script.say(&["fields", "0"]),
        "fields" => {
            let fields: Vec<_> =
                step["is"].as_array().unwrap().iter().flat_map(|line| [line[0].as_str().unwrap(), line[1].as_str().unwrap()]).collect();
            expect(script, &["fields", "0"], fields.join("\t"));
        }
        "left" | "kept" => script.say(&["told", "0"]),
        "told" => {
            script.questions.push(line(&["told", "0"]));
            let (reason, explained) = (step["stop_reason"].as_str().unwrap_or("none"), step["explain"].as_str().unwrap());
            script.wanted.push(Some((Wanted::Told(reason.to_owned(), explained.to_owned()), about.to_owned())));
        }
        other => panic!("no step of C: {other}"),
    }
}

#[test]
fn hints() {
    let file = vectors("retry_after");
    let cases = file["cases"].as_array().unwrap();
    let mut script = Script::default();
    for case in cases {
        let mut policy = json!({"statuses": [503], "retry_after": {"spread": 0, "max": "none"}});
        if let Some(config) = case["config"].as_object() {
            policy["retry_after"]["headers"] = config["headers"].clone();
        }
        script.policy(&policy);
        script.begin("0", "0");
        script.say(&["attempt", "0", "0"]);
        let mut fields = vec!["response", "0", "503", WALL_MS, "0"];
        fields.extend(case["headers"].as_object().unwrap().iter().flat_map(|(name, value)| [name.as_str(), value.as_str().unwrap()]));
        let wanted = match &case["hint_ms"] {
            Value::Null => "-1".to_owned(),
            // Longer than a number of C can say.
            Value::String(_) => i64::MAX.to_string(),
            ms => ns(ms.as_f64().unwrap()),
        };
        script.expect(&fields, wanted, case.to_string());
    }
    assert_eq!(cases.len(), 40);
    script.run("machine_hints");
}

/// The draws are those of the seeds that the vectors name.
#[test]
fn waits() {
    let file = vectors("backoff");
    let mut script = Script::default();
    let (mut told, mut ran) = (0, 0);
    for case in file["cases"].as_array().unwrap() {
        let name = &case["name"];
        let waits: Vec<f64> = case["waits"].as_array().unwrap().iter().map(|wait| wait.as_f64().unwrap()).collect();
        let first = case["from_retry"].as_u64().unwrap_or(1) as usize;
        // No policy has more retries than a thousand.
        let last = (first + waits.len() - 1).min(1000);
        let told_of = |n: usize| n.checked_sub(first).map(|index| waits[index]);
        script.policy(&json!({"max_retries": last, "timeout": "none", "budget": "none", "backoff": case["backoff"]}));
        match file["seeds"][case["u"].to_string()].as_array().filter(|_| jittered(case)) {
            // Each wait comes of its own draw alone, and has a call of its own.
            Some(seeds) => {
                for n in first..=last {
                    let seed = seeds[n - 1].as_str().unwrap();
                    script.retries(seed, (1..=n).map(|retry| told_of(n).filter(|_| retry == n)), name);
                }
            }
            None => script.retries(case["seed"].as_str().unwrap_or("0"), (1..=last).map(told_of), name),
        }
        told += waits.len();
        ran += last + 1 - first;
    }
    assert_eq!((told, ran), (111, 110));
    script.run("machine_waits");
}

fn jittered(case: &Value) -> bool {
    let jitter = &case["backoff"]["jitter"];
    !jitter.is_null() && jitter != "none"
}

/// A call that ends well deposits, one that is retried withdraws.
#[test]
fn budgets() {
    let file = vectors("budget");
    let mut script = Script::default();
    let mut steps = 0;
    for case in file["cases"].as_array().unwrap() {
        let ttl = format!("{}ms", case["ttl_s"].as_f64().unwrap() * 1e3);
        let (ratio, min) = (&case["ratio"], &case["min_per_second"]);
        let budget = json!({"ratio": ratio, "min_per_second": min, "ttl": ttl, "deposit_on": "success"});
        script.policy(&json!({"max_retries": 1, "timeout": "none", "backoff": "0ms", "budget": budget}));
        for step in case["steps"].as_array().unwrap() {
            let now = ns(step["t"].as_f64().unwrap() * 1e3);
            for _ in 0..step["deposit"].as_u64().unwrap_or(0) {
                script.begin("0", &now);
                script.answered("0", "200", &now);
                script.expect(&decide("0", &now), "completed".to_owned(), step.to_string());
                script.say(&["finish", "0", &now]);
            }
            for n in 0..step["withdraw"].as_u64().unwrap_or(0) {
                script.begin("0", &now);
                script.answered("0", "503", &now);
                let granted = n < step["granted"].as_u64().unwrap();
                let wanted = if granted { "retry\t0" } else { "budget_exhausted" };
                script.expect(&decide("0", &now), wanted.to_owned(), format!("{}: {step}, withdrawal {n}", case["name"]));
                if granted {
                    // Sent: a retry that is scheduled only would be given back.
                    script.say(&["attempt", "0", &now]);
                }
                script.say(&["free", "0"]);
            }
            if let Some(balance) = step["balance"].as_i64() {
                // Budgets begin with their first call.
                script.begin("1", &now);
                script.say(&["free", "1"]);
                script.expect(&["balance", "http://a", &now], balance.to_string(), format!("{}: {step}", case["name"]));
            }
            steps += 1;
        }
    }
    assert_eq!(steps, 54);
    script.run("machine_budgets");
}

/// Time stands still: each call deposits and asks for one retry.
#[test]
fn budget_ratios_are_exact() {
    let list = &vectors("budget")["ratio_list"];
    let ratios = list["ratios"].as_array().unwrap();
    let ttl = format!("{}s", list["ttl_s"]);
    let mut script = Script::default();
    for ratio in ratios {
        let budget = json!({"ratio": ratio, "min_per_second": list["min_per_second"], "ttl": ttl, "deposit_on": "call"});
        script.policy(&json!({"budget": budget}));
        let granted = (ratio.as_f64().unwrap() * 1e4).round();
        script.expect(&["fail", "10000", "http://a"], granted.to_string(), ratio.to_string());
    }
    assert_eq!(ratios.len(), 16);
    script.run("machine_ratios");
}

#[test]
fn concurrency_budgets() {
    let file = vectors("budget");
    let cases = file["concurrency"]["cases"].as_array().unwrap();
    let mut script = Script::default();
    for case in cases {
        let number = |index: usize| case[index].as_u64().unwrap();
        let (active, held) = (number(2), number(3));
        let budget = json!({"kind": "concurrency", "percent": number(0), "min": number(1)});
        script.policy(&json!({"budget": budget, "backoff": "1s"}));
        let calls: Vec<String> = (0..active.max(held + 1)).map(|call| call.to_string()).collect();
        for call in &calls {
            script.begin(call, "0");
            script.answered(call, "503", "0");
        }
        for (n, call) in calls.iter().take(held as usize + 1).enumerate() {
            let granted = (n as u64) < held || case[4] == true;
            let wanted = if granted { format!("retry\t{}", ns(1000.0)) } else { "budget_exhausted".to_owned() };
            script.expect(&decide(call, "0"), wanted, format!("{case}: {n} held"));
            if granted {
                // Sent: what waits is not in flight.
                script.say(&["attempt", call, "0"]);
            }
        }
    }
    assert_eq!(cases.len(), 11);
    script.run("machine_concurrency");
}
