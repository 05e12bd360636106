//! Random faults on real sockets; the server's log counts what it executed.

use std::collections::HashMap;

use futures_util::stream::{StreamExt, iter};
use reknock::client::{Client, Http2};
use reknock::{AttemptRecord, Evidence};
use reknock_test_server::Server;
use serde_json::{Value as Json, json};

use crate::chaos::Dice;
use crate::live::{options, patient, pattern, swift};

fn http1(dice: &mut Dice) -> Json {
    let after = dice.below(50_000);
    match dice.below(16) {
        0 => json!({"do": "reset"}),
        1 => json!({"do": "close"}),
        2 => json!({"do": "partial-head", "end": dice.pick(&["fin", "reset"])}),
        3 => json!({"do": "garbage"}),
        4 => json!({"do": "reset-mid-upload", "after": after + 1}),
        5 => json!({"do": "accept-reset"}),
        6 => json!({"do": "accept-close"}),
        7 => json!({"do": "status", "status": 200, "body_size": 5000, "body_mode": dice.pick(&["truncate-fin", "truncate-reset"])}),
        8 => json!({"do": "status", "status": dice.pick(&[429, 421, 425])}),
        9 | 10 => json!({"do": "status", "status": dice.pick(&[500, 503]), "close": dice.chance(30)}),
        11 => json!({"do": "status", "status": 503, "read_body": false}),
        12 => json!({"do": "reset", "read_body": false}),
        _ => json!({"do": "status", "status": 200, "body_size": after, "close": dice.chance(20)}),
    }
}

/// `goaway`: calls go one by one. A GOAWAY below streams that were served would be a lie.
fn http2(dice: &mut Dice, goaway: bool) -> Json {
    match dice.below(12) {
        0 | 1 => json!({"do": "h2-rst", "code": 7}),
        2 => json!({"do": "h2-rst", "code": 2}),
        3 | 4 if goaway => json!({"do": "h2-goaway", "code": dice.pick(&[0, 11]), "last": 0}),
        5 => json!({"do": "h2-close"}),
        6 => json!({"do": "h2-body-rst", "code": 2, "after": 100}),
        7 => json!({"do": "reset"}),
        8 => json!({"do": "status", "status": dice.pick(&[429, 503])}),
        _ => json!({"do": "status", "status": 200, "body_size": 2000}),
    }
}

/// Whether the server says that it did nothing with the request.
fn refused(did: &str) -> bool {
    did.starts_with("h2-goaway")
        || did.starts_with("h2-rst 7")
        || ["421", "425", "429"].iter().any(|status| did.starts_with(&format!("status {status}")))
}

async fn storm(version: Http2, at_once: usize) {
    let calls = crate::from_environment("REKNOCK_SOCKET_SCHEDULES", 2000) as usize / if at_once == 1 { 5 } else { 1 };
    let seed = crate::from_environment("REKNOCK_SEED", 1);
    let mut dice = Dice(seed);
    let outcomes: Vec<Json> =
        (0..3 * calls.min(3000)).map(|_| if version == Http2::Only { http2(&mut dice, at_once == 1) } else { http1(&mut dice) }).collect();
    let server = Server::start().await.unwrap();
    let script = server.script(json!({"script": outcomes, "http2": version == Http2::Only})).await.unwrap();
    let mut options = options(None);
    options.http2 = version;
    // Without the budget, which would refuse most retries of such a storm.
    let client = Client::on(options).policy(swift(&json!({"max_retries": 4, "budget": null}))).build().unwrap();
    let url = script.url();
    let running = iter(0..calls).map(|call| {
        let (client, method, size) = (&client, dice.pick(&["POST", "POST", "PATCH", "PUT", "GET"]), dice.below(60_000) * dice.below(2));
        async move {
            let mut request = client.request(method, url).header("x-call", &call.to_string());
            if method != "GET" {
                request = request.body(pattern(size as usize));
            }
            let records: Vec<AttemptRecord> = match patient(request.send()).await {
                Ok(response) => response.attempts().to_vec(),
                Err(error) => error.attempts().to_vec(),
            };
            (call, method, records)
        }
    });
    let over: Vec<_> = running.buffer_unordered(at_once).collect().await;

    let mut arrivals: HashMap<usize, Vec<String>> = HashMap::new();
    for arrival in script.log() {
        let call = arrival.header("x-call").unwrap().parse().unwrap();
        arrivals.entry(call).or_default().push(format!("{} ({} bytes)", arrival.did, arrival.body_size));
    }
    let mut repeated = 0;
    for (call, method, records) in over {
        let seen = arrivals.remove(&call).unwrap_or_default();
        let sent = records.iter().filter(|record| record.evidence != Evidence::NotSent).count();
        assert!(seen.len() <= sent, "seed {seed} {method}: {} arrivals of {sent} sends: {seen:?} {records:#?}", seen.len());
        repeated += seen.len().saturating_sub(1);
        if matches!(method, "POST" | "PATCH") {
            let executed = seen.iter().filter(|did| !refused(did)).count();
            assert!(executed <= 1, "seed {seed} {method}: executed {executed} times: {seen:?} {records:#?}");
        }
    }
    assert!(repeated > calls / 20, "hardly anything was repeated: {repeated} of {calls}");
}

#[tokio::test]
async fn no_unsafe_method_is_executed_twice() {
    storm(Http2::None, 8).await;
}

#[tokio::test]
async fn no_unsafe_method_is_executed_twice_over_http2() {
    storm(Http2::Only, 8).await;
    storm(Http2::Only, 1).await;
}
