//! Response bodies as they arrive, with their codings undone.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::TryStreamExt;
use tokio::io::AsyncReadExt;
use tokio_util::io::StreamReader;
use url::Url;

use super::failure;
use super::probe::Upload;
use crate::client::transport::coding::{Coding, Source, undone};
use crate::client::transport::{Failure, Incoming};

/// Decoded bytes handed out at once, at most.
const PIECE: usize = 16 * 1024;

/// A response body as it arrives. Dropped early, it closes the connection (HTTP/1) or resets the stream (HTTP/2), and ends an upload
/// that is still going on.
pub struct ReqwestBody {
    pieces: Pieces,
    _upload: Upload,
}

enum Pieces {
    Plain(reqwest::Response),
    Coded(Box<Coded>),
}

/// A body whose codings are being undone. The response is inside the source.
struct Coded {
    source: Source,
    buffer: BytesMut,
    url: Url,
    peer: Option<SocketAddr>,
}

impl ReqwestBody {
    pub(super) fn new(response: reqwest::Response, codings: Option<&[Coding]>, upload: Upload) -> Self {
        let pieces = match codings {
            None => Pieces::Plain(response),
            Some(codings) => {
                let (url, peer) = (response.url().clone(), response.remote_addr());
                let source = StreamReader::new(response.bytes_stream().map_err(io::Error::other));
                Pieces::Coded(Box::new(Coded { source: undone(Box::pin(source), codings), buffer: BytesMut::new(), url, peer }))
            }
        };
        ReqwestBody { pieces, _upload: upload }
    }

    /// The address of the peer: the server's, or the proxy's.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        let address = match &self.pieces {
            Pieces::Plain(response) => response.remote_addr()?,
            Pieces::Coded(coded) => coded.peer?,
        };
        let ip: IpAddr = address.ip().to_canonical();
        Some(SocketAddr::new(ip, address.port()))
    }
}

impl Incoming for ReqwestBody {
    async fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        match &mut self.pieces {
            Pieces::Plain(response) => {
                let result = response.chunk().await;
                result.map_err(|error| failure::classify_body(error.with_url(response.url().clone())))
            }
            Pieces::Coded(coded) => {
                let Coded { source, buffer, url, .. } = &mut **coded;
                buffer.reserve(PIECE);
                let read = source.read_buf(&mut (&mut *buffer).limit(PIECE)).await;
                let size = read.map_err(|error| failure::classify_coded(error, url))?;
                Ok((size > 0).then(|| buffer.split().freeze()))
            }
        }
    }
}

impl fmt::Debug for ReqwestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestBody").finish_non_exhaustive()
    }
}
