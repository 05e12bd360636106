//! Jars of cookies.

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use reknock::client;
use url::Url;

use crate::convert::address;
use crate::ending::Ours;
use crate::errors::raised;

/// The cookies of a client: what servers have set, and what was set by hand. By name they are a mapping; one that several domains or paths
/// have is that of the first. May be used from any thread.
#[pyclass(frozen, mapping, module = "reknock")]
pub struct Cookies(pub client::Cookies);

impl Cookies {
    fn value(&self, name: &str) -> Option<String> {
        self.0.list().into_iter().find(|cookie| cookie.name == name).map(|cookie| cookie.value)
    }
}

#[pymethods]
impl Cookies {
    fn __getitem__(&self, name: &str) -> PyResult<String> {
        self.value(name).ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    fn __setitem__(&self, py: Python<'_>, name: &str, value: &str) -> PyResult<()> {
        self.0.set(name, value).map_err(|error| raised(py, &error))
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        name.extract::<String>().is_ok_and(|name| self.value(&name).is_some())
    }

    fn __len__(&self) -> usize {
        self.keys().len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.keys().into_pyobject(py)?.try_iter()?.into_any())
    }

    /// The value of a cookie, or `default`.
    #[pyo3(signature = (name, default=None))]
    fn get<'py>(&self, py: Python<'py>, name: &str, default: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        match self.value(name) {
            Some(value) => Ok(value.into_pyobject(py)?.into_any()),
            None => Ok(default.unwrap_or_else(|| py.None().into_bound(py))),
        }
    }

    /// The names.
    fn keys(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.list().into_iter().map(|cookie| cookie.name).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The values, one per name.
    fn values(&self) -> Vec<String> {
        self.keys().iter().filter_map(|name| self.value(name)).collect()
    }

    /// Names and values, one pair per name.
    fn items(&self) -> Vec<(String, String)> {
        self.keys().into_iter().filter_map(|name| Some((name.clone(), self.value(&name)?))).collect()
    }

    /// Takes a `Set-Cookie` line as if `url` had answered with it. False if the rules refuse it, or it takes a cookie away.
    fn store(&self, url: &Bound<'_, PyAny>, line: &str) -> PyResult<bool> {
        Ok(self.0.store(&parsed(url)?, line))
    }

    /// What a request to `url` carries: the value of its `cookie` header. None if there is nothing.
    fn header(&self, url: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        Ok(self.0.header(&parsed(url)?))
    }

    /// Takes all cookies away.
    fn clear(&self) {
        self.0.clear();
    }

    /// Names alone: values are secrets.
    fn __repr__(&self) -> String {
        format!("Cookies({})", self.keys().join(", "))
    }
}

fn parsed(url: &Bound<'_, PyAny>) -> PyResult<Url> {
    Url::parse(&address(url)?).map_err(|error| PyValueError::new_err(format!("url: {error}")))
}

/// What an `http.cookiejar.CookieJar` holds now.
pub fn copied(jar: &Bound<'_, PyAny>) -> PyResult<client::Cookies> {
    let _ours = Ours::here();
    let cookies = client::Cookies::new();
    for cookie in jar.try_iter()? {
        let cookie = cookie?;
        let text = |name: &str| -> PyResult<String> { Ok(cookie.getattr(name)?.extract::<Option<String>>()?.unwrap_or_default()) };
        let (name, value, domain, path) = (text("name")?, text("value")?, text("domain")?, text("path")?);
        if domain.is_empty() {
            cookies.set(&name, &value).map_err(|error| raised(jar.py(), &error))?;
            continue;
        }
        let secure = cookie.getattr("secure")?.is_truthy()?;
        // Names without a dot got one of these.
        let host = domain.trim_start_matches('.').trim_end_matches(".local");
        let Ok(url) = Url::parse(&format!("{}://{host}/", if secure { "https" } else { "http" })) else { continue };
        let mut line = format!("{name}={value}; Path={path}");
        if domain.starts_with('.') {
            line += &format!("; Domain={host}");
        }
        if secure {
            line += "; Secure";
        }
        if let Some(expires) = cookie.getattr("expires")?.extract::<Option<f64>>()? {
            let now: f64 = jar.py().import("time")?.call_method0("time")?.extract()?;
            line += &format!("; Max-Age={}", (expires - now).floor());
        }
        cookies.store(&url, &line);
    }
    Ok(cookies)
}
