//! TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::Method;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use reknock::ErrorKind::{Connect, Protocol, Reset, Tls};
use reknock::Evidence::{NotSent, Unknown};
use reknock::client::transport::Failure;
use reknock::client::{ClientCert, Http2, TransportOptions};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::Tested;
use crate::support::*;

static AUTHORITIES: AtomicU32 = AtomicU32::new(0);

/// A certificate authority of our own.
pub(crate) struct Authority {
    pub(crate) pem: String,
    der: rustls::pki_types::CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Two authorities of one name would be taken for each other.
        let name = format!("authority {}", AUTHORITIES.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let cert = params.self_signed(&key).unwrap();
        Authority { pem: cert.pem(), der: cert.der().clone(), issuer: Issuer::new(params, key) }
    }

    pub(crate) fn certify(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A server's configuration with a certificate for `name`; it asks for client certificates if told so.
    pub(crate) fn server(&self, name: &str, version: &'static SupportedProtocolVersion, asks: bool) -> ServerConfig {
        self.server_with(self.certify(name, |_| ()), version, asks)
    }

    pub(crate) fn server_with(
        &self,
        (cert, key): (rcgen::Certificate, KeyPair),
        version: &'static SupportedProtocolVersion,
        asks: bool,
    ) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[version]).unwrap();
        let builder = if asks {
            let mut roots = RootCertStore::empty();
            roots.add(self.der.clone()).unwrap();
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        builder.with_single_cert(vec![cert.der().clone()], key).unwrap()
    }

    /// Options that trust this authority alone.
    pub(crate) fn trusted(&self) -> TransportOptions {
        let mut options = options();
        options.tls.system_roots = false;
        options.tls.ca_bundle = Some(Bytes::from(self.pem.clone()));
        options.resolve = vec![("named.test".to_owned(), vec!["127.0.0.1".parse().unwrap()])];
        options
    }
}

