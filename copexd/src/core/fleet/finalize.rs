//! How a fleet ends: its result on the branch that is checked out, where that is asked for,
//! and nothing left behind.

use super::trees::{self, Ground, What, Wish};
use super::{Ending, Fleet};
use crate::core::commits::{self, Baseline};
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::{Effect, Fact, TaskState, Verdict};
use crate::core::moment::Moment;
use crate::core::worktrees::{self, Caution, Finalize, Finalized, Land, Problem, Report, Step};

/// The flag that asks for it.
const FLAG: &str = "--git-finalize";

/// How worktrees are prepared and merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merging {
    /// Prepares each new worktree.
    pub setup: Option<Step>,
    /// Must exit with 0 in a merged tree, before the run's branch has it.
    pub gate: Option<Step>,
    /// Whether a further turn merges what does not fit.
    pub resolve: bool,
}

/// What the branch that is checked out gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Landing {
    /// The message that was asked for.
    pub message: Option<String>,
    /// The message of a commit that must have one.
    pub fallback: String,
}

impl Fleet {
    /// Why the result could not be brought to the branch that is checked out, as things stand
    /// before anything runs.
    pub(super) fn cannot_land(&self, report: &Report, trees: bool) -> Option<Failure> {
        self.spec.landing.as_ref()?;
        // Without worktrees nothing is merged.
        let counts = |problem: &&Problem| trees || !matches!(problem, Problem::OldGit(_));
        let usage = |message: String, hint: &str| {
            Some(Failure::new(FailureClass::Usage, message).with_hint(hint.to_owned()))
        };
        if let Some(problem) = report.problems.iter().find(counts) {
            let hint = match problem {
                Problem::Detached => "check a branch out first (`git switch NAME`)",
                Problem::HalfDone(_) => "finish it or abort it first",
                Problem::NoCommit => "make a first commit",
                Problem::NoRepository | Problem::Bare => "start it in a repository's folder",
                Problem::OldGit(_) => "use a newer git, or --isolation none",
                Problem::Broken(_) => "see what `git status` says",
            };
            let hint = format!("{hint}, or leave {FLAG} out");
            return usage(format!("{FLAG} cannot be: {}", trees::why(problem)), &hint);
        }
        let changed = report.cautions.iter().find_map(|caution| match caution {
            Caution::Uncommitted { changed, .. } if *changed > 0 => Some(*changed),
            _ => None,
        });
        let changed = changed.filter(|_| trees)?;
        let (files, on) = (if changed == 1 { "file" } else { "files" }, &report.on);
        usage(
            format!(
                "{FLAG} cannot be: `{on}` could not be forwarded over {changed} changed {files} \
                 that are not committed"
            ),
            "commit or stash them first, or leave --git-finalize out and `git merge` the run's \
             branch later; with --isolation none they are left out",
        )
    }

    /// Asks what was in the run's folder before it, where that must be known.
    pub(super) fn look(&self) -> Option<Effect> {
        let shared = self.progress.ground == Ground::Shared && self.spec.landing.is_some();
        let open = shared && self.progress.commits.unsettled(&self.spec.chat.run);
        open.then(|| self.progress.commits.look())
    }

    pub(super) fn based(&mut self, found: Result<Baseline, String>, moment: Moment) -> Vec<Effect> {
        let run = self.spec.chat.run.clone();
        if !self.progress.commits.unsettled(&run) {
            return Vec::new();
        }
        if let Err(why) = &found {
            let failure = Failure::new(FailureClass::Usage, format!("{FLAG} cannot be: {why}"))
                .with_hint(format!("settle it, or leave {FLAG} out"));
            return self.end_with(Ending::Failed(failure), moment);
        }
        let branch = worktrees::run_branch(&run);
        let mut effects = self.progress.commits.settle((&run, branch), found);
        effects.push(Effect::Checkpoint);
        effects.extend(self.advance(moment));
        effects
    }

