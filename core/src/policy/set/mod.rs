//! Policy sets: which policy a request has, by its host, path, method, header fields and query.

mod document;
mod explain;
#[cfg(all(feature = "client", feature = "documents"))]
mod file;
#[cfg(feature = "documents")]
mod load;
mod matching;
#[cfg(feature = "documents")]
mod order;

use std::fmt;
use std::sync::Arc;

use super::dialect::{Loaded, Origins};
use super::{Dialect, Note, Policy, RequestHead};
use crate::error::Error;

pub use document::is_set;
pub(super) use document::set as read;
pub use matching::{HostPattern, PathMatch, RequestMatch};

/// Policies, and rules that say which of them a request has: the first rule that matches, else the default one.
///
/// Immutable; cheap to clone (one reference count) and to share between threads. A [`Policy`] is a set of one.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySet(Arc<Contents>);

#[derive(Clone, Debug, PartialEq)]
struct Contents {
    policies: Vec<Loaded>,
    rules: Vec<Rule>,
    /// Of `policies`.
    default: Option<usize>,
    /// What requests have that no rule is for, where there is no default.
    ours: Policy,
    notes: super::dialect::Notes,
    #[cfg(all(feature = "client", feature = "documents"))]
    file: Option<file::File>,
}

/// Requests, and the policy they have.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Which requests.
    pub matching: RequestMatch,
    /// Where the policy stands in [`PolicySet::policies`].
    pub policy: usize,
}

/// What a set chose for a request.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Chosen<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Its name in the set; `None` for a set of one, and for reknock's defaults where nothing else is said.
    pub name: Option<&'a str>,
    /// The number of the rule that matched, from 1; `None` where none did.
    pub rule: Option<usize>,
}

/// Where a policy of another system's document applies, and how it is sorted among others.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scope {
    pub(crate) matches: Vec<RequestMatch>,
    /// Of two for the same requests the lower one comes first: a rule's own policy, its route's, its gateway's.
    pub(crate) layer: u8,
    /// Routes of the Gateway API, and what they may be laid over, are sorted by how special they are; all others stay in their order.
    pub(crate) by_path: bool,
    /// Some of its requests cannot be told, so that it is not for all.
    pub(crate) partial: bool,
    /// The resource's, which stands in front of a name that several bear.
    pub(crate) namespace: Option<String>,
}

const NO_DEFAULT: &str = "no default: requests that no rule is for have reknock's defaults";

impl From<Policy> for PolicySet {
    fn from(policy: Policy) -> Self {
        let origins = Origins::default();
        let one = Loaded { name: None, dialect: Dialect::Reknock, policy, notes: Vec::new(), scope: Scope::default(), origins };
        PolicySet::new(vec![one], Vec::new(), Some(0), Vec::new())
    }
}

impl Default for PolicySet {
    fn default() -> Self {
        Policy::default().into()
    }
}

impl PolicySet {
    fn new(policies: Vec<Loaded>, rules: Vec<Rule>, default: Option<usize>, mut notes: Vec<Note>) -> Self {
        if default.is_none() {
            notes.push(Note { path: String::new(), text: NO_DEFAULT.to_owned() });
        }
        let notes = super::dialect::Notes::of(&notes);
        PolicySet(Arc::new(Contents {
            policies,
            rules,
            default,
            ours: Policy::default(),
            notes,
            #[cfg(all(feature = "client", feature = "documents"))]
            file: None,
        }))
    }

    /// Whether it is a set's own document, and no other system's nor a policy's.
    #[cfg(all(feature = "documents", feature = "simulate"))]
    pub(crate) fn is_of_ours(&self) -> bool {
        self.policies().iter().all(|loaded| loaded.dialect == Dialect::Reknock && loaded.name.is_some())
    }

    /// The policies, in the order of their document.
    pub fn policies(&self) -> &[Loaded] {
        &self.0.policies
    }

    /// The rules, in the order they are tried.
    pub fn rules(&self) -> &[Rule] {
        &self.0.rules
    }

    /// The policy of requests that no rule is for: the set's default, else reknock's.
    pub fn default_policy(&self) -> &Policy {
        self.0.default.map_or(&self.0.ours, |at| &self.0.policies[at].policy)
    }

    /// Its name, if the set names one.
    pub fn default_name(&self) -> Option<&str> {
        self.0.policies[self.0.default?].name.as_deref()
    }

    /// What is to be known about the set as a whole; what is to be known of one policy stands there.
    pub fn notes(&self) -> &[Note] {
        self.0.notes.as_slice()
    }

    /// The policy of a request.
    pub fn for_request(&self, request: &RequestHead<'_>) -> Chosen<'_> {
        match self.0.rules.iter().position(|rule| rule.matching.matches(request)) {
            Some(at) => {
                let loaded = &self.0.policies[self.0.rules[at].policy];
                Chosen { policy: &loaded.policy, name: loaded.name.as_deref(), rule: Some(at + 1) }
            }
            None => Chosen { policy: self.default_policy(), name: self.default_name(), rule: None },
        }
    }

    /// This set with each policy changed alike, that of requests without a rule too: with another timeout, or a seed. If its file is watched, what is
    /// read anew is changed likewise.
    ///
    /// # Errors
    /// The first one of `change`.
    pub fn with(&self, change: impl Fn(&Policy) -> Result<Policy, Error> + Send + Sync + 'static) -> Result<PolicySet, Error> {
        let set = self.changed(&change)?;
        #[cfg(all(feature = "client", feature = "documents"))]
        if let Some(file) = &self.0.file {
            return Ok(set.of_file(file.clone().changed(Arc::new(change))));
        }
        Ok(set)
    }

    fn changed(&self, change: &dyn Fn(&Policy) -> Result<Policy, Error>) -> Result<PolicySet, Error> {
        let mut contents = (*self.0).clone();
        for policy in contents.policies.iter_mut().map(|loaded| &mut loaded.policy).chain([&mut contents.ours]) {
            *policy = change(policy)?;
        }
        Ok(PolicySet(Arc::new(contents)))
    }

    #[cfg(all(feature = "client", feature = "documents"))]
    fn of_file(&self, file: file::File) -> PolicySet {
        PolicySet(Arc::new(Contents { file: Some(file), ..(*self.0).clone() }))
    }

    /// The file that it follows, if it does.
    #[cfg(all(feature = "client", feature = "documents"))]
    pub(crate) fn file(&self) -> Option<&file::File> {
        self.0.file.as_ref()
    }

    /// Whether both are the same one, not only alike.
    #[cfg(feature = "client")]
    pub(crate) fn is(&self, other: &PolicySet) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Every policy that a request may have.
    #[cfg(feature = "client")]
    pub(crate) fn all(&self) -> impl Iterator<Item = &Policy> {
        self.0.policies.iter().map(|loaded| &loaded.policy).chain([self.default_policy()])
    }

    /// The longest silence that one of its policies bears; `None` for any.
    #[cfg(feature = "client")]
    pub(crate) fn longest_silence(&self) -> Option<std::time::Duration> {
        self.all().map(Policy::idle_timeout).reduce(|one, other| Some(one?.max(other?))).flatten()
    }
}

/// One line of YAML.
impl fmt::Display for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_value().fmt(f)
    }
}
