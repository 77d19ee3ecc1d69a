//! Commits of a run, on a branch of its own: what the engine is asked for, and what is kept.
//!
//! Invariant: what the user had changed before the run is in no commit. The folder as it was
//! then is the baseline, and a file that differed from the last commit in it is left out.
//! Invariant: one commit for one message. Its marks say whose it is, so that a commit that
//! was made before a crash is found instead of made again.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::machine::{Effect, Fact};

/// Characters of a commit's title.
const TITLE_CHARS: usize = 72;

/// Files that a warning names; the rest is counted.
const NAMED: usize = 5;

/// Begins the lines of a message that say whose commit it is.
const MARK: &str = "Copex-";

/// The repository as it was before the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The commit that was checked out.
    pub head: String,
    /// The folder with all that was changed in it, as a tree.
    pub tree: String,
    /// The branch that was checked out, as a whole reference.
    pub on: String,
}

/// One commit that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The branch that it goes on, without `refs/heads/`.
    pub branch: String,
    /// What was there before the run.
    pub base: Baseline,
    /// The last commit of the run on that branch, if there is one.
    pub tip: Option<String>,
    /// Its message, with its marks at the end.
    pub message: String,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// The commit; none when nothing had changed.
    pub commit: Option<String>,
    /// Files that the run changed and that are in no commit, because the user had changed
    /// them before, or because they are repositories of their own.
    pub left_out: Vec<String>,
}

/// The stored part of a run that commits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Commits {
    /// The run that the baseline was looked up for; empty before that.
    run: String,
    branch: String,
    base: Option<Baseline>,
    tip: Option<String>,
    /// The last warning, so that it is not said after each commit.
    told: String,
}

impl Commits {
    /// Whether the baseline is still to be looked up for this run.
    pub fn unsettled(&self, run: &str) -> bool {
        self.run != run
    }

    /// Asks for the baseline. That of a run that is taken up holds while nothing else was
    /// checked out since.
    pub fn look(&self) -> Effect {
        Effect::Baseline { known: self.base.clone() }
    }

    /// Takes the baseline of a run, whose commits go on `branch`; or goes without commits.
    pub fn settle(
        &mut self,
        (run, branch): (&str, String),
        found: Result<Baseline, String>,
    ) -> Vec<Effect> {
        run.clone_into(&mut self.run);
        match found {
            Ok(base) if self.base.as_ref() == Some(&base) => Vec::new(),
            Ok(base) => {
                (self.branch, self.base, self.tip) = (branch, Some(base), None);
                Vec::new()
            }
            Err(why) => {
                self.base = None;
                self.warn(format!("there will be no commits: {why}"))
            }
        }
    }

    /// Asks for a commit; nothing where there are to be none.
    pub fn order(&self, message: String) -> Option<Effect> {
        let base = self.base.clone()?;
        let order = Order { branch: self.branch.clone(), base, tip: self.tip.clone(), message };
        Some(Effect::Commit(Box::new(order)))
    }

    /// What was there before the run, where that is known.
    pub fn base(&self) -> Option<&Baseline> {
        self.base.as_ref()
    }

    /// Takes what became of it, and says so.
    pub fn made(&mut self, made: Result<Made, String>) -> Vec<Effect> {
        let made = match made {
            Ok(made) => made,
            Err(why) => return self.warn(format!("not committed: {why}")),
        };
        let mut effects = Vec::new();
        if let Some(commit) = made.commit {
            let file = format!("{} {commit}", self.branch);
            effects.push(Effect::Emit(Fact::Artifact { file, kind: "commit".to_owned() }));
            self.tip = Some(commit);
        }
        if made.left_out.is_empty() {
            self.told.clear();
        } else {
            effects.extend(self.warn(format!(
                "not committed: {}: changed before the run already, or a repository of its own",
                named(&made.left_out)
            )));
        }
        effects
    }

    fn warn(&mut self, message: String) -> Vec<Effect> {
        if self.told == message {
            return Vec::new();
        }
        self.told.clone_from(&message);
        vec![Effect::Emit(Fact::Warning { code: "commit".to_owned(), message })]
    }
}

