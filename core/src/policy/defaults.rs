//! The defaults, once.

use std::time::Duration;

use super::{IdempotencyKey, PerTryUntil, Settings};
use crate::retry::{
    Backoff, BudgetKind, BudgetSpec, Combine, Condition, Conditions, DepositOn, Jitter, Methods, RetryAfter, Scope, Share, StatusSet,
    WhenOver,
};

/// The default cap of growing waits; a larger first wait is its own cap.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(20);
/// The first wait of an exponential back-off that does not say.
pub(crate) const BACKOFF_BASE: Duration = Duration::from_millis(200);
/// Its growth.
pub(crate) const BACKOFF_FACTOR: f64 = 2.0;

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_retries: 2,
            timeout: Some(Duration::from_secs(60)),
            connect_timeout: Some(Duration::from_secs(5)),
            per_try_timeout: Some(Duration::from_secs(20)),
            per_try_until: PerTryUntil::Head,
            idle_timeout: Some(Duration::from_secs(20)),
            retry_on: Conditions::NONE
                .with(Condition::ConnectFailure)
                .with(Condition::RefusedStream)
                .with(Condition::Reset)
                .with(Condition::TruncatedBody),
            statuses: StatusSet::of(&[408, 425, 429, 500, 502, 503, 504]),
            stop_headers: Vec::new(),
            response_headers: Vec::new(),
            refused_headers: Vec::new(),
            request_headers: Vec::new(),
            methods: Methods::Idempotent,
            backoff: Backoff::Exponential {
                base: BACKOFF_BASE,
                factor: BACKOFF_FACTOR,
                max: BACKOFF_MAX,
                first_uncapped: false,
                jitter: Jitter::Full,
            },
            retry_after: Some(RetryAfter::default()),
            budget: Some(BudgetSpec::default()),
            idempotency_key: IdempotencyKey::Honour,
            max_body_buffer: 1 << 20,
            attempt_header: None,
            compat: None,
            aside: None,
            seed: None,
            notes: Default::default(),
        }
    }
}

impl Default for RetryAfter {
    fn default() -> Self {
        RetryAfter {
            max: Some(Duration::from_secs(60)),
            when_over: WhenOver::Stop,
            combine: Combine::Max,
            spread: 0.1,
            headers: Vec::new(),
        }
    }
}

impl Default for BudgetKind {
    fn default() -> Self {
        BudgetKind::Ratio { ratio_millionths: 200_000, min_per_second: 10, ttl: Duration::from_secs(10), deposit_on: DepositOn::Success }
    }
}

impl Default for BudgetSpec {
    fn default() -> Self {
        BudgetSpec { kind: BudgetKind::default(), scope: Scope::Origin, share: Share::Process }
    }
}
