//! All runs: those that need a person, those at work, those that are over.

use std::collections::BTreeMap;

use copex_proto::event::{EventBody, RunEvent};
use copex_proto::id::{RunId, Seq};
use copex_proto::run::{RunState, RunSummary};

use super::doing::Doing;
use super::fuzzy;

/// Runs that are over and kept in the list. Older ones are in `runs list`.
const OVER: usize = 500;

/// Runs at work of which it is told what they do: as many as a large screen shows.
const FOLLOWED: usize = 40;

/// Events before the last that are read to find out what a run does. What is earlier is
/// rarely what it does now.
const BEFORE: Seq = 2_000;

/// Where a run stands in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// It waits for a person.
    Needs,
    /// It works, or waits for a moment.
    Working,
    /// It ended.
    Over,
}

impl Group {
    /// Where a run in this state stands.
    pub(crate) fn of(state: RunState) -> Self {
        match state {
            RunState::Asking => Self::Needs,
            state if state.is_terminal() => Self::Over,
            _ => Self::Working,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Needs => "NEEDS YOU",
            Self::Working => "WORKING",
            Self::Over => "DONE",
        }
    }
}

/// The list.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    known: BTreeMap<RunId, RunSummary>,
    /// What each run at work does.
    pub(crate) doing: BTreeMap<RunId, Doing>,
    /// The run that is looked at.
    pub(crate) selected: Option<RunId>,
    /// What is searched for.
    pub(crate) find: String,
    /// Questions that wait.
    pub(crate) waiting: u32,
    /// Whether the daemon has told.
    pub(crate) told: bool,
}

impl Runs {
    /// Takes what the daemon says. `whole` when it says everything anew.
    pub(crate) fn apply(&mut self, runs: Vec<RunSummary>, waiting: u32, whole: bool) {
        if whole {
            self.known.clear();
        }
        self.told = true;
        self.waiting = waiting;
        for run in runs {
            if run.state.is_terminal() {
                self.doing.remove(&run.run);
            }
            self.known.insert(run.run, run);
        }
        let known = &self.known;
        self.doing.retain(|run, _| known.contains_key(run));
        let over = |run: &RunSummary| run.state.is_terminal();
        let mut spare = self.known.values().filter(|run| over(run)).count().saturating_sub(OVER);
        self.known.retain(|_, run| {
            let goes = spare > 0 && over(run);
            spare -= usize::from(goes);
            !goes
        });
        self.settle();
    }

    /// Takes an event of a run at work.
    pub(crate) fn event(&mut self, event: &RunEvent) {
        let Some(run) = self.known.get_mut(&event.run) else { return };
        if run.state.is_terminal() {
            return;
        }
        let doing = self.doing.entry(event.run).or_default();
        if event.seq > doing.seq {
            doing.apply(event);
        }
        // What can be done with it is what is shown of it: the list's own news may come later.
        if event.seq > run.last_seq {
            match &event.body {
                EventBody::Parked { .. } => run.state = RunState::Parked,
                EventBody::State { state } if !state.is_terminal() => run.state = *state,
                _ => {}
            }
        }
    }

    /// A run.
    pub(crate) fn get(&self, run: RunId) -> Option<&RunSummary> {
        self.known.get(&run)
    }

    /// How many stand where.
    pub(crate) fn count(&self, group: Group) -> usize {
        self.known.values().filter(|run| Group::of(run.state) == group).count()
    }

