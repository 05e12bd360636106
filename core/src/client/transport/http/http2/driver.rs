//! Who drives a connection: its task, or on a lane the call that has it to itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep};

use super::connection::{Link, MOST};
use super::gate::Gate;
use super::wire::Counted;
use crate::time::Tick;

/// A connection that can be driven.
pub(super) trait Drive: Send {
    /// Lets it do what it can, and those who share it know what has changed. Ready when it is over: how, is told by its streams, and by what its socket
    /// said.
    fn drive(&mut self, link: &Link, context: &mut Context<'_>) -> Poll<()>;
}

/// A connection of h2, with what was told of it last.
pub(super) struct Driven<S: AsyncRead + AsyncWrite + Unpin> {
    connection: h2::client::Connection<Counted<S>, Bytes>,
    heard: u64,
    widened: Tick,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driven<S> {
    pub(super) fn new(connection: h2::client::Connection<Counted<S>, Bytes>) -> Box<Self> {
        Box::new(Driven { connection, heard: 0, widened: Tick(0) })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Drive for Driven<S> {
    fn drive(&mut self, link: &Link, context: &mut Context<'_>) -> Poll<()> {
        if Pin::new(&mut self.connection).poll(context).is_ready() {
            return Poll::Ready(());
        }
        let heard = link.counts.heard();
        // What the peer wants changes with what it says.
        if std::mem::replace(&mut self.heard, heard) != heard {
            let limit = self.connection.max_concurrent_send_streams().min(MOST);
            let more = link.limit.swap(limit, Ordering::AcqRel) != limit;
            let widened = link.counts.widened();
            let wider = std::mem::replace(&mut self.widened, widened) != widened;
            if link.trusts_again() || more || wider {
                link.tell(Gate::freed);
            }
        }
        Poll::Pending
    }
}

/// The task of a connection. It drives it unless a call does, and looks after its peer.
pub(super) struct Driver {
    pub(super) link: Arc<Link>,
    pub(super) watch: Option<Watch>,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Driver { link, watch } = &mut *self;
        link.task.register(context.waker());
        // A call that drives has it to itself: what comes wakes that call.
        let mut ours = !link.is_driven_by_call();
        loop {
            if ours && link.drive(context).is_ready() {
                return Poll::Ready(());
            }
            match watch.as_mut().map(|watch| watch.look(link, context)) {
                None | Some(Look::Quiet) => return Poll::Pending,
                // For the ping to go out, whether or not anybody polls that call.
                Some(Look::Asked) => ours = true,
                Some(Look::Dead) => {
                    link.silent.store(true, Ordering::Release);
                    return Poll::Ready(());
                }
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.link.end();
    }
}

/// Asks a silent peer for a sign of life while somebody waits for it.
pub(super) struct Watch {
    every: Duration,
    pings: PingPong,
    /// How much had been heard when the timer was set.
    heard: u64,
    /// A ping is on its way.
    asked: bool,
    timer: Option<Pin<Box<Sleep>>>,
    /// It will wake the task.
    set: bool,
}

pub(super) enum Look {
    Quiet,
    Asked,
    Dead,
}

impl Watch {
    pub(super) fn new(every: Duration, pings: PingPong) -> Self {
        Watch { every, pings, heard: 0, asked: false, timer: None, set: false }
    }

    /// One timer runs on over any number of calls: what it costs is spread over seconds.
    fn look(&mut self, link: &Link, context: &mut Context<'_>) -> Look {
        let look = self.see(link, context);
        link.watched.store(self.timer.is_some(), Ordering::Release);
        look
    }

    fn see(&mut self, link: &Link, context: &mut Context<'_>) -> Look {
        if self.asked && self.pings.poll_pong(context).is_ready() {
            self.asked = false;
        }
        let doubted = link.is_doubted();
        if doubted && !self.asked {
            return self.ask(link);
        }
        if self.timer.is_none() {
            if link.idle_since().is_some() && !doubted {
                return Look::Quiet;
            }
            self.rest(link);
        }
        let Some(timer) = &mut self.timer else { return Look::Quiet };
        // It wakes this task, which is the same for good: asking it once is enough.
        if self.set && !timer.is_elapsed() || timer.as_mut().poll(context).is_pending() {
            self.set = true;
            return Look::Quiet;
        }
        self.timer = None;
        if link.counts.heard() > self.heard {
            return self.see(link, context);
        }
        match (self.asked, link.idle_since().is_some() && !doubted) {
            (_, true) => Look::Quiet,
            (true, false) => Look::Dead,
            (false, false) => self.ask(link),
        }
    }

    fn ask(&mut self, link: &Link) -> Look {
        self.asked = self.pings.send_ping(Ping::opaque()).is_ok();
        self.rest(link);
        if self.asked { Look::Asked } else { Look::Quiet }
    }

    fn rest(&mut self, link: &Link) {
        self.heard = link.counts.heard();
        self.timer = Some(Box::pin(sleep(self.every)));
        self.set = false;
    }
}
