//! The council machine: members give opinions and judge each other without names, and a chair
//! decides.
//!
//! ```text
//! New --> Opinions --> Reviews --> Chair --> (Escalation) --> ended
//!                       ^    | disagree, and a round is left
//!                       +- Revisions
//! ```
//!
//! Each member is a [`Chat`] in a lane of its own, by its number from 1; the chair has the lane
//! after the last member's, and its second turn the one after that. Inputs go to them, their
//! effects come out, and only their ends stay here.
//!
//! Invariant: a turn whose end is in a checkpoint is never asked again in this run, and the
//! decision is the chair's alone: what a member said never stands in for it.
//! Invariant: no name of a member is in what another member or the chair is told.
//! Invariant: a member that is missing (it failed, was late, or cannot be read) is named in the
//! report, with the reason.

mod answer;
mod chair;
mod progress;
mod prompt;
mod ranking;
mod report;
mod spec;
mod stages;

use std::collections::BTreeMap;

pub use progress::{Member, Missed, Part, Progress, Stage};
pub use report::{Contribution, Decision, Missing, Ranked, Report, Review};
pub use spec::{Chair, CouncilSpec, Preset, SURE};

use super::chat::{self, Chat, ChatSpec};
use super::failure::{Failure, FailureClass};
use super::machine::{
    Effect, End, Fact, Input, Lane, MAIN, Machine, MemberFact, MemberState, Outcome, Tail, Timer,
    Verdict,
};
use super::moment::Moment;
use super::plan::Ending;

/// The machine of a council.
#[derive(Debug)]
pub struct Council {
    spec: CouncilSpec,
    progress: Progress,
    /// The turns at work, those that are late and being stopped among them.
    running: BTreeMap<Lane, Chat>,
    /// When something was heard of each last, in Unix milliseconds. Who is there again after a
    /// crash is heard of at once.
    heard: BTreeMap<Lane, u64>,
    ended: bool,
}

/// What somebody's lane is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// This member, from 0.
    Member(usize),
    Chair,
    Escalation,
}

impl Council {
    /// A council that has not begun.
    pub fn new(spec: CouncilSpec) -> Self {
        Self::restored(spec, Progress::default())
    }

    /// A council that goes on from its checkpoint.
    pub fn restored(spec: CouncilSpec, mut progress: Progress) -> Self {
        progress.members.resize(spec.members.len(), Member::default());
        let (running, heard) = (BTreeMap::new(), BTreeMap::new());
        Self { spec, progress, running, heard, ended: false }
    }

    fn start(&mut self, moment: Moment) -> Vec<Effect> {
        let mut effects = vec![Effect::Emit(Fact::Running)];
        if let Some(most) = self.spec.chat.max_duration_ms {
            self.progress.deadline = Some(moment.now_ms.saturating_add(most));
        }
        effects.extend(self.watch_total(moment));
        for (code, message) in std::mem::take(&mut self.spec.chat.warnings) {
            effects.push(Effect::Emit(Fact::Warning { code, message }));
        }
        self.progress.seed.get_or_insert(self.spec.seed);
        effects.push(Effect::Checkpoint);
        match self.progress.stage {
            Stage::New => effects.extend(self.begin(Stage::Opinions, moment)),
            Stage::Opinions | Stage::Reviews | Stage::Revisions => {
                effects.extend(self.settle(moment));
            }
            Stage::Chair => effects.extend(self.sit(Who::Chair)),
            Stage::Escalation => effects.extend(self.sit(Who::Escalation)),
        }
        effects
    }

    fn recover(&mut self, mut tail: Tail, moment: Moment) -> Vec<Effect> {
        if self.progress.stage == Stage::New {
            return self.start(moment);
        }
        let mut effects: Vec<Effect> = self.watch_total(moment).into_iter().collect();
        effects.push(Effect::Emit(Fact::Running));
        let lanes: Vec<Lane> = match self.progress.stage {
            Stage::Chair => vec![self.lane(Who::Chair)],
            Stage::Escalation => vec![self.lane(Who::Escalation)],
            _ => {
                let working = |member: &Member| member.part == Part::Working;
                let members = self.progress.members.iter().enumerate();
                members
                    .filter(|(_, member)| working(member))
                    .map(|(index, _)| self.lane(Who::Member(index)))
                    .collect()
            }
        };
        for lane in lanes {
            if self.ended {
                break;
            }
            self.seat(lane);
            let tail = tail.lanes.remove(&lane).unwrap_or_default();
            effects.extend(self.hears(lane, Input::Recover(tail), moment));
            if self.progress.ending.is_some() {
                effects.extend(self.hears(lane, Input::Cancel, moment));
            }
        }
        if !self.ended {
            effects.extend(self.go_on(moment));
        }
        effects
    }

