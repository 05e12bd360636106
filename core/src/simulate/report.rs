//! The result of a simulation: all its runs together, as a value that prints the same everywhere.

use std::time::Duration;

use super::histogram::Histogram;
use super::measure::{Measure, WINDOWS};
use super::scenario::Scenario;
use crate::policy::Value;
use crate::record::StopReason;
use crate::time::{DurationText, Tick};

/// What a policy did in a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    value: Value,
    passed: bool,
}

impl Report {
    pub(super) fn new(scenario: &Scenario, runs: &[Measure]) -> Self {
        let rules = expectations(scenario, runs);
        let passed = rules.iter().all(|rule| rule.get("ok") == Some(&Value::Bool(true)));
        let value = Value::map([
            ("scenario", Value::from(scenario.name.as_str())),
            ("runs", runs.len().into()),
            ("calls", sum(runs, Measure::calls).into()),
            ("attempts", sum(runs, Measure::sends).into()),
            ("amplification", amplification(scenario, runs)),
            (
                "goodput",
                Value::map([("share", spread(runs, Measure::goodput)), ("at_the_end_per_second", spread(runs, Measure::final_rate))]),
            ),
            ("recovery", recovery(runs)),
            ("finished_seconds", spread(runs, |run| run.last as f64 / 1e9)),
            ("refusals", sum(runs, |run| run.refusals).into()),
            ("refused_while_healthy", sum(runs, |run| run.refused_while_healthy).into()),
            ("early", sum(runs, |run| run.early).into()),
            ("retries_in_100ms", runs.iter().map(|run| run.retries_in_100ms).max().unwrap_or(0).into()),
            ("calls_by_retries", Value::list(by_retries(runs))),
            ("stop_reasons", stop_reasons(runs)),
            ("durations", quantiles(&merged(runs.iter().map(|run| &run.durations)))),
            ("waits", waits(runs)),
            ("series", series(runs)),
            ("expect", Value::List(rules)),
        ]);
        Report { value, passed }
    }

    /// Everything, by names that do not change: counts are sums over the runs, `median`, `least` and `most` are over the runs, series are
    /// means by second, times are in seconds.
    pub fn to_value(&self) -> &Value {
        &self.value
    }

    /// [`Report::to_value`] as JSON: the same bytes for the same policy, scenario and seeds on every surface.
    pub fn to_json(&self) -> String {
        self.value.to_json()
    }

    /// Whether every rule of `expect` holds.
    pub fn passed(&self) -> bool {
        self.passed
    }
}

fn sum(runs: &[Measure], of: impl Fn(&Measure) -> u64) -> u64 {
    runs.iter().map(of).sum()
}

/// Four decimals: more would be noise, and fewer would hide small differences.
fn rounded(number: f64) -> Value {
    Value::number((number * 1e4).round() / 1e4)
}

fn spread(runs: &[Measure], of: impl Fn(&Measure) -> f64) -> Value {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    let median = match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    };
    let edge = |value: Option<&f64>| rounded(value.copied().unwrap_or(0.0));
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    Value::map([("median", rounded(median)), ("mean", rounded(mean)), ("least", edge(values.first())), ("most", edge(values.last()))])
}

fn amplification(scenario: &Scenario, runs: &[Measure]) -> Value {
    let own = scenario.expect.over.map(|over| over.as_secs() as usize);
    let mut windows: Vec<usize> = WINDOWS.into_iter().chain(own).filter(|window| *window as u64 <= scenario.duration.as_secs()).collect();
    windows.sort_unstable();
    windows.dedup();
    let peaks = windows.into_iter().map(|window| (format!("{window}s"), spread(runs, |run| run.peak(window))));
    Value::map([("whole", spread(runs, Measure::amplification)), ("worst_window", Value::map(peaks))])
}

/// Seconds, over the runs that recovered.
fn recovery(runs: &[Measure]) -> Value {
    let all: Vec<Option<u64>> = runs.iter().filter_map(Measure::recovery).collect();
    if all.is_empty() {
        return Value::Null;
    }
    let mut seconds: Vec<u64> = all.iter().copied().flatten().collect();
    seconds.sort_unstable();
    let at = |index: Option<usize>| index.and_then(|index| seconds.get(index)).map_or(Value::Null, |seconds| (*seconds).into());
    Value::map([
        ("recovered", rounded(seconds.len() as f64 / all.len() as f64)),
        ("median_seconds", at(seconds.len().checked_sub(1).map(|last| last / 2))),
        ("least_seconds", at(Some(0))),
        ("most_seconds", at(seconds.len().checked_sub(1))),
    ])
}

fn by_retries(runs: &[Measure]) -> Vec<u64> {
    let longest = runs.iter().map(|run| run.by_retries.len()).max().unwrap_or(0);
    (0..longest).map(|index| sum(runs, |run| run.by_retries.get(index).copied().unwrap_or(0))).collect()
}

