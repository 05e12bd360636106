//! Files and texts of any dialect: the language by the file's name or by its looks, the dialect by its keys or by name.

use std::collections::HashMap;
use std::path::Path;

use super::super::dialect::{self, Dialect, Limits, Loaded};
use super::super::problem::Problem;
use super::super::{Keys, Policy, PolicySet, Value, set, shown_path};
use super::place::place;
use super::{Bounds, Language, ballerina, read_file, without_mark};
use crate::error::{Error, ErrorKind};

/// The policies of a file, in the order they stand there: `.yaml`, `.yml`, `.json`, `.toml`, or `.bal` for Ballerina source; at most
/// 64 MiB and 20,000 policies. The dialects are recognised by resources and keys unless one is named. YAML may hold several documents, and
/// a file other things.
///
/// # Errors
/// `config`, beginning with the path: the file cannot be read (the error's source says why), its name has another ending, the keys of one
/// document belong to several dialects, it holds no policy, or what is wrong in one of them, with the line and column.
pub fn load_all(path: impl AsRef<Path>, dialect: Option<Dialect>) -> Result<Vec<Loaded>, Error> {
    load(path.as_ref(), dialect).map(Loads::policies)
}

/// The policies of a text, as [`load_all`] reads those of a file: JSON, TOML, YAML or Ballerina source, by its looks; at most 1 MiB,
/// 100,000 values and 1,000 policies, because it may be anyone's.
///
/// # Errors
/// As [`load_all`], without a path.
pub fn read_all(text: &str, dialect: Option<Dialect>) -> Result<Vec<Loaded>, Error> {
    read_text(text, dialect).map(Loads::policies)
}

/// What a text holds.
pub(in super::super) enum Loads {
    /// A set of ours.
    Set(PolicySet),
    Policies(Vec<Loaded>),
}

impl Loads {
    fn policies(self) -> Vec<Loaded> {
        match self {
            Loads::Set(set) => set.policies().to_vec(),
            Loads::Policies(all) => all,
        }
    }
}

pub(in super::super) fn load(path: &Path, dialect: Option<Dialect>) -> Result<Loads, Error> {
    load_text(path, dialect).map(|(loads, ..)| loads)
}

/// [`load_all`], and where in the file its policies' keys stand.
pub(crate) fn load_placed(path: &Path, dialect: Option<Dialect>) -> Result<(Vec<Loaded>, Places), Error> {
    let (loads, language, text) = load_text(path, dialect)?;
    Ok((loads.policies(), Places { language, text, known: HashMap::new(), left: MOST_SOUGHT }))
}

fn load_text(path: &Path, dialect: Option<Dialect>) -> Result<(Loads, Language, String), Error> {
    let name = shown_path(path);
    let Some(language) = Language::of_extension(path) else {
        return Err(Problem::new(name, "must end in .yaml, .yml, .json, .toml or .bal").into());
    };
    let text = read_file(path).map_err(|error| Error::from(Problem::new(name.as_str(), error.to_string())).with_source(error))?;
    let loads = read(language, &text, dialect, Bounds::FILE, Limits::FILE);
    loads.map(|loads| (loads, language, text)).map_err(|error| Error::new(ErrorKind::Config, format!("{name}: {error}")))
}

/// How many bytes are read again to find places: each is looked for from the beginning, and a file may hold thousands of policies.
const MOST_SOUGHT: usize = 256 << 20;

/// Finds what keys of policies were made from in the text that they were read from.
pub(crate) struct Places {
    language: Language,
    text: String,
    known: HashMap<String, Option<(usize, usize)>>,
    left: usize,
}

impl Places {
    /// Line and column, from 1, of what a key of a policy was made from, or of the nearest thing around it; `None` if nothing there is known,
    /// or too much was looked for.
    pub(crate) fn of(&mut self, loaded: &Loaded, key: &str) -> Option<(usize, usize)> {
        let path = loaded.origins.of(key);
        if let Some(known) = self.known.get(&path) {
            return *known;
        }
        self.left = self.left.checked_sub(self.text.len())?;
        let found = place(self.language, without_mark(&self.text), &path);
        self.known.insert(path, found);
        found
    }
}

pub(in super::super) fn read_text(text: &str, dialect: Option<Dialect>) -> Result<Loads, Error> {
    read(by_looks(text), text, dialect, Bounds::TEXT, Limits::TEXT)
}

impl Policy {
    /// The policy of a file: ours, or in the words of one of the systems that [`Dialect`] lists, recognised by its keys.
    /// `.yaml`, `.yml`, `.json`, `.toml`, or `.bal` for Ballerina source; at most 64 MiB. [`Policy::notes`] tells what differs.
    ///
    /// # Errors
    /// As [`load_all`]; and if it holds several policies, with their names.
    pub fn load(path: impl AsRef<Path>) -> Result<Policy, Error> {
        let all = load_all(&path, None)?;
        let one = dialect::only(all).map_err(Error::from);
        one.map(|loaded| loaded.policy).map_err(|error| Error::new(ErrorKind::Config, format!("{}: {error}", shown_path(path.as_ref()))))
    }
}

fn read(language: Language, text: &str, dialect: Option<Dialect>, bounds: Bounds, limits: Limits) -> Result<Loads, Error> {
    let documents = language.read_all(text, bounds)?;
    let mut read = dialect::documents(&documents, dialect, limits);
    // Source is nobody else's.
    if matches!((language, &read), (Language::Ballerina, Ok(None))) {
        read = dialect::documents(&documents, Some(Dialect::Ballerina), limits);
    }
    let loaded = match read.transpose() {
        Some(loaded) => loaded.map(Loads::Policies),
        // Our own documents are read to the letter.
        None => match language.read(text, bounds)? {
            document if set::is_set(&document) => set::read(&document, Keys::Snake).map(Loads::Set),
            document => dialect::ours(&document).map(Loads::Policies),
        },
    };
    Ok(loaded.map_err(|problem| problem.standing(|path| Some((language.name(), place(language, without_mark(text), path)?))))?)
}

fn by_looks(text: &str) -> Language {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let is_json = |text: &str| Language::Json.read(text, Bounds::TEXT).is_ok();
    if start.starts_with(['{', '[']) && is_json(text) {
        return Language::Json;
    }
    let key_is_first =
        |line: &str| line.split_once('=').is_some_and(|(key, _)| !key.contains([':', ' ']) || key.trim().chars().all(is_key));
    let lines = || start.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let is_toml = lines().next().is_some_and(|line| (line.starts_with('[') && line.ends_with(']')) || key_is_first(line));
    if is_toml && (Language::Toml.read(text, Bounds::TEXT).is_ok() || !ballerina::is_source(text)) {
        return Language::Toml;
    }
    if ballerina::is_source(text) {
        return Language::Ballerina;
    }
    // What begins like JSON and has quoted keys was meant to be JSON, so that its mistakes are JSON's.
    let quoted = start.strip_prefix(['{', '[']).is_some_and(|rest| rest.trim_start().starts_with(['"', '{']));
    if quoted { Language::Json } else { Language::Yaml }
}

fn is_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '"')
}

impl Language {
    /// Every document of a text. What only other keys than ours hold is taken leniently: tags, numbers with leading zeros.
    fn read_all(self, text: &str, bounds: Bounds) -> Result<Vec<Value>, Error> {
        if !matches!(self, Language::Yaml) {
            return self.read(text, bounds).map(|value| vec![value]);
        }
        let text = self.within(text, bounds)?;
        super::yaml::read_all(text, bounds).map_err(|mistake| mistake.problem(self, text).into())
    }
}
