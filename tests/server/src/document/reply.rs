//! From the JSON of a `status` or `redirect` to the response it describes.

use base64::Engine;
use bytes::Bytes;
use serde_json::Value;

use super::MAX_GENERATED;
use crate::fields::{DocumentError, Fields, Result};
use crate::outcome::{Content, Corrupt, Cut, Drip, Encoding, End, Framing, Reply};

/// What a cut response sends a part of when it was given no body of its own.
const DEFAULT_CUT_BODY: u64 = 1024;

pub(super) fn redirect(fields: &mut Fields<'_>) -> Result<Reply> {
    let location = fields.string("location")?.ok_or_else(|| fields.missing("location"))?;
    header_value(&fields.path("location"), location)?;
    let mut reply = reply(fields)?;
    reply.headers.insert(0, ("location".into(), location.into()));
    Ok(reply)
}

pub(super) fn reply(fields: &mut Fields<'_>) -> Result<Reply> {
    let status = fields.integer("status", 101, 999)?.ok_or_else(|| fields.missing("status"))? as u16;
    let reason = fields.string("reason")?.map(str::to_owned);
    if let Some(reason) = &reason {
        header_value(&fields.path("reason"), reason)?;
    }
    let corrupt = corrupt(fields)?;
    let encoding = fields.choice(
        "encoding",
        &[("gzip", Encoding::Gzip), ("deflate", Encoding::Deflate), ("br", Encoding::Brotli), ("zstd", Encoding::Zstd)],
    )?;
    let encoding = match (corrupt, encoding) {
        (Corrupt::No, encoding) => encoding,
        (_, None | Some(Encoding::Gzip)) => Some(Encoding::Gzip),
        _ => {
            return Err(DocumentError::new(&fields.path("gzip_corrupt"), "needs encoding gzip"));
        }
    };
    let cut = cut(fields)?;
    let body = content(fields)?.unwrap_or(match (cut, corrupt) {
        (None, Corrupt::No) => Content::Bytes(Bytes::new()),
        _ => Content::Generated { size: DEFAULT_CUT_BODY, zeros: false },
    });
    let framing = match (fields.boolean("chunked", false)?, fields.boolean("no_length", false)?) {
        (false, false) => Framing::Auto,
        (true, false) => Framing::Chunked,
        (false, true) => Framing::Close,
        _ => {
            let rule = "chunked and no_length exclude each other";
            return Err(DocumentError::new(&fields.path("no_length"), rule));
        }
    };
    let content_length = fields.integer("content_length", 0, u64::MAX)?;
    if content_length.is_some() && framing != Framing::Auto {
        let rule = "chunked and no_length exclude it";
        return Err(DocumentError::new(&fields.path("content_length"), rule));
    }
    Ok(Reply {
        status,
        reason,
        headers: pairs(fields, "headers")?,
        trailers: pairs(fields, "trailers")?,
        body,
        encoding,
        corrupt,
        framing,
        content_length,
        cut,
        drip: drip(fields)?,
        interim: interim(fields)?,
        interim_endless: fields.boolean("interim_endless", false)?,
        close: fields.boolean("close", false)?,
        close_notify: fields.boolean("close_notify", true)?,
    })
}

fn corrupt(fields: &mut Fields<'_>) -> Result<Corrupt> {
    Ok(match fields.get("gzip_corrupt") {
        None | Some(Value::Bool(false)) => Corrupt::No,
        Some(Value::Bool(true)) => Corrupt::Checksum,
        Some(Value::String(text)) if text == "checksum" => Corrupt::Checksum,
        Some(Value::String(text)) if text == "short" => Corrupt::Short,
        Some(other) => {
            let rule = "must be true, false, \"checksum\" or \"short\"";
            return Err(DocumentError::got(&fields.path("gzip_corrupt"), rule, other));
        }
    })
}

