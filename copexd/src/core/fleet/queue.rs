//! Which task is next, and which will never begin.

use std::cmp::Reverse;

use super::Fleet;
use crate::core::machine::{Lane, TaskState};

impl Fleet {
    pub(super) fn state(&self, lane: Lane) -> TaskState {
        self.progress.tasks.get(&lane).map_or(TaskState::Queued, |task| task.state)
    }

    /// The tasks at work.
    pub(super) fn at_work(&self) -> Vec<Lane> {
        self.lanes().filter(|lane| self.state(*lane).at_work()).collect()
    }

    /// The task that begins next: the most urgent of those that may, the first in the graph of
    /// equals, then the first in the request.
    pub(super) fn ready(&self) -> Option<Lane> {
        let over = |lane: &Lane| self.state(*lane).over();
        let ready = self.lanes().filter(|lane| {
            self.state(*lane) == TaskState::Queued
                && self.task(*lane).is_some_and(|task| task.depends_on.iter().all(over))
        });
        ready.min_by_key(|lane| {
            let task = self.task(*lane);
            (Reverse(task.map_or(0, |it| it.priority)), task.map_or(0, |it| it.depth), *lane)
        })
    }

    /// Marks the tasks that will not be begun: what they depend on is not done, or the first
    /// failure ends all.
    pub(super) fn settle_waiting(&mut self) {
        if let Some(failed) = self.progress.failed_fast {
            let note = format!("not begun: {} failed", self.id(failed));
            self.mark_waiting(|_, _| Some((TaskState::Cancelled, note.clone())));
            return;
        }
        // One that is blocked blocks others.
        while self.mark_waiting(|fleet, lane| {
            let task = fleet.task(lane).filter(|task| !task.goes_on)?;
            let bad = |lane: &&Lane| {
                let state = fleet.state(**lane);
                state.over() && state != TaskState::Done
            };
            let bad = task.depends_on.iter().find(bad)?;
            let is = fleet.state(*bad).words();
            Some((TaskState::Blocked, format!("it depends on {}, which {is}", fleet.id(*bad))))
        }) {}
    }

    /// Marks the waiting tasks of which `mark` says so; whether there were any.
    fn mark_waiting(&mut self, mark: impl Fn(&Self, Lane) -> Option<(TaskState, String)>) -> bool {
        let waiting = self.lanes().filter(|lane| self.state(*lane) == TaskState::Queued);
        let marked: Vec<_> = waiting.filter_map(|lane| Some((lane, mark(self, lane)?))).collect();
        let any = !marked.is_empty();
        for (lane, (state, note)) in marked {
            let task = self.progress.tasks.entry(lane).or_default();
            task.state = state;
            task.answer.error.clone_from(&note);
            task.note = Some(note);
        }
        any
    }
}
