//! Carrying out the steps: which are ready, what becomes of them, and what then.

use std::collections::{BTreeMap, BTreeSet};

use super::progress::{Ending, Stage};
use super::{Filing, Mark, Outline, Plan, Step, prompt};
use crate::core::chat::ChatSpec;
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::{
    Effect, End, Fact, Input, Lane, Machine as _, StepFact, StepState, Tail, Verdict,
};
use crate::core::moment::Moment;
use crate::core::plan::OnFailure;
use crate::core::ralph::{Context, Ralph, RalphSpec};
use crate::core::turn::clip;

/// Steps that must be done before the time of those that are left is told.
const ENOUGH_FOR_AN_ESTIMATE: u64 = 2;

impl Ending {
    /// The end of a turn or a loop, unless it went well.
    pub(in crate::core) fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Done => None,
            Verdict::Failed(failure) => Some(Self::Failed(failure)),
            Verdict::Blocked(failure) => Some(Self::Blocked(failure)),
            Verdict::Exhausted(failure) => Some(Self::Exhausted(failure)),
            Verdict::Cancelled(failure) => Some(Self::Cancelled(failure)),
        }
    }

    /// The same for the whole run.
    pub(in crate::core) fn verdict(self) -> Verdict {
        match self {
            Self::Failed(failure) => Verdict::Failed(failure),
            Self::Blocked(failure) => Verdict::Blocked(failure),
            Self::Exhausted(failure) => Verdict::Exhausted(failure),
            Self::Cancelled(failure) => Verdict::Cancelled(failure),
        }
    }
}

impl Plan {
    /// Begins to carry out the plan that was just read.
    pub(super) fn execute(&mut self, moment: Moment) -> Vec<Effect> {
        self.progress.stage = Stage::Executing;
        let mut effects = self.tell_gates();
        effects.extend(self.tell_steps());
        if self.wants_base() {
            effects.extend(self.next_file_work());
        } else {
            effects.extend(self.advance(moment));
        }
        effects
    }

    /// Says which commands will be run, before any is.
    fn tell_gates(&self) -> Vec<Effect> {
        let open = self.progress.outline.steps.iter().filter(|step| !self.settled(step));
        let gates: Vec<String> = open
            .flat_map(|step| step.verify.iter().map(move |it| format!("{}: {it}", step.number)))
            .collect();
        if gates.is_empty() {
            return Vec::new();
        }
        let (code, message) = if self.trusts_gates() {
            ("gates", format!("gates of the steps: {}", gates.join(" · ")))
        } else {
            let message = format!(
                "the plan proposes gates that nobody approved; they are not run without --review \
                 or --trust-plan: {}",
                gates.join(" · ")
            );
            ("gates_not_run", message)
        };
        vec![Effect::Emit(Fact::Warning { code: code.to_owned(), message })]
    }

    fn trusts_gates(&self) -> bool {
        self.progress.approved || self.spec.trust
    }

    /// Whether nothing is left to do for a step.
    fn settled(&self, step: &Step) -> bool {
        step.mark.settled() || step.number < self.spec.from_step
    }

    /// Puts a sign into a step's box, here and, as soon as can be, in the file.
    pub(super) fn set_mark(&mut self, number: u32, mark: Mark) {
        self.progress.outline.mark(number, mark);
        self.progress.marks.retain(|(known, _)| *known != number);
        self.progress.marks.push((number, mark));
    }

    /// Commits what is to be committed, then brings the file up to date, else reads it.
    pub(super) fn next_file_work(&mut self) -> Option<Effect> {
        if let Some(commit) = self.next_commit() {
            return Some(commit);
        }
        match self.progress.marks.first().copied() {
            _ if self.filing.is_some() => None,
            Some((number, mark)) => {
                self.filing = Some(Filing::Mark(number, mark));
                Some(Effect::MarkPlan { file: self.file(), number, mark })
            }
            None => self.load(),
        }
    }