fn cut(fields: &mut Fields<'_>) -> Result<Option<Cut>> {
    let modes = [("truncate-fin", End::Fin), ("truncate-reset", End::Reset), ("stall", End::Stall)];
    let mode = fields.choice("body_mode", &modes)?;
    let after = fields.integer("after", 0, MAX_GENERATED)?;
    match (mode, after) {
        (Some(end), after) => Ok(Some(Cut { end, after })),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(DocumentError::new(&fields.path("after"), "needs body_mode")),
    }
}

fn content(fields: &mut Fields<'_>) -> Result<Option<Content>> {
    let text = fields.string("body")?;
    let base64 = fields.string("body_base64")?;
    let size = fields.integer("body_size", 0, MAX_GENERATED)?;
    let fill = fields.choice("fill", &[("zeros", true), ("pattern", false)])?;
    if fill.is_some() && size.is_none() {
        return Err(DocumentError::new(&fields.path("fill"), "needs body_size"));
    }
    Ok(match (text, base64, size) {
        (None, None, None) => None,
        (Some(text), None, None) => Some(Content::Bytes(Bytes::copy_from_slice(text.as_bytes()))),
        (None, Some(text), None) => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(|error| {
                let rule = format!("is not standard base64 ({error})");
                DocumentError::got(&fields.path("body_base64"), rule, &text.into())
            })?;
            Some(Content::Bytes(bytes.into()))
        }
        (None, None, Some(size)) => Some(Content::Generated { size, zeros: fill.unwrap_or(false) }),
        _ => {
            let rule = "body, body_base64 and body_size exclude each other";
            return Err(DocumentError::new(&fields.path("body"), rule));
        }
    })
}

fn drip(fields: &mut Fields<'_>) -> Result<Option<Drip>> {
    let Some(value) = fields.get("drip") else {
        return Ok(None);
    };
    let mut fields = Fields::new(&fields.path("drip"), value)?;
    let bytes = fields.integer("bytes", 1, 1 << 30)?.ok_or_else(|| fields.missing("bytes"))?;
    let every = fields.duration("every")?.ok_or_else(|| fields.missing("every"))?;
    fields.finish()?;
    Ok(Some(Drip { bytes: bytes as usize, every }))
}

fn interim(fields: &mut Fields<'_>) -> Result<Vec<u16>> {
    let Some(value) = fields.get("interim") else {
        return Ok(Vec::new());
    };
    let path = fields.path("interim");
    let wrong = || DocumentError::got(&path, "must be an array of statuses from 100 to 199, not 101", value);
    let list = value.as_array().ok_or_else(wrong)?;
    list.iter()
        .map(|status| {
            let status = status.as_u64().filter(|status| (100..=199).contains(status) && *status != 101);
            status.map(|status| status as u16).ok_or_else(wrong)
        })
        .collect()
}

fn pairs(fields: &mut Fields<'_>, name: &'static str) -> Result<Vec<(String, String)>> {
    let Some(value) = fields.get(name) else {
        return Ok(Vec::new());
    };
    let path = fields.path(name);
    let list = value.as_array().ok_or_else(|| DocumentError::got(&path, "must be an array of [name, value]", value))?;
    let mut headers = Vec::with_capacity(list.len());
    for (index, pair) in list.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let (name, value) = match pair.as_array().map(Vec::as_slice) {
            Some([Value::String(name), Value::String(value)]) => (name, value),
            _ => {
                return Err(DocumentError::got(&path, "must be [name, value], both strings", pair));
            }
        };
        http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| DocumentError::got(&path, "is not a header name", &pair[0]))?;
        header_value(&path, value)?;
        headers.push((name.clone(), value.clone()));
    }
    Ok(headers)
}

fn header_value(path: &str, value: &str) -> Result<()> {
    http::HeaderValue::from_bytes(value.as_bytes()).map(drop).map_err(|_| DocumentError::got(path, "is not a header value", &value.into()))
}
