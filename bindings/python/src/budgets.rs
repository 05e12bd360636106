//! Budgets that clients, adapters and functions share.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use reknock::client::process_budgets_with;
use reknock::policy::{Keys, Value};
use reknock::retry::{self, driver};

use crate::client::BudgetReading;
use crate::convert::to_value;
use crate::errors::raised;
use crate::policy::Policy;
use crate::retry::tick;

/// Retry budgets that calls share: keep one beside each client of your own, or give the same to clients, adapters and functions. Any number
/// of threads may use it at once. Those with names are shared with all of the process. `budget_dir`, `share_required`: as of a Client.
#[pyclass(frozen, weakref, module = "reknock")]
pub struct Budgets(pub Arc<retry::Budgets>);

#[pymethods]
impl Budgets {
    /// `budget_dir`, `share_required`: as of a Client.
    #[new]
    #[pyo3(signature = (**options))]
    fn new(py: Python<'_>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let options = options.map_or(Ok(Value::Map(Vec::new())), |options| to_value(options.as_any()))?;
        let budgets = process_budgets_with(&options, Keys::Snake).map_err(|error| raised(py, &error))?;
        Ok(Budgets(Arc::new(budgets)))
    }

    /// What the budget of a policy has for an origin; None if no call used it yet. `now`: as for `Retry`.
    #[pyo3(signature = (policy, origin, *, now=None))]
    fn reading(&self, py: Python<'_>, policy: &Policy, origin: &str, now: Option<f64>) -> PyResult<Option<BudgetReading>> {
        let now = tick(py, now)?;
        Ok(driver::reading(&self.0, &policy.0, origin, now).map(BudgetReading::from))
    }

    fn __repr__(&self) -> &'static str {
        "<Budgets>"
    }
}
