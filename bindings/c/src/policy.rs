//! Policies.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::ptr::null;
use std::sync::OnceLock;

use core_::Policy;
use core_::policy::Value;

use crate::error::{reknock_error, reknock_status};
use crate::ffi::{Fault, c_text, counted_text, entry, given, plain, put, text};

/// What a call is allowed to do: how often, when and for how long it is retried. Immutable.
///
/// May be shared by any number of clients, calls and threads. Clients and calls hold what they need: a policy may be freed
/// as soon as the function it was given to has returned.
pub struct reknock_policy {
    pub(crate) policy: Policy,
    json: OnceLock<CString>,
    yaml: OnceLock<CString>,
    explained: OnceLock<CString>,
}

impl reknock_policy {
    pub(crate) fn of(policy: Policy) -> Self {
        reknock_policy { policy, json: OnceLock::new(), yaml: OnceLock::new(), explained: OnceLock::new() }
    }
}

type Reader = fn(&str) -> Result<Policy, core_::Error>;

fn read(
    source: Result<&str, Fault>,
    reader: Reader,
    out: Option<&mut MaybeUninit<*mut reknock_policy>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let out = given(out, "out")?;
        put(out, reknock_policy::of(reader(source?)?));
        Ok(())
    })
}

/// Reads a policy from a YAML, JSON, TOML or Ballerina file (by its name's ending) into `*out`. Free it with reknock_policy_free.
/// It may be in the words of another system: see reknock_policies_load.
///
/// Errors: REKNOCK_ERROR_CONFIG with the key, the rule, the value found and the fix; likewise if the file cannot be read, or holds
/// several policies.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_load(
    path: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_policy>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: NUL-terminated or NULL.
    read(unsafe { text(path, "path") }, |path| Policy::load(path), out, error)
}

/// Reads a policy from JSON text, such as `{"max_retries": 4, "backoff": {"base": "100ms"}}` into `*out`. A missing key means its default. Free it with
/// reknock_policy_free.
///
/// Errors: as reknock_policy_load.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_from_json(
    json: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_policy>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: NUL-terminated or NULL.
    read(unsafe { text(json, "json") }, Policy::from_json, out, error)
}

/// As reknock_policy_from_json, of `length` bytes without a NUL at their end. Free it with reknock_policy_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_from_json_n(
    json: *const c_char,
    length: usize,
    out: Option<&mut MaybeUninit<*mut reknock_policy>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: `length` readable bytes, or NULL.
    read(unsafe { counted_text(json, length, "json") }, Policy::from_json, out, error)
}

/// Reads a policy from YAML text, such as `{max_retries: 4, backoff: {base: 100ms}}` into `*out`. A missing key means its default. Free it with
/// reknock_policy_free.
///
/// Errors: as reknock_policy_load.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_from_yaml(
    yaml: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_policy>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: NUL-terminated or NULL.
    read(unsafe { text(yaml, "yaml") }, Policy::from_yaml, out, error)
}

/// As reknock_policy_from_yaml, of `length` bytes without a NUL at their end. Free it with reknock_policy_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_from_yaml_n(
    yaml: *const c_char,
    length: usize,
    out: Option<&mut MaybeUninit<*mut reknock_policy>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: `length` readable bytes, or NULL.
    read(unsafe { counted_text(yaml, length, "yaml") }, Policy::from_yaml, out, error)
}

/// Makes a policy in `*out` that is `policy` (NULL: the default one) with another value of one key, which is YAML: `reknock_policy_with(policy, "max_retries",
/// "3", &changed, &error)`, or `"backoff", "{base: 100ms, max: 5s}"`, which replaces the whole block. The first policy stays as it is. Free it with
/// reknock_policy_free.
///
/// Errors: as reknock_policy_load.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_with(
    policy: Option<&reknock_policy>,
    key: *const c_char,
    value: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_policy>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let out = given(out, "out")?;
        // SAFETY: NUL-terminated or NULL, both.
        let (key, value) = unsafe { (text(key, "key")?, text(value, "value")?) };
        let base = policy.map_or_else(Policy::default, |policy| policy.policy.clone());
        put(out, reknock_policy::of(base.with(key, value)?));
        Ok(())
    })
}

/// Reads a policy from TOML text into `*out`. A missing key means its default. Free it with
/// reknock_policy_free.
///
/// Errors: as reknock_policy_load.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_from_toml(
    toml: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_policy>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: NUL-terminated or NULL.
    read(unsafe { text(toml, "toml") }, Policy::from_toml, out, error)
}

/// Makes the policy of this name in `*out`: "default", "none", or what "envoy", "kgateway", "linkerd", "ballerina", "ktor", "istio",
/// "envoy-gateway" and "linkerd2" do unless told otherwise; or "llm", for the APIs of large language models. Free it with reknock_policy_free.
///
/// Errors: REKNOCK_ERROR_CONFIG with the names there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_preset(
    name: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_policy>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: NUL-terminated or NULL.
    read(unsafe { text(name, "name") }, Policy::preset, out, error)
}

/// Makes a policy in `*out` of `base` with the keys of a JSON document in place of its own, one by one: for calls that differ from
/// their client in a key or two. `false` as the whole document means no retries. Free it with reknock_policy_free.
///
/// Errors: as reknock_policy_load.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_merge_json(
    base: Option<&reknock_policy>,
    json: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_policy>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let (base, out) = (given(base, "base")?, given(out, "out")?);
        // SAFETY: NUL-terminated or NULL.
        let document = Value::from_json(unsafe { text(json, "json") }?)?;
        put(out, reknock_policy::of(base.policy.merge(&document)?));
        Ok(())
    })
}

/// The whole policy as JSON text, defaults included. It belongs to the policy and lives as long. NULL for NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policy_to_json(policy: Option<&reknock_policy>) -> *const c_char {
    plain(null(), || policy.map_or(null(), |policy| policy.json.get_or_init(|| c_text(&policy.policy.to_json())).as_ptr()))
}

/// The whole policy as YAML text, defaults included. It belongs to the policy and lives as long. NULL for NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policy_to_yaml(policy: Option<&reknock_policy>) -> *const c_char {
    plain(null(), || policy.map_or(null(), |policy| policy.yaml.get_or_init(|| c_text(&policy.policy.to_yaml())).as_ptr()))
}

/// The policy in words: its document, the range of each wait, the worst case, what the budget may refuse, and what differs from the
/// document of another system that it was read from. It belongs to the policy and lives as long. Empty for NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policy_explain(policy: Option<&reknock_policy>) -> *const c_char {
    plain(null(), || policy.map_or(c"".as_ptr(), |policy| policy.explained.get_or_init(|| c_text(&policy.policy.explain())).as_ptr()))
}

/// Frees a policy. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policy_free(policy: Option<Box<reknock_policy>>) {
    plain((), || drop(policy));
}
