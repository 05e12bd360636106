//! Clusters: how many retries may run at a time, how long connecting may take, and a retry policy in place of the route's.

use std::collections::HashMap;

use super::super::super::Value;
use super::super::super::node::join;
use super::super::super::problem::{Problem, placed};
use super::super::block::{Block, list, proto_duration, whole};
use super::super::draft::{Draft, limit};
use super::super::pieces::Piece;
use super::super::recognise::is_schema;

/// A cluster of the documents, or what bears on retries of one alone.
#[derive(Clone)]
pub(in super::super) struct Cluster<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) path: String,
    pub(super) value: &'a Value,
    /// The thresholds of routes with `priority: HIGH` apply.
    pub(super) high: bool,
}

/// Envoy's numbers for a cluster that does not say, and for a retry budget that does not.
const MIN: i64 = 3;
const PERCENT: f64 = 20.0;

pub(super) fn default_budget() -> Value {
    concurrency(0.0, MIN)
}

pub(in super::super) fn concurrency(percent: f64, min: i64) -> Value {
    // Millionths of a percent are as fine as it gets.
    let percent = Value::number((percent * 1e6).round() / 1e6);
    Value::from([("kind", Value::from("concurrency")), ("percent", percent), ("min", Value::Int(min))])
}

/// The clusters of all documents, by name.
#[derive(Default)]
pub(in super::super) struct Clusters<'a> {
    all: Vec<Cluster<'a>>,
    /// The first of each name.
    by_name: HashMap<&'a str, usize>,
    /// The first without one: it may be any.
    unnamed: Option<usize>,
}

impl<'a> Clusters<'a> {
    /// Every cluster, and every map with `circuit_breakers` or HTTP options that hold a retry policy.
    pub(in super::super) fn of(pieces: &'a [Piece<'_>]) -> Self {
        let mut clusters = Clusters::default();
        for piece in pieces.iter().filter(|piece| piece.resource().is_none()) {
            let before = clusters.all.len();
            clusters.collect(&piece.path, "", &piece.value);
            clusters.all[before..].iter_mut().for_each(|cluster| cluster.path = placed(&piece.place, &cluster.path));
        }
        for (i, cluster) in clusters.all.iter().enumerate() {
            match cluster.name {
                Some(name) => _ = clusters.by_name.entry(name).or_insert(i),
                None => _ = clusters.unnamed.get_or_insert(i),
            }
        }
        clusters
    }

    pub(super) fn first(&self) -> Option<&Cluster<'a>> {
        self.all.first()
    }

    /// The only one there is.
    pub(super) fn only(&self) -> Option<&Cluster<'a>> {
        self.all.first().filter(|_| self.all.len() == 1)
    }

    pub(super) fn named(&self, name: &str) -> Option<&Cluster<'a>> {
        let place = self.by_name.get(name).copied().into_iter().chain(self.unnamed).min()?;
        self.all.get(place)
    }

    fn collect(&mut self, path: &str, key: &str, value: &'a Value) {
        match value {
            Value::List(items) => items.iter().enumerate().for_each(|(i, item)| self.collect(&format!("{path}[{i}]"), key, item)),
            Value::Map(entries) if !is_schema(value) => {
                let has = |keys: [&str; 2]| entries.iter().any(|(known, _)| keys.contains(&known.as_str()));
                let named = match value.get("name") {
                    Some(Value::Str(name)) => Some(name.as_str()),
                    _ => None,
                };
                let is_type = matches!(value.get("@type"), Some(Value::Str(kind)) if kind.ends_with(".Cluster"));
                let is_cluster =
                    key == "clusters" && value.get("weight").is_none() || is_type || has(["connect_timeout", "connectTimeout"]);
                // Beside a retry_policy the name is another's.
                let name = named.filter(|_| !has(["retry_policy", "retryPolicy"]));
                let cluster = Cluster { name, path: path.to_owned(), value, high: false };
                if has(["circuit_breakers", "circuitBreakers"]) || (is_cluster && name.is_some()) || cluster.retry_policy().is_some() {
                    self.all.push(cluster);
                }
                entries.iter().filter(|(key, _)| !WEIGHTED.contains(&key.as_str())).for_each(|(key, value)| {
                    self.collect(&join(path, key), key, value);
                });
            }
            _ => {}
        }
    }
}

