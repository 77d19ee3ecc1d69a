//! The chair's turns: the decision, once more where it cannot be read, and again where it is
//! not sure.

use super::{Council, SURE, Stage, Who, answer};
use crate::core::chat::{self, Chat};
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::{Effect, Fact, MemberState, Verdict};
use crate::core::moment::Moment;
use crate::core::plan::Ending;

impl Council {
    /// Begins a turn of the chair, or takes it up.
    pub(super) fn sit(&mut self, who: Who) -> Vec<Effect> {
        let lane = self.lane(who);
        self.seat(lane);
        let mut effects = vec![self.tell(who, MemberState::Running, None), Effect::Checkpoint];
        let opened = self.running.get_mut(&lane).map(Chat::open).unwrap_or_default();
        effects.extend(opened.into_iter().map(|effect| Effect::Of(lane, Box::new(effect))));
        effects
    }

    /// The chair's turn has ended.
    pub(super) fn chair_ended(
        &mut self,
        answer: &str,
        failed: Option<Ending>,
        moment: Moment,
    ) -> Vec<Effect> {
        if let Some(ending) = failed {
            return self.end_with(ending, moment);
        }
        let reason = match answer::decision(answer) {
            Ok(decision) => {
                let unsure = decision.confidence < SURE;
                self.progress.decision = Some(decision);
                self.progress.unreadable = None;
                let mut effects = vec![self.tell(Who::Chair, MemberState::Done, None)];
                if unsure && self.spec.escalation.is_some() {
                    self.progress.stage = Stage::Escalation;
                    effects.extend(self.sit(Who::Escalation));
                } else {
                    effects.extend(self.finish(Verdict::Done));
                }
                return effects;
            }
            Err(reason) => reason,
        };
        if self.progress.unreadable.is_none() {
            let (code, message) = (
                "unreadable_decision".to_owned(),
                format!("the chair's answer is no decision, it is asked again: {reason}"),
            );
            self.progress.unreadable = Some(reason);
            let mut effects = vec![Effect::Emit(Fact::Warning { code, message })];
            effects.extend(self.sit(Who::Chair));
            return effects;
        }
        // Whoever goes on with this run has the chair begin anew.
        self.progress.unreadable = None;
        self.progress.chair = chat::Progress::default();
        let message = format!("the chair gave no decision that can be read, twice: {reason}");
        let hint = format!(
            "`copexctl council --resume {}` asks the chair again; --chair-model takes another",
            self.spec.chat.run
        );
        let failure = Failure::new(FailureClass::Unknown, message).with_hint(hint);
        self.end_with(Ending::Failed(failure), moment)
    }

    /// The chair's second turn has ended. The first decision stays where it led to none.
    pub(super) fn escalation_ended(&mut self, answer: &str, failed: Option<Ending>) -> Vec<Effect> {
        let read = match failed {
            Some(ending) => Err(ending.failure().message.clone()),
            None => answer::decision(answer),
        };
        let mut effects = Vec::new();
        match read {
            Ok(decision) => {
                self.progress.decision = Some(decision);
                self.progress.escalated = true;
                effects.push(self.tell(Who::Escalation, MemberState::Done, None));
            }
            Err(reason) => {
                let message = format!(
                    "the chair's second turn led to nothing, the first decision stays: {reason}"
                );
                let code = "escalation_failed".to_owned();
                effects.push(Effect::Emit(Fact::Warning { code, message }));
                effects.push(self.tell(Who::Escalation, MemberState::Failed, Some(reason)));
            }
        }
        effects.extend(self.finish(Verdict::Done));
        effects
    }
}