    /// The file was brought up to date, or read, while steps are carried out.
    pub(super) fn reread_while_executing(&mut self, filed: Filing, moment: Moment) -> Vec<Effect> {
        if let Filing::Mark(number, mark) = filed {
            self.progress.marks.retain(|known| *known != (number, mark));
        }
        // What the file does not have yet holds all the same.
        for (number, mark) in self.progress.marks.clone() {
            self.progress.outline.mark(number, mark);
        }
        let mut effects = self.tell_steps();
        effects.push(Effect::Checkpoint);
        if self.progress.marks.is_empty() {
            effects.extend(self.advance(moment));
        } else {
            effects.extend(self.next_file_work());
        }
        effects
    }

    /// Goes on: begins what is ready; where nothing is and nothing runs, it is decided.
    pub(super) fn advance(&mut self, moment: Moment) -> Vec<Effect> {
        if self.filing.is_some() || self.progress.question.is_some() {
            return Vec::new();
        }
        if let Some(ending) = self.progress.ending.clone() {
            if !self.running.is_empty() {
                return Vec::new();
            }
            self.progress.ending = None;
            return self.finish(ending.verdict());
        }
        let mut effects = Vec::new();
        while self.running.len() < self.spec.parallel {
            let Some(number) = self.ready() else { break };
            effects.extend(self.begin(number, moment));
        }
        if self.running.is_empty() {
            effects.extend(self.decide(moment));
        }
        effects
    }

    /// The first step that can be begun.
    fn ready(&self) -> Option<u32> {
        let outline = &self.progress.outline;
        let done = |number: &u32| outline.step(*number).is_none_or(|step| self.settled(step));
        let step = outline.steps.iter().find(|step| {
            !self.settled(step)
                && !self.running.contains_key(&step.number)
                && self.failed(step.number).is_none()
                && step.depends_on.iter().all(done)
        });
        step.map(|step| step.number)
    }

    fn failed(&self, number: u32) -> Option<&Ending> {
        self.progress.steps.get(&number)?.failed.as_ref()
    }

    /// Nothing runs and nothing can be begun.
    fn decide(&mut self, moment: Moment) -> Vec<Effect> {
        let open = self.progress.outline.steps.iter().filter(|step| !self.settled(step));
        let failed: Vec<(u32, Ending)> = open
            .clone()
            .filter_map(|step| Some((step.number, self.failed(step.number)?.clone())))
            .collect();
        match failed.into_iter().next() {
            Some((_, ending)) if self.spec.on_failure == OnFailure::Stop => {
                self.end_with(ending, moment)
            }
            Some((number, ending)) => self.ask_about_step(number, ending.failure(), moment),
            None if open.count() == 0 => self.finish(Verdict::Done),
            None => {
                // It cannot be: what does not depend on a failed step gets its turn.
                let failure = Failure::new(FailureClass::Unknown, "no step can go on");
                self.finish(Verdict::Failed(failure))
            }
        }
    }

    /// Begins a step, or goes on with it.
    fn begin(&mut self, number: u32, moment: Moment) -> Vec<Effect> {
        let step = self.progress.steps.entry(number).or_default();
        step.running = true;
        step.began_at = moment.now_ms;
        let mut effects = self.tell_steps();
        let Some(mut ralph) = self.ralph(number) else { return effects };
        let heard = ralph.handle(Input::Start, moment);
        self.running.insert(number, ralph);
        effects.extend(self.pass_step(number, heard, moment));
        effects
    }

    /// The loop of a step, where it stands.
    fn ralph(&self, number: u32) -> Option<Ralph> {
        let step = self.progress.outline.step(number)?;
        let spec = &self.spec;
        let gates = if self.trusts_gates() { step.verify.clone() } else { Vec::new() };
        let ralph = RalphSpec {
            chat: ChatSpec {
                asks: format!("{}-s{number}", spec.chat.run),
                // The plan keeps the time, and has told what there is to tell.
                max_duration_ms: None,
                warnings: Vec::new(),
                ..spec.chat.clone()
            },
            task: prompt::step(&self.progress, step),
            promise: Some(prompt::promise(number)),
            gates,
            gate_timeout_ms: spec.gate_timeout_ms,
            max_iterations: spec.max_iterations,
            context: Context::Same,
            // The plan commits, step by step.
            commit: None,
            pause: false,
            max_errors: spec.max_errors,
            delay_ms: 0,
        };
        let known = self.progress.steps.get(&number).and_then(|it| it.ralph.as_deref().cloned());
        Some(Ralph::restored(ralph, known.unwrap_or_default()))
    }

