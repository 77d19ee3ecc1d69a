//! The life of a task: begun, heard, stopped, over.

use super::progress::Stop;
use super::{Ending, Fleet, Phase};
use crate::core::failure::{Failure, FailureClass, Scope};
use crate::core::machine::{
    Effect, End, Fact, Input, Lane, Outcome, Tail, TaskState, Timer, Verdict,
};
use crate::core::moment::Moment;
use crate::core::spend::Spent;
use crate::core::turn::clip;

/// Bytes of answers that are kept of all tasks together: they lie in each checkpoint. The log
/// has them whole.
const KEPT_BYTES: usize = 512 * 1024;

/// Bytes that are kept of one answer, at least and at most.
const LEAST_BYTES: usize = 1024;
const MOST_BYTES: usize = 32 * 1024;

impl Fleet {
    /// Begins a task, or goes on with what an ended run left of it.
    pub(super) fn begin(&mut self, lane: Lane, moment: Moment) -> Vec<Effect> {
        let timeout_ms = self.task(lane).map(|task| task.timeout_ms);
        let cuts = self.progress.width.cuts();
        let task = self.progress.tasks.entry(lane).or_default();
        task.state = TaskState::Running;
        task.note = None;
        task.began_at = moment.now_ms;
        task.left_ms = timeout_ms;
        task.cuts = cuts;
        if self.apart(lane) {
            // Also where it has one: whether that is still there is for others to say.
            let task = self.progress.tasks.entry(lane).or_default();
            task.phase = if task.worked { Phase::Committing } else { Phase::Preparing };
            let mut effects = vec![Effect::Checkpoint];
            effects.extend(self.tend(lane));
            return effects;
        }
        self.set_to_work(lane, moment)
    }

    /// Its folder is there: its worker begins.
    pub(super) fn set_to_work(&mut self, lane: Lane, moment: Moment) -> Vec<Effect> {
        let Some(mut worker) = self.worker(lane) else { return Vec::new() };
        let heard = worker.handle(Input::Start, moment);
        self.running.insert(lane, worker);
        let mut effects = vec![Effect::Checkpoint];
        effects.extend(self.run_clock(lane, moment));
        effects.extend(self.pass(lane, heard, moment));
        effects
    }

    /// After a crash: goes on with a task that was at work.
    pub(super) fn take_up(&mut self, lane: Lane, tail: Tail, moment: Moment) -> Vec<Effect> {
        let Some(mut worker) = self.worker(lane) else { return Vec::new() };
        let task = self.progress.tasks.entry(lane).or_default();
        // While nobody was there no time passed for it.
        let ran = task.since.take().is_some();
        let stops = task.stop.is_some();
        let mut heard = worker.handle(Input::Recover(tail), moment);
        if stops {
            heard.extend(worker.handle(Input::Cancel, moment));
        }
        self.running.insert(lane, worker);
        let mut effects = Vec::new();
        if ran {
            effects.extend(self.run_clock(lane, moment));
        }
        effects.extend(self.pass(lane, heard, moment));
        effects
    }

    /// A task hears something.
    pub(super) fn task_hears(&mut self, lane: Lane, input: Input, moment: Moment) -> Vec<Effect> {
        let mut effects = match input {
            Input::Timer(Timer::Total) => self.stop(lane, Stop::Timeout, moment),
            Input::Tree(told) => self.told(lane, *told, moment),
            input => {
                let Some(worker) = self.running.get_mut(&lane) else { return Vec::new() };
                let heard = worker.handle(input, moment);
                self.pass(lane, heard, moment)
            }
        };
        effects.extend(self.tell());
        effects
    }

    /// Stops a task that is at work. It ends when its backend has.
    pub(super) fn stop(&mut self, lane: Lane, why: Stop, moment: Moment) -> Vec<Effect> {
        let task = self.progress.tasks.entry(lane).or_default();
        let kept = [Phase::Committing, Phase::Merging, Phase::Uniting, Phase::Settling];
        if task.stop.is_some() || kept.contains(&task.phase) {
            // What is done is kept.
            return Vec::new();
        }
        task.stop = Some(why);
        let Some(worker) = self.running.get_mut(&lane) else { return vec![Effect::Checkpoint] };
        let heard = worker.handle(Input::Cancel, moment);
        let mut effects = vec![Effect::Checkpoint];
        effects.extend(self.pass(lane, heard, moment));
        effects
    }

    /// Passes on what a task wants, and takes over when it has ended.
    fn pass(&mut self, lane: Lane, effects: Vec<Effect>, moment: Moment) -> Vec<Effect> {
        let (mut passed, mut ended) = (Vec::with_capacity(effects.len()), None);
        for effect in effects {
            match effect {
                Effect::Finish(end) => ended = Some(end),
                Effect::Checkpoint => passed.push(Effect::Checkpoint),
                Effect::Emit(fact) => passed.extend(self.note(lane, fact, moment)),
                other => passed.push(of(lane, other)),
            }
        }
        if let Some(end) = ended {
            passed.extend(self.ended(lane, end, moment));
        }
        passed
    }

