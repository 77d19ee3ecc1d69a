//! The keys as documentation.

use std::fmt::Write as _;

use crate::config::key::{KEYS, Key, Kind, Scope, Support};

/// Every key as a Markdown table.
pub fn markdown() -> String {
    let mut text =
        String::from("| key | type | default | project | what it does |\n|---|---|---|---|---|\n");
    for key in KEYS {
        let note = match key.support {
            Support::Full => String::new(),
            Support::Changed(words) => format!(" Here {words}."),
        };
        let project = match key.scope {
            Scope::Project => "yes",
            Scope::User => "no",
            Scope::Daemon => "no (daemon)",
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {project} | {}{note} |",
            key.name,
            kind(key),
            key.default,
            key.doc
        );
    }
    text
}

/// Every key as a Markdown list, for narrow screens.
pub fn list() -> String {
    let mut text = String::new();
    for key in KEYS {
        let note = match key.support {
            Support::Full => String::new(),
            Support::Changed(words) => format!(" Here {words}."),
        };
        let whose = match key.scope {
            Scope::Project => "; a project may set it",
            Scope::User => "",
            Scope::Daemon => "; read by the daemon",
        };
        let (name, kind, default, doc) = (key.name, kind(key), key.default, key.doc);
        let _ = writeln!(text, "- `{name}` ({kind}; {default}{whose}): {doc}{note}");
    }
    text
}

fn kind(key: &Key) -> String {
    match key.kind {
        Kind::Bool => "bool".to_owned(),
        Kind::Int(low, i64::MAX) => format!("int ≥ {low}"),
        Kind::Int(low, high) => format!("int {low} to {high}"),
        Kind::Float(low, high) => format!("number {low} to {high}"),
        Kind::Text => "text".to_owned(),
        Kind::Secret => "secret".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Choice(choices) => choices.join(", "),
        Kind::Effort => "effort".to_owned(),
        Kind::List => "list".to_owned(),
        Kind::Paths => "list of paths".to_owned(),
        Kind::Choices(choices) => format!("list of {}", choices.join(", ")),
        Kind::Efforts => "list of efforts".to_owned(),
        Kind::Map => "table of texts".to_owned(),
        Kind::Commands => "command, or list of commands".to_owned(),
        Kind::Servers | Kind::Prices => "table by name".to_owned(),
    }
}
