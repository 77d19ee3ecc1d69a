//! A home for one process of the Copilot CLI: the user's own, but for a setting.
//!
//! Which skills are left out is a setting of the CLI's home folder and of nothing else. So a
//! process that is to leave some out has a folder of links to everything in the user's, with
//! a copy of the settings in which they are named. What the CLI writes into files that are
//! there, its sessions first of all, it writes through the links.

use std::path::Path;

use serde_json::{Value, json};

use super::command::{files_failed, write};
use crate::core::failure::{Failure, FailureClass};

/// The file with the settings.
const SETTINGS: &str = "settings.json";

/// The folder of the conversations: it must be the user's, also when this is the first.
const SESSIONS: &str = "session-state";

/// Makes `folder` such a home.
///
/// # Errors
/// `Usage` when the user's settings cannot be read, `Unavailable` when the folder cannot be made.
pub(super) fn make(home: &Path, folder: &Path, disabled: &[String]) -> Result<(), Failure> {
    std::fs::create_dir_all(home.join(SESSIONS)).map_err(files_failed)?;
    std::fs::create_dir(folder).map_err(files_failed)?;
    for entry in std::fs::read_dir(home).map_err(files_failed)? {
        let entry = entry.map_err(files_failed)?;
        if entry.file_name() != SETTINGS {
            let link = folder.join(entry.file_name());
            std::os::unix::fs::symlink(entry.path(), link).map_err(files_failed)?;
        }
    }
    let settings = settings(&home.join(SETTINGS), disabled)?;
    write(&folder.join(SETTINGS), &settings.to_string())
}

fn settings(path: &Path, disabled: &[String]) -> Result<Value, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        let message = format!(
            "skills cannot be left out with use_cli: {} cannot be read: {why}",
            path.display()
        );
        let hint = "mend the file, leave out use_cli, or leave no skills out";
        Failure::new(FailureClass::Usage, message).with_hint(hint)
    };
    let mut settings = match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => json!({}),
        Ok(text) => serde_json::from_str(&text).map_err(|error| wrong(&error))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => json!({}),
        Err(error) => return Err(wrong(&error)),
    };
    let Some(table) = settings.as_object_mut() else { return Err(wrong(&"it is no JSON object")) };
    let list = table.entry("disabledSkills").or_insert_with(|| json!([]));
    let Some(list) = list.as_array_mut() else {
        return Err(wrong(&"its `disabledSkills` is no list"));
    };
    list.extend(disabled.iter().map(|name| Value::from(name.as_str())));
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_users_but_for_the_skills_that_are_left_out() {
        let root = tempfile::tempdir().unwrap();
        let (home, made) = (root.path().join("home"), root.path().join("made"));
        std::fs::create_dir(&home).unwrap();
        std::fs::write(home.join("config.json"), "{}").unwrap();
        std::fs::write(home.join(SETTINGS), r#"{"theme": "x", "disabledSkills": ["a"]}"#).unwrap();
        make(&home, &made, &["b".to_owned()]).unwrap();
        let text = std::fs::read_to_string(made.join(SETTINGS)).unwrap();
        let settings: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(settings, json!({"theme": "x", "disabledSkills": ["a", "b"]}));
        std::fs::write(made.join(SESSIONS).join("s"), "words").unwrap();
        std::fs::write(made.join("config.json"), "written").unwrap();
        std::fs::remove_dir_all(&made).unwrap();
        assert_eq!(std::fs::read_to_string(home.join(SESSIONS).join("s")).unwrap(), "words");
        assert_eq!(std::fs::read_to_string(home.join("config.json")).unwrap(), "written");
    }

    #[test]
    fn settings_that_cannot_be_read_are_named() {
        let root = tempfile::tempdir().unwrap();
        for (number, text) in ["// words", "[]", r#"{"disabledSkills": 1}"#].iter().enumerate() {
            std::fs::write(root.path().join(SETTINGS), text).unwrap();
            let made = root.path().join(format!("made{number}"));
            let failure = make(root.path(), &made, &[]).unwrap_err();
            assert_eq!(failure.class, FailureClass::Usage, "{failure}");
            assert!(failure.message.contains(SETTINGS), "{failure}");
        }
    }
}
