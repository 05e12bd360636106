//! What include/reknock.h declares.

use super::root;

/// A function of the header.
pub struct Function {
    pub comment: String,
    pub returns: String,
    pub name: String,
    pub parameters: Vec<Parameter>,
}

pub struct Parameter {
    /// Without `struct`.
    pub kind: String,
    pub name: String,
}

impl Parameter {
    pub fn is_pointer(&self) -> bool {
        self.kind.ends_with('*') || self.is_function()
    }

    pub fn is_function(&self) -> bool {
        self.kind.ends_with("_fn")
    }
}

pub fn text() -> String {
    std::fs::read_to_string(root().join("include/reknock.h")).unwrap()
}

/// Everything with a comment before it: the comment, and the first line or, of functions, all of it.
pub fn items() -> Vec<(String, String)> {
    let text = text();
    let documented = text.split("/**\n").skip(1).filter_map(|piece| {
        let (comment, rest) = piece.split_once("*/")?;
        let comment: Vec<&str> = comment.lines().map(|line| line.trim_start().trim_start_matches('*').trim()).collect();
        let first = rest.trim_start();
        let end = if first.starts_with("#define") || first.contains("{\n") && first.find('{') < first.find(';') { '\n' } else { ';' };
        let declared = first.split(end).next()?.split_whitespace().collect::<Vec<_>>().join(" ");
        Some((comment.join(" ").trim().to_owned(), declared))
    });
    documented.collect()
}

pub fn functions() -> Vec<Function> {
    let declared = items().into_iter().filter_map(|(comment, declared)| {
        let (head, parameters) = declared.strip_suffix(')')?.split_once('(')?;
        let (returns, name) = typed(head)?;
        let parameters = parameters.split(',').filter_map(typed);
        let parameters = parameters.map(|(kind, name)| Parameter { kind, name }).collect();
        name.starts_with("reknock_").then_some(Function { comment, returns, name, parameters })
    });
    declared.filter(|function| !function.returns.starts_with("typedef")).collect()
}

/// The comment of a type.
pub fn about_type(name: &str) -> Option<String> {
    let is_it = |declared: &str| {
        let declared = declared.trim_end_matches([';', '{', ' ']);
        declared.starts_with("typedef") && (declared.ends_with(&format!(" {name}")) || declared.contains(&format!("(*{name})")))
    };
    items().into_iter().find(|(_, declared)| is_it(declared)).map(|(comment, _)| comment)
}

/// A type and the name after it.
fn typed(text: &str) -> Option<(String, String)> {
    let text = text.trim().replace("struct ", "");
    let (kind, name) = text.rsplit_once([' ', '*'])?;
    let pointer = &text[kind.len()..text.len() - name.len()];
    Some((format!("{}{}", kind, pointer.trim()).trim().replace(" *", "*"), name.to_owned()))
}

/// The function's own words, and those of the functions it refers to.
pub fn words(function: &Function, all: &[Function]) -> String {
    let mut words = function.comment.clone();
    for other in all {
        let refers = ["As ", "as ", "See "].iter().any(|how| {
            let reference = format!("{how}{}", other.name);
            function.comment.match_indices(&reference).any(|(at, found)| {
                !function.comment[at + found.len()..].starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_')
            })
        });
        if refers && other.name != function.name {
            words.push(' ');
            words.push_str(&other.comment);
        }
    }
    words
}
