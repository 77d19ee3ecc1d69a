//! What came of a fleet, in words.

use std::fmt::Write as _;

use super::Fleet;
use super::trees::Ground;
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::{Lane, TaskState, Verdict};
use crate::core::turn::clip;
use crate::core::worktrees;

/// Tasks that the reason of a failed run names; the report has them all.
const NAMED: usize = 5;

/// Bytes of one task's reason there.
const REASON_BYTES: usize = 160;

impl Fleet {
    /// How the run ends once every task is over.
    pub(super) fn verdict(&self) -> Verdict {
        let open: Vec<Lane> =
            self.lanes().filter(|lane| self.state(*lane) != TaskState::Done).collect();
        if open.is_empty() {
            return Verdict::Done;
        }
        let named: Vec<String> = open.iter().take(NAMED).map(|lane| self.reason(*lane)).collect();
        let more = open.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (open, all) = (open.len(), self.spec.tasks.len());
        let are = if open == 1 { "is" } else { "are" };
        let message = format!("{open} of {all} tasks {are} not done: {}{more}", named.join("; "));
        let failure = Failure::new(FailureClass::Unknown, message);
        Verdict::Failed(failure.with_hint(self.way_out()))
    }

    /// What a person does about tasks that are not done.
    fn way_out(&self) -> String {
        let run = &self.spec.chat.run;
        // What waits for a review is only merged the next time, by nobody but a person.
        let kept = self.lanes().find_map(|lane| {
            let task = self.progress.tasks.get(&lane)?;
            let waits = task.worked && !task.merged && task.state == TaskState::Blocked;
            task.folder.clone().filter(|_| waits)
        });
        if let (Some(folder), Ground::Apart { run: owner, .. }) = (kept, &self.progress.ground) {
            let branch = worktrees::run_branch(owner);
            return format!(
                "settle it in {folder} (`git merge {branch}` there, and commit); then `copexctl \
                 fleet --resume {run}` takes it, and does what is left"
            );
        }
        let failed = self.lanes().any(|lane| self.state(lane) == TaskState::Failed);
        let anew = if failed { ", with --rerun-failed what failed from the start" } else { "" };
        format!("{}{anew}", self.way_on())
    }

    fn reason(&self, lane: Lane) -> String {
        let task = self.progress.tasks.get(&lane);
        let note = task.and_then(|task| task.note.as_deref()).unwrap_or_default();
        let note = clip(note.lines().next().unwrap_or_default(), REASON_BYTES);
        let words = self.state(lane).words();
        if note.is_empty() {
            format!("{} {words}", self.id(lane))
        } else {
            format!("{} {words}: {note}", self.id(lane))
        }
    }

    /// The report on all tasks; empty where the run ended before any of them began.
    pub(super) fn report(&self) -> String {
        if self.lanes().all(|lane| self.state(lane) == TaskState::Queued) {
            return String::new();
        }
        let done = self.lanes().filter(|lane| self.state(*lane) == TaskState::Done).count();
        let all = self.spec.tasks.len();
        let mut text = format!("# Fleet: {done} of {all} tasks done\n");
        for lane in self.lanes() {
            // A String takes every write.
            let _ = write!(text, "\n## {} ({})\n", self.id(lane), self.state(lane).words());
            let Some(task) = self.progress.tasks.get(&lane) else { continue };
            if let Some(note) = task.note.as_deref().filter(|note| !note.is_empty()) {
                let _ = write!(text, "\n{}\n", note.trim());
            }
            let content = task.answer.content.trim();
            if !content.is_empty() {
                let _ = write!(text, "\n{content}\n");
            }
        }
        text
    }
}
