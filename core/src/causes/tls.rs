//! What an error of TLS means.

use rustls::{AlertDescription, Error};

/// What an error means for those who would try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A refusal by certificate or configuration, from either side: it does not heal.
    Refused,
    /// The connection is lost, as it could be without TLS.
    Broken,
    /// The peer speaks something else.
    Nonsense,
}

pub(crate) fn meaning(error: &Error) -> Meaning {
    match error {
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::InvalidCertificate(_)
        | Error::InvalidCertRevocationList(_)
        | Error::General(_)
        | Error::PeerIncompatible(_)
        | Error::NoCertificatesPresented
        | Error::UnsupportedNameType
        | Error::NoApplicationProtocol
        | Error::InconsistentKeys(_) => Meaning::Refused,
        Error::DecryptError | Error::EncryptError | Error::PeerSentOversizedRecord | Error::FailedToGetRandomBytes => Meaning::Broken,
        _ => Meaning::Nonsense,
    }
}

/// Alerts about bytes that arrived otherwise than they were sent, or about the peer's own troubles, say nothing about the next connection.
pub(crate) fn of_alert(alert: AlertDescription) -> Meaning {
    use AlertDescription as Alert;
    match alert {
        Alert::CloseNotify
        | Alert::UnexpectedMessage
        | Alert::BadRecordMac
        | Alert::DecryptionFailed
        | Alert::RecordOverflow
        | Alert::DecompressionFailure
        | Alert::DecodeError
        | Alert::DecryptError
        | Alert::InternalError
        | Alert::UserCanceled => Meaning::Broken,
        _ => Meaning::Refused,
    }
}
