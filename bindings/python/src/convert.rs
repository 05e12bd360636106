//! Python values as the core's, and back.

use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::{PyMemoryError, PyRecursionError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
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
        return owned(text.to_str()?).map(Value::Str);
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

/// A copy of a text, if there is memory for it.
fn owned(text: &str) -> PyResult<String> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| PyMemoryError::new_err(()))?;
    copy.push_str(text);
    Ok(copy)
}

/// PyO3's own way to it panics where `datetime` cannot be imported: it may be too late for that, without a descriptor.
fn timedelta_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "datetime", "timedelta")
}

/// The seconds that a server asks for: infinite where it named a number that no duration holds.
pub fn hint_seconds(hint: Duration) -> f64 {
    if hint == Duration::MAX { f64::INFINITY } else { hint.as_secs_f64() }
}

/// A duration as a timedelta.
pub fn timedelta(py: Python<'_>, duration: Duration) -> PyResult<Bound<'_, PyAny>> {
    let (days, seconds) = (duration.as_secs() / 86_400, duration.as_secs() % 86_400);
    timedelta_class(py)?.call1((days, seconds, duration.subsec_micros()))
}

/// A URL: text, or an object that stands for one, such as those of httpx, yarl, pydantic and urllib.parse.
pub fn address(value: &Bound<'_, PyAny>) -> PyResult<PyBackedStr> {
    if value.is_instance_of::<PyString>() {
        return value.extract();
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
    owned(key.str()?.to_str()?)
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

/// Bytes of ours as Python's. PyO3's own way panics where there is no memory for them.
pub fn bytes<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, bytes.len(), |place| {
        place.copy_from_slice(bytes);
        Ok(())
    })
}

/// What is copied rather than kept for as long as it is sent, in bytes.
const SMALL: usize = 4096;

/// UTF-8 text: without a copy if it is large.
fn text_bytes(text: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let text: PyBackedStr = text.extract()?;
    Ok(if text.len() <= SMALL { Bytes::copy_from_slice(text.as_bytes()) } else { Bytes::from_owner(text) })
}

/// Bytes without a copy where Python's cannot change, or UTF-8 text; `None` for anything else.
pub fn to_bytes(value: &Bound<'_, PyAny>) -> PyResult<Option<Bytes>> {
    if value.is_instance_of::<PyString>() {
        return text_bytes(value).map(Some);
    }
    if value.is_instance_of::<PyBytes>() {
        return Ok(Some(Bytes::from_owner(value.extract::<PyBackedBytes>()?)));
    }
    // These change: Python copies them, and says if there is no memory for that.
    let copied = if value.is_instance_of::<PyMemoryView>() {
        Some(value.call_method0("tobytes")?)
    } else if value.is_instance_of::<PyByteArray>() {
        Some(value.py().get_type::<PyBytes>().call1((value,))?)
    } else {
        None
    };
    if let Some(bytes) = copied {
        return Ok(Some(Bytes::from_owner(bytes.extract::<PyBackedBytes>()?)));
    }
    Ok(None)
}

/// Text as Python's HTTP clients write it: `true` and `false`.
fn plain(value: &Bound<'_, PyAny>) -> PyResult<PyBackedStr> {
    // What nearly all of it is.
    if value.is_exact_instance_of::<PyString>() {
        return value.extract();
    }
    let text = if let Ok(flag) = value.cast::<PyBool>() {
        PyString::intern(value.py(), if flag.is_true() { "true" } else { "false" }).into_any()
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        PyString::new(value.py(), &String::from_utf8_lossy(bytes.as_bytes())).into_any()
    } else if value.is_instance_of::<PyByteArray>() {
        value.call_method1("decode", ("utf-8", "replace"))?
    } else if value.is_instance_of::<PyMemoryView>() {
        value.call_method0("tobytes")?.call_method1("decode", ("utf-8", "replace"))?
    } else {
        value.str()?.into_any()
    };
    text.extract()
}

/// As [`fields`], without those that are None.
pub fn pairs(value: &Bound<'_, PyAny>) -> PyResult<Vec<(PyBackedStr, PyBackedStr)>> {
    Ok(fields(value)?.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

/// Names and values: of a mapping (a list gives one pair per item), or of pairs; of text, those of a query. None is none.
pub fn fields(value: &Bound<'_, PyAny>) -> PyResult<Vec<(PyBackedStr, Option<PyBackedStr>)>> {
    let _ours = Ours::here();
    let mut out = Vec::new();
    let given = |value: &Bound<'_, PyAny>| if value.is_none() { Ok(None) } else { plain(value).map(Some) };
    let mut push = |name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>| {
        let name = plain(name)?;
        if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
            for item in value.try_iter()? {
                out.push((name.clone_ref(value.py()), given(&item?)?));
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

/// Header fields of a mapping: names that differ in case alone are one field. Those that are a list have a line for each of its items.
pub fn header_fields(value: &Bound<'_, PyAny>) -> PyResult<Vec<(PyBackedStr, Option<PyBackedStr>)>> {
    let given = fields(value)?;
    if !value.hasattr("keys")? {
        return Ok(given);
    }
    let mut out: Vec<(PyBackedStr, Option<PyBackedStr>)> = Vec::with_capacity(given.len());
    for (name, value_given) in given {
        let same = out.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name) && **known != *name);
        match (same, value_given) {
            (Some((_, Some(before))), Some(after)) => *before = PyString::new(value.py(), &format!("{before}, {after}")).extract()?,
            (Some((_, before)), after) => *before = after.or(before.take()),
            (None, value_given) => out.push((name, value_given)),
        }
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
    text_bytes(&dumps.bind(py).call1((value,))?)
}

/// A user name and a password.
pub fn credentials(value: &Bound<'_, PyAny>) -> PyResult<(String, String)> {
    value.extract().map_err(|_| PyTypeError::new_err("auth must be a tuple of user name and password, or a function of the request"))
}
