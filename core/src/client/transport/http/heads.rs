//! Between a connection and its stream: the heads of responses as hyper can read them, whatever servers send.
//!
//! hyper reads 100 fields at most, refuses all of a head for one character that no value may have, and goes through interim answers for as long as
//! they come. A head that asks for none of this passes as it is, for one look at its bytes. Any other is gone through here: hyper gets the fields that
//! frame the body, the caller gets all of them.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem::Finder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::expect::Expectation;

/// The largest head, as hyper has it.
const LARGEST: usize = 408 * 1024;

/// The lines that hyper reads, with room to spare.
const LINES: usize = 96;

/// Interim answers to one request: who sends more means to keep us busy.
pub(super) const MOST_INTERIM: u32 = 100;

/// The fields that say how a response ends, and what becomes of its connection: hyper needs them.
const FRAMING: [&[u8]; 4] = [b"connection", b"content-length", b"transfer-encoding", b"upgrade"];

/// Of `identity`, a coding that is none, however its first letter is written. To make what finds it costs more than to look.
static IDENTITY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"dentity"));

/// The stream of a connection.
pub(super) struct Heads<S> {
    stream: S,
    desk: Arc<Desk>,
    /// What has come of a head that is not whole or not plain.
    held: Vec<u8>,
    /// How much of it holds no end of a head.
    searched: usize,
    /// What is handed out before anything else is read, from where.
    ready: (Vec<u8>, usize),
}

/// Where the stream and those who use the connection meet.
#[derive(Default)]
pub(super) struct Desk {
    /// The next bytes are those of a head.
    expected: AtomicBool,
    /// Interim answers that came to the present request.
    interim: AtomicU32,
    /// The statuses of these answers.
    statuses: Mutex<Vec<u16>>,
    /// What waits for an answer before it goes out.
    expectation: Mutex<Option<Expectation>>,
    /// The fields of the present response that hyper was not shown.
    aside: Mutex<Option<Aside>>,
}

/// What hyper is not shown of a head.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Aside {
    /// Its fields, but for those by which it reads the body.
    pub(super) fields: HeaderMap,
    /// The names of those whose value is none.
    pub(super) dropped: Vec<HeaderName>,
}

/// Why a head is not read on.
#[derive(Clone, Copy, Debug)]
pub(super) enum HeadError {
    TooLarge,
    TooManyInterim,
}

impl Desk {
    /// A request is about to be sent, perhaps with a body that waits.
    pub(super) fn expect(&self, expectation: Option<Expectation>) {
        *self.expectation.lock().unwrap_or_else(PoisonError::into_inner) = expectation;
        self.interim.store(0, Ordering::Release);
        self.expected.store(true, Ordering::Release);
    }

    /// The head is there.
    fn answered(&self) {
        self.expected.store(false, Ordering::Release);
        self.tell(Expectation::answered);
    }

    fn tell(&self, what: fn(&Expectation)) {
        if let Some(expectation) = &*self.expectation.lock().unwrap_or_else(PoisonError::into_inner) {
            what(expectation);
        }
    }

    /// The statuses of the interim answers that came to the request that was sent last.
    pub(super) fn take_interim(&self) -> Vec<u16> {
        match self.interim.load(Ordering::Acquire) {
            0 => Vec::new(),
            _ => std::mem::take(&mut *self.statuses()),
        }
    }

