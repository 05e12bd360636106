//! What one stream tells of its request.

use http::StatusCode;

use super::*;
use crate::error::ErrorKind;
use crate::record::Evidence;

/// Serves one request with frames by hand.
macro_rules! by_hand {
    ($frames:ident, $stream:ident => $body:block) => {
        Network::new(|stream, _| async move {
            let mut $frames = Frames::accept(stream).await;
            let Some($stream) = $frames.request().await else { return };
            $body
            $frames.drain().await;
        })
    };
}

#[tokio::test]
async fn a_goaway_below_the_stream_says_that_nobody_looked_at_it() {
    for code in [0, 2, 11] {
        let network = Network::new(move |stream, _| async move {
            let mut frames = Frames::accept(stream).await;
            frames.request().await.unwrap();
            frames.goaway(0, code).await;
            frames.drain().await;
        });
        for method in [Method::GET, Method::POST] {
            let failure = network.send(method, "/", NO_BODY, Arc::default()).await.unwrap_err();
            assert_eq!((failure.kind, failure.evidence), (ErrorKind::RefusedStream, Evidence::Refused), "code {code}");
        }
    }
}

#[tokio::test]
async fn a_goaway_above_the_stream_says_nothing_about_it() {
    let network = Network::new(|stream, _| async move {
        let mut frames = Frames::accept(stream).await;
        let stream = frames.request().await.unwrap();
        frames.goaway(stream, 2).await;
    });
    let failure = network.get("/").await.unwrap_err();
    assert_eq!((failure.kind, failure.evidence), (ErrorKind::Reset, Evidence::Unknown));
    let network = by_hand!(frames, stream => {
        frames.goaway(stream, 0).await;
        frames.head(stream, 8, 0).await;
        frames.send(DATA, END_STREAM, stream, b"served").await;
    });
    assert_eq!(network.get("/").await.unwrap(), b"served");
    assert_eq!(network.get("/").await.unwrap(), b"served", "on a new connection, without a failure");
    assert_eq!(network.connections(), 2);
}

#[tokio::test]
async fn resets_are_told_apart() {
    let network = by_hand!(frames, stream => { frames.send(RESET, 0, stream, &7_u32.to_be_bytes()).await; });
    let failure = network.get("/").await.unwrap_err();
    assert_eq!((failure.kind, failure.evidence), (ErrorKind::RefusedStream, Evidence::Refused));
    let network = by_hand!(frames, stream => { frames.send(RESET, 0, stream, &2_u32.to_be_bytes()).await; });
    let failure = network.get("/").await.unwrap_err();
    assert_eq!((failure.kind, failure.evidence), (ErrorKind::Reset, Evidence::Unknown));
}

#[tokio::test]
async fn a_reset_without_an_end_is_a_cut_whatever_its_code() {
    let network = by_hand!(frames, stream => {
        frames.head(stream, 8, 0).await;
        frames.send(DATA, 0, stream, b"half").await;
        frames.send(RESET, 0, stream, &0_u32.to_be_bytes()).await;
    });
    assert_eq!(network.get("/").await.unwrap_err().kind, ErrorKind::Body);
    let network = by_hand!(frames, stream => {
        frames.head(stream, 8, 0).await;
        frames.send(DATA, END_STREAM, stream, b"all").await;
        frames.send(RESET, 0, stream, &0_u32.to_be_bytes()).await;
    });
    assert_eq!(network.get("/").await.unwrap(), b"all");
}

/// A server that answers early, ends its stream and is gone: nothing is missing of what it said.
#[tokio::test]
async fn a_connection_that_is_lost_after_the_last_byte_cuts_nothing() {
    let answered = |sent: &'static [u8], flags, code| {
        Network::new(move |stream, _| async move {
            let mut frames = Frames::accept(stream).await;
            let stream = frames.request().await.unwrap();
            // content-length: 2, not indexed.
            frames.send(HEADERS, END_HEADERS, stream, &[0x88, 0x0f, 0x0d, 1, b'2']).await;
            frames.send(DATA, flags, stream, sent).await;
            if let Some(code) = code {
                frames.send(RESET, 0, stream, &u32::to_be_bytes(code)).await;
            }
        })
    };
    for flags in [END_STREAM, 0] {
        let response = answered(b"no", flags, None).put("/", 3_000_000).await.unwrap();
        assert_eq!(whole(response).await.unwrap(), b"no");
    }
    let half = answered(b"n", 0, None).put("/", 3_000_000).await.unwrap();
    assert_eq!(whole(half).await.unwrap_err().kind, ErrorKind::Body);
    let reset = answered(b"no", 0, Some(2)).put("/", 3_000_000).await.unwrap();
    assert_eq!(whole(reset).await.unwrap_err().kind, ErrorKind::Body);
}

