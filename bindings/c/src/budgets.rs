//! Retry budgets: those of the machine alone, and readings of all.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::sync::Arc;

use core_::Tick;
use core_::client::{process_budgets, process_budgets_with};
use core_::policy::{Keys, Value};
use core_::retry::driver;
use core_::retry::{BudgetReading, Budgets, Share};

use crate::client::reknock_client;
use crate::error::{REKNOCK_EMPTY, REKNOCK_ERROR_INTERNAL, REKNOCK_ERROR_INVALID_ARGUMENT, REKNOCK_OK, reknock_error, reknock_status};
use crate::ffi::{Fault, entry, given, hand_out, plain, shared, take_back, text};
use crate::policy::reknock_policy;

/// The retry budgets that calls share: keep one beside each client of your own, or give the same to several, and to a reknock_client.
/// Those with names are shared with all of the process.
///
/// May be used from any number of threads at once. Calls that were begun with it keep it alive.
pub struct reknock_budgets {
    pub(crate) budgets: Arc<Budgets>,
}

/// What a budget has and what it did, at one moment. Its fields do not change within an ABI.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct reknock_budget_reading {
    /// Retries that would be granted now. May be below zero when deposits ran out before the withdrawals they paid for.
    pub balance: i64,
    /// Deposits made (ratio), or sends begun (concurrency).
    pub deposits: u64,
    /// Retries granted, without those given back.
    pub withdrawals: u64,
    /// Retries refused.
    pub refusals: u64,
    /// Of the deposits, those of this process; the others are those of all who share it.
    pub own_deposits: u64,
    /// Of the withdrawals, those of this process.
    pub own_withdrawals: u64,
    /// Of the refusals, those of this process.
    pub own_refusals: u64,
    /// How often a host's purse began anew because somebody had scribbled on its file.
    pub resets: u64,
    /// 1 if the processes of the host share it; 0 also where the policy says `share: host` and it could not be had.
    pub host: i32,
    /// The file of the host's purse; or why a budget that should be the host's is the process's alone; else empty. At most 255 bytes of it.
    pub place: [c_char; 256],
}

/// Makes budgets in `*out`, all full. Free them with reknock_budgets_free.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT if out is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_budgets_new(
    out: Option<&mut MaybeUninit<*mut reknock_budgets>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        given(out, "out")?.write(hand_out(reknock_budgets { budgets: Arc::new(process_budgets()) }));
        Ok(())
    })
}

/// As reknock_budgets_new, for budgets with `share: host` in the directory `budget_dir`, an absolute path (NULL: the default one), which are
/// an error of the calls that need one where they cannot be had, if `share_required` is not 0.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT if out is NULL, REKNOCK_ERROR_CONFIG for a path that is not absolute.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_budgets_new_in(
    budget_dir: *const c_char,
    share_required: i32,
    out: Option<&mut MaybeUninit<*mut reknock_budgets>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let out = given(out, "out")?;
        let mut options = vec![("share_required".to_owned(), (share_required != 0).into())];
        if !budget_dir.is_null() {
            // SAFETY: the caller's text, which ends with NUL.
            options.push(("budget_dir".to_owned(), unsafe { text(budget_dir, "budget_dir") }?.into()));
        }
        out.write(hand_out(reknock_budgets { budgets: Arc::new(process_budgets_with(&Value::Map(options), Keys::Snake)?) }));
        Ok(())
    })
}

/// What the budget of `policy` (NULL: the default one) for calls to `origin` has at `now_ns`, in `*out`.
///
/// Returns REKNOCK_OK, or REKNOCK_EMPTY if the policy has no budget or no call used it yet, and writes nothing then, or
/// REKNOCK_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_budgets_reading(
    budgets: *const reknock_budgets,
    policy: Option<&reknock_policy>,
    origin: *const c_char,
    now_ns: u64,
    out: Option<&mut MaybeUninit<reknock_budget_reading>>,
) -> reknock_status {
    told(out, || {
        // SAFETY: live budgets or NULL; NUL-terminated or NULL.
        let (budgets, origin) = unsafe { (shared(budgets, "budgets")?, text(origin, "origin")?) };
        let policy = policy.map_or_else(core_::Policy::default, |policy| policy.policy.clone());
        Ok(driver::reading(&budgets.budgets, &policy, origin, Tick(now_ns)))
    })
}

/// Frees budgets. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_budgets_free(budgets: *mut reknock_budgets) {
    // SAFETY: live budgets or NULL.
    plain((), || unsafe { take_back(budgets) });
}

/// What the budget of the client's policy for calls to the origin of `url` (the rest of it is not looked at) has, in `*out`. Any thread.
///
/// Returns REKNOCK_OK, or REKNOCK_EMPTY if the policy has no budget, no call used it yet, or `url` is no URL, and writes nothing then,
/// or REKNOCK_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_client_budget(
    client: *const reknock_client,
    url: *const c_char,
    out: Option<&mut MaybeUninit<reknock_budget_reading>>,
) -> reknock_status {
    // SAFETY: a live client or NULL; NUL-terminated or NULL.
    told(out, || unsafe { Ok(shared(client, "client")?.client.budget(text(url, "url")?)) })
}

/// As much of it as there is room for before a NUL.
fn place(text: &str) -> [c_char; 256] {
    let mut place = [0; 256];
    place[..255].iter_mut().zip(text.as_bytes()).for_each(|(to, from)| *to = *from as c_char);
    place
}

fn told(
    out: Option<&mut MaybeUninit<reknock_budget_reading>>,
    read: impl FnOnce() -> Result<Option<BudgetReading>, Fault>,
) -> reknock_status {
    plain(REKNOCK_ERROR_INTERNAL, || match (out, read()) {
        (Some(out), Ok(Some(reading))) => {
            out.write(reknock_budget_reading {
                balance: reading.balance,
                deposits: reading.deposits,
                withdrawals: reading.withdrawals,
                refusals: reading.refusals,
                own_deposits: reading.own_deposits,
                own_withdrawals: reading.own_withdrawals,
                own_refusals: reading.own_refusals,
                resets: reading.resets,
                host: (reading.share == Share::Host).into(),
                place: place(reading.path.or(reading.why).as_deref().unwrap_or_default()),
            });
            REKNOCK_OK
        }
        (Some(_), Ok(None)) => REKNOCK_EMPTY,
        _ => REKNOCK_ERROR_INVALID_ARGUMENT,
    })
}
