//! Proxies.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use reknock::client::{Client, Http2, HttpTransport, Proxy, TransportOptions};
use reknock::{ErrorKind, Evidence, StopReason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::peers::*;

fn through(proxy: &str, address: SocketAddr, rules: &str) -> Client<HttpTransport> {
    let mut options = options(Http2::None);
    options.proxy = Proxy::Url(format!("{proxy}://us%40er:hunter2@{address}"));
    options.tls.verify = false;
    Client::on(Ours(options)).policy(policy(rules)).build().unwrap()
}

/// Answers each CONNECT in turn; the last answer stands.
async fn answering(answers: &'static [&'static str]) -> Peer {
    Peer::start(move |mut stream, number| async move {
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("CONNECT target.test:443 HTTP/1.1\r\nHost: target.test:443\r\n"), "{head}");
        assert!(head.contains("\r\nProxy-Authorization: Basic dXNAZXI6aHVudGVyMg==\r\n"), "{head}");
        let answer = answers[number.min(answers.len() - 1)];
        let _ = stream.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).await;
    })
    .await
}

#[tokio::test]
async fn refusals_that_are_final() {
    for (answer, status) in [("407 Proxy Authentication Required", 407), ("403 Forbidden", 403)] {
        let answers: &'static [&'static str] = Box::leak(Box::new([answer]));
        let proxy = answering(answers).await;
        let error = patient(through("http", proxy.address, "{}").get("https://target.test/").send()).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts().len(), proxy.connections()), (ErrorKind::Connect, 1, 1), "{error}");
        let record = &error.attempts()[0];
        assert_eq!((record.status, record.error, record.evidence), (Some(status), Some(ErrorKind::Connect), Evidence::NotSent));
        assert!(error.to_string().contains(&answer[..3]) && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn refusals_that_pass() {
    let proxy =
        answering(&["502 Bad Gateway", "429 Too Many Requests\r\nRetry-After: 0", "503 Service Unavailable\r\nretry-after: 7"]).await;
    let client = through("http", proxy.address, "{max_retries: 3, retry_after: {max: 5s}}");
    let error = patient(client.post("https://target.test/").send()).await.unwrap_err();
    let records = error.attempts();
    assert_eq!(records.iter().map(|record| record.status).collect::<Vec<_>>(), [Some(502), Some(429), Some(503)], "{error}");
    assert_eq!(records[1].hint, Some(Duration::ZERO));
    assert_eq!(records[2].hint, Some(Duration::from_secs(7)));
    assert_eq!(error.stop_reason(), Some(StopReason::RetryAfterTooLong));
}

/// A proxy that opens tunnels to this server, whatever it is asked for.
async fn opening(answer: &'static str, server: SocketAddr) -> Peer {
    Peer::start(move |mut stream, _| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(answer.as_bytes()).await;
        splice(stream, TcpStream::connect(server).await.unwrap()).await;
    })
    .await
}

