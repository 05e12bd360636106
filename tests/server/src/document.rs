//! From the JSON of a script to its outcomes.

mod reply;

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::fields::{DocumentError, Fields, Result};
use crate::outcome::{Action, BadHead, BigHead, End, Outcome};

const MAX_OUTCOMES: usize = 10_000;
const MAX_GENERATED: u64 = 1 << 40;
const MAX_HEAD: u64 = 64 << 20;

const ENDS: [(&str, End); 3] = [("fin", End::Fin), ("reset", End::Reset), ("stall", End::Stall)];

/// The certificate a script shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Trusted,
    WrongHost,
    Expired,
    SelfSigned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsVersion {
    Any,
    Tls12,
    Tls13,
}

/// A whole script document.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) tls: Option<Tls>,
    pub(crate) tls_version: TlsVersion,
    pub(crate) client_cert: bool,
    pub(crate) http2: bool,
    pub(crate) keep_alive: bool,
}

impl Document {
    pub(crate) fn parse(value: &Value) -> Result<Self> {
        if value.is_array() {
            return Self::parse_fields(&serde_json::json!({ "script": value }));
        }
        Self::parse_fields(value)
    }

    fn parse_fields(value: &Value) -> Result<Self> {
        let mut fields = Fields::new("", value).map_err(|_| {
            let rule = "must be an object with the key script, or an array of outcomes";
            DocumentError::got("document", rule, value)
        })?;
        let script = fields.get("script").ok_or_else(|| fields.missing("script"))?;
        let list = script.as_array().filter(|list| (1..=MAX_OUTCOMES).contains(&list.len())).ok_or_else(|| {
            let rule = format!("must be an array of 1 to {MAX_OUTCOMES} outcomes");
            DocumentError::got("script", rule, script)
        })?;
        let mut outcomes = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            outcomes.push(outcome(&format!("script[{index}]"), value)?);
        }
        let tls = fields.choice(
            "tls",
            &[("trusted", Tls::Trusted), ("wrong-host", Tls::WrongHost), ("expired", Tls::Expired), ("self-signed", Tls::SelfSigned)],
        )?;
        let tls_version =
            fields.choice("tls_version", &[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)])?.unwrap_or(TlsVersion::Any);
        let client_cert = fields.boolean("client_cert", false)?;
        let any_http2 = outcomes.iter().any(Outcome::is_http2_only);
        let http2 = fields.boolean("http2", any_http2)?;
        let keep_alive = fields.boolean("keep_alive", true)?;
        fields.finish()?;

        if tls.is_none() {
            let needs_tls =
                |outcome: &Outcome| matches!(outcome.action, Action::TlsReset | Action::TlsClose | Action::TlsAlert | Action::TlsStall);
            if let Some(index) = outcomes.iter().position(needs_tls) {
                let rule = format!("{} needs the key tls", outcomes[index].label());
                return Err(DocumentError::new(&format!("script[{index}].do"), rule));
            }
            if client_cert || tls_version != TlsVersion::Any {
                let key = if client_cert { "client_cert" } else { "tls_version" };
                return Err(DocumentError::new(key, "needs the key tls"));
            }
        }
        if any_http2 && !http2 {
            return Err(DocumentError::new("http2", "is false, yet the script has h2-* outcomes"));
        }
        Ok(Self { outcomes, tls, tls_version, client_cert, http2, keep_alive })
    }
}

fn outcome(path: &str, value: &Value) -> Result<Outcome> {
    let mut fields = Fields::new(path, value)?;
    let name = fields.string("do")?.ok_or_else(|| fields.missing("do"))?;
    let code = |fields: &mut Fields<'_>, default: u64| {
        let code = fields.integer("code", 0, u64::from(u32::MAX))?;
        Ok(code.unwrap_or(default) as u32)
    };
    let after = |fields: &mut Fields<'_>, default: u64| Ok(fields.integer("after", 0, MAX_GENERATED)?.unwrap_or(default));
    let action = match name {
        "status" => Action::Status(Box::new(reply::reply(&mut fields)?)),
        "redirect" => Action::Status(Box::new(reply::redirect(&mut fields)?)),
        "echo" => Action::Echo,
        "reset" => Action::Reset,
        "close" => Action::Close { close_notify: fields.boolean("close_notify", true)? },
        "partial-head" => Action::PartialHead(fields.choice("end", &ENDS)?.unwrap_or(End::Fin)),
        "garbage" => {
            let text = fields.string("text")?.unwrap_or("\u{1}\u{2} this is not HTTP\r\n\r\n");
            Action::Garbage(Bytes::copy_from_slice(text.as_bytes()))
        }
        "hang" => Action::Hang,
        "reset-mid-upload" => Action::ResetMidUpload(after(&mut fields, 1)?),
        "stop-reading" => Action::StopReading(after(&mut fields, 0)?),
        "bad-head" => {
            let kinds = [BadHead::Version, BadHead::Header, BadHead::TwoLengths, BadHead::Status];
            let kind = fields.choice("kind", &kinds.map(|kind| (kind.name(), kind)))?;
            Action::BadHead(kind.ok_or_else(|| fields.missing("kind"))?)
        }
        "big-head" => {
            let size = fields.integer("size", 1, MAX_HEAD)?;
            let lines = fields.integer("lines", 1, 1_000_000)?;
            Action::BigHead(match (size, lines) {
                (Some(size), None) => BigHead::Size(size),
                (None, Some(lines)) => BigHead::Lines(lines),
                _ => return Err(DocumentError::new(path, "big-head takes size or lines")),
            })
        }
        "accept-reset" => Action::AcceptReset,
        "accept-close" => Action::AcceptClose,
        "banner" => Action::Banner {
            text: {
                let text = fields.string("text")?.unwrap_or("SSH-2.0-reknock\r\n");
                Bytes::copy_from_slice(text.as_bytes())
            },
            end: fields.choice("end", &ENDS)?.unwrap_or(End::Stall),
        },
        "tls-reset" => Action::TlsReset,
        "tls-close" => Action::TlsClose,
        "tls-alert" => Action::TlsAlert,
        "tls-stall" => Action::TlsStall,
        "refused" => Action::Refused,
        "connect-timeout" => Action::ConnectTimeout,
        "h2-rst" => Action::H2Rst(code(&mut fields, 7)?),
        "h2-goaway" => {
            Action::H2Goaway { code: code(&mut fields, 0)?, last: fields.integer("last", 0, (1 << 31) - 1)?.unwrap_or(0) as u32 }
        }
        "h2-close" => Action::H2Close,
        "h2-hang" => Action::H2Hang,
        "h2-body-rst" => Action::H2BodyRst { code: code(&mut fields, 2)?, after: after(&mut fields, 512)? },
        _ => {
            let rule = "unknown outcome (see tests/server/README.md)";
            return Err(DocumentError::got(&fields.path("do"), rule, &name.into()));
        }
    };
    let outcome =
        Outcome { delay: fields.duration("delay")?.unwrap_or(Duration::ZERO), read_body: fields.boolean("read_body", true)?, action };
    fields.finish()?;
    Ok(outcome)
}
