//! What a route of Envoy says that decides nothing by itself, only together with the `x-envoy-*` headers of a request.

use std::time::Duration;

use super::super::super::Policy;
use crate::retry::{Condition, HeaderMatcher, StatusSet};

/// The keys of a `compat` block besides its kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Aside {
    /// Whether a token is named whose list is not given.
    pub(crate) by_status: bool,
    pub(crate) by_header: bool,
    /// The lists that are given and whose token is not named.
    pub(crate) statuses: StatusSet,
    pub(crate) response_headers: Vec<HeaderMatcher>,
    /// The route's own limit of an attempt, where that of the whole or of silence stands in its place.
    pub(crate) per_try_timeout: Option<Option<Duration>>,
}

impl Aside {
    /// As settings hold it: most policies have none.
    pub(crate) fn kept(self) -> Option<Box<Aside>> {
        (self != Aside::default()).then(|| Box::new(self))
    }
}

/// What a route's `retry_policy` says, until it is known what of it decides.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Named {
    /// Whether the tokens of the two lists are named.
    pub(in super::super) by_status: bool,
    pub(in super::super) by_header: bool,
    /// Before it was compared with other limits.
    pub(in super::super) per_try_timeout: Option<Duration>,
}

impl Named {
    pub(super) fn of(tokens: &[Condition]) -> Self {
        let has = |token| tokens.contains(&token);
        let (by_status, by_header) = (has(Condition::RetriableStatusCodes), has(Condition::RetriableHeaders));
        Named { by_status, by_header, per_try_timeout: None }
    }

    /// The policy as the route has it: what does not decide by itself is put aside.
    pub(in super::super) fn part(self, policy: &Policy) -> Policy {
        let mut settings = policy.settings().clone();
        let mut aside = Aside::default();
        match self.by_status {
            true => aside.by_status = settings.statuses.is_empty(),
            false => aside.statuses = std::mem::take(&mut settings.statuses),
        }
        match self.by_header {
            true => aside.by_header = settings.response_headers.is_empty(),
            false => aside.response_headers = std::mem::take(&mut settings.response_headers),
        }
        if settings.idle_timeout.is_some() || settings.per_try_timeout != self.per_try_timeout {
            aside.per_try_timeout = Some(self.per_try_timeout);
        }
        settings.aside = aside.kept();
        Policy::of(settings)
    }
}
