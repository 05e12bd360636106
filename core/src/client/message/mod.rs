//! What goes out and what comes in. Knows no call.

pub(super) mod auth;
pub(super) mod body;
pub(super) mod cookies;
pub(super) mod fields;
mod known;
pub(super) mod memory;
pub(super) mod multipart;
pub(super) mod page;
pub(super) mod redact;
pub(super) mod redirect;
pub(super) mod request;
pub(super) mod response;
pub(super) mod status;
mod suffixes;
