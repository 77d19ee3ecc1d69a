//! Folders of their own for tasks: a worktree before a task begins, a commit and a merge once
//! it is done.
//!
//! Invariant: each wish may be repeated; after a crash the one that is in the checkpoint is.

use serde::{Deserialize, Serialize};

use super::progress::{Stop, TaskProgress};
use super::{Ending, Fleet};
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::{Effect, Fact, Lane, TaskState};
use crate::core::moment::Moment;
use crate::core::turn::clip;
use crate::core::worktrees::{
    self, Caution, Clash, Commit, Committed, Create, Created, Finalize, Finalized, Land, Merge,
    Merged, Problem, Report, Settle, Settled, Unite, Uniting,
};

/// Bytes of what a failed command printed that are told.
const OUTPUT_BYTES: usize = 2 * 1024;

/// Files of a conflict that are named.
const FILES: usize = 10;

/// Whether tasks have folders of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Where that is possible, and more than one task may be at work or merges have a gate.
    Auto,
    /// Each; the run fails where that is not possible.
    Worktree,
    /// None.
    None,
}

/// On what ground the tasks work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ground {
    /// That is not known yet.
    #[default]
    Unknown,
    /// In the run's folder.
    Shared,
    /// Each in a worktree.
    Apart {
        /// The run whose name the branches have: the first of those that go on with another.
        run: String,
        /// The commit that it started from.
        base: String,
        /// The branch that was checked out, without `refs/heads/`.
        #[serde(default)]
        on: String,
    },
}

/// What is being done about a task that is at work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Its folder is made.
    Preparing,
    /// The agent works.
    #[default]
    Working,
    /// What it changed is committed.
    Committing,
    /// Its branch is merged into the run's.
    Merging,
    /// It did not fit: a worktree is made that holds the merge with its conflicts.
    Uniting,
    /// Another turn settles them.
    Resolving,
    /// What that turn left is looked at and committed.
    Settling,
}

/// Something to be done with worktrees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The run whose name the branches have.
    pub run: String,
    /// What.
    pub what: What,
}

/// What is to be done with worktrees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Say whether there can be any.
    Check,
    /// Make one for a task.
    Create(Create),
    /// Commit what a task changed.
    Commit(Commit),
    /// Merge a task's branch into the run's.
    Merge(Merge),
    /// Make a worktree that holds a merge with its conflicts.
    Unite(Unite),
    /// Commit such a merge once its conflicts are settled.
    Settle(Settle),
    /// Bring the run's branch to the one that is checked out.
    Finalize(Finalize),
    /// Commit what was changed in the run's folder on the branch that is checked out.
    Land(Land),
    /// Remove what nobody needs any more.
    Clean,
}

/// What became of it; else why it could not be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Of [`What::Check`].
    Checked(Report),
    /// Of [`What::Create`].
    Created(Result<Created, String>),
    /// Of [`What::Commit`].
    Committed(Result<Committed, String>),
    /// Of [`What::Merge`].
    Merged(Result<Merged, String>),
    /// Of [`What::Unite`].
    United(Result<Uniting, String>),
    /// Of [`What::Settle`].
    Settled(Result<Settled, String>),
    /// Of [`What::Finalize`] and [`What::Land`].
    Finalized(Result<Finalized, String>),
    /// Of [`What::Clean`]: what stays, and why.
    Cleaned(Vec<String>),
}

impl Fleet {
    /// Asks whether tasks can have folders of their own, unless that is known or not wanted.
    pub(super) fn survey(&mut self) -> Option<Effect> {
        if self.progress.ground != Ground::Unknown {
            return self.look();
        }
        if !self.wants_trees() && self.spec.landing.is_none() {
            self.progress.ground = Ground::Shared;
            return None;
        }
        let wish = Wish { run: self.spec.chat.run.clone(), what: What::Check };
        Some(Effect::Tree(Box::new(wish)))
    }

    /// Says that a gate which is asked for never runs.
    pub(super) fn no_gate(&self) -> Option<Effect> {
        self.spec.merging.gate.as_ref()?;
        let message = "the merge gate does not run: without worktrees nothing is merged".to_owned();
        Some(Effect::Emit(Fact::Warning { code: "isolation".to_owned(), message }))
    }

