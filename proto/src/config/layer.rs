//! What one source says: a file, the environment, the flags.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use crate::config::key::{self, Key, Kind, Scope, Support};
use crate::config::problem::{Problem, Severity};
use crate::config::value;

/// Which source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The user's file.
    User(PathBuf),
    /// A project's file.
    Project(PathBuf),
    /// A variable.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::User(path) | Self::Project(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The value, valid for its key.
    pub value: Value,
    /// Who said it.
    pub origin: Origin,
    /// On which line of a file.
    pub line: Option<u32>,
}

/// Where relative paths of a source start.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// Which source.
    pub origin: Origin,
    /// The folder relative paths start at.
    pub base: &'a Path,
    /// The home folder, for `~/`.
    pub home: &'a Path,
}

/// What one source says: valid values by key, and what was wrong with the rest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer {
    /// The values.
    pub entries: BTreeMap<&'static str, Entry>,
    /// What was found on the way.
    pub problems: Vec<Problem>,
}

impl Layer {
    /// Reads a file's text.
    ///
    /// # Errors
    /// When the text is not TOML: the file, line and column. Everything else that is wrong
    /// is in `problems`, so that one look finds all of it.
    pub fn parse(text: &str, place: &Place<'_>) -> Result<Self, Problem> {
        let table = DeTable::parse(text).map_err(|error| {
            let (line, column) = position(text, error.span());
            let mut problem =
                Problem::new(Severity::Error, format!("broken TOML: {}", error.message().trim()));
            problem.path = path_of(&place.origin);
            (problem.line, problem.column) = (line, column);
            problem
        })?;
        let mut reader = Reader { text, place, layer: Self::default() };
        reader.table("", table.get_ref());
        Ok(reader.layer)
    }

    /// Sets a value from text, as a variable or `config set` gives it.
    ///
    /// # Errors
    /// When the key does not exist or the text does not fit it.
    pub fn set_text(&mut self, name: &str, text: &str, place: &Place<'_>) -> Result<(), Problem> {
        let key = known(name)?;
        let value = value::from_text(key.kind, text)
            .map_err(|words| invalid(key, &words, &place.origin))?;
        self.put(key, value, place, None);
        Ok(())
    }

    /// Sets a value, as a flag gives it.
    ///
    /// # Errors
    /// When the key does not exist or the value does not fit it.
    pub fn set(&mut self, name: &str, value: Value, place: &Place<'_>) -> Result<(), Problem> {
        let key = known(name)?;
        let value =
            value::check(key.kind, value).map_err(|words| invalid(key, &words, &place.origin))?;
        self.put(key, value, place, None);
        Ok(())
    }

    fn put(&mut self, key: &'static Key, value: Value, place: &Place<'_>, line: Option<u32>) {
        let value = absolute(key.kind, value, place);
        self.entries.insert(key.name, Entry { value, origin: place.origin.clone(), line });
    }
}

/// The value that `text` means for the key `name`, checked.
///
/// # Errors
/// When the key does not exist or the text does not fit it.
pub fn parse_value(name: &str, text: &str) -> Result<Value, Problem> {
    let key = known(name)?;
    value::from_text(key.kind, text).map_err(|words| invalid(key, &words, &Origin::Default))
}

