//! Policy sets.

use napi::bindgen_prelude::{ClassInstance, FromNapiValue, JavaScriptClassExt, Unknown};
use napi::{Env, Result, ValueType};
use napi_derive::napi;
use reknock::PolicySet as Core;
use reknock::policy::Value;

use crate::error::or_throw;
use crate::policy::{NativeLoaded, NativePolicy, dialect_of, instance, pairs};
use crate::value::{KEYS, from_value, to_value};

/// Policies, and rules that say which of them a request has.
#[napi]
pub struct NativePolicySet {
    pub(crate) core: Core,
}

/// What a client is given for a policy: a set, a policy, a document of either, false for no retries; undefined for the defaults.
pub fn set_of(env: &Env, policy: Unknown<'_>) -> Result<Core> {
    match policy.get_type()? {
        ValueType::Undefined => return Ok(Core::default()),
        ValueType::Object if NativePolicySet::instance_of(env, &policy)? => {
            let native: ClassInstance<'_, NativePolicySet> = ClassInstance::from_unknown(policy)?;
            return Ok(native.core.clone());
        }
        _ => {}
    }
    if let Some(policy) = instance(env, policy)? {
        return Ok(policy.into());
    }
    or_throw(env, Core::from_value_with(&to_value(policy)?, KEYS))
}

#[napi]
impl NativePolicySet {
    /// The set of a document.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: &Env, document: Unknown<'_>) -> Result<Self> {
        Ok(NativePolicySet { core: set_of(env, document)? })
    }

    /// The set of a file.
    #[napi(factory, catch_unwind)]
    pub fn load(env: &Env, path: String, dialect: Option<String>, watch: bool) -> Result<Self> {
        let dialect = dialect_of(env, dialect)?;
        Ok(NativePolicySet { core: or_throw(env, if watch { Core::watch(path, dialect) } else { Core::load(path, dialect) })? })
    }

    /// The set of a text.
    #[napi(factory, catch_unwind)]
    pub fn read(env: &Env, text: String, dialect: Option<String>) -> Result<Self> {
        let dialect = dialect_of(env, dialect)?;
        Ok(NativePolicySet { core: or_throw(env, Core::read(&text, dialect))? })
    }

    /// Each policy with settings over it; another set, or a policy, as it is.
    #[napi(catch_unwind)]
    pub fn merge(&self, env: &Env, settings: Unknown<'_>) -> Result<NativePolicySet> {
        let is_native = settings.get_type()? == ValueType::Object
            && (NativePolicySet::instance_of(env, &settings)? || NativePolicy::instance_of(env, &settings)?);
        let document = if is_native { Value::EMPTY } else { to_value(settings)? };
        if is_native || reknock::policy::is_set(&document) {
            return Ok(NativePolicySet { core: set_of(env, settings)? });
        }
        Ok(NativePolicySet { core: or_throw(env, self.core.with(move |policy| policy.merge_with(&document, KEYS)))? })
    }

    /// The policies, with their names.
    #[napi(getter, catch_unwind)]
    pub fn policies(&self) -> Vec<NativeLoaded> {
        self.core.policies().iter().cloned().map(|loaded| NativeLoaded { loaded }).collect()
    }

    /// The rules in the order they are tried.
    #[napi(getter, catch_unwind)]
    pub fn rules<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let name = |at: usize| Value::from(self.core.policies()[at].name.as_deref());
        let rules = self.core.rules().iter().map(|rule| Value::from([("match", rule.match_value()), ("policy", name(rule.policy))]));
        from_value(env, &Value::List(rules.collect()))
    }

    /// The name of the policy of requests that no rule is for.
    #[napi(getter, catch_unwind)]
    pub fn default_name(&self) -> Option<String> {
        self.core.default_name().map(str::to_owned)
    }

    /// What is to be known about the set: places and texts in turn.
    #[napi(getter, catch_unwind)]
    pub fn notes(&self) -> Vec<(String, String)> {
        pairs(self.core.notes())
    }

    /// The policy of a request.
    #[napi(catch_unwind)]
    pub fn policy_for(&self, env: &Env, request: String) -> Result<NativePolicy> {
        Ok(NativePolicy { core: or_throw(env, self.core.for_text(&request))?.policy.clone() })
    }

    /// The rule that a request meets.
    #[napi(catch_unwind)]
    pub fn rule_for<'env>(&self, env: &'env Env, request: String) -> Result<Unknown<'env>> {
        from_value(env, &or_throw(env, self.core.rule_for(&request))?)
    }

    /// The set in words, or what a request has.
    #[napi(catch_unwind)]
    pub fn explain(&self, env: &Env, request: Option<String>) -> Result<String> {
        match request {
            Some(request) => or_throw(env, self.core.explain_for(&request)),
            None => Ok(self.core.explain()),
        }
    }

    /// The whole document.
    #[napi(catch_unwind)]
    pub fn to_document<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        from_value(env, &self.core.to_value())
    }

    /// The whole document as YAML.
    #[napi(catch_unwind)]
    pub fn to_yaml(&self) -> String {
        self.core.to_yaml()
    }

    /// Whether both are the same.
    #[napi(catch_unwind)]
    pub fn equals(&self, other: &NativePolicySet) -> bool {
        self.core == other.core
    }
}
