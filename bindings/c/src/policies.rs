//! The policies of a document in the words of any system, and what is to be known about them.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::ptr::null;
use std::sync::OnceLock;

use core_::policy::{Dialect, Loaded, load_all, named, read_all};

use crate::error::{reknock_error, reknock_status};
use crate::ffi::{Fault, c_text, counted_text, entry, given, plain, put, text};
use crate::policy::reknock_policy;

/// The policies that one document holds, in the order they stand there: one of ours, or any number in the words of Envoy, kgateway,
/// linkerd, Ballerina or Ktor; with their names, and notes on what reknock does not do as the original does.
///
/// Immutable, and may be used from any number of threads at once. What its functions return belongs to it and lives as long,
/// the policies too; clients and calls hold what they need of them.
pub struct reknock_policies(Vec<Held>);

impl reknock_policies {
    pub(crate) fn loaded(&self) -> impl Iterator<Item = &Loaded> {
        self.0.iter().map(|held| &held.loaded)
    }
}

struct Held {
    loaded: Loaded,
    policy: reknock_policy,
    name: Option<CString>,
    dialect: CString,
    notes: Vec<CString>,
    explained: OnceLock<CString>,
}

impl From<Loaded> for Held {
    fn from(loaded: Loaded) -> Self {
        Held {
            policy: reknock_policy::of(loaded.policy.clone()),
            name: loaded.name.as_deref().map(c_text),
            dialect: c_text(loaded.dialect.name()),
            notes: loaded.notes.iter().map(|note| c_text(&note.to_string())).collect(),
            explained: OnceLock::new(),
            loaded,
        }
    }
}

/// # Safety
/// NULL or NUL-terminated.
pub(crate) unsafe fn dialect(name: *const c_char) -> Result<Option<Dialect>, Fault> {
    if name.is_null() {
        return Ok(None);
    }
    // SAFETY: by the contract.
    Ok(Some(Dialect::from_name(unsafe { text(name, "dialect") }?)?))
}

fn read(
    out: Option<&mut MaybeUninit<*mut reknock_policies>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
    reader: impl FnOnce() -> Result<Vec<Loaded>, Fault>,
) -> reknock_status {
    entry(error, || {
        let out = given(out, "out")?;
        put(out, reknock_policies(reader()?.into_iter().map(Held::from).collect()));
        Ok(())
    })
}

/// Reads all policies of a file into `*out`: YAML, JSON, TOML or Ballerina source, by its name's ending. Free them with
/// reknock_policies_free.
///
/// `dialect` is "reknock", "envoy", "kgateway", "linkerd", "ballerina", "ktor", "istio", "envoy-gateway" or "linkerd2"; NULL recognises it by the keys.
///
/// Errors: REKNOCK_ERROR_CONFIG if the file cannot be read, holds no policy, or has a mistake, told in its own words.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policies_load(
    path: *const c_char,
    dialect: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_policies>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: NUL-terminated or NULL, both.
    read(out, error, || Ok(load_all(unsafe { text(path, "path") }?, unsafe { self::dialect(dialect) }?)?))
}

/// As reknock_policies_load, of a text, whose language is recognised by its looks; `dialect` may be NULL. Free them with
/// reknock_policies_free.
///
/// Errors: REKNOCK_ERROR_CONFIG if it holds no policy, or has a mistake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policies_read(
    text: *const c_char,
    dialect: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_policies>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: NUL-terminated or NULL, both.
    read(out, error, || Ok(read_all(unsafe { self::text(text, "text") }?, unsafe { self::dialect(dialect) }?)?))
}

/// As reknock_policies_read, of `length` bytes without a NUL at their end. Free them with reknock_policies_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policies_read_n(
    text: *const c_char,
    length: usize,
    dialect: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_policies>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: `length` readable bytes, or NULL; NUL-terminated or NULL.
    read(out, error, || Ok(read_all(unsafe { counted_text(text, length, "text") }?, unsafe { self::dialect(dialect) }?)?))
}

/// How many there are, at least 1. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policies_count(policies: Option<&reknock_policies>) -> usize {
    plain(0, || policies.map_or(0, |policies| policies.0.len()))
}

fn at<T>(policies: Option<&reknock_policies>, index: usize, otherwise: T, what: impl FnOnce(&Held) -> T) -> T {
    match policies.and_then(|policies| policies.0.get(index)) {
        Some(held) => plain(otherwise, || what(held)),
        None => otherwise,
    }
}

/// The policy at `index`, from 0; NULL beyond the last one, and for NULL. Do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policies_at(policies: Option<&reknock_policies>, index: usize) -> *const reknock_policy {
    at(policies, index, null(), |held| &raw const held.policy)
}

/// Writes where the first policy with this name is to `*index`.
///
/// Errors: REKNOCK_ERROR_CONFIG with the names there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policies_find(
    policies: Option<&reknock_policies>,
    name: *const c_char,
    index: Option<&mut MaybeUninit<usize>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let (policies, index) = (given(policies, "policies")?, given(index, "index")?);
        // SAFETY: NUL-terminated or NULL.
        let found = named(policies.loaded(), unsafe { text(name, "name") }?)?;
        let first = policies.0.iter().position(|held| found.first().is_some_and(|first| std::ptr::eq(*first, &held.loaded)));
        index.write(first.unwrap_or_default());
        Ok(())
    })
}

/// What the document calls the policy at `index`: a route, a router, a resource; NULL if it has no name, beyond the last one, and
/// for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policies_name(policies: Option<&reknock_policies>, index: usize) -> *const c_char {
    at(policies, index, null(), |held| held.name.as_ref().map_or(null(), |name| name.as_ptr()))
}

/// Whose words the policy at `index` was written in, such as "envoy"; NULL beyond the last one, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policies_dialect(policies: Option<&reknock_policies>, index: usize) -> *const c_char {
    at(policies, index, null(), |held| held.dialect.as_ptr())
}

/// How many notes there are on the policy at `index`: things that reknock does not do as the original does. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policies_note_count(policies: Option<&reknock_policies>, index: usize) -> usize {
    at(policies, index, 0, |held| held.notes.len())
}

/// A note on the policy at `index`: where in the document, and what differs. NULL beyond the last one, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policies_note(policies: Option<&reknock_policies>, index: usize, note: usize) -> *const c_char {
    at(policies, index, null(), |held| held.notes.get(note).map_or(null(), |note| note.as_ptr()))
}

/// The policy at `index` in words, as reknock_policy_explain, with its dialect, name and notes. Empty beyond the last one, and for
/// NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policies_explain(policies: Option<&reknock_policies>, index: usize) -> *const c_char {
    at(policies, index, c"".as_ptr(), |held| held.explained.get_or_init(|| c_text(&held.loaded.explain())).as_ptr())
}

/// Frees the policies of a document, and with them what was returned of them. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policies_free(policies: Option<Box<reknock_policies>>) {
    plain((), || drop(policies));
}
