//! How much of a call's bodies has moved: what the core tells goes to the thread of the call's functions, the latest of it at a time.
#![allow(unsafe_code)] // functions and pointers from C; each block says why it may

use std::ffi::c_void;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use core_::client::{Cancel, OnTransfer, Transfer};

use crate::body::{Outlet, Pull};
use crate::callback::{REKNOCK_ANSWER_DEFAULT, reknock_answer};
use crate::hooks::Hook;

/// How far the bodies of a call's present attempt are. It lives until the callback returns. Later versions may append fields; the library alone makes these
/// structs.
#[repr(C)]
pub struct reknock_transfer {
    /// The number of the attempt, from 1, over all redirect hops. With each attempt the bytes begin anew.
    pub number: u32,
    /// Bytes of the request's body that its connection took.
    pub sent: u64,
    /// How many they will be; -1 if that is not known.
    pub send_total: i64,
    /// Bytes of the response's body that were read, decoded. 0 if the response is streamed: the program reads it then.
    pub received: u64,
    /// How many they will be; -1 if that is not known: there is no content-length, or a coding is undone (no_compression of the client asks for none).
    pub receive_total: i64,
}

/// Told how much of a call's bodies has moved, where its other functions run: when an attempt begins, when bytes moved, and about once a second while none
/// do; several moves may be told as one, the last ones of a call that got a response always are. Nothing is told once the call is complete. Answers
/// DEFAULT to go on; any other answer cancels the call, which then ends with REKNOCK_ERROR_CANCELLED unless it is over already.
pub type reknock_on_transfer_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, transfer: *const reknock_transfer) -> reknock_answer>;

/// Such a function that is there.
type Function = unsafe extern "C" fn(*mut c_void, *const reknock_transfer) -> reknock_answer;

/// As libcurl has it.
const SILENCE: Duration = Duration::from_secs(1);

/// Who is told of one call.
pub(crate) struct Transfers {
    function: Function,
    data: Arc<Hook<()>>,
    /// Of this call alone.
    cancel: Cancel,
    /// Weak: what waits there holds this.
    outlet: Weak<dyn Fn(Pull) + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: Transfer,
    /// The function has not seen it.
    untold: bool,
    /// It waits at the outlet.
    queued: bool,
    /// The function runs.
    telling: bool,
    /// The call is complete.
    over: bool,
}

impl Transfers {
    pub(crate) fn new(function: Function, data: Arc<Hook<()>>, cancel: Cancel, outlet: &Outlet) -> Arc<Self> {
        Arc::new(Transfers { function, data, cancel, outlet: Arc::downgrade(outlet), state: Mutex::default() })
    }

    /// What cancels the call.
    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// What the core is to tell.
    pub(crate) fn listener(self: &Arc<Self>) -> OnTransfer {
        let transfers = Arc::clone(self);
        OnTransfer::new(move |now| transfers.note(Some(now)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is something to tell: this, or that nothing is new.
    fn note(self: &Arc<Self>, now: Option<&Transfer>) {
        let mut state = self.state();
        state.now = now.copied().unwrap_or(state.now);
        state.untold = true;
        self.queue(state);
    }

    /// Asks for a thread that may run the function, if there is something to tell.
    fn queue(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if state.untold && !(state.queued || state.telling || state.over) {
            state.queued = true;
            drop(state);
            if let Some(outlet) = self.outlet.upgrade() {
                outlet(Pull::Transfer(Arc::clone(self)));
            }
        }
    }

    /// Tells the latest, on this thread.
    pub(crate) fn tell(self: &Arc<Self>) {
        let mut state = self.state();
        state.queued = false;
        if !state.untold || state.telling || state.over || self.cancel.is_cancelled() {
            return;
        }
        (state.untold, state.telling) = (false, true);
        let now = state.now;
        drop(state);
        if self.call(&now) != REKNOCK_ANSWER_DEFAULT {
            self.cancel.cancel();
        }
        let mut state = self.state();
        state.telling = false;
        self.queue(state);
    }

    /// The call is complete: tells what is left to tell, on this thread, and nothing after it.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        let left = state.untold && !state.telling && !state.over;
        state.over = true;
        let now = state.now;
        drop(state);
        if left && !self.cancel.is_cancelled() {
            self.call(&now);
        }
    }

    fn call(&self, now: &Transfer) -> reknock_answer {
        let total = |bytes: Option<u64>| bytes.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(-1);
        let transfer = reknock_transfer {
            number: now.attempt,
            sent: now.sent,
            send_total: total(now.to_send),
            received: now.received,
            receive_total: total(now.to_receive),
        };
        // SAFETY: the caller's function with the caller's data, which this holds; the struct lives until it returns.
        unsafe { (self.function)(self.data.user_data, &transfer) }
    }

    /// A call that is told of, which `theirs` cancels, too.
    pub(crate) async fn during<T>(self: &Arc<Self>, mut call: Pin<&mut impl Future<Output = T>>, theirs: Option<&Cancel>) -> T {
        let cancelled = async {
            match theirs {
                Some(theirs) => theirs.cancelled().await,
                None => std::future::pending().await,
            }
        };
        let mut cancelled = pin!(cancelled);
        loop {
            tokio::select! {
                biased;
                out = &mut call => return out,
                () = &mut cancelled, if !self.cancel.is_cancelled() => self.cancel.cancel(),
                () = tokio::time::sleep(SILENCE) => self.note(None),
            }
        }
    }
}
