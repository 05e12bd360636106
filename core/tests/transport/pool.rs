//! Connections are counted, shared by runtimes and lanes, and closed in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reknock::Policy;
use reknock::client::{Client, HttpTransport};
use tokio::runtime::Builder;

use crate::{answer, answers, client, eventually, options, pass, read, server};

fn url(address: std::net::SocketAddr) -> String {
    format!("http://{address}/id/1")
}

#[test]
fn runtimes_and_lanes_share_one_connection() {
    let (address, seen) = server(answers);
    let client = client(options());
    for turn in 0..40 {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let response = runtime.block_on(client.get(&url(address)).send()).unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(client.get(&url(address)).send_blocking().unwrap().status(), 200, "turn {turn}");
    }
    assert_eq!(seen.connections(), 1);
}

#[test]
fn threads_keep_what_they_use() {
    let (address, seen) = server(answers);
    let client = client(options());
    let round = || {
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| (0..5).for_each(|_| assert_eq!(client.get(&url(address)).send_blocking().unwrap().status(), 200)));
            }
        });
    };
    round();
    round();
    assert!(seen.connections() <= 64, "{} connections for 64 threads", seen.connections());
}

/// Ten calls, two connections: eight wait.
#[tokio::test]
async fn calls_beyond_the_limit_wait_in_order() {
    let (address, seen) = server(|stream, _, seen| {
        while read(stream, seen) {
            std::thread::sleep(Duration::from_millis(20));
            if !answer(stream) {
                return;
            }
        }
    });
    for (all, each) in [(512, 2), (2, 512)] {
        let mut options = options();
        (options.max_connections, options.max_connections_per_origin) = (all, each);
        let policy = Policy::from_yaml("{per_try_timeout: 5s, max_retries: 0}").unwrap();
        let client = Client::on(HttpTransport::new(&options).unwrap()).policy(policy).build().unwrap();
        let before = seen.connections();
        let (url, done) = (url(address), Arc::new(std::sync::Mutex::new(Vec::new())));
        let calls: Vec<_> = (0..10)
            .map(|number| {
                let (client, url, done) = (client.clone(), url.clone(), Arc::clone(&done));
                tokio::spawn(async move {
                    let response = client.get(&url).send().await;
                    done.lock().unwrap().push(number);
                    response
                })
            })
            .collect();
        let mut waited = 0;
        for call in calls {
            let response = call.await.unwrap().unwrap();
            let record = &response.attempts()[0];
            assert_eq!((response.status(), response.attempts().len()), (200, 1));
            assert!(record.connection.waited <= Some(record.duration), "{record:?}");
            waited += usize::from(record.connection.waited.is_some());
        }
        assert_eq!((seen.connections() - before, waited), (2, 8));
        let order = done.lock().unwrap().clone();
        assert!(order.iter().position(|number| *number == 9) > order.iter().position(|number| *number == 2), "{order:?}");
    }
}

#[tokio::test]
async fn a_place_goes_to_another_origin() {
    let servers: Vec<_> = (0..3).map(|_| server(answers)).collect();
    let mut options = options();
    options.max_connections = 1;
    let client = client(options);
    for _ in 0..3 {
        let calls = servers.iter().map(|(address, _)| {
            let (client, url) = (client.clone(), url(*address));
            tokio::spawn(async move { client.get(&url).send().await.unwrap().status() })
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap(), 200);
        }
    }
    let open: usize = servers.iter().map(|(_, seen)| seen.open.load(Ordering::SeqCst)).sum();
    assert!(open <= 2, "{open} open: one, and one whose end its server has not seen yet");
}

/// It is the turn of who has waited for longest, wherever the call leads.
#[tokio::test]
async fn an_origin_that_is_always_waited_for_holds_up_no_other() {
    let (busy, other) = (server(answers).0, server(answers).0);
    let mut options = options();
    options.max_connections = 1;
    let client = client(options);
    let over = Arc::new(AtomicBool::new(false));
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let (client, url, over) = (client.clone(), url(busy), Arc::clone(&over));
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let turn = tokio::time::timeout(Duration::from_secs(20), client.get(&url(other)).send()).await;
    over.store(true, Ordering::SeqCst);
    assert_eq!(turn.expect("its turn never comes").unwrap().status(), 200);
    for call in calls {
        call.await.unwrap();
    }
}

