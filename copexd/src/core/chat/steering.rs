//! Words that a person adds to the turn under way.
//!
//! Invariant: words are journaled before they are handed over, handed over one after the other,
//! and handed over again only to a session whose transcript does not have them.

use super::working::Compaction;
use super::{Chat, Phase, no_answer};
use crate::core::failure::Failure;
use crate::core::machine::{Effect, Fact, Timer, Verdict};
use crate::core::moment::Moment;

/// Words in one turn, at most: who says more than this wants another turn.
pub const MOST_STEERS: usize = 64;

/// How long a turn that is over waits for words that were taken on their way and not heard, in
/// milliseconds. The Copilot CLI begins another round within some.
pub const STEER_GRACE_MS: u64 = 5_000;

/// How far each of the words has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// In the journal alone.
    Kept,
    /// The backend has them.
    Handed,
    /// The agent has them, or never will.
    Past,
}

/// The words of a turn, in order.
#[derive(Debug, Default)]
pub(super) struct Words {
    marks: Vec<Mark>,
    /// Whether some are being handed over.
    handing: bool,
    /// Whether the session cannot take any.
    refused: bool,
}

impl Words {
    /// Of a turn that is taken up: so many, none of them handed over as far as is known.
    pub(super) fn kept(count: usize) -> Self {
        Self { marks: vec![Mark::Kept; count], ..Self::default() }
    }

    /// The session was opened: `said` is what its transcript has after the prompt.
    pub(super) fn look(&mut self, steers: &[String], said: &[String]) {
        self.handing = false;
        let mut said: Vec<&str> = said.iter().map(|text| text.trim()).collect();
        for (mark, text) in self.marks.iter_mut().zip(steers) {
            let found = said.iter().position(|said| *said == text.trim());
            *mark = found.map_or(Mark::Kept, |at| {
                said.remove(at);
                Mark::Past
            });
        }
    }

    /// Whether some have not come to the agent.
    pub(super) fn are_out(&self) -> bool {
        self.marks.iter().any(|mark| *mark != Mark::Past)
    }

    fn first(&self, wanted: Mark) -> Option<usize> {
        self.marks.iter().position(|mark| *mark == wanted)
    }
}

impl Chat {
    /// Whether words are taken now; else why not.
    pub(super) fn takes_words(&self) -> Result<(), &'static str> {
        if self.spec.compact {
            return Err("only makes its conversation smaller");
        }
        if self.words.refused {
            return Err("works through a Copilot CLI process that takes one prompt");
        }
        if self.progress.steers.len() >= MOST_STEERS {
            return Err("was told more often than a turn may be");
        }
        match self.phase {
            Phase::Ending | Phase::Ended => Err("is about to end"),
            _ => Ok(()),
        }
    }

    pub(super) fn steer(&mut self, text: String) -> Vec<Effect> {
        if self.takes_words().is_err() {
            return Vec::new();
        }
        self.progress.steers.push(text.clone());
        self.words.marks.push(Mark::Kept);
        let mut effects = vec![Effect::Emit(Fact::Steered(text)), Effect::Checkpoint];
        effects.extend(self.hand_over());
        effects
    }

    /// Hands the next words over, if the agent works and no others are on their way.
    pub(super) fn hand_over(&mut self) -> Option<Effect> {
        if self.phase != Phase::Working || self.words.handing {
            return None;
        }
        let next = self.words.first(Mark::Kept)?;
        self.words.marks[next] = Mark::Handed;
        self.words.handing = true;
        Some(Effect::Steer(self.progress.steers.get(next)?.clone()))
    }

    pub(super) fn steered(&mut self, result: Result<(), Failure>) -> Vec<Effect> {
        if !std::mem::take(&mut self.words.handing) {
            return Vec::new();
        }
        let mut effects = Vec::new();
        if let (Err(failure), Some(at)) = (result, self.words.first(Mark::Handed)) {
            // A runtime that is gone is told by itself, and the transcript read again then.
            self.words.marks[at] = Mark::Past;
            effects.push(self.lost_words(at, &failure.message));
        }
        effects.extend(self.hand_over());
        effects
    }

    /// The agent was told something: which of the words it was.
    pub(super) fn heard(&mut self, text: &str, message: Option<String>) -> Vec<Effect> {
        let steers = self.progress.steers.iter().zip(&self.words.marks);
        let at = steers
            .into_iter()
            .position(|(steer, mark)| *mark == Mark::Handed && steer.trim() == text.trim());
        let Some(at) = at else { return Vec::new() };
        self.words.marks[at] = Mark::Past;
        if self.compaction == Compaction::Awaited {
            self.compaction = Compaction::UnderWay;
        }
        if let Some(message) = message {
            self.turn.also(message);
        }
        vec![Effect::Unwait(Timer::Grace)]
    }

    /// The turn is over and words are still on their way: another round will answer them.
    pub(super) fn wait_for_words(&mut self) -> Vec<Effect> {
        let mut effects: Vec<Effect> = self.hand_over().into_iter().collect();
        effects.push(Effect::Wait(Timer::Grace, STEER_GRACE_MS));
        effects
    }

    /// Another round did not begin.
    pub(super) fn words_lost(&mut self, moment: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        for at in 0..self.words.marks.len() {
            if self.words.marks[at] != Mark::Past {
                self.words.marks[at] = Mark::Past;
                effects.push(self.lost_words(at, "the turn was over"));
            }
        }
        if self.turn.answer().is_empty() {
            self.failure = Some(no_answer());
        }
        effects.extend(match self.failure {
            Some(_) => self.idle(moment),
            None => self.finish(Verdict::Done),
        });
        effects
    }

    /// The session was opened: whether words can be said in it.
    pub(super) fn can_be_told(&mut self, can_steer: bool) -> Vec<Effect> {
        self.words.refused = !can_steer;
        if can_steer {
            return Vec::new();
        }
        let mut effects = Vec::new();
        for at in 0..self.words.marks.len() {
            if std::mem::replace(&mut self.words.marks[at], Mark::Past) != Mark::Past {
                effects.push(self.lost_words(at, "it works through one process per turn"));
            }
        }
        effects
    }

    fn lost_words(&self, at: usize, why: &str) -> Effect {
        let text = self.progress.steers.get(at).map_or("", String::as_str);
        let message = format!("the agent was not told \"{text}\": {why}; say it again");
        Effect::Emit(Fact::Warning { code: "steer_lost".to_owned(), message })
    }
}