    /// After a crash: what waits for nobody goes on, and the clock of those who are late.
    fn go_on(&mut self, moment: Moment) -> Vec<Effect> {
        match (self.progress.ending.clone(), self.progress.stage) {
            (Some(ending), _) => self.end_with(ending, moment),
            (None, Stage::Chair | Stage::Escalation) => Vec::new(),
            (None, _) => {
                let mut effects = self.settle(moment);
                if let (false, Some(at)) = (self.ended, self.progress.late_at) {
                    let left = at.saturating_sub(moment.now_ms);
                    effects.push(Effect::Wait(Timer::Straggler, left));
                }
                effects
            }
        }
    }

    fn watch_total(&self, moment: Moment) -> Option<Effect> {
        let deadline = self.progress.deadline?;
        Some(Effect::Wait(Timer::Total, deadline.saturating_sub(moment.now_ms)))
    }

    /// The lane of somebody.
    fn lane(&self, who: Who) -> Lane {
        let count = self.spec.members.len();
        let place = match who {
            Who::Member(index) => index + 1,
            Who::Chair => count + 1,
            Who::Escalation => count + 2,
        };
        Lane::try_from(place).unwrap_or(Lane::MAX)
    }

    /// Whose lane it is.
    fn who(&self, lane: Lane) -> Option<Who> {
        let index = usize::try_from(lane).ok()?.checked_sub(1)?;
        match index.checked_sub(self.spec.members.len()) {
            None => Some(Who::Member(index)),
            Some(0) => Some(Who::Chair),
            Some(1) => Some(Who::Escalation),
            Some(_) => None,
        }
    }

    fn slot(&mut self, who: Who) -> Option<&mut chat::Progress> {
        match who {
            Who::Member(index) => self.progress.members.get_mut(index).map(|it| &mut it.turn),
            Who::Chair => Some(&mut self.progress.chair),
            Who::Escalation => Some(&mut self.progress.escalation),
        }
    }

    /// Makes the turn of a lane, where its progress says.
    fn seat(&mut self, lane: Lane) {
        let Some(who) = self.who(lane) else { return };
        let prompt = self.prompt(who);
        let spec = match who {
            Who::Member(index) => self.spec.members.get(index).map(|it| &it.chat),
            Who::Chair => Some(&self.spec.chair.chat),
            Who::Escalation => self.spec.escalation.as_ref().map(|it| &it.chat),
        };
        // A run that goes on has the same request: whoever sat there sits there again.
        let spec = ChatSpec { prompt, ..spec.unwrap_or(&self.spec.chair.chat).clone() };
        let Some(slot) = self.slot(who) else { return };
        let chat = Chat::restored(spec, slot.clone());
        self.running.insert(lane, chat);
    }

    fn prompt(&self, who: Who) -> String {
        let (spec, progress) = (&self.spec, &self.progress);
        match (who, progress.stage) {
            (Who::Member(index), Stage::Reviews) => prompt::review(spec, progress, index),
            (Who::Member(index), Stage::Revisions) => prompt::revision(spec, progress, index),
            (Who::Member(_), _) => prompt::opinion(spec),
            (Who::Chair, _) => match &progress.unreadable {
                Some(reason) => prompt::again(reason),
                None => prompt::chair(spec, progress),
            },
            (Who::Escalation, _) => prompt::escalation(spec, progress),
        }
    }

    /// Somebody hears something.
    fn hears(&mut self, lane: Lane, input: Input, moment: Moment) -> Vec<Effect> {
        let Some(chat) = self.running.get_mut(&lane) else { return Vec::new() };
        if !matches!(input, Input::Timer(_) | Input::Cancel) {
            self.heard.insert(lane, moment.now_ms);
        }
        let effects = chat.handle(input, moment);
        let mut effects = self.pass(lane, effects, moment);
        // One that waited for a person or a limit may not any more.
        effects.extend(self.watch_late(moment));
        effects
    }

