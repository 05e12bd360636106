//! Request bodies that functions of the caller produce while they are sent, on the thread that sends or drains.
#![allow(unsafe_code)] // functions and pointers from C; each block says why it may

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use core_::BoxError;
use core_::client::{Body, BodyStream};
use futures_util::stream::unfold;
use tokio::sync::{mpsc, oneshot};

use crate::callback::{REKNOCK_ANSWER_DEFAULT, no_answer, reknock_answer, reknock_free_fn};
use crate::error::{reknock_error, reknock_status};
use crate::ffi::{Fault, entry, given};
use crate::hooks::Hook;
use crate::request::reknock_request;
use crate::transfer::Transfers;

/// Of the length of a body: it is not known, and is sent in chunks.
pub const REKNOCK_LENGTH_UNKNOWN: i64 = -1;

/// Writes the next bytes of a body to `buffer`, at most `size`, and how many to `*written`; none at the end of the body. It may block,
/// but nothing can interrupt it, and the call's timeouts go on. Answers DEFAULT, or ERROR, which ends the call with
/// REKNOCK_ERROR_CALLBACK.
pub type reknock_read_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, buffer: *mut u8, size: usize, written: *mut usize) -> reknock_answer>;

/// Goes back to the start of a body. Called before the first read of each attempt, the first attempt included. Answers DEFAULT, or
/// ERROR, which ends the call with REKNOCK_ERROR_CALLBACK.
pub type reknock_rewind_fn = Option<unsafe extern "C" fn(user_data: *mut c_void) -> reknock_answer>;

/// The most that is asked for at a time.
const PIECE: usize = 64 * 1024;

/// What produces a body.
pub(crate) struct Source {
    hook: Hook<Functions>,
    length: Option<u64>,
    /// The latest pass over the body; older ones get nothing.
    pass: AtomicU64,
    sent: AtomicBool,
    turn: Turn,
}

#[derive(Clone, Copy)]
struct Functions {
    read: unsafe extern "C" fn(*mut c_void, *mut u8, usize, *mut usize) -> reknock_answer,
    rewind: reknock_rewind_fn,
}

/// Asks for a thread that may run functions of the call.
pub(crate) enum Pull {
    /// The next piece of a source.
    Piece(Piece),
    /// What has moved.
    Transfer(Arc<Transfers>),
}

pub(crate) struct Piece {
    source: Arc<Source>,
    pass: u64,
    first: bool,
    reply: oneshot::Sender<Result<Bytes, BoxError>>,
}

/// Where the pulls of a call go.
pub(crate) type Outlet = Arc<dyn Fn(Pull) + Send + Sync>;
/// The pulls of a blocking call; `None` if there cannot be any.
pub(crate) type Pulls = Option<mpsc::UnboundedReceiver<Pull>>;

/// The outlet of a blocking call.
pub(crate) fn outlet() -> (Outlet, mpsc::UnboundedReceiver<Pull>) {
    let (sender, pulls) = mpsc::unbounded_channel();
    (Arc::new(move |pull| drop(sender.send(pull))), pulls)
}

impl Source {
    /// The body of one call.
    pub(crate) fn body(self: &Arc<Self>, outlet: &Outlet) -> Result<Body, Fault> {
        let (source, outlet) = (Arc::clone(self), Arc::clone(outlet));
        if self.hook.function.rewind.is_some() {
            return Ok(Body::factory(move || Ok(passing(&source, &outlet)), self.length));
        }
        if self.sent.swap(true, Ordering::AcqRel) {
            return Err(Fault::Argument("request: its body cannot be produced a second time: it has no rewind".to_owned()));
        }
        Ok(Body::stream(passing(&source, &outlet), self.length))
    }

    /// The next piece, on this thread; empty at the end. Looks before each function whether it may be called.
    fn produce(&self, pass: u64, first: bool, over: impl Fn() -> bool) -> Result<Bytes, BoxError> {
        let given_up = || match over() || self.pass.load(Ordering::Acquire) != pass {
            false => Ok(()),
            true => Err(BoxError::from("the attempt that was reading it was given up")),
        };
        self.turn.take(|| {
            given_up()?;
            if first && let Some(rewind) = self.hook.function.rewind {
                // SAFETY: the caller's function with the caller's data.
                answered("rewind", unsafe { rewind(self.hook.user_data) })?;
                given_up()?;
            }
            let (mut piece, mut written) = (BytesMut::zeroed(PIECE), 0);
            // SAFETY: as above; the buffer has as many bytes as it is told.
            answered("read", unsafe { (self.hook.function.read)(self.hook.user_data, piece.as_mut_ptr(), PIECE, &mut written) })?;
            if written > PIECE {
                return Err(format!("read wrote {written} bytes to a buffer of {PIECE}").into());
            }
            // What is kept for a retry must not keep a large buffer each.
            if written < PIECE / 2 {
                return Ok(Bytes::copy_from_slice(&piece[..written]));
            }
            piece.truncate(written);
            Ok(piece.freeze())
        })
    }
}

