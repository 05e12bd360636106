//! The `x-envoy-*` headers of a request, which change the policy of that request, and the one that tells the server its time.

use std::time::Duration;

use super::super::super::validate::is_header_name;
use super::super::super::{MOST_ITEMS, MOST_RETRIES, Policy, Settings};
use super::retry_policy;
use crate::retry::{Condition, Conditions, HeaderMatcher, Headers, StatusSet, Test};

const RETRY_ON: &str = "x-envoy-retry-on";
const RETRY_GRPC_ON: &str = "x-envoy-retry-grpc-on";
const MAX_RETRIES: &str = "x-envoy-max-retries";
const STATUS_CODES: &str = "x-envoy-retriable-status-codes";
const HEADER_NAMES: &str = "x-envoy-retriable-header-names";
const TIMEOUT: &str = "x-envoy-upstream-rq-timeout-ms";
const PER_TRY_TIMEOUT: &str = "x-envoy-upstream-rq-per-try-timeout-ms";

/// The headers of a request that Envoy keeps to itself: who sends the request removes them. In lower case; the last two change nothing
/// here, because there is no hedging and no other answer.
pub const REQUEST_HEADERS: &[&str] = &[
    RETRY_ON,
    RETRY_GRPC_ON,
    MAX_RETRIES,
    STATUS_CODES,
    HEADER_NAMES,
    TIMEOUT,
    PER_TRY_TIMEOUT,
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-upstream-rq-timeout-alt-response",
];

/// The policy of a request that carries `x-envoy-*` headers. [`REQUEST_HEADERS`] are to be removed before it is sent.
///
/// As Envoy does for a request it trusts: conditions, statuses and header names are added to the policy's, numbers replace its own,
/// and what cannot be read is ignored.
#[must_use]
pub fn with_request_headers(policy: &Policy, headers: &dyn Headers) -> Policy {
    if REQUEST_HEADERS.iter().all(|name| headers.line(name, 0).is_none()) {
        return policy.clone();
    }
    // Several lines are one list to Envoy: no number, but still a list.
    let value = |name: &str| {
        let line = headers.line(name, 0).filter(|_| headers.line(name, 1).is_none());
        line.and_then(|value| std::str::from_utf8(value).ok())
    };
    let items = |name: &'static str| {
        let lines = (0..MOST_ITEMS).map_while(move |index| headers.line(name, index));
        let texts = lines.filter_map(|line| std::str::from_utf8(line).ok());
        texts.flat_map(|text| text.split(',')).map(str::trim).filter(|item| !item.is_empty())
    };
    let mut settings = policy.settings().clone();

    let known = |name: &'static str, grpc: bool| {
        let tokens: Vec<_> = items(name).filter_map(Condition::from_token).collect();
        tokens.into_iter().filter(move |condition| !condition.is_ours() && is_grpc(*condition) == grpc)
    };
    let named: Vec<Condition> = known(RETRY_ON, false).chain(known(RETRY_GRPC_ON, true)).collect();
    let numbers = items(STATUS_CODES).filter_map(|item| item.strip_prefix('+').unwrap_or(item).parse::<u32>().ok());
    let statuses = numbers.fold(StatusSet::NONE, |all, number| all.with(u16::try_from(number).unwrap_or(0)));
    // No response has a header of any other name.
    let header_names = items(HEADER_NAMES).filter(|name| *name == ":status" || is_header_name(name));
    let matchers = header_names.map(|name| HeaderMatcher { name: name.to_ascii_lowercase(), test: Test::Present(true), invert: false });
    add(&mut settings, &named, statuses, matchers.take(MOST_ITEMS).collect());

    let nothing = Conditions::NONE;
    let retries = settings.retry_on != nothing || !settings.statuses.is_empty() || !settings.response_headers.is_empty();
    if let Some(number) = value(MAX_RETRIES).and_then(whole).filter(|_| retries) {
        // Kept in 32 bits, so that 4294967296 is 0.
        settings.max_retries = (number as u32).min(MOST_RETRIES);
    }
    limits(&mut settings, value(TIMEOUT).and_then(whole), value(PER_TRY_TIMEOUT).and_then(whole));
    Policy::of(settings)
}

