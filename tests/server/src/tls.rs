//! Certificates made on start, and the server configurations that show them.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::document::{Document, Tls, TlsVersion};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A fatal handshake_failure alert, as a TLS 1.2 record.
pub(crate) const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// One certificate authority per server; all certificates but the self-signed one come from it.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
    client: (String, String),
}

impl Authority {
    pub(crate) fn new() -> Result<Self, Error> {
        let mut params = named("reknock test authority", &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);

        let mut params = named("reknock test client", &["client.test"])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let client = (params.signed_by(&key, &issuer)?.pem(), key.serialize_pem());
        Ok(Self { issuer, certificate, client })
    }

    /// The authority's certificate.
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A client certificate that the authority signed, and its key.
    pub(crate) fn client(&self) -> &(String, String) {
        &self.client
    }

    pub(crate) fn config(&self, kind: Tls, document: &Document) -> Result<ServerConfig, Error> {
        let hosts: &[&str] = match kind {
            Tls::WrongHost => &["wrong-host.test"],
            _ => &["127.0.0.1", "localhost"],
        };
        let mut params = named("reknock test server", hosts)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if kind == Tls::Expired {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        }
        let key = KeyPair::generate()?;
        let certificate = match kind {
            Tls::SelfSigned => params.self_signed(&key)?,
            _ => params.signed_by(&key, &self.issuer)?,
        };

        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions: &[_] = match document.tls_version {
            TlsVersion::Any => &[&TLS12, &TLS13],
            TlsVersion::Tls12 => &[&TLS12],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions)?;
        let builder = if document.client_cert {
            let mut roots = RootCertStore::empty();
            roots.add(self.certificate.der().clone())?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build()?)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key)?;
        if document.http2 {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config.alpn_protocols.push(b"http/1.1".to_vec());
        Ok(config)
    }
}

fn named(name: &str, hosts: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}
