use bytes::Bytes;

use super::*;
use crate::client::transport::options::ClientCert;
use crate::error::ErrorKind;

fn rejected(options: &TransportOptions) -> String {
    let error = ReqwestTransport::new(options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

#[test]
fn proxies_must_be_http_urls() {
    let mut options = TransportOptions::default();
    for (url, got) in
        [("ftp://p:1", "got scheme \"ftp\""), ("socks5://p:1", "got scheme \"socks5\""), ("p", "got something that is no URL")]
    {
        options.proxy = Proxy::Url(url.to_owned());
        assert!(rejected(&options).ends_with(got), "{url}");
    }
    options.proxy = Proxy::Url("http://user:secret@proxy:3128".to_owned());
    assert!(ReqwestTransport::new(&options).is_ok());
    assert!(!format!("{options:?}").contains("secret"));
}

#[test]
fn any_variable_of_a_proxy_counts() {
    let none = |names: &[&str]| names_no_proxy(names.iter().map(|name| ((*name).into(), "p:1".into())));
    assert!(none(&["PATH", "PROXY", "HTTP_PROXY_PORT"]));
    for name in ["HTTP_PROXY", "https_proxy", "All_Proxy", "NO_PROXY"] {
        assert!(!none(&["PATH", name]), "{name}");
    }
}

#[test]
fn a_bundle_must_hold_certificates() {
    let mut options = TransportOptions::default();
    options.tls.ca_bundle = Some(Bytes::from_static(b"junk"));
    assert_eq!(rejected(&options), "ca_bundle: must hold at least one PEM block \"BEGIN CERTIFICATE\", got none in 4 bytes");
    options.tls.ca_bundle = Some(Bytes::from_static(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
    assert!(rejected(&options).starts_with("ca_bundle: certificate 1 is not a valid root: "));
}

#[test]
fn a_client_certificate_needs_its_own_key() {
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec!["me".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let mut options = TransportOptions::default();
    let mut with = |cert: &str, key: Option<String>| {
        options.tls.client_cert = Some(ClientCert { cert: Bytes::from(cert.to_owned()), key: key.map(Bytes::from) });
        ReqwestTransport::new(&options).map_err(|error| error.to_string())
    };
    assert!(with(&cert, Some(key.serialize_pem())).is_ok());
    assert!(with(&format!("{cert}{}", key.serialize_pem()), None).is_ok());
    assert!(with("junk", None).unwrap_err().starts_with("client_cert: must hold at least one PEM block"));
    assert!(with(&cert, None).unwrap_err().starts_with("client_cert: must hold a private key"));
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    assert!(with(&cert, Some(other)).unwrap_err().starts_with("client_cert.key: certificate and private key do not work together"));
}
