//! The commits of a run, for people.

use crate::render::clean;

/// Characters of a commit's id that are shown.
const SHORT: usize = 10;

/// The commits that were told so far.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    branch: String,
    count: u32,
    /// The branch that is checked out and has them, with its commit.
    finalized: Option<String>,
}

impl Commits {
    /// Takes note of a thing that was made; a line about it when it is a commit.
    pub(crate) fn note(&mut self, kind: &str, file: &str) -> Option<String> {
        let (branch, commit) = file.rsplit_once(' ')?;
        let (branch, short) = (clean(branch), commit.chars().take(SHORT).collect::<String>());
        let at = format!("{} on {branch}", clean(&short));
        match kind {
            "commit" => {
                self.count += 1;
                self.branch = branch;
                Some(format!("committed {at}"))
            }
            // It comes last, and is said at the end.
            "finalized" => {
                self.finalized = Some(at);
                None
            }
            _ => None,
        }
    }

    /// Where they are, and how to take them over; nothing when there are none.
    ///
    /// Of tasks that had worktrees nothing lies in the run's folder. Otherwise
    /// in the run's own folder the same changes lie about, so that `git merge` would refuse.
    pub(crate) fn way(&self) -> Option<String> {
        let Self { branch, count, finalized } = self;
        if let Some(at) = finalized {
            return Some(format!("finalized: {at}"));
        }
        if *count > 0 && branch.starts_with("copex/fleet/") {
            let tasks = if *count == 1 { "task is" } else { "tasks are" };
            return Some(format!(
                "{count} {tasks} merged on {branch}: `git merge {branch}` takes over"
            ));
        }
        let commits = if *count == 1 { "commit" } else { "commits" };
        (*count > 0).then(|| {
            format!(
                "{count} {commits} on {branch}: `git reset {branch}` takes over in this folder \
                 and keeps what was yours, `git merge {branch}` in a clean one"
            )
        })
    }
}

/// A line about a thing that was made and is no commit; nothing for what is told elsewhere: the
/// changes of a task are for who wants a patch, and the branch that has them comes at the end.
pub(crate) fn other(kind: &str, file: &str) -> Option<String> {
    (!matches!(kind, "changes" | "finalized")).then(|| format!("{kind}: {file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_counted_and_other_things_are_not() {
        let mut commits = Commits::default();
        assert_eq!(commits.note("plan", "/a b"), None);
        assert_eq!(commits.way(), None);
        let line = commits.note("commit", "copex/ralph/r 0123456789abcdef").unwrap();
        assert_eq!(line, "committed 0123456789 on copex/ralph/r");
        assert!(commits.way().unwrap().starts_with("1 commit on copex/ralph/r: "));
        commits.note("commit", "copex/fleet/r 0123456789abcdef");
        assert!(commits.way().unwrap().ends_with("`git merge copex/fleet/r` takes over"));
        let (kind, file) = ("finalized", "main 0123456789abcdef");
        assert_eq!((commits.note(kind, file), other(kind, file)), (None, None));
        assert_eq!(other("plan", "/a b").unwrap(), "plan: /a b");
        assert_eq!(commits.way().unwrap(), "finalized: 0123456789 on main");
    }
}
