//! Where in its text a policy is from.

use super::super::problem::placed;

/// The places in a text that the parts of a policy were made from. No part of what it says, so all are equal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    /// `document 2`, if there are several.
    document: String,
    parts: Parts,
}

#[derive(Clone, Debug)]
enum Parts {
    /// All of it stands there, by our own keys.
    Ours(String),
    /// Ours, and theirs.
    Theirs(Vec<(String, String)>),
}

impl Default for Parts {
    fn default() -> Self {
        Parts::Ours(String::new())
    }
}

impl PartialEq for Origins {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Origins {
    /// Of a policy that stands there, by our own keys.
    pub(in super::super) fn ours(path: impl Into<String>) -> Self {
        Origins { document: String::new(), parts: Parts::Ours(path.into()) }
    }

    /// Pairs of paths: ours, and of the original.
    pub(super) fn theirs(parts: Vec<(String, String)>) -> Self {
        Origins { document: String::new(), parts: Parts::Theirs(parts) }
    }

    /// What was read by itself is a part of a text.
    pub(super) fn within(&mut self, document: &str, path: &str) {
        document.clone_into(&mut self.document);
        if let Parts::Ours(part) = &mut self.parts {
            *part = below(path, part);
        }
    }

    /// The path in the text of what a key of ours (`backoff.max`) was made from; of what holds all of the policy, if nothing there says it.
    pub(in super::super) fn of(&self, key: &str) -> String {
        let path = match &self.parts {
            Parts::Ours(part) => below(part, key),
            Parts::Theirs(parts) => {
                let within = |part: &str| key.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
                let longest = parts.iter().filter(|(ours, theirs)| within(ours) && !theirs.is_empty()).max_by_key(|(ours, _)| ours.len());
                longest.map_or_else(|| common(parts.iter().map(|(_, theirs)| theirs.as_str())).to_owned(), |(_, theirs)| theirs.clone())
            }
        };
        placed(&self.document, &path)
    }
}

fn below(path: &str, key: &str) -> String {
    match (path, key) {
        ("", only) | (only, "") => only.to_owned(),
        _ => format!("{path}.{key}"),
    }
}

/// What holds all of these; empty if nothing does.
fn common<'a>(paths: impl Iterator<Item = &'a str>) -> &'a str {
    let is_end = |path: &str, at: usize| path.len() == at || path[at..].starts_with(['.', '[']);
    paths
        .filter(|path| !path.is_empty())
        .reduce(|one, other| {
            let same = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
            let ends = |at: &usize| one.is_char_boundary(*at) && other.is_char_boundary(*at) && is_end(one, *at) && is_end(other, *at);
            &one[..(0..=same).rev().find(ends).unwrap_or(0)]
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Origins, common};

    #[test]
    fn parts_are_found_by_the_longest_key_and_else_by_what_holds_them_all() {
        let pair = |ours: &str, theirs: &str| (ours.to_owned(), theirs.to_owned());
        let mut origins = Origins::theirs(vec![
            pair("backoff", "spec.http[0].retries.backoff"),
            pair("backoff.max", "spec.http[0].retries.cap"),
            pair("timeout", "spec.http[0].timeout"),
        ]);
        assert_eq!(origins.of("backoff.jitter"), "spec.http[0].retries.backoff");
        assert_eq!(origins.of("backoff.max"), "spec.http[0].retries.cap");
        assert_eq!(origins.of("budget"), "spec.http[0]");
        origins.within("document 2", "");
        assert_eq!(origins.of("timeout"), "document 2, spec.http[0].timeout");
        assert_eq!(Origins::ours("policies.a").of("budget.ratio"), "policies.a.budget.ratio");
        assert_eq!(Origins::default().of("budget"), "budget");
    }

    #[test]
    fn paths_have_steps_in_common_not_letters() {
        assert_eq!(common(["a.bc", "a.bd"].into_iter()), "a");
        assert_eq!(common(["a[1]", "a[12].b"].into_iter()), "a");
        assert_eq!(common(["a.b", "a.b.c", ""].into_iter()), "a.b");
        assert_eq!(common(["é.b", "è.b"].into_iter()), "");
        assert_eq!(common(std::iter::empty()), "");
    }
}
