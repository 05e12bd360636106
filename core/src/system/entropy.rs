//! The only place that asks the operating system for randomness.

#[cfg(feature = "client")]
use http::HeaderValue;
use rand::TryRng;
use rand::rngs::SysRng;

use crate::policy::Policy;

/// A number that differs between processes and clients: the `entropy` that [`Retry::begin`](crate::retry::Retry::begin) takes.
///
/// From the operating system, not from a generator of this process: a forked child would repeat the draws of its parent.
pub fn seed() -> u64 {
    // A system without randomness still gets waits; they are then alike in all its processes.
    SysRng.try_next_u64().unwrap_or(0)
}

/// The [`seed`] of a program that may have named its own, so that waits are the same each time: 0 is none.
#[cfg(feature = "client")]
pub fn seed_or(named: u64) -> u64 {
    if named == 0 { seed() } else { named }
}

/// A random UUID (version 4, RFC 9562) for an idempotency key.
///
/// `None` without randomness: a key that repeats makes a server drop a request, no key only keeps us from repeating one.
#[cfg(feature = "client")]
pub(crate) fn uuid() -> Option<HeaderValue> {
    HeaderValue::from_str(&uuid_text()?).ok()
}

fn uuid_text() -> Option<String> {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes).ok()?;
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Some([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// The idempotency key of a call that somebody else sends, if its policy wants one for this method and it carries none: what
/// [`Options::minted_key`](crate::retry::driver::Options::minted_key) takes.
pub fn minted_key(policy: &Policy, method: &str, carries: bool) -> Option<String> {
    if carries || !policy.wants_key(method) { None } else { uuid_text() }
}

/// A text that parts of a form do not contain by chance.
#[cfg(feature = "client")]
pub(crate) fn boundary() -> String {
    format!("reknock-{:016x}{:016x}", seed(), seed())
}
