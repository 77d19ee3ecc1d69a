//! What a skill's file says, and which of several skills are offered.
//!
//! As the Copilot CLI has it (measured with 1.0.102): the front matter is YAML between two
//! lines of `---`; a skill without a name has its folder's; one without a description has the
//! first line of its text; the first of a name wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode as _, Yaml};

/// The head of a skill's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
}

/// A skill that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skill {
    /// What it says of itself.
    pub head: Head,
    /// Its folder.
    pub folder: PathBuf,
    /// The folder it was found in: the same, where that is a skill itself.
    pub root: PathBuf,
}

/// Whether a skill is offered, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Offered,
    /// The skill in this folder has its name and comes first.
    Shadowed(PathBuf),
    /// It is left out by name.
    Disabled,
    /// Others are named.
    NotNamed,
}

/// Which skills a run wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Not these.
    pub disabled: Vec<String>,
    /// Only these.
    pub only: Option<Vec<String>>,
}

/// Reads a skill's file; `folder` is the name of the folder it lies in.
///
/// # Errors
/// In words, when the Copilot CLI would not take it either.
pub fn read(text: &str, folder: &str) -> Result<Head, String> {
    let (front, body) = split(text).ok_or_else(|| {
        "its file does not begin with a front matter: `---`, YAML, `---`".to_owned()
    })?;
    let documents = Yaml::load_from_str(&front)
        .map_err(|error| format!("its front matter is no YAML: {error}"))?;
    let Some(table) = documents.first().filter(|it| it.is_mapping()) else {
        return Err("its front matter is no table of keys".to_owned());
    };
    let field = |key: &str| match table.as_mapping_get(key) {
        None => Ok(None),
        Some(value) if value.is_null() => Ok(None),
        Some(value) => match value.as_str() {
            Some(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
            None => Err(format!("its `{key}` is no text")),
        },
    };
    let name = field("name")?.unwrap_or_else(|| folder.to_owned());
    let first = || body.lines().map(str::trim).find(|line| !line.is_empty());
    let description = field("description")?.or_else(|| first().map(str::to_owned));
    let Some(description) = description else {
        return Err("it has neither a `description` nor any text".to_owned());
    };
    Ok(Head { name: plain(&name), description })
}

/// The front matter and what follows it. Its line numbers stay as they are in the file.
fn split(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut at = 0;
    let mut front = None;
    for line in text.split_inclusive('\n') {
        let is_mark = line.trim_end() == "---";
        match front {
            None if is_mark => front = Some(String::from("\n")),
            None => return None,
            Some(front) if is_mark => return Some((front, &text[at + line.len()..])),
            Some(ref mut front) => front.push_str(line),
        }
        at += line.len();
    }
    None
}

/// A name as it is offered: white space becomes a dash.
fn plain(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join("-")
}

/// How each of the skills stands; they are in the order in which they win.
pub fn rank(skills: &[Skill], choice: &Choice) -> Vec<Standing> {
    let mut first: BTreeMap<&str, &Path> = BTreeMap::new();
    let stand = |skill: &Skill, other: Option<&Path>| {
        let is_named = |names: &[String]| names.contains(&skill.head.name);
        if let Some(other) = other {
            Standing::Shadowed(other.to_owned())
        } else if is_named(&choice.disabled) {
            Standing::Disabled
        } else if choice.only.as_deref().is_none_or(is_named) {
            Standing::Offered
        } else {
            Standing::NotNamed
        }
    };
    let ranked = skills.iter().map(|skill| {
        let other = first.get(skill.head.name.as_str()).copied();
        first.entry(&skill.head.name).or_insert(&skill.folder);
        stand(skill, other)
    });
    ranked.collect()
}

/// The skills that are offered.
pub fn offered<'a>(skills: &'a [Skill], choice: &Choice) -> Vec<&'a Skill> {
    let ranked = rank(skills, choice);
    let pairs = skills.iter().zip(ranked);
    pairs.filter(|(_, standing)| *standing == Standing::Offered).map(|(skill, _)| skill).collect()
}

