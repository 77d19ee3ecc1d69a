//! The stages of the members: who takes part, who is late, and what comes then.

use super::progress::{Member, Missed, Part, Stage};
use super::prompt::{self, OPINION_BYTES};
use super::{Council, Who, answer, next_turn, ranking};
use crate::core::chat::{self, Chat};
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::{Effect, Fact, Input, MemberState, Timer};
use crate::core::moment::Moment;
use crate::core::plan::Ending;
use crate::core::turn::clip;

impl Council {
    /// Begins a stage of the members.
    pub(super) fn begin(&mut self, stage: Stage, moment: Moment) -> Vec<Effect> {
        self.progress.stage = stage;
        self.progress.late_at = None;
        for member in &mut self.progress.members {
            let takes_part = stage == Stage::Opinions || member.opinion.is_some();
            member.part = if takes_part { Part::Waiting } else { Part::None };
            // What was missing in an earlier round is asked for anew.
            member.missing.retain(|missed| missed.stage != stage);
            if stage == Stage::Reviews {
                member.review = None;
            }
        }
        let mut effects = vec![Effect::Unwait(Timer::Straggler), Effect::Checkpoint];
        effects.extend(self.settle(moment));
        // Who waits is told of, too: clients count only those whom they know.
        if self.progress.stage == stage && !self.ended {
            let waiting = |(_, member): &(usize, &Member)| member.part == Part::Waiting;
            let waiting = self.progress.members.iter().enumerate().filter(waiting);
            let told =
                waiting.map(|(index, _)| self.tell(Who::Member(index), MemberState::Queued, None));
            effects.extend(told);
        }
        effects
    }

    fn count(&self, part: Part) -> usize {
        self.progress.members.iter().filter(|member| member.part == part).count()
    }

    /// Lets those begin for whom there is room; where nobody is left, the stage is over.
    pub(super) fn settle(&mut self, moment: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.quorum_is_lost() {
            effects.extend(self.ask_nobody_more());
        }
        while self.count(Part::Working) < self.spec.max_concurrent {
            let waiting = |member: &Member| member.part == Part::Waiting;
            let Some(index) = self.progress.members.iter().position(waiting) else { break };
            let lane = self.lane(Who::Member(index));
            if self.running.contains_key(&lane) {
                // It was late in the stage before and is not still yet: it is late here too.
                effects.extend(self.misses(index, Ending::Failed(self.too_late(true))));
                continue;
            }
            let member = &mut self.progress.members[index];
            member.part = Part::Working;
            member.fresh = member.turn.session.is_none();
            self.seat(lane);
            effects.push(self.tell(Who::Member(index), MemberState::Running, None));
            effects.push(Effect::Checkpoint);
            let opened = self.running.get_mut(&lane).map(Chat::open).unwrap_or_default();
            effects.extend(self.pass(lane, opened, moment));
        }
        let left = self.count(Part::Working) + self.count(Part::Waiting);
        if left == 0 {
            effects.extend(self.stage_over(moment));
        } else {
            effects.extend(self.watch_late(moment));
        }
        if !self.ended {
            effects.extend(self.tell_when_all_wait());
        }
        effects
    }

    /// Nothing will be decided: who has not begun is not asked. Those at work still have their
    /// time, since what they say is not asked for again when the council goes on.
    fn ask_nobody_more(&mut self) -> Vec<Effect> {
        let members = self.progress.members.iter().enumerate();
        let waiting = members.filter(|(_, member)| member.part == Part::Waiting);
        let waiting: Vec<usize> = waiting.map(|(index, _)| index).collect();
        let reason = "it was not asked: the quorum was out of reach";
        let not_asked = || Ending::Failed(Failure::new(FailureClass::Unknown, reason));
        waiting.into_iter().flat_map(|index| self.misses(index, not_asked())).collect()
    }

    /// Lets the time of those who are at work run, where they can be late.
    ///
    /// With the quorum they can, whatever they do, and where it is out of reach. Else only
    /// silence counts.
    pub(super) fn watch_late(&mut self, moment: Moment) -> Vec<Effect> {
        let of_members =
            matches!(self.progress.stage, Stage::Opinions | Stage::Reviews | Stage::Revisions);
        let known = self.progress.late_at.is_some() || self.progress.ending.is_some();
        if !of_members || known || self.ended || self.at_work().is_empty() {
            return Vec::new();
        }
        let silent = self.at_work().into_iter().any(|index| !self.waits(index));
        if !(self.is_settled() || silent) {
            return Vec::new();
        }
        self.let_late_at(moment.now_ms.saturating_add(self.patience_ms()), moment)
    }

    /// How long those at work have, in milliseconds: some at first, or of silence. With nobody
    /// to compare them with, no less than a model may take to its first word.
    fn patience_ms(&self) -> u64 {
        let left = self.count(Part::Working) + self.count(Part::Waiting);
        let compared = self.is_settled() || self.count(Part::Done) > 0 || left == 1;
        if compared {
            self.spec.straggler_ms
        } else {
            self.spec.straggler_ms.max(self.spec.first_word_ms)
        }
    }

