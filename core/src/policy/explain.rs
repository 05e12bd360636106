//! A policy in words: what it says, how long it waits, the worst that can happen.

use std::fmt::Write as _;
use std::time::Duration;

use super::dialect::{Dialect, Loaded};
use super::problem::document_name;
use super::{PerTryUntil, Policy, emit};
use crate::retry::{BudgetKind, DepositOn, Share, WhenOver};
use crate::time::DurationText;

/// Retries whose waits are shown one by one.
const SHOWN: u32 = 8;

/// Characters of a line; lists may be longer than anyone reads.
const MOST_CHARS: usize = 1000;

impl Policy {
    /// The policy in words: its document, the range of each wait, the worst case, and what the budget may refuse.
    pub fn explain(&self) -> String {
        let mut out = String::new();
        for line in emit::lines(&self.to_value()).lines() {
            match line.char_indices().nth(MOST_CHARS) {
                Some((end, _)) => out.extend([&line[..end], "...\n"]),
                None => out.extend([line, "\n"]),
            }
        }
        out.push('\n');
        // Writing to a String cannot fail.
        let _ = self.worst(&mut out).and_then(|()| self.purse(&mut out)).and_then(|()| self.told(&mut out));
        out
    }

    fn told(&self, out: &mut String) -> std::fmt::Result {
        if !self.notes().is_empty() {
            out.push_str("notes:\n");
        }
        self.notes().iter().try_for_each(|note| writeln!(out, "  - {note}"))
    }

    fn worst(&self, out: &mut String) -> std::fmt::Result {
        let retries = self.max_retries();
        if retries == 0 {
            return writeln!(out, "worst case: 1 attempt, no retries{}", self.time(Some(Duration::ZERO)));
        }
        writeln!(out, "waits:")?;
        let range = |n: u32| {
            let (low, high) = self.backoff().range(n);
            if low == high { whole(high) } else { format!("{} to {}", whole(low), whole(high)) }
        };
        for n in 1..=retries.min(SHOWN) {
            writeln!(out, "  before retry {n}: {}", range(n))?;
        }
        if retries > SHOWN {
            writeln!(out, "  ... before retry {retries}: {}", range(retries))?;
        }
        let total = (1..=retries).fold(Duration::ZERO, |sum, n| sum.saturating_add(self.backoff().range(n).1));
        let mut hinted = String::new();
        let mut longest = Some(total);
        if let Some(hints) = self.retry_after() {
            hinted = match (hints.max, hints.when_over) {
                (None, _) => {
                    longest = None;
                    ", longer if the server asks for it, without a limit".to_owned()
                }
                (Some(max), over) => {
                    // A hint within the limit may be spread beyond it.
                    let one = if over == WhenOver::Cap { max } else { max.saturating_add(max.mul_f64(hints.spread)) };
                    longest = Some((1..=retries).fold(Duration::ZERO, |sum, n| sum.saturating_add(self.backoff().range(n).1.max(one))));
                    format!(", up to {} if the server asks for it each time", whole(longest.unwrap_or_default()))
                }
            };
        }
        writeln!(out, "worst case: {} attempts, {} of waits{hinted}{}", retries + 1, whole(total), self.time(longest))
    }

    /// How long all attempts and waits take, against the timeout.
    fn time(&self, waits: Option<Duration>) -> String {
        let attempts = self.max_retries() + 1;
        let each = match (self.connect_timeout(), self.per_try_timeout()) {
            (Some(connect), Some(head)) => Some(connect.saturating_add(head)),
            _ => None,
        };
        let all = each.zip(waits).map(|(each, waits)| each.saturating_mul(attempts).saturating_add(waits));
        let end = if self.per_try_until() == PerTryUntil::Body { "end of the last response" } else { "last response head" };
        let all_text = all.map_or_else(
            || format!("\n  until the {end}: no limit by connect_timeout, per_try_timeout and waits"),
            |all| format!("\n  until the {end}: {} by connect_timeout, per_try_timeout and waits", whole(all)),
        );
        match (self.timeout(), all) {
            (None, Some(_)) => all_text,
            (None, None) => format!("{all_text}, and no timeout ends the call"),
            (Some(timeout), Some(all)) if all <= timeout => format!("{all_text}, within the timeout of {}", whole(timeout)),
            (Some(timeout), _) => format!("{all_text}; timeout ends the call after {}", whole(timeout)),
        }
    }

    fn purse(&self, out: &mut String) -> std::fmt::Result {
        let retries = self.max_retries();
        let Some(budget) = self.budget().filter(|_| retries > 0) else {
            return writeln!(out, "budget: none, every retry that max_retries permits is made");
        };
        match budget.kind {
            BudgetKind::Ratio { ratio_millionths, min_per_second, ttl, deposit_on } => {
                // A call that comes alone has nothing but what its own begin pays.
                let (payer, own) = match deposit_on {
                    DepositOn::Call => ("call", ratio_millionths / 1_000_000),
                    DepositOn::Success => ("success", 0),
                };
                let reserve = u64::from(min_per_second) * ttl.as_secs();
                let alone = reserve + own;
                write!(
                    out,
                    "budget: {} retries per {payer} and a reserve of {reserve} within {}; a call that comes alone gets {alone}",
                    ratio_millionths as f64 / 1e6,
                    whole(ttl)
                )?;
                match u64::from(retries) > alone {
                    true => writeln!(out, ", so it can refuse what max_retries ({retries}) permits to a single call"),
                    false => writeln!(out, ", so it refuses only when several calls fail"),
                }?;
                match budget.share {
                    Share::Process => Ok(()),
                    Share::Host => writeln!(
                        out,
                        "  all processes of this user on this host have this one together; its reading tells where, or why not"
                    ),
                }
            }
            BudgetKind::Concurrency { percent_millionths, min } => {
                let percent = percent_millionths as f64 / 1e6;
                write!(out, "budget: at a time {min} retries or {percent} % of the sends in flight, whichever is more")?;
                match min {
                    0 => writeln!(out, ", so it can refuse every retry of a call that comes alone"),
                    _ => writeln!(out, ", so it refuses only when {min} others are under way"),
                }
            }
        }
    }
}

/// A duration for people: to the millisecond, but never nothing if it is something.
fn whole(duration: Duration) -> String {
    let ms = duration.as_millis();
    let rounded = Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX));
    match ms {
        // One number with one unit reads best.
        1_000..60_000 if !ms.is_multiple_of(1_000) => format!("{}s", rounded.as_secs_f64()),
        _ => DurationText(if rounded.is_zero() { duration } else { rounded }).to_string(),
    }
}

impl Loaded {
    /// [`Policy::explain`], with what the document was and what differs from it.
    pub fn explain(&self) -> String {
        let mut out = String::new();
        if self.dialect != Dialect::Reknock || self.name.is_some() {
            let name = self.name.as_deref().map(|name| format!(" {}", document_name(name))).unwrap_or_default();
            let _ = writeln!(out, "# {}{name}", self.dialect);
        }
        out.push_str(&self.policy.explain());
        out
    }
}
