//! What a fleet must know after a crash.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::trees::{Ground, Phase};
use super::width::Width;
use crate::core::commits::Commits;
use crate::core::failure::FailureClass;
use crate::core::machine::{Lane, Outcome, TaskState};
use crate::core::plan::Ending;
use crate::core::signal::CallUsage;
use crate::core::spend::Spent;
use crate::core::worktrees::United;
use crate::core::{chat, ralph};

/// The turn of a run in which nobody is at work.
static NO_TURN: LazyLock<chat::Progress> = LazyLock::new(chat::Progress::default);

/// The stored part of the machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Whether the run has begun.
    pub begun: bool,
    /// The tasks.
    pub tasks: BTreeMap<Lane, TaskProgress>,
    /// On what ground they work.
    pub ground: Ground,
    /// What was in the run's folder before it, where it is to be committed there.
    pub commits: Commits,
    /// Whether it was said what became of the branch that is checked out.
    pub landed: bool,
    /// How many may be at work.
    pub width: Width,
    /// The task whose failure ended the others.
    pub failed_fast: Option<Lane>,
    /// What clients were told of the tasks.
    pub told: BTreeMap<Lane, TaskState>,
    /// What clients were told of the run.
    pub standing: Standing,
    /// What all turns of this run that ended took together.
    pub sum: Outcome,
    /// How the run ends once the tasks that are at work have ended.
    pub ending: Option<Ending>,
    /// When the run must be over, in Unix milliseconds.
    pub deadline: Option<u64>,
}

/// How the run stands as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// A task works.
    #[default]
    Running,
    /// A task waits for a person.
    Asking,
    /// All tasks at work wait for the end of a limit, the first until this moment.
    Parked(u64),
}

/// A task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskProgress {
    /// How it stands.
    pub state: TaskState,
    /// What is being done about it, while it is at work.
    pub phase: Phase,
    /// Whether the agent has done it: what it changed is to be committed and merged.
    pub worked: bool,
    /// Whether what it changed is in the run's branch.
    pub merged: bool,
    /// The commit by which that branch has it.
    pub commit: Option<String>,
    /// Why, where there is something to say.
    pub note: Option<String>,
    /// Its turn, begun and not done.
    pub chat: Option<Box<chat::Progress>>,
    /// Its loop, begun and not done.
    pub ralph: Option<Box<ralph::Progress>>,
    /// When it began, in Unix milliseconds.
    pub began_at: u64,
    /// How long it may still work, in milliseconds, from the last wait on.
    pub left_ms: Option<u64>,
    /// Since when its time runs, in Unix milliseconds.
    pub since: Option<u64>,
    /// Until when it is parked, in Unix milliseconds.
    pub until: Option<u64>,
    /// The variable with a key that it is parked for.
    pub needs_key: Option<String>,
    /// Cuts of the width before it began.
    pub cuts: u32,
    /// Why it is stopped.
    pub stop: Option<Stop>,
    /// What came of it.
    pub answer: Answer,
    /// The folder made for it, where it has one of its own.
    pub folder: Option<String>,
    /// How often it was begun anew: each time in another worktree.
    pub round: u32,
    /// The commit that its worktree started from; empty before there is one.
    pub start: String,
    /// The last commit of what it changed, where it changed anything.
    pub tip: Option<String>,
    /// What it spent, and in which it is limited.
    pub spent: Spent,
    /// The merge that a further turn works on, or did.
    pub clash: Option<Resolving>,
}

/// A merge that did not fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resolving {
    /// Why the task would need a review.
    pub note: String,
    /// The merge, where a worktree holds it.
    pub united: Option<United>,
    /// Whether it was settled: the worktree's branch is merged instead of the task's.
    pub settled: bool,
}

/// Why a task is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// Its time is over.
    Timeout,
    /// The run ends, for this reason.
    With(String),
}

/// What came of a task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// Its answer, its middle left out when long.
    pub content: String,
    /// The model's reasoning, in the same way; only where a prompt names it.
    pub reasoning: String,
    /// Why it is not done.
    pub error: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Tries of it.
    pub attempts: u32,
    /// What it took.
    pub usage: CallUsage,
    /// The model that answered.
    pub model: Option<String>,
}

impl Progress {
    /// The present turn: that of a task at work, of one that is not parked if there is one.
    pub fn turn(&self) -> &chat::Progress {
        let at_work = self.tasks.values().filter(|task| task.works());
        let turns = at_work.filter_map(|task| {
            let looped = task.ralph.as_ref().map(|ralph| &ralph.turn);
            looped.or(task.chat.as_deref())
        });
        let busy = turns.clone().find(|turn| turn.parked.is_none());
        busy.or_else(|| turns.clone().next()).unwrap_or(&NO_TURN)
    }

    /// Where an ended fleet stands for the run that goes on with it: what is done is done, the
    /// rest is to be done, and nothing of what the ended run spent, asked or allowed counts.
    pub fn taken_up(self) -> Self {
        let task = |task: TaskProgress| match task.state {
            TaskState::Done => task,
            _ => task.taken_up(),
        };
        let tasks = self.tasks.into_iter().map(|(lane, it)| (lane, task(it))).collect();
        Self { tasks, ground: self.ground, commits: self.commits, ..Self::default() }
    }
}

impl Progress {
    /// The same where the tasks that failed are to begin anew, with sessions and worktrees of
    /// their own. What they had stays on its branches.
    pub fn with_failed_anew(mut self) -> Self {
        for task in self.tasks.values_mut() {
            let failed = match task.state {
                TaskState::Failed | TaskState::Exhausted => true,
                // What waits for a review has been done, and what waits for others not begun.
                TaskState::Blocked => !task.worked && task.began_at > 0,
                _ => false,
            };
            if failed {
                let (state, round) = (task.state, task.round + 1);
                *task = TaskProgress { state, round, ..TaskProgress::default() };
            }
        }
        self
    }
}

impl TaskProgress {
    fn taken_up(self) -> Self {
        // Somebody may have settled what was in the way of its merge.
        let answer = if self.worked { self.answer } else { Answer::default() };
        Self {
            worked: self.worked,
            answer: Answer { error: String::new(), ..answer },
            chat: self.chat.map(|chat| Box::new(chat.taken_up())),
            ralph: self.ralph.map(|ralph| Box::new(ralph.taken_up())),
            folder: self.folder,
            round: self.round,
            start: self.start,
            tip: self.tip,
            ..Self::default()
        }
    }

    /// Forgets a session that cannot be gone on in.
    pub(super) fn lose_session(&mut self, class: FailureClass) {
        if matches!(class, FailureClass::SessionGone | FailureClass::SessionCorrupt) {
            self.chat = None;
            if let Some(ralph) = &mut self.ralph {
                ralph.turn.session = None;
            }
        }
    }
}
