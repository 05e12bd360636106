//! Which connection a request goes down, and when there is another one.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::Poll;

use tokio::time::sleep;

use super::*;
use crate::error::ErrorKind;
use crate::record::Evidence;

/// Lets a call do what it can now.
async fn once<F: Future>(call: &mut Pin<Box<F>>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await
}

#[tokio::test]
async fn a_hundred_calls_at_once_meet_no_refusal_whatever_the_peer_takes() {
    for most in [1, 8, 32] {
        let network = Network::new(move |stream, _| {
            let mut builder = h2::server::Builder::new();
            builder.max_concurrent_streams(most);
            answer(stream, builder, Bytes::from_static(b"ok"), Duration::from_millis(1))
        });
        let calls = (0..100).map(|n| {
            let network = &network;
            async move { network.get(&format!("/{n}")).await }
        });
        for result in futures_util::future::join_all(calls).await {
            assert_eq!(result.unwrap(), b"ok", "at {most}");
        }
    }
}

#[tokio::test]
async fn who_leaves_the_gate_sent_nothing() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = seen.clone();
    let network = Network::new(move |stream, _| {
        let log = log.clone();
        async move {
            let mut builder = h2::server::Builder::new();
            builder.max_concurrent_streams(2);
            let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                log.lock().unwrap().push(request.uri().path().to_owned());
                let _ = respond.send_response(Response::new(()), true);
            }
        }
    });
    let held = [network.place(false).await, network.place(false).await];
    let paths: Vec<_> = (0..2000).map(|n| format!("/{n}")).collect();
    let mut left = Vec::new();
    for (n, path) in paths.iter().enumerate() {
        let progress = Arc::new(Progress::default());
        let mut call = Box::pin(network.send(Method::GET, path, NO_BODY, progress.clone()));
        assert!(once(&mut call).await.is_pending() && !progress.is_touched());
        left.push(call);
        if n % 3 > 0 {
            drop(left.remove(n % left.len()));
        }
    }
    let cancelled = left.split_off(300);
    drop(cancelled);
    drop(held);
    let answered = futures_util::future::join_all(left).await.len();
    sleep(Duration::from_millis(50)).await;
    assert_eq!(seen.lock().unwrap().len(), answered);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ended_a_wait_gets_nothing_new_until_it_speaks() {
    let (speak, speaks) = tokio::sync::watch::channel(false);
    let network = Network::new(move |stream, number| {
        let mut speaks = speaks.clone();
        async move {
            let mut frames = Frames::accept(stream).await;
            if number == 0 {
                let first = frames.request().await.unwrap();
                frames.head(first, 8, END_STREAM).await;
                frames.request().await.unwrap();
                speaks.wait_for(|speaks| *speaks).await.unwrap();
                frames.send(PING, 0, 0, &[0; 8]).await;
            }
            while let Some(stream) = frames.request().await {
                frames.head(stream, 8, END_STREAM).await;
            }
        }
    });
    network.get("/1").await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(1), network.get("/2")).await.is_err(), "it is silent");
    network.get("/3").await.unwrap();
    assert_eq!(network.connections(), 2, "the silent one is left alone");
    speak.send(true).unwrap();
    sleep(Duration::from_millis(10)).await;
    drop(network.place(false).await);
    let mut places = Vec::new();
    for _ in 0..3 {
        places.push(network.place(false).await);
    }
    assert_eq!(network.connections(), 2, "both are used again");
}

#[tokio::test(start_paused = true)]
async fn a_further_connection_is_opened_when_all_places_were_taken_for_long() {
    let network = Network::new(|stream, _| {
        let mut builder = h2::server::Builder::new();
        builder.max_concurrent_streams(1);
        answer(stream, builder, Bytes::from_static(b"ok"), Duration::from_millis(950))
    });
    let began = tokio::time::Instant::now();
    let answers = tokio::join!(network.get("/1"), network.get("/2"), network.get("/3"));
    assert!(answers.0.is_ok() && answers.1.is_ok() && answers.2.is_ok());
    assert_eq!(network.connections(), 3);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1150) && took < Duration::from_millis(1300), "{took:?}");
}

