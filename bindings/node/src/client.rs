//! The client: connections, budgets, defaults.

use std::sync::Arc;

use napi::bindgen_prelude::Unknown;
use napi::{Env, Result, ValueType};
use napi_derive::napi;
use reknock::client::Client;

use crate::error::or_throw;
use crate::policy::{NativePolicy, chosen, with_argument};
use crate::retry::NativeBudgets;
use crate::value::{KEYS, UNIT, to_value};

/// A client without its callbacks, which stay in JavaScript.
#[napi]
pub struct NativeClient {
    pub(crate) core: Client,
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
        let mut own = chosen(env, &reknock::Policy::default(), policy)?.unwrap_or_default();
        if timeout.get_type()? != ValueType::Undefined {
            own = with_argument(env, &own, "timeout", timeout)?;
        }
        let options = to_value(options)?;
        let builder = or_throw(env, Client::with_options(&options, UNIT, KEYS))?;
        let builder = budgets.into_iter().fold(builder, |builder, shared| builder.budgets(Arc::clone(&shared.budgets)));
        Ok(NativeClient { core: or_throw(env, builder.policy(own).build())? })
    }

    /// The client's policy.
    #[napi(getter, catch_unwind)]
    pub fn policy(&self) -> NativePolicy {
        NativePolicy { core: self.core.policy().clone() }
    }

    /// What the budget for an origin has.
    #[napi(catch_unwind)]
    pub fn budget(&self, origin: String) -> Option<BudgetReading> {
        self.core.budget(&origin).map(reading)
    }

    /// Ends the calls in flight, and those to come.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.core.close();
    }
}

/// A reading as JavaScript has it.
pub fn reading(reading: reknock::retry::BudgetReading) -> BudgetReading {
    BudgetReading {
        balance: reading.balance as f64,
        deposits: reading.deposits as f64,
        withdrawals: reading.withdrawals as f64,
        refusals: reading.refusals as f64,
    }
}