/// What a route has of the clusters that it goes to.
const WEIGHTED: [&str; 2] = ["weighted_clusters", "weightedClusters"];

/// What the options of a cluster are under.
const OPTIONS: [&str; 2] = ["typed_extension_protocol_options", "typedExtensionProtocolOptions"];

impl<'a> Cluster<'a> {
    /// The retry policy in its HTTP options, which replaces those of the routes.
    pub(super) fn retry_policy(&self) -> Option<(String, &'a Value)> {
        let (key, options) = OPTIONS.into_iter().find_map(|key| Some((key, self.value.get(key)?)))?;
        let Value::Map(extensions) = options else { return None };
        extensions.iter().find_map(|(name, extension)| {
            let (own, policy) = ["retry_policy", "retryPolicy"].into_iter().find_map(|own| Some((own, extension.get(own)?)))?;
            Some((join(&join(&join(&self.path, key), name), own), policy)).filter(|(_, policy)| **policy != Value::Null)
        })
    }
}

/// What the breakers bound besides retries.
const OTHER_BOUNDS: &[(&str, &str)] = &[
    ("max_connections", NOT_RETRIES),
    ("max_pending_requests", NOT_RETRIES),
    ("max_requests", NOT_RETRIES),
    ("max_connection_pools", NOT_RETRIES),
];
const NOT_RETRIES: &str = "not copied: it bounds all requests, not retries";

/// Sets the budget, and the limit of connecting, of the cluster.
pub(super) fn budget(draft: &mut Draft, cluster: Option<&Cluster<'_>>) -> Result<(), Problem> {
    let Some(cluster) = cluster else { return Ok(()) };
    let mut block = Block::of(&cluster.path, cluster.value)?;
    if let Some(node) = block.take("connect_timeout")? {
        draft.set_from("connect_timeout", limit(proto_duration(&node)?), &node.path);
    }
    let Some(mut breakers) = block.block("circuit_breakers")? else { return Ok(()) };
    let Some(thresholds) = breakers.take("thresholds")? else { return Ok(()) };
    for item in list(&thresholds)? {
        let mut threshold = Block::of(&item.path, &item.value)?;
        let is_high = threshold.take("priority")?.is_some_and(|node| node.str() == Some("HIGH") || *node.value == Value::Int(1));
        if is_high != cluster.high {
            continue;
        }
        let max = threshold.take("max_retries")?;
        let (mut percent, mut min) = (0.0, max.as_ref().map_or(Ok(MIN), |node| whole(node, 0, u32::MAX.into()))?);
        let mut path = max.map(|node| node.path);
        if let Some(mut budget) = threshold.block("retry_budget")? {
            (percent, min) = (PERCENT, MIN);
            if let Some(node) = budget.take("budget_percent")? {
                percent = match &*node.value {
                    Value::Map(_) => node.value.get("value").map_or(Some(0.0), number),
                    _ => None,
                }
                .unwrap_or(f64::NAN);
                if !(0.0..=100.0).contains(&percent) {
                    return Err(node.must("be a percentage from 0 to 100, written {value: 20.0}"));
                }
            }
            if let Some(node) = budget.take("min_retry_concurrency")? {
                min = whole(&node, 0, u32::MAX.into())?;
            }
            if let Some(node) =
                budget.take("budget_interval")?.filter(|node| !proto_duration(node).is_ok_and(|interval| interval.is_zero()))
            {
                draft.note(node.path, "not copied: the percentage is of the sends in flight, not of those in an interval");
            }
            budget.ignore_rest(draft);
            path = Some(budget.path);
        }
        let mut notes = Vec::new();
        threshold.leave(OTHER_BOUNDS, &mut notes)?;
        threshold.known("track_remaining");
        threshold.known("trackRemaining");
        draft.note_all(notes);
        threshold.ignore_rest(draft);
        draft.set_from("budget", concurrency(percent, min), path.as_deref().unwrap_or(&item.path));
        return Ok(());
    }
    Ok(())
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}
