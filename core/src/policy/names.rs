//! The words of a document and what they stand for, for the reader and the writer alike.

use super::{Compat, IdempotencyKey, PerTryUntil};
use crate::retry::{Combine, Condition, DecorrelatedForm, DepositOn, Format, Share, WhenOver};

pub(crate) type Names<T> = &'static [(&'static str, T)];

pub(super) const IDEMPOTENCY_KEY: Names<IdempotencyKey> =
    &[("honour", IdempotencyKey::Honour), ("auto", IdempotencyKey::Auto), ("none", IdempotencyKey::None)];

pub(super) const PER_TRY_UNTIL: Names<PerTryUntil> = &[("head", PerTryUntil::Head), ("body", PerTryUntil::Body)];

pub(super) const COMPAT: Names<Compat> = &[("envoy", Compat::Envoy)];

/// The tokens of Envoy's `retry_on` that stand for a list.
pub(super) const LISTS: Names<Condition> =
    &[("retriable-status-codes", Condition::RetriableStatusCodes), ("retriable-headers", Condition::RetriableHeaders)];

pub(super) const FORM: Names<DecorrelatedForm> = &[("aws", DecorrelatedForm::Aws), ("increasing", DecorrelatedForm::Increasing)];

pub(super) const WHEN_OVER: Names<WhenOver> = &[("stop", WhenOver::Stop), ("cap", WhenOver::Cap), ("ignore", WhenOver::Ignore)];

pub(super) const COMBINE: Names<Combine> = &[("max", Combine::Max), ("replace", Combine::Replace)];

pub(super) const FORMAT: Names<Format> =
    &[("seconds", Format::Seconds), ("unix", Format::Unix), ("http-date", Format::HttpDate), ("auto", Format::Auto)];

pub(super) const DEPOSIT_ON: Names<DepositOn> = &[("call", DepositOn::Call), ("success", DepositOn::Success)];

pub(super) const SHARE: Names<Share> = &[(Share::Process.as_str(), Share::Process), (Share::Host.as_str(), Share::Host)];

/// The word for a value; every value has one.
pub(super) fn name_of<T: PartialEq>(names: Names<T>, value: &T) -> &'static str {
    names.iter().find(|(_, named)| named == value).map_or("none", |(name, _)| name)
}