    fn statuses(&self) -> MutexGuard<'_, Vec<u16>> {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is missing in the head that hyper has read.
    pub(super) fn take(&self) -> Option<Aside> {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<S> Heads<S> {
    pub(super) fn new(stream: S) -> (Self, Arc<Desk>) {
        let desk = Arc::<Desk>::default();
        let heads = Heads { stream, desk: Arc::clone(&desk), held: Vec::new(), searched: 0, ready: (Vec::new(), 0) };
        (heads, desk)
    }

    /// Goes through what is held, and hands out what it can.
    fn sort(&mut self) -> Result<(), HeadError> {
        loop {
            // Empty lines before a head are passed over (hyper would), and hide nothing of what it is.
            let blank = self.held.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if blank == self.held.len() {
                return if blank > LARGEST { Err(HeadError::TooLarge) } else { Ok(()) };
            }
            self.held.drain(..blank);
            let Some(end) = end_of_head(&self.held, self.searched) else {
                self.searched = self.held.len();
                if !begins_as_head(&self.held) {
                    self.pass(self.held.len(), None);
                    return Ok(());
                }
                return if self.held.len() > LARGEST { Err(HeadError::TooLarge) } else { Ok(()) };
            };
            if end > LARGEST {
                return Err(HeadError::TooLarge);
            }
            if !is_interim(&self.held) {
                let told = told(&self.held[..end]);
                self.pass(end, told);
                return Ok(());
            }
            self.desk.statuses().push(interim_status(&self.held));
            if self.desk.interim.fetch_add(1, Ordering::AcqRel) >= MOST_INTERIM {
                return Err(HeadError::TooManyInterim);
            }
            if self.held[8..].starts_with(b" 100") {
                self.desk.tell(Expectation::go_on);
            }
            self.held.drain(..end);
            self.searched = 0;
        }
    }

    /// Hands out the head, which ends there, or another in its place, and what has come after it.
    fn pass(&mut self, end: usize, told: Option<(Vec<u8>, Aside)>) {
        let held = std::mem::take(&mut self.held);
        self.searched = 0;
        self.desk.answered();
        self.ready = match told {
            None => (held, 0),
            Some((mut head, aside)) => {
                *self.desk.aside.lock().unwrap_or_else(PoisonError::into_inner) = Some(aside);
                head.extend_from_slice(&held[end..]);
                (head, 0)
            }
        };
    }

    fn hand_out(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let (bytes, at) = &mut self.ready;
        let size = (bytes.len() - *at).min(buffer.remaining());
        if size == 0 {
            return false;
        }
        buffer.put_slice(&bytes[*at..*at + size]);
        *at += size;
        if *at == bytes.len() {
            self.ready = (Vec::new(), 0);
        }
        true
    }
}

/// Whether these bytes begin with a final head that hyper can read as it is.
fn is_plain(bytes: &[u8]) -> bool {
    if !begins_as_head(bytes) || is_interim(bytes) {
        return false;
    }
    let Some(end) = end_of_head(bytes, 0) else { return false };
    let head = &bytes[..end];
    // 4 bytes make a line.
    let few = end <= 4 * LINES || memchr::memchr_iter(b'\n', head).count() <= LINES;
    few && IDENTITY.find(head).is_none() && !head.iter().fold(false, |bad, &byte| bad | is_bad(byte))
}

/// No field value may have it, but for the ends of lines.
fn is_bad(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t' && byte != b'\r' && byte != b'\n') || byte == 0x7f
}

/// As far as it has come.
fn begins_as_head(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"HTTP/1.";
    let size = bytes.len().min(BEGIN.len());
    bytes[..size] == BEGIN[..size]
}

/// `HTTP/1.1 1xx`, but for the last one of a connection (101).
fn is_interim(bytes: &[u8]) -> bool {
    matches!(bytes.get(8..12), Some([b' ', b'1', tens, ones]) if (*tens, *ones) != (b'0', b'1'))
}

/// The number of such a status; 100 if it is none.
fn interim_status(bytes: &[u8]) -> u16 {
    bytes.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(100)
}

/// Where the first empty line ends; its end is not before `from`.
pub(super) fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    let empty = |at: &usize| matches!(&bytes[..*at], [.., b'\n'] | [.., b'\n', b'\r']);
    memchr::memchr_iter(b'\n', bytes.get(from..)?).map(|at| from + at).find(empty).map(|at| at + 1)
}

/// A head for hyper, and the fields that are not in it. `None` if it is to pass as it is: hyper says what is wrong with it.
fn told(head: &[u8]) -> Option<(Vec<u8>, Aside)> {
    let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).peekable();
    let mut short = [lines.next()?, b"\r\n"].concat();
    let mut aside = Aside::default();
    while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
        let at = memchr::memchr(b':', line)?;
        let (name, value) = (line[..at].trim_ascii_end(), &line[at + 1..]);
        let mut value = value.trim_ascii().to_vec();
        // RFC 9112 section 5.2: a line that begins with a space continues the one before.
        while let Some(more) = lines.next_if(|line| matches!(line.first(), Some(b' ' | b'\t'))) {
            value.push(b' ');
            value.extend_from_slice(more.trim_ascii());
        }
        // A coding that is none: the body ends as its length says.
        if name.eq_ignore_ascii_case(b"transfer-encoding") && value.eq_ignore_ascii_case(b"identity") {
            continue;
        }
        if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
            short.extend_from_slice(&[name, b": ", &value, b"\r\n"].concat());
            continue;
        }
        let name = HeaderName::from_bytes(name).ok()?;
        match HeaderValue::from_bytes(&value) {
            Ok(value) => {
                aside.fields.try_append(name, value).ok()?;
            }
            // What no value may be is left out.
            Err(_) => aside.dropped.push(name),
        }
    }
    short.extend_from_slice(b"\r\n");
    Some((short, aside))
}

