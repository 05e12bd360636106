//! Waits that the server asks for.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::outcome::HeaderView;
use crate::time::UnixTime;

/// How server hints are read and obeyed.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryAfter {
    /// The longest hint that is obeyed; `None` for no limit.
    pub max: Option<Duration>,
    /// What happens to a longer one.
    pub when_over: WhenOver,
    /// How the hint and the policy's own back-off become one wait.
    pub combine: Combine,
    /// The wait is up to `spread` times the hint longer than the hint, never shorter. 0..=1.
    pub spread: f64,
    /// Further headers, in order, after `retry-after-ms`, `x-ms-retry-after-ms` and `Retry-After`.
    pub headers: Vec<HintHeader>,
}

/// What happens to a hint above `max`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenOver {
    /// Stop with `retry_after_too_long`.
    #[default]
    Stop,
    /// Wait exactly `max`.
    Cap,
    /// As if there were no hint.
    Ignore,
}

/// How the hint and the policy's own back-off become one wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Combine {
    /// The longer of the two.
    #[default]
    Max,
    /// The hint alone; the back-off does not advance.
    Replace,
}

/// A header that carries a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HintHeader {
    /// Its name, in lower case.
    pub name: String,
    /// What its value means.
    pub format: Format,
}

/// What a hint header's value means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Seconds from now, with an optional fraction.
    #[default]
    Seconds,
    /// Seconds since 1970.
    Unix,
    /// An HTTP date.
    HttpDate,
    /// An HTTP date, or a number: above 10^9 since 1970, else from now.
    Auto,
}

impl RetryAfter {
    /// The first usable hint on a response; `None` if there is none.
    pub(super) fn read(&self, headers: HeaderView<'_>, now: UnixTime) -> Option<Duration> {
        for name in ["retry-after-ms", "x-ms-retry-after-ms"] {
            if let Some(wait) = headers.first(name).and_then(|value| decimal(value, 1_000_000)) {
                return Some(wait);
            }
        }
        // A Retry-After that is there but malformed does not fall through to weaker headers.
        if let Some(value) = headers.first("retry-after") {
            return decimal(value, 1_000_000_000).or_else(|| until_date(value, headers, now));
        }
        self.headers.iter().find_map(|header| header.read(headers, now))
    }

    /// The hint by Envoy's rules: the configured headers alone, in order; whole numbers; one above `max` is passed over.
    pub(super) fn read_as_envoy(&self, headers: HeaderView<'_>, now: UnixTime) -> Option<Duration> {
        self.headers.iter().find_map(|header| {
            let text = std::str::from_utf8(headers.first(&header.name)?).ok()?;
            let digits = text.strip_prefix('+').unwrap_or(text);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let seconds = digits.parse::<u64>().ok()?;
            let seconds = match header.format {
                Format::Unix => seconds.checked_sub(u64::try_from(now.0.div_euclid(1000)).unwrap_or(0))?,
                _ => seconds,
            };
            let wait = Duration::from_secs(seconds);
            (self.max.is_none_or(|max| wait <= max)).then_some(wait)
        })
    }
}

impl HintHeader {
    fn read(&self, headers: HeaderView<'_>, now: UnixTime) -> Option<Duration> {
        let value = headers.first(&self.name)?;
        match self.format {
            Format::Seconds => decimal(value, 1_000_000_000),
            Format::Unix => until_epoch(value, headers, now),
            Format::HttpDate => until_date(value, headers, now),
            Format::Auto => match decimal(value, 1_000_000_000) {
                Some(wait) if wait > Duration::from_secs(1_000_000_000) => until_epoch(value, headers, now),
                Some(wait) => Some(wait),
                None => until_date(value, headers, now),
            },
        }
    }
}

/// Digits with an optional fraction, in units of `nanos`. Saturates: twenty digits are a wait over any limit, not a mistake.
fn decimal(value: &[u8], nanos: u64) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || (text.ends_with('.')) {
        return None;
    }
    let Ok(whole) = whole.parse::<u64>() else { return Some(Duration::MAX) };
    let mut total = u128::from(whole) * u128::from(nanos);
    let mut share = nanos;
    for digit in fraction.bytes() {
        share /= 10;
        total += u128::from(share * u64::from(digit - b'0'));
    }
    let seconds = u64::try_from(total / 1_000_000_000).unwrap_or(u64::MAX);
    Some(Duration::new(seconds, (total % 1_000_000_000) as u32))
}

fn until_epoch(value: &[u8], headers: HeaderView<'_>, now: UnixTime) -> Option<Duration> {
    let epoch = decimal(value, 1_000_000_000)?;
    Some(epoch.saturating_sub(server_time(headers, now)))
}

fn until_date(value: &[u8], headers: HeaderView<'_>, now: UnixTime) -> Option<Duration> {
    Some(date(value)?.saturating_sub(server_time(headers, now)))
}

/// The server's own clock if it told it, else ours: a skewed clock must not stretch the wait.
fn server_time(headers: HeaderView<'_>, now: UnixTime) -> Duration {
    headers.first("date").and_then(date).unwrap_or_else(|| Duration::from_millis(u64::try_from(now.0).unwrap_or(0)))
}

/// One of the three HTTP-date forms, as time since 1970; dates before it are 1970.
fn date(value: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    exact_date(text).or_else(|| meant_date(text))
}

fn exact_date(text: &str) -> Option<Duration> {
    let time: SystemTime = httpdate::parse_http_date(text).ok()?;
    Some(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A date that is no HTTP date by the letter and still has one meaning: `UTC` or `+0000` for `GMT`, a second 60, the name of another day of the week.
fn meant_date(text: &str) -> Option<Duration> {
    let (day, rest) = text.split_at(text.find([',', ' '])?);
    let short = day.len() == 3;
    let name = |full: &'static str| if short { &full[..3] } else { full };
    if !WEEKDAYS.iter().any(|full| name(full) == day) {
        return None;
    }
    let (rest, zone) = match rest.strip_suffix(" UTC").or_else(|| rest.strip_suffix(" +0000")) {
        Some(rest) => (rest, " GMT"),
        None => (rest, ""),
    };
    // The last minute of a day with a leap second has 61 of them.
    let minute = rest.rfind(":60").filter(|at| rest[..*at].contains(':'));
    let (before, after) = minute.map_or((rest, ""), |at| (&rest[..at], &rest[at + 3..]));
    let second = if before.len() < rest.len() { ":59" } else { "" };
    WEEKDAYS.iter().find_map(|full| {
        let mut line = [0_u8; 48];
        let mut free = &mut line[..];
        // Too long to be a date if it does not fit.
        write!(free, "{}{before}{second}{after}{zone}", name(full)).ok()?;
        let left = free.len();
        exact_date(std::str::from_utf8(&line[..line.len() - left]).ok()?)
    })
}
