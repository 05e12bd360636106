//! Python values as the core's, and back.

use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::{PyRecursionError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyMemoryView, PyString, PyTuple, PyType};
use reknock::policy::{Unit, Value};

use crate::ending::Ours;

/// What a bare number means in Python where a duration is expected.
pub const UNIT: Unit = Unit::Seconds;

const DEEPEST: usize = 100;

/// A Python value as a document. A timedelta is its seconds; what no document holds is named by its type.
pub fn to_value(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    let _ours = Ours::here();
    within(value, DEEPEST)
}

fn within(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    let Some(depth) = depth.checked_sub(1) else { return Err(PyRecursionError::new_err("nested too deeply")) };
    if value.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(Value::Bool(flag.is_true()));
    }
    if let Ok(number) = value.cast::<PyInt>() {
        return match number.extract::<i64>() {
            Ok(number) => Ok(Value::Int(number)),
            Err(_) => Ok(Value::Big(number.str()?.to_str()?.to_owned())),
        };
    }
    if let Ok(number) = value.cast::<PyFloat>() {
        return Ok(Value::Float(number.value()));
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Value::Str(text.to_str()?.to_owned()));
    }
    if let Ok(dict) = value.cast::<PyDict>() {
        return dict.iter().map(|(key, value)| Ok((key_text(&key)?, within(&value, depth)?))).collect::<PyResult<_>>().map(Value::Map);
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        return value.try_iter()?.map(|item| within(&item?, depth)).collect::<PyResult<_>>().map(Value::List);
    }
    if value.is_instance(timedelta_class(value.py())?)? {
        return Ok(Value::Float(value.call_method0("total_seconds")?.extract()?));
    }
    if let Ok(mapping) = value.cast::<PyMapping>() {
        let items = mapping.items()?;
        let entry = |item: Bound<'_, PyAny>| {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            Ok((key_text(&key)?, within(&value, depth)?))
        };
        return items.iter().map(entry).collect::<PyResult<_>>().map(Value::Map);
    }
    // Sets and ranges are as good as lists; text and bytes never get here as such.
    if value.hasattr("__len__")? && value.hasattr("__iter__")? && !value.hasattr("decode")? {
        return value.try_iter()?.map(|item| within(&item?, depth)).collect::<PyResult<_>>().map(Value::List);
    }
    // A path, and what else stands for one.
    if value.hasattr("__fspath__")? {
        return within(&value.call_method0("__fspath__")?, depth);
    }
    Ok(Value::Other(value.get_type().name()?.to_str()?.to_owned()))
}

/// PyO3's own way to it panics where `datetime` cannot be imported: it may be too late for that, without a descriptor.
fn timedelta_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "datetime", "timedelta")
}

/// A duration as a timedelta.
pub fn timedelta(py: Python<'_>, duration: Duration) -> PyResult<Bound<'_, PyAny>> {
    let (days, seconds) = (duration.as_secs() / 86_400, duration.as_secs() % 86_400);
    timedelta_class(py)?.call1((days, seconds, duration.subsec_micros()))
}

/// A URL: text, or an object that stands for one, such as those of httpx, yarl, pydantic and urllib.parse.
pub fn address(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.to_str()?.to_owned());
    }
    let _ours = Ours::here();
    let text = if value.hasattr("geturl")? {
        value.call_method0("geturl")?
    } else if value.hasattr("scheme")? {
        value.str()?.into_any()
    } else {
        return Err(PyTypeError::new_err(format!("a URL must be text, or an object of a URL, not {}", value.get_type().name()?)));
    };
    text.extract()
}

fn key_text(key: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(key.str()?.to_str()?.to_owned())
}

