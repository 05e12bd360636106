//! Where in a text the value stands that an error is about. Looked for only once there is an error.

use saphyr_parser::{Event, Parser, Span, StrInput};
use toml::de::{DeTable, DeValue};

use super::super::problem::path_name;
use super::{Language, ballerina, line_and_column};

/// Line and column, from 1, of the key or item that a path (`a.b[0].c`, perhaps `document 2, a.b`) leads to, or of the nearest on the
/// way; `None` if its first step leads nowhere.
pub(super) fn place(language: Language, text: &str, path: &str) -> Option<(usize, usize)> {
    let (document, path) = of_document(path);
    match language {
        Language::Yaml => in_yaml(text, document, Steps(path)),
        // Every JSON is YAML but for tabs.
        Language::Json => in_yaml(&text.replace('\t', " "), 0, Steps(path)),
        Language::Toml => in_toml(text, Steps(path)),
        Language::Ballerina => ballerina::place(text, Steps(path)).map(|at| line_and_column(text, at)),
    }
}

/// The index of the document, and the path in it.
fn of_document(path: &str) -> (usize, &str) {
    let Some(rest) = path.strip_prefix("document ") else { return (0, path) };
    let (number, path) = rest.split_once(", ").unwrap_or((rest, ""));
    (number.parse::<usize>().map_or(0, |number| number.saturating_sub(1)), path)
}

/// What is left of a path.
#[derive(Clone, Copy)]
pub(super) struct Steps<'p>(&'p str);

impl<'p> Steps<'p> {
    /// After a key; `None` if the path does not go there.
    pub(super) fn key(self, name: &str) -> Option<Self> {
        // Not in vain: most keys differ in the first letter.
        let first = name.chars().next().filter(|c| !c.is_control());
        first.filter(|first| self.0.starts_with(*first))?;
        self.after(&path_name(name))
    }

    /// After the item with this index.
    pub(super) fn item(self, index: usize) -> Option<Self> {
        self.after(&format!("[{index}]"))
    }

    fn after(self, step: &str) -> Option<Self> {
        let rest = self.0.strip_prefix(step)?;
        match rest.chars().next() {
            None | Some('[') => Some(Steps(rest)),
            Some('.') => Some(Steps(&rest[1..])),
            Some(_) => None,
        }
    }

    pub(super) fn left(self) -> usize {
        self.0.len()
    }
}

fn in_yaml(text: &str, document: usize, steps: Steps<'_>) -> Option<(usize, usize)> {
    let mut walk = Walk { parser: Parser::new_from_str(text), found: None };
    let mut begun = 0;
    loop {
        if let Event::DocumentStart(_) = walk.next()?.0 {
            begun += 1;
        }
        if begun > document {
            // Ends early where the value is found.
            let _ = walk.node(Some(steps));
            return walk.found;
        }
    }
}

struct Walk<'t> {
    parser: Parser<'t, StrInput<'t>>,
    found: Option<(usize, usize)>,
}

impl<'t> Walk<'t> {
    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        self.parser.next_event()?.ok()
    }

    /// Passes a node, or goes down into it if there are steps. `None`: it was found, or there is no more.
    fn node(&mut self, steps: Option<Steps<'_>>) -> Option<()> {
        match self.next()?.0 {
            Event::MappingStart(..) => loop {
                let (key, span) = self.next()?;
                let after = match &key {
                    Event::MappingEnd => return Some(()),
                    Event::Scalar(name, ..) => steps.and_then(|steps| steps.key(name)),
                    _ => return None,
                };
                self.child(after, &span)?;
            },
            Event::SequenceStart(..) => {
                for index in 0.. {
                    let after = steps.and_then(|steps| steps.item(index));
                    let (event, span) = self.parser.peek()?.ok()?;
                    let (is_end, span) = (matches!(event, Event::SequenceEnd), *span);
                    if is_end {
                        self.next()?;
                        return Some(());
                    }
                    self.child(after, &span)?;
                }
                None
            }
            _ => Some(()),
        }
    }

    fn child(&mut self, after: Option<Steps<'_>>, span: &Span) -> Option<()> {
        if after.is_some() {
            self.found = Some((span.start.line(), span.start.col() + 1));
        }
        self.node(after)?;
        // Found, though perhaps not to the last step.
        if after.is_some() { None } else { Some(()) }
    }
}

fn in_toml(text: &str, steps: Steps<'_>) -> Option<(usize, usize)> {
    let table = DeTable::parse(text).ok()?;
    let mut at = None;
    toml_table(table.get_ref(), steps, &mut at);
    at.map(|at| line_and_column(text, at))
}

fn toml_table(table: &DeTable<'_>, steps: Steps<'_>, at: &mut Option<usize>) {
    if let Some((key, value, after)) = table.iter().find_map(|(key, value)| Some((key, value, steps.key(key.get_ref())?))) {
        *at = Some(key.span().start);
        toml_value(value.get_ref(), after, at);
    }
}

fn toml_value(value: &DeValue<'_>, steps: Steps<'_>, at: &mut Option<usize>) {
    match value {
        DeValue::Table(table) => toml_table(table, steps, at),
        DeValue::Array(items) => {
            if let Some((item, after)) = items.iter().enumerate().find_map(|(index, item)| Some((item, steps.item(index)?))) {
                *at = Some(item.span().start);
                toml_value(item.get_ref(), after, at);
            }
        }
        _ => {}
    }
}
