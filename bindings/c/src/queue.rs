//! Calls that nobody waits for: a completion queue with a descriptor to poll.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::collections::{HashMap, VecDeque};
use std::ffi::c_void;
use std::io::{Read, Write};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

use core_::client::queue::{Delivery, Item, Queue};
use core_::client::{Cancel, Response, runtime};
use core_::{Error, ErrorKind};

use crate::callback::Hooks;
use crate::client::{call_options, reknock_call_options, reknock_client};
use crate::error::{REKNOCK_EMPTY, REKNOCK_ERROR_INTERNAL, REKNOCK_ERROR_INVALID_ARGUMENT, REKNOCK_OK, reknock_error, reknock_status};
use crate::ffi::{Fault, entry, given, hand_out, plain, shared, take_back};
use crate::request::reknock_request;
use crate::response::reknock_response;

type Outcome = Result<Response, Error>;

/// The number of a call on its queue: from 1, never used again. Not a handle: it needs no freeing.
pub type reknock_call = u64;

/// Where calls that nobody waits for are completed, and where their callbacks run: on the thread that drains the queue.
///
/// Make one per event loop. Any thread may submit and cancel; threads that drain at once each get other completions. Freeing it
/// cancels the calls in flight, whose completions never come.
pub struct reknock_queue {
    queue: ManuallyDrop<Queue<Outcome>>,
    /// Readable when the queue may have something.
    bell: UnixStream,
    ringer: UnixStream,
    pid: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Delivery<Outcome>>,
    calls: HashMap<reknock_call, Call>,
}

/// What a call needs on this side.
struct Call {
    user_data: *mut c_void,
    hooks: Hooks,
    cancel: Cancel,
}

// SAFETY: user_data is handed back, never used.
unsafe impl Send for Call {}

/// How a call ended. Its fields do not change within an ABI.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct reknock_completion {
    /// The number that reknock_client_submit gave.
    pub call: reknock_call,
    /// What reknock_client_submit was given.
    pub user_data: *mut c_void,
    /// REKNOCK_OK, or why the call failed.
    pub status: reknock_status,
    /// The response, if the status is REKNOCK_OK, else NULL. Free it with reknock_response_free.
    pub response: *mut reknock_response,
    /// The error, if the status is not REKNOCK_OK, else NULL. Free it with reknock_error_free.
    pub error: *mut reknock_error,
}

impl reknock_queue {
    fn new() -> Result<Self, Fault> {
        let failed = |error| Error::new(ErrorKind::Internal, "the system refuses a pair of sockets").with_source(error);
        let pair = || -> std::io::Result<_> {
            let (bell, ringer) = UnixStream::pair()?;
            bell.set_nonblocking(true)?;
            ringer.set_nonblocking(true)?;
            let waker = ringer.try_clone()?;
            Ok((bell, ringer, waker))
        };
        let (bell, ringer, waker) = pair().map_err(failed)?;
        let queue = ManuallyDrop::new(Queue::new(move || ring(&waker)));
        Ok(reknock_queue { queue, bell, ringer, pid: std::process::id(), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next delivery. The bell stays readable until there is none.
    fn next(&self) -> Option<Delivery<Outcome>> {
        let mut state = self.state();
        if state.ready.is_empty() {
            state.ready.extend(self.queue.take());
        }
        if state.ready.is_empty() {
            let mut rung = [0; 64];
            while (&self.bell).read(&mut rung).is_ok_and(|count| count == rung.len()) {}
            state.ready.extend(self.queue.take());
            if !state.ready.is_empty() {
                ring(&self.ringer);
            }
        }
        state.ready.pop_front()
    }

    /// Runs callbacks until a call is complete.
    fn drain(&self) -> Option<reknock_completion> {
        while let Some(Delivery { id, events, item }) = self.next() {
            let (hooks, cancelled) = match self.state().calls.get(&id) {
                Some(call) => (call.hooks.clone(), call.cancel.is_cancelled()),
                None => continue,
            };
            events.iter().for_each(|event| hooks.observe(event));
            let outcome = match item {
                // Whoever cancelled does not expect to be asked.
                Item::Question(_) if cancelled => continue,
                Item::Question(question) => {
                    self.queue.answer(id, hooks.answer(*question));
                    continue;
                }
                Item::Done(outcome) => outcome,
                Item::Failed(error) => Err(error),
            };
            let Some(call) = self.state().calls.remove(&id) else { continue };
            return Some(completion(id, call.user_data, outcome));
        }
        None
    }

    /// A child has the parent's memory, but neither its threads nor its calls.
    fn inherited(&self) -> bool {
        self.pid != std::process::id()
    }
}

impl Drop for reknock_queue {
    fn drop(&mut self) {
        if !self.inherited() {
            // SAFETY: dropped once, here. In a child it is leaked: its locks may be held by threads that are gone.
            unsafe { ManuallyDrop::drop(&mut self.queue) };
        }
    }
}

fn ring(ringer: &UnixStream) {
    let mut ringer = ringer;
    // Full means that it was rung enough.
    let _ = ringer.write(&[1]);
}

fn completion(call: reknock_call, user_data: *mut c_void, outcome: Outcome) -> reknock_completion {
    let (mut response, mut error, mut status) = (null_mut(), null_mut(), REKNOCK_OK);
    match outcome {
        Ok(whole) => response = Box::into_raw(Box::new(reknock_response::of(whole))),
        Err(failure) => {
            let failure = reknock_error::of(failure.into());
            status = failure.status();
            error = Box::into_raw(Box::new(failure));
        }
    }
    reknock_completion { call, user_data, status, response, error }
}

/// Makes a queue in `*out`. Free it with reknock_queue_free.
///
/// Errors: REKNOCK_ERROR_INTERNAL if the system has no descriptors left.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_queue_new(
    out: Option<&mut MaybeUninit<*mut reknock_queue>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        given(out, "out")?.write(hand_out(reknock_queue::new()?));
        Ok(())
    })
}

