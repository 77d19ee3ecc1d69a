//! Task files: TOML, JSON and JSONL, as in Python copex, read strictly.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{FleetError, FleetFile, MOST_BYTES, lines};
use crate::effort::Effort;
use crate::mcp;
use crate::run::{FleetTask, OnDependencyFailure};
use crate::spend::SpendLimits;

/// The forms of a task file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `[[task]]` tables, and `[fleet]`.
    Toml,
    /// `{"tasks": […]}`.
    Json,
    /// One object for each task, on a line of its own.
    Jsonl,
    /// One prompt on each line.
    Lines,
}

impl Format {
    /// The form of a file by its name; by its text where the name does not say.
    pub fn of(name: &str, text: &str) -> Self {
        match name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()) {
            Some(it) if it == "toml" => return Self::Toml,
            Some(it) if it == "json" => return Self::Json,
            Some(it) if it == "jsonl" || it == "ndjson" => return Self::Jsonl,
            _ => {}
        }
        let first = text.lines().map(str::trim).find(|line| !lines::skipped(line)).unwrap_or("");
        let table = |line: &str| ["[[task]]", "[[tasks]]", "[fleet]"].contains(&line.trim());
        if text.lines().any(table) {
            Self::Toml
        } else if first.starts_with('{') {
            // A whole object on the first line is a task; else it goes on after it.
            let whole = serde_json::from_str::<Map<String, Value>>(first);
            let task = whole.is_ok_and(|map| !map.contains_key("tasks"));
            if task { Self::Jsonl } else { Self::Json }
        } else {
            Self::Lines
        }
    }
}

/// Reads a task file. It is not checked as a whole: see [`super::check()`].
///
/// # Errors
/// With what cannot be read, and where.
pub fn read(text: &str, format: Format) -> Result<FleetFile, FleetError> {
    if text.len() > MOST_BYTES {
        return Err(FleetError::new(format!("it is longer than {MOST_BYTES} bytes")));
    }
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Err(FleetError::new("it is empty")
            .with_hint("a task looks like `[[task]]` with `id` and `prompt`"));
    }
    match format {
        Format::Toml => whole(toml(text)?),
        Format::Json => {
            let value = serde_json::from_str(text);
            whole(value.map_err(|error| FleetError::new(format!("broken JSON: {error}")))?)
        }
        Format::Jsonl => lines::read(text),
        Format::Lines => Ok(lines::prompts(text)),
    }
}

fn toml(text: &str) -> Result<Value, FleetError> {
    toml::from_str::<Value>(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start].lines().count().max(1));
        let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        FleetError::new(format!("{line}broken TOML: {}", error.message()))
    })
}

/// A file that is one value.
fn whole(value: Value) -> Result<FleetFile, FleetError> {
    let mut table = Table::new("the file", value)?;
    let mut file = FleetFile::default();
    if let Some(fleet) = table.take("fleet") {
        let mut fleet = Table::new("[fleet]", fleet)?;
        file.max_concurrent = fleet.whole("max_concurrent")?;
        file.shared_context = fleet.text("shared_context")?;
        file.timeout = fleet.number("timeout")?;
        file.fail_fast = fleet.yes_no("fail_fast")?;
        let setup = fleet.list("worktree_setup", Alone::One)?;
        file.worktree_setup = Some(setup).filter(|setup| !setup.is_empty());
        file.merge_gate = fleet.text("merge_gate")?;
        file.resolve_conflicts = fleet.yes_no("resolve_conflicts")?;
        fleet.end()?;
    }
    let tasks = table.take("task").or_else(|| table.take("tasks"));
    table.end_with(&["fleet", "task", "tasks"])?;
    let Some(Value::Array(tasks)) = tasks else {
        return Err(FleetError::new("it has no list of tasks")
            .with_hint("TOML has `[[task]]` tables, JSON an object with `tasks`"));
    };
    for (value, number) in tasks.into_iter().zip(1..) {
        let mut table = Table::new(&format!("task {number}"), value)?;
        let id = table.text("id")?.unwrap_or_else(|| format!("task-{number}"));
        table.what = format!("task {number} (`{id}`)");
        let prompt = table.text("prompt")?;
        let effort = table.text("reasoning_effort")?;
        let timeout = table.number("timeout_sec")?;
        let task = common(&mut table)?;
        table.end()?;
        let prompt = prompt.ok_or_else(|| table.wrong("it has no `prompt`"))?;
        let reasoning_effort = effort.map(|it| effort_of(&table, &it)).transpose()?;
        file.tasks.push(FleetTask { id, prompt, reasoning_effort, timeout_sec: timeout, ..task });
    }
    Ok(file)
}

