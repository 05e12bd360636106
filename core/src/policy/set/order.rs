//! The set of other systems' policies: their matches as rules, in their systems' order.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::super::dialect::Loaded;
use super::super::node::Node;
use super::super::{MOST_ITEMS, Note, problem};
use super::{HostPattern, PathMatch, PolicySet, RequestMatch, Rule, Scope, document};
use crate::retry::Test;

impl PolicySet {
    /// The set of the policies of other systems' documents, by their own matches in their own order. What does not say which requests it is for is the
    /// default if it stands alone.
    pub(super) fn of_loaded(mut all: Vec<Loaded>) -> Self {
        distinct_names(&mut all);
        let mut notes = Vec::new();
        let mut rules: Vec<(Place, Rule)> = Vec::new();
        let default = matches!(all.as_slice(), [only] if only.scope.matches.is_empty() && !only.scope.partial).then_some(0);
        for silent in all.iter().filter(|loaded| loaded.scope.matches.is_empty() && default.is_none()) {
            let name = silent.name.as_deref().map(problem::document_name).unwrap_or_default();
            notes.push(Note { path: name, text: "no rule: nothing says which requests it is for".to_owned() });
        }
        for (at, loaded) in all.iter().enumerate() {
            for matching in loaded.scope.matches.iter().flat_map(RequestMatch::by_host) {
                if !can_tell(&matching) {
                    let name = loaded.name.as_deref().map(problem::path_name).unwrap_or_default();
                    notes.push(Note { path: name, text: format!("no rule: {} is no match", document::match_value(&matching)) });
                    continue;
                }
                rules.push((Place::of(&matching, &loaded.scope), Rule { matching, policy: at }));
            }
        }
        rules.sort_by(|(a, _), (b, _)| a.cmp(b));
        // What stands behind the same match would never be reached.
        let mut told = HashSet::new();
        let rules = rules.into_iter().map(|(_, rule)| rule).filter(|rule| told.insert(rule.match_value().to_string())).collect();
        PolicySet::new(all, rules, default, notes)
    }
}

/// The names of a set are different ones: a namespace in front, or a number behind.
fn distinct_names(all: &mut [Loaded]) {
    let mut borne: HashMap<String, usize> = HashMap::new();
    let own = |loaded: &Loaded| loaded.name.clone().unwrap_or_else(|| loaded.dialect.name().to_owned());
    all.iter().for_each(|loaded| *borne.entry(own(loaded)).or_default() += 1);
    let mut taken: HashMap<String, usize> = HashMap::new();
    for loaded in all {
        let mut name = own(loaded);
        if let (true, Some(namespace)) = (borne[&name] > 1, &loaded.scope.namespace) {
            name = format!("{namespace}/{name}");
        }
        let count = taken.entry(name.clone()).or_default();
        *count += 1;
        loaded.name = Some(if *count > 1 { format!("{name}#{count}") } else { name });
    }
}

/// Whether a match of another system's document is one of ours: no request has a method `G/x`, nor a path that does not begin with a slash.
fn can_tell(matching: &RequestMatch) -> bool {
    document::matching(&Node::at("match", &document::match_value(matching))).is_ok_and(|again| again == *matching)
}

impl RequestMatch {
    /// One for all exact hosts, and one for each with a `*`: they stand in different places among others.
    fn by_host(&self) -> Vec<RequestMatch> {
        let (exact, wild): (Vec<_>, Vec<_>) = self.hosts.iter().cloned().partition(HostPattern::is_exact);
        let with = |hosts: Vec<HostPattern>| RequestMatch { hosts, ..self.clone() };
        let any = (exact.is_empty() && wild.is_empty()).then(|| with(Vec::new()));
        let exact = exact.chunks(MOST_ITEMS).map(|hosts| with(hosts.to_vec()));
        any.into_iter().chain(exact).chain(wild.into_iter().map(|host| with(vec![host]))).collect()
    }
}

impl HostPattern {
    fn is_exact(&self) -> bool {
        !self.name.contains('*')
    }

    /// How special it is, the most special first: exact ones, endings and beginnings by their length, `*`; with a port before without.
    fn rank(&self) -> Rank {
        let kind = match self.name.as_str() {
            "*" => 3,
            name if name.starts_with('*') => 1,
            name if name.ends_with('*') => 2,
            _ => 0,
        };
        (kind, Reverse(if kind == 0 { 0 } else { self.name.len() }), self.port.is_none())
    }
}

type Rank = (u8, Reverse<usize>, bool);
type Special = (u8, Reverse<usize>, bool, Reverse<usize>, Reverse<usize>);

/// Where a rule of another system's document stands among others, the most special first: by its host; of the Gateway API then by its path, method,
/// header fields and query.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    host: Rank,
    route: Option<Special>,
    layer: u8,
}

impl Place {
    fn of(matching: &RequestMatch, scope: &Scope) -> Self {
        let any_host = (u8::MAX, Reverse(0), true);
        let host = matching.hosts.iter().map(HostPattern::rank).min().unwrap_or(any_host);
        let route = scope.by_path.then(|| {
            let (kind, length) = match &matching.path {
                Some(PathMatch::Test(Test::Exact(path, _))) => (0, path.len()),
                Some(PathMatch::Test(Test::Prefix(start, _)) | PathMatch::Segment(start)) => (1, start.len()),
                Some(PathMatch::Test(_)) => (2, 0),
                None => (3, 0),
            };
            (kind, Reverse(length), matching.methods.is_empty(), Reverse(matching.headers.len()), Reverse(matching.query.len()))
        });
        Place { host, route, layer: scope.layer }
    }
}
