//! The client that both `Client` and `AsyncClient` stand on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use reknock::Error;
use reknock::client::testing::Engine;
use reknock::client::{CLIENT_OPTIONS, Client, allows_nesting, default_policies};
use reknock::policy::{Keys, Value};

use crate::budgets::Budgets;
use crate::call::NativeCall;
use crate::callbacks::Callbacks;
use crate::convert::{UNIT, address, to_value};
use crate::cookies::{self, Cookies};
use crate::ending::Ours;
use crate::errors::raised;
use crate::policy::Policy;
use crate::policy_set::{self, PolicySet};
use crate::testing::{self, Script};

/// Connections, budgets, defaults and callbacks.
#[pyclass(frozen, weakref, name = "Client", module = "reknock._native")]
pub struct NativeClient {
    network: Client,
    options: Value,
    /// What answers in place of servers.
    script: Option<Script>,
    /// The same client on the script that answered last.
    scripted: Mutex<Option<Engine>>,
    closed: AtomicBool,
    pub callbacks: Callbacks,
    /// Whether its calls retry within attempts of others.
    pub allows_nesting: bool,
    /// What authorises its calls: a function, or a tuple of user name and password. Not left to the core, as a call may turn it off.
    pub auth: Option<Py<PyAny>>,
}

impl NativeClient {
    /// The client that makes a call now: on a script, if one answers in place of servers.
    pub fn core(&self) -> Result<Engine, Error> {
        let Some(script) = self.script.clone().or_else(testing::active) else { return Ok(Engine::Network(self.network.clone())) };
        let mut scripted = self.scripted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*scripted
            && matches!(engine, Engine::Scripted(_, known) if known.is(&script.core))
        {
            return Ok(engine.clone());
        }
        let engine = Engine::scripted(Client::with_options(&self.options, UNIT, Keys::Snake)?, &self.network, &script.core)?;
        if self.closed.load(Ordering::Relaxed) {
            engine.close();
        }
        Ok(scripted.insert(engine).clone())
    }
}

/// What a budget has.
#[pyclass(frozen, get_all, module = "reknock")]
pub struct BudgetReading {
    /// Retries that would be granted now.
    balance: i64,
    /// Deposits made, by all who share it.
    deposits: u64,
    /// Retries granted.
    withdrawals: u64,
    /// Retries refused.
    refusals: u64,
    /// Who shares it: "process" also where the policy says "host" and it could not be had (`why`).
    share: &'static str,
    /// The file of the host's purse.
    path: Option<String>,
    /// Why the budget of a policy that says `share: host` is the process's alone.
    why: Option<String>,
    /// Of the deposits, those of this process.
    own_deposits: u64,
    /// Of the withdrawals, those of this process.
    own_withdrawals: u64,
    /// Of the refusals, those of this process.
    own_refusals: u64,
    /// How often a host's purse began anew because somebody had scribbled on its file.
    resets: u64,
}

impl From<reknock::retry::BudgetReading> for BudgetReading {
    fn from(reading: reknock::retry::BudgetReading) -> Self {
        let reknock::retry::BudgetReading {
            balance,
            deposits,
            withdrawals,
            refusals,
            share,
            path,
            why,
            own_deposits,
            own_withdrawals,
            own_refusals,
            resets,
            ..
        } = reading;
        let share = share.as_str();
        BudgetReading { balance, deposits, withdrawals, refusals, share, path, why, own_deposits, own_withdrawals, own_refusals, resets }
    }
}

#[pymethods]
impl BudgetReading {
    fn __repr__(&self) -> String {
        let BudgetReading { balance, deposits, withdrawals, refusals, share, .. } = self;
        format!("BudgetReading(balance={balance}, deposits={deposits}, withdrawals={withdrawals}, refusals={refusals}, share='{share}')")
    }
}

