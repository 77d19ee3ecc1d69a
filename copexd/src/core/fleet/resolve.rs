//! A merge that does not fit, settled by a further turn where that is wanted.
//!
//! ```text
//! Merging --conflict--> Uniting --> Resolving --> Settling --> Merging
//!                          \\            \\           \\--> Blocked: needs review
//! ```
//!
//! The turn works in a worktree that holds the merge with its conflict markers. What it left
//! is merged as the task's own branch would have been, gate included, and only once: what does
//! not fit then waits for a person.

use std::fmt::Write as _;

use super::progress::{Resolving, Stop};
use super::tasks::of_all;
use super::{Ending, Fleet, Phase, TaskSpec};
use crate::core::chat::ChatSpec;
use crate::core::machine::{Effect, End, Fact, Lane, TaskState};
use crate::core::moment::Moment;
use crate::core::turn::clip;
use crate::core::worktrees::{Settled, United, Uniting};

/// Follows a task's id where the turn that settles its conflicts is meant. No id has a colon.
pub const RESOLVER: &str = ":merge";

/// Bytes of the task that the turn is told.
const TASK_BYTES: usize = 8 * 1024;

/// Files that it is told; it finds the others by their markers.
const FILES: usize = 100;

impl Fleet {
    /// The merge that a task's further turn works on now.
    pub(super) fn united(&self, lane: Lane) -> Option<&United> {
        let task = self.progress.tasks.get(&lane)?;
        let now = matches!(task.phase, Phase::Resolving | Phase::Settling);
        task.clash.as_ref().filter(|_| now)?.united.as_ref()
    }

    /// Begins to settle what does not fit, unless that was tried or is not wanted.
    pub(super) fn resolve(
        &mut self,
        lane: Lane,
        note: &str,
        moment: Moment,
    ) -> Option<Vec<Effect>> {
        let wanted = self.spec.merging.resolve && self.progress.ending.is_none();
        let timeout_ms = self.task(lane)?.timeout_ms;
        let task = self.progress.tasks.get_mut(&lane)?;
        if !wanted || task.clash.is_some() || task.stop.is_some() {
            return None;
        }
        task.clash = Some(Resolving { note: note.to_owned(), ..Resolving::default() });
        task.phase = Phase::Uniting;
        task.left_ms = Some(timeout_ms);
        task.began_at = moment.now_ms;
        let message = format!("{note}: another turn settles it");
        let told = Effect::Emit(Fact::Warning { code: "conflict".to_owned(), message });
        let mut effects = vec![Effect::Of(lane, Box::new(told)), Effect::Checkpoint];
        effects.extend(self.tend(lane));
        Some(effects)
    }

    /// There is a worktree with the merge.
    pub(super) fn unite(
        &mut self,
        lane: Lane,
        made: Result<Uniting, String>,
        moment: Moment,
    ) -> Vec<Effect> {
        let Some(task) = self.progress.tasks.get_mut(&lane) else { return Vec::new() };
        match made {
            Ok(Uniting::Ready(united)) => {
                if let Some(clash) = &mut task.clash {
                    clash.united = Some(united);
                }
                task.phase = Phase::Resolving;
                (task.chat, task.ralph) = (None, None);
                self.set_to_work(lane, moment)
            }
            Ok(Uniting::Fits) => {
                task.phase = Phase::Merging;
                let mut effects = vec![Effect::Checkpoint];
                effects.extend(self.tend(lane));
                effects
            }
            Ok(Uniting::Setup(failed)) => {
                let why = format!("its worktree could not be prepared: {}", failed.output);
                self.unresolved(lane, &why, moment)
            }
            Err(why) => self.unresolved(lane, &why, moment),
        }
    }

    /// What the further turn needs.
    pub(super) fn resolver(&self, lane: Lane, task: &TaskSpec, united: &United) -> ChatSpec {
        let folder = united.folder.to_string_lossy();
        ChatSpec {
            asks: format!("{}-m", task.chat.asks),
            prompt: words(&united.files, &self.prompt(lane)),
            policy: task.chat.policy.clone().within(&folder),
            max_duration_ms: None,
            warnings: Vec::new(),
            ..task.chat.clone()
        }
    }

    /// The further turn has ended.
    pub(super) fn resolved(&mut self, lane: Lane, end: End, moment: Moment) -> Vec<Effect> {
        let task = self.progress.tasks.entry(lane).or_default();
        task.since = None;
        task.until = None;
        (task.chat, task.ralph) = (None, None);
        task.answer.usage.add(&end.outcome.usage);
        task.answer.duration_ms += moment.now_ms.saturating_sub(task.began_at);
        let stop = task.stop.take();
        let mut outcome = end.outcome;
        outcome.content.clear();
        self.progress.sum.add(outcome);
        let Some(ending) = Ending::of(end.verdict) else {
            self.progress.tasks.entry(lane).or_default().phase = Phase::Settling;
            let mut effects = vec![Effect::Checkpoint];
            effects.extend(self.tend(lane));
            return effects;
        };
        let why = match &stop {
            Some(Stop::Timeout) => "it took too long".to_owned(),
            Some(Stop::With(why)) => why.clone(),
            None => ending.failure().message.clone(),
        };
        let mut effects = Vec::new();
        if stop.is_none() && of_all(ending.failure()) {
            let note = self.review(lane, &why);
            self.mark(lane, TaskState::Blocked, Some(note));
            effects.extend(self.end_with(ending, moment));
            effects.extend(self.advance(moment));
            return effects;
        }
        effects.extend(self.unresolved(lane, &why, moment));
        effects
    }

    /// What the further turn left was looked at.
    pub(super) fn settled(
        &mut self,
        lane: Lane,
        made: Result<Settled, String>,
        moment: Moment,
    ) -> Vec<Effect> {
        match made {
            Ok(Settled::Done) => {
                let task = self.progress.tasks.entry(lane).or_default();
                if let Some(clash) = &mut task.clash {
                    clash.settled = true;
                }
                task.phase = Phase::Merging;
                let mut effects = vec![Effect::Checkpoint];
                effects.extend(self.tend(lane));
                effects
            }
            Ok(Settled::Markers(files)) => {
                let why = format!("it left conflict markers in {}", files.join(", "));
                self.unresolved(lane, &why, moment)
            }
            Err(why) => self.unresolved(lane, &why, moment),
        }
    }

    /// It waits for a person after all.
    fn unresolved(&mut self, lane: Lane, why: &str, moment: Moment) -> Vec<Effect> {
        let note = self.review(lane, why);
        self.settle(lane, TaskState::Blocked, Some(note), moment)
    }

    fn review(&self, lane: Lane, why: &str) -> String {
        let clash = self.progress.tasks.get(&lane).and_then(|task| task.clash.as_ref());
        let note = clash.map(|clash| clash.note.as_str()).unwrap_or_default();
        format!("{note}; the turn that was to settle it did not: {why}")
    }
}

/// What the turn is told.
fn words(files: &[String], task: &str) -> String {
    let mut text = "Two lines of work were merged in this git worktree, and do not fit. The files \
                    below have conflict markers (`<<<<<<<`, `=======`, `>>>>>>>`): first what was \
                    merged before, then what the task below changed. Edit the files so that both \
                    intentions hold, remove every marker, and check the result. Do not commit, \
                    and change nothing else.\n"
        .to_owned();
    for file in files.iter().take(FILES) {
        // A String takes every write.
        let _ = write!(text, "\n- {file}");
    }
    let _ = write!(text, "\n\nThe task was:\n\n{}\n", clip(task, TASK_BYTES));
    text
}
