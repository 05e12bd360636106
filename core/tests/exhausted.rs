//! What a server or a caller may have more of than there is memory for: an error, never the end of the program.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, unsafe_code)] // a limit of this process alone

use std::process::Command;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use reknock::client::transport::{Failure, Incoming, Outgoing, Received, Transport};
use reknock::client::{Client, Multipart, Request, StreamingResponse, TokioClock};
use reknock::{ErrorKind, Policy};

static PIECE: [u8; 1 << 20] = [7; 1 << 20];

/// A body without an end, of pieces that cost nothing.
#[derive(Clone)]
struct Endless;

impl Transport for Endless {
    type Body = Endless;

    async fn send(&self, _outgoing: Outgoing) -> Result<Received<Endless>, Failure> {
        Ok(Received {
            reason: None,
            status: StatusCode::OK,
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            body: Endless,
            length: None,
        })
    }
}

impl Incoming for Endless {
    async fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        Ok(Some(Bytes::from_static(&PIECE)))
    }
}

/// Runs a test once more, in a process of its own that may have a GiB.
fn short_of_memory(test: &str, work: fn()) {
    const CHILD: &str = "REKNOCK_TEST_SHORT_OF_MEMORY";
    if std::env::var_os(CHILD).is_some() {
        let limit = libc::rlimit { rlim_cur: 1 << 30, rlim_max: 1 << 30 };
        // SAFETY: a whole struct, read by the call alone.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
        return work();
    }
    let ours = std::env::current_exe().unwrap();
    let ended = Command::new(ours).args(["--exact", test]).env(CHILD, "1").output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn a_body_larger_than_memory_is_an_error() {
    short_of_memory("a_body_larger_than_memory_is_an_error", endless_body);
}

#[test]
fn a_request_larger_than_memory_is_an_error() {
    short_of_memory("a_request_larger_than_memory_is_an_error", large_requests);
}

fn large_requests() {
    let large = "x".repeat(32 << 20);
    // There is no room for another one.
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut more = Vec::new();
        if more.try_reserve_exact(16 << 20).is_err() {
            break;
        }
        held.push(more);
    }
    let request = || Request::new("POST", "http://server.test/").unwrap();
    let refused = |what: &str, result: Result<(), reknock::Error>| {
        let error = result.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{what}");
        assert!(!error.to_string().contains("xx"), "{what}: {error}");
        error.is_out_of_memory()
    };
    assert!(refused("form", request().set_form([("a", &large)])));
    assert!(refused("json", request().set_json(&large)));
    assert!(refused("copy", reknock::client::copied("body", large.as_bytes()).map(drop)));
    assert!(refused("text", Multipart::new().text("a", &large).map(drop)));
    // What no server takes needs no memory.
    assert!(!refused("query", request().append_query([("a", &large)])));
    assert!(!refused("header", request().append_header("x-a", &large)));
    assert!(!refused("name", request().append_header(&large, "a")));
    assert!(!refused("part", Multipart::new().part(&large, None, None, "a".into()).map(drop)));
    assert!(!refused("url", Request::new("GET", &large).map(drop)));
    assert!(!refused("method", Request::new(&large, "http://server.test/").map(drop)));
    // And what is there already is not copied.
    let mut whole = request();
    whole.set_multipart(Multipart::new().part("a", Some("a"), None, large.into()).unwrap());
    assert_eq!(whole.body().length().map(|length| length >> 20), Some(32));
    drop(held);
}

fn endless_body() {
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
