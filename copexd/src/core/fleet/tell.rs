//! What clients are told of the tasks, and of the run as a whole.

use super::Fleet;
use super::progress::Standing;
use super::trees::Ground;
use crate::core::machine::{Effect, Fact, Lane, TaskFact, TaskState};
use crate::core::worktrees;

impl Fleet {
    /// Tells again what is done already, for a run that goes on with another.
    pub(super) fn tell_kept(&self) -> Vec<Effect> {
        let done = self.lanes().filter(|lane| self.state(*lane) == TaskState::Done);
        let kept = done.flat_map(|lane| {
            let content = self.progress.tasks.get(&lane).map(|task| task.answer.content.clone());
            let said = content.map(|text| Effect::Emit(Fact::Message(text)));
            let facts = said.into_iter().chain(self.tell_changes(lane));
            let facts = facts.chain(self.tell_merged(lane));
            facts.map(|effect| Effect::Of(lane, Box::new(effect))).collect::<Vec<_>>()
        });
        kept.collect()
    }

    /// Tells which commits have what a task changed.
    pub(super) fn tell_changes(&self, lane: Lane) -> Option<Effect> {
        let task = self.progress.tasks.get(&lane)?;
        let (start, tip) = (&task.start, task.tip.as_ref()?);
        let (file, kind) = (format!("{start}..{tip}"), "changes".to_owned());
        Some(Effect::Emit(Fact::Artifact { file, kind }))
    }

    /// Tells which commit of the run's branch has what a task changed.
    pub(super) fn tell_merged(&self, lane: Lane) -> Option<Effect> {
        let Ground::Apart { run, .. } = &self.progress.ground else { return None };
        let commit = self.progress.tasks.get(&lane)?.commit.as_ref()?;
        let file = format!("{} {commit}", worktrees::run_branch(run));
        Some(Effect::Emit(Fact::Artifact { file, kind: "commit".to_owned() }))
    }

    /// Tells what clients do not know yet. Ends come first: what begins may have waited for them.
    pub(super) fn tell(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        let news = self.lanes().map(|lane| (lane, self.state(lane)));
        let mut news: Vec<_> =
            news.filter(|(lane, state)| self.progress.told.get(lane) != Some(state)).collect();
        news.sort_by_key(|(lane, state)| (!state.over(), *lane));
        for (lane, state) in news {
            self.progress.told.insert(lane, state);
            effects.push(Effect::Emit(Fact::Task(self.fact(lane, state))));
        }
        effects.extend(self.stand());
        effects
    }

    /// Tells the first that waits again, with how many may be at work now: what it waits for has
    /// changed, while its state has not.
    pub(super) fn tell_waiting(&self) -> Option<Effect> {
        let waits = |lane: &Lane| self.progress.told.get(lane) == Some(&TaskState::Queued);
        let lane = self.lanes().filter(waits).find(|it| self.state(*it) == TaskState::Queued)?;
        Some(Effect::Emit(Fact::Task(self.fact(lane, TaskState::Queued))))
    }

    fn fact(&self, lane: Lane, state: TaskState) -> TaskFact {
        let task = self.progress.tasks.get(&lane);
        let answer = task.map(|task| &task.answer).filter(|_| state.over());
        let begun = task.is_some_and(|task| task.began_at > 0);
        let depends_on = self.task(lane).map(|it| it.depends_on.as_slice()).unwrap_or_default();
        TaskFact {
            id: self.id(lane).to_owned(),
            state,
            number: lane,
            total: Lane::try_from(self.spec.tasks.len()).unwrap_or(Lane::MAX),
            at_once: u32::try_from(self.progress.width.now(self.spec.max_concurrent))
                .unwrap_or(u32::MAX),
            depends_on: depends_on.iter().map(|lane| self.id(*lane).to_owned()).collect(),
            note: task.and_then(|task| task.note.clone()),
            attempts: answer.map_or(0, |answer| answer.attempts),
            duration_ms: answer.map(|answer| answer.duration_ms).filter(|_| begun),
            usage: answer.map(|answer| answer.usage.clone()),
            folder: task
                .and_then(|task| task.folder.clone())
                .or_else(|| self.task(lane)?.folder.clone()),
        }
    }

    /// How the run stands, where that changed.
    fn stand(&mut self) -> Option<Effect> {
        let tasks = self.progress.tasks.values().filter(|task| task.state.at_work());
        let asks = tasks.clone().any(|task| task.state == TaskState::Asking);
        let parked = tasks.clone().all(|task| task.state == TaskState::Parked);
        let first = tasks.clone().filter_map(|task| Some((task.until?, &task.note))).min();
        let (standing, fact) = match first {
            _ if asks => (Standing::Asking, Fact::Asking),
            Some((until, note)) if parked => {
                let reason = note.clone().unwrap_or_default();
                let needs_key = tasks.clone().find_map(|task| task.needs_key.clone());
                (Standing::Parked(until), Fact::Parked { reason, until, needs_key })
            }
            _ => (Standing::Running, Fact::Running),
        };
        if self.progress.standing == standing {
            return None;
        }
        self.progress.standing = standing;
        Some(Effect::Emit(fact))
    }
}