/// The first names of a list.
pub fn named(files: &[String]) -> String {
    let first = files.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match files.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// A message: a title of one line, what there is to say, and marks that name the commit
/// inside the repository, each a name (`Run`) and a value.
pub fn message(title: &str, detail: &str, marks: &[(&str, &str)]) -> String {
    let line = title.trim().lines().next().unwrap_or_default();
    let line: String = line.chars().filter(|c| !c.is_control()).take(TITLE_CHARS).collect();
    let mut text = line.trim_end().to_owned();
    if !detail.is_empty() {
        let _ = write!(text, "\n\n{}", detail.trim_end());
    }
    worded(&text, marks)
}

/// The same with a message that is taken as it is.
pub fn worded(words: &str, marks: &[(&str, &str)]) -> String {
    let mut text = format!("{}\n\n", words.trim_end());
    for (name, value) in marks {
        let _ = writeln!(text, "{MARK}{name}: {value}");
    }
    text
}

/// The marks of a message.
pub fn marks(message: &str) -> Vec<&str> {
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    last.lines().filter(|line| line.starts_with(MARK)).collect()
}

/// The step that a message's marks name.
pub fn step(message: &str) -> Option<&str> {
    marks(message).into_iter().find_map(|mark| mark.strip_prefix("Copex-Step: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(head: &str) -> Baseline {
        let (head, tree, on) = (head.to_owned(), "t".to_owned(), "refs/heads/main".to_owned());
        Baseline { head, tree, on }
    }

    fn made(commit: Option<&str>, left_out: &[&str]) -> Made {
        let left_out = left_out.iter().map(|file| (*file).to_owned()).collect();
        Made { commit: commit.map(str::to_owned), left_out }
    }

    #[test]
    fn a_message_is_known_by_its_marks() {
        let marked = [("Run", "r1"), ("Iteration", "2")];
        let text = message(&"long ".repeat(40), "`check`: exit 0\nCopex-Run: no mark", &marked);
        assert_eq!(marks(&text), ["Copex-Run: r1", "Copex-Iteration: 2"]);
        assert!(text.lines().next().unwrap().len() <= TITLE_CHARS, "{text}");
        assert_eq!(message("a\u{7}b\nc", "", &marked[..1]), "ab\n\nCopex-Run: r1\n");
        assert_eq!(marks("a\n\nb\n"), [""; 0]);
    }

    #[test]
    fn each_commit_follows_the_last_and_a_warning_is_said_once() {
        let mut commits = Commits::default();
        assert!(commits.unsettled("r") && commits.order(String::new()).is_none());
        assert_eq!(commits.settle(("r", "b".to_owned()), Ok(base("h"))), []);
        assert!(!commits.unsettled("r"));
        let told = commits.made(Ok(made(Some("c1"), &["x"])));
        let [Effect::Emit(Fact::Artifact { file, kind }), Effect::Emit(Fact::Warning { .. })] =
            &told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!((file.as_str(), kind.as_str()), ("b c1", "commit"));
        assert_eq!(commits.made(Ok(made(None, &["x"]))), []);
        let Some(Effect::Commit(order)) = commits.order("m".to_owned()) else { panic!() };
        assert_eq!(order.tip.as_deref(), Some("c1"));
        assert_eq!(commits.made(Ok(made(None, &["x", "y"]))).len(), 1, "another file");
    }

    #[test]
    fn a_run_that_is_taken_up_stays_on_its_branch_while_nothing_else_is_checked_out() {
        let mut commits = Commits::default();
        commits.settle(("one", "b/one".to_owned()), Ok(base("h")));
        commits.made(Ok(made(Some("c1"), &[])));
        let mut other = commits.clone();
        commits.settle(("two", "b/two".to_owned()), Ok(base("h")));
        let Some(Effect::Commit(order)) = commits.order(String::new()) else { panic!() };
        assert_eq!((order.branch.as_str(), order.tip.as_deref()), ("b/one", Some("c1")));
        other.settle(("two", "b/two".to_owned()), Ok(base("h2")));
        let Some(Effect::Commit(order)) = other.order(String::new()) else { panic!() };
        assert_eq!((order.branch.as_str(), order.tip), ("b/two", None));
    }

    #[test]
    fn without_a_baseline_nothing_is_committed_and_the_reason_is_said() {
        let mut commits = Commits::default();
        let told = commits.settle(("r", "b".to_owned()), Err("no repository".to_owned()));
        let [Effect::Emit(Fact::Warning { message, .. })] = &told[..] else { panic!("{told:?}") };
        assert!(message.contains("no repository"), "{message}");
        assert_eq!(commits.order(String::new()), None);
    }
}
