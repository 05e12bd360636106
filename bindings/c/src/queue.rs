//! Completion queues: a descriptor to poll, and what comes out.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::collections::{HashMap, VecDeque};
use std::ffi::c_void;
use std::future::Future;
use std::io::{Read as _, Write};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use core_::client::queue::{Delivery, Item, Queue, QueueHost};
use core_::client::{Cancel, Event, Response, Wants, process_id};
use core_::{Error, ErrorKind};
use tokio::runtime::Handle;

use crate::body::{Outlet, Pull};
use crate::error::{REKNOCK_EMPTY, REKNOCK_ERROR_INTERNAL, REKNOCK_ERROR_INVALID_ARGUMENT, REKNOCK_OK, reknock_error, reknock_status};
use crate::ffi::{Fault, entry, given, hand_out, plain, shared, take_back};
use crate::hooks::Hooks;
use crate::reading::{Live, OnQueue, Read};
use crate::response::reknock_response;
use crate::transfer::Transfers;

/// How something that was submitted ended.
#[expect(clippy::large_enum_variant, reason = "nearly all are of the largest")]
pub(crate) enum Outcome {
    Whole(Result<Response, Error>),
    Streamed(Result<Box<OnQueue>, Error>),
    Read(Read),
}

/// The number of a call on its queue: from 1, never used again. Not a handle: it needs no freeing.
pub type reknock_call = u64;

/// Where calls that nobody waits for are completed, and where their callbacks run: on the thread that drains the queue.
///
/// Make one per event loop. Any thread may submit and cancel; threads that drain at once each get other completions. Freeing it
/// cancels the calls and reads in flight, whose completions never come.
pub struct reknock_queue {
    queue: ManuallyDrop<Queue<Outcome>>,
    /// Readable when the queue may have something.
    bell: UnixStream,
    waiting: Arc<Waiting>,
    pid: u32,
    /// The program freed it, maybe inside a callback: then it lives until that returns, and nothing comes out of it any more.
    freed: AtomicBool,
    state: Mutex<State>,
}

/// What bodies ask for, with what cancels their call, and the other end of the bell.
struct Waiting {
    pulls: Mutex<VecDeque<(Cancel, Pull)>>,
    ringer: UnixStream,
    /// It was rung, and not heard yet.
    rung: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Calls that are over.
    ended: VecDeque<Delivery<Outcome>>,
    /// Calls that ask.
    asking: VecDeque<Delivery<Outcome>>,
    /// The last callback produced a body: one that was asked comes next.
    pulled: bool,
    calls: HashMap<reknock_call, Arc<Call>>,
}

/// What a call needs on this side.
pub(crate) struct Call {
    pub(crate) user_data: *mut c_void,
    pub(crate) hooks: Hooks,
    pub(crate) cancel: Cancel,
    pub(crate) outlet: Option<Outlet>,
    pub(crate) transfers: Option<Arc<Transfers>>,
    /// What a read reads.
    pub(crate) response: *mut reknock_response,
}

impl Default for Call {
    fn default() -> Self {
        Call { user_data: null_mut(), hooks: Hooks::default(), cancel: Cancel::new(), outlet: None, transfers: None, response: null_mut() }
    }
}

// SAFETY: the pointers are handed back, never used.
unsafe impl Send for Call {}
// SAFETY: likewise.
unsafe impl Sync for Call {}

/// What is to be done on the thread that drains.
#[expect(clippy::large_enum_variant, reason = "nearly all are of the largest")]
enum Work {
    Pull(Cancel, Pull),
    Delivery(Delivery<Outcome>),
}

