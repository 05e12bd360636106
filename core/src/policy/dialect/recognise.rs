//! Whose document it is, told by its keys.

use super::super::problem::Problem;
use super::super::{Value, set};
use super::{Dialect, envoy};

/// Whose words a document is in that is no resource of Kubernetes; `None` if it shows nobody's keys.
///
/// # Errors
/// Its keys are of several.
pub(super) fn recognise(document: &Value) -> Result<Option<Dialect>, Problem> {
    // A set's policies and rules may have names that look like anyone's.
    if set::is_set(document) {
        return Ok(Some(Dialect::Reknock));
    }
    let mut found: Vec<Dialect> = Vec::new();
    if let (Value::Map(entries), false) = (document, is_schema(document)) {
        for (key, _) in entries {
            add(&mut found, at_root(key, document));
        }
    }
    search(document, 0, &mut found);
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => {
            let names: Vec<_> = several.iter().map(|dialect| dialect.name()).collect();
            Err(Problem::new("dialect", format!("the keys are of several: {}", names.join(", "))).fix("name the one that is meant"))
        }
    }
}

/// Whether a value describes how others look: the names of its properties are no keys.
pub(super) fn is_schema(value: &Value) -> bool {
    let is_map = |key: &str| matches!(value.get(key), Some(Value::Map(_)));
    let is_object = || matches!(value.get("type"), Some(Value::Str(word)) if word == "object");
    value.get("openAPIV3Schema").is_some()
        || value.get("$schema").is_some()
        || ["openapi", "swagger"].iter().any(|key| value.get(key).is_some() && is_map("info"))
        || (is_map("properties") && (is_object() || value.get("type").is_none()))
}

fn add(found: &mut Vec<Dialect>, dialect: Option<Dialect>) {
    found.extend(dialect.filter(|dialect| !found.contains(dialect)));
}

/// What a key of the document itself tells: blocks may stand without the key that holds them.
fn at_root(key: &str, document: &Value) -> Option<Dialect> {
    let has = |key: &str| document.get(key).is_some();
    match key {
        "policies" if has("rules") || has("default") => Some(Dialect::Reknock),
        "max_retries" | "statuses" | "methods" | "retry_after" | "idempotency_key" | "max_body_buffer" | "attempt_header" | "compat"
        | "refused_headers" => Some(Dialect::Reknock),
        "num_retries"
        | "retry_back_off"
        | "retriable_status_codes"
        | "retriable_headers"
        | "retriable_request_headers"
        | "rate_limited_retry_back_off"
        | "per_try_idle_timeout"
        | "retry_host_predicate" => Some(Dialect::Envoy),
        "numRetries"
        | "retryBackOff"
        | "retriableStatusCodes"
        | "rateLimitedRetryBackOff"
        | "backoffBaseInterval"
        | "rateLimitedBackOff"
        | "codes" => Some(Dialect::Kgateway),
        "retry_policy" | "retryPolicy" => Some(Dialect::Envoy),
        "route" if has("match") => Some(Dialect::Envoy),
        "defaultHttpRetryPolicy" | "defaultInboundHttpRetryPolicy" => Some(Dialect::Istio),
        // Ballerina's list has the same name; beside these it is a gateway's.
        "statusCodes" if has("retryOn") || has("attempts") || has("perTryTimeout") => Some(Dialect::Kgateway),
        "retryOn" if has("attempts") || has("perTryTimeout") => Some(Dialect::Kgateway),
        "routers"
        | "percentCanRetry"
        | "minRetriesPerSec"
        | "ttlSecs"
        | "minMs"
        | "maxMs"
        | "totalTimeoutMs"
        | "requestAttemptTimeoutMs"
        | "responseClassifier" => Some(Dialect::Linkerd),
        "ms" if has("kind") => Some(Dialect::Linkerd),
        "backOffFactor" | "maxWaitInterval" => Some(Dialect::Ballerina),
        "interval" if has("count") => Some(Dialect::Ballerina),
        "retryOnServerErrors"
        | "retryOnException"
        | "retryOnExceptionOrServerErrors"
        | "noRetry"
        | "constantDelay"
        | "exponentialDelay"
        | "retryIf"
        | "retryOnExceptionIf"
        | "delayMillis"
        | "modifyRequest" => Some(Dialect::Ktor),
        _ => None,
    }
}

/// What holds a block, wherever it is. Nothing is looked for within it.
fn holder(key: &str, value: &Value) -> Option<Dialect> {
    let has = |keys: &[&str]| keys.iter().any(|key| value.get(key).is_some());
    match key {
        // Of a resource: how many retries an upstream permits.
        "circuitBreakers" if has(&["maxRetries", "maxConnections", "maxPendingRequests", "maxRequests"]) => Some(Dialect::Kgateway),
        "virtual_hosts" | "virtualHosts" | "circuit_breakers" | "circuitBreakers" | "route_config" | "routeConfig" => Some(Dialect::Envoy),
        "static_resources" | "staticResources" => Some(Dialect::Envoy),
        "typed_extension_protocol_options" | "typedExtensionProtocolOptions" => Some(Dialect::Envoy),
        "route" if envoy::is_action(value) => Some(Dialect::Envoy),
        "routes" if envoy::are_routes(value) => Some(Dialect::Envoy),
        "meshConfig" if value.get("defaultHttpRetryPolicy").is_some() => Some(Dialect::Istio),
        "retries" if has(&["budget", "backoff"]) => Some(Dialect::Linkerd),
        "budget" | "requeueBudget" if has(&["percentCanRetry", "minRetriesPerSec", "ttlSecs"]) => Some(Dialect::Linkerd),
        "backoff" if has(&["minMs", "maxMs", "ms"]) => Some(Dialect::Linkerd),
        "backoff" if matches!(value.get("kind"), Some(Value::Str(kind)) if kind == "jittered") => Some(Dialect::Linkerd),
        "service" | "client"
            if has(&["totalTimeoutMs", "requestAttemptTimeoutMs", "responseClassifier", "retryBufferSize", "classificationTimeoutMs"]) =>
        {
            Some(Dialect::Linkerd)
        }
        "retries" if has(&["attempts"]) => Some(Dialect::Istio),
        "retries"
            if has(&["retryOn", "numRetries", "perTryTimeout", "retryBackOff", "retriableStatusCodes", "rateLimitedRetryBackOff"]) =>
        {
            Some(Dialect::Kgateway)
        }
        "retry" if has(&["attempts", "codes", "retryOn", "statusCodes", "perTryTimeout", "backoff"]) => Some(Dialect::Kgateway),
        "apiVersion" if matches!(value, Value::Str(version) if super::kgateway::is_version_of_ours(version)) => Some(Dialect::Kgateway),
        "retryConfig" => Some(Dialect::Ballerina),
        "HttpRequestRetry" => Some(Dialect::Ktor),
        _ => None,
    }
}

/// The depth of documents is bounded where they are read; this bounds it for those that are made otherwise.
const DEEPEST: usize = 64;

fn search(value: &Value, depth: usize, found: &mut Vec<Dialect>) {
    match value {
        _ if depth > DEEPEST || is_schema(value) => {}
        Value::List(items) => items.iter().for_each(|item| search(item, depth + 1, found)),
        Value::Map(entries) => {
            for (key, value) in entries {
                match holder(key, value) {
                    Some(dialect) => add(found, Some(dialect)),
                    None if envoy::ELSEWHERE.contains(&key.as_str()) => {}
                    None => search(value, depth + 1, found),
                }
            }
        }
        _ => {}
    }
}
