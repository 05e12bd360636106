//! The executor: sends, asks the machine, waits, sends again.

mod blocking;
mod budgets;
mod builder;
mod call;
#[expect(clippy::module_inception)] // the client itself, in the room of all that makes one
mod client;
mod host;
mod lane;
mod message;
mod option_values;
mod options;
mod policies;
mod request_builder;
mod system;
pub mod transport;

/// Clients without a network and without waiting.
pub mod testing {
    pub use super::transport::script::*;
}

#[cfg(all(feature = "tower", feature = "tracing"))]
pub(crate) use self::call::trace;
pub use crate::retry::Opinion;
pub use blocking::BlockingStream;
pub use budgets::process_budgets;
pub use builder::{ClientBuilder, IntoTransport};
pub use call::cancel::Cancel;
pub use call::events::{Event, EventKind, Level, Notice};
pub use call::question::{Attempt, Host, Question, Reply, Wants};
pub use call::stream::StreamingResponse;
pub use call::transfer::{OnTransfer, Transfer};
pub use client::{CallOptions, Client, Delivered};
pub use host::callbacks::Callbacks;
pub use lane::Lane;
pub use message::body::{Body, BodyStream};
pub use message::cookies::{Cookie, Cookies};
pub use message::multipart::Multipart;
pub use message::redirect::Redirects;
pub use message::request::Request;
pub use message::response::{Response, ResponseHead};
pub use request_builder::RequestBuilder;
pub use system::clock::{Clock, TokioClock};
pub use system::entropy::{minted_key, seed as entropy};
pub use system::runtime::{runtime, shutdown};
pub use transport::http::{HttpBody, HttpTransport};
pub use transport::options::{ClientCert, Http2, Proxy, TlsOptions, TransportOptions};
#[cfg(feature = "reqwest")]
pub use transport::reqwest::{ReqwestBody, ReqwestBuilder, ReqwestTransport};

/// For the packages of other languages alone: what they need may change with any version.
#[doc(hidden)]
pub use {
    builder::default_policies,
    call::conventions::known_methods,
    call::event_table::{CALL_FIELDS, EVENTS, EVERY_EVENT, EventField, EventRow, RECORD_FIELDS},
    call::question::wait,
    host::answers::{STOP, delay_from_value},
    host::channel::{AnswerSender, ChannelHost, HostMessages, HostReceiver},
    host::queue,
    message::memory::copied,
    message::page::Page,
    options::{CLIENT_OPTIONS, allows_nesting, client_default, process_budgets_with, whole_option},
    system::entropy::seed_or as entropy_or,
    system::process::process_id,
};
