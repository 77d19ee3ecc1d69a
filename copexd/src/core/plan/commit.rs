//! One commit for each step, where that is wanted.

use super::{Filing, Plan};
use crate::core::commits::{self, Baseline, Made};
use crate::core::machine::Effect;
use crate::core::moment::Moment;

impl Plan {
    /// Whether it has to be known first what was there before the run.
    pub(super) fn wants_base(&self) -> bool {
        self.spec.commit.is_some() && self.progress.commits.unsettled(&self.spec.chat.run)
    }

    /// What is to be done next for the commits, if nothing is being done.
    pub(super) fn next_commit(&mut self) -> Option<Effect> {
        if self.filing.is_some() {
            return None;
        }
        if self.wants_base() {
            self.filing = Some(Filing::Base);
            return Some(self.progress.commits.look());
        }
        while let Some(number) = self.progress.to_commit.first().copied() {
            if let Some(commit) = self.commit(number) {
                self.filing = Some(Filing::Commit(number));
                return Some(commit);
            }
            self.progress.to_commit.remove(0);
        }
        None
    }

    fn commit(&self, number: u32) -> Option<Effect> {
        let step = self.progress.outline.step(number);
        let (title, detail) = step.map(|it| (it.title.as_str(), it.detail.as_str()))?;
        let title = format!("plan {number}: {title}");
        let step = number.to_string();
        let marks = [("Run", self.spec.chat.run.as_str()), ("Step", &step)];
        self.progress.commits.order(commits::message(&title, detail, &marks))
    }

    /// What was there before the run is known now, or cannot be.
    pub(super) fn based(&mut self, found: Result<Baseline, String>, moment: Moment) -> Vec<Effect> {
        if self.filing.take_if(|it| *it == Filing::Base).is_none() {
            return Vec::new();
        }
        let run = self.spec.chat.run.clone();
        let branch = self.spec.commit.clone().unwrap_or_default();
        let mut effects = self.progress.commits.settle((&run, branch), found);
        effects.push(Effect::Checkpoint);
        effects.extend(self.advance(moment));
        effects
    }

    /// A commit was made, or not.
    pub(super) fn committed(&mut self, made: Result<Made, String>) -> Vec<Effect> {
        let Some(Filing::Commit(number)) = self.filing else { return Vec::new() };
        self.filing = None;
        self.progress.to_commit.retain(|known| *known != number);
        let mut effects = self.progress.commits.made(made);
        effects.push(Effect::Checkpoint);
        effects.extend(self.next_file_work());
        effects
    }
}
