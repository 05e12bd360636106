//! Certificates and faults in the handshake.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use reknock_test_server::Script;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, AlertDescription, CertificateError, ClientConfig, RootCertStore};

use crate::client::{GET, Test, connect, soon, start};

type Handshake = Result<TlsStream<tokio::net::TcpStream>, io::Error>;

/// A handshake that trusts `ca` alone, with the script's client certificate if asked.
async fn handshake(script: &Script, ca: Option<&str>, show: bool) -> Result<Handshake, Box<dyn std::error::Error>> {
    let mut roots = RootCertStore::empty();
    if let Some(ca) = ca {
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match script.client_cert().filter(|_| show) {
        Some((certificate, key)) => builder.with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes())?],
            PrivateKeyDer::from_pem_slice(key.as_bytes())?,
        )?,
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from("127.0.0.1")?;
    let tcp = connect(script).await?;
    Ok(soon(TlsConnector::from(Arc::new(config)).connect(name, tcp)).await?)
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

async fn get(tls: &mut TlsStream<tokio::net::TcpStream>) -> io::Result<(Vec<u8>, io::Result<usize>)> {
    tls.write_all(GET).await?;
    let mut bytes = Vec::new();
    let end = soon(tls.read_to_end(&mut bytes)).await?;
    Ok((bytes, end))
}

#[tokio::test]
async fn a_trusted_certificate_is_trusted() -> Test {
    let document = json!({"tls": "trusted", "script": [
        {"do": "status", "status": 200, "close": true},
        {"do": "close"},
        {"do": "close", "close_notify": false},
        {"do": "reset"},
    ]});
    let (_server, script) = start(document).await?;
    assert!(script.url().starts_with("https://127.0.0.1:"));
    let (bytes, end) = get(&mut handshake(&script, script.ca(), false).await??).await?;
    assert!(bytes.starts_with(b"HTTP/1.1 200 OK") && end.is_ok());
    let (_, end) = get(&mut handshake(&script, script.ca(), false).await??).await?;
    assert_eq!(end?, 0);
    let (_, end) = get(&mut handshake(&script, script.ca(), false).await??).await?;
    assert_eq!(end.err().map(|error| error.kind()), Some(ErrorKind::UnexpectedEof));
    let (_, end) = get(&mut handshake(&script, script.ca(), false).await??).await?;
    assert_eq!(end.err().map(|error| error.kind()), Some(ErrorKind::ConnectionReset));
    Ok(())
}

#[tokio::test]
async fn bad_certificates_are_refused() -> Test {
    let (server, script) = start(json!({"tls": "trusted", "script": [{"do": "echo"}]})).await?;
    let ca = script.ca().map(str::to_owned);
    for kind in ["wrong-host", "expired", "self-signed"] {
        let script = server.script(json!({"tls": kind, "script": [{"do": "echo"}]})).await?;
        let error = handshake(&script, ca.as_deref(), false).await?.err().ok_or("accepted")?;
        let Some(rustls::Error::InvalidCertificate(error)) = rustls_error(&error) else {
            return Err(format!("{kind}: {error}").into());
        };
        match kind {
            "wrong-host" => assert!(matches!(error, CertificateError::NotValidForNameContext { .. })),
            "expired" => assert!(matches!(error, CertificateError::ExpiredContext { .. })),
            _ => assert!(matches!(error, CertificateError::UnknownIssuer), "{error}"),
        }
        assert_eq!((script.connections(), script.log().len()), (1, 0));
        assert_eq!(script.ca().is_some(), kind != "self-signed");
    }
    Ok(())
}

#[tokio::test]
async fn client_certificates_are_demanded() -> Test {
    for version in ["1.2", "1.3"] {
        let document = json!({"tls": "trusted", "tls_version": version, "client_cert": true,
            "script": [{"do": "status", "status": 200, "close": true}]});
        let (_server, script) = start(document).await?;
        let (bytes, _) = get(&mut handshake(&script, script.ca(), true).await??).await?;
        assert!(bytes.starts_with(b"HTTP/1.1 200 OK"));
        let error = match handshake(&script, script.ca(), false).await? {
            Err(error) => error,
            // TLS 1.3 tells only after the handshake.
            Ok(mut tls) => {
                assert_eq!(version, "1.3");
                match get(&mut tls).await {
                    Err(error) | Ok((_, Err(error))) => error,
                    Ok(_) => return Err("accepted".into()),
                }
            }
        };
        let alert = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        assert_eq!(rustls_error(&error), Some(&alert));
    }
    Ok(())
}

#[tokio::test]
async fn the_handshake_can_fail() -> Test {
    let document = json!({"tls": "trusted", "script": [
        {"do": "tls-reset"}, {"do": "tls-close"}, {"do": "tls-alert"}, {"do": "banner", "end": "fin"},
        {"do": "status", "status": 200, "close": true}, {"do": "tls-stall"},
    ]});
    let (_server, script) = start(document).await?;
    let mut errors = Vec::new();
    for _ in 0..4 {
        errors.push(handshake(&script, script.ca(), false).await?.err().ok_or("accepted")?);
    }
    assert_eq!(errors[0].kind(), ErrorKind::ConnectionReset);
    assert_eq!(errors[1].kind(), ErrorKind::UnexpectedEof);
    let alert = rustls::Error::AlertReceived(AlertDescription::HandshakeFailure);
    assert_eq!(rustls_error(&errors[2]), Some(&alert));
    assert!(matches!(rustls_error(&errors[3]), Some(rustls::Error::InvalidMessage(_))));
    let (bytes, _) = get(&mut handshake(&script, script.ca(), false).await??).await?;
    assert!(bytes.starts_with(b"HTTP/1.1 200 OK"));
    let stalled = handshake(&script, script.ca(), false);
    let stalled = tokio::time::timeout(std::time::Duration::from_millis(200), stalled).await;
    assert!(stalled.is_err());
    Ok(())
}
