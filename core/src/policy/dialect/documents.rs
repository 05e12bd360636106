//! From documents to policies: each piece is read by the reader whose it is.

use std::collections::BTreeMap;

use super::super::node::Node;
use super::super::problem::{Problem, nearest, placed};
use super::super::{Keys, Policy, Value, options, read, set};
use super::owner::{Owner, World};
use super::pieces::{Piece, text};
use super::recognise::is_schema;
use super::{
    Dialect, Found, Limits, Loaded, Note, Origins, ballerina, envoy, envoy_gateway, istio, kgateway, ktor, linkerd, linkerd2, pieces,
};

/// The policies of the documents of one text, in the order they stand there. `None`: it is our own document, to be read by [`ours`].
pub(in super::super) fn documents(documents: &[Value], dialect: Option<Dialect>, limits: Limits) -> Result<Option<Vec<Loaded>>, Problem> {
    if dialect == Some(Dialect::Reknock) {
        return Ok(None);
    }
    let pieces = pieces::all(documents)?;
    let owned = match dialect {
        Some(dialect) => Owned::by_name(&pieces, dialect),
        None => Owned::recognised(&pieces)?,
    };
    if owned.is_ours(&pieces) {
        return Ok(None);
    }
    let mut found = Found::within(limits);
    Readers::of(&pieces, &owned).read(&owned, &mut found)?;
    owned.refuse(&mut found);
    match found.policies.first_mut() {
        Some(first) => first.notes.append(&mut found.skipped),
        None => return Err(found.mistake.unwrap_or_else(|| owned.nothing(&pieces, dialect))),
    }
    Ok(Some(found.policies.into_iter().map(Loaded::with_notes).collect()))
}

/// The policy of our own document, or those of a set.
pub(in super::super) fn ours(document: &Value) -> Result<Vec<Loaded>, Problem> {
    if set::is_set(document) {
        return Ok(set::read(document, Keys::Snake)?.policies().to_vec());
    }
    let policy = read::of_document(document, Keys::Snake)?;
    let origins = Origins::default();
    Ok(vec![Loaded { name: None, dialect: Dialect::Reknock, policy, notes: Vec::new(), scope: set::Scope::default(), origins }])
}

impl Loaded {
    /// Its policy knows what differs as well.
    fn with_notes(self) -> Self {
        let policy = self.policy.with_notes(&self.notes);
        Loaded { policy, ..self }
    }
}

