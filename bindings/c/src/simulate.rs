//! What a policy will do before it ships.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::ptr::null;
use std::sync::OnceLock;

use core_::lint::{Severity, Surroundings, lint};
use core_::policy::{Keys, Value};
use core_::simulate::{Comparison, Scenario, compare};

use crate::error::{reknock_error, reknock_status};
use crate::ffi::{c_text, entry, given, plain, put, text};
use crate::policies::reknock_policies;
use crate::policy::reknock_policy;

/// What a policy, or each of several, did in a scenario. Immutable; may be used from any number of threads at once.
pub struct reknock_report {
    json: CString,
    results: Comparison,
    html: OnceLock<CString>,
}

impl reknock_report {
    fn of(results: Comparison, json: &str) -> Self {
        reknock_report { json: c_text(json), results, html: OnceLock::new() }
    }
}

/// What is provably true of a policy, and what was found. Immutable; may be used from any number of threads at once.
pub struct reknock_lint {
    json: CString,
    text: CString,
    worst: Option<CString>,
}

/// Runs a policy through a scenario, in virtual time, into `*out`. Free it with reknock_report_free.
///
/// `scenario` is the name of a preset ("spike", "brown-out", "outage", "flapping", "rate-limit", "slow-start", "batch") or a JSON object
/// (its keys are on the page Simulate of the documentation). Takes a second for about two million attempts; does no I/O.
///
/// Errors: REKNOCK_ERROR_CONFIG with the key, the rule, the value found and the fix.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_simulate(
    policy: Option<&reknock_policy>,
    scenario: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_report>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let (policy, out) = (given(policy, "policy")?, given(out, "out")?);
        // SAFETY: NUL-terminated or NULL.
        let scenario = Scenario::from_text(unsafe { text(scenario, "scenario") }?)?;
        let results = compare([("policy".to_owned(), policy.policy.clone())], &scenario)?;
        let json = results.results[0].1.to_json();
        put(out, reknock_report::of(results, &json));
        Ok(())
    })
}

/// Runs each of these policies through the same scenario, as reknock_policy_simulate does, into `*out`, whose JSON has their results by
/// name ("policy" for one without). Free it with reknock_report_free.
///
/// Errors: REKNOCK_ERROR_CONFIG with the key, the rule, the value found and the fix; two of the policies have the same name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policies_compare(
    policies: Option<&reknock_policies>,
    scenario: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_report>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let (policies, out) = (given(policies, "policies")?, given(out, "out")?);
        // SAFETY: NUL-terminated or NULL.
        let scenario = Scenario::from_text(unsafe { text(scenario, "scenario") }?)?;
        let named = policies.loaded().map(|loaded| (loaded.name.clone().unwrap_or_else(|| "policy".to_owned()), loaded.policy.clone()));
        let results = compare(named, &scenario)?;
        let json = results.to_json();
        put(out, reknock_report::of(results, &json));
        Ok(())
    })
}

/// The result as JSON: the same bytes for the same policy, scenario and seeds in every language. It belongs to the report. Empty for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_report_json(report: Option<&reknock_report>) -> *const c_char {
    report.map_or(c"".as_ptr(), |report| report.json.as_ptr())
}

/// A page with a table and pictures: one HTML file, light and dark, no network, no script. It belongs to the report. Empty for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_report_html(report: Option<&reknock_report>) -> *const c_char {
    plain(c"".as_ptr(), || report.map_or(c"".as_ptr(), |report| report.html.get_or_init(|| c_text(&report.results.to_html())).as_ptr()))
}

/// 1 if every rule of the scenario's `expect` holds, for every policy, else 0; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_report_passed(report: Option<&reknock_report>) -> i32 {
    report.is_some_and(|report| report.results.passed()).into()
}

/// Frees a report, and with it its texts. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_report_free(report: Option<Box<reknock_report>>) {
    plain((), || drop(report));
}

/// Looks at a policy into `*out`: bounds that are proven, and settings that contradict each other or do harm. Free it with
/// reknock_lint_free.
///
/// `surroundings` says where it will run, a JSON object with the keys "processes" (1..=1000000, default 1), "one_purse" (whether they
/// share one budget also without `share: host`, default false) and "capacity" (requests per second that the server can bear, default null);
/// NULL for the defaults.
///
/// Errors: REKNOCK_ERROR_CONFIG with the key, the rule, the value found and the fix.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_policy_lint(
    policy: Option<&reknock_policy>,
    surroundings: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_lint>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let (policy, out) = (given(policy, "policy")?, given(out, "out")?);
        let document = match surroundings.is_null() {
            true => Value::EMPTY,
            // SAFETY: NUL-terminated.
            false => Value::from_json(unsafe { text(surroundings, "surroundings") }?)?,
        };
        let found = lint(&policy.policy, Surroundings::from_value(&document, Keys::Snake)?);
        let worst = found.worst().map(Severity::code).map(c_text);
        put(out, reknock_lint { json: c_text(&found.to_value().to_json()), text: c_text(&found.to_string()), worst });
        Ok(())
    })
}

/// Bounds and findings as JSON. It belongs to the result. Empty for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_lint_json(lint: Option<&reknock_lint>) -> *const c_char {
    lint.map_or(c"".as_ptr(), |lint| lint.json.as_ptr())
}

/// The same for people, a line each. It belongs to the result. Empty for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_lint_text(lint: Option<&reknock_lint>) -> *const c_char {
    lint.map_or(c"".as_ptr(), |lint| lint.text.as_ptr())
}

/// The worst severity found: "note", "warning" or "error", a static string; NULL if nothing was found, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_lint_worst(lint: Option<&reknock_lint>) -> *const c_char {
    lint.and_then(|lint| lint.worst.as_ref()).map_or(null(), |worst| worst.as_ptr())
}

/// Frees a result, and with it its texts. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_lint_free(lint: Option<Box<reknock_lint>>) {
    plain((), || drop(lint));
}
