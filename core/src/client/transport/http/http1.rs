//! One HTTP/1 connection, driven by whoever sends a request or reads its response: nobody while it is idle, and a task only where an upload outlives the
//! head of its response ([`Held`]).
//!
//! Hence dropping a call closes its socket at once, and nobody else can still send what it was to send.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::runtime::{Handle, Id};

use super::connect::{Connected, Forward};
use super::heads::{Desk, Heads};
use super::held::Held;
use super::pool::Lease;
use super::socket::{Line, Sight};
use super::stream::Stream;
use super::upload::Upload;
use crate::client::transport::Progress;
use crate::time::Tick;

/// A connection on which one request at a time is sent.
pub(super) struct Http1 {
    sender: SendRequest<Upload>,
    connection: Connection<TokioIo<Heads<Stream>>, Upload>,
    heads: Arc<Desk>,
    line: Line,
    /// TLS sends bytes that are no answer.
    secure: bool,
    /// The proxy at the other end, if it forwards requests.
    pub(super) forward: Option<Forward>,
    /// The runtime that its socket wakes.
    home: Id,
    /// Since when nobody uses it.
    pub(super) since: Tick,
}

/// A response body, and the connection it comes on.
pub(super) struct Http1Body {
    incoming: Incoming,
    /// `None` once the connection is given back, or over.
    connection: Option<Held>,
}

/// A request that got no response head.
pub(super) struct Unanswered {
    pub(super) error: hyper::Error,
    /// The kernel took something of the request.
    pub(super) touched: bool,
}

impl Http1 {
    /// The connection of a stream.
    pub(super) async fn new(connected: Connected) -> Result<Box<Self>, hyper::Error> {
        let Connected { stream, line, forward, .. } = connected;
        let secure = !matches!(stream, Stream::Plain(_));
        let (stream, heads) = Heads::new(stream);
        let (sender, connection) = Builder::new()
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Box::new(Http1 { sender, connection, heads, line, secure, forward, home: Handle::current().id(), since: Tick(0) }))
    }

    /// The runtime that its socket wakes.
    pub(super) fn home(&self) -> Id {
        self.home
    }

    /// What is known of its socket.
    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    /// Lets it do what it can. Whether it is over.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) -> bool {
        Pin::new(&mut self.connection).poll(context).is_ready()
    }

    /// Whether it can take a request: looks at its socket, and brings it here.
    pub(super) fn is_usable(&mut self) -> bool {
        let here = Handle::current().id();
        if self.home != here {
            if self.line.move_here().is_err() {
                return false;
            }
            self.home = here;
        }
        match self.line.look() {
            Sight::Quiet => true,
            // A ticket, or a farewell: the connection knows when it has read it.
            Sight::Bytes if self.secure => !self.drive(&mut Context::from_waker(Waker::noop())) && self.sender.is_ready(),
            Sight::Bytes | Sight::Over => false,
        }
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn exchange(
        self: Box<Self>,
        lease: Lease,
        mut request: Request<Upload>,
        progress: &Progress,
    ) -> Result<Response<Http1Body>, Unanswered> {
        // In this order: its place is free when its socket is closed.
        let mut used = (self, lease);
        let connection = &mut *used.0;
        connection.heads.expect(request.body().expectation());
        request.body_mut().begin();
        let (line, heads) = (connection.line.clone(), Arc::clone(&connection.heads));
        let count = Count { before: line.taken(), line, heads, progress };
        let mut over = false;
        let answer = {
            let mut sending = pin!(connection.sender.try_send_request(request));
            let connection = &mut connection.connection;
            poll_fn(|context| {
                if !over {
                    over = Pin::new(&mut *connection).poll(context).is_ready();
                }
                sending.as_mut().poll(context)
            })
            .await
        };
        let mut response = answer.map_err(|error| Unanswered { error: error.into_error(), touched: count.is_touched() })?;
        if let Some(aside) = used.0.heads.take() {
            aside.dropped.into_iter().for_each(|name| progress.note_dropped(name));
            let mut headers = aside.fields;
            // They are at most as many as there may be, with the four that hyper has.
            for (name, value) in std::mem::take(response.headers_mut()).iter() {
                let _ = headers.try_append(name, value.clone());
            }
            *response.headers_mut() = headers;
        }
        // Nobody has to read for the rest of the request to go out.
        let uploading = progress.uploading().is_some() || used.0.line.is_blocked();
        let mut connection = (!over).then(|| Held::new(used, uploading));
        Ok(response.map(|incoming| {
            let mut body = Http1Body { incoming, connection: connection.take() };
            body.settle();
            body
        }))
    }
}

/// Notes what was sent of a request when its exchange ends, however that is.
struct Count<'a> {
    line: Line,
    heads: Arc<Desk>,
    before: u64,
    progress: &'a Progress,
}

impl Count<'_> {
    fn is_touched(&self) -> bool {
        self.line.taken() > self.before
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        if self.is_touched() {
            self.progress.sent();
        }
        self.heads.take_interim().into_iter().for_each(|status| self.progress.note_interim(status));
    }
}

impl Http1Body {
    /// The next frame; `None` at the end.
    pub(super) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        loop {
            match std::task::ready!(self.poll_incoming(context)) {
                Some(Ok(frame)) => {
                    // Trailers are not handed out.
                    let Ok(data) = frame.into_data() else { continue };
                    self.settle();
                    return Poll::Ready(Some(Ok(data)));
                }
                Some(Err(error)) => {
                    self.connection = None;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.give_back();
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn poll_incoming(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // What is there already needs nothing of the connection.
        let first = Pin::new(&mut self.incoming).poll_frame(context);
        let Some(connection) = &mut self.connection else { return first };
        if first.is_ready() {
            return first;
        }
        if connection.drive(context) {
            // What is still to come is in the channel between them.
            self.connection = None;
        }
        Pin::new(&mut self.incoming).poll_frame(context)
    }

    /// Gives the connection back if nothing is to come.
    fn settle(&mut self) {
        if self.incoming.is_end_stream() {
            self.give_back();
        }
    }

    /// Gives the connection back, unless it cannot be used again: then it closes, with an upload that was still going on.
    fn give_back(&mut self) {
        let Some((mut connection, lease)) = self.connection.take().and_then(Held::into_inner) else { return };
        if connection.sender.is_ready() || !connection.drive(&mut Context::from_waker(Waker::noop())) && connection.sender.is_ready() {
            lease.keep(connection);
        }
    }
}

impl Drop for Http1Body {
    fn drop(&mut self) {
        if self.connection.as_ref().is_some_and(Held::is_inherited) {
            // In a forked child: the socket is the parent's as well, and so is what it is registered with.
            return std::mem::forget(self.connection.take());
        }
        self.settle();
    }
}