/// A call that is given up while it waits leaves its place in the queue, and what it was given goes on.
#[tokio::test]
async fn who_gives_up_waiting_holds_nobody_up() {
    let (address, seen) = server(|stream, _, seen| {
        while read(stream, seen) {
            pass(3000);
            if !answer(stream) {
                return;
            }
        }
    });
    let mut options = options();
    options.max_connections_per_origin = 1;
    let client = client(options);
    for round in 0..30 {
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let (client, url) = (client.clone(), url(address));
                tokio::spawn(async move { client.get(&url).send().await.unwrap().status() })
            })
            .collect();
        tokio::time::sleep(Duration::from_micros(round * 200)).await;
        calls[1].abort();
        calls[2].abort();
        for (number, call) in calls.into_iter().enumerate() {
            let ended = tokio::time::timeout(Duration::from_secs(30), call).await.expect("a call that hangs");
            assert!(ended.is_ok_and(|status| status == 200) || number == 1 || number == 2);
        }
    }
    eventually("one connection at most stays open", || seen.open() <= 1);
}

/// While one call keeps the only connection for days, others come, wait and go.
#[tokio::test]
async fn who_gives_up_waiting_leaves_nothing_behind() {
    struct Nobody;
    impl std::task::Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }
    let (address, _seen) = server(answers);
    let mut options = options();
    (options.max_connections, options.max_connections_per_origin) = (1, 1);
    let client = client(options);
    let held = client.get(&url(address)).stream().await.unwrap();
    let who = Arc::new(Nobody);
    let waker = std::task::Waker::from(Arc::clone(&who));
    for elsewhere in ["localhost", "127.0.0.2", &address.ip().to_string()] {
        let url = format!("http://{elsewhere}:{}/id/1", address.port());
        for _ in 0..10 {
            let mut call = Box::pin(client.get(&url).send());
            assert!(call.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
        }
        assert_eq!(Arc::strong_count(&who), 2, "ours, and that of the waker: nobody else knows of it");
    }
    drop(held);
    assert_eq!(client.get(&url(address)).send().await.unwrap().status(), 200);
}

#[test]
fn what_is_idle_is_closed_in_time_for_blocking_clients_too() {
    let (address, seen) = server(answers);
    let mut options = options();
    options.pool_idle_timeout = Some(Duration::from_millis(100));
    let client = client(options);
    for round in 1..=2 {
        assert_eq!(client.get(&url(address)).send_blocking().unwrap().status(), 200);
        eventually("nobody makes another call, and it is closed", || seen.open() == 0);
        assert_eq!(seen.connections(), round);
    }
}

#[test]
fn a_closed_client_keeps_nothing() {
    let (address, seen) = server(answers);
    let client = client(options());
    assert_eq!(client.get(&url(address)).send_blocking().unwrap().status(), 200);
    assert_eq!(seen.open(), 1);
    client.close();
    eventually("closing the client closes it", || seen.open() == 0);
}

#[test]
fn few_idle_connections_are_kept_over_all_origins() {
    let servers: Vec<_> = (0..300).map(|_| server(answers)).collect();
    let mut options = options();
    options.pool_idle_timeout = None;
    let client = client(options);
    for (address, _) in &servers {
        assert_eq!(client.get(&url(*address)).send_blocking().unwrap().status(), 200);
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX) / 4;
    let most = usize::try_from(limit.min(512)).unwrap();
    let open = || servers.iter().map(|(_, seen)| seen.open()).sum::<usize>();
    eventually("the oldest ones are closed", || open() <= most.max(1));
    assert_eq!(servers[299].1.open(), 1, "the last one is kept");
}