#[pymethods]
impl NativeClient {
    #[new]
    fn new(py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let _ours = Ours::here();
        let mut callbacks = Callbacks::default();
        let mut policies = None;
        let mut rest = Vec::new();
        let mut allows_nesting = false;
        let (mut timeout, mut script, mut auth, mut jar, mut budgets) = (None, None, None, None, None);
        for (name, value) in options.iter() {
            let name: String = name.extract()?;
            match name.as_str() {
                "policy" if value.is_none() => {}
                "policy" => policies = Some(policy_set::chosen(&value)?),
                "timeout" => timeout = Some(value),
                "nesting" => allows_nesting = !value.is_none() && nesting(&value)?,
                "budgets" => budgets = value.extract::<Option<PyRef<'_, Budgets>>>()?.map(|shared| Arc::clone(&shared.0)),
                "transport" => script = value.extract::<Option<Script>>()?,
                "auth" if value.is_callable() => auth = Some(value.unbind()),
                // What else it may be, the core refuses.
                "auth" => match pair(&value) {
                    Some(pair) => auth = Some(PyTuple::new(py, pair)?.into_any().unbind()),
                    None => rest.push((name, to_value(&value)?)),
                },
                "base_url" if !value.is_none() => rest.push((name, Value::Str(address(&value)?.to_string()))),
                "cookies" if value.hasattr("extract_cookies")? => jar = Some(cookies::copied(&value)?),
                _ if callbacks.set(&name, &value)? => {}
                _ => rest.push((name, to_value(&value)?)),
            }
        }
        if let Some(timeout) = timeout {
            let arguments = Value::Map(vec![("timeout".to_owned(), to_value(&timeout)?)]);
            let with_it = move |policy: &reknock::Policy| policy.merge_typed(&arguments, UNIT, Keys::Snake);
            let given = policies.map_or_else(default_policies, Ok).and_then(|policies| policies.with(with_it));
            policies = Some(given.map_err(|error| raised(py, &error))?);
        }
        let options = Value::Map(rest);
        let network = py.detach(|| {
            let mut builder = Client::with_options(&options, UNIT, Keys::Snake)?;
            if let Some(policies) = policies {
                builder = builder.policy(policies);
            }
            if let Some(jar) = jar {
                builder = builder.cookies(jar);
            }
            budgets.into_iter().fold(builder, |builder, shared| builder.budgets(shared)).build()
        });
        let network = network.map_err(|error| raised(py, &error))?;
        let (scripted, closed) = (Mutex::default(), AtomicBool::new(false));
        Ok(NativeClient { network, options, script, scripted, closed, callbacks, allows_nesting, auth })
    }

    /// A call of it; `within` an attempt of another one that retries.
    fn call(&self, method: &str, url: &Bound<'_, PyAny>, options: &Bound<'_, PyDict>, within: bool) -> PyResult<NativeCall> {
        let _ours = Ours::here();
        NativeCall::new(self, method, &address(url)?, options, within)
    }

    /// The client's policy; of a set, the one for requests that no rule is for.
    #[getter]
    fn policy(&self) -> Policy {
        Policy(self.network.policy())
    }

    /// The client's policies.
    #[getter]
    fn policies(&self) -> PolicySet {
        PolicySet(self.network.policies())
    }

    /// Other policies for the calls that begin from now on.
    fn set_policy(&self, py: Python<'_>, policy: &Bound<'_, PyAny>) -> PyResult<()> {
        let policies = policy_set::chosen(policy)?;
        py.detach(|| self.network.set_policy(policies)).map_err(|error| raised(py, &error))?;
        // A client on a script is made anew of this one.
        self.scripted.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }

    /// Why the last change of the file that it follows was not taken.
    #[getter]
    fn policy_error(&self, py: Python<'_>) -> Option<PyErr> {
        self.network.policy_error().map(|error| raised(py, &error))
    }

    /// The jar, if it has one.
    #[getter]
    fn cookies(&self) -> Option<Cookies> {
        self.network.cookies().cloned().map(Cookies)
    }

    /// What the budget for an origin has.
    fn budget(&self, origin: &str) -> Option<BudgetReading> {
        self.core().ok()?.budget(origin).map(BudgetReading::from)
    }

    /// Ends the calls in flight, and those to come.
    fn close(&self, py: Python<'_>) {
        self.closed.store(true, Ordering::Relaxed);
        let scripted = self.scripted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        py.detach(|| {
            self.network.close();
            scripted.inspect(Engine::close)
        });
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.auth.as_ref().map_or(Ok(()), |auth| visit.call(auth))?;
        self.callbacks.visit(visit)
    }
}

/// A user name and a password, in a tuple or a list.
fn pair(value: &Bound<'_, PyAny>) -> Option<[String; 2]> {
    if value.is_instance_of::<PyTuple>() || value.is_instance_of::<PyList>() { value.extract().ok() } else { None }
}

/// Whether the option `nesting`, of a client, a call or an adapter, lets calls within attempts of others retry as well.
#[pyfunction]
#[pyo3(name = "allows_nesting")]
pub fn nesting(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    allows_nesting(&to_value(value)?).map_err(|error| raised(value.py(), &error))
}

/// The name, what it takes and the meaning of every option of a client besides its policy, its timeout, its callbacks and its script.
#[pyfunction]
pub fn client_options() -> Vec<(&'static str, &'static str, &'static str)> {
    CLIENT_OPTIONS.rows.iter().map(|row| (row.key, row.takes, row.meaning)).collect()
}