    fn wants_trees(&self) -> bool {
        let alone = self.spec.max_concurrent < 2 || self.spec.tasks.len() < 2;
        match self.spec.isolation {
            // A gate that is asked for is not left out: what it checks must be merged.
            Isolation::Auto => !alone || self.spec.merging.gate.is_some(),
            Isolation::Worktree => true,
            Isolation::None => false,
        }
    }

    /// Whether a task has a worktree. One that names its folder works there.
    pub(super) fn apart(&self, lane: Lane) -> bool {
        let own = self.task(lane).is_some_and(|task| task.folder.is_some());
        matches!(self.progress.ground, Ground::Apart { .. }) && !own
    }

    /// What is to be done next with a task's worktree.
    pub(super) fn tend(&self, lane: Lane) -> Option<Effect> {
        let Ground::Apart { run, base, .. } = &self.progress.ground else { return None };
        let setup = self.spec.merging.setup.clone();
        let (id, task) = (self.id(lane), self.tree(lane));
        let what = match self.progress.tasks.get(&lane)?.phase {
            Phase::Preparing => {
                let after = self.merged_before(lane);
                What::Create(Create { task, base: base.clone(), after, setup })
            }
            Phase::Committing => {
                let title = format!("fleet: {id}");
                What::Commit(Commit { task, title, detail: String::new() })
            }
            Phase::Merging => {
                let (task, gate) = (self.result(lane), self.spec.merging.gate.clone());
                What::Merge(Merge { task, base: base.clone(), gate, setup })
            }
            Phase::Uniting => What::Unite(Unite { task, base: base.clone(), setup }),
            Phase::Settling => {
                let (id, united) = (id.to_owned(), self.united(lane)?.clone());
                What::Settle(Settle { id, united })
            }
            Phase::Working | Phase::Resolving => return None,
        };
        let wish = Box::new(Wish { run: run.clone(), what });
        Some(Effect::Of(lane, Box::new(Effect::Tree(wish))))
    }

    /// The name of a task's worktree. No id has a colon.
    pub(super) fn tree(&self, lane: Lane) -> String {
        match self.progress.tasks.get(&lane).map_or(0, |task| task.round) {
            0 => self.id(lane).to_owned(),
            round => format!("{}:{round}", self.id(lane)),
        }
    }

    /// The name of the worktree whose branch is merged for a task.
    fn result(&self, lane: Lane) -> String {
        let clash = self.progress.tasks.get(&lane).and_then(|task| task.clash.as_ref());
        let settled = clash.filter(|clash| clash.settled).and_then(|clash| clash.united.as_ref());
        settled.map_or_else(|| self.tree(lane), |united| united.name.clone())
    }

    /// The worktrees that a task starts from. One that changed nothing passes on what it
    /// started from itself.
    fn merged_before(&self, lane: Lane) -> Vec<String> {
        let (mut found, mut seen) = (Vec::new(), Vec::new());
        let mut open: Vec<Lane> =
            self.task(lane).map(|task| task.depends_on.clone()).unwrap_or_default();
        open.reverse();
        while let Some(lane) = open.pop() {
            let known = self.progress.tasks.get(&lane);
            if seen.contains(&lane) || self.state(lane) != TaskState::Done {
                continue;
            }
            seen.push(lane);
            if known.is_some_and(|task| task.merged) {
                found.push(self.result(lane));
            } else if let Some(task) = self.task(lane) {
                open.extend(task.depends_on.iter().rev());
            }
        }
        found
    }

    /// Something was done for the run as a whole.
    pub(super) fn run_told(&mut self, told: Told, moment: Moment) -> Vec<Effect> {
        match told {
            Told::Checked(report) if self.progress.ground == Ground::Unknown => {
                self.checked(&report, moment)
            }
            Told::Finalized(made) if self.landing => self.finalized(made),
            Told::Cleaned(kept) if self.cleaning => self.cleaned(&kept),
            _ => Vec::new(),
        }
    }

