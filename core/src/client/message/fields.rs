//! The header fields of a request: its client's, which most calls send as they are, until somebody changes them.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use http::HeaderMap;

#[derive(Clone)]
pub(in crate::client) enum Fields {
    Own(HeaderMap),
    /// Copied when they are changed.
    Shared(Arc<HeaderMap>),
}

impl Default for Fields {
    fn default() -> Self {
        Fields::Own(HeaderMap::new())
    }
}

impl Deref for Fields {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        match self {
            Fields::Own(own) => own,
            Fields::Shared(shared) => shared,
        }
    }
}

impl DerefMut for Fields {
    fn deref_mut(&mut self) -> &mut HeaderMap {
        match self {
            Fields::Own(own) => own,
            Fields::Shared(shared) => {
                *self = Fields::Own(HeaderMap::clone(shared));
                self.deref_mut()
            }
        }
    }
}
