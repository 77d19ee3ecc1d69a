//! What can stand where the cursor is: commands, models, files, skills.

use std::fs;
use std::path::{Path, PathBuf};

use copex_proto::run::Effort;

use crate::conversation::slash::TABLE;
use crate::process;

/// Candidates that are given at once: more are no choice.
const MOST: usize = 200;

/// Files of a folder that are looked through for `@path`.
const MOST_FILES: usize = 50_000;

/// Something that can stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// From which byte of the line on, to the cursor, it takes the place.
    pub(crate) from: usize,
    /// The text.
    pub(crate) text: String,
    /// What it is, in a line.
    pub(crate) about: String,
}

/// What is known of the surroundings. Filled while it is needed.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The folder of the conversation.
    pub(crate) folder: PathBuf,
    /// Models by name.
    pub(crate) models: Vec<String>,
    /// Skills by name, and what each is for.
    pub(crate) skills: Vec<(String, String)>,
    /// Conversations by id, and how each begins.
    pub(crate) sessions: Vec<(String, String)>,
    files: Option<Vec<String>>,
}

impl Known {
    /// Of a folder, nothing yet.
    pub(crate) fn of(folder: PathBuf) -> Self {
        Self { folder, ..Self::default() }
    }

    /// Files may have come since.
    pub(crate) fn look_again(&mut self) {
        self.files = None;
    }

    /// What can stand at the cursor, the best first.
    pub(crate) fn candidates(&mut self, line: &str, cursor: usize) -> Vec<Candidate> {
        let Some(before) = line.get(..cursor) else { return Vec::new() };
        let word = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        if let Some(path) = before[word..].strip_prefix('@') {
            return self.paths(path, word + 1);
        }
        if word > 0 && before.starts_with('!') {
            return self.paths(&before[word..], word);
        }
        let Some(rest) = before.strip_prefix('/') else { return Vec::new() };
        let Some((name, typed)) = rest.split_once(char::is_whitespace) else {
            let commands = TABLE.iter().map(|slash| {
                let text = format!("/{}", slash.name);
                (text, format!("{} {}", slash.takes, slash.about).trim().to_owned())
            });
            return matching(commands, before, 0);
        };
        if typed.trim_start().contains(char::is_whitespace) {
            return Vec::new();
        }
        let named =
            |names: &[(String, String)]| matching(names.iter().cloned(), &before[word..], word);
        match name {
            "model" => matching(
                self.models.iter().map(|it| (it.clone(), String::new())),
                &before[word..],
                word,
            ),
            "reasoning" => {
                let levels = Effort::ALL.iter().map(|it| (it.as_str().to_owned(), String::new()));
                matching(levels, &before[word..], word)
            }
            "resume" => named(&self.sessions),
            "skills" => named(&self.skills),
            _ => Vec::new(),
        }
    }

    fn paths(&mut self, typed: &str, from: usize) -> Vec<Candidate> {
        let files = self.files.get_or_insert_with(|| files(&self.folder));
        let lower = typed.to_lowercase();
        let mut found: Vec<(usize, &String)> =
            files.iter().filter_map(|file| Some((rank(file, typed, &lower)?, file))).collect();
        found.sort();
        found.truncate(MOST);
        let candidate = |(_, file): (usize, &String)| Candidate {
            from,
            text: file.clone(),
            about: String::new(),
        };
        found.into_iter().map(candidate).collect()
    }
}

/// How well a file fits: its beginning, its name's, or anything of it.
fn rank(file: &str, typed: &str, lower: &str) -> Option<usize> {
    if file.starts_with(typed) {
        return Some(0);
    }
    let name = file.rsplit('/').next().unwrap_or(file).to_lowercase();
    if name.starts_with(lower) {
        return Some(1);
    }
    file.to_lowercase().contains(lower).then_some(2)
}

fn matching(
    names: impl Iterator<Item = (String, String)>,
    typed: &str,
    from: usize,
) -> Vec<Candidate> {
    let fits = names.filter(|(name, _)| name.starts_with(typed)).take(MOST);
    fits.map(|(text, about)| Candidate { from, text, about }).collect()
}

/// Files below a folder: those that git does not ignore, else what is not hidden.
fn files(folder: &Path) -> Vec<String> {
    if let Some(files) = process::tracked(folder, MOST_FILES) {
        return files;
    }
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder.join(&below)) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if files.len() == MOST_FILES {
                return files;
            }
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = below.join(&name);
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() => files.extend(path.to_str().map(str::to_owned)),
                _ => {}
            }
        }
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(known: &mut Known, line: &str) -> Vec<String> {
        known.candidates(line, line.len()).into_iter().map(|it| it.text).collect()
    }

    #[test]
    fn a_slash_names_commands_and_what_they_take() {
        let mut known = Known::default();
        assert_eq!(texts(&mut known, "/mo"), ["/model", "/models"]);
        assert_eq!(texts(&mut known, "/").len(), TABLE.len());
        assert_eq!(texts(&mut known, "say /mo"), Vec::<String>::new());
        known.models = vec!["gpt-5".to_owned(), "claude".to_owned()];
        assert_eq!(texts(&mut known, "/model g"), ["gpt-5"]);
        assert_eq!(known.candidates("/model g", 8)[0].from, 7);
        assert_eq!(texts(&mut known, "/model gpt-5 x"), Vec::<String>::new());
        assert_eq!(texts(&mut known, "/reasoning h"), ["high"]);
    }

    #[test]
    fn an_at_sign_names_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("src")).unwrap();
        for name in ["src/main.rs", "readme.md", ".hidden"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let mut known = Known::of(folder.path().to_owned());
        assert_eq!(texts(&mut known, "look at @src/m"), ["src/main.rs"]);
        assert_eq!(texts(&mut known, "look at @Main"), ["src/main.rs"]);
        assert_eq!(texts(&mut known, "@"), ["readme.md", "src/main.rs"]);
        assert_eq!(known.candidates("a @re", 5)[0].from, 3);
        assert_eq!(texts(&mut known, "!cat src"), ["src/main.rs"]);
        assert_eq!(texts(&mut known, "!re"), Vec::<String>::new(), "a program is none of them");
    }
}