    fn let_late_at(&mut self, at: u64, moment: Moment) -> Vec<Effect> {
        self.progress.late_at = Some(at);
        let left = at.saturating_sub(moment.now_ms);
        vec![Effect::Checkpoint, Effect::Wait(Timer::Straggler, left)]
    }

    /// The members at work.
    fn at_work(&self) -> Vec<usize> {
        let members = self.progress.members.iter().enumerate();
        let working = members.filter(|(_, member)| member.part == Part::Working);
        working.map(|(index, _)| index).collect()
    }

    /// Whether a member at work waits for a person or for the end of a limit: it does not hang.
    fn waits(&self, index: usize) -> bool {
        let chat = self.running.get(&self.lane(Who::Member(index)));
        let turn = chat.map(Chat::progress);
        turn.is_some_and(|turn| turn.parked.is_some() || !turn.open.is_empty())
    }

    /// When a member at work has been silent for too long, in Unix milliseconds.
    fn silent_at(&self, index: usize) -> u64 {
        let heard = self.heard.get(&self.lane(Who::Member(index)));
        heard.copied().unwrap_or_default().saturating_add(self.patience_ms())
    }

    /// Whether it does not depend on those at work any more what comes next: as many have done
    /// their part as must have, or as many never will.
    fn is_settled(&self) -> bool {
        self.count(Part::Done) >= self.needed() || self.quorum_is_lost()
    }

    /// The run is parked where everybody who is left is.
    fn tell_when_all_wait(&self) -> Option<Effect> {
        let working = |(_, member): &(usize, &Member)| member.part == Part::Working;
        let working = self.progress.members.iter().enumerate().filter(working);
        let (mut until, mut key) = (None, None);
        for (index, _) in working {
            let chat = self.running.get(&self.lane(Who::Member(index)))?.progress();
            let parked = chat.parked?;
            until = Some(until.map_or(parked, |known: u64| known.min(parked)));
            key = key.or(chat.needs_key.map(|key| key.name));
        }
        let reason = match &key {
            None => "everybody who is left waits for the end of a limit".to_owned(),
            Some(name) => format!("a key is needed that only a client has, in {name}"),
        };
        until.map(|until| Effect::Emit(Fact::Parked { reason, until, needs_key: key }))
    }

    /// How many must have done their part before the others can be late.
    fn needed(&self) -> usize {
        let taking_part = self.progress.members.len() - self.count(Part::None);
        self.spec.quorum.min(taking_part)
    }

    fn quorum_is_lost(&self) -> bool {
        let missing = self.count(Part::None);
        let possible = self.progress.members.len() - missing;
        self.progress.stage == Stage::Opinions && possible < self.spec.quorum
    }

    /// A member's turn has ended.
    pub(super) fn member_ended(
        &mut self,
        index: usize,
        answer: &str,
        failed: Option<Ending>,
        moment: Moment,
    ) -> Vec<Effect> {
        let taken = match failed {
            Some(ending) => Err(ending),
            None => self
                .take(index, answer)
                .map_err(|reason| Ending::Failed(Failure::new(FailureClass::Unknown, reason))),
        };
        let mut effects = if let Err(ending) = taken {
            self.misses(index, ending)
        } else {
            self.progress.members[index].part = Part::Done;
            vec![self.tell(Who::Member(index), MemberState::Done, None)]
        };
        // Those who are left have the whole time again.
        self.progress.late_at = None;
        effects.push(Effect::Checkpoint);
        effects.extend(self.settle(moment));
        effects
    }

    /// Takes what a member said.
    fn take(&mut self, index: usize, answer: &str) -> Result<(), String> {
        let stage = self.progress.stage;
        if answer.trim().is_empty() {
            return Err("it said nothing".to_owned());
        }
        if stage == Stage::Reviews {
            let labels = prompt::others(&self.progress.members, index);
            let review = answer::review(answer, &labels)
                .map_err(|reason| format!("its review cannot be read: {reason}"))?;
            self.progress.members[index].review = Some(review);
        } else {
            self.progress.members[index].opinion = Some(clip(answer, OPINION_BYTES));
        }
        Ok(())
    }

    /// A member does not do its part in this stage.
    fn misses(&mut self, index: usize, ending: Ending) -> Vec<Effect> {
        let stage = self.progress.stage;
        let reason = ending.failure().message.clone();
        let member = &mut self.progress.members[index];
        member.part = Part::None;
        member.missing.push(Missed { stage, ending });
        vec![self.tell(Who::Member(index), MemberState::Failed, Some(reason))]
    }

