//! Readers of other systems' documents: each turns its dialect into a canonical document, which the one reader checks.

mod envoy;

pub use envoy::envoy_route;
