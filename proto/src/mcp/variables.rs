//! What stands between `${` and `}` in a server's texts.
//!
//! `${env:NAME}` must be set; `${NAME}`, the Copilot CLI's own way, stays as it is where it is
//! not. Either may have a default: `${NAME:-default}`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::secrets::HIDDEN;
use super::{McpError, Servers};

/// The fields whose texts may have variables in them.
const FIELDS: [&str; 6] = ["command", "args", "env", "cwd", "url", "headers"];

/// Where variables get their values.
pub struct Surroundings<'a> {
    /// Of the environment and the secrets that came with a request.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The folder that the run works in.
    pub folder: &'a str,
    /// The user's home folder.
    pub home: &'a str,
}

/// A piece of a text.
enum Piece<'a> {
    Plain(&'a str),
    /// Of the environment, and how it was written.
    Variable {
        name: &'a str,
        default: Option<&'a str>,
        must: bool,
        written: &'a str,
    },
    Folder,
    Home,
}

/// The names of all variables of the environment that servers refer to.
pub fn references(servers: &Servers) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for server in servers.values() {
        for text in texts(server) {
            let pieces = pieces(text).unwrap_or_default();
            names.extend(pieces.into_iter().filter_map(|piece| match piece {
                Piece::Variable { name, .. } => Some(name.to_owned()),
                _ => None,
            }));
        }
    }
    names
}

/// The servers with every variable put in: they hold secrets now.
///
/// # Errors
/// When one refers to what is not set or cannot be had here. No value is named.
pub fn resolve(servers: &Servers, from: &Surroundings<'_>) -> Result<Servers, McpError> {
    let mut resolved = servers.clone();
    for (name, server) in &mut resolved {
        for field in FIELDS {
            if let Some(value) = server.get_mut(field) {
                put_in(value, from).map_err(|error| McpError {
                    message: format!("the MCP server `{name}`: {}", error.message),
                    ..error
                })?;
            }
        }
    }
    Ok(resolved)
}

fn texts(server: &Value) -> Vec<&str> {
    FIELDS.iter().filter_map(|field| server.get(*field)).flat_map(texts_of).collect()
}

fn texts_of(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        Value::Object(map) => map.values().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn put_in(value: &mut Value, from: &Surroundings<'_>) -> Result<(), McpError> {
    match value {
        Value::String(text) => *text = expand(text, from)?,
        Value::Array(items) => items.iter_mut().try_for_each(|item| put_in(item, from))?,
        Value::Object(map) => map.values_mut().try_for_each(|item| put_in(item, from))?,
        _ => {}
    }
    Ok(())
}

fn expand(text: &str, from: &Surroundings<'_>) -> Result<String, McpError> {
    let mut whole = String::with_capacity(text.len());
    for piece in pieces(text)? {
        match piece {
            Piece::Plain(text) => whole.push_str(text),
            Piece::Folder => whole.push_str(from.folder),
            Piece::Home => whole.push_str(from.home),
            Piece::Variable { name, default, must, written } => {
                let value = (from.variable)(name).filter(|it| default.is_none() || !it.is_empty());
                match (value, default) {
                    (Some(value), _) => whole.push_str(&value),
                    (None, Some(default)) => whole.push_str(default),
                    (None, None) if must => return Err(unset(name)),
                    (None, None) => whole.push_str(written),
                }
            }
        }
    }
    Ok(whole)
}

fn unset(name: &str) -> McpError {
    if name.starts_with(HIDDEN) {
        let message = format!(
            "a secret that is written out in its description was held in memory only, and is \
             gone with the daemon that had it; copex calls it {name}"
        );
        let hint = "set that variable to it where you run `copexctl runs resume`; next time, \
                    write it as ${env:NAME} in the description";
        return McpError { variable: Some(name.to_owned()), ..McpError::new(message).hint(hint) };
    }
    let error = McpError::new(format!("${{env:{name}}} is not set"))
        .hint("set the variable where you run copexctl, or give a default: ${env:NAME:-default}");
    McpError { variable: Some(name.to_owned()), ..error }
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, McpError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let (before, from) = rest.split_at(start);
        let (written, after) = from.split_at(length + 1);
        pieces.push(Piece::Plain(before));
        pieces.push(piece(written)?);
        rest = after;
    }
    pieces.push(Piece::Plain(rest));
    Ok(pieces)
}

fn piece(written: &str) -> Result<Piece<'_>, McpError> {
    let inner = &written[2..written.len() - 1];
    let (inner, must) = match inner.strip_prefix("env:") {
        Some(name) => (name, true),
        None => (inner, false),
    };
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    match name {
        "workspaceFolder" if !must => return Ok(Piece::Folder),
        "userHome" if !must => return Ok(Piece::Home),
        _ => {}
    }
    let mut signs = name.chars();
    let first = signs.next().is_some_and(|it| it.is_ascii_alphabetic() || it == '_');
    if first && signs.all(|it| it.is_ascii_alphanumeric() || it == '_') {
        return Ok(Piece::Variable { name, default, must, written });
    }
    if name.starts_with("input:") {
        let message = format!("{written} is asked of a person by VS Code; nobody is asked here");
        return Err(McpError::new(message).hint("write ${env:NAME} and set the variable"));
    }
    if !must && !name.contains(':') {
        // A shell's own, such as `${#name}`.
        return Ok(Piece::Plain(written));
    }
    Err(McpError::new(format!("{written} is not known here"))
        .hint("known are ${env:NAME}, ${NAME}, ${workspaceFolder} and ${userHome}"))
}
