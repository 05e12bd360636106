//! Policy sets.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::ptr::null;
use std::sync::OnceLock;

use core_::PolicySet;

use crate::error::{reknock_error, reknock_status};
use crate::ffi::{Fault, c_text, counted_text, entry, given, plain, put, text};
use crate::policies::dialect;
use crate::policy::reknock_policy;

/// Policies, and rules that say which of them a request has: the first rule that matches its host, path, method, header fields and query, else
/// the default. A client that is given one (`policy_set`) chooses for each call by its first URL.
///
/// A document is `{policies: {name: policy}, rules: [{match: {host, path, methods, headers, query}, policy: name}], default: name}`; a policy's
/// is a set of one. The files of Envoy, the Gateway API, Istio and linkerd2 become sets by their own matches.
///
/// Immutable, and may be used from any number of threads at once. Clients hold what they need of it.
pub struct reknock_policy_set {
    pub(crate) set: PolicySet,
    json: OnceLock<CString>,
    yaml: OnceLock<CString>,
    explained: OnceLock<CString>,
    notes: Vec<CString>,
}

/// What a set chose for a request. Immutable; may be used from any number of threads at once.
pub struct reknock_choice {
    rule: usize,
    name: Option<CString>,
    policy: reknock_policy,
    explained: CString,
}

fn read(
    out: Option<&mut MaybeUninit<*mut reknock_policy_set>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
    reader: impl FnOnce() -> Result<PolicySet, Fault>,
) -> reknock_status {
    entry(error, || {
        let (out, set) = (given(out, "out")?, reader()?);
        let notes = set.notes().iter().map(|note| c_text(&note.to_string())).collect();
        put(out, reknock_policy_set { set, json: OnceLock::new(), yaml: OnceLock::new(), explained: OnceLock::new(), notes });
        Ok(())
    })
}

/// Reads the set of a file into `*out`: YAML, JSON, TOML or Ballerina source, by its name's ending; ours, a policy's, or another system's.
/// `dialect` may be NULL: see reknock_policies_load. Free it with reknock_policy_set_free.
///
/// Errors: REKNOCK_ERROR_CONFIG if the file cannot be read, holds no policy, or has a mistake, told in its own words.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_set_load(
    path: *const c_char,
    dialect: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_policy_set>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: NUL-terminated or NULL, both.
    read(out, error, || Ok(PolicySet::load(unsafe { text(path, "path") }?, unsafe { self::dialect(dialect) }?)?))
}

/// As reknock_policy_set_load, for clients that follow the file: their calls look at it at most once a second, and go on with what they have until a
/// change is read. What cannot be read changes nothing: reknock_client_policy_error says why. Free it with reknock_policy_set_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_set_watch(
    path: *const c_char,
    dialect: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_policy_set>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: NUL-terminated or NULL, both.
    read(out, error, || Ok(PolicySet::watch(unsafe { text(path, "path") }?, unsafe { self::dialect(dialect) }?)?))
}

/// As reknock_policy_set_load, of a text, whose language is recognised by its looks. Free it with reknock_policy_set_free.
///
/// Errors: REKNOCK_ERROR_CONFIG if it holds no policy, or has a mistake.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_set_read(
    text: *const c_char,
    dialect: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_policy_set>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: NUL-terminated or NULL, both.
    read(out, error, || Ok(PolicySet::read(unsafe { self::text(text, "text") }?, unsafe { self::dialect(dialect) }?)?))
}

/// As reknock_policy_set_read, of `length` bytes without a NUL at their end; `dialect` may be NULL. Free it with reknock_policy_set_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_set_read_n(
    text: *const c_char,
    length: usize,
    dialect: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_policy_set>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: `length` readable bytes, or NULL; NUL-terminated or NULL.
    read(out, error, || Ok(PolicySet::read(unsafe { counted_text(text, length, "text") }?, unsafe { self::dialect(dialect) }?)?))
}

/// The whole set as JSON text. It belongs to the set and lives as long. NULL for NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policy_set_to_json(set: Option<&reknock_policy_set>) -> *const c_char {
    plain(null(), || set.map_or(null(), |set| set.json.get_or_init(|| c_text(&set.set.to_json())).as_ptr()))
}

/// The whole set as YAML text, a policy and a rule a line. It belongs to the set and lives as long. NULL for NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policy_set_to_yaml(set: Option<&reknock_policy_set>) -> *const c_char {
    plain(null(), || set.map_or(null(), |set| set.yaml.get_or_init(|| c_text(&set.set.to_yaml())).as_ptr()))
}

/// The rules and the policies in words. It belongs to the set and lives as long. Empty for NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policy_set_explain(set: Option<&reknock_policy_set>) -> *const c_char {
    plain(null(), || set.map_or(c"".as_ptr(), |set| set.explained.get_or_init(|| c_text(&set.set.explain())).as_ptr()))
}

/// How many notes there are on the set as a whole. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policy_set_note_count(set: Option<&reknock_policy_set>) -> usize {
    set.map_or(0, |set| set.notes.len())
}

/// A note on the set. It belongs to the set and lives as long. NULL beyond the last one, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policy_set_note(set: Option<&reknock_policy_set>, index: usize) -> *const c_char {
    set.and_then(|set| set.notes.get(index)).map_or(null(), |note| note.as_ptr())
}

/// Chooses the policy of a request into `*out`: a method and a URL, "GET http://shop.test/cart"; a URL alone means GET. Free it with
/// reknock_choice_free.
///
/// Errors: REKNOCK_ERROR_CONFIG if it is no such text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_set_choose(
    set: Option<&reknock_policy_set>,
    request: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_choice>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let (set, out) = (given(set, "set")?, given(out, "out")?);
        // SAFETY: NUL-terminated or NULL.
        let request = unsafe { text(request, "request") }?;
        let (chosen, explained) = (set.set.for_text(request)?, c_text(&set.set.explain_for(request)?));
        let policy = reknock_policy::of(chosen.policy.clone());
        put(out, reknock_choice { rule: chosen.rule.unwrap_or(0), name: chosen.name.map(c_text), policy, explained });
        Ok(())
    })
}

/// The number of the rule that the request meets, from 1; 0 if it meets none, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_choice_rule(choice: Option<&reknock_choice>) -> usize {
    choice.map_or(0, |choice| choice.rule)
}

/// The name of its policy. It belongs to the choice. NULL for the only policy, for the library's defaults, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_choice_policy_name(choice: Option<&reknock_choice>) -> *const c_char {
    choice.and_then(|choice| choice.name.as_ref()).map_or(null(), |name| name.as_ptr())
}

/// Its policy, which belongs to the choice. NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_choice_policy(choice: Option<&reknock_choice>) -> *const reknock_policy {
    choice.map_or(null(), |choice| &raw const choice.policy)
}

/// Which rule the request meets, and the policy in words. It belongs to the choice. Empty for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_choice_explain(choice: Option<&reknock_choice>) -> *const c_char {
    choice.map_or(c"".as_ptr(), |choice| choice.explained.as_ptr())
}

/// Frees a choice, and with it what was returned of it. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_choice_free(choice: Option<Box<reknock_choice>>) {
    plain((), || drop(choice));
}

/// Frees a set. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policy_set_free(set: Option<Box<reknock_policy_set>>) {
    plain((), || drop(set));
}
