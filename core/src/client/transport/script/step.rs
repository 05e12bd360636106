//! What a script does to one send.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::{Position, Url};

use crate::client::transport::Failure;
use crate::error::{Error, ErrorKind};
use crate::policy::{Problem, Value};
use crate::record::Evidence;

/// What happens to one send. The default is an empty 200.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub(super) does: Does,
    pub(super) after: Duration,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) end: End,
    pub(super) used: bool,
    method: Option<Method>,
    url: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Does {
    Answer(StatusCode),
    Fail(ErrorKind, Evidence),
    /// Answers never.
    Hang,
}

impl Default for Does {
    fn default() -> Self {
        Does::Answer(StatusCode::OK)
    }
}

/// What a step does, for hosts whose own fetch plays it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Played {
    /// The status of the answer; `None` for a failure, or if there is no answer at all.
    pub status: Option<u16>,
    /// What it fails with, and what that proves.
    pub failure: Option<(ErrorKind, Evidence)>,
    /// The header fields of the answer.
    pub headers: HeaderMap,
    /// The body of the answer.
    pub body: Bytes,
    /// The body ends otherwise than by its end.
    pub is_cut: bool,
    /// The time from the end of the request to the answer or failure.
    pub after: Duration,
}

/// How the body of an answer ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum End {
    #[default]
    Whole,
    Cut,
    Stall,
}

/// The names of steps, and what they do. A failure proves what its kind mostly proves.
const NAMED: [(&str, Does); 8] = [
    ("connect", Does::Fail(ErrorKind::Connect, Evidence::NotSent)),
    ("connect_timeout", Does::Fail(ErrorKind::ConnectTimeout, Evidence::NotSent)),
    ("tls", Does::Fail(ErrorKind::Tls, Evidence::NotSent)),
    ("reset", Does::Fail(ErrorKind::Reset, Evidence::Unknown)),
    ("refused_stream", Does::Fail(ErrorKind::RefusedStream, Evidence::Refused)),
    ("protocol", Does::Fail(ErrorKind::Protocol, Evidence::Unknown)),
    ("per_try_timeout", Does::Fail(ErrorKind::PerTryTimeout, Evidence::Unknown)),
    ("hang", Does::Hang),
];

const ENDS: [(&str, End); 3] = [("whole", End::Whole), ("cut", End::Cut), ("stall", End::Stall)];

fn unknown(value: &Value) -> Error {
    let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
    Problem::must("script", format!("have a status from 200 to 599 or one of {}, body as a step", names.join(", ")), value).into()
}

