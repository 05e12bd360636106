//! Whose document it is, told by its keys.

use super::super::Value;
use super::super::problem::Problem;
use super::Dialect;

/// Whose words the documents of one text are in. A document that shows no other system's keys is ours.
pub(in super::super) fn recognise(documents: &[Value]) -> Result<Dialect, Problem> {
    let mut found: Vec<Dialect> = Vec::new();
    for document in documents {
        let Value::Map(entries) = document else { continue };
        for (key, _) in entries {
            add(&mut found, at_root(key, document));
        }
        search(document, 0, &mut found);
    }
    let is_resource = |document: &Value| document.get("apiVersion").is_some() && document.get("kind").is_some();
    if found.is_empty() && documents.iter().any(is_resource) {
        found.push(Dialect::Kgateway);
    }
    match found.as_slice() {
        [] => Ok(Dialect::Reknock),
        [one] => Ok(*one),
        several => {
            let names: Vec<_> = several.iter().map(|dialect| dialect.name()).collect();
            Err(Problem::new("dialect", format!("the keys are of several: {}", names.join(", "))).fix("name the one that is meant"))
        }
    }
}

fn add(found: &mut Vec<Dialect>, dialect: Option<Dialect>) {
    found.extend(dialect.filter(|dialect| !found.contains(dialect)));
}

/// What a key of the document itself tells: blocks may stand without the key that holds them.
fn at_root(key: &str, document: &Value) -> Option<Dialect> {
    let has = |key: &str| document.get(key).is_some();
    match key {
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
        "retry_policy" | "retryPolicy" | "virtual_hosts" | "virtualHosts" | "circuit_breakers" | "circuitBreakers" => Some(Dialect::Envoy),
        "retries" if has(&["budget", "backoff"]) => Some(Dialect::Linkerd),
        "budget" | "requeueBudget" if has(&["percentCanRetry", "minRetriesPerSec", "ttlSecs"]) => Some(Dialect::Linkerd),
        "backoff" if has(&["minMs", "maxMs", "ms"]) => Some(Dialect::Linkerd),
        "backoff" if matches!(value.get("kind"), Some(Value::Str(kind)) if kind == "jittered") => Some(Dialect::Linkerd),
        "service" | "client"
            if has(&["totalTimeoutMs", "requestAttemptTimeoutMs", "responseClassifier", "retryBufferSize", "classificationTimeoutMs"]) =>
        {
            Some(Dialect::Linkerd)
        }
        "retries"
            if has(&["retryOn", "numRetries", "perTryTimeout", "retryBackOff", "retriableStatusCodes", "rateLimitedRetryBackOff"]) =>
        {
            Some(Dialect::Kgateway)
        }
        "retry" if has(&["attempts", "codes", "retryOn", "statusCodes", "perTryTimeout", "backoff"]) => Some(Dialect::Kgateway),
        "apiVersion" if super::kgateway::is_ours(value) => Some(Dialect::Kgateway),
        "retryConfig" => Some(Dialect::Ballerina),
        "HttpRequestRetry" => Some(Dialect::Ktor),
        _ => None,
    }
}

/// The depth of documents is bounded where they are read; this bounds it for those that are made otherwise.
const DEEPEST: usize = 64;

fn search(value: &Value, depth: usize, found: &mut Vec<Dialect>) {
    match value {
        _ if depth > DEEPEST => {}
        Value::List(items) => items.iter().for_each(|item| search(item, depth + 1, found)),
        Value::Map(entries) => {
            for (key, value) in entries {
                match holder(key, value) {
                    Some(dialect) => add(found, Some(dialect)),
                    None => search(value, depth + 1, found),
                }
            }
        }
        _ => {}
    }
}
