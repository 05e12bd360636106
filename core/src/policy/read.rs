//! From a document to a policy: the one reader. Every surface's dicts, objects and texts end here.

use super::names::{IDEMPOTENCY_KEY, PER_TRY_UNTIL};
use super::node::{Fields, Node, whole_rule};
use super::options::DOCUMENT;
use super::problem::Problem;
use super::value::Value;
use super::{IdempotencyKey, MOST_RETRIES, Policy, Settings, dialect, read_blocks, read_match, validate};
use crate::error::Error;
use crate::retry::{Conditions, StatusSet};

/// Which spellings of keys a reader takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// `max_retries`, as in files.
    #[default]
    Snake,
    /// Also `maxRetries`, mapped mechanically. For hosts whose objects are written that way. Errors name a key as it was written.
    Either,
}

impl Policy {
    /// The policy of a document: a map, in which a missing key means the default, or the name of a [preset](Policy::preset).
    ///
    /// # Errors
    /// `config` for the first mistake in the order the document was written: `path: rule, got value; fix`.
    pub fn from_value(document: &Value) -> Result<Policy, Error> {
        Self::from_value_with(document, Keys::Snake)
    }

    /// [`Policy::from_value`] with a choice of spellings.
    ///
    /// # Errors
    /// As [`Policy::from_value`].
    pub fn from_value_with(document: &Value, keys: Keys) -> Result<Policy, Error> {
        Policy::default().merge_with(document, keys)
    }

    /// This policy with the keys of `document` in place of its own, one by one: a key that is given replaces its whole value,
    /// a block included. `false`, `none` or `off` as the whole document means `max_retries: 0` and nothing else; the name of another
    /// [preset](Policy::preset) stands for that, and nothing of this policy is left.
    ///
    /// # Errors
    /// As [`Policy::from_value`].
    pub fn merge(&self, document: &Value) -> Result<Policy, Error> {
        self.merge_with(document, Keys::Snake)
    }

    /// [`Policy::merge`] with a choice of spellings.
    ///
    /// # Errors
    /// As [`Policy::from_value`].
    pub fn merge_with(&self, document: &Value, keys: Keys) -> Result<Policy, Error> {
        Ok(merged(self.settings().clone(), document, keys)?)
    }
}

/// The policy of a document, with the problem as it is.
pub(super) fn of_document(document: &Value, keys: Keys) -> Result<Policy, Problem> {
    merged(Settings::default(), document, keys)
}

fn merged(mut settings: Settings, document: &Value, keys: Keys) -> Result<Policy, Problem> {
    if document.is_off() && *document != Value::Null {
        settings.max_retries = 0;
        return Ok(Policy::of(settings));
    }
    match document {
        Value::Map(_) => {}
        Value::Str(name) => return dialect::preset(name),
        _ => return Err(Problem::must("policy", "be a map", document).fix("write {} for the defaults, false for no retries")),
    }
    read(&mut settings, document, keys)?;
    Ok(Policy::of(settings))
}

fn read(settings: &mut Settings, document: &Value, keys: Keys) -> Result<(), Problem> {
    let root = Node::root(document, keys);
    let fields = root.fields(&DOCUMENT)?;
    if fields.get("retry_on").is_some() && fields.get("statuses").is_none() {
        settings.statuses = StatusSet::NONE;
    }
    if fields.get("per_try_timeout").is_some() {
        settings.own_per_try();
    }
    for (key, node) in fields.iter() {
        read_key(settings, key, node)?;
        validate::key(settings, key).map_err(|problem| problem.spelled(document))?;
    }
    validate::across(settings).map_err(|problem| problem.spelled(document))
}

