//! The values of a client's options: reading each kind of them, with the messages for what is none.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::message::cookies::Cookies;
use super::transport::options::{ClientCert, Http2, TlsOptions};
use crate::error::Error;
use crate::files;
use crate::policy::{Node, Problem, Unit, Value};

pub(super) fn cookies(node: &Node<'_>) -> Result<Option<Cookies>, Error> {
    let jar = Cookies::new();
    if let Some(entries) = node.entries() {
        for (name, value) in entries {
            let value = value.str().ok_or_else(|| Problem::new(value.path.as_str(), "must be text"))?;
            jar.set(&name, value)?;
        }
        return Ok(Some(jar));
    }
    let wrong = || Problem::new("cookies", "must be true, false, or a map of names and values");
    if node.is_off() { Ok(None) } else { Ok(node.flag().map_err(|_| wrong())?.then_some(jar)) }
}

pub(super) fn whole(key: &str, node: &Node<'_>) -> Result<u32, Problem> {
    let (least, most) = match key {
        "max_redirects" => (0, 1000),
        "pool_max_idle_per_host" => (0, 100_000),
        _ => (1, 100_000),
    };
    Ok(node.whole(least, most)? as u32)
}

pub(super) fn http2(node: &Node<'_>) -> Result<Http2, Problem> {
    if node.is_off() {
        return Ok(Http2::None);
    }
    if node.flag().is_ok() {
        return Ok(Http2::Auto);
    }
    node.choice(&[("auto", Http2::Auto), ("only", Http2::Only), ("none", Http2::None)])
}

/// Whether to check certificates, or by which ones alone.
pub(super) fn verify(node: &Node<'_>, tls: &mut TlsOptions) -> Result<Option<Bytes>, Problem> {
    match node.str() {
        Some(_) => pem(node).map(Some),
        None => {
            tls.verify = node.flag().map_err(|problem| problem.fix("give root certificates as text or path, a client's own as cert"))?;
            Ok(None)
        }
    }
}

pub(super) fn ping(node: &Node<'_>, unit: Unit) -> Result<std::time::Duration, Problem> {
    let every = typed(node, unit)?;
    if every.is_zero() { Err(node.must("be above 0, or none for no pings")) } else { Ok(every) }
}

pub(super) fn address(node: &Node<'_>) -> Result<IpAddr, Problem> {
    node.str().and_then(|text| text.parse().ok()).ok_or_else(|| node.must("be an IP address"))
}

pub(super) fn directory(node: &Node<'_>) -> Result<PathBuf, Problem> {
    let path = Path::new(node.text()?);
    if path.is_absolute() { Ok(path.to_owned()) } else { Err(node.must("be an absolute path")) }
}

pub(super) fn typed(node: &Node<'_>, unit: Unit) -> Result<std::time::Duration, Problem> {
    match node.number() {
        Ok(number) => unit.read(number).map_err(|rule| node.must(rule)),
        Err(_) => node.duration(),
    }
}

/// PEM text, or that of the file at a path.
pub(super) fn pem(node: &Node<'_>) -> Result<Bytes, Problem> {
    let text = node.text().map_err(|problem| problem.fix("give PEM as text, or the path of its file"))?;
    if text.contains("-----BEGIN") {
        return Ok(Bytes::copy_from_slice(text.as_bytes()));
    }
    let read = files::read(Path::new(text), files::MOST_PEM).map(Bytes::from);
    read.map_err(|error| node.must(format!("be PEM text or the path of a file that can be read ({error})")))
}

pub(super) fn client_cert(node: &Node<'_>) -> Result<ClientCert, Problem> {
    match node.list() {
        None => Ok(ClientCert { cert: pem(node)?, key: None }),
        Some(items) => match items.as_slice() {
            [cert, key] => Ok(ClientCert { cert: pem(cert)?, key: Some(pem(key)?) }),
            _ => Err(node.must("be a certificate, or a list of a certificate and its key")),
        },
    }
}

/// A user name and a password. They are not shown in messages.
pub(super) fn credentials(node: &Node<'_>) -> Result<(String, String), Problem> {
    let texts: Option<Vec<String>> = node.list().unwrap_or_default().iter().map(|item| item.str().map(str::to_owned)).collect();
    match texts.as_deref() {
        Some([user, password]) => Ok((user.clone(), password.clone())),
        _ => Err(Problem::new("auth", "must be a list of a user name and a password")),
    }
}

/// Names and values, of a map or of a list of pairs; nothing as a value means to leave the field out. What was given is not shown in messages: it may
/// be a secret.
pub(super) fn pairs(node: &Node<'_>) -> Result<Vec<(String, Option<String>)>, Problem> {
    if let Some(entries) = node.entries() {
        let text = |value: &Node<'_>| match (&*value.value, value.str()) {
            (Value::Null, _) => Ok(None),
            (_, Some(text)) => Ok(Some(text.to_owned())),
            _ => Err(Problem::new(value.path.as_str(), "must be text")),
        };
        let mut lines: Vec<(String, Option<String>)> = Vec::new();
        for (name, value) in &entries {
            let value = text(value)?;
            // A map's names that differ in case alone are one field.
            match (lines.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)), value) {
                (Some((_, Some(before))), Some(value)) => *before += &format!(", {value}"),
                (Some((_, before)), value) => *before = value.or(before.take()),
                (None, value) => lines.push((name.clone(), value)),
            }
        }
        return Ok(lines);
    }
    let wrong = || Problem::new("headers", "must be a map, or a list of pairs of a name and a value");
    let pair = |item: &Node<'_>| match item.list()?.as_slice() {
        [name, value] => Some((name.str()?.to_owned(), Some(value.str()?.to_owned()))),
        _ => None,
    };
    node.list().ok_or_else(wrong)?.iter().map(|item| pair(item).ok_or_else(wrong)).collect()
}
