//! Ballerina source, as far as a `retryConfig` record and what stands around it: comments, calls and other code are passed over.

use super::super::dialect::{CODE, NO_LITERAL};
use super::super::problem::path_name;
use super::super::value::Value;
use super::place::Steps;
use super::{Bounds, MOST_DEPTH, Mistake, given_twice, line_and_column, too_deep, too_many};

/// Maps of what is written as `key: value` or `key = value`, nested like the brackets; a group without a name has an empty key.
pub(super) fn read(text: &str, bounds: Bounds) -> Result<Value, Mistake> {
    Reader { text, at: 0, nodes: 0, bounds, sought: None, found: None }.group(None, 0)
}

/// The byte at which the key or item stands that `steps` lead to.
pub(super) fn place(text: &str, steps: Steps<'_>) -> Option<usize> {
    let mut reader = Reader { text, at: 0, nodes: 0, bounds: Bounds::FILE, sought: Some(steps), found: None };
    // Whatever is wrong, the text was read before.
    let _ = reader.group(None, 0);
    reader.found.map(|(_, at)| at)
}

/// Whether a text holds the record in source form.
pub(super) fn is_source(text: &str) -> bool {
    let is_manifest = || text.lines().any(|line| line.starts_with("apiVersion:") || line.starts_with("---"));
    if text.contains("import ballerina/") {
        return true;
    }
    !is_manifest()
        && text.match_indices("retryConfig").any(|(at, word)| {
            let rest = text[at + word.len()..].trim_start_matches(['"', '\'']).trim_start();
            rest.strip_prefix([':', '=']).is_some_and(|rest| rest.trim_start().starts_with('{'))
        })
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(Value),
    Mark(char),
    End,
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    nodes: usize,
    bounds: Bounds,
    /// The steps that are left from here to what is looked for.
    sought: Option<Steps<'t>>,
    /// How many letters of the steps were left at the nearest so far, and where it stands.
    found: Option<(usize, usize)>,
}

type Read<T> = Result<T, Mistake>;

