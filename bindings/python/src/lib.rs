//! The native module of the Python package `reknock`. It converts and forwards; the core decides.

mod blocking;
mod body;
mod bridge;
mod budgets;
mod call;
mod callbacks;
mod client;
mod convert;
mod cookies;
mod ending;
mod errors;
mod events;
mod headers;
mod policy;
mod policy_set;
mod records;
mod request;
mod response;
mod retry;
mod simulate;
mod stream;
mod testing;
mod wake;

use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Calls take memory on one thread and give it back on another, which glibc's malloc is slow at: an eighth of a call's CPU time.
#[cfg(all(feature = "jemalloc", target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
#[global_allocator]
static HEAP: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("ENVOY_HEADERS", PyTuple::new(module.py(), reknock::policy::envoy::REQUEST_HEADERS)?)?;
    module.add("STOP", reknock::client::STOP)?;
    module.add_class::<bridge::Bridge>()?;
    module.add_class::<records::Attempt>()?;
    module.add_class::<events::Event>()?;
    module.add_class::<call::NativeCall>()?;
    module.add_class::<callbacks::Turn>()?;
    module.add_class::<client::NativeClient>()?;
    module.add_class::<client::BudgetReading>()?;
    module.add_class::<cookies::Cookies>()?;
    module.add_class::<headers::Headers>()?;
    module.add_class::<policy::LoadedPolicy>()?;
    module.add_class::<policy::Policy>()?;
    module.add_class::<policy_set::PolicySet>()?;
    module.add_class::<records::AttemptRecord>()?;
    module.add_class::<events::Identity>()?;
    module.add_class::<records::SentRequest>()?;
    module.add_class::<request::Request>()?;
    module.add_class::<request::RequestHeaders>()?;
    module.add_class::<response::ResponseHead>()?;
    module.add_class::<response::Response>()?;
    module.add_class::<budgets::Budgets>()?;
    module.add_class::<retry::Decision>()?;
    module.add_class::<retry::Limits>()?;
    module.add_class::<retry::Retry>()?;
    module.add_class::<retry::Verdict>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<stream::StreamParts>()?;
    module.add_class::<testing::Script>()?;
    module.add_class::<testing::Sent>()?;
    module.add_class::<testing::Step>()?;
    module.add_function(wrap_pyfunction!(callbacks::unraisable, module)?)?;
    module.add_function(wrap_pyfunction!(client::client_options, module)?)?;
    module.add_function(wrap_pyfunction!(client::nesting, module)?)?;
    module.add_class::<simulate::Comparison>()?;
    module.add_class::<simulate::Lint>()?;
    module.add_class::<simulate::Report>()?;
    module.add_function(wrap_pyfunction!(simulate::compare, module)?)?;
    module.add_function(wrap_pyfunction!(simulate::lint, module)?)?;
    module.add_function(wrap_pyfunction!(simulate::simulate, module)?)?;
    module.add_function(wrap_pyfunction!(simulate::command_run, module)?)?;
    module.add_function(wrap_pyfunction!(command_help, module)?)?;
    module.add_function(wrap_pyfunction!(known_methods, module)?)?;
    module.add_function(wrap_pyfunction!(shown_text, module)?)?;
    module.add_function(wrap_pyfunction!(errors::kinds, module)?)?;
    module.add_function(wrap_pyfunction!(errors::stop_reasons, module)?)?;
    Ok(())
}

/// The help of a command line that is called as `program`.
#[pyfunction]
fn command_help(program: &str) -> String {
    reknock::command::help(program)
}

/// The methods that spans and metrics tell as they are.
#[pyfunction]
fn known_methods() -> Vec<&'static str> {
    reknock::client::known_methods().iter().map(String::as_str).collect()
}

/// What a user gave, as messages show it.
#[pyfunction]
fn shown_text(text: &str) -> String {
    reknock::policy::shown_text(text)
}
