//! The core's errors, on their way to becoming JavaScript's: plain objects that lib/errors.js makes its errors of.

use std::error::Error as _;

use napi::bindgen_prelude::Object;
use napi::{Env, Error, Result, Status};
use reknock::StopReason;

use crate::head::{identity, records};

/// What an error is made of.
pub fn parts<'env>(env: &'env Env, error: &reknock::Error) -> Result<Object<'env>> {
    let mut causes = Vec::new();
    let mut errno = None;
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        errno = errno.or_else(|| cause.downcast_ref::<std::io::Error>()?.raw_os_error());
        source = cause.source();
    }
    let mut parts = Object::new(env)?;
    parts.set("kind", error.kind().code())?;
    parts.set("message", error.to_string())?;
    parts.set("status", error.status())?;
    parts.set("attempts", records(env, error.attempts())?)?;
    parts.set("stopReason", error.stop_reason().map(StopReason::code))?;
    parts.set("explain", error.explain())?;
    if let Some(call) = error.call() {
        parts.set("call", identity(env, call)?)?;
    }
    parts.set("causes", causes)?;
    parts.set("errno", errno)?;
    Ok(parts)
}

/// Throws those parts.
pub fn thrown(env: &Env, error: &reknock::Error) -> Error {
    match parts(env, error).and_then(|parts| env.throw(parts)) {
        Ok(()) => Error::new(Status::PendingException, String::new()),
        Err(broken) => broken,
    }
}

/// A result of the core's, its error thrown.
pub fn or_throw<T>(env: &Env, result: std::result::Result<T, reknock::Error>) -> Result<T> {
    result.map_err(|error| thrown(env, &error))
}
