//! Layers over each other: defaults < user < project < environment < flags.
//!
//! Invariant: a project never widens what the user allowed. Keys that could are refused
//! while its file is read ([`crate::config::key::Scope`]); the rest meet the values below
//! them by their [`Rule`].

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::key::{self, APPROVAL_MODES, KEYS, Rule, Scope, Support};
use crate::config::layer::{Entry, Layer, Origin, Place};
use crate::config::problem::{Problem, Severity};
use crate::run::ApprovalMode;

/// The values in force, and what was said about them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Merged {
    entries: BTreeMap<&'static str, Entry>,
    problems: Vec<Problem>,
}

/// One line of `config show`.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The key.
    pub name: &'static str,
    /// The value in force; absent when nobody set one.
    pub value: Option<Value>,
    /// What holds when nobody sets it, in words.
    pub default: &'static str,
    /// Who said it.
    pub origin: Origin,
    /// On which line.
    pub line: Option<u32>,
}

impl Merged {
    /// Puts `layers` over each other, lowest first.
    pub fn new(layers: impl IntoIterator<Item = Layer>) -> Self {
        let mut merged = Self::default();
        for layer in layers {
            merged.add(layer);
        }
        merged
    }

    fn add(&mut self, mut layer: Layer) {
        self.problems.append(&mut layer.problems);
        translate_approval(&mut layer);
        for (name, entry) in layer.entries {
            let Some(key) = key::find(name) else { continue };
            let met = match (self.entries.remove(name), key.rule) {
                (Some(below), Rule::Add) => add_lists(below, entry),
                (below, Rule::Stricter) if from_project(&entry) => self.stricter(below, entry),
                (Some(below), Rule::Intersect) if from_project(&entry) => intersect(&below, entry),
                (_, Rule::Replace | Rule::Add | Rule::Stricter | Rule::Intersect) => entry,
            };
            self.entries.insert(name, met);
        }
    }

    fn stricter(&mut self, below: Option<Entry>, entry: Entry) -> Entry {
        let below = below.unwrap_or_else(|| Entry {
            value: Value::from(APPROVAL_MODES[0]),
            origin: Origin::Default,
            line: None,
        });
        if strictness(&entry.value) >= strictness(&below.value) {
            return entry;
        }
        let words = format!(
            "`approval.mode = {}` is ignored here: a project can only make it stricter than {}",
            entry.value, below.value
        );
        let mut problem = Problem::new(Severity::Warning, words).with_key("approval.mode");
        if let Origin::Project(path) = entry.origin {
            problem.path = Some(path);
        }
        problem.line = entry.line;
        self.problems.push(problem);
        below
    }

    /// What was found in the layers.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The first thing that stops a command, if any.
    pub fn error(&self) -> Option<&Problem> {
        self.problems.iter().find(|problem| problem.severity == Severity::Error)
    }

    /// The entry in force.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Every key a client acts on, with its value and where it came from.
    pub fn show(&self) -> Vec<Shown> {
        KEYS.iter()
            .filter(|key| {
                self.entries.contains_key(key.name) || matches!(key.support, Support::Full)
            })
            .filter(|key| key.scope != Scope::Daemon || self.entries.contains_key(key.name))
            .map(|key| {
                let entry = self.entries.get(key.name);
                let hidden = key.kind == key::Kind::Secret;
                Shown {
                    name: key.name,
                    value: entry.map(|entry| {
                        if hidden { Value::from("[secret]") } else { entry.value.clone() }
                    }),
                    default: key.default,
                    origin: entry.map_or(Origin::Default, |entry| entry.origin.clone()),
                    line: entry.and_then(|entry| entry.line),
                }
            })
            .collect()
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.entries.get(name)?.value.as_str().map(str::to_owned)
    }

    pub(crate) fn bool(&self, name: &str, default: Default) -> bool {
        let value = self.entries.get(name).and_then(|entry| entry.value.as_bool());
        value.unwrap_or(matches!(default, Default::On))
    }

    pub(crate) fn float(&self, name: &str) -> Option<f64> {
        self.entries.get(name)?.value.as_f64()
    }

    pub(crate) fn unsigned(&self, name: &str) -> Option<u64> {
        self.entries.get(name)?.value.as_u64()
    }

    pub(crate) fn list(&self, name: &str) -> Option<Vec<String>> {
        let items = self.entries.get(name)?.value.as_array()?;
        Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    pub(crate) fn typed<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        let value = self.entries.get(name)?.value.clone();
        serde_json::from_value(value).ok()
    }
}