    fn checked(&mut self, report: &Report, moment: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut warn = |message: String| {
            let code = "isolation".to_owned();
            effects.push(Effect::Emit(Fact::Warning { code, message }));
        };
        let asked = self.spec.isolation == Isolation::Worktree;
        let trees = self.wants_trees();
        if let Some(failure) = self.cannot_land(report, trees) {
            return self.end_with(Ending::Failed(failure), moment);
        }
        // Worktrees begin at a commit: only what comes at the end needs a branch.
        let problem = report.problems.iter().find(|it| **it != Problem::Detached);
        match problem {
            _ if !trees => self.progress.ground = Ground::Shared,
            None => {
                for caution in &report.cautions {
                    warn(in_words(caution));
                }
                let run = self.spec.chat.run.clone();
                let (base, on) = (report.head.clone(), report.on.clone());
                self.progress.ground = Ground::Apart { run, base, on };
            }
            Some(problem) if asked => {
                let message = format!("there can be no worktrees: {}", why(problem));
                let hint = "settle it, or let the tasks share the folder with --isolation none";
                let failure = Failure::new(FailureClass::Usage, message).with_hint(hint);
                return self.end_with(Ending::Failed(failure), moment);
            }
            Some(problem) => {
                if *problem != Problem::NoRepository {
                    warn(format!("the tasks share one folder: {}", why(problem)));
                }
                self.progress.ground = Ground::Shared;
                effects.extend(self.no_gate());
            }
        }
        effects.push(Effect::Checkpoint);
        effects.extend(self.advance(moment));
        effects
    }

    /// Something was done for a task.
    pub(super) fn told(&mut self, lane: Lane, told: Told, moment: Moment) -> Vec<Effect> {
        let phase = self.progress.tasks.get(&lane).map(|task| task.phase);
        let at_work = self.state(lane).at_work();
        match (told, phase.filter(|_| at_work)) {
            (Told::Created(made), Some(Phase::Preparing)) => self.created(lane, made, moment),
            (Told::Committed(made), Some(Phase::Committing)) => self.committed(lane, made, moment),
            (Told::Merged(made), Some(Phase::Merging)) => self.merged(lane, made, moment),
            (Told::United(made), Some(Phase::Uniting)) => self.unite(lane, made, moment),
            (Told::Settled(made), Some(Phase::Settling)) => self.settled(lane, made, moment),
            _ => Vec::new(),
        }
    }

    fn created(
        &mut self,
        lane: Lane,
        made: Result<Created, String>,
        moment: Moment,
    ) -> Vec<Effect> {
        let task = self.progress.tasks.entry(lane).or_default();
        if let Some(Stop::With(why)) = task.stop.take() {
            return self.settle(lane, TaskState::Cancelled, Some(why), moment);
        }
        match made {
            Ok(Created::Ready(tree)) => {
                task.folder = Some(tree.folder.to_string_lossy().into_owned());
                if task.start.is_empty() {
                    task.start.clone_from(&tree.tip);
                }
                task.phase = Phase::Working;
                self.set_to_work(lane, moment)
            }
            Ok(Created::Conflict(clash)) => {
                let (theirs, files) = (&clash.theirs, files(&clash));
                let note =
                    format!("needs review: what it depends on does not fit: {theirs} in {files}");
                self.settle(lane, TaskState::Blocked, Some(note), moment)
            }
            Ok(Created::Setup(failed)) => {
                let output = clip(&failed.output, OUTPUT_BYTES);
                let note = format!("its worktree could not be prepared: {output}");
                self.settle(lane, TaskState::Failed, Some(note), moment)
            }
            Err(why) => {
                let note = format!("there is no worktree for it: {why}");
                self.settle(lane, TaskState::Failed, Some(note), moment)
            }
        }
    }

    fn committed(
        &mut self,
        lane: Lane,
        made: Result<Committed, String>,
        moment: Moment,
    ) -> Vec<Effect> {
        match made {
            Ok(made) => {
                let task = self.progress.tasks.entry(lane).or_default();
                task.phase = Phase::Merging;
                task.tip = Some(made.tip).filter(|tip| *tip != task.start);
                let told = self.tell_changes(lane);
                let mut effects: Vec<Effect> =
                    told.map(|told| Effect::Of(lane, Box::new(told))).into_iter().collect();
                if !made.left_out.is_empty() {
                    let names = made.left_out.join(", ");
                    let message = format!("not committed, repositories of their own: {names}");
                    let code = "left_out".to_owned();
                    let warning = Effect::Emit(Fact::Warning { code, message });
                    effects.push(Effect::Of(lane, Box::new(warning)));
                }
                effects.push(Effect::Checkpoint);
                effects.extend(self.tend(lane));
                effects
            }
            Err(why) => {
                let folder = self.progress.tasks.get(&lane).and_then(|task| task.folder.clone());
                let folder = folder.unwrap_or_default();
                let note =
                    format!("needs review: its changes are in {folder}, not committed: {why}");
                self.settle(lane, TaskState::Blocked, Some(note), moment)
            }
        }
    }