    /// Takes notice of a fact of a task's. How the run stands is told of all tasks together.
    fn note(&mut self, lane: Lane, fact: Fact, moment: Moment) -> Vec<Effect> {
        let wanted = matches!(fact, Fact::ReasoningDelta(_))
            && self.united(lane).is_none()
            && self.wants_reasoning(lane);
        let most = self.kept_bytes();
        let task = self.progress.tasks.entry(lane).or_default();
        match &fact {
            Fact::Running => {
                task.state = TaskState::Running;
                task.note = None;
                return self.run_clock(lane, moment);
            }
            Fact::Asking => {
                task.state = TaskState::Asking;
                return self.stop_clock(lane, moment);
            }
            Fact::Parked { reason, until, needs_key } => {
                task.state = TaskState::Parked;
                task.note = Some(reason.clone());
                task.until = Some(*until);
                task.needs_key.clone_from(needs_key);
                let limited = needs_key.is_none();
                let mut effects = self.stop_clock(lane, moment);
                if limited {
                    effects.extend(self.throttled(lane));
                }
                return effects;
            }
            Fact::Usage(usage) => task.spent.add(Spent::by(usage)),
            Fact::ReasoningDelta(text) if wanted && task.answer.reasoning.len() < most => {
                task.answer.reasoning.push_str(text);
            }
            Fact::Retrying { failure, .. }
                if matches!(failure.class, FailureClass::RateLimit(_)) =>
            {
                let mut effects = vec![of(lane, Effect::Emit(fact))];
                effects.extend(self.throttled(lane));
                return effects;
            }
            _ => {}
        }
        vec![of(lane, Effect::Emit(fact))]
    }

    /// The model throttles a task: fewer are begun from now on.
    fn throttled(&mut self, lane: Lane) -> Vec<Effect> {
        let ceiling = self.spec.max_concurrent;
        let cuts = self.progress.tasks.get(&lane).map_or(0, |task| task.cuts);
        if !self.progress.width.throttled(cuts, ceiling) {
            return Vec::new();
        }
        // Where nobody is left to begin it is no news.
        if !self.lanes().any(|lane| self.state(lane) == TaskState::Queued) {
            return Vec::new();
        }
        let now = self.progress.width.now(ceiling);
        let message = format!("the model throttles: {now} of {ceiling} tasks at once from now on");
        let warning = Effect::Emit(Fact::Warning { code: "throttled".to_owned(), message });
        [warning].into_iter().chain(self.tell_waiting()).collect()
    }

    /// Lets a task's time run.
    fn run_clock(&mut self, lane: Lane, moment: Moment) -> Vec<Effect> {
        let task = self.progress.tasks.entry(lane).or_default();
        let (Some(left), None) = (task.left_ms, task.since) else { return Vec::new() };
        task.since = Some(moment.now_ms);
        task.until = None;
        vec![of(lane, Effect::Wait(Timer::Total, left))]
    }

    /// Stops a task's time, while it waits for others.
    fn stop_clock(&mut self, lane: Lane, moment: Moment) -> Vec<Effect> {
        let task = self.progress.tasks.entry(lane).or_default();
        let Some(since) = task.since.take() else { return Vec::new() };
        let ran = moment.now_ms.saturating_sub(since);
        task.left_ms = task.left_ms.map(|left| left.saturating_sub(ran));
        vec![of(lane, Effect::Unwait(Timer::Total))]
    }

