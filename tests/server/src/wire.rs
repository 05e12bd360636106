//! Reading HTTP/1 requests off a stream, and writing to it in few pieces.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use crate::stream::Stream;

const MAX_HEAD: usize = 1 << 20;
const MAX_LINE: usize = 16 * 1024;
const OUT: usize = 64 * 1024;

/// A request head.
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: &'static str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
}

/// Where we are in a request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// This many bytes are left.
    Sized(u64),
    /// This many bytes of the chunk are left.
    Chunk(u64),
    /// A chunk size line comes next.
    ChunkSize,
    Done,
}

/// Why there is no (further) request.
pub(crate) enum NoHead {
    /// The client closed or reset the connection.
    Gone,
    /// The connection was idle when it had to go.
    Renew,
    /// Answer with this status and this message, then close.
    Bad(u16, &'static str),
}

impl From<io::Error> for NoHead {
    fn from(_: io::Error) -> Self {
        NoHead::Gone
    }
}

pub(crate) struct Wire {
    pub(crate) stream: Stream,
    buf: BytesMut,
    out: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, buf: BytesMut::new(), out: Vec::new() }
    }

    /// Reads more; an end of the stream is an error.
    async fn more(&mut self) -> io::Result<()> {
        self.buf.reserve(8 * 1024);
        match self.stream.read_buf(&mut self.buf).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    pub(crate) async fn head(&mut self, renewals: &mut watch::Receiver<()>) -> Result<Head, NoHead> {
        let mut searched: usize = 0;
        loop {
            while searched == 0 && self.buf.starts_with(b"\r\n") {
                self.buf.advance(2);
            }
            let start = searched.saturating_sub(3);
            if let Some(at) = find(&self.buf[start..], b"\r\n\r\n") {
                let head = self.buf.split_to(start + at + 4);
                return parse(&head).map_err(|message| NoHead::Bad(400, message));
            }
            searched = self.buf.len();
            if searched > MAX_HEAD {
                return Err(NoHead::Bad(431, "the request head is over 1 MiB"));
            }
            if self.buf.is_empty() {
                tokio::select! {
                    biased;
                    more = self.more() => more?,
                    _ = renewals.changed() => return Err(NoHead::Renew),
                }
            } else {
                self.more().await?;
            }
        }
    }

    /// The next piece of a request body; `None` at its end.
    pub(crate) async fn piece(&mut self, body: &mut Body) -> io::Result<Option<Bytes>> {
        loop {
            match *body {
                Body::Done | Body::Sized(0) => {
                    *body = Body::Done;
                    return Ok(None);
                }
                Body::Sized(left) | Body::Chunk(left @ 1..) => {
                    if self.buf.is_empty() {
                        self.more().await?;
                    }
                    let count = left.min(self.buf.len() as u64);
                    *body = match *body {
                        Body::Sized(_) => Body::Sized(left - count),
                        _ => Body::Chunk(left - count),
                    };
                    return Ok(Some(self.buf.split_to(count as usize).freeze()));
                }
                Body::Chunk(_) => {
                    if !self.line().await?.is_empty() {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    *body = Body::ChunkSize;
                }
                Body::ChunkSize => {
                    let line = self.line().await?;
                    let text = std::str::from_utf8(&line).unwrap_or("");
                    let digits = text.split(';').next().unwrap_or("").trim();
                    let size = u64::from_str_radix(digits, 16).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
                    *body = Body::Chunk(size);
                    if size == 0 {
                        // Trailers.
                        while !self.line().await?.is_empty() {}
                        *body = Body::Done;
                    }
                }
            }
        }
    }

    async fn line(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(at) = find(&self.buf, b"\r\n") {
                let line = self.buf.split_to(at).freeze();
                self.buf.advance(2);
                return Ok(line);
            }
            if self.buf.len() > MAX_LINE {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.more().await?;
        }
    }

    /// Waits; an error if the client goes away meanwhile.
    pub(crate) async fn pause(&mut self, time: Duration) -> io::Result<()> {
        self.flush().await?;
        if time.is_zero() {
            return Ok(());
        }
        let end = tokio::time::sleep(time);
        tokio::pin!(end);
        loop {
            if self.buf.len() > MAX_HEAD {
                end.await;
                return Ok(());
            }
            tokio::select! {
                _ = &mut end => return Ok(()),
                more = self.more() => more?,
            }
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.extend_from_slice(bytes);
        if self.out.len() >= OUT {
            self.send().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out).await?;
            self.out.clear();
        }
        Ok(())
    }

    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.send().await?;
        self.stream.flush().await
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn parse(head: &[u8]) -> Result<Head, &'static str> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let mut words = lines.next().unwrap_or("").split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err("the request line needs three words");
    };
    let version = match version {
        "HTTP/1.1" => "1.1",
        "HTTP/1.0" => "1.0",
        _ => return Err("this port speaks HTTP/1.1"),
    };
    let mut headers = Vec::new();
    let mut body = Body::Done;
    let mut keep_alive = version == "1.1";
    let mut expects_continue = false;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("a header line has no colon")?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" if body == Body::Done => {
                body = Body::Sized(value.parse().map_err(|_| "content-length is not a number")?);
            }
            "transfer-encoding" if value.to_ascii_lowercase().ends_with("chunked") => {
                body = Body::ChunkSize;
            }
            "connection" => match value.to_ascii_lowercase().as_str() {
                "close" => keep_alive = false,
                "keep-alive" => keep_alive = true,
                _ => {}
            },
            "expect" => expects_continue = value.eq_ignore_ascii_case("100-continue"),
            _ => {}
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    Ok(Head { method: method.to_owned(), target: target.to_owned(), version, headers, body, keep_alive, expects_continue })
}