fn stop_reasons(runs: &[Measure]) -> Value {
    let count = |reason: &StopReason| sum(runs, |run| run.reasons.iter().find(|(known, _)| known == reason).map_or(0, |(_, count)| *count));
    Value::map(StopReason::ALL.iter().map(|reason| (reason.code(), count(reason))).filter(|(_, count)| *count > 0))
}

fn merged<'a>(all: impl Iterator<Item = &'a Histogram>) -> Histogram {
    all.fold(Histogram::default(), |mut sum, each| {
        sum.add(each);
        sum
    })
}

/// In seconds, to the microsecond.
fn seconds(nanos: u64) -> Value {
    Value::number((nanos as f64 / 1e3).round() / 1e6)
}

fn quantiles(histogram: &Histogram) -> Value {
    Value::map([
        ("p50", seconds(histogram.quantile(500))),
        ("p90", seconds(histogram.quantile(900))),
        ("p99", seconds(histogram.quantile(990))),
        ("p99.9", seconds(histogram.quantile(999))),
        ("longest", seconds(histogram.most())),
    ])
}

fn waits(runs: &[Measure]) -> Value {
    let longest = runs.iter().map(|run| run.waits.len()).max().unwrap_or(0);
    Value::list((0..longest).map(|index| {
        let all = merged(runs.iter().filter_map(|run| run.waits.get(index)));
        Value::map([
            ("retry", Value::from(index + 1)),
            ("count", all.total().into()),
            ("p50", seconds(all.quantile(500))),
            ("p99", seconds(all.quantile(990))),
            ("longest", seconds(all.most())),
        ])
    }))
}

/// Means over the runs, by second.
fn series(runs: &[Measure]) -> Value {
    let seconds = runs.first().map_or(0, |run| run.offered.len());
    let mean = |of: &dyn Fn(&Measure, usize) -> f64| {
        Value::list((0..seconds).map(|second| {
            let sum: f64 = runs.iter().map(|run| of(run, second)).sum();
            Value::number((sum / runs.len() as f64 * 100.0).round() / 100.0)
        }))
    };
    Value::map([
        ("offered", mean(&|run, second| run.offered[second].into())),
        ("attempts", mean(&|run, second| run.attempts[second].into())),
        ("good", mean(&|run, second| run.good[second].into())),
        ("balance", mean(&|run, second| run.balance.get(second).or(run.balance.last()).copied().unwrap_or(0) as f64)),
    ])
}

/// The rules of the gate and what came of them.
fn expectations(scenario: &Scenario, runs: &[Measure]) -> Vec<Value> {
    let expect = &scenario.expect;
    let mut rules = Vec::new();
    let mut rule = |name: &str, wanted: Value, got: Value, ok: bool| {
        rules.push(Value::map([("rule", Value::from(name)), ("wanted", wanted), ("got", got), ("ok", ok.into())]));
    };
    let highest = |of: &dyn Fn(&Measure) -> f64| runs.iter().map(of).fold(0.0, f64::max);
    if let Some(most) = expect.amplification {
        let got = match expect.over {
            Some(over) => highest(&|run| run.peak(over.as_secs() as usize)),
            None => highest(&Measure::amplification),
        };
        let name = expect.over.map_or("amplification".to_owned(), |over| format!("amplification over {}", DurationText(over)));
        rule(&name, rounded(most), rounded(got), got <= most);
    }
    if let Some(most) = expect.recovery {
        // The slowest run; one that never recovers is slower than any.
        let slowest = runs.iter().filter_map(Measure::recovery).map(|seconds| seconds.unwrap_or(u64::MAX)).max().unwrap_or(0);
        let got = if slowest == u64::MAX { Value::from("never") } else { Value::from(format!("{slowest}s")) };
        let ok = slowest != u64::MAX && Tick(0).after(Duration::from_secs(slowest)) <= Tick(0).after(most);
        rule("recovery", DurationText(most).to_string().into(), got, ok);
    }
    if let Some(least) = expect.goodput {
        let got = runs.iter().map(Measure::goodput).fold(1.0, f64::min);
        rule("goodput", rounded(least), rounded(got), got >= least);
    }
    if let Some(most) = expect.refused_while_healthy {
        let got = runs.iter().map(|run| run.refused_while_healthy).max().unwrap_or(0);
        rule("refused_while_healthy", most.into(), got.into(), got <= most);
    }
    if let Some(most) = expect.retries_in_100ms {
        let got = runs.iter().map(|run| u64::from(run.retries_in_100ms)).max().unwrap_or(0);
        rule("retries_in_100ms", most.into(), got.into(), got <= most);
    }
    rules
}
