//! Results that others published or measured, repeated.

use super::{number, run};

/// The AWS architecture blog's simulator (row "optimistic lock"): calls and milliseconds until the last of N clients has won, means of 40 runs.
#[test]
fn jitter_spreads_contending_clients() {
    // clients; then, by back-off, calls and milliseconds of the reference.
    const NONE: &str = "none";
    const EXPONENTIAL: &str = "{base: 10ms, max: 2s, jitter: none}";
    const EQUAL: &str = "{base: 10ms, max: 2s, jitter: equal}";
    const FULL: &str = "{base: 10ms, max: 2s, jitter: full}";
    const DECORRELATED: &str = "{kind: decorrelated, min: 5ms, max: 2s}";
    const ROWS: &[(u32, &str, f64, f64)] = &[
        (50, NONE, 691.0, 1141.0),
        (50, EXPONENTIAL, 627.0, 37401.0),
        (50, EQUAL, 346.0, 4130.0),
        (50, FULL, 332.0, 2836.0),
        (50, DECORRELATED, 373.0, 2226.0),
        (100, NONE, 2424.0, 2024.0),
        (100, EXPONENTIAL, 1860.0, 63616.0),
        (100, EQUAL, 812.0, 6653.0),
        (100, FULL, 796.0, 4859.0),
        (100, DECORRELATED, 1000.0, 4598.0),
        (190, NONE, 8002.0, 3542.0),
        (190, EXPONENTIAL, 5142.0, 99775.0),
        (190, EQUAL, 1758.0, 9286.0),
        (190, FULL, 1775.0, 7439.0),
        (190, DECORRELATED, 2426.0, 8035.0),
    ];
    for (clients, backoff, calls, millis) in ROWS {
        let report = run(
            &format!("{{max_retries: 1000, timeout: none, per_try_timeout: none, statuses: [409], budget: none, backoff: {backoff}}}"),
            &format!(
                "{{duration: 10m, seeds: 30, batch: {{calls: {clients}, workers: {clients}}}, server: {{rule: optimistic_lock}},
                  network: {{latency: 10ms, spread: normal, deviation: 2ms}}}}"
            ),
        );
        let got_calls = number(&report, &["attempts"]) / 30.0;
        let got_millis = number(&report, &["finished_seconds", "mean"]) * 1000.0;
        // Our decorrelated back-off waits exactly `min` the first time, theirs up to three times as long: some more calls collide.
        let tolerance = if *backoff == DECORRELATED { 0.12 } else { 0.05 };
        assert!((got_calls / calls - 1.0).abs() <= tolerance, "{clients} {backoff}: {got_calls} calls, the reference has {calls}");
        assert!((got_millis / millis - 1.0).abs() <= 0.15, "{clients} {backoff}: {got_millis} ms, the reference has {millis}");
    }
}

/// Brooker's retry_sim: a purse that only successes fill bounds the load at 1.1 however many clients share it and however much fails.
#[test]
fn a_shared_purse_bounds_the_load() {
    for processes in [10, 100, 1000] {
        for share in [0.05, 0.2, 0.5, 1.0] {
            let report = run(
                "{max_retries: 3, backoff: none, budget: {ratio: 0.1, min_per_second: 0, deposit_on: success}}",
                &format!(
                    "{{duration: 60s, seeds: 5, processes: {processes}, share: host, arrivals: [{{rate: 1000}}],
                      server: {{failures: [{{share: {share}, status: 503}}]}}}}"
                ),
            );
            let most = number(&report, &["amplification", "whole", "most"]);
            assert!(most <= 1.12, "{processes} processes, {share} failing: {most}");
        }
    }
}

/// 10,000 clients refused within 200 ms with `Retry-After: 10`: never early, and not all at once.
#[test]
fn clients_that_are_told_to_wait_do_not_come_back_together() {
    let report = run(
        "{budget: none}",
        "{duration: 30s, seeds: 20, arrivals: [{rate: 50000, spacing: constant}, {from: 200ms, rate: 0}],
          server: {failures: [{to: 1s, status: 429, retry_after: 10s}]}}",
    );
    assert_eq!(number(&report, &["early"]), 0.0);
    let most = number(&report, &["retries_in_100ms"]);
    assert!((500.0..=1100.0).contains(&most), "{most}");
}

/// Three services above one another: 64 requests for one call of a dead leaf, unless inner retries know that they are inner ones or a
/// budget bounds them.
#[test]
fn layers_multiply_retries() {
    let layers = |nested: bool, budget: &str| {
        let report = run(
            &format!("{{backoff: none, max_retries: 3, timeout: none, budget: {budget}}}"),
            &format!(
                "{{duration: 2m, seeds: 3, layers: 3, nested: {nested}, arrivals: [{{rate: 20}}, {{from: 1m, rate: 0}}],
                  server: {{failures: [{{status: 503}}]}}}}"
            ),
        );
        number(&report, &["amplification", "whole", "median"])
    };
    assert_eq!(layers(false, "none"), 64.0);
    assert_eq!(layers(true, "none"), 4.0);
    // Each layer's purse holds one retry per second at a rate of 20: at most 1.05 per layer, and what it holds at the beginning.
    let bounded = layers(false, "{ratio: 0.1, min_per_second: 1, deposit_on: success}");
    assert!((1.0..=1.2).contains(&bounded), "{bounded}");
}