    /// Passes on what somebody wants, and takes over when the turn has ended.
    fn pass(&mut self, lane: Lane, effects: Vec<Effect>, moment: Moment) -> Vec<Effect> {
        let (mut passed, mut ended) = (Vec::with_capacity(effects.len()), None);
        let of = |effect| match effect {
            Effect::Checkpoint => Effect::Checkpoint,
            other => Effect::Of(lane, Box::new(other)),
        };
        for effect in effects {
            match effect {
                Effect::Finish(end) => ended = Some(end),
                other => passed.push(of(other)),
            }
        }
        if passed.iter().any(parks) && self.others_work(lane) {
            // The run waits only when everybody does.
            passed.push(Effect::Emit(Fact::Running));
        }
        let Some(end) = ended else { return passed };
        if let Some(mut chat) = self.running.remove(&lane) {
            passed.extend(chat.close().into_iter().map(of));
            let progress = chat.progress();
            if let Some(who) = self.who(lane).filter(|who| !self.is_late(*who))
                && let Some(slot) = self.slot(who)
            {
                *slot = progress;
            }
        }
        passed.extend(self.turn_ended(lane, end, moment));
        passed
    }

    /// Whether somebody beside this lane is at work and not parked.
    fn others_work(&self, lane: Lane) -> bool {
        let others = self.running.iter().filter(|(other, _)| **other != lane);
        others.into_iter().any(|(_, chat)| chat.progress().parked.is_none())
    }

    /// Whether it is a member that was left out: nobody waits for its turn any more, which is
    /// nothing to go on with.
    fn is_late(&self, who: Who) -> bool {
        let Who::Member(index) = who else { return false };
        self.progress.members.get(index).is_none_or(|member| member.part != Part::Working)
    }

    fn turn_ended(&mut self, lane: Lane, end: End, moment: Moment) -> Vec<Effect> {
        let answer = end.outcome.content.clone();
        self.progress.sum.add(end.outcome);
        let mut effects = vec![Effect::Checkpoint];
        if self.progress.ending.is_some() {
            effects.extend(self.end_when_still());
            return effects;
        }
        if self.who(lane).is_some_and(|who| self.is_late(who)) {
            return effects;
        }
        let failed = Ending::of(end.verdict);
        if failed.is_none()
            && let Some(slot) = self.who(lane).and_then(|who| self.slot(who))
        {
            *slot = next_turn(slot);
        }
        match (self.who(lane), failed) {
            (_, Some(ending)) if ends_all(&ending) => {
                effects.extend(self.end_with(ending, moment));
            }
            (Some(Who::Member(index)), failed) => {
                effects.extend(self.member_ended(index, &answer, failed, moment));
            }
            (Some(Who::Chair), failed) => {
                effects.extend(self.chair_ended(&answer, failed, moment));
            }
            (Some(Who::Escalation), failed) => {
                effects.extend(self.escalation_ended(&answer, failed));
            }
            (None, _) => {}
        }
        effects
    }

    /// Ends the run as soon as the turns that are at work have ended; they are stopped.
    fn end_with(&mut self, ending: Ending, moment: Moment) -> Vec<Effect> {
        let known = self.progress.ending.is_some();
        self.progress.ending.get_or_insert(ending);
        let mut effects = vec![Effect::Checkpoint];
        let lanes: Vec<Lane> = self.running.keys().copied().collect();
        for lane in lanes {
            if !(known || self.ended) {
                effects.extend(self.hears(lane, Input::Cancel, moment));
            }
        }
        effects.extend(self.end_when_still());
        effects
    }

    fn end_when_still(&mut self) -> Vec<Effect> {
        match self.progress.ending.clone() {
            Some(ending) if self.running.is_empty() && !self.ended => {
                // Who goes on with the run begins without it.
                self.progress.ending = None;
                self.finish(ending.verdict())
            }
            _ => Vec::new(),
        }
    }

    fn finish(&mut self, verdict: Verdict) -> Vec<Effect> {
        self.ended = true;
        let mut effects = Vec::new();
        // Those who are late are stopped already; nobody waits until they are.
        for (lane, chat) in std::mem::take(&mut self.running) {
            self.progress.sum.add(chat.outcome());
            effects.push(Effect::Of(lane, Box::new(Effect::Release { poisoned: true })));
        }
        let report = self.report();
        let outcome = Outcome {
            content: String::new(),
            council: Some(Box::new(report)),
            ..self.progress.sum.clone()
        };
        effects.push(Effect::Finish(End { verdict, outcome }));
        effects.push(Effect::Release { poisoned: false });
        effects
    }