/// What holds for a switch that nobody set.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Default {
    On,
    Off,
}

/// What the environment says.
///
/// `COPILOT_PROVIDER_*` are defaults of `[provider]` as one group: they count only when no
/// file names an endpoint, so that a key never travels to an endpoint it was not meant for.
///
/// # Errors
/// When a variable's text does not fit its key.
pub fn environment(
    get: impl Fn(&str) -> Option<String>,
    below: &Merged,
    place: &Place<'_>,
) -> Result<Layer, Problem> {
    let get = |name: &str| get(name).filter(|text| !text.is_empty());
    let mut layer = Layer::default();
    let set = |layer: &mut Layer, key: &str, name: &str| -> Result<(), Problem> {
        let Some(text) = get(name) else { return Ok(()) };
        let place = Place { origin: Origin::Environment(name.to_owned()), ..place.clone() };
        layer.set_text(key, &text, &place)
    };
    set(&mut layer, "model", "COPEX_MODEL")?;
    set(&mut layer, "reasoning_effort", "COPEX_REASONING")?;
    set(&mut layer, "github_token", "COPEX_TOKEN")?;
    set(&mut layer, "ui_theme", "COPEX_UI_THEME")?;
    set(&mut layer, "ui_density", "COPEX_UI_DENSITY")?;
    set(&mut layer, "ui_background", "COPEX_UI_BACKGROUND")?;
    set(&mut layer, "screen_reader", "COPEX_SCREEN_READER")?;
    set(&mut layer, "bell", "COPEX_BELL")?;
    if below.entry("provider.base_url").is_some() {
        return Ok(layer);
    }
    set(&mut layer, "provider.base_url", "COPILOT_PROVIDER_BASE_URL")?;
    if !layer.entries.contains_key("provider.base_url") {
        return Ok(layer);
    }
    set(&mut layer, "provider.type", "COPILOT_PROVIDER_TYPE")?;
    set(&mut layer, "provider.wire_api", "COPILOT_PROVIDER_WIRE_API")?;
    set(&mut layer, "provider.azure_api_version", "COPILOT_PROVIDER_AZURE_API_VERSION")?;
    set(&mut layer, "provider.max_prompt_tokens", "COPILOT_PROVIDER_MAX_PROMPT_TOKENS")?;
    set(&mut layer, "provider.model", "COPILOT_MODEL")?;
    let key = ["COPILOT_PROVIDER_BEARER_TOKEN", "COPILOT_PROVIDER_API_KEY"];
    if let Some(name) = key.into_iter().find(|name| get(name).is_some()) {
        let place = Place { origin: Origin::Environment(name.to_owned()), ..place.clone() };
        layer.set_text("provider.key_env", name, &place)?;
    }
    Ok(layer)
}

fn from_project(entry: &Entry) -> bool {
    matches!(entry.origin, Origin::Project(_))
}

fn strictness(mode: &Value) -> u8 {
    match serde_json::from_value::<ApprovalMode>(mode.clone()) {
        Ok(ApprovalMode::Auto) | Err(_) => 0,
        Ok(ApprovalMode::Workspace) => 1,
        Ok(ApprovalMode::Ask) => 2,
        Ok(ApprovalMode::Deny) => 3,
    }
}

fn add_lists(below: Entry, above: Entry) -> Entry {
    let (Value::Array(mut all), Value::Array(more)) = (below.value, above.value.clone()) else {
        return above;
    };
    for item in more {
        if !all.contains(&item) {
            all.push(item);
        }
    }
    Entry { value: Value::Array(all), ..above }
}

fn intersect(below: &Entry, above: Entry) -> Entry {
    let (Some(allowed), Value::Array(wanted)) = (below.value.as_array(), &above.value) else {
        return above;
    };
    let kept = wanted.iter().filter(|item| allowed.contains(item)).cloned().collect();
    Entry { value: Value::Array(kept), ..above }
}

fn translate_approval(layer: &mut Layer) {
    let Some(old) = layer.entries.get("approval_mode").cloned() else { return };
    let mode = match old.value.as_str() {
        Some("auto-approve") => "auto",
        Some("approve" | "manual") => "ask",
        Some("policy-based") => "workspace",
        _ => "deny",
    };
    layer
        .entries
        .entry("approval.mode")
        .or_insert_with(|| Entry { value: Value::from(mode), ..old });
}