impl<'t> Reader<'t> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn mistake<T>(&self, at: usize, message: impl Into<String>) -> Read<T> {
        Err(Mistake::at_byte(self.text, at, message))
    }

    fn skip_space(&mut self) {
        loop {
            let rest = self.rest();
            let spaces = rest.len() - rest.trim_start().len();
            self.at += spaces;
            // Comments, and the lines of documentation.
            if !self.rest().starts_with("//") && !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    /// The next token and where it begins.
    fn next(&mut self) -> Read<(usize, Token)> {
        self.skip_space();
        let start = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok((start, Token::End)) };
        if first == '"' || first == '`' {
            return self.quoted(start, first).map(|text| (start, Token::Text(text)));
        }
        if first.is_ascii_digit() || (first == '.' && self.rest()[1..].starts_with(|c: char| c.is_ascii_digit())) {
            return Ok((start, Token::Number(self.number(start))));
        }
        if first.is_alphabetic() || first == '_' || first == '\'' {
            let mut end = 0;
            for (i, c) in self.rest().char_indices() {
                let qualifies = c == ':' && self.rest()[i + 1..].starts_with(|c: char| c.is_alphabetic() || c == '_');
                if !(c.is_alphanumeric() || c == '_' || (i == 0 && c == '\'') || qualifies) {
                    break;
                }
                end = i + c.len_utf8();
            }
            let word = self.rest()[..end].trim_start_matches('\'').to_owned();
            self.at += end;
            return Ok((start, Token::Word(word)));
        }
        self.at += first.len_utf8();
        Ok((start, Token::Mark(first)))
    }

    fn peek(&mut self) -> Read<Token> {
        let before = self.at;
        let token = self.next().map(|(_, token)| token);
        self.at = before;
        token
    }

    fn quoted(&mut self, start: usize, quote: char) -> Read<String> {
        let mut text = String::new();
        let mut escaped = false;
        for (i, c) in self.text[start + 1..].char_indices() {
            match c {
                _ if escaped => {
                    text.push(c);
                    escaped = false;
                }
                '\\' if quote == '"' => escaped = true,
                '\n' if quote == '"' => break,
                c if c == quote => {
                    self.at = start + 1 + i + 1;
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        self.mistake(start, "text without an end")
    }

    /// `3`, `2.0`, `2.5d`, `1e3`, `2f`.
    fn number(&mut self, start: usize) -> Value {
        let rest = &self.text[start..];
        let mut end = 0;
        for (i, c) in rest.char_indices() {
            let sign = matches!(c, '+' | '-') && rest[..i].ends_with(['e', 'E']);
            if !(c.is_ascii_alphanumeric() || c == '.' || sign) {
                break;
            }
            end = i + 1;
        }
        self.at = start + end;
        let digits = rest[..end].strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(&rest[..end]);
        let suffixed = digits.len() != end;
        if !suffixed && let Ok(whole) = digits.parse::<i64>() {
            return Value::Int(whole);
        }
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Value::number(number),
            // Of some code: `0..<10`, `0x1f`, a version.
            _ => Value::Str(rest[..end].to_owned()),
        }
    }

    /// Reads something one step further on.
    fn step<T>(&mut self, at: usize, take: impl FnOnce(Steps<'t>) -> Option<Steps<'t>>, read: impl FnOnce(&mut Self) -> T) -> T {
        let here = self.sought;
        self.sought = here.and_then(take);
        if let Some(steps) = self.sought
            && self.found.is_none_or(|(left, _)| steps.left() < left)
        {
            self.found = Some((steps.left(), at));
        }
        let read = read(self);
        self.sought = here;
        read
    }

    fn count(&mut self, at: usize) -> Read<()> {
        self.nodes += 1;
        if self.nodes > self.bounds.nodes { self.mistake(at, too_many(self.bounds)) } else { Ok(()) }
    }

    /// Any code up to `close`, of which only what looks like `key: value` is kept.
    fn group(&mut self, close: Option<char>, depth: usize) -> Read<Value> {
        let opened = self.at;
        if depth > MOST_DEPTH {
            return self.mistake(opened, too_deep());
        }
        let mut entries = Vec::new();
        let mut pending: Option<(usize, String)> = None;
        // Whether what follows is no HTTP client's: another module's, or a type.
        let mut foreign = false;
        loop {
            let (start, token) = self.next()?;
            self.count(start)?;
            match token {
                Token::End => match close {
                    None => return Ok(Value::Map(entries)),
                    Some(close) => return self.mistake(opened, format!("no {close} closes this")),
                },
                Token::Mark(mark) if Some(mark) == close => return Ok(Value::Map(entries)),
                Token::Mark(open @ ('{' | '(' | '[')) => {
                    let inner = |reader: &mut Self| reader.group(Some(closing(open)), depth + 1);
                    let entry = match pending.take() {
                        Some((at, name)) => {
                            let inner = self.step(at, |steps| steps.key(&name), inner)?;
                            (name, inner)
                        }
                        None => (String::new(), inner(self)?),
                    };
                    entries.extend((!foreign).then_some(entry));
                }
                Token::Mark(mark @ ('}' | ')' | ']')) => return self.mistake(start, format!("{mark} closes nothing")),
                Token::Mark(';') => (pending, foreign) = (None, false),
                Token::Word(key) | Token::Text(key) => match self.separator()? {
                    None if key == "record" || key.ends_with(":Client") => foreign = !key.starts_with("http:"),
                    None => {}
                    Some('=') if key != "retryConfig" && matches!(self.peek()?, Token::Word(_)) => pending = Some((start, key)),
                    Some(_) => {
                        let value = self.step(start, |steps| steps.key(&key), |reader| reader.value(&key, depth))?;
                        entries.extend(value.map(|value| (key, value)));
                    }
                },
                Token::Mark(_) | Token::Number(_) => {}
            }
        }
    }

    /// `:` or `=`, but not `==` and `=>`.
    fn separator(&mut self) -> Read<Option<char>> {
        let Token::Mark(mark @ (':' | '=')) = self.peek()? else { return Ok(None) };
        self.next()?;
        if mark == '=' && self.rest().starts_with(['=', '>']) {
            self.at += 1;
            return Ok(None);
        }
        Ok(Some(mark))
    }

    /// The value of a key in any code; `None` if it is none that can be kept.
    fn value(&mut self, key: &str, depth: usize) -> Read<Option<Value>> {
        match self.peek()? {
            Token::Mark('{') if key == "retryConfig" => {
                let (opened, _) = self.next()?;
                let before = self.at;
                match self.record(depth + 1) {
                    Ok(record) => Ok(Some(record)),
                    Err(mistake) => {
                        // Code in place of a literal: another client's record may be read.
                        self.at = before;
                        let place = mistake.place.unwrap_or_else(|| line_and_column(self.text, opened));
                        match self.group(Some('}'), depth + 1) {
                            Ok(_) => Ok(Some(code(place, &mistake.text))),
                            Err(_) => Err(mistake),
                        }
                    }
                }
            }
            Token::Mark('{') => {
                self.next()?;
                self.group(Some('}'), depth + 1).map(Some)
            }
            Token::Mark('[' | '-' | '(') | Token::Number(_) | Token::Text(_) if !key.is_empty() => {
                let before = self.at;
                // Brackets around code are code.
                match self.strict(depth) {
                    Ok(value) => Ok(Some(value)),
                    Err(_) => {
                        self.at = before;
                        Ok(None)
                    }
                }
            }
            Token::Word(word) if key == "retryConfig" && named(word.clone()) != Value::Null => {
                let (at, _) = self.next()?;
                Ok(Some(code(line_and_column(self.text, at), NO_LITERAL)))
            }
            Token::Word(word) => {
                self.next()?;
                Ok(Some(named(word)))
            }
            _ => Ok(None),
        }
    }

    /// The record itself: nothing in it is passed over.
    fn record(&mut self, depth: usize) -> Read<Value> {
        let opened = self.at;
        let mut entries: Vec<(String, Value)> = Vec::new();
        loop {
            let (start, token) = self.next()?;
            self.count(start)?;
            let key = match token {
                Token::Mark('}') => return Ok(Value::Map(entries)),
                Token::Word(key) | Token::Text(key) => key,
                Token::End => return self.mistake(opened, "no } closes this"),
                _ => return self.mistake(start, "expected a key"),
            };
            if entries.iter().any(|(known, _)| *known == key) {
                return self.mistake(start, given_twice(&key));
            }
            if self.separator()?.is_none() {
                return self.mistake(start, format!("expected : after {}", path_name(&key)));
            }
            let value = self.step(start, |steps| steps.key(&key), |reader| reader.strict(depth))?;
            entries.push((key, value));
            match self.next()? {
                (_, Token::Mark(',')) => {}
                (_, Token::Mark('}')) => return Ok(Value::Map(entries)),
                (at, _) => return self.mistake(at, "expected , or }"),
            }
        }
    }

    /// A literal: a number, text, a word, a list, a record, nil.
    fn strict(&mut self, depth: usize) -> Read<Value> {
        let (start, token) = self.next()?;
        self.count(start)?;
        if depth > MOST_DEPTH {
            return self.mistake(start, too_deep());
        }
        match token {
            Token::Number(Value::Str(_)) => self.mistake(start, "not a number"),
            Token::Number(number) => Ok(number),
            Token::Text(text) => Ok(Value::Str(text)),
            Token::Word(word) => match named(word) {
                // What is no constant of a module is a variable.
                Value::Str(word) if !word.contains(':') => self.mistake(start, format!("{} is no literal", path_name(&word))),
                value => Ok(value),
            },
            Token::Mark('-') => match self.next()? {
                (_, Token::Number(Value::Int(number))) => Ok(Value::Int(-number)),
                (_, Token::Number(Value::Float(number))) => Ok(Value::Float(-number)),
                (at, _) => self.mistake(at, "not a number"),
            },
            Token::Mark('{') => self.record(depth + 1),
            Token::Mark('(') if self.peek()? == Token::Mark(')') => self.next().map(|_| Value::Null),
            Token::Mark('[') => {
                let mut items = Vec::new();
                loop {
                    if self.peek()? == Token::Mark(']') {
                        self.next()?;
                        return Ok(Value::List(items));
                    }
                    self.skip_space();
                    let (at, index) = (self.at, items.len());
                    items.push(self.step(at, |steps| steps.item(index), |reader| reader.strict(depth + 1))?);
                    match self.next()? {
                        (_, Token::Mark(',')) => {}
                        (_, Token::Mark(']')) => return Ok(Value::List(items)),
                        (at, _) => return self.mistake(at, "expected , or ]"),
                    }
                }
            }
            _ => self.mistake(start, "expected a value"),
        }
    }
}

fn named(word: String) -> Value {
    match word.as_str() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        _ => Value::Str(word),
    }
}

/// What stands for a `retryConfig` that cannot be read.
fn code((line, column): (usize, usize), what: &str) -> Value {
    Value::Other(format!("{CODE}{line}, column {column}: {what}"))
}

const fn closing(open: char) -> char {
    match open {
        '{' => '}',
        '(' => ')',
        _ => ']',
    }
}