    /// After a crash: steps at work go on, and the file is looked at again.
    pub(super) fn recover_steps(
        &mut self,
        tails: &mut BTreeMap<Lane, Tail>,
        moment: Moment,
    ) -> Vec<Effect> {
        let steps = self.progress.steps.iter().filter(|(_, step)| step.running);
        let numbers: Vec<u32> = steps.map(|(number, _)| *number).collect();
        let mut effects = Vec::new();
        for number in numbers {
            let Some(mut ralph) = self.ralph(number) else { continue };
            let tail = tails.remove(&number).unwrap_or_default();
            let mut heard = ralph.handle(Input::Recover(tail), moment);
            if self.progress.ending.is_some() {
                heard.extend(ralph.handle(Input::Cancel, moment));
            }
            self.running.insert(number, ralph);
            effects.extend(self.pass_step(number, heard, moment));
        }
        if !self.ended {
            effects.extend(self.next_file_work());
        }
        effects
    }

    /// A step hears something.
    pub(super) fn step_hears(&mut self, lane: Lane, input: Input, moment: Moment) -> Vec<Effect> {
        let Some(ralph) = self.running.get_mut(&lane) else { return Vec::new() };
        let effects = ralph.handle(input, moment);
        self.pass_step(lane, effects, moment)
    }

    /// Passes on what a step wants, and takes over when it has ended.
    fn pass_step(&mut self, number: u32, effects: Vec<Effect>, moment: Moment) -> Vec<Effect> {
        let (mut passed, mut ended) = (Vec::with_capacity(effects.len()), None);
        for effect in effects {
            match effect {
                Effect::Finish(end) => ended = Some(end),
                Effect::Checkpoint => passed.push(Effect::Checkpoint),
                other => passed.push(Effect::Of(number, Box::new(other))),
            }
        }
        if let Some(end) = ended {
            passed.extend(self.step_ended(number, end, moment));
        }
        passed
    }

    fn step_ended(&mut self, number: u32, end: End, moment: Moment) -> Vec<Effect> {
        let Some(ralph) = self.running.remove(&number) else { return Vec::new() };
        let gave_up = ralph.gave_up();
        let answer = clip(&end.outcome.content, prompt::ANSWER_BYTES);
        let iterations = end.outcome.iterations.unwrap_or_default();
        self.progress.sum.add(end.outcome);
        let step = self.progress.steps.entry(number).or_default();
        step.running = false;
        step.answer = answer;
        step.iterations = iterations;
        step.ralph = Some(Box::new(ralph.progress()));
        let mut effects = Vec::new();
        match Ending::of(end.verdict) {
            None => {
                step.ralph = None;
                step.took_ms = Some(moment.now_ms.saturating_sub(step.began_at));
                self.set_mark(number, Mark::Done);
                if self.spec.commit.is_some() {
                    self.progress.to_commit.push(number);
                }
            }
            Some(ending) if gave_up => {
                step.failed = Some(ending);
                self.set_mark(number, Mark::Failed);
            }
            // What ends one step like this would end all of them.
            Some(ending) => {
                effects.push(Effect::Checkpoint);
                effects.extend(self.end_with(ending, moment));
                return effects;
            }
        }
        effects.extend(self.tell_steps());
        effects.push(Effect::Checkpoint);
        effects.extend(self.next_file_work());
        effects
    }

