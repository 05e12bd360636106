//! What an error of TLS means, and how it is told.

use rustls::{AlertDescription, CertificateError, Error};

use crate::causes::tls::of_alert;
pub(in crate::client::transport) use crate::causes::tls::{Meaning, meaning};
use crate::error::ErrorKind;

/// What every https call is told when there is nobody to trust.
pub(super) const NO_ROOTS: &str = "no root certificates: this system has none and no CA bundle was given; \
     pass a CA bundle (PEM), install the ca-certificates package, or set SSL_CERT_FILE";

/// The kind of failure on a connection whose handshake was done.
pub(in crate::client::transport) fn later(error: &Error) -> ErrorKind {
    match meaning(error) {
        Meaning::Refused => ErrorKind::Tls,
        Meaning::Broken => ErrorKind::Reset,
        Meaning::Nonsense => ErrorKind::Protocol,
    }
}

/// What happened, for people.
pub(in crate::client::transport) fn text(error: &Error) -> String {
    match error {
        Error::General(text) if text == NO_ROOTS => format!("certificate not trusted: {text}"),
        Error::InvalidCertificate(error) => format!("certificate not trusted: {}", of_certificate(error)),
        Error::AlertReceived(AlertDescription::CertificateRequired) => "the server demands a client certificate".to_owned(),
        Error::AlertReceived(alert) if of_alert(*alert) == Meaning::Broken => {
            format!("the peer ended the TLS connection: {}", words(&format!("{alert:?}"), '_'))
        }
        Error::AlertReceived(alert) => format!("the peer refused the TLS connection: {}", words(&format!("{alert:?}"), '_')),
        Error::InvalidMessage(_) => "the peer does not speak TLS on this port".to_owned(),
        Error::PeerIncompatible(what) => format!("TLS failed: the peer is not compatible: {}", words(&format!("{what:?}"), ' ')),
        Error::PeerMisbehaved(what) => format!("TLS failed: the peer broke its rules: {}", words(&format!("{what:?}"), ' ')),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "TLS failed: the peer sent a message out of turn".to_owned()
        }
        Error::InvalidCertRevocationList(what) => format!("TLS failed: certificate revocation list: {}", words(&format!("{what:?}"), ' ')),
        Error::InconsistentKeys(_) => "certificate and private key do not belong together".to_owned(),
        Error::Other(other) => format!("TLS failed: {}", words(&other.to_string(), ' ')),
        other => format!("TLS failed: {other}"),
    }
}

/// Likewise of a certificate that we were given.
pub(super) fn reason(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        other => text(other),
    }
}

/// What is wrong with a certificate.
fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => "its issuer is unknown; a private CA goes into the CA bundle option".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        CertificateError::BadEncoding => "it is not encoded as X.509 demands".to_owned(),
        CertificateError::BadSignature => "its signature is wrong".to_owned(),
        CertificateError::Other(other) => match other.0.to_string().as_str() {
            "CaUsedAsEndEntity" => {
                "it is that of a certificate authority; if it is meant, it goes into the CA bundle option itself".to_owned()
            }
            "UnsupportedCertVersion" => "it is of X.509 version 1, which has no names of servers; version 3 is needed".to_owned(),
            text => words(text, ' '),
        },
        CertificateError::NotValidForName => "it is not valid for this name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            match presented.is_empty() {
                true => format!("it is not valid for \"{expected}\": it has no names (subjectAltName)"),
                false => format!("it is not valid for \"{expected}\", only for {}", presented.join(", ")),
            }
        }
        other => words(&format!("{other:?}"), ' '),
    }
}

/// `BadRecordMac` as `bad_record_mac`, or with other gaps. What stands behind the first name is details in a language that is not for people.
fn words(name: &str, gap: char) -> String {
    let name = name.split(|c: char| !c.is_ascii_alphanumeric() && c != ' ' && c != '\'' && c != ',').next().unwrap_or(name).trim();
    if name.contains(' ') {
        return name.to_owned();
    }
    let mut out = String::new();
    let mut before_is_small = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && before_is_small {
            out.push(gap);
        }
        before_is_small = !c.is_ascii_uppercase();
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::ServerName;
    use rustls::{OtherError, PeerIncompatible};

    use super::*;

    #[test]
    fn alerts_are_sorted_by_what_they_say_about_the_next_connection() {
        use AlertDescription as Alert;
        for alert in [Alert::BadRecordMac, Alert::DecryptError, Alert::InternalError, Alert::UserCanceled] {
            assert_eq!(meaning(&Error::AlertReceived(alert)), Meaning::Broken, "{alert:?}");
        }
        let final_ones = [
            Alert::BadCertificate,
            Alert::UnknownCA,
            Alert::CertificateExpired,
            Alert::CertificateRevoked,
            Alert::CertificateRequired,
            Alert::HandshakeFailure,
            Alert::ProtocolVersion,
            Alert::InsufficientSecurity,
            Alert::NoApplicationProtocol,
            Alert::UnrecognisedName,
            Alert::AccessDenied,
        ];
        for alert in final_ones {
            assert_eq!(meaning(&Error::AlertReceived(alert)), Meaning::Refused, "{alert:?}");
        }
        assert_eq!(meaning(&Error::DecryptError), Meaning::Broken);
        assert_eq!(meaning(&Error::InvalidCertificate(CertificateError::BadSignature)), Meaning::Refused);
    }

    #[test]
    fn no_text_is_written_in_rust() {
        let other = |name: &'static str| {
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(
                name,
            )))))
        };
        let expected = ServerName::try_from("a.test").unwrap();
        let unnamed = CertificateError::NotValidForNameContext { expected, presented: vec![] };
        let rows = [
            (Error::AlertReceived(AlertDescription::BadRecordMac), "the peer ended the TLS connection: bad_record_mac"),
            (Error::AlertReceived(AlertDescription::UnknownCA), "the peer refused the TLS connection: unknown_ca"),
            (
                Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
                "TLS failed: the peer is not compatible: no cipher suites in common",
            ),
            (other("RequiredEkuNotFoundContext(Required { a: [1] })"), "certificate not trusted: required eku not found context"),
            (
                Error::InvalidCertificate(unnamed),
                "certificate not trusted: it is not valid for \"a.test\": it has no names (subjectAltName)",
            ),
        ];
        for (error, wanted) in rows {
            assert_eq!(text(&error), wanted);
        }
    }
}
