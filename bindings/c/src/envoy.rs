//! Envoy's request headers, for programs with an HTTP client of their own.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::ptr::null;
use std::sync::OnceLock;
use std::time::Duration;

use core_::policy::envoy;

use crate::error::{reknock_error, reknock_status};
use crate::ffi::{c_text, entry, given, plain, put};
use crate::policy::reknock_policy;
use crate::request::reknock_header;
use crate::retry::fields;

/// Makes the policy of a request with these header fields in `*out`: `policy` as the x-envoy- headers among them change it, which are to be
/// removed before the request is sent (reknock_envoy_header). With a reknock_client its option envoy_headers does both. `headers` may be
/// NULL if header_count is 0. Free it with reknock_policy_free.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT alone, also for a header whose name or value is NULL. What cannot be read is ignored, as
/// Envoy does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_with_envoy_headers(
    policy: Option<&reknock_policy>,
    headers: *const reknock_header,
    header_count: usize,
    out: Option<&mut MaybeUninit<*mut reknock_policy>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let (policy, out) = (given(policy, "policy")?, given(out, "out")?);
        // SAFETY: as many headers as are said, with texts that are NUL-terminated or NULL.
        let fields = unsafe { fields(headers, header_count) }?;
        put(out, reknock_policy::of(envoy::with_request_headers(&policy.policy, &fields)));
        Ok(())
    })
}

/// The value of the header x-envoy-expected-rq-timeout-ms for an attempt that begins `elapsed_ms` milliseconds after its call: the time
/// the server has to answer, in milliseconds. 0: the policy has no limit, and the request no such header; likewise for NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_policy_expected_rq_timeout_ms(policy: Option<&reknock_policy>, elapsed_ms: u64) -> u64 {
    let expected = |policy: &reknock_policy| envoy::expected_rq_timeout_ms(&policy.policy, Duration::from_millis(elapsed_ms));
    plain(0, || policy.and_then(expected).unwrap_or(0))
}

/// The name at `index`, from 0, of the headers of a request that Envoy keeps to itself; NULL beyond the last one. Who sends a request
/// under reknock_policy_with_envoy_headers removes them. A static string, in lower case. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_envoy_header(index: usize) -> *const c_char {
    static NAMES: OnceLock<Vec<CString>> = OnceLock::new();
    plain(null(), || {
        let names = NAMES.get_or_init(|| envoy::REQUEST_HEADERS.iter().map(|name| c_text(name)).collect());
        names.get(index).map_or(null(), |name| name.as_ptr())
    })
}
