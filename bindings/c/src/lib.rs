//! The C library: converts, forwards, maps errors. Its documentation is `include/reknock.h`, which is made of the comments here.
//!
//! Ownership is in the types: `Option<&T>` is a borrow that may be NULL, `Option<Box<T>>` takes what was handed out,
//! `Option<&mut MaybeUninit<T>>` is a place to write to. What several threads may free and use at once is counted (`shared`).

#![allow(non_camel_case_types)] // the names of the header
#![allow(clippy::missing_safety_doc)] // the header says what callers owe, for all functions at once

mod blocking;
pub mod body;
pub mod budgets;
pub mod call;
pub mod callback;
pub mod cancel;
pub mod client;
mod cookies;
pub mod envoy;
pub mod error;
mod ffi;
pub mod forms;
pub mod hooks;
pub mod policies;
pub mod policy;
pub mod policy_set;
pub mod queue;
mod reading;
pub mod record;
pub mod request;
pub mod response;
pub mod retry;
pub mod retry_readings;
pub mod simulate;
pub mod submit;
pub mod thread;
pub mod transfer;
mod version;
