//! The client: connections, budgets, defaults.

use std::sync::Arc;

use napi::bindgen_prelude::Unknown;
use napi::{Env, Result, ValueType};
use napi_derive::napi;
use reknock::Identity;
use reknock::client::testing::Engine;
use reknock::client::{Client, Cookie, Cookies, Request, allows_nesting, default_policies};
use reknock::policy::Value;

use crate::error::or_throw;
use crate::identity::NativeIdentity;
use crate::policy::NativePolicy;
use crate::policy_set::{NativePolicySet, set_of};
use crate::retry::NativeBudgets;
use crate::testing::NativeScript;
use crate::value::{KEYS, UNIT, to_value};

/// A client without its callbacks, which stay in JavaScript.
#[napi]
pub struct NativeClient {
    core: Client,
    /// What it was made of.
    options: Value,
    /// What makes its calls.
    pub(crate) engine: Engine,
}

/// What a budget has.
#[napi(object, object_from_js = false)]
pub struct BudgetReading {
    /// Retries that would be granted now.
    pub balance: f64,
    /// Deposits made.
    pub deposits: f64,
    /// Retries granted.
    pub withdrawals: f64,
    /// Retries refused.
    pub refusals: f64,
    /// Who shares it.
    pub share: &'static str,
    /// The file of the host's purse.
    pub path: Option<String>,
    /// Why it is the process's alone although it should be the host's.
    pub why: Option<String>,
    /// Deposits of this process.
    pub own_deposits: f64,
    /// Withdrawals of this process.
    pub own_withdrawals: f64,
    /// Refusals of this process.
    pub own_refusals: f64,
    /// How often it began anew because somebody had scribbled on its file.
    pub resets: f64,
}

