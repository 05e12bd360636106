//! Policies.

use napi::bindgen_prelude::{ClassInstance, FromNapiValue, JavaScriptClassExt, Unknown};
use napi::{Env, Result, ValueType};
use napi_derive::napi;
use reknock::Policy as Core;
use reknock::policy::{Dialect, Loaded, Note, Value, envoy, load_all, named, read_all};

use crate::error::or_throw;
use crate::value::{KEYS, UNIT, from_value, to_value};

/// What one call is allowed to do.
#[napi]
pub struct NativePolicy {
    pub(crate) core: Core,
}

/// A policy of a document: what the document calls it, and what is to be known about it.
#[napi]
pub struct NativeLoaded {
    pub(crate) loaded: Loaded,
}

/// `base` with an argument of a call, in which a duration may be a number of milliseconds.
pub fn with_argument(env: &Env, base: &Core, name: &str, argument: Unknown<'_>) -> Result<Core> {
    let arguments = Value::map([(name, to_value(argument)?)]);
    or_throw(env, base.merge_typed(&arguments, UNIT, KEYS))
}

/// The policy of a call or a client: a policy replaces `base`, a plain object or false is merged over it.
pub fn chosen(env: &Env, base: &Core, policy: Unknown<'_>) -> Result<Option<Core>> {
    if policy.get_type()? == ValueType::Undefined {
        return Ok(None);
    }
    if let Some(policy) = instance(env, policy)? {
        return Ok(Some(policy));
    }
    or_throw(env, base.merge_with(&to_value(policy)?, KEYS)).map(Some)
}

/// The policy that a native object is.
pub fn instance(env: &Env, policy: Unknown<'_>) -> Result<Option<Core>> {
    if policy.get_type()? != ValueType::Object || !NativePolicy::instance_of(env, &policy)? {
        return Ok(None);
    }
    let native: ClassInstance<'_, NativePolicy> = ClassInstance::from_unknown(policy)?;
    Ok(Some(native.core.clone()))
}

#[napi]
impl NativePolicy {
    /// The default policy with a plain object over it.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: &Env, settings: Unknown<'_>) -> Result<Self> {
        Ok(NativePolicy { core: chosen(env, &Core::default(), settings)?.unwrap_or_default() })
    }

    /// The policy of a YAML text.
    #[napi(factory, catch_unwind)]
    pub fn from_yaml(env: &Env, text: String) -> Result<Self> {
        Ok(NativePolicy { core: or_throw(env, Core::from_yaml(&text))? })
    }

    /// The policy of a JSON text.
    #[napi(factory, catch_unwind)]
    pub fn from_json(env: &Env, text: String) -> Result<Self> {
        Ok(NativePolicy { core: or_throw(env, Core::from_json(&text))? })
    }

    /// The policy of a TOML text.
    #[napi(factory, catch_unwind)]
    pub fn from_toml(env: &Env, text: String) -> Result<Self> {
        Ok(NativePolicy { core: or_throw(env, Core::from_toml(&text))? })
    }

    /// The policy of a file.
    #[napi(factory, catch_unwind)]
    pub fn load(env: &Env, path: String) -> Result<Self> {
        Ok(NativePolicy { core: or_throw(env, Core::load(path))? })
    }

    /// No retries; the default timeouts.
    #[napi(factory, catch_unwind)]
    pub fn none() -> Self {
        NativePolicy { core: Core::none() }
    }

    /// The policy that a system has by default.
    #[napi(factory, catch_unwind)]
    pub fn preset(env: &Env, name: String) -> Result<Self> {
        Ok(NativePolicy { core: or_throw(env, Core::preset(&name))? })
    }

    /// This policy with a plain object over it; false means no retries.
    #[napi(catch_unwind)]
    pub fn merge(&self, env: &Env, settings: Unknown<'_>) -> Result<NativePolicy> {
        Ok(NativePolicy { core: chosen(env, &self.core, settings)?.unwrap_or_else(|| self.core.clone()) })
    }

    /// This policy as the `x-envoy-*` headers of a request change it; names and values in turn.
    #[napi(catch_unwind)]
    pub fn with_envoy_headers(&self, headers: Vec<String>) -> NativePolicy {
        NativePolicy { core: envoy::with_request_headers(&self.core, &lines(&headers).as_slice()) }
    }

    /// What an attempt tells the server that it may take.
    #[napi(catch_unwind)]
    pub fn expected_rq_timeout_ms(&self, env: &Env, elapsed_ms: f64) -> Result<Option<f64>> {
        let elapsed = or_throw(env, UNIT.duration("elapsedMs", elapsed_ms))?;
        Ok(envoy::expected_rq_timeout_ms(&self.core, elapsed).map(|ms| ms as f64))
    }

    /// The whole document.
    #[napi(catch_unwind)]
    pub fn to_document<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        from_value(env, &self.core.to_value())
    }

    /// What differs from the default.
    #[napi(catch_unwind)]
    pub fn to_short_document<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        from_value(env, &self.core.to_short_value())
    }

    /// What differs from the default, in one line.
    #[napi(catch_unwind)]
    pub fn to_short(&self) -> String {
        self.core.to_string()
    }

    /// The whole document as YAML.
    #[napi(catch_unwind)]
    pub fn to_yaml(&self) -> String {
        self.core.to_yaml()
    }

    /// The whole document as JSON.
    #[napi(catch_unwind)]
    pub fn to_json(&self) -> String {
        self.core.to_json()
    }

    /// What differs from the original: places and texts in turn.
    #[napi(getter, catch_unwind)]
    pub fn notes(&self) -> Vec<(String, String)> {
        pairs(self.core.notes())
    }

    /// What it can do at worst.
    #[napi(catch_unwind)]
    pub fn explain(&self) -> String {
        self.core.explain()
    }

    /// Whether both allow the same.
    #[napi(catch_unwind)]
    pub fn equals(&self, other: &NativePolicy) -> bool {
        self.core == other.core
    }
}

