//! Which outcomes are retried, and which methods may be repeated.

use crate::error::ErrorKind;

macro_rules! conditions {
    ($($(#[doc = $doc:literal])* $variant:ident, $token:literal;)*) => {
        /// A token of `retry_on`: a class of responses, of failures, or of both.
        ///
        /// Envoy's tokens have Envoy's meaning (recorded from Envoy 1.40); "failures before a head" below are connect,
        /// connect_timeout, reset, refused_stream, protocol and per_try_timeout.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Condition { $($(#[doc = $doc])* $variant,)* }

        impl Condition {
            /// Every token, in the order of the documentation.
            pub const ALL: &'static [Condition] = &[$(Condition::$variant,)*];

            /// What it covers, in one sentence or two: the text of its documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $(Condition::$variant => concat!($($doc),*).trim_ascii(),)* }
            }

            /// The text of the token, for example `"gateway-error"`.
            pub const fn token(self) -> &'static str {
                match self { $(Condition::$variant => $token,)* }
            }
        }
    };
}

conditions! {
    /// Status 500-599; failures before a head.
    Status5xx, "5xx";
    /// Status 502, 503, 504; failures before a head.
    GatewayError, "gateway-error";
    /// Failures before a head.
    Reset, "reset";
    /// connect, connect_timeout.
    ResetBeforeRequest, "reset-before-request";
    /// connect, connect_timeout.
    ConnectFailure, "connect-failure";
    /// refused_stream.
    RefusedStream, "refused-stream";
    /// Status 409.
    Retriable4xx, "retriable-4xx";
    /// The `statuses` list (which needs no token: naming it demands that the list is given).
    RetriableStatusCodes, "retriable-status-codes";
    /// The `response_headers` matchers (which need no token: naming it demands that they are given).
    RetriableHeaders, "retriable-headers";
    /// A response with the header `x-envoy-ratelimited`.
    EnvoyRatelimited, "envoy-ratelimited";
    /// grpc-status 1 in the response headers.
    Cancelled, "cancelled";
    /// grpc-status 4 in the response headers.
    DeadlineExceeded, "deadline-exceeded";
    /// grpc-status 8 in the response headers.
    ResourceExhausted, "resource-exhausted";
    /// grpc-status 13 in the response headers.
    Internal, "internal";
    /// grpc-status 14 in the response headers.
    Unavailable, "unavailable";
    /// Accepted for Envoy's sake; never triggers (no HTTP/3).
    Http3PostConnectFailure, "http3-post-connect-failure";
    /// per_try_timeout alone (mostly for `not`).
    PerTryTimeout, "per-try-timeout";
    /// connect_timeout alone (mostly for `not`).
    ConnectTimeout, "connect-timeout";
    /// body: a body that is cut, corrupt, shorter than its content-length, or silent for `idle_timeout`.
    TruncatedBody, "truncated-body";
    /// tls: a certificate or an alert. In no other token, because it does not heal.
    Tls, "tls";
}

impl Condition {
    /// The token with this text, or `None`. Case matters.
    pub fn from_token(token: &str) -> Option<Condition> {
        Self::ALL.iter().copied().find(|condition| condition.token() == token)
    }