    /// Tells what somebody does now.
    fn tell(&self, who: Who, state: MemberState, note: Option<String>) -> Effect {
        let name = match who {
            Who::Member(index) => self.spec.members.get(index).map(|seat| seat.name.clone()),
            Who::Chair => Some(CHAIR.to_owned()),
            Who::Escalation => Some(ESCALATION.to_owned()),
        };
        let (name, stage) = (name.unwrap_or_default(), self.progress.stage.name());
        let fact = Fact::Member(MemberFact { name, state, stage: stage.to_owned(), note });
        Effect::Emit(fact)
    }
}

/// What the chair is called in the log, whoever it is.
pub const CHAIR: &str = "chair";

/// What the chair's second turn is called.
pub const ESCALATION: &str = "chair again";

/// Where the next turn in the same session begins.
fn next_turn(turn: &chat::Progress) -> chat::Progress {
    chat::Progress {
        session: turn.session.clone(),
        asked: turn.asked,
        always: turn.always.clone(),
        parks: turn.parks,
        ..chat::Progress::default()
    }
}

/// Whether a lane says that it waits for a moment.
fn parks(effect: &Effect) -> bool {
    matches!(effect, Effect::Of(_, inner) if matches!(**inner, Effect::Emit(Fact::Parked { .. })))
}

/// Whether what ended one turn would end every other too.
fn ends_all(ending: &Ending) -> bool {
    match ending {
        Ending::Cancelled(_) => true,
        Ending::Exhausted(failure) => failure.class == FailureClass::Limit,
        Ending::Failed(_) | Ending::Blocked(_) => false,
    }
}

impl Machine for Council {
    fn handle(&mut self, input: Input, moment: Moment) -> Vec<Effect> {
        match input {
            _ if self.ended => Vec::new(),
            Input::Start => self.start(moment),
            Input::Recover(tail) => self.recover(tail, moment),
            Input::Of(lane, input) => self.hears(lane, *input, moment),
            Input::Timer(Timer::Straggler) => self.time_is_up(moment),
            Input::Timer(Timer::Total) => {
                let seconds = self.spec.chat.max_duration_ms.unwrap_or_default() / 1_000;
                let message = format!("the run took longer than the {seconds} s it may take");
                let hint = format!("`copexctl runs resume {}` goes on", self.spec.chat.run);
                let failure = Failure::new(FailureClass::Limit, message).with_hint(hint);
                self.end_with(Ending::Exhausted(failure), moment)
            }
            Input::Cancel => {
                let failure = Failure::new(FailureClass::Cancelled, "cancelled");
                self.end_with(Ending::Cancelled(failure), moment)
            }
            Input::Answered(_) | Input::Wake => {
                let lanes: Vec<Lane> = self.running.keys().copied().collect();
                let mut effects = Vec::new();
                for lane in lanes {
                    effects.extend(self.hears(lane, input.clone(), moment));
                }
                effects
            }
            _ => Vec::new(),
        }
    }

    fn checkpoint(&self) -> serde_json::Value {
        let mut progress = self.progress.clone();
        for (lane, chat) in &self.running {
            match self.who(*lane) {
                Some(who) if self.is_late(who) => {}
                Some(Who::Member(index)) => {
                    if let Some(member) = progress.members.get_mut(index) {
                        member.turn = chat.progress();
                    }
                }
                Some(Who::Chair) => progress.chair = chat.progress(),
                Some(Who::Escalation) => progress.escalation = chat.progress(),
                None => {}
            }
        }
        super::stored::Stored::Council(Box::new(progress)).value()
    }

    fn turn(&self, lane: Lane) -> chat::Progress {
        if lane == MAIN {
            return chat::Progress::default();
        }
        self.running.get(&lane).map(Chat::progress).unwrap_or_default()
    }

    fn label(&self, lane: Lane) -> Option<String> {
        match self.who(lane)? {
            Who::Member(index) => self.spec.members.get(index).map(|seat| seat.name.clone()),
            Who::Chair => Some(CHAIR.to_owned()),
            Who::Escalation => Some(ESCALATION.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