async fn tls_server() -> Peer {
    let certified = rcgen::generate_simple_self_signed(vec!["target.test".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    Peer::start(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            while read_head(&mut stream).await.starts_with("GET") {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn any_success_opens_a_tunnel() {
    let server = tls_server().await;
    for answer in [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 204 Fine\r\nvia: x\r\n\r\n",
        "HTTP/1.1 200 Fine\nvia: x\n\n",
        "HTTP/1.1 200 Fine\nvia: x\n\r\n",
        "\r\n\nHTTP/1.1 102 Processing\n\r\n\r\nHTTP/1.1 200 Fine\r\nvia: x\r\n\n",
    ] {
        let proxy = opening(answer, server.address).await;
        let client = through("http", proxy.address, "{}");
        for _ in 0..3 {
            assert_eq!(patient(client.get("https://target.test/").send()).await.unwrap().text(), "ok");
        }
        assert_eq!(proxy.connections(), 1, "the tunnel is kept");
    }
}

/// It stays open: no answer may be waited for that does not come.
#[tokio::test]
async fn answers_that_open_no_tunnel() {
    for (answer, times, what) in [
        ("HTTP/1.1 103 Early Hints\r\n\r\n", 101, "it sent more than 100 interim answers (1xx)"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", 1, "refused to open a tunnel: 101"),
        ("220 ready\r\n\r\n", 1, "it does not speak HTTP"),
    ] {
        let proxy = Peer::start(move |mut stream, _| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(answer.repeat(times).as_bytes()).await;
            let _ = stream.read(&mut [0]).await;
        })
        .await;
        let client = through("http", proxy.address, "{max_retries: 0, connect_timeout: none, timeout: none}");
        let error = patient(client.get("https://target.test/").send()).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()[0].evidence), (ErrorKind::Connect, Evidence::NotSent), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[tokio::test]
async fn plain_requests_are_forwarded() {
    let proxy = Peer::start(|mut stream, _| async move {
        loop {
            let head = read_head(&mut stream).await;
            if head.is_empty() {
                return;
            }
            assert!(head.starts_with("GET http://target.test:81/a?b HTTP/1.1\r\n"), "{head}");
            let lower = head.to_ascii_lowercase();
            assert!(lower.contains("\r\nhost: target.test:81\r\n"), "{head}");
            assert!(lower.contains("\r\nproxy-authorization: basic dxnazxi6ahvudgvymg==\r\n"), "{head}");
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let client = through("http", proxy.address, "{}");
    for _ in 0..3 {
        assert_eq!(patient(client.get("http://target.test:81/a?b").send()).await.unwrap().text(), "ok");
    }
    assert_eq!(proxy.connections(), 1);
}

/// SOCKS version 5 with a user: returns what kind of address was asked for, and the address.
async fn socks(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut greeting = [0; 3];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(greeting, [5, 1, 2]);
    stream.write_all(&[5, 2]).await.unwrap();
    let mut user = [0; 15];
    stream.read_exact(&mut user).await.unwrap();
    assert_eq!(&user, b"\x01\x05us@er\x07hunter2");
    stream.write_all(&[1, 0]).await.unwrap();
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.unwrap();
    let length = match head[3] {
        1 => 4,
        3 => usize::from(stream.read_u8().await.unwrap()),
        _ => 16,
    };
    let mut address = vec![0; length + 2];
    stream.read_exact(&mut address).await.unwrap();
    (head[3], address)
}

#[tokio::test]
async fn socks_proxies() {
    let server = Peer::start(|mut stream, _| async move {
        while !read_head(&mut stream).await.is_empty() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let tls = tls_server().await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (plain, secure) = (server.address, tls.address);
    let proxy = Peer::start(move |mut stream, _| {
        let tell = tell.clone();
        async move {
            let (kind, address) = socks(&mut stream).await;
            let to = if address.ends_with(&443_u16.to_be_bytes()) { secure } else { plain };
            tell.send((kind, address)).unwrap();
            stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).await.unwrap();
            splice(stream, TcpStream::connect(to).await.unwrap()).await;
        }
    })
    .await;
    let named = through("socks5h", proxy.address, "{}");
    for url in ["http://target.test/", "https://target.test/"] {
        assert_eq!(patient(named.get(url).send()).await.unwrap().text(), "ok");
        let (kind, address) = told.recv().await.unwrap();
        assert_eq!((kind, &address[..address.len() - 2]), (3, &b"target.test"[..]));
    }
    let resolved = through("socks5", proxy.address, "{}");
    assert_eq!(patient(resolved.get("http://localhost/").send()).await.unwrap().text(), "ok");
    assert_ne!(told.recv().await.unwrap().0, 3, "an address");

    let refusing = Peer::start(|mut stream, _| async move {
        socks(&mut stream).await;
        stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        until_closed(&mut stream).await;
    })
    .await;
    let error = patient(through("socks5h", refusing.address, "{}").post("http://target.test/").send()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (ErrorKind::Connect, 3), "{error}");
    assert!(error.to_string().contains("connection refused") && !error.to_string().contains("hunter2"), "{error}");
}

/// What the environment says, in a process that has such an environment.
#[test]
#[allow(clippy::disallowed_methods)] // the process is told by its environment what it is to find in it
fn the_environment_is_read_and_what_is_useless_is_named() {
    const CHILD: &str = "REKNOCK_TEST_PROXIES";
    if let Ok(wanted) = std::env::var(CHILD) {
        let client = HttpTransport::new(&TransportOptions::default());
        match wanted.as_str() {
            "fine" => assert!(client.is_ok()),
            name => {
                let Err(error) = client else { panic!("it cannot be used") };
                assert_eq!(error.kind(), ErrorKind::Config);
                assert!(error.to_string().starts_with(&format!("{name}: must be")), "{error}");
            }
        }
        return;
    }
    for (variables, wanted) in [
        (&[("HTTP_PROXY", "ftp://proxy")][..], "HTTP_PROXY"),
        (&[("https_proxy", "http://")], "https_proxy"),
        (&[("ALL_PROXY", "junk://proxy")], "ALL_PROXY"),
        (&[("HTTP_PROXY", "http://proxy:port")], "HTTP_PROXY"),
        (&[("HTTP_PROXY", "proxy:3128"), ("https_proxy", "socks5://proxy")], "fine"),
        (&[("ALL_PROXY", "junk://proxy"), ("HTTP_PROXY", "http://a"), ("HTTPS_PROXY", "http://b")], "fine"),
    ] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["proxies::the_environment_is_read_and_what_is_useless_is_named", "--exact"]).env_clear().env(CHILD, wanted);
        child.envs(variables.iter().copied());
        assert!(child.output().unwrap().status.success(), "{variables:?}");
    }
}