/// Whose each piece is, and a note where that was guessed.
struct Owned<'p, 'a>(Vec<(&'p Piece<'a>, Owner, Option<&'static str>)>);

impl<'p, 'a> Owned<'p, 'a> {
    fn recognised(pieces: &'p [Piece<'a>]) -> Result<Self, Problem> {
        let world = World::of(pieces);
        let owner = |piece: &'p Piece<'a>| {
            // What some other program says in a ConfigMap is no mistake.
            let (owner, note) = match world.owner(piece) {
                Err(_) if piece.holder.is_some() => (Owner::Nobody, None),
                owner => owner?,
            };
            let is_other_program = piece.holder.is_some() && owner == Owner::Of(Dialect::Reknock) && !is_wholly_ours(&piece.value);
            Ok((piece, if is_other_program { Owner::Nobody } else { owner }, note))
        };
        Ok(Owned(pieces.iter().map(owner).collect::<Result<_, Problem>>()?))
    }

    /// All are of one dialect, but for resources of others.
    fn by_name(pieces: &'p [Piece<'a>], dialect: Dialect) -> Self {
        let of_it = |piece: &Piece<'_>| match piece.resource() {
            Some(resource) => resource.kind != "CustomResourceDefinition",
            None if piece.holder.is_some() => super::recognise::recognise(&piece.value).is_ok_and(|found| found == Some(dialect)),
            None => !is_schema(&piece.value),
        };
        Owned(pieces.iter().map(|piece| (piece, if of_it(piece) { Owner::Of(dialect) } else { Owner::Nobody }, None)).collect())
    }

    /// Whether nothing but our own words is here, or nothing that anyone's reader knows.
    fn is_ours(&self, pieces: &[Piece<'_>]) -> bool {
        let all = |owner| self.0.iter().all(|(_, known, _)| *known == owner);
        let unknown = || pieces.len() == 1 && pieces[0].path.is_empty() && all(Owner::Unknown) && !is_strange(&pieces[0].value);
        all(Owner::Of(Dialect::Reknock)) || unknown()
    }

    /// What is told where no policy was found.
    fn nothing(&self, pieces: &[Piece<'_>], named: Option<Dialect>) -> Problem {
        let mut read: Vec<Dialect> =
            self.0.iter().filter_map(|(_, owner, _)| if let Owner::Of(dialect) = owner { Some(*dialect) } else { None }).collect();
        read.sort_unstable();
        read.dedup();
        let others: Vec<&str> = self.others().map(|(_, what)| what).collect();
        if let Some(first) = others.first() {
            let known = Dialect::ALL.iter().skip(1).map(|dialect| dialect.name()).collect::<Vec<_>>().join(", ");
            return Problem::new("dialect", format!("{first} is not read")).fix(format!("read are {known}"));
        }
        let kinds = kinds(pieces);
        let holds = if kinds.is_empty() { String::new() } else { format!(": it holds {kinds}") };
        match (named, read.as_slice()) {
            (Some(dialect), _) | (None, &[dialect]) => {
                Problem::new(dialect.name(), format!("no policy found{holds}; it is told by {}", told_by(dialect)))
            }
            _ => {
                let all = Dialect::ALL.iter().map(|dialect| format!("{dialect} ({})", told_by(*dialect)));
                Problem::new("policy", format!("none found{holds}")).fix(format!("known are {}", all.collect::<Vec<_>>().join(", ")))
            }
        }
    }

    fn others(&self) -> impl Iterator<Item = (&Piece<'a>, &'static str)> {
        self.0.iter().filter_map(|(piece, owner, _)| if let Owner::Other(what) = owner { Some((*piece, *what)) } else { None })
    }

    /// Notes on what other systems say.
    fn refuse(&self, found: &mut Found) {
        self.others().for_each(|(piece, what)| found.skip(Note { path: piece.placed(&piece.path), text: format!("{what} is not read") }));
    }
}

/// How many resources of each kind there are.
fn kinds(pieces: &[Piece<'_>]) -> String {
    const MOST: usize = 8;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for piece in pieces.iter().filter(|piece| piece.holder.is_none()) {
        if let Some(kind) = text(&piece.value, "kind").or_else(|| text(&piece.value, "type")) {
            *counts.entry(kind).or_default() += 1;
        }
    }
    let more = if counts.len() > MOST { ", ..." } else { "" };
    let shown = counts.iter().take(MOST).map(|(kind, count)| format!("{count} {}", super::super::problem::document_name(kind)));
    shown.collect::<Vec<_>>().join(", ") + more
}

/// What tells a dialect.
fn told_by(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Reknock => "its own keys, such as max_retries",
        Dialect::Envoy => "routes, virtual hosts or a retry_policy",
        Dialect::Kgateway => "a RouteOption, TrafficPolicy or HTTPRoute with retries",
        Dialect::Linkerd => "a retries block",
        Dialect::Ballerina => "a retryConfig",
        Dialect::Ktor => "HttpRequestRetry or one of its functions",
        Dialect::Istio => "a VirtualService, DestinationRule or HTTPRoute",
        Dialect::EnvoyGateway => "a BackendTrafficPolicy or HTTPRoute with retries",
        Dialect::Linkerd2 => "a ServiceProfile or annotations retry.linkerd.io/*, timeout.linkerd.io/*",
    }
}

/// Whether a document cannot be meant as ours: it has keys, and none is ours or like one of ours.
fn is_strange(value: &Value) -> bool {
    let Value::Map(entries) = value else { return false };
    let near = |key: &str| is_key_of_ours(key) || nearest(key, options::DOCUMENT.rows.iter().map(|row| row.key)).is_some();
    is_schema(value) || (!entries.is_empty() && !entries.iter().any(|(key, _)| near(key)))
}

fn is_wholly_ours(value: &Value) -> bool {
    set::is_set(value) || matches!(value, Value::Map(entries) if entries.iter().all(|(key, _)| is_key_of_ours(key)))
}

fn is_key_of_ours(key: &str) -> bool {
    options::DOCUMENT.rows.iter().any(|row| row.key == key)
}

/// What one piece says may matter to another: what the readers know of all of them.
struct Readers<'p> {
    clusters: envoy::Clusters<'p>,
    bounds: kgateway::Bounds<'p>,
    mesh: istio::Mesh<'p>,
    gateway: envoy_gateway::Policies<'p>,
    services: linkerd2::Services<'p>,
}

