//! Back-off and durations as text.

use std::time::Duration;

use proptest::prelude::*;
use reknock::retry::{Backoff, Jitter};
use reknock::{DurationText, ErrorKind, Policy, parse_duration};

use crate::strategies::{backoff, cases, draw, duration, retry_number};

/// The longest wait before retry `n` that the documentation allows, and whether it is a configured cap.
fn limit(backoff: &Backoff, n: u32) -> (Duration, bool) {
    let (most, capped, jitter) = match backoff {
        Backoff::Constant { delay, jitter } => (*delay, false, *jitter),
        Backoff::Linear { max, jitter, .. } => (*max, true, *jitter),
        Backoff::Exponential { base, first_uncapped: true, jitter, max, .. } if n == 1 => ((*base).max(*max), true, *jitter),
        Backoff::Exponential { max, jitter, .. } => (*max, true, *jitter),
        Backoff::Decorrelated { max, .. } => (*max, true, Jitter::None),
        Backoff::Sequence { delays, jitter } => (delays[(n as usize - 1).min(delays.len() - 1)], false, *jitter),
        other => panic!("{other:?}: say what its cap is"),
    };
    match jitter {
        Jitter::Extra(extra) => (most.saturating_add(extra), capped),
        Jitter::Ratio(ratio) | Jitter::ExtraRatio(ratio) if !capped => (most.mul_f64_saturating(1.0 + ratio), false),
        _ => (most, capped),
    }
}

trait Saturating {
    fn mul_f64_saturating(self, by: f64) -> Duration;
}

impl Saturating for Duration {
    fn mul_f64_saturating(self, by: f64) -> Duration {
        Duration::try_from_secs_f64(self.as_secs_f64() * by).unwrap_or(Duration::MAX)
    }
}

proptest! {
    #![proptest_config(cases(4000))]

    /// I3. Whatever is accepted gives a wait, within its range and never above its cap.
    #[test]
    fn waits_stay_below_their_cap(backoff in backoff(), n in retry_number(), previous in duration(), u in draw()) {
        match Policy::builder().backoff(backoff.clone()).build() {
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Config),
            Ok(_) => {
                let wait = backoff.wait(n, previous, u);
                let (most, capped) = limit(&backoff, n);
                // Sums and products of doubles are exact to 2^-52; a cap is exact.
                let slack = if capped { Duration::ZERO } else { most.mul_f64_saturating(1e-15) + Duration::from_nanos(1) };
                prop_assert!(wait <= most.saturating_add(slack), "{:?} before retry {}, at most {:?}", wait, n, most);
            }
        }
    }

    /// The waits of a whole call, one after the other, stay in the range that `explain` will print.
    #[test]
    fn waits_stay_in_their_range(backoff in backoff(), first in retry_number(), draws in prop::collection::vec(draw(), 1..12)) {
        if Policy::builder().backoff(backoff.clone()).build().is_ok() {
            let decorrelated = matches!(backoff, Backoff::Decorrelated { .. });
            let first = if decorrelated { 1 } else { first.min(u32::MAX - 12) };
            let mut previous = Duration::ZERO;
            for (n, u) in (first..).zip(draws) {
                let (least, most) = backoff.range(n);
                previous = backoff.wait(n, previous, u);
                prop_assert!(least <= previous && previous <= most, "retry {}: {:?} outside {:?}..={:?}", n, previous, least, most);
            }
        }
    }

    #[test]
    fn durations_survive_their_text(duration in duration()) {
        let text = DurationText(duration).to_string();
        prop_assert_eq!(parse_duration(&text), Some(duration), "{}", text);
    }

    #[test]
    fn no_text_panics_the_duration_reader(text in r"[0-9.a-zµ \-+]{0,24}|\PC{0,24}") {
        if let Some(duration) = parse_duration(&text) {
            prop_assert_eq!(parse_duration(&DurationText(duration).to_string()), Some(duration));
        }
    }
}

/// Found by fuzzing: it took a round per retry.
#[test]
fn the_range_of_the_last_retry_is_found_at_once() {
    let policy = Policy::from_yaml("backoff: {kind: decorrelated, min: 1s, max: 40s}").unwrap();
    assert_eq!(policy.backoff().range(u32::MAX), (Duration::from_secs(1), Duration::from_secs(40)));
}