    /// The list as it is shown: group by group, the newest first; what ended last comes first
    /// among what is over. What is searched for leaves out the rest.
    pub(crate) fn shown(&self) -> Vec<&RunSummary> {
        let mut runs: Vec<&RunSummary> = self.known.values().collect();
        let newest = |run: &RunSummary| std::cmp::Reverse(run.ended_at.unwrap_or(run.accepted_at));
        runs.sort_by_key(|run| (Group::of(run.state), newest(run), std::cmp::Reverse(run.run)));
        if self.find.trim().is_empty() {
            return runs;
        }
        let text = |run: &RunSummary| {
            let model = run.model.as_deref().unwrap_or_default();
            format!("{} {} {} {model} {}", run.mode.as_str(), run.title, run.cwd, run.run)
        };
        // Letters that are there as they were typed are meant; others are a guess.
        let wanted = self.find.trim().to_lowercase();
        let found = |run: &&RunSummary| text(run).to_lowercase().contains(&wanted);
        let exact: Vec<_> = runs.iter().copied().filter(found).collect();
        if !exact.is_empty() {
            return exact;
        }
        runs.retain(|run| fuzzy::score(&self.find, &text(run)).is_some());
        runs
    }

    /// The run that is looked at.
    pub(crate) fn selected(&self) -> Option<&RunSummary> {
        self.known.get(&self.selected?)
    }

    /// Looks at another run, so many rows down where that is positive.
    pub(crate) fn step(&mut self, by: isize) {
        let shown = self.shown();
        let at = shown.iter().position(|run| Some(run.run) == self.selected).unwrap_or(0);
        let to = at.saturating_add_signed(by).min(shown.len().saturating_sub(1));
        self.selected = shown.get(to).map(|run| run.run);
    }

    /// A run is looked at, where there is one.
    pub(crate) fn settle(&mut self) {
        let shown = self.shown();
        if !shown.iter().any(|run| Some(run.run) == self.selected) {
            self.selected = shown.first().map(|run| run.run);
        }
    }

    /// The runs of which is to be told what they do, each with the number after which its
    /// events are wanted.
    pub(crate) fn followed(&self) -> impl Iterator<Item = (RunId, Seq)> {
        let at_work = self.known.values().rev().filter(|run| !run.state.is_terminal());
        at_work.take(FOLLOWED).map(|run| {
            let after = match self.doing.get(&run.run) {
                Some(doing) => doing.seq,
                None => run.last_seq.saturating_sub(BEFORE),
            };
            (run.run, after)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::tests::summary;

    fn ids(runs: &Runs) -> Vec<&str> {
        runs.shown().iter().map(|run| run.title.as_str()).collect()
    }

    #[test]
    fn what_needs_a_person_comes_first_and_what_ended_last_is_the_first_of_the_rest() {
        let mut runs = Runs::default();
        let all = vec![
            summary(1, RunState::Done, "first"),
            summary(2, RunState::Running, "working"),
            summary(3, RunState::Failed, "second"),
            summary(4, RunState::Asking, "asks"),
            summary(5, RunState::Parked, "parked"),
        ];
        runs.apply(all, 1, true);
        assert_eq!(ids(&runs), ["asks", "parked", "working", "second", "first"]);
        runs.step(2);
        assert_eq!(runs.selected().unwrap().title, "working");
        runs.apply(vec![summary(2, RunState::Done, "working")], 1, false);
        assert_eq!(runs.selected().unwrap().title, "working", "it is still looked at");
        for find in ["seco", "scond"] {
            runs.find = find.to_owned();
            runs.settle();
            assert_eq!(ids(&runs), ["second"]);
        }
        // As letters alone, these are in more than one.
        runs.find = "ask".to_owned();
        assert_eq!(ids(&runs), ["asks"]);
        runs.find = "second".to_owned();
        assert_eq!(runs.selected().unwrap().title, "second");
        runs.find.clear();
        runs.step(-100);
        assert_eq!(runs.selected().unwrap().title, "asks");
    }

    #[test]
    fn the_list_is_bounded_and_the_oldest_go() {
        let mut runs = Runs::default();
        let all = (0..600).map(|n| summary(n, RunState::Done, &n.to_string())).collect();
        runs.apply(all, 0, true);
        assert_eq!((runs.shown().len(), runs.shown()[0].title.as_str()), (OVER, "599"));
    }
}