#[napi]
impl NativeLoaded {
    /// What the document calls it.
    #[napi(getter, catch_unwind)]
    pub fn name(&self) -> Option<String> {
        self.loaded.name.clone()
    }

    /// Whose words the document was written in.
    #[napi(getter, catch_unwind)]
    pub fn dialect(&self) -> &'static str {
        self.loaded.dialect.name()
    }

    /// The policy.
    #[napi(getter, catch_unwind)]
    pub fn policy(&self) -> NativePolicy {
        NativePolicy { core: self.loaded.policy.clone() }
    }

    /// What differs from the original: places and texts in turn.
    #[napi(getter, catch_unwind)]
    pub fn notes(&self) -> Vec<(String, String)> {
        pairs(&self.loaded.notes)
    }

    /// The policy, what it can do at worst, and the notes.
    #[napi(catch_unwind)]
    pub fn explain(&self) -> String {
        self.loaded.explain()
    }
}

pub fn pairs(notes: &[Note]) -> Vec<(String, String)> {
    notes.iter().map(|note| (note.path.clone(), note.text.clone())).collect()
}

/// The policies of a file, in the order they stand there, or those with a name.
#[napi(catch_unwind)]
pub fn load_policies(env: &Env, path: String, dialect: Option<String>, name: Option<String>) -> Result<Vec<NativeLoaded>> {
    let dialect = dialect_of(env, dialect)?;
    listed(env, or_throw(env, load_all(path, dialect))?, name)
}

/// The policies of a text, or those with a name.
#[napi(catch_unwind)]
pub fn read_policies(env: &Env, text: String, dialect: Option<String>, name: Option<String>) -> Result<Vec<NativeLoaded>> {
    let dialect = dialect_of(env, dialect)?;
    listed(env, or_throw(env, read_all(&text, dialect))?, name)
}

/// The headers of a request that are Envoy's own.
#[napi(catch_unwind)]
pub fn envoy_headers() -> Vec<&'static str> {
    envoy::REQUEST_HEADERS.to_vec()
}

/// Header fields of names and values in turn.
pub fn lines(headers: &[String]) -> Vec<(&str, &str)> {
    headers.chunks_exact(2).map(|line| (line[0].as_str(), line[1].as_str())).collect()
}

pub fn dialect_of(env: &Env, dialect: Option<String>) -> Result<Option<Dialect>> {
    dialect.map(|name| or_throw(env, Dialect::from_name(&name))).transpose()
}

fn listed(env: &Env, all: Vec<Loaded>, name: Option<String>) -> Result<Vec<NativeLoaded>> {
    let chosen = match name {
        Some(name) => or_throw(env, named(&all, &name))?.into_iter().cloned().collect(),
        None => all,
    };
    Ok(chosen.into_iter().map(|loaded| NativeLoaded { loaded }).collect())
}
