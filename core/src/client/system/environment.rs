//! The only place that reads the environment, but for the libraries that find roots and proxies there by themselves.

use std::path::PathBuf;

/// A variable that is text.
#[allow(clippy::disallowed_methods)] // read here, passed on as an option
pub(crate) fn text(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A variable that is a path. An empty one says nothing.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
}