/// What tasks of every form have, under the same names.
pub(super) fn common(table: &mut Table) -> Result<FleetTask, FleetError> {
    let policy = match table.text("on_dependency_failure")?.as_deref() {
        None | Some("block") => OnDependencyFailure::Block,
        Some("continue") => OnDependencyFailure::Continue,
        Some(other) => {
            let words = format!("on_dependency_failure is `{other}`; it is block or continue");
            return Err(table.wrong(&words));
        }
    };
    let priority = match table.take("priority") {
        None => 0,
        Some(value) => value
            .as_i64()
            .and_then(|it| i32::try_from(it).ok())
            .ok_or_else(|| table.wrong("priority is no whole number"))?,
    };
    Ok(FleetTask {
        depends_on: table.list("depends_on", Alone::One)?,
        on_dependency_failure: policy,
        priority,
        verify: table.list("verify", Alone::One)?,
        model: table.text("model")?,
        cwd: table.text("cwd")?,
        exclude_tools: table.list("exclude_tools", Alone::Commas)?,
        skills_dirs: table.list("skills_dirs", Alone::One)?,
        skills: Some(table.list("skills", Alone::Commas)?).filter(|names| !names.is_empty()),
        mcp_servers: servers(table)?,
        limits: limits(table)?,
        ..FleetTask::default()
    })
}

fn limits(table: &mut Table) -> Result<SpendLimits, FleetError> {
    let max_tokens = match table.take("max_tokens") {
        None => None,
        Some(value) => {
            let number = value.as_u64().filter(|it| *it > 0);
            Some(number.ok_or_else(|| table.wrong("max_tokens is no whole number above 0"))?)
        }
    };
    let (max_cost, max_ai_credits) = (table.number("max_cost")?, table.number("max_ai_credits")?);
    Ok(SpendLimits { max_cost, max_ai_credits, max_tokens })
}

pub(super) fn effort_of(table: &Table, name: &str) -> Result<Effort, FleetError> {
    serde_json::from_value(Value::from(name)).map_err(|_| {
        let known = Effort::ALL.map(Effort::as_str).join(", ");
        table.wrong(&format!("the effort is `{name}`; it is one of {known}"))
    })
}

fn servers(table: &mut Table) -> Result<BTreeMap<String, Value>, FleetError> {
    match table.take("mcp_servers") {
        None => Ok(BTreeMap::new()),
        Some(value) => mcp::from_value(value).map_err(|error| FleetError {
            hint: error.hint.clone(),
            ..table.wrong(&format!("mcp_servers: {error}"))
        }),
    }
}

/// What a text is where a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    /// Its one item.
    One,
    /// Items with commas between.
    Commas,
}

/// A table that is being read: what nobody took is refused at its end.
pub(super) struct Table {
    /// What it is, for messages.
    pub(super) what: String,
    map: Map<String, Value>,
    known: Vec<String>,
}

impl Table {
    pub(super) fn new(what: &str, value: Value) -> Result<Self, FleetError> {
        match value {
            Value::Object(map) => Ok(Self { what: what.to_owned(), map, known: Vec::new() }),
            _ => Err(FleetError::new(format!("{what} is no table"))),
        }
    }

    pub(super) fn wrong(&self, words: &str) -> FleetError {
        FleetError::new(format!("{}: {words}", self.what))
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.known.push(key.to_owned());
        self.map.remove(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, FleetError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(&format!("{key} is no text"))),
        }
    }

    pub(super) fn number(&mut self, key: &str) -> Result<Option<f64>, FleetError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.wrong(&format!("{key} is no number")))
    }

    fn whole(&mut self, key: &str) -> Result<Option<u32>, FleetError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let number = value.as_u64().and_then(|it| u32::try_from(it).ok());
        number.map(Some).ok_or_else(|| self.wrong(&format!("{key} is no whole number")))
    }

    fn yes_no(&mut self, key: &str) -> Result<Option<bool>, FleetError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.wrong(&format!("{key} is not true or false")))
    }

    fn list(&mut self, key: &str, alone: Alone) -> Result<Vec<String>, FleetError> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) if alone == Alone::Commas => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Ok(items.map(str::to_owned).collect())
            }
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(list)) => {
                let items: Option<Vec<String>> =
                    list.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                items.ok_or_else(|| self.wrong(&format!("{key} is no list of texts")))
            }
            Some(_) => Err(self.wrong(&format!("{key} is no list of texts"))),
        }
    }

    /// Refuses what nobody took.
    pub(super) fn end(&self) -> Result<(), FleetError> {
        self.end_with(&[])
    }

    fn end_with(&self, more: &[&str]) -> Result<(), FleetError> {
        let Some(odd) = self.map.keys().find(|key| !more.contains(&key.as_str())) else {
            return Ok(());
        };
        let known = self.known.iter().map(String::as_str).chain(more.iter().copied());
        let near = crate::config::nearest(odd, known);
        let error = self.wrong(&format!("`{odd}` is not a key of it"));
        Err(match near {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error,
        })
    }
}