fn answered(function: &str, answer: reknock_answer) -> Result<(), BoxError> {
    if answer == REKNOCK_ANSWER_DEFAULT { Ok(()) } else { Err(no_answer(function, answer)) }
}

/// One pass over a source.
fn passing(source: &Arc<Source>, outlet: &Outlet) -> BodyStream {
    let pass = source.pass.fetch_add(1, Ordering::AcqRel) + 1;
    Box::pin(unfold(Some((Arc::clone(source), Arc::clone(outlet), true)), move |going| async move {
        let (source, outlet, first) = going?;
        let (reply, piece) = oneshot::channel();
        outlet(Pull::Piece(Piece { source: Arc::clone(&source), pass, first, reply }));
        match piece.await {
            Ok(Ok(piece)) if piece.is_empty() => None,
            Ok(Ok(piece)) => Some((Ok(piece), Some((source, outlet, false)))),
            Ok(Err(error)) => Some((Err(error), None)),
            Err(_) => Some((Err("nobody is there to produce the body".into()), None)),
        }
    }))
}

impl Pull {
    /// Runs them on this thread, unless the attempt that wanted it is over, or nobody may be asked any more.
    pub(crate) fn run(self, over: impl Fn() -> bool) {
        match self {
            Pull::Piece(piece) if !piece.reply.is_closed() && !over() => {
                let Piece { source, pass, first, reply } = piece;
                // It may have ended meanwhile.
                let _ = reply.send(source.produce(pass, first, over));
            }
            Pull::Transfer(transfers) if !over() => transfers.tell(),
            _ => {}
        }
    }
}

/// One thread at a time; one that comes back for more while it is inside gets an error.
#[derive(Default)]
struct Turn {
    lock: Mutex<()>,
    inside: AtomicUsize,
}

impl Turn {
    fn take<T>(&self, run: impl FnOnce() -> Result<T, BoxError>) -> Result<T, BoxError> {
        thread_local!(static ME: u8 = const { 0 });
        let me = ME.with(|place| std::ptr::from_ref(place).addr());
        // No other thread ever stores this one's address.
        if self.inside.load(Ordering::Relaxed) == me {
            return Err("the body was sent by the function that produces it".into());
        }
        let _turn = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.inside.store(me, Ordering::Relaxed);
        let out = run();
        self.inside.store(0, Ordering::Relaxed);
        out
    }
}

/// Sets the body to what `read` produces while it is sent, 64 KiB at a time.
///
/// The functions run where the client's callbacks do: on the thread that sends, streams or reads, or that drains the queue; one
/// thread at a time. `rewind` may be NULL: such a request can be sent once, and a retry needs all of the body that was sent to be in
/// the policy's max_body_buffer. With it the request can be sent any number of times, but not twice at once, nor by these functions.
/// `length` in bytes becomes the content-length; REKNOCK_LENGTH_UNKNOWN if it is not known.
///
/// The functions are not called any more once the call is complete; of a streamed response, once that is freed. free_user_data,
/// which may be NULL, is called once, on any thread, the library's included, when the request is freed, or has another body, and its
/// calls are over, or at once if this fails. The functions must return: no longjmp, no C++ exception.
///
/// Errors: REKNOCK_ERROR_INVALID_ARGUMENT for a NULL request or read, or a length below -1. Of the call: REKNOCK_ERROR_CALLBACK if a
/// function answers so, REKNOCK_ERROR_INVALID_REQUEST if the body is not as long as it was said to be.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_request_set_body_stream(
    request: Option<&mut reknock_request>,
    read: reknock_read_fn,
    rewind: reknock_rewind_fn,
    length: i64,
    user_data: *mut c_void,
    free_user_data: reknock_free_fn,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // Made before anything can fail: its end frees the data.
        let data = Hook::new((), user_data, free_user_data);
        let request = given(request, "request")?;
        let read = given(read, "read")?;
        let length = match length {
            REKNOCK_LENGTH_UNKNOWN => None,
            _ => Some(u64::try_from(length).map_err(|_| Fault::Argument(format!("length: must not be below -1, got {length}")))?),
        };
        let hook = data.with(Functions { read, rewind });
        request.set_source(Source { hook, length, pass: AtomicU64::new(0), sent: AtomicBool::new(false), turn: Turn::default() });
        Ok(())
    })
}
