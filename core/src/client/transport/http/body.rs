//! Response bodies as they arrive, with their codings undone.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use tokio::io::AsyncReadExt;
use tokio_util::io::StreamReader;

use super::failure;
use super::http1::Http1Body;
use super::http2::Http2Body;
use super::origin::Origin;
use crate::client::transport::coding::{Coding, Source, undone};
use crate::client::transport::{Failure, Incoming};

/// Decoded bytes handed out at once, at most.
const PIECE: usize = 16 * 1024;

/// A response body as it arrives. Dropped early, it closes the connection (HTTP/1) or resets the stream (HTTP/2), and ends an upload
/// that is still going on; over HTTP/1 its end does so, too.
pub struct HttpBody {
    pieces: Pieces,
    origin: Arc<Origin>,
    peer: Option<SocketAddr>,
}

enum Pieces {
    Plain(Live),
    Coded(Box<Coded>),
}

/// A body as its connection has it.
pub(super) enum Live {
    Http1(Http1Body),
    Http2(Http2Body),
}

/// A body whose codings are being undone.
struct Coded {
    source: Source,
    buffer: BytesMut,
}

/// The pieces as they are, for the decoders.
struct Raw {
    live: Live,
    origin: Arc<Origin>,
}

/// A failure that is not the decoder's, on its way through one.
struct Broken(Failure);

impl HttpBody {
    pub(super) fn new(body: Live, peer: Option<SocketAddr>, codings: Option<&[Coding]>, origin: Arc<Origin>) -> Self {
        let pieces = match codings {
            None => Pieces::Plain(body),
            Some(codings) => {
                let source = StreamReader::new(Raw { live: body, origin: Arc::clone(&origin) });
                Pieces::Coded(Box::new(Coded { source: undone(Box::pin(source), codings), buffer: BytesMut::new() }))
            }
        };
        HttpBody { pieces, origin, peer }
    }

    /// The address of the peer: the server's, or the proxy's. None of a Unix socket.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.peer
    }
}

impl Stream for Raw {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Raw { live, origin } = &mut *self;
        live.poll_frame(origin, context).map(|piece| piece.map(|piece| piece.map_err(|failure| io::Error::other(Broken(failure)))))
    }
}

impl Live {
    fn poll_frame(&mut self, origin: &Origin, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        match self {
            Live::Http1(body) => {
                body.poll_frame(context).map(|piece| piece.map(|piece| piece.map_err(|error| failure::body(error, origin))))
            }
            Live::Http2(body) => body.poll_frame(context).map(|piece| piece.map(|piece| piece.map_err(|error| failure::at(error, origin)))),
        }
    }
}

impl Incoming for HttpBody {
    async fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        let origin = &self.origin;
        match &mut self.pieces {
            Pieces::Plain(body) => std::future::poll_fn(|context| body.poll_frame(origin, context)).await.transpose(),
            Pieces::Coded(coded) => {
                let Coded { source, buffer } = &mut **coded;
                buffer.reserve(PIECE);
                let size = source.read_buf(&mut (&mut *buffer).limit(PIECE)).await.map_err(|error| of_coded(error, origin))?;
                Ok((size > 0).then(|| buffer.split().freeze()))
            }
        }
    }
}

/// The failure of the body itself, or of its coding.
fn of_coded(error: io::Error, origin: &Origin) -> Failure {
    match error.downcast::<Broken>() {
        Ok(Broken(failure)) => failure,
        Err(error) => failure::coding(error, origin),
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Broken {}

impl fmt::Debug for HttpBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpBody").finish_non_exhaustive()
    }
}
