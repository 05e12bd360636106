//! Response bodies as they arrive, with their codings undone.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::TryStreamExt;
use tokio::io::AsyncReadExt;
use tokio_util::io::StreamReader;
use url::Url;

use super::coding::{Coding, Source, undone};
use super::failure;
use super::probe::Upload;
use crate::client::transport::{Failure, Incoming};

/// Decoded bytes handed out at once, at most.
const PIECE: usize = 16 * 1024;

/// A response body as it arrives. Dropped early, it closes the connection (HTTP/1) or resets the stream (HTTP/2), and ends an upload
/// that is still going on.
pub struct ReqwestBody {
    pieces: Pieces,
    peer: Option<SocketAddr>,
    _upload: Upload,
}

enum Pieces {
    Plain(reqwest::Response),
    /// With the URL, for messages.
    Coded(Source, BytesMut, Box<Url>),
}

impl ReqwestBody {
    pub(super) fn new(response: reqwest::Response, codings: Option<&[Coding]>, upload: Upload) -> Self {
        let peer = response.remote_addr();
        let pieces = match codings {
            None => Pieces::Plain(response),
            Some(codings) => {
                let url = Box::new(response.url().clone());
                let source = StreamReader::new(response.bytes_stream().map_err(io::Error::other));
                Pieces::Coded(undone(Box::pin(source), codings), BytesMut::new(), url)
            }
        };
        ReqwestBody { pieces, peer, _upload: upload }
    }

    /// The address of the peer: the server's, or the proxy's.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        let address = self.peer?;
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
            Pieces::Coded(source, buffer, url) => {
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
