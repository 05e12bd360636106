//! Where a request goes: what is made of its URL once for all connections there.

use std::fmt;
use std::sync::Arc;

use http::header::HeaderValue;
use http::uri::Authority;
use url::{Host, Position, Url};

use crate::client::transport::Failure;
use crate::error::ErrorKind;
use crate::record::Evidence;

/// Scheme, host and port.
#[derive(Debug)]
pub(super) struct Origin {
    /// As it stands in the URL: `https://host:port`, the port only where it is not the scheme's.
    pub(super) name: Box<str>,
    /// Whether TLS is spoken.
    pub(super) secure: bool,
    pub(super) host: Host<String>,
    pub(super) port: u16,
    /// What `host` says if nobody else says it.
    pub(super) header: HeaderValue,
    /// Likewise, in HTTP/2.
    pub(super) authority: Authority,
}

impl Origin {
    /// The part of a URL that names its origin.
    pub(super) fn name(url: &Url) -> &str {
        &url[..Position::BeforePath]
    }

    /// # Errors
    /// `invalid_request` for what is no http or https URL.
    pub(super) fn of(url: &Url) -> Result<Arc<Self>, Failure> {
        let secure = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(impossible(format_args!("its scheme is {other}"))),
        };
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(impossible("its URL has no host"));
        };
        let text = &url[Position::BeforeHost..Position::AfterPort];
        let header = HeaderValue::from_str(text).map_err(impossible)?;
        let authority = Authority::try_from(text).map_err(impossible)?;
        Ok(Arc::new(Origin { name: Self::name(url).into(), secure, host: host.to_owned(), port, header, authority }))
    }
}

/// `host:port`, the only part of a URL that messages show.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A request that no server can be asked.
pub(super) fn impossible(what: impl fmt::Display) -> Failure {
    Failure::new(ErrorKind::InvalidRequest, Evidence::NotSent, format!("the request cannot be sent: {what}"))
}
