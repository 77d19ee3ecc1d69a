//! The wait for a person between two iterations, where that is wanted.

use super::{Ralph, Stage, prompt};
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::{Effect, Fact, Question, Reply, Resolution, Timer, Verdict};
use crate::core::moment::Moment;

/// What a person can pick. Anything else is said to the agent in the next iteration.
const CHOICES: [&str; 2] = ["go on", "stop"];

/// What a person means.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    GoOn,
    Stop,
    Say(String),
}

impl Ralph {
    /// Asks a person before the next iteration.
    pub(super) fn hold(&mut self, moment: Moment) -> Vec<Effect> {
        let progress = &mut self.progress;
        progress.turn.asked += 1;
        let ask = format!("{}-{}", self.spec.chat.run, progress.turn.asked);
        let timeout = self.spec.chat.ask_timeout_ms;
        let expires_at = moment.now_ms.saturating_add(timeout);
        progress.stage = Stage::Held { ask: ask.clone(), expires_at };
        let title = format!("iteration {} of {} is over", progress.iteration, progress.max);
        let detail = "go on, stop, or words for the agent that go into the next iteration";
        vec![
            Effect::Emit(Fact::Ask(Question {
                ask: ask.clone(),
                permission: false,
                approval: false,
                title,
                detail: detail.to_owned(),
                choices: CHOICES.map(str::to_owned).to_vec(),
                always: None,
                expires_at,
            })),
            Effect::Emit(Fact::Asking),
            Effect::Checkpoint,
            Effect::Wait(Timer::Ask(ask), timeout),
        ]
    }

    /// A person answered, or will not.
    pub(super) fn released(&mut self, resolution: &Resolution) -> Vec<Effect> {
        let word = read(&resolution.answer);
        let mut effects = vec![
            Effect::Unwait(Timer::Ask(resolution.ask.clone())),
            Effect::Emit(Fact::Answered(resolution.clone())),
        ];
        match word {
            Word::GoOn => {}
            Word::Say(words) => self.progress.feedback.push_str(&prompt::told(&words)),
            Word::Stop => {
                let verdict = self.stopped(resolution.by_client);
                effects.extend(self.finish_for_good(verdict));
                return effects;
            }
        }
        effects.push(Effect::Emit(Fact::Running));
        effects.extend(self.begin());
        effects
    }

    fn stopped(&self, by_client: bool) -> Verdict {
        let number = self.progress.iteration;
        if !by_client {
            return self.blocked(format!("nobody said whether to go on after iteration {number}"));
        }
        let hint = format!("`copexctl runs resume {}` goes on", self.spec.chat.run);
        let message = format!("a person stopped the loop after iteration {number}");
        Verdict::Cancelled(Failure::new(FailureClass::Cancelled, message).with_hint(hint))
    }
}

fn read(answer: &Reply) -> Word {
    let text = match answer {
        Reply::Allow | Reply::AllowAlways => return Word::GoOn,
        Reply::Deny(_) => return Word::Stop,
        Reply::Text(text) => text.trim(),
    };
    match text.to_ascii_lowercase().as_str() {
        "" | "y" | "yes" | "go on" => Word::GoOn,
        "n" | "no" | "stop" => Word::Stop,
        _ => Word::Say(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_choice_is_for_the_agent() {
        let text = |text: &str| read(&Reply::Text(text.to_owned()));
        for choice in CHOICES {
            assert!(!matches!(text(choice), Word::Say(_)), "{choice}");
        }
        assert_eq!((text(" Yes "), text("STOP")), (Word::GoOn, Word::Stop));
        assert_eq!(text("use tabs"), Word::Say("use tabs".to_owned()));
        assert_eq!(read(&Reply::Deny(None)), Word::Stop);
    }
}