/// A spike of five seconds against a server that slows down under load, and clients that give up after three seconds (after Brooker's
/// simple_collapse_sim; references measured with another simulator): which policies come back, how much they add meanwhile.
#[test]
fn a_spike_is_survived_by_those_who_bound_their_retries() {
    struct Row {
        policy: &'static str,
        processes: u32,
        /// The worst window of five seconds.
        peak: f64,
        /// Seconds until goodput is back, in the reference's runs; `None` for never in any.
        recovery: Option<(f64, f64)>,
        /// At least and at most this share of the seeds recovers.
        recovered: (f64, f64),
    }
    let row = |policy, processes, peak, recovery, recovered| Row { policy, processes, peak, recovery, recovered };
    const CALL_20_1: &str = "{backoff: {base: 50ms}, budget: {ratio: 0.2, min_per_second: 1, deposit_on: call}}";
    const FINAGLE: &str = "{backoff: none, budget: {ratio: 0.2, min_per_second: 10, deposit_on: call}}";
    const ENVOY: &str = "{backoff: none, budget: {kind: concurrency, percent: 20, min: 3}}";
    let rows = [
        row("{max_retries: 0}", 1, 1.0, Some((3.0, 5.0)), (1.0, 1.0)),
        row("{backoff: none, budget: none}", 1, 3.36, None, (0.0, 0.1)),
        row("{backoff: {base: 1s}, budget: none}", 1, 3.40, None, (0.0, 0.1)),
        row("{backoff: none, budget: {ratio: 0.1, min_per_second: 1, deposit_on: success}}", 1, 1.23, Some((4.0, 9.0)), (1.0, 1.0)),
        row(FINAGLE, 1, 1.87, Some((13.0, 44.0)), (0.4, 0.9)),
        row(FINAGLE, 4, 2.76, None, (0.0, 0.1)),
        row(FINAGLE, 16, 3.47, None, (0.0, 0.1)),
        row(CALL_20_1, 1, 1.55, Some((9.0, 11.0)), (1.0, 1.0)),
        row(CALL_20_1, 4, 1.66, Some((0.0, 12.0)), (1.0, 1.0)),
        row(CALL_20_1, 16, 2.03, None, (0.0, 0.3)),
        row(CALL_20_1, 64, 2.81, None, (0.0, 0.1)),
        row(CALL_20_1, 256, 3.36, None, (0.0, 0.1)),
        row(ENVOY, 1, 1.29, Some((3.0, 12.0)), (1.0, 1.0)),
        row(ENVOY, 16, 1.38, Some((10.0, 24.0)), (0.9, 1.0)),
    ];
    let base = super::policy("{timeout: none, per_try_timeout: 3s, retry_on: [per-try-timeout, connect-failure]}");
    for Row { policy, processes, peak, recovery, recovered } in rows {
        let policy_of = base.merge(&reknock::policy::Value::from_yaml(policy).expect("YAML")).expect("a policy");
        let report =
            reknock::simulate::simulate(&policy_of, &super::scenario(&format!("{{preset: spike, seeds: 20, processes: {processes}}}")));
        let got = number(&report, &["amplification", "worst_window", "5s", "median"]);
        assert!((got / peak - 1.0).abs() <= 0.1, "{policy} x {processes}: {got}, the reference has {peak}");
        let share = number(&report, &["recovery", "recovered"]);
        assert!((recovered.0..=recovered.1).contains(&share), "{policy} x {processes}: {share} recovered");
        if let Some((least, most)) = recovery {
            let median = number(&report, &["recovery", "median_seconds"]);
            assert!((least - 3.0..=most + 3.0).contains(&median), "{policy} x {processes}: back after {median} s");
        }
    }
}

/// A purse of the host's, as the policy says: the number of its processes changes nothing.
#[test]
fn processes_that_share_a_purse_are_as_one() {
    let run_with = |processes: u32, share: &str, key: &str| {
        run(
            &format!(
                "{{timeout: none, per_try_timeout: 3s, retry_on: [per-try-timeout], backoff: {{base: 50ms}},
                   budget: {{ratio: 0.2, min_per_second: 1, deposit_on: call, share: {share}}}}}"
            ),
            &format!("{{preset: spike, seeds: 20, processes: {processes}{key}}}"),
        )
    };
    // A scenario's own word stands in place of the policy's.
    assert_eq!(run_with(16, "host", ""), run_with(16, "process", ", share: host"));
    assert_eq!(run_with(16, "process", ""), run_with(16, "host", ", share: process"));
    assert!(number(&run_with(16, "process", ""), &["recovery", "recovered"]) <= 0.3);
    // Hosts share nothing: each with one process is as processes without a purse in common.
    assert_eq!(run_with(4, "host", ", hosts: 4"), run_with(4, "process", ", hosts: 4"));
    let peak = |processes: u32| {
        let report = run_with(processes, "host", "");
        assert_eq!(number(&report, &["recovery", "recovered"]), 1.0, "{processes} processes");
        number(&report, &["amplification", "worst_window", "5s", "median"])
    };
    let one = peak(1);
    for processes in [4, 16, 64, 256] {
        let many = peak(processes);
        assert!((many / one - 1.0).abs() < 0.02, "{processes}: {many}, one alone {one}");
    }
}
