//! What the server sees is what one purse allows, whoever asks for it.

use std::time::Duration;

use reknock::client::Client;
use reknock::retry::Share;
use reknock_test_server::Server;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::child::{Child, child};
use crate::{Place, SIXTY, client};

/// A runtime for the server, and one for the calls of a process.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn calls(client: &Client, url: &str, number: usize) {
    for _ in 0..number {
        assert_eq!(client.get(url).send_blocking().unwrap().status(), 503);
    }
}

#[test]
fn processes_send_what_one_purse_allows() {
    let place = Place::new("processes");
    let elsewhere = runtime();
    let (server, script) = elsewhere.block_on(async {
        let server = Server::start().await.unwrap();
        let script = server.script(json!([{"do": "status", "status": 503}])).await.unwrap();
        (server, script)
    });
    let (url, directory) = (script.url().to_owned(), place.budgets());
    let four: Vec<Child> = (0..4)
        .map(|_| {
            child(|| {
                calls(&client(SIXTY, &directory).unwrap(), &url, 30);
                0
            })
        })
        .collect();
    four.into_iter().for_each(Child::join);
    assert_eq!(script.log().len(), 4 * 30 + 60, "each call once, and what is in the purse");

    let here = client(SIXTY, &directory).unwrap();
    assert_eq!(here.budget(&url), None, "no call used it yet");
    calls(&here, &url, 1);
    let reading = here.budget(&url).unwrap();
    assert_eq!((reading.balance, reading.withdrawals, reading.share), (0, 60, Share::Host));
    assert_eq!((reading.own_withdrawals, reading.own_refusals, reading.resets), (0, 1, 0));
    assert!(reading.refusals > 100 && reading.path.as_deref() == place.file().to_str() && reading.why.is_none(), "{reading:?}");
    // Other parameters are another purse; so is another origin.
    let other = client(&SIXTY.replace("ttl: 60s", "ttl: 59s"), &directory).unwrap();
    calls(&other, &url, 1);
    assert_eq!(other.budget(&url).unwrap().balance, 59 - 3);
    calls(&here, &url.replace("127.0.0.1", "localhost"), 1);
    elsewhere.shutdown_timeout(Duration::from_secs(1));
    drop(server);
}

/// Deposits of one process are retries of another; a name is one purse whatever the origin.
#[test]
fn a_name_is_shared_over_processes() {
    const NAMED: &str =
        "{max_retries: 3, backoff: 0s, budget: {ratio: 1, min_per_second: 0, ttl: 60s, deposit_on: call, name: everything, share: host}}";
    let place = Place::new("names");
    let elsewhere = runtime();
    let (server, well, ill) = elsewhere.block_on(async {
        let server = Server::start().await.unwrap();
        let well = server.script(json!([{"do": "status", "status": 200}])).await.unwrap();
        let ill = server.script(json!([{"do": "status", "status": 503}])).await.unwrap();
        (server, well, ill)
    });
    let (url, directory) = (well.url().to_owned(), place.budgets());
    let earner = child(|| {
        let client = client(NAMED, &directory).unwrap();
        (0..7).for_each(|_| assert_eq!(client.get(&url).send_blocking().unwrap().status(), 200));
        0
    });
    earner.join();
    calls(&client(NAMED, &directory).unwrap(), ill.url(), 5);
    // Seven were earned elsewhere, and five here.
    assert_eq!(ill.log().len(), 5 + 7 + 5);
    elsewhere.shutdown_timeout(Duration::from_secs(1));
    drop(server);
}