fn known(name: &str) -> Result<&'static Key, Problem> {
    key::find(name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Problem {
    let problem = Problem::new(Severity::Unknown, format!("unknown key `{name}`")).with_key(name);
    match key::suggest(name) {
        Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
        None => problem.with_hint("`copexctl config show` lists every key"),
    }
}

fn invalid(key: &Key, words: &str, origin: &Origin) -> Problem {
    let who = match origin {
        Origin::Environment(name) => format!("${name} (`{}`)", key.name),
        Origin::Flag(name) => name.clone(),
        Origin::Default | Origin::User(_) | Origin::Project(_) => format!("`{}`", key.name),
    };
    Problem::new(Severity::Error, format!("{who}: {words}")).with_key(key.name)
}

struct Reader<'a> {
    text: &'a str,
    place: &'a Place<'a>,
    layer: Layer,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, item) in table {
            let full = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            let span = name.span();
            match (key::find(&full), item.get_ref()) {
                (Some(key), value) => self.value(key, value, span),
                (None, DeValue::Table(inner)) if prefix.is_empty() && key::is_table(&full) => {
                    self.table(&full, inner);
                }
                (None, _) if prefix.is_empty() && key::is_table(&full) => {
                    let words = format!("`{full}` is a table: write `[{full}]`");
                    self.report(Problem::new(Severity::Error, words).with_key(full), span);
                }
                (None, _) => self.report(unknown(&full), span),
            }
        }
    }

    fn value(&mut self, key: &'static Key, raw: &DeValue<'_>, span: Range<usize>) {
        if let (Scope::User | Scope::Daemon, Origin::Project(_)) = (key.scope, &self.place.origin) {
            let words = format!("`{}` is ignored here: a project cannot set it", key.name);
            let problem = Problem::new(Severity::Warning, words)
                .with_key(key.name)
                .with_hint("set it in your own config.toml");
            return self.report(problem, span);
        }
        let checked = to_json(raw).and_then(|value| value::check(key.kind, value));
        let value = match checked {
            Ok(value) => value,
            Err(words) => {
                return self.report(invalid(key, &words, &self.place.origin), span);
            }
        };
        match key.support {
            Support::Full => {}
            Support::Changed(words) => {
                let words = format!("`{}`: {words}", key.name);
                self.report(
                    Problem::new(Severity::Warning, words).with_key(key.name),
                    span.clone(),
                );
            }
        }
        let (line, _) = position(self.text, Some(span));
        self.layer.put(key, value, self.place, line);
    }

    fn report(&mut self, mut problem: Problem, span: Range<usize>) {
        problem.path = path_of(&self.place.origin);
        (problem.line, problem.column) = position(self.text, Some(span));
        self.layer.problems.push(problem);
    }
}

fn path_of(origin: &Origin) -> Option<PathBuf> {
    match origin {
        Origin::User(path) | Origin::Project(path) => Some(path.clone()),
        Origin::Default | Origin::Environment(_) | Origin::Flag(_) => None,
    }
}

fn position(text: &str, span: Option<Range<usize>>) -> (Option<u32>, Option<u32>) {
    let Some(before) = span.and_then(|span| text.get(..span.start.min(text.len()))) else {
        return (None, None);
    };
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (u32::try_from(line).ok(), u32::try_from(column).ok())
}

fn to_json(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::from)
            .map_err(|_| format!("{} is too large", number.as_str()))?,
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .map(Value::from)
            .ok_or_else(|| format!("{} is not a usable number", number.as_str()))?,
        DeValue::Boolean(yes) => Value::Bool(*yes),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(items) => Value::Array(
            items.iter().map(|item| to_json(item.get_ref())).collect::<Result<_, _>>()?,
        ),
        DeValue::Table(table) => {
            let mut map = serde_json::Map::new();
            for (name, item) in table {
                map.insert(name.get_ref().to_string(), to_json(item.get_ref())?);
            }
            Value::Object(map)
        }
    })
}

fn absolute(kind: Kind, value: Value, place: &Place<'_>) -> Value {
    match (kind, value) {
        (Kind::Path, Value::String(path)) => Value::from(resolve(&path, place)),
        (Kind::Paths, Value::Array(paths)) => Value::Array(
            paths
                .into_iter()
                .map(|path| match path {
                    Value::String(path) => Value::from(resolve(&path, place)),
                    other => other,
                })
                .collect(),
        ),
        (_, value) => value,
    }
}

fn resolve(path: &str, place: &Place<'_>) -> String {
    let joined = match path.strip_prefix("~/") {
        Some(rest) => place.home.join(rest),
        None if path == "~" => place.home.to_owned(),
        None => place.base.join(path),
    };
    joined.to_string_lossy().into_owned()
}
