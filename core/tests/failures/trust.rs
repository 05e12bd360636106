//! Whom TLS trusts, and how its alerts are sorted.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use reknock::ErrorKind::{Connect, Reset, Tls};
use reknock::Evidence::{NotSent, Unknown};
use reknock::client::{ClientCert, TransportOptions};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;
use crate::tls::{Authority, V12, V13, get, serve};

/// As `openssl req -x509` makes them: the server's own certificate is that of an authority.
fn self_signed(name: &str, change: impl FnOnce(&mut CertificateParams)) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    (params.self_signed(&key).unwrap(), key)
}

fn pinning(certificate: &rcgen::Certificate) -> TransportOptions {
    let mut options = Authority::new().trusted();
    options.tls.ca_bundle = Some(Bytes::from(certificate.pem()));
    options
}

#[tokio::test]
async fn a_certificate_that_is_pinned_is_trusted_for_its_names() {
    let authority = Authority::new();
    for system_roots in [false, true] {
        for version in [V12, V13] {
            let (certificate, key) = self_signed("named.test", |_| ());
            let mut options = pinning(&certificate);
            options.tls.system_roots = system_roots;
            let address = serve(authority.server_with((certificate, key), version, false)).await;
            assert_eq!(get(&options, address).await.unwrap(), 204);
        }
    }
}

#[tokio::test]
async fn a_pinned_certificate_is_no_other() {
    let authority = Authority::new();
    let (named, key) = self_signed("other.test", |_| ());
    let options = pinning(&named);
    let address = serve(authority.server_with((named, key), V13, false)).await;
    let failure = get(&options, address).await.unwrap_err();
    assert!(
        failure.message.contains("not valid for \"named.test\", only for") && failure.message.contains("other.test"),
        "{}",
        failure.message
    );
    assert_eq!(verdict::<()>(Err(failure)), (Tls, NotSent));

    let (old, key) = self_signed("named.test", |params| {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let options = pinning(&old);
    let address = serve(authority.server_with((old, key), V13, false)).await;
    let failure = get(&options, address).await.unwrap_err();
    assert!(failure.message.contains("it has expired"), "{}", failure.message);
    assert_eq!(verdict::<()>(Err(failure)), (Tls, NotSent));

    let (mine, _) = self_signed("named.test", |_| ());
    let address = serve(authority.server_with(self_signed("named.test", |_| ()), V13, false)).await;
    let failure = get(&pinning(&mine), address).await.unwrap_err();
    assert!(failure.message.contains("authority") && !failure.message.contains("CaUsed"), "{}", failure.message);
    assert_eq!(verdict::<()>(Err(failure)), (Tls, NotSent));
}

/// A new client reads the user's file anew when it has changed.
#[test]
fn roots_whose_file_changes_are_read_anew() {
    const CHILD: &str = "REKNOCK_TEST_ROOTS";
    if std::env::var_os(CHILD).is_none() {
        let file = std::env::temp_dir().join(format!("reknock-roots-{}.pem", std::process::id()));
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["trust::roots_whose_file_changes_are_read_anew", "--exact"])
            .env("SSL_CERT_FILE", &file)
            .env_remove("SSL_CERT_DIR")
            .env(CHILD, "1")
            .status();
        std::fs::remove_file(&file).unwrap();
        return assert!(status.unwrap().success());
    }
    let file = std::env::var_os("SSL_CERT_FILE").unwrap();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let (first, second) = (Authority::new(), Authority::new());
        let address = serve(second.server("named.test", V13, false)).await;
        let mut options = second.trusted();
        options.tls.ca_bundle = None;
        options.tls.system_roots = true;
        std::fs::File::create(&file).unwrap().write_all(first.pem.as_bytes()).unwrap();
        assert_eq!(verdict(get(&options, address).await), (Tls, NotSent));
        std::fs::File::create(&file).unwrap().write_all(format!("{}{}", first.pem, second.pem).as_bytes()).unwrap();
        assert_eq!(get(&options, address).await.unwrap(), 204);
        // And the server's own certificate there, as OpenSSL takes it.
        let (certificate, key) = self_signed("named.test", |_| ());
        std::fs::write(&file, certificate.pem()).unwrap();
        let address = serve(second.server_with((certificate, key), V13, false)).await;
        assert_eq!(get(&options, address).await.unwrap(), 204);
    });
}