impl<S: AsyncRead + Unpin> AsyncRead for Heads<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.hand_out(buffer) {
                return Poll::Ready(Ok(()));
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
            if !this.desk.expected.load(Ordering::Acquire) {
                return Poll::Ready(Ok(()));
            }
            let fresh = &buffer.filled()[before..];
            if fresh.is_empty() {
                // The end, or no room. What is held of a head is nothing that could be read.
                let held = this.held.len();
                this.pass(held, None);
                this.hand_out(buffer);
                return Poll::Ready(Ok(()));
            }
            if this.held.is_empty() && is_plain(fresh) {
                this.desk.answered();
                return Poll::Ready(Ok(()));
            }
            this.held.extend_from_slice(fresh);
            buffer.set_filled(before);
            this.sort().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heads<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, buffer)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeadError::TooLarge => write!(f, "the head of the response is larger than {} KiB", LARGEST / 1024),
            HeadError::TooManyInterim => write!(f, "the server sent more than {MOST_INTERIM} interim answers (1xx)"),
        }
    }
}

impl std::error::Error for HeadError {}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// What hyper would read, and what it would not be shown, of bytes that come in pieces of this size.
    async fn read(bytes: &[u8], size: usize) -> (io::Result<Vec<u8>>, Option<Aside>) {
        let (mut server, client) = duplex(bytes.len().max(1));
        for piece in bytes.chunks(size) {
            server.write_all(piece).await.unwrap();
        }
        drop(server);
        let (mut heads, desk) = Heads::new(client);
        desk.expect(None);
        let mut out = Vec::new();
        let result = heads.read_to_end(&mut out).await.map(|_| out);
        (result, desk.take())
    }

    #[tokio::test]
    async fn what_is_plain_passes_as_it_is() {
        for text in
            ["HTTP/1.1 200 OK\r\na: b\r\n\r\nbody\x01", "HTTP/1.0 200\n\nbody", "garbage", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1."]
        {
            for size in [1, 5, 1000] {
                let (passed, aside) = read(text.as_bytes(), size).await;
                assert_eq!((passed.unwrap(), aside), (text.as_bytes().to_vec(), None), "{text:?} by {size}");
            }
        }
    }

    #[tokio::test]
    async fn many_fields_and_odd_ones_go_another_way() {
        let many = "x: 1\r\n".repeat(5000);
        let text = format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 4\r\nbad: \x01\r\nodd : a\r\n b\r\n\r\nbody");
        for size in [7, 100_000] {
            let (passed, aside) = read(text.as_bytes(), size).await;
            assert_eq!(passed.unwrap(), b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody");
            let aside = aside.unwrap();
            let fields = &aside.fields;
            assert_eq!(
                (fields.get_all("x").iter().count(), &fields["odd"], fields.get("bad")),
                (5000, &HeaderValue::from_static("a b"), None)
            );
            assert_eq!(aside.dropped, ["bad"]);
        }
    }

    #[tokio::test]
    async fn interim_answers_are_passed_over_and_bounded() {
        let interim = "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n";
        let text = |times: u32| format!("{}HTTP/1.1 200 OK\r\n\r\nbody", interim.repeat(times as usize));
        let (passed, _) = read(text(MOST_INTERIM).as_bytes(), 50).await;
        assert_eq!(passed.unwrap(), b"HTTP/1.1 200 OK\r\n\r\nbody");
        for between in ["", "\r\n", "\n\r\n"] {
            let text = text(MOST_INTERIM + 1).replace("HTTP", &format!("{between}HTTP"));
            let (passed, _) = read(text.as_bytes(), 50).await;
            assert!(passed.unwrap_err().to_string().contains("interim"), "{between:?}");
        }
    }

    #[tokio::test]
    async fn empty_lines_before_a_head_are_passed_over() {
        for size in [1, 3, 1000] {
            let (passed, _) = read(b"\r\n\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\r\nbody", size).await;
            assert_eq!(passed.unwrap(), b"HTTP/1.1 200 OK\r\n\r\n\r\nbody", "by {size}");
            let (passed, _) = read(b"\r\n\r\n", size).await;
            assert_eq!(passed.unwrap(), b"\r\n\r\n", "by {size}");
        }
        let (passed, _) = read("\r\n".repeat(LARGEST).as_bytes(), 100_000).await;
        assert!(passed.unwrap_err().to_string().contains("408 KiB"));
    }

    #[tokio::test]
    async fn a_head_has_an_end() {
        let (passed, _) = read(format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(LARGEST)).as_bytes(), 100_000).await;
        assert!(passed.unwrap_err().to_string().contains("408 KiB"));
    }
}