/// Reads one key. Shapes are checked here, ranges of typed values by the validator.
fn read_key(settings: &mut Settings, key: &str, node: &Node<'_>) -> Result<(), Problem> {
    match key {
        "max_retries" => settings.max_retries = max_retries(node)?,
        "timeout" => settings.timeout = timeout(node)?,
        "connect_timeout" => settings.connect_timeout = timeout(node)?,
        "per_try_timeout" => settings.per_try_timeout = timeout(node)?,
        "per_try_until" => settings.per_try_until = node.choice(PER_TRY_UNTIL)?,
        "idle_timeout" => settings.idle_timeout = timeout(node)?,
        "retry_on" => settings.retry_on = if node.is_off() { Conditions::NONE } else { read_match::conditions(node)? },
        "statuses" => settings.statuses = if node.is_off() { StatusSet::NONE } else { read_match::statuses(node)? },
        "stop_headers" => settings.stop_headers = read_match::matchers(node)?,
        "response_headers" => settings.response_headers = read_match::matchers(node)?,
        "refused_headers" => settings.refused_headers = read_match::matchers(node)?,
        "request_headers" => settings.request_headers = read_match::matchers(node)?,
        "methods" => settings.methods = read_match::methods(node)?,
        "backoff" => settings.backoff = read_blocks::backoff(node)?,
        "retry_after" => settings.retry_after = read_blocks::retry_after(node)?,
        "budget" => settings.budget = read_blocks::budget(node)?,
        "idempotency_key" => {
            settings.idempotency_key = if node.is_off() { IdempotencyKey::None } else { node.choice(IDEMPOTENCY_KEY)? };
        }
        "max_body_buffer" => settings.max_body_buffer = bytes(node)?,
        "attempt_header" => settings.attempt_header = or_none(node, |node| Ok(node.text()?.to_ascii_lowercase()))?,
        "compat" => (settings.compat, settings.aside) = read_blocks::compat(node)?,
        _ => return Err(Problem::new(node.path.as_str(), "has no reader")),
    }
    Ok(())
}

/// `None` for `none`, else what `read` reads.
pub(crate) fn or_none<'a, T>(node: &Node<'a>, read: impl Fn(&Node<'a>) -> Result<T, Problem>) -> Result<Option<T>, Problem> {
    if node.is_off() { Ok(None) } else { read(node).map(Some) }
}

fn max_retries(node: &Node<'_>) -> Result<u32, Problem> {
    if node.is_off() {
        return Err(node.must(whole_rule(0, MOST_RETRIES.into())).fix("write 0 for no retries"));
    }
    node.whole(0, MOST_RETRIES.into()).map(|number| number as u32)
}

pub(super) fn timeout(node: &Node<'_>) -> Result<Option<std::time::Duration>, Problem> {
    if matches!(*node.value, Value::Int(0)) || matches!(*node.value, Value::Float(number) if number == 0.0) {
        return Err(validate::zero(node.path.as_str(), &node.value).fix(validate::NO_LIMIT));
    }
    or_none(node, Node::duration)
}

/// Units of sizes, largest first, so that a size prints in the largest one that keeps it exact.
pub(super) const BINARY_UNITS: &[(&str, u64)] = &[("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const DECIMAL_UNITS: &[(&str, u64)] = &[("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("B", 1)];

pub(crate) fn bytes(node: &Node<'_>) -> Result<u64, Problem> {
    if node.is_off() {
        return Ok(0);
    }
    let read = match &*node.value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Str(text) => size(text),
        _ => None,
    };
    read.ok_or_else(|| node.must("be a number of bytes or a size with a unit").fix("write for example 65536, \"64KiB\" or \"1MB\""))
}

/// `"64KiB"` or `"1MB"` in bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let (name, unit) = BINARY_UNITS.iter().chain(DECIMAL_UNITS).find(|(name, _)| text.ends_with(name))?;
    let digits = text.strip_suffix(name)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(*unit)
}

/// A number with at most six decimals, in millionths: exact, because decimals are counted on its shortest text.
pub(super) fn millionths(node: &Node<'_>, most: u64) -> Result<u64, Problem> {
    let rule = || node.must(validate::millionths_rule(most));
    let number = node.number()?;
    if !(0.0..=most as f64 / 1e6).contains(&number) {
        return Err(rule());
    }
    let text = format!("{}", number.abs());
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    if decimals.len() > 6 {
        return Err(rule());
    }
    format!("{whole}{decimals:0<6}").parse().map_err(|_| rule())
}

/// The chosen kind of a block, or the default one.
pub(super) fn kind<T: Copy>(fields: &Fields<'_>, names: super::names::Names<T>, default: T) -> Result<T, Problem> {
    Ok(fields.read("kind", |node| node.choice(names))?.unwrap_or(default))
}