/// A peer that answers 204 over TLS.
pub(crate) async fn serve(config: ServerConfig) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    peer(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

pub(crate) async fn get(options: &TransportOptions, address: SocketAddr) -> Result<u16, Failure> {
    let url = format!("https://named.test:{}/?secret=hunter2", address.port());
    send(&Tested::new(options).unwrap(), outgoing(Method::GET, &url, "")).await.map(|received| received.status.as_u16())
}

pub(crate) const V13: &SupportedProtocolVersion = &rustls::version::TLS13;
pub(crate) const V12: &SupportedProtocolVersion = &rustls::version::TLS12;

pub(crate) async fn untrusted() -> Failure {
    let address = serve(Authority::new().server("named.test", V13, false)).await;
    get(&Authority::new().trusted(), address).await.unwrap_err()
}

#[tokio::test]
async fn trusted_certificates() {
    let authority = Authority::new();
    for version in [V12, V13] {
        let address = serve(authority.server("named.test", version, false)).await;
        assert_eq!(get(&authority.trusted(), address).await.unwrap(), 204);
        let mut careless = Authority::new().trusted();
        careless.tls.verify = false;
        assert_eq!(get(&careless, address).await.unwrap(), 204);
    }
    // Besides the system's roots.
    let address = serve(authority.server("named.test", V13, false)).await;
    let mut merged = authority.trusted();
    merged.tls.system_roots = true;
    assert_eq!(get(&merged, address).await.unwrap(), 204);
}

#[tokio::test]
async fn certificates_that_are_not_trusted() {
    let failure = untrusted().await;
    assert!(failure.message.starts_with("certificate not trusted: its issuer is unknown"), "{}", failure.message);
    assert_eq!(verdict::<()>(Err(failure)), (Tls, NotSent));

    let authority = Authority::new();
    let other = serve(authority.server("other.test", V13, false)).await;
    assert_eq!(verdict(get(&authority.trusted(), other).await), (Tls, NotSent));

    let old = authority.certify("named.test", |params| {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let expired = serve(authority.server_with(old, V13, false)).await;
    let failure = get(&authority.trusted(), expired).await.unwrap_err();
    assert!(failure.message.starts_with("certificate not trusted: ") && failure.message.contains("expired"), "{}", failure.message);
    assert_eq!(verdict::<()>(Err(failure)), (Tls, NotSent));
}

/// As on a system without root certificates: plain http works, https says what to do.
#[tokio::test]
async fn nobody_to_trust() {
    let mut options = options();
    options.tls.system_roots = false;
    options.resolve = Authority::new().trusted().resolve;
    let address = serve(Authority::new().server("named.test", V13, false)).await;
    let failure = get(&options, address).await.unwrap_err();
    assert!(failure.message.contains("no root certificates") && failure.message.contains("CA bundle"), "{}", failure.message);
    assert_eq!(verdict::<()>(Err(failure)), (Tls, NotSent));

    let plain = format!("http://{}/", answers("HTTP/1.1 204 No Content\r\n\r\n").await);
    assert!(send(&Tested::new(&options).unwrap(), outgoing(Method::GET, &plain, "")).await.is_ok());
}

#[tokio::test]
async fn client_certificates() {
    let authority = Authority::new();
    let (cert, key) = authority.certify("client.test", |_| ());
    let mut known = authority.trusted();
    known.tls.client_cert = Some(ClientCert { cert: cert.pem().into(), key: Some(key.serialize_pem().into()) });
    for version in [V12, V13] {
        let address = serve(authority.server("named.test", version, true)).await;
        assert_eq!(get(&known, address).await.unwrap(), 204);
    }
    let strict = serve(authority.server("named.test", V12, true)).await;
    assert_eq!(verdict(get(&authority.trusted(), strict).await), (Tls, NotSent));
    // In TLS 1.3 the alert comes after the handshake, and its way past the request is a race.
    let strict = serve(authority.server("named.test", V13, true)).await;
    for _ in 0..10 {
        one_of(verdict(get(&authority.trusted(), strict).await), &[(Tls, NotSent), (Tls, Unknown), (Reset, NotSent), (Reset, Unknown)]);
    }
}

#[tokio::test]
async fn handshakes_that_break_off() {
    let options = Authority::new().trusted();
    let eof = peer(|mut stream| async move { drop(stream.read_u8().await) }).await;
    let rst = peer(|mut stream| async move {
        let _ = stream.read_u8().await;
        reset(stream);
    })
    .await;
    for address in [eof, rst] {
        assert_eq!(verdict(get(&options, address).await), (Connect, NotSent));
    }
    let plain = peer(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        until_closed(&mut stream).await;
    })
    .await;
    let failure = get(&options, plain).await.unwrap_err();
    assert!(failure.message.starts_with("the peer does not speak TLS on this port"), "{}", failure.message);
    assert_eq!(verdict::<()>(Err(failure)), (Tls, NotSent));
}

#[tokio::test]
async fn broken_off_after_the_handshake() {
    let authority = Authority::new();
    let acceptor = TlsAcceptor::from(Arc::new(authority.server("named.test", V13, false)));
    // EOF without close_notify, and bytes that are no TLS record.
    for (garbage, expected) in [(false, (Reset, Unknown)), (true, (Protocol, Unknown))] {
        let acceptor = acceptor.clone();
        let address = peer(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read_u8().await;
                let (mut tcp, _) = stream.into_inner();
                if garbage {
                    let _ = tcp.write_all(b"garbage that is no record").await;
                    until_closed(&mut tcp).await;
                }
            }
        })
        .await;
        assert_eq!(verdict(get(&authority.trusted(), address).await), expected);
    }
}

#[tokio::test]
async fn http_versions_are_offered() {
    let authority = Authority::new();
    let (heard, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let mut config = authority.server("named.test", V13, false);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let address = peer(move |stream| {
        let (acceptor, heard) = (acceptor.clone(), heard.clone());
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            heard.send(stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)).unwrap();
        }
    })
    .await;
    let mut options = authority.trusted();
    for (http2, expected) in [(Http2::Auto, &b"h2"[..]), (Http2::Only, b"h2"), (Http2::None, b"http/1.1")] {
        options.http2 = http2;
        assert!(get(&options, address).await.is_err());
        assert_eq!(hear.recv().await.unwrap().as_deref(), Some(expected), "{http2:?}");
    }
}