    /// The tasks are over: what is left to be done, one after the other.
    pub(super) fn close(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if !self.progress.landed {
            match self.land() {
                Some(Ok(what)) => {
                    self.landing = true;
                    let run = self.branch_owner();
                    effects.push(Effect::Tree(Box::new(Wish { run, what })));
                    return effects;
                }
                Some(Err(why)) => {
                    effects.extend(self.not_landed(&why));
                    effects.push(Effect::Checkpoint);
                }
                None => {}
            }
        }
        match self.clean() {
            Some(wish) => effects.push(wish),
            None => effects.extend(self.finish()),
        }
        effects
    }

    /// The run whose name the branches have.
    fn branch_owner(&self) -> String {
        match &self.progress.ground {
            Ground::Apart { run, .. } => run.clone(),
            Ground::Unknown | Ground::Shared => self.spec.chat.run.clone(),
        }
    }

    /// How the result is brought to the branch that is checked out, or why it is not.
    fn land(&self) -> Option<Result<What, String>> {
        let landing = self.spec.landing.as_ref()?;
        // Who cancels a run wants nothing more of it.
        if matches!(self.verdict, Some(Verdict::Cancelled(_))) {
            return None;
        }
        match &self.progress.ground {
            Ground::Unknown => None,
            Ground::Apart { on, .. } => {
                let message = landing.message.as_deref().map(|words| self.marked(words));
                Some(Ok(What::Finalize(Finalize { on: on.clone(), message })))
            }
            Ground::Shared => {
                let base = self.progress.commits.base()?.clone();
                let open = self.lanes().filter(|lane| self.state(*lane) != TaskState::Done).count();
                if open > 0 {
                    let all = self.spec.tasks.len();
                    return Some(Err(format!(
                        "{open} of {all} tasks are not done, and in one folder nobody can tell \
                         what is theirs"
                    )));
                }
                let words = landing.message.as_ref().unwrap_or(&landing.fallback);
                Some(Ok(What::Land(Land { base, message: self.marked(words) })))
            }
        }
    }

    fn marked(&self, words: &str) -> String {
        let run = worktrees::name(&self.spec.chat.run);
        commits::worded(words, &[("Run", &run), ("Step", "finalize")])
    }

    pub(super) fn finalized(&mut self, made: Result<Finalized, String>) -> Vec<Effect> {
        self.landing = false;
        self.progress.landed = true;
        let mut effects = Vec::new();
        let mut warn = |message: String| {
            let code = "finalize".to_owned();
            effects.push(Effect::Emit(Fact::Warning { code, message }));
        };
        match made {
            Ok(Finalized::Forwarded { on, commit, left_out }) => {
                if !left_out.is_empty() {
                    let names = commits::named(&left_out);
                    warn(format!(
                        "not committed: {names}: changed before the run already, or a repository \
                         of its own"
                    ));
                }
                let (file, kind) = (format!("{on} {commit}"), "finalized".to_owned());
                effects.push(Effect::Emit(Fact::Artifact { file, kind }));
            }
            Ok(Finalized::Nothing) => {
                warn("there is nothing to commit: no task changed anything".to_owned());
            }
            Ok(Finalized::Not { why }) | Err(why) => effects.extend(self.not_landed(&why)),
        }
        effects.push(Effect::Checkpoint);
        effects.extend(self.close());
        effects
    }

    fn not_landed(&mut self, why: &str) -> Vec<Effect> {
        self.progress.landed = true;
        let rest = match &self.progress.ground {
            Ground::Apart { run, .. } => {
                let branch = worktrees::run_branch(run);
                format!("what was merged is on {branch}: `git merge {branch}` takes it over")
            }
            Ground::Unknown | Ground::Shared => {
                "what the tasks changed is in the folder, not committed".to_owned()
            }
        };
        let (code, message) =
            ("finalize".to_owned(), format!("{FLAG} was not done: {why}; {rest}"));
        vec![Effect::Emit(Fact::Warning { code, message })]
    }
}