    /// Ends the run as soon as the steps that are at work have ended; they are stopped.
    pub(super) fn end_with(&mut self, ending: Ending, moment: Moment) -> Vec<Effect> {
        if self.running.is_empty() {
            let ending = self.progress.ending.take().unwrap_or(ending);
            return self.finish(ending.verdict());
        }
        let mut effects = self.withdraw();
        if self.progress.ending.is_some() {
            return effects;
        }
        self.progress.ending = Some(ending);
        effects.push(Effect::Checkpoint);
        let lanes: Vec<Lane> = self.running.keys().copied().collect();
        for lane in lanes {
            if !self.ended {
                effects.extend(self.step_hears(lane, Input::Cancel, moment));
            }
        }
        effects
    }

    /// Steps that cannot be begun while this one is not done.
    pub(super) fn blocked_by(&self, number: u32) -> Vec<u32> {
        let outline: &Outline = &self.progress.outline;
        let mut blocked: BTreeSet<u32> = BTreeSet::from([number]);
        loop {
            let more = outline.steps.iter().find(|step| {
                !blocked.contains(&step.number)
                    && !self.settled(step)
                    && step.depends_on.iter().any(|needed| blocked.contains(needed))
            });
            let Some(more) = more else { break };
            blocked.insert(more.number);
        }
        blocked.remove(&number);
        blocked.into_iter().collect()
    }

    /// Tells of the steps what clients do not know yet.
    pub(super) fn tell_steps(&mut self) -> Vec<Effect> {
        let steps = &self.progress.outline.steps;
        let failed: Vec<u32> = steps
            .iter()
            .filter(|step| !self.settled(step) && self.failed(step.number).is_some())
            .map(|step| step.number)
            .collect();
        let mut blocked: BTreeMap<u32, u32> = BTreeMap::new();
        for number in &failed {
            for waiting in self.blocked_by(*number) {
                blocked.entry(waiting).or_insert(*number);
            }
        }
        let total = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        let mut news = Vec::new();
        for step in steps {
            let number = step.number;
            let known = self.progress.steps.get(&number);
            let (state, note) = if known.is_some_and(|it| it.running) {
                (StepState::Running, None)
            } else if step.mark == Mark::Done {
                let rounds = known.map_or(0, |it| it.iterations);
                (StepState::Done, (rounds > 1).then(|| format!("{rounds} iterations")))
            } else if self.settled(step) {
                (StepState::Skipped, None)
            } else if let Some(ending) = self.failed(number) {
                (StepState::Failed, Some(ending.failure().message.clone()))
            } else if let Some(by) = blocked.get(&number) {
                (StepState::Blocked, Some(format!("step {by} failed")))
            } else {
                (StepState::Pending, None)
            };
            let told = (step.title.clone(), state);
            if self.progress.told.get(&number) != Some(&told) {
                news.push((number, told, (step.depends_on.clone(), note)));
            }
        }
        let left_ms = self.left_ms();
        let mut effects = Vec::with_capacity(news.len());
        for (number, (title, state), (depends_on, note)) in news {
            self.progress.told.insert(number, (title.clone(), state));
            let at_work = matches!(state, StepState::Running | StepState::Done);
            let left_ms = left_ms.filter(|_| at_work);
            effects.push(Effect::Emit(Fact::Step(StepFact {
                number,
                total,
                title,
                state,
                depends_on,
                note,
                left_ms,
            })));
        }
        effects
    }

    /// How long the steps that are left will take, by those that are done.
    fn left_ms(&self) -> Option<u64> {
        let took: Vec<u64> = self.progress.steps.values().filter_map(|it| it.took_ms).collect();
        let count = took.len() as u64;
        if count < ENOUGH_FOR_AN_ESTIMATE {
            return None;
        }
        let left = self.progress.outline.steps.iter().filter(|step| !self.settled(step)).count();
        let wide = self.spec.parallel.clamp(1, left.max(1)) as u64;
        let each = took.iter().sum::<u64>() / count;
        (left > 0).then(|| each.saturating_mul(left as u64) / wide)
    }
}
