//! Evidence under races: nothing of which we say that it was not looked at is ever seen.

use std::collections::HashMap;
use std::sync::Mutex;

use super::*;
use crate::record::Evidence;

type Seen = Arc<Mutex<HashMap<String, u32>>>;

/// Says goodbye gracefully after thirty streams and serves on; refuses one of fifty.
async fn leaving(stream: DuplexStream, seen: Seen) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(100);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    let mut count = 0;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        count += 1;
        if count % 50 == 7 {
            respond.send_reset(h2::Reason::REFUSED_STREAM);
        } else {
            *seen.lock().unwrap().entry(request.uri().path().to_owned()).or_default() += 1;
            let mut out = respond.send_response(Response::new(()), false).unwrap();
            let _ = out.send_data(Bytes::from_static(b"ok"), true);
        }
        if count == 30 {
            connection.graceful_shutdown();
        }
    }
}

/// A tenth of the 240,000 calls of the measurements in docs/real-servers.md, unless `REKNOCK_RACES` says how many times as many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::disallowed_methods)] // the size of a run comes from the environment
async fn nothing_that_is_called_unseen_was_seen() {
    let calls = 24_000 * std::env::var("REKNOCK_RACES").map_or(1, |text| text.parse::<usize>().unwrap());
    let seen = Seen::default();
    let log = seen.clone();
    let network = Arc::new(Network::new(move |stream, _| leaving(stream, log.clone())));
    let next = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..16)
        .map(|_| {
            let (network, next) = (network.clone(), next.clone());
            tokio::spawn(async move {
                let (mut ok, mut unseen, mut unknown) = (0, Vec::new(), Vec::new());
                loop {
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    if id >= calls {
                        return (ok, unseen, unknown);
                    }
                    let path = format!("/{id}");
                    match network.get(&path).await {
                        Ok(_) => ok += 1,
                        Err(failure) if failure.evidence == Evidence::Unknown => unknown.push(failure.message),
                        Err(_) => unseen.push(path),
                    }
                }
            })
        })
        .collect();
    let (mut ok, mut unseen, mut unknown) = (0, Vec::new(), Vec::new());
    for worker in workers {
        let (its, more, doubtful) = worker.await.unwrap();
        ok += its;
        unseen.extend(more);
        unknown.extend(doubtful);
    }
    let seen = seen.lock().unwrap();
    let wrong = unseen.iter().filter(|path| seen.contains_key(*path)).count();
    println!("ok {ok}, unseen {} (wrong {wrong}), unknown {}, connections {}", unseen.len(), unknown.len(), network.connections());
    assert_eq!(wrong, 0);
    assert!(seen.values().all(|times| *times == 1), "seen twice");
    assert!(unseen.len() > 100 && ok > calls / 2);
}