    /// A task has ended.
    fn ended(&mut self, lane: Lane, end: End, moment: Moment) -> Vec<Effect> {
        let Some(mut worker) = self.running.remove(&lane) else { return Vec::new() };
        let mut effects = Vec::new();
        for effect in worker.close() {
            // That it works again is no news of one that has ended.
            if effect != Effect::Emit(Fact::Running) {
                effects.push(of(lane, effect));
            }
        }
        effects.push(of(lane, Effect::Unwait(Timer::Total)));
        if self.united(lane).is_some() {
            effects.extend(self.resolved(lane, end, moment));
            return effects;
        }
        let gave_up = worker.gave_up();
        let most = self.kept_bytes();
        let timeout_ms = self.task(lane).map_or(0, |task| task.timeout_ms);
        let task = self.progress.tasks.entry(lane).or_default();
        worker.store(task);
        task.since = None;
        task.until = None;
        task.answer.take(&end.outcome, most);
        task.answer.duration_ms += moment.now_ms.saturating_sub(task.began_at);
        let stop = task.stop.take();
        let stopped = stop.is_some();
        let (state, failure) = over(end.verdict.clone(), stop, timeout_ms);
        let note = failure.as_ref().map(|failure| failure.message.clone());
        task.answer.error = failure.as_ref().map(ToString::to_string).unwrap_or_default();
        match &failure {
            None => (task.chat, task.ralph) = (None, None),
            Some(failure) => task.lose_session(failure.class),
        }
        self.progress.sum.add(end.outcome);
        let ending = Ending::of(end.verdict).filter(|_| !stopped && !gave_up);
        // What ends one task like this would end all of them.
        let ending = ending.filter(|ending| of_all(ending.failure()));
        if state == TaskState::Done && self.apart(lane) {
            let task = self.progress.tasks.entry(lane).or_default();
            task.worked = true;
            task.phase = Phase::Committing;
            effects.push(Effect::Checkpoint);
            effects.extend(self.tend(lane));
            return effects;
        }
        if let Some(ending) = ending {
            self.mark(lane, state, note);
            self.progress.width.failed();
            effects.extend(self.end_with(ending, moment));
            effects.extend(self.advance(moment));
        } else {
            effects.extend(self.settle(lane, state, note, moment));
        }
        effects
    }

    /// A task is over.
    pub(super) fn mark(&mut self, lane: Lane, state: TaskState, note: Option<String>) {
        let task = self.progress.tasks.entry(lane).or_default();
        task.state = state;
        task.phase = Phase::Working;
        if task.answer.error.is_empty() && state != TaskState::Done {
            task.answer.error = note.clone().unwrap_or_default();
        }
        task.note = note;
    }

    /// A task is over, and the others go on, or not.
    pub(super) fn settle(
        &mut self,
        lane: Lane,
        state: TaskState,
        note: Option<String>,
        moment: Moment,
    ) -> Vec<Effect> {
        self.mark(lane, state, note);
        let mut effects = vec![Effect::Checkpoint];
        match state {
            TaskState::Done => {
                self.progress.width.succeeded(self.spec.max_concurrent);
            }
            TaskState::Cancelled => {}
            _ => {
                self.progress.width.failed();
                if self.spec.fail_fast && self.progress.failed_fast.is_none() {
                    self.progress.failed_fast = Some(lane);
                    let why = format!("stopped: {} failed", self.id(lane));
                    for lane in self.at_work() {
                        effects.extend(self.stop(lane, Stop::With(why.clone()), moment));
                    }
                }
            }
        }
        effects.extend(self.advance(moment));
        effects
    }

    /// Bytes that are kept of one answer.
    fn kept_bytes(&self) -> usize {
        (KEPT_BYTES / self.spec.tasks.len().max(1)).clamp(LEAST_BYTES, MOST_BYTES)
    }
}

impl super::Answer {
    /// Takes over what came of a task's turns.
    fn take(&mut self, outcome: &Outcome, most: usize) {
        self.content = clip(&outcome.content, most);
        self.reasoning = clip(&self.reasoning, most);
        self.attempts += outcome.iterations.unwrap_or(outcome.retries + 1);
        self.usage.add(&outcome.usage);
        self.model.clone_from(&outcome.model);
    }
}

/// How a task stands that has ended, and why it is not done.
fn over(verdict: Verdict, stop: Option<Stop>, timeout_ms: u64) -> (TaskState, Option<Failure>) {
    let Some(ending) = Ending::of(verdict) else { return (TaskState::Done, None) };
    match stop {
        Some(Stop::Timeout) => {
            let seconds = timeout_ms / 1_000;
            let message = format!("it worked longer than the {seconds} s it may");
            let hint = "give it more with timeout_sec in the task file, or with --timeout";
            let failure = Failure::new(FailureClass::Limit, message).with_hint(hint);
            (TaskState::Exhausted, Some(failure))
        }
        Some(Stop::With(why)) => {
            (TaskState::Cancelled, Some(Failure::new(FailureClass::Cancelled, why)))
        }
        None => {
            let state = match &ending {
                Ending::Failed(_) => TaskState::Failed,
                Ending::Blocked(_) => TaskState::Blocked,
                Ending::Exhausted(_) => TaskState::Exhausted,
                Ending::Cancelled(_) => TaskState::Cancelled,
            };
            (state, Some(ending.failure().clone()))
        }
    }
}

/// Whether a failure of this class is not the task's own.
pub(super) fn of_all(failure: &Failure) -> bool {
    match failure.class {
        // Another task may ask another model.
        FailureClass::RateLimit(scope) => scope != Scope::Model,
        FailureClass::Limit => !failure.part,
        FailureClass::Quota | FailureClass::Auth | FailureClass::Unavailable => true,
        _ => false,
    }
}

/// Something of a task's lane.
fn of(lane: Lane, effect: Effect) -> Effect {
    Effect::Of(lane, Box::new(effect))
}