#[napi]
impl NativeClient {
    /// A client with these options besides its policy and its timeout.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: &Env,
        options: Unknown<'_>,
        policy: Unknown<'_>,
        timeout: Unknown<'_>,
        budgets: Option<&NativeBudgets>,
    ) -> Result<Self> {
        let given = if policy.get_type()? == ValueType::Undefined { or_throw(env, default_policies())? } else { set_of(env, policy)? };
        let own = match timeout.get_type()? {
            ValueType::Undefined => given,
            _ => {
                let arguments = Value::map([("timeout", to_value(timeout)?)]);
                or_throw(env, given.with(move |policy| policy.merge_typed(&arguments, UNIT, KEYS)))?
            }
        };
        let options = to_value(options)?;
        let builder = or_throw(env, Client::with_options(&options, UNIT, KEYS))?;
        let builder = budgets.into_iter().fold(builder, |builder, shared| builder.budgets(Arc::clone(&shared.budgets)));
        let core = or_throw(env, builder.policy(own).build())?;
        Ok(NativeClient { engine: Engine::Network(core.clone()), core, options })
    }

    /// The same client on a script.
    #[napi(catch_unwind)]
    pub fn on_script(&self, env: &Env, script: &NativeScript) -> Result<Self> {
        let builder = or_throw(env, Client::with_options(&self.options, UNIT, KEYS))?;
        let engine = or_throw(env, Engine::scripted(builder, &self.core, &script.core))?;
        Ok(NativeClient { core: self.core.clone(), options: self.options.clone(), engine })
    }

    /// The client's policy; of a set, the one for requests that no rule is for.
    #[napi(getter, catch_unwind)]
    pub fn policy(&self) -> NativePolicy {
        NativePolicy { core: self.core.policy() }
    }

    /// The client's policies.
    #[napi(getter, catch_unwind)]
    pub fn policies(&self) -> NativePolicySet {
        NativePolicySet { core: self.core.policies() }
    }

    /// Other policies for the calls that begin from now on.
    #[napi(catch_unwind)]
    pub fn set_policy(&self, env: &Env, policy: Unknown<'_>) -> Result<()> {
        let policies = set_of(env, policy)?;
        or_throw(env, self.core.set_policy(policies))
    }

    /// Throws why the last change of the file that it follows was not taken, if it was not.
    #[napi(catch_unwind)]
    pub fn check_policy(&self, env: &Env) -> Result<()> {
        self.core.policy_error().map_or(Ok(()), |error| Err(crate::error::thrown(env, &error)))
    }

    /// The identity of a call that is about to be made; throws what is wrong with its method and its URL.
    #[napi(catch_unwind)]
    pub fn identify(&self, env: &Env, method: String, url: String, query: Vec<String>, name: Option<String>) -> Result<NativeIdentity> {
        let mut request = or_throw(env, self.core.request(&method, &url).build())?;
        or_throw(env, request.append_query(query.chunks_exact(2).map(|pair| (&pair[0], &pair[1]))))?;
        let core = Identity::of_request(request.method(), request.url().as_str(), name.map(Into::into));
        Ok(NativeIdentity { core: Arc::new(core) })
    }

    /// Whether it keeps cookies.
    #[napi(getter, catch_unwind)]
    pub fn keeps_cookies(&self) -> bool {
        self.core.cookies().is_some()
    }

    /// Name, value, domain (empty: none) and path of each cookie.
    #[napi(catch_unwind)]
    pub fn cookies(&self) -> Vec<Vec<String>> {
        let all = self.core.cookies().map(Cookies::list).unwrap_or_default();
        all.into_iter().map(|Cookie { name, value, domain, path, .. }| vec![name, value, domain.unwrap_or_default(), path]).collect()
    }

    /// Sets a cookie without a domain.
    #[napi(catch_unwind)]
    pub fn set_cookie(&self, env: &Env, name: String, value: String) -> Result<()> {
        self.core.cookies().map_or(Ok(()), |jar| or_throw(env, jar.set(&name, &value)))
    }

    /// Takes a `Set-Cookie` line as if `url` had answered with it.
    #[napi(catch_unwind)]
    pub fn store_cookie(&self, env: &Env, url: String, line: String) -> Result<bool> {
        let request = or_throw(env, Request::new("GET", &url))?;
        Ok(self.core.cookies().is_some_and(|jar| jar.store(request.url(), &line)))
    }

    /// The value of the `cookie` header of a request to `url`.
    #[napi(catch_unwind)]
    pub fn cookie_header(&self, env: &Env, url: String) -> Result<Option<String>> {
        let request = or_throw(env, Request::new("GET", &url))?;
        Ok(self.core.cookies().and_then(|jar| jar.header(request.url())))
    }

    /// Takes all cookies away.
    #[napi(catch_unwind)]
    pub fn clear_cookies(&self) {
        if let Some(jar) = self.core.cookies() {
            jar.clear();
        }
    }

    /// What the budget for an origin has.
    #[napi(catch_unwind)]
    pub fn budget(&self, origin: String) -> Option<BudgetReading> {
        self.engine.budget(&origin).map(reading)
    }

    /// Ends the calls in flight, and those to come.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.engine.close();
    }
}

/// A reading as JavaScript has it.
pub fn reading(reading: reknock::retry::BudgetReading) -> BudgetReading {
    BudgetReading {
        balance: reading.balance as f64,
        deposits: reading.deposits as f64,
        withdrawals: reading.withdrawals as f64,
        refusals: reading.refusals as f64,
        share: reading.share.as_str(),
        path: reading.path,
        why: reading.why,
        own_deposits: reading.own_deposits as f64,
        own_withdrawals: reading.own_withdrawals as f64,
        own_refusals: reading.own_refusals as f64,
        resets: reading.resets as f64,
    }
}

/// Whether the option `nesting`, of a client, a call or an adapter, lets calls within attempts of others retry as well.
#[napi(js_name = "allowsNesting", catch_unwind)]
pub fn nesting(env: &Env, value: Unknown<'_>) -> Result<bool> {
    or_throw(env, allows_nesting(&to_value(value)?))
}
