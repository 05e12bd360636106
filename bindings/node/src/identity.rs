//! Whose call it is, for what is told of calls before they begin, and of those that others send.

use std::sync::Arc;

use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;
use reknock::Identity;

use crate::head::identity;

/// The identity of one more call.
#[napi]
pub struct NativeIdentity {
    pub(crate) core: Arc<Identity>,
}

#[napi]
impl NativeIdentity {
    /// Of a call that somebody else sends.
    #[napi(factory, catch_unwind)]
    pub fn of_request(method: String, url: String, name: Option<String>) -> Self {
        NativeIdentity { core: Arc::new(Identity::of_request(&method, &url, name.map(Into::into))) }
    }

    /// Of a function: it has neither method nor URL.
    #[napi(factory, catch_unwind)]
    pub fn of_function(name: String, origin: String) -> Self {
        NativeIdentity { core: Arc::new(Identity::of_function(name, origin)) }
    }

    /// As JavaScript has it.
    #[napi(catch_unwind)]
    pub fn shown<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        identity(env, &self.core)
    }
}