/// How a call or a read ended. Its fields do not change within an ABI.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct reknock_completion {
    /// The number that submitting it gave.
    pub call: reknock_call,
    /// What submitting it was given.
    pub user_data: *mut c_void,
    /// REKNOCK_OK, or why it failed.
    pub status: reknock_status,
    /// The response, if the status is REKNOCK_OK, else NULL. Free it with reknock_response_free. After reknock_response_submit_read
    /// it is the response that is read, which the program has already.
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
            Ok((bell, ringer))
        };
        let (bell, ringer) = pair().map_err(failed)?;
        let waiting = Arc::new(Waiting { pulls: Mutex::default(), ringer, rung: AtomicBool::new(false) });
        let waker = Arc::clone(&waiting);
        let queue = ManuallyDrop::new(Queue::new(move || waker.ring()));
        Ok(reknock_queue { queue, bell, waiting, pid: process_id(), freed: AtomicBool::new(false), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a call, and brings its end here.
    pub(crate) fn submit<F>(&self, runtime: &Handle, wants: Wants, call: Call, start: impl FnOnce(QueueHost<Outcome>) -> F) -> reknock_call
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        // Held until the call is in the table, so that its completion finds it there.
        let mut state = self.state();
        let id = self.queue.submit(runtime, wants, start);
        state.calls.insert(id, Arc::new(call));
        id
    }

    pub(crate) fn cancel(&self, id: reknock_call) {
        let call = self.state().calls.get(&id).cloned();
        call.iter().for_each(|call| call.cancel.cancel());
    }

    /// Brings the pulls of a call to the thread that drains.
    pub(crate) fn outlet(&self, cancel: &Cancel) -> Outlet {
        let (waiting, cancel) = (Arc::clone(&self.waiting), cancel.clone());
        Arc::new(move |pull| {
            waiting.lock().push_back((cancel.clone(), pull));
            waiting.ring();
        })
    }

    /// What is to be done next. The bell stays readable until there is nothing.
    fn next(&self) -> Option<Work> {
        let mut state = self.state();
        if let Some(work) = self.look(&mut state) {
            return Some(work);
        }
        self.hear();
        let work = self.look(&mut state)?;
        self.waiting.ring();
        Some(work)
    }

    /// Empties the bell. What a look afterwards does not see rings anew.
    fn hear(&self) {
        let mut rung = [0; 64];
        while (&self.bell).read(&mut rung).is_ok_and(|count| count == rung.len()) {}
        self.waiting.rung.store(false, Ordering::Release);
    }

    /// What is over comes first; bodies and questions take turns.
    fn look(&self, state: &mut State) -> Option<Work> {
        state.collect(&self.queue);
        if let Some(mut ended) = state.ended.pop_front() {
            ended.events = state.earlier_events(ended.id, ended.events);
            return Some(Work::Delivery(ended));
        }
        let pull = || self.waiting.lock().pop_front().map(|(cancel, pull)| Work::Pull(cancel, pull));
        let work = match state.pulled {
            true => state.asking.pop_front().map(Work::Delivery).or_else(pull),
            false => pull().or_else(|| state.asking.pop_front().map(Work::Delivery)),
        };
        state.pulled = matches!(work, Some(Work::Pull(..)));
        work
    }

    /// A callback was run, which may have taken long: whatever is left is for the next time, after what came to an end meanwhile. The bell says so.
    fn pause(&self) {
        let mut state = self.state();
        self.hear();
        state.collect(&self.queue);
        if !(state.ended.is_empty() && state.asking.is_empty() && self.waiting.lock().is_empty()) {
            self.waiting.ring();
        }
    }

    fn freed(&self) -> bool {
        self.freed.load(Ordering::Acquire)
    }

    /// The next call that is complete, or one callback. After it the queue may be freed: then there is nothing more.
    fn drain(&self) -> Option<reknock_completion> {
        while !self.freed() {
            let work = self.next()?;
            let Delivery { id, events, item } = match work {
                // Whoever cancelled does not expect to be asked.
                Work::Pull(cancel, pull) => {
                    pull.run(|| cancel.is_cancelled() || self.freed());
                    self.pause();
                    return None;
                }
                Work::Delivery(delivery) => delivery,
            };
            let Some(call) = self.state().calls.get(&id).cloned() else { continue };
            for event in &events {
                call.hooks.observe(event);
                if self.freed() {
                    return None;
                }
            }
            if let (Some(transfers), Item::Done(_) | Item::Failed(_)) = (&call.transfers, &item) {
                transfers.end();
                if self.freed() {
                    return None;
                }
            }
            let ended = match (item, &call.outlet) {
                (Item::Question(question), Some(outlet)) => {
                    if !call.cancel.is_cancelled() {
                        let answer = call.hooks.answer(*question, outlet);
                        // A call of a queue that is freed does not go on.
                        if !self.freed() {
                            self.queue.answer(id, answer);
                        }
                    }
                    self.pause();
                    return None;
                }
                // A read asks nothing.
                (Item::Question(_), None) => continue,
                (Item::Done(outcome), _) => outcome.handle(&call),
                (Item::Failed(error), _) => Some(Err(error)),
            };
            self.state().calls.remove(&id);
            if let Some(ended) = ended {
                return Some(completion(id, call.user_data, ended));
            }
        }
        None
    }

    /// A child has the parent's memory, but neither its threads nor its calls.
    pub(crate) fn inherited(&self) -> bool {
        self.pid != process_id()
    }
}

