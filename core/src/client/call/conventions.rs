//! What OpenTelemetry's conventions for HTTP leave to those who make spans and metrics.

use std::sync::OnceLock;

use crate::client::system::environment;

/// Those of RFC 9110, PATCH, and QUERY.
const METHODS: &str = "GET,HEAD,POST,PUT,DELETE,CONNECT,OPTIONS,TRACE,PATCH,QUERY";

/// The methods that are told as they are; all others are `_OTHER`. The variable that the conventions name for it says otherwise, when this is first
/// asked.
pub fn known_methods() -> &'static [String] {
    static KNOWN: OnceLock<Vec<String>> = OnceLock::new();
    KNOWN.get_or_init(|| methods(environment::text("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS").as_deref()))
}

fn methods(said: Option<&str>) -> Vec<String> {
    let of = |text: &str| text.split(',').map(str::trim).filter(|method| !method.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    said.map(of).filter(|methods| !methods.is_empty()).unwrap_or_else(|| of(METHODS))
}

#[cfg(test)]
mod tests {
    use super::methods;

    #[test]
    fn a_list_replaces_ours() {
        assert_eq!(methods(Some("GET, PURGE ,,purge")), ["GET", "PURGE", "purge"]);
        for nothing in [None, Some(""), Some(" , ")] {
            assert_eq!((methods(nothing).len(), methods(nothing)[0].as_str()), (10, "GET"), "{nothing:?}");
        }
    }
}
