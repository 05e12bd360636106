//! One rustls configuration per setting and process. Making one reads the system's roots (3-7 ms), sharing it costs a microsecond
//! and shares TLS sessions, so that a new client resumes what another began.

pub(super) mod failure;
mod roots;
mod trust;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, ConfigBuilder, InconsistentKeys, RootCertStore};

use self::roots::Roots;
use self::trust::{Pinned, TrustEverybody, TrustNobody};
use super::options::{ClientCert, Http2, TlsOptions};
use crate::client::system::process::PerProcess;
use crate::error::Error;

/// Settings beyond these push out the oldest; clients that use it keep their own handle.
const KEPT: usize = 32;

/// What a configuration was made of.
#[derive(Clone, PartialEq, Eq)]
struct Made {
    options: TlsOptions,
    http2: Http2,
    /// The state of the system's roots; `None` if they are not trusted.
    roots: Option<Roots>,
}

type Configs = Mutex<Vec<(Made, ClientConfig)>>;
static CONFIGS: PerProcess<Configs> = PerProcess::new();

/// The process's configuration for these settings. Roots whose files have changed since are read anew.
pub(super) fn shared(options: &TlsOptions, http2: Http2) -> Result<ClientConfig, Error> {
    let roots = (options.verify && options.system_roots).then(Roots::look);
    let made = Made { options: options.clone(), http2, roots };
    let mut kept = CONFIGS.get_or_make(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, config)) = kept.iter().find(|(known, _)| *known == made) {
        return Ok(config.clone());
    }
    let (config, complete) = build(options, http2)?;
    // A system without roots may get some: look again next time.
    if complete {
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((made, config.clone()));
    }
    Ok(config)
}

/// The configuration, and whether there is somebody to trust.
fn build(options: &TlsOptions, http2: Http2) -> Result<(ClientConfig, bool), Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::config("tls: no usable protocol version").with_source(error))?;
    let bundle = options.ca_bundle.as_ref().map(certificates).transpose()?.unwrap_or_default();
    let trusted = if options.verify && options.system_roots { roots::of_the_user() } else { None };
    let pinned = if options.verify { [bundle.as_slice(), trusted.as_deref().unwrap_or_default()].concat() } else { Vec::new() };
    let verifier = verifier(options, bundle, trusted.is_some(), &provider);
    let complete = verifier.is_some();
    let mut verifier = verifier.unwrap_or_else(|| Arc::new(TrustNobody(provider.clone())));
    if !pinned.is_empty() {
        verifier = Arc::new(Pinned { inner: verifier, certificates: pinned });
    }
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match &options.client_cert {
        None => builder.with_no_client_auth(),
        Some(client) => with_client_cert(builder, client, &provider)?,
    };
    config.alpn_protocols = match http2 {
        Http2::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Http2::Only => vec![b"h2".to_vec()],
        Http2::None => vec![b"http/1.1".to_vec()],
    };
    Ok((config, complete))
}

/// `None` if there is nobody to trust. `system`: its roots are trusted, and can be read.
fn verifier(
    options: &TlsOptions,
    bundle: Vec<CertificateDer<'static>>,
    system: bool,
    provider: &Arc<CryptoProvider>,
) -> Option<Arc<dyn ServerCertVerifier>> {
    if !options.verify {
        return Some(Arc::new(TrustEverybody(provider.clone())));
    }
    if system {
        // The bundle was checked, so that the only failure left is a system without roots.
        let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(bundle, provider.clone());
        return verifier.ok().map(|verifier| Arc::new(verifier) as Arc<dyn ServerCertVerifier>);
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(bundle);
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    verifier.ok().map(|verifier| verifier as Arc<dyn ServerCertVerifier>)
}

/// The certificates of a CA bundle, each one checked.
fn certificates(pem: &Bytes) -> Result<Vec<CertificateDer<'static>>, Error> {
    let mut roots = RootCertStore::empty();
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let number = found.len() + 1;
        let certificate = certificate.map_err(|error| {
            Error::config(format!("ca_bundle: must be PEM, got something else at certificate {number}")).with_source(error)
        })?;
        roots.add(certificate.clone()).map_err(|error| {
            Error::config(format!("ca_bundle: certificate {number} is not a valid root: {}", failure::reason(&error))).with_source(error)
        })?;
        found.push(certificate);
    }
    if found.is_empty() {
        return Err(Error::config(format!(
            "ca_bundle: must hold at least one PEM block \"BEGIN CERTIFICATE\", got none in {} bytes",
            pem.len()
        )));
    }
    Ok(found)
}

fn with_client_cert(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    client: &ClientCert,
    provider: &CryptoProvider,
) -> Result<ClientConfig, Error> {
    let chain = CertificateDer::pem_slice_iter(&client.cert).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| Error::config("client_cert: must be PEM").with_source(error))?;
    if chain.is_empty() {
        return Err(Error::config("client_cert: must hold at least one PEM block \"BEGIN CERTIFICATE\", got none"));
    }
    let (path, pem) = match &client.key {
        Some(key) => ("client_cert.key", key),
        None => ("client_cert", &client.cert),
    };
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        Error::config(format!("{path}: must hold a private key in PEM (PKCS#8, PKCS#1 or SEC1, not encrypted), got none"))
            .with_source(error)
    })?;
    let refuse = |error: rustls::Error| {
        let reason = failure::text(&error);
        Error::config(format!("{path}: certificate and private key do not work together: {reason}")).with_source(error)
    };
    let certified = CertifiedKey::new(chain, provider.key_provider.load_private_key(key).map_err(refuse)?);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        // Of X.509 version 1: whether it is good enough is the server's business, which alone reads it.
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))) => {}
        Err(error) => return Err(refuse(error)),
    }
    Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified))))
}
