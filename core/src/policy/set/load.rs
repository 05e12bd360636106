//! Sets of files and texts, ours and other systems'.

use std::path::Path;

use super::super::text::{self, Loads};
use super::super::{Dialect, Value, read_all_from_value};
use super::{PolicySet, is_set};
use crate::error::Error;

impl PolicySet {
    /// The set of a file: ours, a policy's, or all that the documents of another system say, by their own matches: VirtualServices, HTTPRoutes, virtual
    /// hosts, ServiceProfiles. What [`load_all`](super::super::load_all) says of files holds.
    ///
    /// # Errors
    /// As [`load_all`](super::super::load_all).
    pub fn load(path: impl AsRef<Path>, dialect: Option<Dialect>) -> Result<PolicySet, Error> {
        text::load(path.as_ref(), dialect).map(PolicySet::of_loads)
    }

    /// The set of a text, as [`read_all`](super::super::read_all) reads it.
    ///
    /// # Errors
    /// As [`read_all`](super::super::read_all).
    pub fn read(text: &str, dialect: Option<Dialect>) -> Result<PolicySet, Error> {
        text::read_text(text, dialect).map(PolicySet::of_loads)
    }

    /// The set of a value, as [`read_all_from_value`](super::super::read_all_from_value) reads it.
    ///
    /// # Errors
    /// As [`read_all_from_value`](super::super::read_all_from_value).
    pub fn read_value(document: &Value, dialect: Option<Dialect>) -> Result<PolicySet, Error> {
        match is_set(document) {
            true => PolicySet::from_value(document),
            false => read_all_from_value(document, dialect).map(|all| PolicySet::of_loads(Loads::Policies(all))),
        }
    }

    fn of_loads(loads: Loads) -> Self {
        match loads {
            Loads::Set(set) => set,
            Loads::Policies(all) => match all.as_slice() {
                [only] if only.dialect == Dialect::Reknock => only.policy.clone().into(),
                _ => PolicySet::of_loaded(all),
            },
        }
    }
}