    /// Whether the token is reknock's own, unknown to Envoy.
    pub const fn is_ours(self) -> bool {
        matches!(self, Condition::PerTryTimeout | Condition::ConnectTimeout | Condition::TruncatedBody | Condition::Tls)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// The tokens that cover a failure of this kind.
    const fn of_failure(kind: ErrorKind) -> u32 {
        let any = Condition::Status5xx.bit() | Condition::GatewayError.bit() | Condition::Reset.bit();
        let connect = any | Condition::ResetBeforeRequest.bit() | Condition::ConnectFailure.bit();
        match kind {
            ErrorKind::Connect => connect,
            ErrorKind::ConnectTimeout => connect | Condition::ConnectTimeout.bit(),
            ErrorKind::Reset | ErrorKind::Protocol => any,
            ErrorKind::RefusedStream => any | Condition::RefusedStream.bit(),
            ErrorKind::PerTryTimeout => any | Condition::PerTryTimeout.bit(),
            ErrorKind::Body => Condition::TruncatedBody.bit(),
            ErrorKind::Tls => Condition::Tls.bit(),
            _ => 0,
        }
    }

    /// The tokens that cover a response with this status.
    const fn of_status(status: u16) -> u32 {
        match status {
            502..=504 => Condition::Status5xx.bit() | Condition::GatewayError.bit(),
            500..=599 => Condition::Status5xx.bit(),
            409 => Condition::Retriable4xx.bit(),
            _ => 0,
        }
    }

    /// The token that covers a response whose `grpc-status` header has this value, which may carry leading zeros.
    fn of_grpc_status(value: &[u8]) -> u32 {
        let number = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<u32>().ok());
        match number {
            Some(1) => Condition::Cancelled.bit(),
            Some(4) => Condition::DeadlineExceeded.bit(),
            Some(8) => Condition::ResourceExhausted.bit(),
            Some(13) => Condition::Internal.bit(),
            Some(14) => Condition::Unavailable.bit(),
            _ => 0,
        }
    }
}

/// The tokens of a `retry_on` list: what is retried, and what never is (`"not X"`, which wins).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conditions {
    include: u32,
    exclude: u32,
}

const GRPC: u32 = Condition::Cancelled.bit()
    | Condition::DeadlineExceeded.bit()
    | Condition::ResourceExhausted.bit()
    | Condition::Internal.bit()
    | Condition::Unavailable.bit();

impl Conditions {
    /// No condition.
    pub const NONE: Conditions = Conditions { include: 0, exclude: 0 };

    /// Adds a token.
    #[must_use]
    pub const fn with(self, condition: Condition) -> Self {
        Conditions { include: self.include | condition.bit(), ..self }
    }

    /// Adds a token that is never retried.
    #[must_use]
    pub const fn without(self, condition: Condition) -> Self {
        Conditions { exclude: self.exclude | condition.bit(), ..self }
    }

    /// As if the token were not named.
    pub(super) const fn forgetting(self, condition: Condition) -> Self {
        Conditions { include: self.include & !condition.bit(), ..self }
    }

    /// Whether the token is named.
    pub const fn includes(self, condition: Condition) -> bool {
        self.include & condition.bit() != 0
    }

    /// Whether the token is named with `not`.
    pub const fn excludes(self, condition: Condition) -> bool {
        self.exclude & condition.bit() != 0
    }

    pub(crate) fn failure(self, kind: ErrorKind) -> bool {
        self.decide(Condition::of_failure(kind))
    }

    /// The verdict on a response head. `listed`: the status is in `statuses`; `matched`: a `response_headers` matcher fits.
    pub(super) fn response(self, head: &ResponseFacts) -> bool {
        let mut bits = Condition::of_status(head.status);
        if self.wants(GRPC) {
            bits |= head.headers.first("grpc-status").map_or(0, Condition::of_grpc_status);
        }
        if self.wants(Condition::EnvoyRatelimited.bit()) && head.headers.has("x-envoy-ratelimited") {
            bits |= Condition::EnvoyRatelimited.bit();
        }
        if head.listed {
            bits |= Condition::RetriableStatusCodes.bit();
        }
        if head.matched {
            bits |= Condition::RetriableHeaders.bit();
        }
        // The two lists need no token to count.
        let implied = Condition::RetriableStatusCodes.bit() | Condition::RetriableHeaders.bit();
        Conditions { include: self.include | implied, ..self }.decide(bits)
    }

    /// Whether a token is named that looks at header fields, whatever the status.
    pub(super) const fn read_fields(self) -> bool {
        self.wants(GRPC | Condition::EnvoyRatelimited.bit())
    }

    const fn decide(self, bits: u32) -> bool {
        bits & self.include != 0 && bits & self.exclude == 0
    }

    const fn wants(self, bits: u32) -> bool {
        (self.include | self.exclude) & bits != 0
    }
}

/// What the conditions look at on a response head.
pub(super) struct ResponseFacts<'a> {
    pub(super) status: u16,
    pub(super) headers: super::outcome::HeaderView<'a>,
    pub(super) listed: bool,
    pub(super) matched: bool,
}

