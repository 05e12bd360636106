//! How long to wait before retry n. Pure: the draw is passed in.

use std::sync::Arc;
use std::time::Duration;

use crate::time::saturating_secs;

/// The wait before each retry. n counts retries from 1, u is a uniform draw in [0, 1).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Backoff {
    /// Always `delay`.
    Constant {
        /// The wait. Zero means at once.
        delay: Duration,
        /// Spread around it.
        jitter: Jitter,
    },
    /// min(base + (n-1) * step, max).
    Linear {
        /// The first wait.
        base: Duration,
        /// Added for each further retry.
        step: Duration,
        /// The cap, at least `base`.
        max: Duration,
        /// Spread around it.
        jitter: Jitter,
    },
    /// min(base * factor^(n-1), max).
    Exponential {
        /// The first wait, more than zero.
        base: Duration,
        /// The growth, more than 0; below 1 the waits shrink.
        factor: f64,
        /// The cap, at least `base` unless `first_uncapped`.
        max: Duration,
        /// Ballerina's rule: the first wait is not capped, and a capped wait is what the next one grows from.
        first_uncapped: bool,
        /// Spread around it.
        jitter: Jitter,
    },
    /// n = 1: min exactly, then grown from the previous wait at random.
    Decorrelated {
        /// The first wait, more than zero.
        min: Duration,
        /// The cap, at least `min`.
        max: Duration,
        /// How the next wait is drawn.
        form: DecorrelatedForm,
    },
    /// The nth of these; the last one repeats.
    Sequence {
        /// At least one.
        delays: Arc<[Duration]>,
        /// Spread around each.
        jitter: Jitter,
    },
}

/// How a decorrelated wait grows from the previous one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecorrelatedForm {
    /// min(max, min + u * (3*prev - min)): the form of the AWS architecture blog. May shrink.
    #[default]
    Aws,
    /// prev + u * (upper - prev), upper = max if prev >= max/3, else 3*prev: Finagle since 21.3. Never shrinks.
    Increasing,
}

/// What chance adds to or takes from a wait d.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Jitter {
    /// d.
    #[default]
    None,
    /// u * d.
    Full,
    /// d/2 + u * d/2.
    Equal,
    /// d * (1 - r + 2*r*u), capped at `max`; r in 0..=1.
    Ratio(f64),
    /// d + u * R, added after the cap (Ktor), so a wait may pass `max` by up to R.
    Extra(Duration),
    /// d + u * r * d, capped at `max` (tower, linkerd2); r in 0..=1.
    ExtraRatio(f64),
}

impl Backoff {
    /// The wait before retry `n` (from 1), after a previous back-off of `previous` (only decorrelated looks at it),
    /// with the draw `u` in [0, 1). Total: never panics, never NaN, saturates.
    pub fn wait(&self, n: u32, previous: Duration, u: f64) -> Duration {
        let steps = f64::from(n.saturating_sub(1));
        let (plain, cap, jitter) = match self {
            Backoff::Constant { delay, jitter } => (delay.as_secs_f64(), None, *jitter),
            Backoff::Linear { base, step, max, jitter } => (base.as_secs_f64() + steps * step.as_secs_f64(), Some(*max), *jitter),
            Backoff::Exponential { base, factor, max, first_uncapped: false, jitter } => {
                (base.as_secs_f64() * factor.powf(steps), Some(*max), *jitter)
            }
            Backoff::Exponential { base, max, first_uncapped: true, jitter, .. } if n <= 1 => {
                (base.as_secs_f64(), Some(*base.max(max)), *jitter)
            }
            Backoff::Exponential { base, factor, max, first_uncapped: true, jitter } => {
                let second = (base.as_secs_f64() * factor).min(max.as_secs_f64());
                (second * factor.powf(steps - 1.0), Some(*max), *jitter)
            }
            Backoff::Decorrelated { min, max, form } => return decorrelated(*min, *max, *form, n, previous, u),
            Backoff::Sequence { delays, jitter } => {
                let index = (n.saturating_sub(1) as usize).min(delays.len().saturating_sub(1));
                (delays.get(index).copied().unwrap_or_default().as_secs_f64(), None, *jitter)
            }
        };
        let cap = cap.unwrap_or(Duration::MAX);
        let plain = plain.min(cap.as_secs_f64());
        let wait = saturating_secs(match jitter {
            Jitter::None => plain,
            Jitter::Full => u * plain,
            Jitter::Equal => plain / 2.0 + u * plain / 2.0,
            Jitter::Ratio(r) => plain * (1.0 - r + 2.0 * r * u),
            Jitter::Extra(extra) => plain + u * extra.as_secs_f64(),
            Jitter::ExtraRatio(r) => plain + u * r * plain,
        });
        // Seconds as a double round by a nanosecond from 104 days on: the cap is kept to the nanosecond.
        wait.min(if let Jitter::Extra(extra) = jitter { cap.saturating_add(extra) } else { cap })
    }

    /// The shortest and the longest wait before retry `n` that any draw can give.
    pub fn range(&self, n: u32) -> (Duration, Duration) {
        if let Backoff::Decorrelated { min, max, form } = self {
            let mut highest = *min;
            // The highest waits triple up to the cap, so this ends after 42 rounds at most, however large n is.
            for _ in 1..n {
                let next = decorrelated(*min, *max, *form, 2, highest, 1.0);
                if next == highest {
                    break;
                }
                highest = next;
            }
            return (*min, highest);
        }
        (self.wait(n, Duration::ZERO, 0.0), self.wait(n, Duration::ZERO, 1.0))
    }
}

fn decorrelated(min: Duration, max: Duration, form: DecorrelatedForm, n: u32, previous: Duration, u: f64) -> Duration {
    if n <= 1 {
        return min;
    }
    let (low, cap, previous) = (min.as_secs_f64(), max.as_secs_f64(), previous.max(min).as_secs_f64());
    let wait = saturating_secs(match form {
        DecorrelatedForm::Aws => low + u * (3.0 * previous - low),
        DecorrelatedForm::Increasing => {
            let upper = if previous >= cap / 3.0 { cap } else { 3.0 * previous };
            previous + u * (upper - previous)
        }
    });
    // Also against the rounding of doubles. `clamp` would panic on a max below min.
    wait.max(min).min(max)
}
