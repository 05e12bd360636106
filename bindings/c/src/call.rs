//! Blocking calls, and what each call can be told.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::Arc;

use core_::client::{CallOptions, Request};

use crate::blocking::{self, Functions};
use crate::callback::{reknock_before_retry_fn, reknock_delay_fn, reknock_free_fn, reknock_on_event_fn, reknock_retry_if_fn};
use crate::cancel::reknock_cancel;
use crate::client::{at_most, reknock_client};
use crate::error::{reknock_error, reknock_status};
use crate::ffi::{Fault, Options, entry, given, options, put, shared};
use crate::hooks::{Hook, Hooks};
use crate::policy::reknock_policy;
use crate::reading::Live;
use crate::request::reknock_request;
use crate::response::reknock_response;
use crate::transfer::reknock_on_transfer_fn;

/// What one call wants that differs from its client. Begin with REKNOCK_CALL_OPTIONS_INIT; a field that is zero or NULL is as
/// the client has it. Everything is copied or counted: nothing needs to outlive the function that takes it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct reknock_call_options {
    /// sizeof(reknock_call_options). Tells the library which fields the program knows.
    pub struct_size: usize,
    /// Another policy.
    pub policy: *const reknock_policy,
    /// What may cancel the call, and the reading of its body.
    pub cancel: *const reknock_cancel,
    /// Redirects followed, up to 1000; REKNOCK_NONE follows none.
    pub max_redirects: i32,
    /// A function of this call in place of the client's of this name, as are the next three. They run where the client's do. Default: the client's.
    pub retry_if: reknock_retry_if_fn,
    /// Not 0: the response's body is read before this retry_if is asked.
    pub retry_if_body: i32,
    /// See retry_if.
    pub delay: reknock_delay_fn,
    /// See retry_if.
    pub before_retry: reknock_before_retry_fn,
    /// See retry_if.
    pub on_event: reknock_on_event_fn,
    /// Told how much of this call's bodies has moved; it may end the call. Default: none.
    pub on_transfer: reknock_on_transfer_fn,
    /// What the functions of this call are given.
    pub user_data: *mut c_void,
    /// Frees user_data: once for each function that is given these options, on any thread, when its call can use it no more, or at once if it fails; not if
    /// struct_size is none. Default: nothing is freed.
    pub free_user_data: reknock_free_fn,
}

// SAFETY: numbers, nullable pointers and functions, the size first.
unsafe impl Options for reknock_call_options {}

/// What a call of a client is made with.
pub(crate) struct Asked {
    pub(crate) client: Arc<reknock_client>,
    pub(crate) options: CallOptions,
    pub(crate) hooks: Hooks,
}

/// # Safety
/// A live client or NULL; NULL, or options as large as they say whose handles are live or NULL.
pub(crate) unsafe fn asked(client: *const reknock_client, options: *const reknock_call_options) -> Result<Asked, Fault> {
    // SAFETY: by the contract.
    let said = unsafe { self::options(options, "options") }?;
    // Made before anything else can fail: its end frees the data.
    let data = Hook::new((), said.user_data, said.free_user_data);
    // SAFETY: likewise.
    let client = unsafe { shared(client, "client") }?;
    // SAFETY: a live policy or NULL.
    let policy = unsafe { said.policy.as_ref() }.map(|policy| policy.policy.clone());
    let mut out = CallOptions { policy, ..CallOptions::default() };
    if !said.cancel.is_null() {
        // SAFETY: a live token.
        out.cancel = Some(unsafe { shared(said.cancel, "cancel") }?.cancel.clone());
    }
    if said.max_redirects != 0 {
        out.redirects = Some(at_most(said.max_redirects, client.redirects)?);
    }
    let hooks = client.hooks().with_own(&said, data);
    Ok(Asked { client, options: out, hooks })
}

/// What a blocking call is made of.
struct Parts {
    client: Arc<reknock_client>,
    functions: Functions,
    request: Request,
    options: CallOptions,
}

/// # Safety
/// Each is live or NULL; the options are as large as they say.
unsafe fn parts(
    client: *const reknock_client,
    request: Option<&reknock_request>,
    options: *const reknock_call_options,
) -> Result<Parts, Fault> {
    // SAFETY: by the contract.
    let Asked { client, mut options, hooks } = unsafe { asked(client, options) }?;
    let request = given(request, "request")?;
    options.name = request.name();
    let (functions, request) = Functions::of(hooks, request, &mut options)?;
    Ok(Parts { client, functions, request, options })
}

/// Sends a request, retries it as the policy says, reads the whole response into `*out`. Free it with reknock_response_free.
///
/// Blocks the calling thread until the call is over; the client's callbacks run on this thread, and may make calls of their own.
/// Signals are not handled. `options` may be NULL.
///
/// Errors: the original failure of the last attempt, or REKNOCK_ERROR_DEADLINE, with the attempts and the stop reason. A response
/// of any status is no error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_client_send(
    client: *const reknock_client,
    request: Option<&reknock_request>,
    options: *const reknock_call_options,
    out: Option<&mut MaybeUninit<*mut reknock_response>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: live or NULL; options as large as they say.
        let Parts { client, functions, request, options } = unsafe { parts(client, request, options) }?;
        let out = given(out, "out")?;
        put(out, reknock_response::of(blocking::send(&client.client, request, &options, functions)?));
        Ok(())
    })
}

/// As reknock_client_send, but returns once the response's head is there: read its body with reknock_response_read.
///
/// The policy's timeout is over with the head; its idle_timeout limits each read. What cancels the call, and closing the client, ends
/// reads too. A body that breaks is an error of the read, never retried.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_client_stream(
    client: *const reknock_client,
    request: Option<&reknock_request>,
    options: *const reknock_call_options,
    out: Option<&mut MaybeUninit<*mut reknock_response>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: live or NULL; options as large as they say.
        let Parts { client, functions, request, options } = unsafe { parts(client, request, options) }?;
        let out = given(out, "out")?;
        let body = blocking::stream(&client.client, request, &options, functions)?;
        put(out, reknock_response::streamed(Live::Lane(body)));
        Ok(())
    })
}
