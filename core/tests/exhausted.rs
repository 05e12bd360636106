//! What a server may send more of than there is memory for: an error, never the end of the program.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, unsafe_code)] // a limit of this process alone

use std::process::Command;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use reknock::client::transport::{Failure, Incoming, Outgoing, Received, Transport};
use reknock::client::{Client, StreamingResponse, TokioClock};
use reknock::{ErrorKind, Policy};

static PIECE: [u8; 1 << 20] = [7; 1 << 20];

/// A body without an end, of pieces that cost nothing.
#[derive(Clone)]
struct Endless;

impl Transport for Endless {
    type Body = Endless;

    async fn send(&self, _outgoing: Outgoing) -> Result<Received<Endless>, Failure> {
        Ok(Received { status: StatusCode::OK, version: Version::HTTP_11, headers: HeaderMap::new(), body: Endless, length: None })
    }
}

impl Incoming for Endless {
    async fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        Ok(Some(Bytes::from_static(&PIECE)))
    }
}

#[test]
fn a_body_larger_than_memory_is_an_error() {
    const CHILD: &str = "REKNOCK_TEST_SHORT_OF_MEMORY";
    if std::env::var_os(CHILD).is_some() {
        return short_of_memory();
    }
    let ours = std::env::current_exe().unwrap();
    let ended = Command::new(ours).args(["--exact", "a_body_larger_than_memory_is_an_error"]).env(CHILD, "1").output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

fn short_of_memory() {
    let limit = libc::rlimit { rlim_cur: 1 << 30, rlim_max: 1 << 30 };
    // SAFETY: a whole struct, read by the call alone.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
    let client = Client::on(Endless).policy(Policy::from_yaml("timeout: none").unwrap()).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let error = client.get("http://server.test/").send().await.unwrap_err();
        assert_eq!((error.kind(), error.attempts().len()), (ErrorKind::ResponseTooLarge, 1), "{error}");
        assert!(error.to_string().contains("does not fit into memory"), "{error}");
        let mut streamed: StreamingResponse<Endless, TokioClock> = client.get("http://server.test/").stream().await.unwrap();
        assert_eq!(streamed.bytes(usize::MAX).await.unwrap_err().kind(), ErrorKind::ResponseTooLarge);
    });
}
