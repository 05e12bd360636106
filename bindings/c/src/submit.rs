//! Calls and reads that nobody waits for: they are completed on a queue.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::ffi::c_void;
use std::future::Future;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::ptr::{from_ref, null_mut};
use std::sync::Arc;

use core_::client::queue::QueueHost;
use core_::client::{CallOptions, Cancel, Client, Request, Wants, runtime};
use core_::{Error, ErrorKind};

use crate::call::{Asked, asked, reknock_call_options};
use crate::client::reknock_client;
use crate::error::{reknock_error, reknock_status};
use crate::ffi::{Fault, entry, given, plain, shared};
use crate::hooks::Hooks;
use crate::queue::{Call, Outcome, reknock_call, reknock_queue};
use crate::reading::{OnQueue, either};
use crate::request::reknock_request;
use crate::response::reknock_response;
use crate::transfer::Transfers;

/// Sends a request as reknock_client_send does, but returns at once with the call's number in `*out` (which may be NULL). The call
/// is completed on the queue, once, whatever happens to it, with this user_data. `options` may be NULL. The request, the
/// options and the client may be freed when this returns.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT, REKNOCK_ERROR_CLOSED in a forked child that inherited the queue; the call's own come out
/// of the queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_client_submit(
    client: *const reknock_client,
    request: Option<&reknock_request>,
    options: *const reknock_call_options,
    queue: *const reknock_queue,
    user_data: *mut c_void,
    out: Option<&mut MaybeUninit<reknock_call>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: live or NULL, all of them; options as large as they say.
    let said = move || unsafe { said(client, request, options, queue, user_data) };
    entry(error, || {
        said()?.submit(out, |Parts { client, request, options, own, theirs, transfers }, host| async move {
            let call = pin!(client.send_with(request, &options, host));
            Outcome::Whole(minded(call, &own, theirs.as_ref(), transfers).await)
        })
    })
}

/// As reknock_client_submit, but the call is completed once the response's head is there: read its body with
/// reknock_response_submit_read, or with reknock_response_read, which waits. See reknock_client_stream.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_client_submit_stream(
    client: *const reknock_client,
    request: Option<&reknock_request>,
    options: *const reknock_call_options,
    queue: *const reknock_queue,
    user_data: *mut c_void,
    out: Option<&mut MaybeUninit<reknock_call>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    // SAFETY: live or NULL, all of them; options as large as they say.
    let said = move || unsafe { said(client, request, options, queue, user_data) };
    entry(error, || {
        said()?.submit(out, |Parts { client, request, options, own, theirs, transfers }, host| async move {
            let call = pin!(client.stream_with(request, &options, host));
            let stream = minded(call, &own, theirs.as_ref(), transfers).await;
            Outcome::Streamed(stream.map(|stream| Box::new(OnQueue { stream, own, theirs })))
        })
    })
}

/// Waits for the next piece of a response's body, and returns at once with a number in `*out` (which may be NULL), which
/// reknock_call_cancel takes. The completion has this user_data and the response itself, not a new one:
/// reknock_response_read then does not wait. It gives 0 bytes at the end.
///
/// Of responses of reknock_client_submit_stream, on any queue; one read at a time. Freeing the response cancels the read, and its completion
/// never comes. Freeing the queue does likewise, and what is read later of the response fails with REKNOCK_ERROR_CLOSED.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also for a response of another function and while another read is under way;
/// REKNOCK_ERROR_CLOSED in a forked child. Those of reknock_response_read come out of the queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_response_submit_read(
    response: Option<&reknock_response>,
    queue: *const reknock_queue,
    user_data: *mut c_void,
    out: Option<&mut MaybeUninit<reknock_call>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let response = given(response, "response")?;
        // SAFETY: live or NULL.
        let queue = own(unsafe { shared(queue, "queue") }?)?;
        let runtime = runtime()?;
        let whole = || Fault::Argument("response: is whole, there is nothing to wait for".to_owned());
        let (body, cancel) = response.place.as_ref().ok_or_else(whole)?.borrow()?;
        let call = Call { user_data, cancel, response: from_ref(response).cast_mut(), ..Call::default() };
        let id = queue.submit(runtime, Wants::default(), call, |_| async move { Outcome::Read(body.read().await) });
        out.map(|out| out.write(id));
        Ok(())
    })
}

/// Ends a call or a read with REKNOCK_ERROR_CANCELLED; its completion still comes out of the queue, and if it was faster it is the
/// response. Any thread, more than once; numbers of calls that are over, and a NULL queue, do nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_call_cancel(queue: *const reknock_queue, call: reknock_call) {
    plain((), || {
        // SAFETY: a live queue or NULL.
        if let Ok(queue) = unsafe { shared(queue, "queue") }.and_then(own) {
            queue.cancel(call);
        }
    });
}

/// A queue of this process.
fn own(queue: Arc<reknock_queue>) -> Result<Arc<reknock_queue>, Fault> {
    match queue.inherited() {
        false => Ok(queue),
        true => Err(Error::new(ErrorKind::Closed, "the queue belongs to the parent process").into()),
    }
}

/// What a call is made of.
struct Parts {
    client: Client,
    request: Request,
    options: CallOptions,
    own: Cancel,
    theirs: Option<Cancel>,
    transfers: Option<Arc<Transfers>>,
}

/// A call with what else cancels it, told of to whoever wants to be. Calls are large: they stay where they are made.
async fn minded<T>(call: Pin<&mut impl Future<Output = T>>, own: &Cancel, theirs: Option<&Cancel>, transfers: Option<Arc<Transfers>>) -> T {
    match transfers {
        None => either(call, own, theirs).await,
        Some(transfers) => transfers.during(call, theirs).await,
    }
}

/// What is to be submitted, and where.
struct Said {
    queue: Arc<reknock_queue>,
    call: Call,
    hooks: Hooks,
    parts: Parts,
}

/// # Safety
/// Each is live or NULL; the options are as large as they say.
unsafe fn said(
    client: *const reknock_client,
    request: Option<&reknock_request>,
    options: *const reknock_call_options,
    queue: *const reknock_queue,
    user_data: *mut c_void,
) -> Result<Said, Fault> {
    // SAFETY: by the contract.
    let Asked { client, mut options, hooks } = unsafe { asked(client, options) }?;
    // SAFETY: likewise.
    let queue = own(unsafe { shared(queue, "queue") }?)?;
    let cancel = Cancel::new();
    let theirs = options.cancel.replace(cancel.clone());
    let outlet = queue.outlet(&cancel);
    let request = given(request, "request")?;
    options.name = request.name();
    let request = request.outgoing(&outlet)?;
    let transfers = hooks.transfers(|| cancel.clone(), &outlet);
    options.on_transfer = transfers.as_ref().map(|transfers| transfers.listener());
    let parts = Parts { client: client.client.clone(), request, options, own: cancel.clone(), theirs, transfers: transfers.clone() };
    let call = Call { user_data, hooks: hooks.clone(), cancel, outlet: Some(outlet), transfers, response: null_mut() };
    Ok(Said { queue, call, hooks, parts })
}

impl Said {
    fn submit<F>(self, out: Option<&mut MaybeUninit<reknock_call>>, start: impl FnOnce(Parts, QueueHost<Outcome>) -> F) -> Result<(), Fault>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let Said { queue, call, hooks, parts } = self;
        let id = queue.submit(runtime()?, hooks.wants(), call, |host| start(parts, host));
        out.map(|out| out.write(id));
        Ok(())
    }
}
