//! The client that both `Client` and `AsyncClient` stand on.

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use reknock::client::Client;
use reknock::policy::{Keys, Value};

use crate::blocking;
use crate::call::Call;
use crate::callbacks::Callbacks;
use crate::convert::{UNIT, to_value};
use crate::errors::raised;
use crate::policy::{Policy, chosen, with_arguments};
use crate::stream::StreamParts;

pub type Core = Client;

/// Connections, budgets, defaults and callbacks.
#[pyclass(frozen, name = "Client", module = "reknock._native")]
pub struct NativeClient {
    pub core: Core,
    pub callbacks: Callbacks,
}

/// What a budget has.
#[pyclass(frozen, get_all, module = "reknock")]
pub struct BudgetReading {
    /// Retries that would be granted now.
    balance: i64,
    /// Deposits made.
    deposits: u64,
    /// Retries granted.
    withdrawals: u64,
    /// Retries refused.
    refusals: u64,
}

#[pymethods]
impl BudgetReading {
    fn __repr__(&self) -> String {
        let BudgetReading { balance, deposits, withdrawals, refusals } = self;
        format!("BudgetReading(balance={balance}, deposits={deposits}, withdrawals={withdrawals}, refusals={refusals})")
    }
}

#[pymethods]
impl NativeClient {
    #[new]
    fn new(py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut callbacks = Callbacks::default();
        let mut policy = reknock::Policy::default();
        let mut rest = Vec::new();
        let mut timeout = None;
        for (name, value) in options.iter() {
            let name: String = name.extract()?;
            match name.as_str() {
                "policy" => policy = chosen(&policy, &value)?.unwrap_or(policy),
                "timeout" => timeout = Some(value),
                _ if callbacks.set(&name, &value)? => {}
                _ => rest.push((name, to_value(&value)?)),
            }
        }
        if let Some(timeout) = timeout {
            policy = with_arguments(py, &policy, &Value::Map(vec![("timeout".to_owned(), to_value(&timeout)?)]))?;
        }
        let core = py.detach(|| Core::with_options(&Value::Map(rest), UNIT, Keys::Snake)?.policy(policy).build());
        Ok(NativeClient { core: core.map_err(|error| raised(py, &error))?, callbacks })
    }

    /// Sends a request on the calling thread and reads the whole response.
    #[pyo3(signature = (method, url, options, log))]
    fn send(&self, py: Python<'_>, method: &str, url: &str, options: &Bound<'_, PyDict>, log: bool) -> PyResult<Py<PyAny>> {
        blocking::send(py, Call::new(self, method, url, Some(options), py)?, log)
    }

    /// Sends a request on the calling thread; the body of the response is read as it is asked for.
    #[pyo3(signature = (method, url, options, log))]
    fn stream(&self, py: Python<'_>, method: &str, url: &str, options: &Bound<'_, PyDict>, log: bool) -> PyResult<StreamParts> {
        blocking::stream(py, Call::new(self, method, url, Some(options), py)?, log)
    }

    /// The client's policy.
    #[getter]
    fn policy(&self) -> Policy {
        Policy(self.core.policy().clone())
    }

    /// What the budget for an origin has.
    fn budget(&self, origin: &str) -> Option<BudgetReading> {
        let reading = self.core.budget(origin)?;
        let reknock::retry::BudgetReading { balance, deposits, withdrawals, refusals } = reading;
        Some(BudgetReading { balance, deposits, withdrawals, refusals })
    }

    /// Ends the calls in flight, and those to come.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.core.close());
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.callbacks.visit(visit)
    }
}