impl Step {
    /// The step that a host's value stands for: a number is a status, a text a name.
    ///
    /// # Errors
    /// `config` as [`status`](Step::status) and [`named`](Step::named), and for anything else.
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        match value {
            Value::Int(status) => Self::status(u16::try_from(*status).unwrap_or(0)).map_err(|_| unknown(value)),
            Value::Str(name) => Self::named(name),
            _ => Err(unknown(value)),
        }
    }

    /// An answer with this status.
    ///
    /// # Errors
    /// `config` unless it is 200..=599.
    pub fn status(status: u16) -> Result<Self, Error> {
        let known = StatusCode::from_u16(status).ok().filter(|_| (200..=599).contains(&status));
        let status = known.ok_or_else(|| unknown(&Value::Int(status.into())))?;
        Ok(Step { does: Does::Answer(status), ..Step::default() })
    }

    /// A failure by the code of its kind (`body` is an empty 200 whose body is cut), or `hang`: no answer at all, until one of the
    /// policy's limits ends the attempt.
    ///
    /// # Errors
    /// `config` for a name that is none of them.
    pub fn named(name: &str) -> Result<Self, Error> {
        if name == ErrorKind::Body.code() {
            return Ok(Step { end: End::Cut, ..Step::default() });
        }
        let known = NAMED.iter().find(|(known, _)| *known == name);
        known.map(|(_, does)| Step { does: *does, ..Step::default() }).ok_or_else(|| unknown(&Value::from(name)))
    }

    /// Adds a header field to the answer.
    ///
    /// # Errors
    /// `config` if it is no valid header field.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => self.headers.append(name, value),
            _ => return Err(Error::config(format!("script: {name:?} is no valid header name, or its value has control characters"))),
        };
        Ok(self)
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Step { body: body.into(), ..self }
    }

    /// The time from the end of the request to the answer or failure, in the script's time.
    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        Step { after, ..self }
    }

    /// What the failure proves about the request, in place of what its kind mostly proves; for an answer nothing.
    ///
    /// # Errors
    /// `config` for a word that is no evidence.
    pub fn evidence(mut self, code: &str) -> Result<Self, Error> {
        let known = Evidence::ALL.iter().copied().find(|evidence| evidence.code() == code);
        let given = known.ok_or_else(|| Problem::must("script", "have not_sent, refused or unknown as evidence", &Value::from(code)))?;
        if let Does::Fail(_, evidence) = &mut self.does {
            *evidence = given;
        }
        Ok(self)
    }

    /// How the body of the answer ends: `whole` (the default), `cut` (the connection goes away: a failure of kind `body`), or `stall`
    /// (nothing comes any more, until one of the policy's limits ends it).
    ///
    /// # Errors
    /// `config` for another word.
    pub fn ends(self, how: &str) -> Result<Self, Error> {
        let known = ENDS.iter().find(|(known, _)| *known == how);
        let (_, end) = known.ok_or_else(|| Problem::must("script", "end a body whole, cut or stall", &Value::from(how)))?;
        Ok(Step { end: *end, ..self })
    }

    /// Answers requests of this method alone.
    ///
    /// # Errors
    /// `config` if it is no method.
    pub fn for_method(self, method: &str) -> Result<Self, Error> {
        let known = Method::from_bytes(method.to_ascii_uppercase().as_bytes());
        let method = known.map_err(|_| Problem::must("script", "have an HTTP method", &Value::from(method)))?;
        Ok(Step { method: Some(method), ..self })
    }

    /// Answers requests to this URL alone. `*` stands for anything; one that begins with `/` is compared with path and query; one that has no
    /// query is for any query.
    #[must_use]
    pub fn for_url(self, url: impl Into<String>) -> Self {
        Step { url: Some(url.into()), ..self }
    }

    pub(super) fn is_for(&self, method: &Method, url: &Url) -> bool {
        let ours = |wanted: &String| {
            let from = if wanted.starts_with('/') { Position::BeforePath } else { Position::BeforeScheme };
            let to = if wanted.contains('?') { Position::AfterQuery } else { Position::AfterPath };
            fits(wanted.as_bytes(), url[from..to].as_bytes())
        };
        self.method.as_ref().is_none_or(|wanted| wanted == method) && self.url.as_ref().is_none_or(ours)
    }

    pub(super) fn played(self) -> Played {
        let (status, failure) = match self.does {
            Does::Answer(status) => (Some(status.as_u16()), None),
            Does::Fail(kind, evidence) => (None, Some((kind, evidence))),
            Does::Hang => (None, None),
        };
        let is_cut = !matches!(self.end, End::Whole);
        Played { status, failure, headers: self.headers, body: self.body, is_cut, after: self.after }
    }

    pub(super) fn failure(&self, kind: ErrorKind, evidence: Evidence) -> Failure {
        Failure::new(kind, evidence, format!("the script says {kind}"))
    }
}

/// Whether a text is what a pattern says, `*` being anything: back to the last star wherever it is not.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read, mut star) = (0, 0, None);
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(wanted) if *wanted == text[read] => (at, read) = (at + 1, read + 1),
            _ => {
                let Some((before, from)) = star else { return false };
                star = Some((before, from + 1));
                (at, read) = (before + 1, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == b'*')
}
