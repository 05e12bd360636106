//! The native addon of the npm package `reknock`. It converts and forwards; the core decides.
//!
//! Every exported function catches panics: one that unwound into Node would end the process.

#![cfg_attr(test, allow(dead_code, unused_imports))] // built for tests, it registers nothing with Node

mod body;
mod bridge;
mod call;
mod client;
mod error;
mod head;
mod identity;
mod policy;
mod policy_set;
mod question;
mod retry;
mod simulate;
mod stream;
mod testing;
mod value;

use napi_derive::napi;
use reknock::{ErrorKind, StopReason};

/// The version of the addon.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The methods that spans and metrics tell as they are.
#[napi(catch_unwind)]
pub fn known_methods() -> Vec<&'static str> {
    reknock::client::known_methods().iter().map(String::as_str).collect()
}

/// The help of a command line that is called as `program`.
#[napi(catch_unwind)]
pub fn command_help(program: String) -> String {
    reknock::command::help(&program)
}

/// The code, number and meaning of every kind of error.
#[napi(catch_unwind)]
pub fn kinds() -> Vec<(&'static str, u32, &'static str)> {
    ErrorKind::ALL.iter().map(|kind| (kind.code(), kind.number().into(), kind.meaning())).collect()
}

/// The code, number and meaning of every stop reason.
#[napi(catch_unwind)]
pub fn stop_reasons() -> Vec<(&'static str, u32, &'static str)> {
    StopReason::ALL.iter().map(|reason| (reason.code(), reason.number().into(), reason.meaning())).collect()
}

/// What a user gave, as messages show it.
#[napi(catch_unwind)]
pub fn shown_text(text: String) -> String {
    reknock::policy::shown_text(&text)
}
