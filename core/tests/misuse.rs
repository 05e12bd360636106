//! The vectors of what the machine refuses of hosts that drive it. The format is told in the file.

mod support;

use std::sync::Arc;

use reknock::retry::driver::{Driver, Misuse, Options, Target, outcome};
use reknock::retry::{Answer, Budgets, Decision};
use reknock::{Policy, Tick, UnixTime};
use serde_json::{Value as Json, json};
use support::{counted, vector};

#[test]
fn misuse() {
    let file = vector("misuse.json");
    let cases = file["cases"].as_array().expect("cases");
    let (mut steps, mut refused) = (0, 0);
    for case in cases {
        let mut host = Host { driver: begun(&json!({"policy": {"backoff": "1ms"}}), None).expect("a call"), budgets: Arc::default() };
        for step in case["steps"].as_array().expect("steps") {
            let about = format!("{}: {step}", case["name"]);
            match (host.take(step), step["wrong"].as_str()) {
                (Ok(then), None) => assert_eq!(then, step.get("then").cloned(), "{about}"),
                (Err(misuse), Some(wrong)) => {
                    assert_eq!((kind(&misuse), misuse.to_string()), (wrong, worded(step)), "{about}");
                    refused += 1;
                }
                (other, _) => panic!("{about}: {other:?}"),
            }
            steps += 1;
        }
    }
    counted(cases.len(), 16);
    assert_eq!((steps, refused), (98, 32));
}

struct Host {
    driver: Driver,
    budgets: Arc<Budgets>,
}

impl Host {
    /// What was decided, if something was.
    fn take(&mut self, step: &Json) -> Result<Option<Json>, Misuse> {
        match step["do"].as_str().expect("a step") {
            "begin" => {
                let budgets = (step["budgets"] == true).then(|| Arc::clone(&self.budgets));
                self.driver = begun(step, budgets)?;
            }
            "attempt" => {
                self.driver.attempt(Tick(0))?;
            }
            "classify" => {
                let evidence = step["evidence"].as_str().unwrap_or("unknown");
                let headers: &[(&str, &str)] = &[];
                let outcome = outcome(step["status"].as_f64(), &headers, step["error"].as_str(), None, evidence, false, false)?;
                let _ = self.driver.classify(outcome, None, UnixTime(0), Tick(0))?;
            }
            "decide" => {
                return Ok(Some(match self.driver.decide(Answer::default(), true, Tick(0))? {
                    Decision::Retry { wait } => json!(wait.as_millis() as u64),
                    Decision::Stop(reason) => json!(reason.code()),
                }));
            }
            "redirect" => self.driver.redirect(target(step), Tick(0))?,
            "finish" => self.driver.finish(Tick(0)),
            "abandon" => self.driver.abandon(),
            other => panic!("no step: {other}"),
        }
        Ok(None)
    }
}

fn target(step: &Json) -> Target<'_> {
    Target::new("GET", step["origin"].as_str().unwrap_or_default())
}

fn begun(step: &Json, budgets: Option<Arc<Budgets>>) -> Result<Driver, Misuse> {
    let policy: Policy = support::policy(&step["policy"]);
    Driver::begin(&policy, target(step), Options { budgets, ..Options::default() }, Tick(0))
}

fn kind(misuse: &Misuse) -> &'static str {
    match misuse {
        Misuse::Order(_) => "order",
        Misuse::Value(_) => "value",
        Misuse::Budget(_) => "budget",
    }
}

/// The message with what is said in words.
fn worded(step: &Json) -> String {
    let got = if step["evidence"] == "none" { &step["evidence"] } else { &step["error"] };
    step["message"].as_str().expect("a message").replace("{got}", &got.to_string())
}

#[test]
fn what_was_probably_meant() {
    let headers: &[(&str, &str)] = &[];
    let told = |error, evidence| outcome(None, &headers, Some(error), None, evidence, false, false).err().expect("a mistake").to_string();
    assert!(told("conect", "unknown").ends_with("got \"conect\"; did you mean \"connect\"?"));
    assert!(told("reset", "notsent").ends_with("got \"notsent\"; did you mean \"not_sent\"?"));
    for status in [503.5, f64::NAN, f64::INFINITY] {
        let misuse = outcome(Some(status), &headers, None, None, "unknown", false, false).err().expect("a mistake");
        assert_eq!(misuse.to_string(), format!("status: must be a whole number from 100 to 999, got {status:?}"));
    }
}

/// A redirect is refused before anything is counted in a budget.
#[test]
fn what_is_refused_costs_nothing() {
    let policy = support::policy(&json!({"backoff": "1ms", "budget": {"ratio": 1, "min_per_second": 0, "deposit_on": "call"}}));
    let spec = policy.budget().expect("a budget");
    let budgets = Arc::new(Budgets::new());
    let to = |origin| Target::new("GET", origin);
    let mut driver = Driver::begin(&policy, to("http://a"), Options { budgets: Some(Arc::clone(&budgets)), ..Options::default() }, Tick(0))
        .expect("a call");
    driver.redirect(to("http://b"), Tick(0)).expect_err("before an attempt");
    assert_eq!(budgets.reading(spec, "http://b", Tick(0)), None);
    driver.attempt(Tick(0)).expect("an attempt");
    driver.attempt(Tick(0)).expect_err("not decided");
    let retry = driver.retry().expect("not over");
    assert_eq!((retry.attempts(), retry.hops()), (1, 0));
    driver.redirect(to("http://b"), Tick(0)).expect("a redirect");
    assert_eq!(budgets.reading(spec, "http://b", Tick(0)).map(|reading| reading.deposits), Some(1));
    driver.abandon();
    driver.redirect(to("http://c"), Tick(0)).expect_err("over");
    assert_eq!(budgets.reading(spec, "http://c", Tick(0)), None);
    assert!(driver.retry().is_none());
}