impl<'p> Readers<'p> {
    fn of(pieces: &'p [Piece<'_>], owned: &Owned<'_, '_>) -> Self {
        let has = |dialect| owned.0.iter().any(|(_, owner, _)| *owner == Owner::Of(dialect));
        let of = |dialect| if has(dialect) { pieces } else { &[] };
        Readers {
            clusters: envoy::Clusters::of(of(Dialect::Envoy)),
            bounds: kgateway::bounds(of(Dialect::Kgateway)),
            mesh: istio::Mesh::of(of(Dialect::Istio)),
            gateway: envoy_gateway::Policies::of(of(Dialect::EnvoyGateway)),
            services: linkerd2::Services::of(of(Dialect::Linkerd2)),
        }
    }

    /// Reads every piece.
    fn read(&self, owned: &Owned<'_, '_>, found: &mut Found) -> Result<(), Problem> {
        for (piece, owner, guessed) in &owned.0 {
            let Owner::Of(dialect) = owner else { continue };
            let before = found.policies.len();
            if let Err(problem) = self.piece(*dialect, piece, found) {
                let problem = problem.within(&piece.place);
                // Whose a text in a ConfigMap is, is only certain for what is deployed that way.
                if piece.holder.is_none() || matches!(dialect, Dialect::Envoy | Dialect::Linkerd) || piece.resource().is_some() {
                    return Err(problem);
                }
                found.policies.truncate(before);
                let text = format!("passed over, because it is no document of {dialect}");
                found.skip(Note { path: piece.placed(&piece.path), text });
            }
            for loaded in &mut found.policies[before..] {
                loaded.origins.within(&piece.place, &piece.path);
                if let Some(holder) = &piece.holder {
                    loaded.name = Some(loaded.name.as_ref().map_or_else(|| holder.clone(), |name| format!("{holder}/{name}")));
                }
                if let Some(text) = guessed {
                    loaded.notes.push(Note { path: piece.path.clone(), text: (*text).to_owned() });
                }
                for note in &mut loaded.notes {
                    let path = if note.path.is_empty() { &piece.path } else { &note.path };
                    note.path = placed(&piece.place, path);
                }
            }
        }
        Ok(())
    }

    fn piece(&self, dialect: Dialect, piece: &Piece<'_>, found: &mut Found) -> Result<(), Problem> {
        let node = Node::at(piece.path.as_str(), &piece.value);
        match (dialect, piece.resource()) {
            (Dialect::Istio, resource) => istio::read(found, &node, resource, &self.mesh),
            (Dialect::EnvoyGateway, Some(resource)) => envoy_gateway::read(found, &node, resource, &self.gateway),
            (Dialect::Linkerd2, Some(resource)) => linkerd2::read(found, &node, resource, &self.services),
            (Dialect::EnvoyGateway | Dialect::Linkerd2, None) => Ok(()),
            (Dialect::Kgateway, _) => kgateway::read(found, &node, &self.bounds),
            // Their words stand in no resource.
            (_, Some(_)) => Ok(()),
            (Dialect::Reknock, None) => {
                let all = ours(&piece.value)?;
                all.into_iter().try_for_each(|loaded| found.add(loaded))
            }
            (Dialect::Envoy, None) => envoy::read(found, &node, &self.clusters),
            (Dialect::Linkerd, None) => linkerd::read(found, &node),
            (Dialect::Ballerina, None) => ballerina::read(found, &node),
            (Dialect::Ktor, None) => ktor::read(found, &node),
        }
    }
}

impl Policy {
    /// This policy, and what is to be known about it.
    fn with_notes(&self, notes: &[Note]) -> Policy {
        let mut settings = self.settings().clone();
        settings.notes = super::Notes::of(notes);
        Policy::of(settings)
    }
}
