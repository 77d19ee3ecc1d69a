//! Skills on the disk: what is in a folder, and the folders that the Copilot CLI knows.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::backend::spec::RuntimeSpec;
use crate::core::skill::{self, Skill};

/// The file that makes a folder a skill.
pub const FILE: &str = "SKILL.md";

/// Skills of one folder that are looked at: nobody offers an agent more.
const MOST: usize = 500;

/// Bytes of a skill's file that are read. The agent is given it whole, so it is short.
const MOST_BYTES: u64 = 1 << 20;

/// Folders of a repository where the Copilot CLI looks for skills, first things first.
const IN_PROJECT: [&str; 3] = [".github/skills", ".agents/skills", ".claude/skills"];

/// What was found in some folders.
#[derive(Debug, Default)]
pub struct Found {
    /// The skills, in the order of their folders, then by the names of theirs.
    pub skills: Vec<Skill>,
    /// What is no skill, and why.
    pub problems: Vec<(PathBuf, String)>,
}

/// Looks through folders that hold skills, or are one. Blocks on the disk.
pub fn scan(roots: &[PathBuf]) -> Found {
    let mut found = Found::default();
    let mut seen: Vec<&PathBuf> = Vec::new();
    for root in roots {
        if seen.contains(&root) {
            continue;
        }
        seen.push(root);
        if root.join(FILE).is_file() {
            one(&mut found, root, root);
            continue;
        }
        match folders(root) {
            Ok(list) if list.is_empty() => {
                found.problems.push((root.clone(), format!("it holds no skills: no NAME/{FILE}")));
            }
            Ok(list) => list.iter().for_each(|folder| one(&mut found, folder, root)),
            Err(error) => found.problems.push((root.clone(), in_words(&error))),
        }
    }
    found
}

/// The folders in a folder, by name.
fn folders(root: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(root)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut list: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    list.sort();
    list.truncate(MOST);
    Ok(list)
}

fn one(found: &mut Found, folder: &Path, root: &Path) {
    let path = folder.join(FILE);
    let name = folder.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let read = match read(&path) {
        Ok(text) => skill::read(&text, &name),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(no_file(folder)),
        Err(error) => Err(in_words(&error)),
    };
    match read {
        Ok(head) => {
            let (folder, root) = (folder.to_owned(), root.to_owned());
            found.skills.push(Skill { head, folder, root });
        }
        Err(why) => found.problems.push((folder.to_owned(), why)),
    }
}

/// A skill's file as text.
///
/// # Errors
/// When it cannot be read, is no text, or is longer than a megabyte.
pub fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(std::io::Error::other(format!("it is longer than {MOST_BYTES} bytes")));
    }
    Ok(text)
}

fn no_file(folder: &Path) -> String {
    if folder.join("skill.md").is_file() {
        return format!("its file is called skill.md: the Copilot CLI wants {FILE}");
    }
    format!("there is no {FILE} in it")
}

fn in_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such folder".to_owned(),
        _ => error.to_string(),
    }
}

/// The folders where the Copilot CLI looks by itself when it is one process per turn, in its
/// order (measured with 1.0.102): of the project by kind, each from the working folder up to
/// the repository's own, then the user's. Where there is no repository it goes up to the root.
pub fn own_roots(runtime: &RuntimeSpec, cwd: &Path) -> Vec<PathBuf> {
    let top = cwd.ancestors().find(|folder| folder.join(".git").exists());
    let project = cwd.ancestors().take_while(|it| top.is_none_or(|top| it.starts_with(top)));
    let mut roots: Vec<PathBuf> =
        IN_PROJECT.iter().flat_map(|name| project.clone().map(move |it| it.join(name))).collect();
    let own = runtime.copilot_home();
    roots.extend(own.iter().map(|own| own.join("skills")));
    let home = runtime.env.get("HOME").filter(|home| !home.is_empty()).map(Path::new);
    // With a home of its own elsewhere it does not look there.
    let home = home.filter(|home| own.as_deref().is_some_and(|own| own == home.join(".copilot")));
    roots.extend(home.map(|home| home.join(".agents/skills")));
    roots.retain(|root| root.is_dir());
    roots
}

/// The files that decide what skills of these folders are: a change of one is a change of the
/// session that has them.
pub fn files(roots: &[PathBuf]) -> Vec<PathBuf> {
    let inner = roots.iter().flat_map(|root| folders(root).unwrap_or_default());
    let all = inner.chain(roots.iter().cloned());
    all.flat_map(|folder| [folder.join(FILE), folder]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, name: &str, text: &str) {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        std::fs::write(folder.join(name).join(FILE), text).unwrap();
    }

    #[test]
    fn folders_are_searched_in_order_and_problems_are_named() {
        let home = tempfile::tempdir().unwrap();
        let (one, two) = (home.path().join("1"), home.path().join("2"));
        let good = "---\nname: a\ndescription: d\n---\n";
        put(&one, "b", &good.replace("name: a", "name: b"));
        put(&one, "a", good);
        put(&one, "bad", "no front matter");
        put(&two, "a", good);
        std::fs::create_dir_all(one.join("none")).unwrap();
        std::fs::create_dir_all(one.join("lower")).unwrap();
        std::fs::write(one.join("lower/skill.md"), good).unwrap();
        let found = scan(&[one.clone(), two.join("a"), home.path().join("nowhere"), one.clone()]);
        let places: Vec<_> = found.skills.iter().map(|it| it.folder.clone()).collect();
        assert_eq!(places, [one.join("a"), one.join("b"), two.join("a")]);
        assert_eq!(found.skills[2].root, two.join("a"));
        let problem = |name: &str, words: &str| {
            let named =
                |(path, why): &(PathBuf, String)| path.ends_with(name) && why.contains(words);
            assert!(found.problems.iter().any(named), "{name}: {:?}", found.problems);
        };
        problem("bad", "front matter");
        problem("none", "no SKILL.md");
        problem("lower", "skill.md");
        problem("nowhere", "no such folder");
        assert_eq!(found.problems.len(), 4, "{:?}", found.problems);
    }

    #[test]
    fn a_file_that_is_no_text_or_too_long_is_a_problem() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().to_owned();
        put(&root, "long", &"x".repeat(2 << 20));
        std::fs::create_dir_all(root.join("odd")).unwrap();
        std::fs::write(root.join("odd").join(FILE), [0xff, 0xfe]).unwrap();
        let found = scan(&[root]);
        assert_eq!((found.skills.len(), found.problems.len()), (0, 2), "{found:?}");
        assert!(found.problems[0].1.contains("longer"), "{found:?}");
    }
}
