//! `Expect: 100-continue`: the body waits until the server wants it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use http::header::{EXPECT, HeaderMap};
use tokio::time::{Sleep, sleep};

use crate::client::transport::OutgoingBody;

/// How long at most: a server need not say anything (RFC 9110 10.1.1).
const PATIENCE: Duration = Duration::from_secs(1);

const WAITING: u8 = 0;
const WANTED: u8 = 1;
const UNWANTED: u8 = 2;

/// Where a body waits for leave, and who reads the answer gives it.
#[derive(Clone, Debug)]
pub(super) struct Expectation(Arc<State>);

#[derive(Debug)]
struct State {
    said: AtomicU8,
    body: AtomicWaker,
}

/// A body that waits.
pub(super) struct Held {
    expectation: Expectation,
    timer: Pin<Box<Sleep>>,
}

impl Expectation {
    /// That of a request which has one, and a body.
    pub(super) fn of(headers: &HeaderMap, body: &OutgoingBody) -> Option<Self> {
        let expects = body.length() != Some(0) && headers.get(EXPECT)?.as_bytes().eq_ignore_ascii_case(b"100-continue");
        expects.then(|| Expectation(Arc::new(State { said: AtomicU8::new(WAITING), body: AtomicWaker::new() })))
    }

    /// The server wants the body.
    pub(super) fn go_on(&self) {
        self.say(WANTED);
    }

    /// The answer is there: a body that has not begun need not go out.
    pub(super) fn answered(&self) {
        self.say(UNWANTED);
    }

    fn say(&self, what: u8) {
        let _ = self.0.said.compare_exchange(WAITING, what, Ordering::AcqRel, Ordering::Acquire);
        self.0.body.wake();
    }

    pub(super) fn hold(self) -> Held {
        Held { expectation: self, timer: Box::pin(sleep(PATIENCE)) }
    }
}

impl Held {
    /// Ready when the body is to go out. Never, once there is an answer: its end ends the request.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.expectation.0.body.register(context.waker());
        match self.expectation.0.said.load(Ordering::Acquire) {
            WANTED => Poll::Ready(()),
            UNWANTED => Poll::Pending,
            _ => self.timer.as_mut().poll(context),
        }
    }

    pub(super) fn expectation(&self) -> &Expectation {
        &self.expectation
    }
}
