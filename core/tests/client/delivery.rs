//! Responses that are handed out when it is known what they are: `deliver_with`, in virtual time.

use std::time::Duration;

use crate::support::{Scripted, Step, policy};
use reknock::client::{CallOptions, Callbacks, Client, Delivered, Request};
use reknock::{ErrorKind, StopReason};
use serde_json::json;

const MIB: usize = 1024 * 1024;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What came of a call: the attempts, the size of the whole body or of each piece of an open one, and how that ended.
#[derive(Debug, PartialEq)]
enum Came {
    Whole(usize, usize),
    Open(usize, Vec<usize>, Option<ErrorKind>),
    Failed(usize, ErrorKind),
}

async fn deliver(steps: impl IntoIterator<Item = Step>, most: Option<u64>) -> Came {
    let client = Client::on(Scripted::new(steps)).policy(policy(&json!({"backoff": "none", "idle_timeout": "1s"})));
    let client = most.into_iter().fold(client, |client, most| client.max_response_size(most)).build().unwrap();
    let request = Request::new("GET", "http://server.test/").unwrap();
    match client.deliver_with(request, &CallOptions::default(), Callbacks::default()).await {
        Err(error) => Came::Failed(error.attempts().len(), error.kind()),
        Ok(Delivered::Whole(response)) => Came::Whole(response.attempts().len(), response.bytes().len()),
        Ok(Delivered::Open(mut response)) => {
            let mut pieces = Vec::new();
            let end = loop {
                match response.chunk().await {
                    Ok(Some(piece)) => pieces.push(piece.len()),
                    Ok(None) => break None,
                    Err(error) => {
                        assert_eq!(response.stop_reason(), error.stop_reason().unwrap(), "the records say it too");
                        break Some(error.kind());
                    }
                }
            };
            Came::Open(response.attempts().len(), pieces, end)
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_there_soon_comes_whole_and_is_retried_if_it_breaks() {
    let soon = Step::status(200).body([(ms(0), Some(10)), (ms(19), Some(10))]);
    let cut = Step::status(200).body([(ms(19), Some(10)), (ms(0), None)]);
    assert_eq!(deliver([soon.clone()], None).await, Came::Whole(1, 20));
    assert_eq!(deliver([Step::status(200)], None).await, Came::Whole(1, 0));
    assert_eq!(deliver([cut.clone(), soon], None).await, Came::Whole(2, 20));
    assert_eq!(deliver([cut], None).await, Came::Failed(3, ErrorKind::Body));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_takes_longer_is_handed_out_as_it_comes() {
    let slow = Step::status(200).body([(ms(0), Some(10)), (ms(21), Some(20)), (ms(500), Some(30))]);
    assert_eq!(deliver([slow], None).await, Came::Open(1, vec![10, 20, 30], None));
    // What breaks then is the reader's, who has seen part of it.
    let cut = Step::status(200).body([(ms(0), Some(10)), (ms(21), None)]);
    assert_eq!(deliver([cut], None).await, Came::Open(1, vec![10], Some(ErrorKind::Body)));
    let silent = Step::status(200).body([(ms(0), Some(10)), (ms(5000), Some(20))]);
    assert_eq!(deliver([silent], None).await, Came::Open(1, vec![10], Some(ErrorKind::Body)));
    let short = Step { length: Some(11), ..Step::status(200).body([(ms(0), Some(5)), (ms(21), Some(5))]) };
    assert_eq!(deliver([short], None).await, Came::Open(1, vec![5, 5], Some(ErrorKind::Body)));
}

#[tokio::test(start_paused = true)]
async fn a_large_body_is_handed_out_once_there_is_a_mebibyte() {
    let large = Step::status(200).body([(ms(0), Some(MIB / 2)), (ms(0), Some(MIB / 2)), (ms(0), Some(7))]);
    assert_eq!(deliver([large.clone()], None).await, Came::Open(1, vec![MIB, 7], None));
    // The limit holds before and after that.
    assert_eq!(deliver([large.clone()], Some(MIB as u64)).await, Came::Open(1, vec![MIB], Some(ErrorKind::ResponseTooLarge)));
    assert_eq!(deliver([large], Some(100)).await, Came::Failed(1, ErrorKind::ResponseTooLarge));
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_is_handed_out_with_its_head() {
    let events = Step::status(200).header("content-type", "text/event-stream").body([(ms(0), Some(10)), (ms(0), Some(10))]);
    assert_eq!(deliver([events], None).await, Came::Open(1, vec![10, 10], None));
}

#[tokio::test(start_paused = true)]
async fn a_misdirected_request_is_repeated_once_where_that_is_wanted() {
    let send = async |as_fetch, max_retries| {
        let client = Client::on(Scripted::new([Step::status(421)])).policy(policy(&json!({"max_retries": max_retries}))).build().unwrap();
        let options = CallOptions { as_fetch, ..CallOptions::default() };
        let request = Request::new("POST", "http://server.test/").unwrap();
        let response = client.send_with(request, &options, Callbacks::default()).await.unwrap();
        (response.attempts().len(), response.stop_reason(), response.elapsed())
    };
    assert_eq!(send(true, 3).await, (2, StopReason::NotRetryable, Duration::ZERO));
    assert_eq!(send(true, 0).await, (2, StopReason::NotRetryable, Duration::ZERO), "it is fetch's, not the policy's");
    assert_eq!(send(false, 3).await, (1, StopReason::NotRetryable, Duration::ZERO));
}