/// Adds what is named, and wakes the lists of the route whose tokens are named now.
fn add(settings: &mut Settings, named: &[Condition], statuses: StatusSet, matchers: Vec<HeaderMatcher>) {
    let mut aside = settings.aside.take().unwrap_or_default();
    let has = |condition| named.contains(&condition);
    let was_named = |condition| settings.retry_on.includes(condition);
    let by_status = aside.by_status || was_named(Condition::RetriableStatusCodes) || !settings.statuses.is_empty();
    let by_header = aside.by_header || was_named(Condition::RetriableHeaders) || !settings.response_headers.is_empty();
    let mut woken = Vec::new();
    if has(Condition::RetriableStatusCodes) {
        settings.statuses = settings.statuses.and(std::mem::take(&mut aside.statuses));
    }
    if has(Condition::RetriableHeaders) {
        woken = std::mem::take(&mut aside.response_headers);
    }
    settings.aside = aside.kept();
    if by_status || has(Condition::RetriableStatusCodes) {
        settings.statuses = settings.statuses.and(statuses);
    }
    if by_header || has(Condition::RetriableHeaders) {
        let room = MOST_ITEMS.saturating_sub(settings.response_headers.len());
        settings.response_headers.extend(woken.into_iter().chain(matchers).take(room));
    }
    let lists = [Condition::RetriableStatusCodes, Condition::RetriableHeaders];
    let tls = retry_policy::covers_connecting(named).then_some(Condition::Tls);
    let added = named.iter().copied().filter(|condition| !lists.contains(condition)).chain(tls);
    settings.retry_on = added.fold(settings.retry_on, Conditions::with);
}

fn limits(settings: &mut Settings, total: Option<u64>, per_try: Option<u64>) {
    if total.is_none() && per_try.is_none() {
        return;
    }
    let limit = |ms: u64| Some(Duration::from_millis(ms.min(MOST_MS))).filter(|limit| !limit.is_zero());
    let own = per_try.map_or(of_route(settings), limit);
    let mut idle = None;
    if let Some(place) = settings.aside.as_mut().and_then(|aside| aside.per_try_timeout.as_mut()) {
        *place = own;
        // Of a route the idle timeout limits the attempt as well.
        idle = settings.idle_timeout;
    }
    if let Some(total) = total {
        settings.timeout = limit(total);
    }
    let per_try = own.filter(|limit| settings.timeout.is_none_or(|total| *limit < total));
    settings.per_try_timeout = per_try.into_iter().chain(idle).min();
}

/// The limit of an attempt as the route says it, whatever other limit stands in its place.
fn of_route(settings: &Settings) -> Option<Duration> {
    settings.aside.as_ref().and_then(|aside| aside.per_try_timeout).unwrap_or(settings.per_try_timeout)
}

/// As many milliseconds as a document can say.
const MOST_MS: u64 = u64::MAX / 1_000_000;

/// A whole number as Envoy reads it.
fn whole(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn is_grpc(condition: Condition) -> bool {
    use Condition::{Cancelled, DeadlineExceeded, Internal, ResourceExhausted, Unavailable};
    matches!(condition, Cancelled | DeadlineExceeded | ResourceExhausted | Internal | Unavailable)
}

/// The value of `x-envoy-expected-rq-timeout-ms` for an attempt that begins `elapsed` after its call: the time the server has to answer.
/// `None`: no limit, no header.
///
/// The limit of the attempt or what is left of the whole, whichever is less, and never 0.
#[must_use]
pub fn expected_rq_timeout_ms(policy: &Policy, elapsed: Duration) -> Option<u64> {
    let ms = |limit: Duration| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    let settings = policy.settings();
    // An idle timeout that limits the attempt as well is not told to the server.
    let per_try = of_route(settings).map(ms).filter(|limit| *limit > 0);
    let Some(total) = settings.timeout.map(ms).filter(|total| *total > 0) else { return per_try };
    let left = total.saturating_sub(ms(elapsed)).max(1);
    Some(per_try.map_or(left, |limit| left.min(limit)))
}