    fn merged(&mut self, lane: Lane, made: Result<Merged, String>, moment: Moment) -> Vec<Effect> {
        let Ground::Apart { run, .. } = self.progress.ground.clone() else { return Vec::new() };
        let branch = worktrees::task_branch(&run, &self.result(lane));
        let into = worktrees::run_branch(&run);
        match made {
            Ok(Merged::Done { commit }) => {
                let task = self.progress.tasks.entry(lane).or_default();
                (task.merged, task.commit) = (true, Some(commit));
                let told = self.tell_merged(lane).map(|told| Effect::Of(lane, Box::new(told)));
                let mut effects: Vec<Effect> = told.into_iter().collect();
                effects.extend(self.settle(lane, TaskState::Done, None, moment));
                effects
            }
            Ok(Merged::Nothing) => self.settle(lane, TaskState::Done, None, moment),
            Ok(Merged::Conflict(clash)) => {
                let files = files(&clash);
                let note = format!("needs review: {branch} does not fit {into} in {files}");
                if let Some(effects) = self.resolve(lane, &note, moment) {
                    return effects;
                }
                self.settle(lane, TaskState::Blocked, Some(note), moment)
            }
            Ok(Merged::Red(failed)) => {
                let output = clip(&failed.output, OUTPUT_BYTES);
                let note =
                    format!("needs review: {branch} is not merged, its check is red: {output}");
                self.settle(lane, TaskState::Blocked, Some(note), moment)
            }
            Err(why) => {
                let note = format!("needs review: {branch} is not merged into {into}: {why}");
                self.settle(lane, TaskState::Blocked, Some(note), moment)
            }
        }
    }

    /// Removes what nobody needs any more before the run ends; whether that is under way.
    pub(super) fn clean(&mut self) -> Option<Effect> {
        let Ground::Apart { run, .. } = &self.progress.ground else { return None };
        let wish = Wish { run: run.clone(), what: What::Clean };
        self.cleaning = true;
        Some(Effect::Tree(Box::new(wish)))
    }

    fn cleaned(&mut self, kept: &[String]) -> Vec<Effect> {
        self.cleaning = false;
        let mut effects: Vec<Effect> = Vec::new();
        if !kept.is_empty() {
            let message = format!("what is not merged stays in its worktree: {}", kept.join("; "));
            effects.push(Effect::Emit(Fact::Warning { code: "unmerged".to_owned(), message }));
        }
        effects.extend(self.finish());
        effects
    }
}

impl TaskProgress {
    /// Whether the agent works, or will.
    pub(super) fn works(&self) -> bool {
        self.state.at_work() && matches!(self.phase, Phase::Working | Phase::Resolving)
    }
}

/// The files that do not fit, in words.
fn files(clash: &Clash) -> String {
    let more = clash.files.len().saturating_sub(FILES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let files: Vec<&str> = clash.files.iter().take(FILES).map(String::as_str).collect();
    format!("{}{more}", files.join(", "))
}

pub(super) fn why(problem: &Problem) -> String {
    match problem {
        Problem::NoRepository => "the folder is in no git repository".to_owned(),
        Problem::Bare => "the repository is bare".to_owned(),
        Problem::NoCommit => "the repository has no commit yet".to_owned(),
        Problem::Detached => "no branch is checked out".to_owned(),
        Problem::HalfDone(what) => format!("something is half done: {what}"),
        Problem::OldGit(version) => format!("{version} is too old, 2.40 is needed"),
        Problem::Broken(why) => format!("git does not answer: {why}"),
    }
}

fn in_words(caution: &Caution) -> String {
    match caution {
        Caution::Submodules => "submodules are empty in the worktrees of the tasks".to_owned(),
        Caution::Sparse => "the sparse checkout holds for the worktrees of the tasks".to_owned(),
        Caution::Uncommitted { changed, untracked } => format!(
            "the tasks start from the last commit: {changed} changed and {untracked} unknown \
             files of the folder are not in their worktrees"
        ),
    }
}