impl State {
    fn collect(&mut self, queue: &Queue<Outcome>) {
        for delivery in queue.take() {
            match delivery.item {
                Item::Question(_) => self.asking.push_back(delivery),
                Item::Done(_) | Item::Failed(_) => self.ended.push_back(delivery),
            }
        }
    }

    /// The events of a call that is over, with those of its questions that nobody answers any more before them.
    fn earlier_events(&mut self, id: reknock_call, events: Vec<Event>) -> Vec<Event> {
        let of_it = self.asking.iter_mut().filter(|delivery| delivery.id == id);
        let mut all: Vec<_> = of_it.flat_map(|delivery| std::mem::take(&mut delivery.events)).collect();
        self.asking.retain(|delivery| delivery.id != id);
        all.extend(events);
        all
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

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(Cancel, Pull)>> {
        self.pulls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Once is enough until it is heard: whoever drains just now costs those who complete no system call.
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // Full means that it was rung enough.
            let _ = (&self.ringer).write(&[1]);
        }
    }
}

impl Outcome {
    /// What the program gets; nothing if it freed the response that was read.
    fn handle(self, call: &Call) -> Option<Result<*mut reknock_response, Error>> {
        let made = |response| Box::into_raw(Box::new(response));
        match self {
            Outcome::Whole(ended) => Some(ended.map(|response| made(reknock_response::of(response)))),
            Outcome::Streamed(ended) => Some(ended.map(|body| made(reknock_response::streamed(Live::Queue(*body))))),
            Outcome::Read(read) => read.settle().map(|there| there.then_some(call.response)).transpose(),
        }
    }
}

fn completion(call: reknock_call, user_data: *mut c_void, ended: Result<*mut reknock_response, Error>) -> reknock_completion {
    match ended {
        Ok(response) => reknock_completion { call, user_data, status: REKNOCK_OK, response, error: null_mut() },
        Err(failure) => {
            let failure = reknock_error::of(failure.into());
            let (status, error) = (failure.status(), Box::into_raw(Box::new(failure)));
            reknock_completion { call, user_data, status, response: null_mut(), error }
        }
    }
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
/// and after REKNOCK_EMPTY if there is more to do. It belongs to the queue: do not read, write or close it. -1 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_queue_descriptor(queue: *const reknock_queue) -> i32 {
    // SAFETY: a live queue or NULL.
    plain(-1, || unsafe { queue.as_ref() }.map_or(-1, |queue| queue.bell.as_raw_fd()))
}

/// Takes the next completion into `*out`; if there is none, runs one of the callbacks that calls are waiting for, on this thread: completions come
/// first, so that a slow callback holds them up once. Never waits itself.
///
/// Returns REKNOCK_OK with a completion, REKNOCK_EMPTY when there is none, and writes nothing then, or
/// REKNOCK_ERROR_INVALID_ARGUMENT (also in a forked child that inherited the queue). After REKNOCK_EMPTY poll the descriptor, which is readable at once if
/// other callbacks wait.
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

/// Frees a queue and cancels its calls; also inside a callback, which is the last one then. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_queue_free(queue: *mut reknock_queue) {
    plain((), || {
        // SAFETY: a live queue or NULL.
        if let Some(queue) = unsafe { queue.as_ref() } {
            queue.freed.store(true, Ordering::Release);
        }
        // SAFETY: likewise; not used any more above.
        unsafe { take_back(queue) };
    });
}
