//! The shared vectors of hints, waits and budgets, through C.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::lines::vectors;
use support::machine::{Script, WALL_MS, decide, ns};

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