/// The descriptor to poll (select, poll, epoll, kqueue) for reading. It is readable while reknock_queue_next may have something,
/// and stays so until that returned REKNOCK_EMPTY. It belongs to the queue: do not read, write or close it. -1 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_queue_descriptor(queue: *const reknock_queue) -> i32 {
    // SAFETY: a live queue or NULL.
    plain(-1, || unsafe { queue.as_ref() }.map_or(-1, |queue| queue.bell.as_raw_fd()))
}

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
    entry(error, || {
        // SAFETY: live or NULL, both.
        let (client, queue) = unsafe { (shared(client, "client")?, shared(queue, "queue")?) };
        if queue.inherited() {
            return Err(Error::new(ErrorKind::Closed, "the queue belongs to the parent process").into());
        }
        let request = given(request, "request")?.request.clone();
        // SAFETY: NULL, or a struct as large as it says.
        let mut options = unsafe { call_options(options) }?;
        let cancel = Cancel::new();
        let theirs = options.cancel.replace(cancel.clone());
        let hooks = client.hooks();
        let (core, own) = (client.client.clone(), cancel.clone());
        let start = |host| async move {
            let call = core.send_with(request, &options, host);
            let Some(theirs) = theirs else { return call.await };
            tokio::pin!(call);
            tokio::select! {
                outcome = &mut call => return outcome,
                () = theirs.cancelled() => own.cancel(),
            }
            call.await
        };
        // Held until the call is in the table, so that its completion finds it there.
        let mut state = queue.state();
        let id = queue.queue.submit(runtime()?, hooks.wants(), start);
        state.calls.insert(id, Call { user_data, hooks, cancel });
        if let Some(out) = out {
            out.write(id);
        }
        Ok(())
    })
}

/// Ends a call with REKNOCK_ERROR_CANCELLED; its completion still comes out of the queue, and if the call was faster it is the
/// response. Any thread, more than once; numbers of calls that are over, and a NULL queue, do nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_call_cancel(queue: *const reknock_queue, call: reknock_call) {
    plain((), || {
        // SAFETY: a live queue or NULL.
        if let Ok(queue) = unsafe { shared(queue, "queue") }
            && !queue.inherited()
        {
            let cancel = queue.state().calls.get(&call).map(|call| call.cancel.clone());
            cancel.iter().for_each(Cancel::cancel);
        }
    });
}

/// Runs the callbacks that calls are waiting for, on this thread, and takes the next completion into `*out`. Never waits.
///
/// Returns REKNOCK_OK with a completion, REKNOCK_EMPTY when there is none, and writes nothing then, or
/// REKNOCK_ERROR_INVALID_ARGUMENT (also in a forked child that inherited the queue).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_queue_next(
    queue: *const reknock_queue,
    out: Option<&mut MaybeUninit<reknock_completion>>,
) -> reknock_status {
    plain(REKNOCK_ERROR_INTERNAL, || {
        // SAFETY: a live queue or NULL.
        match (unsafe { shared(queue, "queue") }, out) {
            (Ok(queue), Some(out)) if !queue.inherited() => match queue.drain() {
                Some(completion) => {
                    out.write(completion);
                    REKNOCK_OK
                }
                None => REKNOCK_EMPTY,
            },
            _ => REKNOCK_ERROR_INVALID_ARGUMENT,
        }
    })
}

/// How many calls are in flight or wait to be taken. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_queue_pending(queue: *const reknock_queue) -> usize {
    plain(0, || {
        // SAFETY: a live queue or NULL.
        unsafe { shared(queue, "queue") }.map_or(0, |queue| if queue.inherited() { 0 } else { queue.state().calls.len() })
    })
}

/// Frees a queue and cancels its calls; also inside a callback. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_queue_free(queue: *mut reknock_queue) {
    // SAFETY: a live queue or NULL.
    plain((), || unsafe { take_back(queue) });
}
