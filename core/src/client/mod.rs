//! The executor: sends, asks the machine, waits, sends again.

mod clock;
mod reqwest;
pub mod transport;

pub use self::reqwest::{ClientCert, Http2, Proxy, ReqwestBody, ReqwestTransport, TlsOptions, TransportOptions};
pub use clock::{Clock, TokioClock};