/// A document as Python values.
pub fn from_value<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(flag) => PyBool::new(py, *flag).to_owned().into_any(),
        Value::Int(number) => number.into_pyobject(py)?.into_any(),
        Value::Big(digits) => py.get_type::<PyInt>().call1((digits,))?,
        Value::Float(number) => PyFloat::new(py, *number).into_any(),
        Value::Str(text) | Value::Other(text) => PyString::new(py, text).into_any(),
        Value::List(items) => PyList::new(py, items.iter().map(|item| from_value(py, item)).collect::<PyResult<Vec<_>>>()?)?.into_any(),
        Value::Map(entries) => {
            let dict = PyDict::new(py);
            for (key, value) in entries {
                dict.set_item(key, from_value(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

/// Bytes without a copy where Python's cannot change, or UTF-8 text; `None` for anything else.
pub fn to_bytes(value: &Bound<'_, PyAny>) -> PyResult<Option<Bytes>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Some(Bytes::copy_from_slice(text.to_str()?.as_bytes())));
    }
    if value.is_instance_of::<PyBytes>() {
        return Ok(Some(Bytes::from_owner(value.extract::<PyBackedBytes>()?)));
    }
    if let Ok(array) = value.cast::<PyByteArray>() {
        return Ok(Some(Bytes::from(array.to_vec())));
    }
    if value.is_instance_of::<PyMemoryView>() {
        let bytes = value.call_method0("tobytes")?;
        return Ok(Some(Bytes::from_owner(bytes.extract::<PyBackedBytes>()?)));
    }
    Ok(None)
}

/// Text as Python's HTTP clients write it: `true` and `false`.
fn plain(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(if flag.is_true() { "true" } else { "false" }.to_owned());
    }
    if let Some(bytes) = to_bytes(value)? {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(value.str()?.to_str()?.to_owned())
}

/// As [`fields`], without those that are None.
pub fn pairs(value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    Ok(fields(value)?.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

/// Names and values: of a mapping (a list gives one pair per item), or of pairs; of text, those of a query. None is none.
pub fn fields(value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Option<String>)>> {
    let _ours = Ours::here();
    let mut out = Vec::new();
    let given = |value: &Bound<'_, PyAny>| if value.is_none() { Ok(None) } else { plain(value).map(Some) };
    let mut push = |name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>| {
        let name = plain(name)?;
        if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
            for item in value.try_iter()? {
                out.push((name.clone(), given(&item?)?));
            }
        } else {
            out.push((name, given(value)?));
        }
        Ok::<(), PyErr>(())
    };
    if let Ok(dict) = value.cast::<PyDict>() {
        dict.iter().try_for_each(|(name, value)| push(&name, &value))?;
        return Ok(out);
    }
    let items = if value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>() {
        parse_query(value)?
    } else if value.hasattr("items")? {
        value.call_method0("items")?
    } else {
        value.clone()
    };
    for item in items.try_iter()? {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
        push(&name, &value)?;
    }
    Ok(out)
}

fn parse_query<'py>(text: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let keywords = PyDict::new(text.py());
    keywords.set_item("keep_blank_values", true)?;
    text.py().import("urllib.parse")?.call_method("parse_qsl", (text,), Some(&keywords))
}

/// A Python value as JSON text, with the settings that Python's HTTP clients use.
pub fn json_text(value: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let _ours = Ours::here();
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    let dumps = DUMPS.get_or_try_init(py, || -> PyResult<Py<PyAny>> {
        let keywords = PyDict::new(py);
        keywords.set_item("ensure_ascii", false)?;
        keywords.set_item("allow_nan", false)?;
        keywords.set_item("separators", (",", ":"))?;
        Ok(py.import("functools")?.call_method("partial", (py.import("json")?.getattr("dumps")?,), Some(&keywords))?.unbind())
    })?;
    let text = dumps.bind(py).call1((value,))?;
    Ok(Bytes::copy_from_slice(text.cast::<PyString>()?.to_str()?.as_bytes()))
}

/// A user name and a password.
pub fn credentials(value: &Bound<'_, PyAny>) -> PyResult<(String, String)> {
    value.extract().map_err(|_| PyTypeError::new_err("auth must be a tuple of user name and password, or a function of the request"))
}