#[tokio::test]
async fn what_has_no_body_by_rule_has_none() {
    for (status, method) in [(9, Method::GET), (11, Method::GET), (8, Method::HEAD)] {
        let network = by_hand!(frames, stream => {
            frames.head(stream, status, 0).await;
            frames.send(DATA, END_STREAM, stream, b"ok").await;
        });
        let response = network.send(method, "/", NO_BODY, Arc::default()).await.unwrap();
        assert_eq!(whole(response).await.unwrap(), b"", "status {status}");
    }
}

#[tokio::test]
async fn nothing_that_was_written_means_not_sent() {
    let network = Network::new(|stream, _| async move {
        let mut frames = Frames::accept(stream).await;
        let stream = frames.request().await.unwrap();
        frames.head(stream, 8, END_STREAM).await;
    });
    network.get("/").await.unwrap();
    // Closed by the peer; our task has not looked yet.
    let place = network.place(false).await;
    drop(place);
    let result = network.get("/").await;
    assert!(result.is_ok() || result.as_ref().unwrap_err().evidence == Evidence::NotSent, "{result:?}");
}

#[tokio::test]
async fn endless_interim_answers_are_no_answer() {
    let network = by_hand!(frames, stream => {
        for _ in 0..100_000 {
            // :status 103, not indexed: a name of the static table and a literal.
            frames.send(HEADERS, END_HEADERS, stream, &[0x08, 0x03, b'1', b'0', b'3']).await;
        }
    });
    let failure = network.get("/").await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::Protocol);
    assert!(failure.message.contains("interim"), "{}", failure.message);
    let network = by_hand!(frames, stream => {
        for _ in 0..50 {
            frames.send(HEADERS, END_HEADERS, stream, &[0x08, 0x03, b'1', b'0', b'3']).await;
        }
        frames.head(stream, 8, END_STREAM).await;
    });
    assert_eq!(network.get("/").await.unwrap(), b"");
}

#[tokio::test]
async fn responses_that_nobody_reads_keep_no_other_from_coming() {
    let network = Network::new(|stream, _| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let size = if request.uri().path() == "/large" { 2_000_000 } else { 2 };
            let mut out = respond.send_response(Response::new(()), false).unwrap();
            let _ = out.send_data(Bytes::from(vec![7; size]), true);
        }
    });
    let mut unread = Vec::new();
    for _ in 0..40 {
        unread.push(network.head("/large").await.unwrap());
    }
    assert_eq!(network.get("/").await.unwrap().len(), 2);
    assert_eq!(network.connections(), 1);
    for response in unread {
        assert_eq!(whole(response).await.unwrap().len(), 2_000_000);
    }
}

/// Reads uploads whole and answers with their size, or refuses them unread.
async fn take_uploads(stream: DuplexStream, _: usize) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            if request.uri().path() == "/early" {
                let response = Response::builder().status(413).body(()).unwrap();
                let mut out = respond.send_response(response, false).unwrap();
                // Dropped unread: h2 resets the stream with NO_ERROR when this is out.
                return drop(out.send_data(Bytes::from_static(b"no"), true));
            }
            let mut body = request.into_body();
            let mut size = 0;
            while let Some(Ok(bytes)) = body.data().await {
                size += bytes.len();
                let _ = body.flow_control().release_capacity(bytes.len());
            }
            let mut out = respond.send_response(Response::new(()), false).unwrap();
            let _ = out.send_data(size.to_string().into(), true);
        });
    }
}

#[tokio::test]
async fn uploads_go_as_the_peer_takes_them() {
    let network = Network::new(take_uploads);
    for size in [1, 16_384, 65_536, 3_000_000] {
        let response = network.put("/", size).await.unwrap();
        assert_eq!(whole(response).await.unwrap(), size.to_string().into_bytes());
    }
}

#[tokio::test]
async fn an_early_answer_wins_over_the_rest_of_the_upload() {
    let network = Network::new(take_uploads);
    for _ in 0..50 {
        let response = network.put("/early", 3_000_000).await.unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(whole(response).await.unwrap(), b"no");
    }
    assert_eq!(network.connections(), 1);
    let network = by_hand!(frames, stream => {
        frames.head(stream, 12, 0).await;
        frames.send(DATA, END_STREAM, stream, b"no").await;
        frames.send(RESET, 0, stream, &0_u32.to_be_bytes()).await;
    });
    let response = network.put("/", 3_000_000).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(whole(response).await.unwrap(), b"no");
}