    /// Those who are at work have had their time: they are left out. Before the quorum is there
    /// only those who are silent are.
    pub(super) fn time_is_up(&mut self, moment: Moment) -> Vec<Effect> {
        if self.progress.late_at.take().is_none() {
            return Vec::new();
        }
        let (mut late, mut lively) = (self.at_work(), Vec::new());
        if !self.is_settled() {
            late.retain(|index| !self.waits(*index));
            (late, lively) =
                late.into_iter().partition(|index| self.silent_at(*index) <= moment.now_ms);
        }
        let mut effects = Vec::new();
        if let Some(at) = lively.iter().map(|index| self.silent_at(*index)).min() {
            // They are looked at again when they may have been silent for too long.
            effects.extend(self.let_late_at(at, moment));
        }
        if !late.is_empty() {
            effects.extend(self.leave_out(&late, moment));
        }
        effects
    }

    /// Goes on without these.
    fn leave_out(&mut self, late: &[usize], moment: Moment) -> Vec<Effect> {
        // Somebody who was parked may be among them.
        let mut effects = vec![Effect::Emit(Fact::Running)];
        let failure = self.too_late(self.is_settled());
        for index in late {
            effects.extend(self.misses(*index, Ending::Failed(failure.clone())));
        }
        for index in late.iter().copied() {
            let lane = self.lane(Who::Member(index));
            // What its session is in the middle of is nothing to go on with.
            let turn = &mut self.progress.members[index].turn;
            *turn = chat::Progress { session: None, ..next_turn(turn) };
            effects.extend(self.hears(lane, Input::Cancel, moment));
        }
        effects.push(Effect::Checkpoint);
        if !self.ended {
            effects.extend(self.settle(moment));
        }
        effects
    }

    fn stage_over(&mut self, moment: Moment) -> Vec<Effect> {
        match self.progress.stage {
            Stage::New | Stage::Opinions => self.opinions_over(moment),
            Stage::Reviews => {
                let disagree = ranking::agreed(&self.progress.members) == Some(false);
                if disagree && self.progress.round < self.spec.debate {
                    self.progress.round += 1;
                    return self.begin(Stage::Revisions, moment);
                }
                self.decide()
            }
            Stage::Revisions => self.begin(Stage::Reviews, moment),
            Stage::Chair | Stage::Escalation => Vec::new(),
        }
    }

    fn opinions_over(&mut self, moment: Moment) -> Vec<Effect> {
        let came = self.progress.members.iter().filter(|it| it.opinion.is_some()).count();
        if came < self.spec.quorum {
            let ending = self.no_quorum();
            return self.end_with(ending, moment);
        }
        let seed = self.progress.seed.unwrap_or(self.spec.seed);
        let order = ranking::shuffled(self.progress.members.len(), seed);
        let mut letters = (0..).map(ranking::letter);
        for index in order {
            let member = &mut self.progress.members[index];
            member.label = member.opinion.as_ref().and_then(|_| letters.next());
        }
        // One alone has nobody to judge.
        if came < 2 { self.decide() } else { self.begin(Stage::Reviews, moment) }
    }

    fn decide(&mut self) -> Vec<Effect> {
        self.progress.stage = Stage::Chair;
        self.progress.late_at = None;
        let mut effects = vec![Effect::Unwait(Timer::Straggler)];
        effects.extend(self.sit(Who::Chair));
        effects
    }

    /// Why those at work are left out now: the others are ready, or else they are silent.
    fn too_late(&self, compared: bool) -> Failure {
        let seconds = self.patience_ms() / 1_000;
        let message = if compared {
            format!("it was not ready {seconds} s after the others")
        } else {
            format!("nothing was heard of it for {seconds} s")
        };
        Failure::new(FailureClass::Unknown, message)
    }

    /// How a council ends in which too few gave an opinion: as the first that failed.
    fn no_quorum(&self) -> Ending {
        let members = &self.progress.members;
        let came = members.iter().filter(|member| member.opinion.is_some()).count();
        let missed: Vec<(&str, &Ending)> = self
            .spec
            .members
            .iter()
            .zip(members)
            .flat_map(|(seat, member)| {
                member.missing.iter().map(|missed| (seat.name.as_str(), &missed.ending))
            })
            .collect();
        let reasons: Vec<String> =
            missed.iter().map(|(name, it)| format!("{name}: {}", it.failure().message)).collect();
        let message = format!(
            "no quorum: {} of {} opinions are needed, {came} came; {}",
            self.spec.quorum,
            members.len(),
            reasons.join("; ")
        );
        let hint = format!(
            "`copexctl council --resume {}` asks those again who are missing; --quorum takes fewer",
            self.spec.chat.run
        );
        let like = |failure: &Failure| Failure { message: message.clone(), ..failure.clone() };
        match missed.first().map(|(_, ending)| *ending) {
            Some(Ending::Blocked(failure)) => Ending::Blocked(like(failure)),
            Some(Ending::Exhausted(failure)) => Ending::Exhausted(like(failure)),
            Some(Ending::Failed(failure) | Ending::Cancelled(failure)) => {
                Ending::Failed(like(failure).with_hint(hint))
            }
            None => Ending::Failed(Failure::new(FailureClass::Unknown, message).with_hint(hint)),
        }
    }
}
