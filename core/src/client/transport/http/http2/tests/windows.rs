//! Uploads share what the peer lets out, and none can keep it from all others.

use tokio::time::{Instant, sleep};

use super::*;

/// Reads bodies and answers with their size; that of `/stuck` is never read.
async fn read(stream: DuplexStream, pause: Duration) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let stuck = request.uri().path() == "/stuck";
            let mut body = request.into_body();
            if stuck {
                return std::future::pending::<()>().await;
            }
            let mut size = 0;
            while let Some(Ok(piece)) = body.data().await {
                size += piece.len();
                sleep(pause).await;
                let _ = body.flow_control().release_capacity(piece.len());
            }
            if let Ok(mut out) = respond.send_response(Response::new(()), false) {
                let _ = out.send_data(size.to_string().into(), true);
            }
        });
    }
}

async fn size(network: &Network<impl Fn(DuplexStream, usize) -> Served + Send + Sync>, path: &str, size: usize) -> usize {
    let body = whole(network.put(path, size).await.unwrap()).await.unwrap();
    String::from_utf8(body).unwrap().parse().unwrap()
}

type Served = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn network(pause: Duration) -> Network<impl Fn(DuplexStream, usize) -> Served + Send + Sync> {
    Network::new(move |stream, _| -> Served { Box::pin(read(stream, pause)) })
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_let_out_no_further_keeps_no_other_from_going_out() {
    let network = Arc::new(network(Duration::ZERO));
    let other = Arc::clone(&network);
    let stuck = tokio::spawn(async move { other.put("/stuck", 1_000_000).await.map(drop) });
    sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    // What has no body needs nothing of it.
    assert_eq!(network.get("/").await.unwrap(), b"0");
    assert_eq!((network.connections(), began.elapsed()), (1, Duration::ZERO));
    assert_eq!(size(&network, "/1", 300_000).await, 300_000);
    assert_eq!(network.connections(), 2, "where all was taken for long, there is a further connection");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(100) && took < Duration::from_millis(200), "{took:?}");
    for n in 0..20 {
        assert_eq!(size(&network, &format!("/{n}"), 300_000).await, 300_000);
    }
    assert_eq!((network.connections(), stuck.is_finished()), (2, false));
}

/// Those that wait do so in vain for the window, and hold up none that wants only a place.
#[tokio::test(start_paused = true)]
async fn uploads_that_wait_hold_up_no_other() {
    let network = Arc::new(network(Duration::ZERO));
    let other = Arc::clone(&network);
    let stuck = tokio::spawn(async move { other.put("/stuck", 1_000_000).await.map(drop) });
    sleep(Duration::from_secs(1)).await;
    let uploads = futures_util::future::join_all((0..50).map(|n| {
        let network = Arc::clone(&network);
        async move { size(&network, &format!("/{n}"), 100_000).await }
    }));
    let gets = futures_util::future::join_all((0..50).map(|n| {
        let network = Arc::clone(&network);
        async move { network.get(&format!("/{n}")).await.unwrap() }
    }));
    let (uploads, gets) = tokio::join!(uploads, gets);
    assert!(uploads.iter().all(|size| *size == 100_000) && gets.iter().all(|body| body == b"0"));
    assert!(network.connections() <= 3 && !stuck.is_finished(), "{} connections", network.connections());
}

/// Slow, but on their way: their window is taken nearly always, and that is no reason for another connection.
#[tokio::test(start_paused = true)]
async fn uploads_that_get_on_share_a_connection() {
    let network = Arc::new(network(Duration::from_millis(20)));
    assert_eq!(network.get("/").await.unwrap(), b"0");
    let began = Instant::now();
    let uploads = futures_util::future::join_all((0..20).map(|n| {
        let network = Arc::clone(&network);
        async move {
            sleep(Duration::from_millis(15 * n)).await;
            size(&network, &format!("/{n}"), 300_000).await
        }
    }));
    assert!(uploads.await.iter().all(|size| *size == 300_000));
    assert!(began.elapsed() > Duration::from_secs(1), "they had to wait for the peer");
    assert_eq!(network.connections(), 1);
}
