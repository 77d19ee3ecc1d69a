//! One commit for each iteration, where that is wanted.

use std::fmt::Write as _;

use super::Ralph;
use crate::core::commits::{self, Baseline, Made};
use crate::core::machine::{Effect, GateResult};
use crate::core::moment::Moment;

impl Ralph {
    /// Whether the loop has to know first what was there before it.
    pub(super) fn wants_base(&self) -> bool {
        self.spec.commit.is_some() && self.progress.commits.unsettled(&self.spec.chat.run)
    }

    /// It is known now, or cannot be: the loop begins.
    pub(super) fn based(&mut self, found: Result<Baseline, String>, moment: Moment) -> Vec<Effect> {
        let Some(branch) = self.spec.commit.clone().filter(|_| self.wants_base()) else {
            return Vec::new();
        };
        let run = self.spec.chat.run.clone();
        let mut effects = self.progress.commits.settle((&run, branch), found);
        effects.extend(self.set_out(moment));
        effects
    }

    /// The commit of the present iteration, unless there is one or is to be none.
    pub(super) fn commit(&self) -> Option<Effect> {
        let progress = &self.progress;
        if progress.committed || self.spec.commit.is_none() {
            return None;
        }
        let number = progress.iteration.to_string();
        let title = format!("ralph {number}: {}", self.spec.task.trim_start());
        let mut detail = String::new();
        for gate in &progress.gates {
            let command = self.spec.gates.get(gate.index).map_or("", String::as_str);
            let ended = if gate.green() { "passes" } else { "does not pass" };
            let _ = writeln!(detail, "`{command}` {ended}.");
        }
        let marks = [("Run", self.spec.chat.run.as_str()), ("Iteration", &number)];
        progress.commits.order(commits::message(&title, &detail, &marks))
    }

    /// The commit was made, or not: the iteration goes on to its end.
    pub(super) fn committed(&mut self, made: Result<Made, String>, moment: Moment) -> Vec<Effect> {
        if self.progress.committed {
            return Vec::new();
        }
        self.progress.committed = true;
        let mut effects = self.progress.commits.made(made);
        effects.push(Effect::Checkpoint);
        effects.extend(self.check(moment));
        effects
    }

    /// Whether all gates of the iteration that ran let it pass.
    pub(super) fn all_green(&self) -> bool {
        self.progress.gates.iter().all(GateResult::green)
    }
}
