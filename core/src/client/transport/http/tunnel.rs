//! Ways through a proxy to a server: CONNECT, and SOCKS version 5.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tower_service::Service;
use url::Host;

use super::heads::{MOST_INTERIM, end_of_head};
use super::proxy::{Speaks, Via};
use crate::client::transport::{Failure, Refusal};
use crate::error::ErrorKind;
use crate::record::Evidence;

/// The head of a proxy's answer, in bytes at most.
const MOST_HEAD: usize = 64 * 1024;
/// Its header fields at most.
const MOST_FIELDS: usize = 256;

/// Asks the proxy at the other end of `stream` for a way to `host` and `port`. `target` and `via` are for messages.
///
/// # Errors
/// Kind `connect`: nothing was sent to the server. What a proxy answers that refuses stands in it; 403 and 407 are final.
pub(super) async fn through<S>(via: &Via, mut stream: S, host: &Host<String>, port: u16) -> Result<S, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match via.speaks {
        Speaks::Http | Speaks::Https => match connect(via, &mut stream, host, port).await {
            Ok(None) => Ok(stream),
            Ok(Some(refusal)) => Err(refused(refusal)),
            Err(error) => Err(broken(error)),
        },
        Speaks::Socks5 | Speaks::Socks5h => socks(via, stream, host, port).await,
    }
}

/// `None` if the way is open.
async fn connect<S>(via: &Via, stream: &mut S, host: &Host<String>, port: u16) -> io::Result<Option<Refusal>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(user) = via.authorization() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(user.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    // A proxy may refuse before it has read everything: its answer tells more than the failed write.
    let written = async {
        stream.write_all(&request).await?;
        stream.flush().await
    }
    .await;
    match answer(stream).await {
        Ok(refusal) if refusal.status.is_success() => written.map(|()| None),
        Ok(refusal) => Ok(Some(refusal)),
        Err(error) => written.and(Err(error)),
    }
}

/// The final answer: no byte behind its head is taken.
async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Refusal> {
    let mut interim = 0;
    loop {
        let head = next_head(stream).await?;
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let status = match response.parse(&head) {
            Ok(httparse::Status::Complete(_)) => response.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or_else(nonsense)?,
            _ => return Err(nonsense()),
        };
        // 101 is the last one of a connection, and opens no tunnel.
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            interim += 1;
            if interim > MOST_INTERIM {
                return Err(io::Error::other(format!("it sent more than {MOST_INTERIM} interim answers (1xx)")));
            }
            continue;
        }
        let field = |field: &httparse::Header<'_>| {
            Some((HeaderName::from_bytes(field.name.as_bytes()).ok()?, HeaderValue::from_bytes(field.value).ok()?))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in response.headers.iter().filter_map(field) {
            headers.append(name, value);
        }
        return Ok(Refusal { status, headers });
    }
}

/// The next head, without empty lines before it.
async fn next_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(512);
    for _ in 0..MOST_HEAD {
        // One by one: what follows belongs to the server. Heads of proxies are short, and come once per connection.
        let byte = stream.read_u8().await?;
        if head.is_empty() && matches!(byte, b'\r' | b'\n') {
            continue;
        }
        head.push(byte);
        if end_of_head(&head, head.len() - 1).is_some() {
            return Ok(head);
        }
    }
    Err(nonsense())
}

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it does not speak HTTP")
}

fn refused(refusal: Refusal) -> Failure {
    let status = refusal.status;
    let what = match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => "the proxy demands authentication",
        _ => "the proxy refused to open a tunnel",
    };
    let message = match status.canonical_reason() {
        Some(reason) => format!("{what}: {} {reason}", status.as_u16()),
        None => format!("{what}: {}", status.as_u16()),
    };
    let permanent = matches!(status, StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED);
    Failure { permanent, refusal: Some(Box::new(refusal)), ..Failure::new(ErrorKind::Connect, Evidence::NotSent, message) }
}

fn broken(error: io::Error) -> Failure {
    let what = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the proxy closed the connection instead of opening a tunnel".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the proxy broke the connection instead of opening a tunnel".to_owned()
        }
        _ => format!("the proxy did not open a tunnel: {error}"),
    };
    Failure { source: Some(Box::new(error)), ..Failure::new(ErrorKind::Connect, Evidence::NotSent, what) }
}

/// A stream that is there already, as hyper-util wants to be given one.
struct There<S>(Option<S>);

impl<S> Service<Uri> for There<S> {
    type Response = S;
    type Error = Infallible;
    type Future = Ready<Result<S, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(Ok(self.0.take().expect("it is asked once")))
    }
}

async fn socks<S>(via: &Via, stream: S, host: &Host<String>, port: u16) -> Result<S, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let impossible = |_| Failure::new(ErrorKind::InvalidRequest, Evidence::NotSent, "the host name cannot be told to a SOCKS proxy");
    let target: Uri = format!("http://{host}:{port}").parse().map_err(impossible)?;
    let mut handshake = SocksV5::new(Uri::from_static("http://proxy"), There(Some(TokioIo::new(stream))));
    if let Some((user, password)) = via.user() {
        handshake = handshake.with_auth(user.to_owned(), password.to_owned());
    }
    match handshake.call(target).await {
        Ok(stream) => Ok(stream.into_inner()),
        Err(error) => {
            let message = format!("the SOCKS proxy did not open a tunnel: {error}");
            Err(Failure { source: Some(Box::new(error)), ..Failure::new(ErrorKind::Connect, Evidence::NotSent, message) })
        }
    }
}
