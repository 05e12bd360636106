//! Time as numbers: a tick the caller counts, and durations as text with a unit.

use std::fmt;
use std::time::Duration;

/// A moment on a clock of the caller's choice, in nanoseconds since an epoch of its choice.
///
/// The machine never reads a clock: whoever drives it passes `now`. Ticks should not go backwards; one that does
/// counts as the newest seen (budgets) or yields zero elapsed time (everything else). All arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

impl Tick {
    /// The latest possible moment.
    pub const MAX: Tick = Tick(u64::MAX);

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// This moment plus `duration`, or [`Tick::MAX`].
    #[must_use]
    pub fn after(self, duration: Duration) -> Tick {
        Tick(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Tick) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Wall-clock time, in milliseconds since 1970-01-01T00:00:00Z. Only HTTP dates and epoch hints need it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime(pub i64);

/// Seconds as f64 to a duration; anything that is no duration (negative, NaN) is zero, too much is [`Duration::MAX`].
pub(crate) fn saturating_secs(seconds: f64) -> Duration {
    if seconds.is_nan() || seconds <= 0.0 {
        return Duration::ZERO;
    }
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

const UNITS: &[(&str, u64)] =
    &[("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];

/// Reads a duration with units: `"250ms"`, `"2s"`, `"1m30s"`, `"0.5s"`. Units: ns, us, ms, s, m, h, largest first, each once.
///
/// `None` for anything else: no unit, a sign, white space inside, an unknown unit, more than 2^64 nanoseconds (584 years).
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut last_unit = u64::MAX;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit_length = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_length);
        let nanos_per_unit = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        if nanos_per_unit >= last_unit {
            return None;
        }
        last_unit = nanos_per_unit;
        total = total.checked_add(scaled(number, nanos_per_unit)?)?;
        rest = next;
    }
    Some(Duration::from_nanos(total))
}

/// `number` (digits, optional fraction) times `nanos_per_unit`, exact to the nanosecond below.
fn scaled(number: &str, nanos_per_unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || (number.contains('.') && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(18)];
    let part = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u128>().ok()? * u128::from(nanos_per_unit) / 10_u128.pow(fraction.len() as u32)
    };
    let total = whole.parse::<u64>().ok()?.checked_mul(nanos_per_unit)?.checked_add(part as u64)?;
    Some(total)
}

/// A measured duration for people: three digits, zeros at the end cut, such as `641us`, `4.6ms` or `12.3s`; from a minute on whole seconds, `1m15s`.
#[derive(Clone, Copy, Debug)]
pub struct Measured(pub Duration);

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let (unit, name) = match nanos {
            0..1_000 => return f.write_str("0s"),
            1_000..1_000_000 => (1_000, "us"),
            1_000_000..1_000_000_000 => (1_000_000, "ms"),
            1_000_000_000..60_000_000_000 => (1_000_000_000, "s"),
            _ => return DurationText(Duration::from_secs(self.0.as_secs())).fmt(f),
        };
        let whole = nanos / unit;
        let decimals = match whole {
            0..10 => 2,
            10..100 => 1,
            _ => 0,
        };
        // Cut off, not rounded: 59.99s is no minute.
        let shown = nanos * 10_u128.pow(decimals) / unit;
        let part = format!("{:0width$}", shown % 10_u128.pow(decimals), width = decimals as usize);
        match part.trim_end_matches('0') {
            "" => write!(f, "{whole}{name}"),
            part => write!(f, "{whole}.{part}{name}"),
        }
    }
}

/// A duration as the text that [`parse_duration`] reads: the largest units that keep it exact, for example `1m30s` or `250ms`.
#[derive(Clone, Copy, Debug)]
pub struct DurationText(pub Duration);

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        for (name, size) in UNITS.iter().rev() {
            let size = u128::from(*size);
            // Below a second one number with one unit reads best: 1500us, not 1ms500us.
            if size < 1_000_000_000 && !nanos.is_multiple_of(size) {
                continue;
            }
            if nanos >= size {
                write!(f, "{}{name}", nanos / size)?;
                nanos %= size;
            }
            if nanos == 0 {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Measured;

    #[test]
    fn measured_durations_have_three_digits() {
        let cases = [
            (0, "0s"),
            (2_910, "2.91us"),
            (641_300, "641us"),
            (4_600_000, "4.6ms"),
            (185_000_000, "185ms"),
            (999_999_999, "999ms"),
            (1_185_000_000, "1.18s"),
            (12_340_000_000, "12.3s"),
            (20_000_000_000, "20s"),
            (59_999_999_999, "59.9s"),
            (75_400_000_000, "1m15s"),
            (3_600_000_000_000, "1h"),
        ];
        for (nanos, text) in cases {
            assert_eq!(Measured(Duration::from_nanos(nanos)).to_string(), text, "{nanos}");
        }
    }
}
