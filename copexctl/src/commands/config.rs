//! `config`: show, check and change.

use std::fs;
use std::io;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use copex_proto::config::layer::parse_value;
use copex_proto::config::merge::Shown;
use copex_proto::config::{Origin, Severity};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use toml_edit::{DocumentMut, Item, Table};

use crate::cli::ConfigCommand;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::render;
use crate::settings::{self, Given, in_words};

/// Carries out one of the verbs.
pub(crate) fn run(
    ctx: &Context,
    file: Option<PathBuf>,
    command: Option<ConfigCommand>,
) -> Result<Exit> {
    match command.unwrap_or(ConfigCommand::Show { json: false }) {
        ConfigCommand::Show { json: true } => show_json(ctx, file),
        ConfigCommand::Show { json: false } => show(ctx, file),
        ConfigCommand::Check => check(ctx, file),
        ConfigCommand::Set { key, value } => {
            let path = file.unwrap_or_else(|| ctx.config_file());
            set(&path, &key, &value)
        }
        ConfigCommand::Path => {
            let path = file.unwrap_or_else(|| ctx.config_file());
            render::line(&path.display().to_string())?;
            Ok(Exit::Done)
        }
    }
}

fn show(ctx: &Context, file: Option<PathBuf>) -> Result<Exit> {
    let (merged, _) = settings::merge(ctx, Given { file, ..Given::default() })?;
    let rows: Vec<_> = merged.show().iter().map(row).collect();
    render::text(render::table(&rows).as_bytes())?;
    for problem in merged.problems() {
        render::note(&in_words(problem));
    }
    Ok(if merged.error().is_some() { Exit::Usage } else { Exit::Done })
}

fn row(shown: &Shown) -> Vec<String> {
    let (value, origin) = match &shown.value {
        Some(value) => (value.to_string(), origin_of(shown)),
        None => (format!("({})", shown.default), "default".to_owned()),
    };
    vec![shown.name.to_owned(), value, origin]
}

fn origin_of(shown: &Shown) -> String {
    match (&shown.origin, shown.line) {
        (Origin::User(_) | Origin::Project(_), Some(line)) => format!("{}:{line}", shown.origin),
        (origin, _) => origin.to_string(),
    }
}

fn show_json(ctx: &Context, file: Option<PathBuf>) -> Result<Exit> {
    let (merged, _) = settings::merge(ctx, Given { file, ..Given::default() })?;
    let mut keys = serde_json::Map::new();
    for shown in merged.show() {
        let entry = json!({
            "value": shown.value,
            "default": shown.default,
            "origin": origin_of(&shown),
        });
        keys.insert(shown.name.to_owned(), entry);
    }
    let problems: Vec<_> = merged.problems().iter().map(in_words).collect();
    render::value(&json!({ "keys": keys, "problems": problems }))?;
    Ok(if merged.error().is_some() { Exit::Usage } else { Exit::Done })
}

/// Here an unknown key is an error.
fn check(ctx: &Context, file: Option<PathBuf>) -> Result<Exit> {
    let path = file.clone().unwrap_or_else(|| ctx.config_file());
    let (merged, _) = settings::merge(ctx, Given { file, ..Given::default() })?;
    let mut bad = 0;
    for problem in merged.problems() {
        bad += usize::from(problem.severity >= Severity::Unknown);
        render::note(&in_words(problem));
    }
    if bad == 0 {
        // What only the whole can show: two keys for one provider, a URL that is none.
        copex_proto::config::ClientConfig::from_merged(&merged)?;
        let exists = if path.exists() { "" } else { " (there is none; defaults hold)" };
        render::line(&format!("{} is good{exists}", path.display()))?;
        return Ok(Exit::Done);
    }
    Err(Failure::usage(format!("{bad} mistakes in the configuration")))
}

fn set(path: &Path, key: &str, text: &str) -> Result<Exit> {
    let value = parse_value(key, text)?;
    let old = match fs::read_to_string(path) {
        Ok(old) => old,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Failure::file("read", path, &error)),
    };
    let new = edit(&old, key, &value)
        .map_err(|words| Failure::usage(format!("{}: {words}", path.display())))?;
    write(path, &new)?;
    Ok(Exit::Done)
}

/// The text with one key set; comments and order stay.
fn edit(text: &str, key: &str, value: &Value) -> std::result::Result<String, String> {
    let mut document: DocumentMut =
        text.parse().map_err(|error| format!("broken TOML: {error}"))?;
    let value = toml_value(value)?;
    let (table, name) = match key.split_once('.') {
        None => (document.as_table_mut() as &mut dyn toml_edit::TableLike, key),
        Some((table, name)) => {
            let item = document.entry(table).or_insert_with(|| Item::Table(Table::new()));
            let table = item.as_table_like_mut();
            (table.ok_or_else(|| format!("`{key}` cannot be set: its table is a value"))?, name)
        }
    };
    match table.get_mut(name).and_then(Item::as_value_mut) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = value;
            *old.decor_mut() = decor;
        }
        None => {
            table.insert(name, Item::Value(value));
        }
    }
    Ok(document.to_string())
}

fn toml_value(value: &Value) -> std::result::Result<toml_edit::Value, String> {
    Ok(match value {
        Value::Null => return Err("nothing cannot be written".to_owned()),
        Value::Bool(yes) => (*yes).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => return Err(format!("{number} is too large")),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => {
            let items: std::result::Result<toml_edit::Array, String> =
                items.iter().map(toml_value).collect();
            items?.into()
        }
        Value::Object(map) => {
            let mut table = toml_edit::InlineTable::new();
            for (name, item) in map {
                table.insert(name, toml_value(item)?);
            }
            table.into()
        }
    })
}

/// Writes a configuration file: whole or not at all, and only for this user.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let wrong = |error: io::Error| Failure::file("write", path, &error);
    // A link stays a link: people keep their files elsewhere.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(wrong)?;
    let mut beside = NamedTempFile::new_in(folder).map_err(wrong)?;
    beside.write_all(text.as_bytes()).map_err(wrong)?;
    if let Ok(meta) = path.metadata() {
        beside.as_file().set_permissions(meta.permissions()).map_err(wrong)?;
    }
    beside.as_file().sync_all().map_err(wrong)?;
    beside.persist(path).map_err(|error| wrong(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_key_keeps_comments_and_order() {
        let old = "# mine\nmodel = 'a' # the best\n\n[retry] # patient\nmax_retries = 3\n";
        let new = edit(old, "model", &json!("b")).unwrap();
        assert_eq!(new, old.replace("'a'", "\"b\""));
        let new = edit(&new, "approval.deny", &json!(["shell(rm)"])).unwrap();
        assert!(new.ends_with("[approval]\ndeny = [\"shell(rm)\"]\n"), "{new}");
        let new = edit(&new, "retry.max_retries", &json!(7)).unwrap();
        assert!(new.contains("[retry] # patient\nmax_retries = 7\n"), "{new}");
    }

    #[test]
    fn a_top_level_key_lands_above_the_tables() {
        let new = edit("[retry]\nmax_retries = 3\n", "model", &json!("m")).unwrap();
        assert_eq!(new, "model = \"m\"\n[retry]\nmax_retries = 3\n");
    }

    #[test]
    fn a_broken_file_is_not_overwritten() {
        assert!(edit("model = ", "model", &json!("m")).is_err());
        assert!(edit("retry = 3", "retry.max_retries", &json!(1)).is_err());
    }
}
