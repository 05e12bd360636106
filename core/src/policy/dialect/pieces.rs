//! The documents of a text, taken apart: items of lists, resources of `kubectl get`, and what ConfigMaps hold as text.

use std::borrow::Cow;

use super::super::Value;
use super::super::node::join;
use super::super::problem::{Problem, placed};

/// Something that one reader reads: a document, or a part of one that stands for itself.
pub(super) struct Piece<'a> {
    /// Which of several documents it is in: `document 2`.
    pub(super) place: String,
    /// Where it stands in that document; empty for the document itself.
    pub(super) path: String,
    /// What stands in front of the names of its policies: the ConfigMap and its key.
    pub(super) holder: Option<String>,
    pub(super) value: Cow<'a, Value>,
}

impl Piece<'_> {
    /// A path in it, as one of the whole text.
    pub(super) fn placed(&self, path: &str) -> String {
        placed(&self.place, path)
    }

    /// The path of a key of it, as one of the whole text.
    pub(super) fn at(&self, key: &str) -> String {
        self.placed(&join(&self.path, key))
    }

    pub(super) fn resource(&self) -> Option<Resource<'_>> {
        Resource::of(&self.value)
    }
}

/// What a Kubernetes resource says of itself.
#[derive(Clone, Copy)]
pub(super) struct Resource<'a> {
    /// The API group, without its version; empty for the core's.
    pub(super) group: &'a str,
    pub(super) kind: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) namespace: Option<&'a str>,
    pub(super) value: &'a Value,
}

impl<'a> Resource<'a> {
    pub(super) fn of(value: &'a Value) -> Option<Self> {
        let (version, kind) = (text(value, "apiVersion")?, text(value, "kind")?);
        let metadata = value.get("metadata");
        let said = |key| metadata.and_then(|metadata| text(metadata, key));
        let group = version.split_once('/').map_or("", |(group, _)| group);
        Some(Resource { group, kind, name: said("name"), namespace: said("namespace"), value })
    }

    pub(super) fn spec(&self, key: &str) -> Option<&'a Value> {
        self.value.get("spec")?.get(key)
    }

    /// The namespace, or the one where it is not told.
    pub(super) fn home(&self) -> &'a str {
        self.namespace.unwrap_or("default")
    }
}

/// The text under a key.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    match value.get(key) {
        Some(Value::Str(text)) => Some(text),
        _ => None,
    }
}

/// The items of a list under a key.
pub(super) fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    match value.get(key) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

/// Lists of lists are not followed further.
const DEEPEST: usize = 4;

pub(super) fn all(documents: &[Value]) -> Result<Vec<Piece<'_>>, Problem> {
    let mut apart = Apart { pieces: Vec::new(), values: MOST_EMBEDDED };
    for (i, document) in documents.iter().enumerate() {
        let place = if documents.len() > 1 { format!("document {}", i + 1) } else { String::new() };
        apart.value(&place, String::new(), document, 0)?;
    }
    Ok(apart.pieces)
}

/// The values that all embedded texts may hold together.
const MOST_EMBEDDED: usize = 8_000_000;

struct Apart<'a> {
    pieces: Vec<Piece<'a>>,
    values: usize,
}

impl<'a> Apart<'a> {
    fn value(&mut self, place: &str, path: String, value: &'a Value, depth: usize) -> Result<(), Problem> {
        match value {
            Value::List(list) if depth < DEEPEST && list.iter().any(|item| matches!(item, Value::Map(_))) => {
                list.iter().enumerate().try_for_each(|(i, item)| self.value(place, format!("{path}[{i}]"), item, depth + 1))
            }
            Value::Map(entries) if depth < DEEPEST => {
                let resource = Resource::of(value);
                if value.get("kind").is_some() && matches!(value.get("items"), Some(Value::List(_))) {
                    let (path, list) = (join(&path, "items"), items(value, "items"));
                    return list.iter().enumerate().try_for_each(|(i, item)| self.value(place, format!("{path}[{i}]"), item, depth + 1));
                }
                if resource.is_some_and(|resource| resource.kind == "ConfigMap" && resource.group.is_empty()) {
                    self.config_map(place, &path, value)?;
                }
                // Resources by kind, as some tools write them: `httpRoutes: [..]`.
                if resource.is_none() && entries.iter().any(|(_, value)| holds_resources(value)) {
                    return entries
                        .iter()
                        .filter(|(_, value)| holds_resources(value))
                        .try_for_each(|(key, value)| self.value(place, join(&path, key), value, depth + 1));
                }
                self.add(place, path, None, Cow::Borrowed(value));
                Ok(())
            }
            value => {
                self.add(place, path, None, Cow::Borrowed(value));
                Ok(())
            }
        }
    }

    fn add(&mut self, place: &str, path: String, holder: Option<String>, value: Cow<'a, Value>) {
        self.pieces.push(Piece { place: place.to_owned(), path, holder, value });
    }

    /// Texts of `data` that are documents. What cannot be read is some other program's.
    fn config_map(&mut self, place: &str, path: &str, value: &Value) -> Result<(), Problem> {
        let (Some(Value::Map(data)), Some(name)) = (value.get("data"), Resource::of(value).and_then(|resource| resource.name)) else {
            return Ok(());
        };
        for (key, text) in data {
            let Value::Str(text) = text else { continue };
            let Some(documents) = embedded(text, &mut self.values) else { continue };
            let (path, several) = (join(&join(path, "data"), key), documents.len() > 1);
            let holder = format!("{name}/{key}");
            for (i, document) in documents.into_iter().enumerate() {
                if !matches!(document, Value::Map(_) | Value::List(_)) {
                    continue;
                }
                let path = if several { format!("{path}[{i}]") } else { path.clone() };
                // Lists of resources within texts are rare; of routers and listeners they are read item by item.
                match document {
                    Value::List(list) => list.into_iter().enumerate().for_each(|(i, item)| {
                        self.add(place, format!("{path}[{i}]"), Some(holder.clone()), Cow::Owned(item));
                    }),
                    document => self.add(place, path, Some(holder.clone()), Cow::Owned(document)),
                }
            }
        }
        Ok(())
    }
}

fn holds_resources(value: &Value) -> bool {
    matches!(value, Value::List(items) if items.first().is_some_and(|item| Resource::of(item).is_some()))
}

#[cfg(feature = "documents")]
fn embedded(text: &str, values: &mut usize) -> Option<Vec<Value>> {
    super::super::text::embedded(text, values)
}

#[cfg(not(feature = "documents"))]
fn embedded(_: &str, _: &mut usize) -> Option<Vec<Value>> {
    None
}