/// Until it has a place, or connects by itself.
#[tokio::test(start_paused = true)]
async fn the_wait_for_a_place_is_known() {
    let network = Network::new(|stream, _| {
        let mut builder = h2::server::Builder::new();
        builder.max_concurrent_streams(1);
        answer(stream, builder, Bytes::from_static(b"ok"), Duration::ZERO)
    });
    network.get("/").await.unwrap();
    for (held, waited) in [(0, None), (50, Some(50)), (500, Some(100))] {
        let place = network.place(false).await;
        let progress = Progress::default();
        let let_go = async {
            sleep(Duration::from_millis(held)).await;
            drop(place);
        };
        let slow = async {
            sleep(Duration::from_secs(1)).await;
            network.connect().await
        };
        let call = async {
            if held == 0 {
                sleep(Duration::from_millis(1)).await;
            }
            network.gate.place(None, false, &progress, slow).await
        };
        assert!(tokio::join!(let_go, call).1.is_ok());
        assert_eq!(progress.connection().waited.map(|waited| waited.as_millis()), waited, "{held}");
    }
    assert_eq!(network.connections(), 1, "what it began to open when a place came free is closed");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_pings_is_dead() {
    let network = Network::with_pings(|stream, _| async move {
        let mut frames = Frames::accept(stream).await;
        frames.drain().await;
    });
    let began = tokio::time::Instant::now();
    let failure = network.get("/").await.unwrap_err();
    assert_eq!((failure.kind, failure.evidence), (ErrorKind::Reset, Evidence::Unknown));
    assert!(failure.message.contains("does not answer to pings"), "{}", failure.message);
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_that_answers_pings_is_waited_for() {
    let network =
        Network::with_pings(|stream, _| answer(stream, h2::server::Builder::new(), Bytes::from_static(b"ok"), Duration::from_secs(60)));
    assert_eq!(network.get("/").await.unwrap(), b"ok");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_not_asked_and_closes_when_it_is_swept() {
    let ended = Arc::new(Mutex::new(None));
    let told = ended.clone();
    let network = Network::with_pings(move |stream, _| {
        let told = told.clone();
        async move {
            let mut frames = Frames::accept(stream).await;
            let stream = frames.request().await.unwrap();
            frames.head(stream, 8, END_STREAM).await;
            let mut kinds = Vec::new();
            while let Some((kind, ..)) = frames.next().await {
                kinds.push(kind);
            }
            *told.lock().unwrap() = Some(kinds);
        }
    });
    network.get("/").await.unwrap();
    sleep(Duration::from_secs(100)).await;
    assert_eq!(*ended.lock().unwrap(), None);
    let now = crate::client::system::clock::Clock::now(&crate::client::system::clock::TokioClock);
    assert_eq!(network.gate.sweep(now), None);
    sleep(Duration::from_millis(10)).await;
    let kinds = ended.lock().unwrap().take().expect("it was closed");
    assert!(kinds.contains(&GOAWAY) && !kinds.contains(&PING), "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_one_connection_and_fail_with_it() {
    let gate = Gate::new(true);
    let connects = AtomicUsize::new(0);
    let connect = || async {
        connects.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(300)).await;
        Err::<Opened<()>, _>(Failure::new(ErrorKind::Connect, Evidence::NotSent, "nobody there"))
    };
    let progress = Progress::default();
    let calls = (0..10).map(|_| gate.place(Some(Duration::from_secs(5)), false, &progress, connect()));
    for result in futures_util::future::join_all(calls).await {
        assert_eq!(result.err().unwrap().message, "nobody there");
    }
    assert_eq!(connects.load(Ordering::SeqCst), 1);
}

/// A limit of connecting begins when that does: before, there was no leave to open one more.
#[tokio::test(start_paused = true)]
async fn who_waits_for_anothers_connect_has_a_limit_of_his_own() {
    let gate = Gate::new(true);
    let connect = async {
        sleep(Duration::from_secs(1)).await;
        gate.dials();
        std::future::pending::<Result<Opened<()>, _>>().await
    };
    let progress = Progress::default();
    let mut first = Box::pin(gate.place(None, false, &progress, connect));
    assert!(once(&mut first).await.is_pending());
    let began = tokio::time::Instant::now();
    let never = std::future::pending::<Result<Opened<()>, Failure>>();
    let second = gate.place(Some(Duration::from_millis(100)), false, &progress, never);
    let ended = tokio::select! {
        _ = &mut first => unreachable!(),
        ended = second => ended,
    };
    assert_eq!(ended.err().unwrap().kind, ErrorKind::ConnectTimeout);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1100) && took < Duration::from_millis(1150), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn another_call_connects_if_the_first_gives_up() {
    let network = Network::new(|stream, _| answer(stream, h2::server::Builder::new(), Bytes::from_static(b"ok"), Duration::ZERO));
    let slow = async {
        sleep(Duration::from_secs(60)).await;
        network.connect().await
    };
    let progress = Progress::default();
    let mut first = Box::pin(network.gate.place(None, false, &progress, slow));
    assert!(once(&mut first).await.is_pending());
    let mut second = Box::pin(network.get("/"));
    assert!(once(&mut second).await.is_pending());
    drop(first);
    assert_eq!(second.await.unwrap(), b"ok");
}
