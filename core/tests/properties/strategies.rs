//! Random policies and their parts. The typed values may be invalid: what the builder refuses is not looked at further.

use std::time::Duration;

use proptest::prelude::*;
use reknock::retry::{Backoff, DecorrelatedForm, Jitter};

/// This many cases unless the environment asks for others; failures are told, not stored.
pub fn cases(cases: u32) -> ProptestConfig {
    let given = ProptestConfig::default();
    let standard = given.cases == 256;
    ProptestConfig { cases: if standard { cases } else { given.cases }, failure_persistence: None, ..given }
}

/// From nothing over milliseconds to 584 years, every magnitude alike.
pub fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        1 => Just(Duration::ZERO),
        1 => Just(Duration::from_nanos(u64::MAX)),
        6 => (any::<u64>(), 0..64_u32).prop_map(|(bits, shift)| Duration::from_nanos(bits >> shift)),
        4 => (1..120_000_u64).prop_map(Duration::from_millis),
    ]
}

/// Any double, NaN and infinities included, small numbers preferred.
pub fn number() -> impl Strategy<Value = f64> {
    prop_oneof![3 => 0.0..8.0, 2 => 0.0..=1.0, 1 => any::<f64>()]
}

pub fn jitter() -> impl Strategy<Value = Jitter> {
    prop_oneof![
        Just(Jitter::None),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        number().prop_map(Jitter::Ratio),
        duration().prop_map(Jitter::Extra),
        number().prop_map(Jitter::ExtraRatio),
    ]
}

pub fn backoff() -> impl Strategy<Value = Backoff> {
    let linear = (duration(), duration(), duration(), jitter()).prop_map(|(base, step, max, jitter)| Backoff::Linear {
        base: base.min(max),
        step,
        max,
        jitter,
    });
    let exponential = (duration(), number(), duration(), any::<bool>(), any::<bool>(), jitter()).prop_map(
        |(base, factor, max, first_uncapped, ordered, jitter)| Backoff::Exponential {
            base: if ordered { base.min(max) } else { base },
            factor,
            max,
            first_uncapped,
            jitter,
        },
    );
    let form = prop_oneof![Just(DecorrelatedForm::Aws), Just(DecorrelatedForm::Increasing)];
    let decorrelated = (duration(), duration(), form).prop_map(|(a, b, form)| Backoff::Decorrelated { min: a.min(b), max: a.max(b), form });
    let sequence = (prop::collection::vec(duration(), 0..6), jitter())
        .prop_map(|(delays, jitter)| Backoff::Sequence { delays: delays.into(), jitter });
    prop_oneof![
        (duration(), jitter()).prop_map(|(delay, jitter)| Backoff::Constant { delay, jitter }),
        linear,
        exponential,
        decorrelated,
        sequence,
    ]
}

/// A retry's number: small ones, and up to the largest.
pub fn retry_number() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 1..20_u32, 2 => 1..2000_u32, 1 => any::<u32>(), 1 => Just(u32::MAX)]
}

/// A draw, in [0, 1).
pub fn draw() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..1.0_f64, 1 => Just(0.0), 1 => Just(1.0 - f64::EPSILON / 2.0)]
}