/// What a Copilot CLI that also looks in places of its own must be told to leave out, so that
/// it offers what is `wanted`. There, what it finds itself wins.
///
/// # Errors
/// With the name of a skill that is wanted from one folder and found in another: names are all
/// that it can be told.
pub fn left_out(wanted: &[&Skill], own: &[Skill]) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for skill in offered(own, &Choice::default()) {
        match wanted.iter().find(|it| it.head.name == skill.head.name) {
            Some(same) if same.folder == skill.folder => {}
            Some(other) => {
                return Err(format!(
                    "the skill `{}` is wanted from {}, and the Copilot CLI takes it from {}",
                    skill.head.name,
                    other.folder.display(),
                    skill.folder.display()
                ));
            }
            None => names.push(skill.head.name.clone()),
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skill(name: &str, folder: &str) -> Skill {
        let head = Head { name: name.to_owned(), description: "d".to_owned() };
        let folder = PathBuf::from(folder);
        Skill { head, root: folder.parent().unwrap().to_owned(), folder }
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn front_matter_is_yaml_whatever_its_style() {
        let table = [
            ("---\nname: a\ndescription: b\n---\nx\n", "a", "b"),
            ("---\ndescription: b\nlicense: MIT\nname: 'a'\n---\n", "a", "b"),
            ("---\r\nname: a\r\ndescription: b\r\n---\r\nx", "a", "b"),
            ("\u{feff}---\nname: a\ndescription: \"b: c # d\"\n---\n", "a", "b: c # d"),
            ("---\nname: a\ndescription: >-\n  two\n  lines\n---\n", "a", "two lines"),
            ("---\nname: a\ndescription: |\n  two\n  lines\n---\n", "a", "two\nlines"),
            ("---\ndescription: b\n---\n", "folder", "b"),
            ("---\nname: a\n---\n\n  First words.\nMore.\n", "a", "First words."),
            ("---\nname: My Skill\ndescription: b\nallowed-tools: [x, y]\n---\n", "My-Skill", "b"),
            ("---\nname: a\ndescription:\n---\nBody.\n", "a", "Body."),
        ];
        for (text, name, description) in table {
            let head = read(text, "folder").unwrap();
            assert_eq!((head.name.as_str(), head.description.as_str()), (name, description));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let table = [
            ("", "front matter"),
            ("words\n---\nname: a\n---\n", "front matter"),
            ("---\nname: a\n", "front matter"),
            ("---\nname: [a\ndescription: b\n---\nx", "no YAML"),
            ("---\nname: a\ndescription: use when: always\n---\nx", "no YAML"),
            ("---\nname: a\ndescription: [b]\n---\nx", "`description` is no text"),
            ("---\nname: {a: b}\ndescription: b\n---\nx", "`name` is no text"),
            ("---\n- a\n---\nx", "no table"),
            ("---\nname: a\n---\n\n", "neither"),
        ];
        for (text, words) in table {
            let error = read(text, "folder").unwrap_err();
            assert!(error.contains(words), "{text:?}: {error}");
        }
        // The line is the file's own.
        let error = read("---\nname: a\ndescription: b: c\n---\n", "f").unwrap_err();
        assert!(error.contains("line 3"), "{error}");
    }

    #[test]
    fn the_first_of_a_name_wins_and_the_rest_is_explained() {
        let skills =
            [skill("a", "/1/a"), skill("b", "/1/b"), skill("a", "/2/a"), skill("c", "/2/c")];
        let shadowed = Standing::Shadowed("/1/a".into());
        let choice = Choice { disabled: names(&["c"]), only: None };
        let ranked = rank(&skills, &choice);
        assert_eq!(
            ranked,
            [Standing::Offered, Standing::Offered, shadowed.clone(), Standing::Disabled]
        );
        let choice = Choice { disabled: Vec::new(), only: Some(names(&["a"])) };
        let ranked = rank(&skills, &choice);
        assert_eq!(ranked, [Standing::Offered, Standing::NotNamed, shadowed, Standing::NotNamed]);
        // One that is disabled is not replaced by the one it shadows: names are disabled.
        let choice = Choice { disabled: names(&["a"]), only: None };
        assert_eq!(offered(&skills, &choice).len(), 2);
    }

    #[test]
    fn what_the_cli_finds_by_itself_is_left_out_by_name() {
        let own = [skill("a", "/1/a"), skill("b", "/1/b")];
        let (wanted, other) = (skill("a", "/1/a"), skill("b", "/2/b"));
        assert_eq!(left_out(&[&wanted], &own), Ok(names(&["b"])));
        assert_eq!(left_out(&[], &own), Ok(names(&["a", "b"])));
        assert!(left_out(&[&other], &own).unwrap_err().contains("/2/b"));
    }
}
