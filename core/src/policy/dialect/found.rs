//! The policies found so far, within bounds: what is small in a text may stand for much.

use super::super::problem::Problem;
use super::{Loaded, Note};

/// How much one text may hold.
#[derive(Clone, Copy)]
pub(in super::super) struct Limits {
    policies: usize,
    /// Header matchers of all policies; each may be a regular expression to compile.
    matchers: usize,
}

impl Limits {
    /// Of a text or a value, which may be anyone's.
    pub(in super::super) const TEXT: Limits = Limits { policies: 1000, matchers: 10_000 };
    /// Of a file that the caller names.
    #[cfg_attr(not(feature = "documents"), allow(dead_code, reason = "files are read with the feature documents"))]
    pub(in super::super) const FILE: Limits = Limits { policies: 20_000, matchers: 20_000 };
}

/// Blocks that are compared with each other.
const MOST_BLOCKS: usize = 1000;

pub(super) struct Found {
    pub(super) policies: Vec<Loaded>,
    limits: Limits,
    matchers: usize,
    blocks: usize,
    /// Notes on what was passed over.
    pub(super) skipped: Vec<Note>,
    /// What is wrong with the first of these, told if nothing else is found.
    pub(super) mistake: Option<Problem>,
}

/// Notes on the whole file.
const MOST_SKIPPED: usize = 20;

impl Found {
    pub(super) fn within(limits: Limits) -> Self {
        Found { policies: Vec::new(), limits, matchers: 0, blocks: 0, skipped: Vec::new(), mistake: None }
    }

    /// Passes over something.
    pub(super) fn skip(&mut self, note: Note) {
        if self.skipped.len() < MOST_SKIPPED {
            self.skipped.push(note);
        }
    }

    /// Passes over code, which may have a mistake.
    pub(super) fn code(&mut self, note: Note, mistake: Option<Problem>) {
        self.skip(note);
        self.mistake = self.mistake.take().or(mistake);
    }

    pub(super) fn add(&mut self, loaded: Loaded) -> Result<(), Problem> {
        let settings = loaded.policy.settings();
        self.matchers += settings.response_headers.len() + settings.request_headers.len();
        self.matchers += settings.aside.as_ref().map_or(0, |aside| aside.response_headers.len());
        self.policies.push(loaded);
        if self.matchers > self.limits.matchers {
            return Err(Problem::new(
                "policy",
                format!("all of them must have at most {} header matchers in one text", self.limits.matchers),
            ));
        }
        if self.policies.len() > self.limits.policies { Err(too_many(self.limits.policies)) } else { Ok(()) }
    }

    /// An error if there are more of these in the text than can be compared.
    pub(super) fn blocks(&mut self, more: usize) -> Result<(), Problem> {
        self.blocks += more;
        if self.blocks > MOST_BLOCKS { Err(too_many(MOST_BLOCKS)) } else { Ok(()) }
    }
}

fn too_many(most: usize) -> Problem {
    Problem::new("policy", format!("must be at most {most} in one text"))
}