/// A set of statuses 100..=999 with exclusions, which win over every condition on a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StatusSet {
    include: [u64; 15],
    exclude: [u64; 15],
}

impl StatusSet {
    /// No status.
    pub const NONE: StatusSet = StatusSet { include: [0; 15], exclude: [0; 15] };
    /// The lowest status a set can hold.
    pub const LOWEST: u16 = 100;
    /// The highest status a set can hold.
    pub const HIGHEST: u16 = 999;

    /// The set of these statuses. A status outside 100..=999 is left out.
    pub const fn of(statuses: &[u16]) -> Self {
        let mut set = Self::NONE;
        let mut i = 0;
        while i < statuses.len() {
            set = set.with(statuses[i]);
            i += 1;
        }
        set
    }

    /// Adds a status.
    #[must_use]
    pub const fn with(mut self, status: u16) -> Self {
        if let Some((word, bit)) = place(status) {
            self.include[word] |= bit;
        }
        self
    }

    /// Adds a status that is never retried.
    #[must_use]
    pub const fn without(mut self, status: u16) -> Self {
        if let Some((word, bit)) = place(status) {
            self.exclude[word] |= bit;
        }
        self
    }

    /// As if the status had not been added.
    pub(crate) const fn forgetting(mut self, status: u16) -> Self {
        if let Some((word, bit)) = place(status) {
            self.include[word] &= !bit;
        }
        self
    }

    /// What either set includes or excludes.
    pub(crate) fn and(mut self, other: StatusSet) -> Self {
        self.include.iter_mut().zip(other.include).for_each(|(word, more)| *word |= more);
        self.exclude.iter_mut().zip(other.exclude).for_each(|(word, more)| *word |= more);
        self
    }

    /// Whether the status is in the set and not excluded.
    pub const fn contains(&self, status: u16) -> bool {
        match place(status) {
            Some((word, bit)) => self.include[word] & bit != 0 && self.exclude[word] & bit == 0,
            None => false,
        }
    }

    /// Whether the status is excluded.
    pub const fn excludes(&self, status: u16) -> bool {
        match place(status) {
            Some((word, bit)) => self.exclude[word] & bit != 0,
            None => false,
        }
    }

    /// Whether no status is included.
    pub fn is_empty(&self) -> bool {
        self.include == [0; 15]
    }

    /// The included statuses as inclusive ranges, lowest first.
    pub fn included(&self) -> Vec<(u16, u16)> {
        ranges(&self.include)
    }

    /// The excluded statuses as inclusive ranges, lowest first.
    pub fn excluded(&self) -> Vec<(u16, u16)> {
        ranges(&self.exclude)
    }
}

const fn place(status: u16) -> Option<(usize, u64)> {
    if status < StatusSet::LOWEST || status > StatusSet::HIGHEST {
        return None;
    }
    let index = (status - StatusSet::LOWEST) as usize;
    Some((index / 64, 1 << (index % 64)))
}

fn ranges(words: &[u64; 15]) -> Vec<(u16, u16)> {
    let mut out: Vec<(u16, u16)> = Vec::new();
    for status in StatusSet::LOWEST..=StatusSet::HIGHEST {
        if place(status).is_none_or(|(word, bit)| words[word] & bit == 0) {
            continue;
        }
        match out.last_mut() {
            Some((_, last)) if *last + 1 == status => *last = status,
            _ => out.push((status, status)),
        }
    }
    out
}

/// The methods that may be repeated although the server may have executed them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Methods {
    /// GET, HEAD, OPTIONS, TRACE, PUT, DELETE, QUERY.
    #[default]
    Idempotent,
    /// Every method.
    Any,
    /// These, case-sensitive as HTTP has it.
    List(Vec<String>),
}

impl Methods {
    /// The methods that `Idempotent` stands for (RFC 9110 section 9.2.2, and QUERY).
    pub const IDEMPOTENT: &'static [&'static str] = &["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"];

    /// Whether `method` may be repeated.
    pub fn contains(&self, method: &str) -> bool {
        match self {
            Methods::Idempotent => Self::IDEMPOTENT.contains(&method),
            Methods::Any => true,
            Methods::List(methods) => methods.iter().any(|m| m == method),
        }
    }
}
