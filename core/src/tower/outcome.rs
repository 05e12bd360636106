//! What a call gives: responses and errors that tell what was sent.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::error::{BoxError, Error, ErrorKind};
use crate::record::{self, AttemptRecord, StopReason};
use crate::retry::driver::Driver;

/// What was sent in a call, and why nothing further was: among the extensions of its response (`response.extensions().get::<Records>()`), and on
/// [`RetryError`].
#[derive(Clone, Debug, Default)]
pub struct Records {
    attempts: Arc<[AttemptRecord]>,
    stop_reason: Option<StopReason>,
}

impl Records {
    pub(super) fn of(driver: &Driver) -> Self {
        Records { attempts: driver.records().into(), stop_reason: driver.stop_reason() }
    }

    /// What was sent, in order. Empty when nothing was tried.
    pub fn attempts(&self) -> &[AttemptRecord] {
        &self.attempts
    }

    /// Why nothing further was sent; `None` when nothing was tried.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.stop_reason
    }

    /// The attempts as a short timeline, with the advice that fits the stop reason.
    pub fn explain(&self) -> String {
        record::explain(&self.attempts, self.stop_reason)
    }
}

/// The error of a call: the last one of the inner service as its source, as it was; or an [`Error`] of ours, where a limit ended the call.
///
/// It prints what its source prints; what was sent is in [`records`](RetryError::records).
#[derive(Debug)]
pub struct RetryError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    source: BoxError,
    kind: Option<ErrorKind>,
    records: Records,
}

impl RetryError {
    pub(super) fn new(source: BoxError, kind: Option<ErrorKind>, records: Records) -> Self {
        RetryError(Box::new(Inner { source, kind, records }))
    }

    /// What went wrong before anything was sent.
    pub(super) fn before(error: Error) -> Self {
        let kind = Some(error.kind());
        RetryError::new(error.into(), kind, Records::default())
    }

    /// What went wrong, if it is known: `None` for an error that no classifier knows.
    pub fn kind(&self) -> Option<ErrorKind> {
        self.0.kind
    }

    /// What was sent, and why nothing further was.
    pub fn records(&self) -> &Records {
        &self.0.records
    }

    /// What was sent, in order. Empty when nothing was tried.
    pub fn attempts(&self) -> &[AttemptRecord] {
        self.0.records.attempts()
    }

    /// Why nothing further was sent; `None` when nothing was tried.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.0.records.stop_reason()
    }

    /// The attempts as a short timeline, with the advice that fits the stop reason.
    pub fn explain(&self) -> String {
        self.0.records.explain()
    }

    /// The original error, if it is an `E`.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.source.downcast_ref()
    }

    /// The original error.
    pub fn into_source(self) -> BoxError {
        self.0.source
    }
}

impl fmt::Display for RetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.source.fmt(f)
    }
}

impl StdError for RetryError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0.source)
    }
}