/// What has no end, or waits for somebody who writes, is no file of roots: there are none then.
#[test]
fn roots_that_are_no_file_are_none() {
    const CHILD: &str = "REKNOCK_TEST_NO_ROOTS";
    if std::env::var_os(CHILD).is_none() {
        let pipe = std::env::temp_dir().join(format!("reknock-roots-{}.pipe", std::process::id()));
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        let ran = ["/dev/zero".as_ref(), pipe.as_path()].map(|file| {
            let mut child = std::process::Command::new(std::env::current_exe().unwrap());
            child.args(["trust::roots_that_are_no_file_are_none", "--exact"]).env("SSL_CERT_FILE", file).env_remove("SSL_CERT_DIR");
            child.env(CHILD, "1").status().unwrap().success()
        });
        std::fs::remove_file(&pipe).unwrap();
        return assert_eq!(ran, [true, true]);
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let authority = Authority::new();
        let address = serve(authority.server("named.test", V13, false)).await;
        let mut options = authority.trusted();
        options.tls.system_roots = true;
        assert_eq!(get(&options, address).await.unwrap(), 204, "the bundle is trusted");
        options.tls.ca_bundle = None;
        let failure = get(&options, address).await.unwrap_err();
        assert!(failure.message.contains("no root certificates"), "{}", failure.message);
    });
}

const V1_CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBODCB3wIUR7AzC3BAhAtmpHw7LQxyQycnTnUwCgYIKoZIzj0EAwIwHjEcMBoG\n\
A1UEAwwTY2xpZW50IG9mIHZlcnNpb24gMTAgFw0yNjExMzAxMTI0MzVaGA8yMTI2\n\
MTEwNjExMjQzNVowHjEcMBoGA1UEAwwTY2xpZW50IG9mIHZlcnNpb24gMTBZMBMG\n\
ByqGSM49AgEGCCqGSM49AwEHA0IABMlQUYK/2I6LZvp2UadabLUX1HJ4/q8z81Jz\n\
5FlrUtdnV/q+i2NNk+ufyKYmS6F8tPFdVTfqLNB14vSROleswJMwCgYIKoZIzj0E\n\
AwIDSAAwRQIhAMwkeVu3bJrGyBy+R41cUGnOfSz8jVE2OxAWETWO/KgvAiAkkgAL\n\
FBN+qVKT3QOY8lQp3LI6daeR8BowCKQS9fQpxg==\n\
-----END CERTIFICATE-----\n";
const V1_KEY: &str = "\
-----BEGIN EC PRIVATE KEY-----\n\
MHcCAQEEIJEn1uEsSUMpJi4TlzyRZpBxtKZnmX057G5XI26SVWqKoAoGCCqGSM49\n\
AwEHoUQDQgAEyVBRgr/Yjotm+nZRp1pstRfUcnj+rzPzUnPkWWtS12dX+r6LY02T\n\
65/IpiZLoXy08V1VN+os0HXi9JE6V6zAkw==\n\
-----END EC PRIVATE KEY-----\n";

/// Takes every client certificate, and keeps how long it is.
#[derive(Debug)]
struct AnyClient(Arc<rustls::crypto::CryptoProvider>, tokio::sync::mpsc::UnboundedSender<usize>);

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.1.send(certificate.len()).unwrap();
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test]
async fn client_certificates_of_version_1_are_shown() {
    let authority = Authority::new();
    let (told, mut shown) = tokio::sync::mpsc::unbounded_channel();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let (cert, key) = authority.certify("named.test", |_| ());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(AnyClient(provider, told)))
        .with_single_cert(vec![cert.der().clone()], rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let address = serve(config).await;
    let mut options = authority.trusted();
    options.tls.client_cert = Some(ClientCert { cert: V1_CERTIFICATE.into(), key: Some(V1_KEY.into()) });
    assert_eq!(get(&options, address).await.unwrap(), 204);
    assert!(shown.recv().await.unwrap() > 200);
}

/// Between a client and a server of TLS 1.2: changes the last byte of the client's first record of this kind that comes after its change to
/// encryption. The server then says bad_record_mac.
async fn corrupting(kind: u8, server: SocketAddr) -> SocketAddr {
    peer(move |client| async move {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = TcpStream::connect(server).await.unwrap().into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        let (mut encrypted, mut done) = (false, false);
        loop {
            let mut head = [0; 5];
            if from_client.read_exact(&mut head).await.is_err() {
                return;
            }
            let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
            from_client.read_exact(&mut record).await.unwrap();
            if encrypted && head[0] == kind && !done {
                done = true;
                *record.last_mut().unwrap() ^= 1;
            }
            encrypted |= head[0] == 20;
            let _ = to_server.write_all(&[&head[..], &record].concat()).await;
        }
    })
    .await
}

#[tokio::test]
async fn bytes_that_arrive_otherwise_than_they_were_sent() {
    const HANDSHAKE: u8 = 22;
    const DATA: u8 = 23;
    let authority = Authority::new();
    let server = serve(authority.server("named.test", V12, false)).await;
    let address = corrupting(HANDSHAKE, server).await;
    assert_eq!(verdict(get(&authority.trusted(), address).await), (Connect, NotSent));
    let address = corrupting(DATA, server).await;
    let failure = get(&authority.trusted(), address).await.unwrap_err();
    assert!(failure.message.contains("bad_record_mac"), "{}", failure.message);
    assert_eq!(verdict::<()>(Err(failure)), (Reset, Unknown));
}
