//! What a chat must know after a crash.

use serde::{Deserialize, Serialize};

use super::OpenQuestion;
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::Reply;
use crate::core::signal::Wish;

/// The stored part of the machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Whether the prompt may have been sent.
    pub sent: bool,
    /// The session, once open.
    pub session: Option<String>,
    /// User messages that the session had before ours.
    pub user_messages: u64,
    /// Tries so far.
    pub attempts: u32,
    /// Deaths of the runtime so far.
    pub deaths: u32,
    /// Turns over the history so far, without a new prompt.
    pub reruns: u32,
    /// Tools that ran so far.
    pub tools: u32,
    /// Those of them that may have changed something.
    pub effects: u32,
    /// What a person said to the turn after its prompt, in order.
    pub steers: Vec<String>,
    /// Questions asked so far.
    pub asked: u32,
    /// Wishes that a person allowed for the rest of the run.
    pub always: Vec<String>,
    /// Questions that wait.
    pub open: Vec<OpenQuestion>,
    /// Answers given, by wish, for the case that the backend asks the same again.
    pub decided: Vec<(Wish, Reply)>,
    /// Whether the run was told to end.
    pub cancelled: bool,
    /// Which of the run's models is asked.
    pub candidate: usize,
    /// Models that failed this turn.
    pub excluded: Vec<usize>,
    /// Changes to another model so far.
    pub fallbacks: u32,
    /// Whether a filter was the reason of one.
    pub filtered: bool,
    /// Failures since something last succeeded.
    pub streak: Streak,
    /// Parks so far.
    pub parks: u32,
    /// Until when the run is parked, in Unix milliseconds.
    pub parked: Option<u64>,
    /// The key that the turn cannot go on without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs_key: Option<NeedsKey>,
    /// When the run must be over, in Unix milliseconds.
    pub deadline: Option<u64>,
}

/// A key that only a client had, and that is gone with the daemon that knew it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedsKey {
    /// The variable that a client has it in.
    pub name: String,
    /// Until when it is waited for, in Unix milliseconds.
    pub by: u64,
}

impl Progress {
    /// Where the turn of an ended run stands for the run that finishes it: its place in the
    /// session, and nothing of what the ended run spent, asked or allowed.
    pub fn taken_up(self) -> Self {
        let Self { sent, session, user_messages, steers, .. } = self;
        Self { sent, session, user_messages, steers, ..Self::default() }
    }

    /// Whether a tool waits for a person's decision, or for its delivery.
    pub fn waits(&self) -> bool {
        !self.decided.is_empty() || self.open.iter().any(|open| open.wish.is_some())
    }
}

/// Failures in a row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Streak {
    /// Tries, those of single requests included.
    pub tries: u32,
    /// The last of them, in this class.
    pub in_class: u32,
    /// The class of the last.
    pub class: Option<FailureClass>,
    /// When the first failed, in Unix milliseconds.
    pub since: Option<u64>,
}

impl Streak {
    /// One more failure. What was tried below is counted there.
    pub(super) fn add(&mut self, failure: &Failure, now_ms: u64) {
        self.since.get_or_insert(now_ms);
        let counted = failure.spent.tries > 0;
        let one = u32::from(!failure.unasked);
        self.tries = if counted { failure.spent.tries } else { self.tries + one };
        let more = if counted { failure.spent.in_class } else { one };
        self.in_class = if self.class == Some(failure.class) { self.in_class + more } else { more };
        self.class = Some(failure.class);
    }

    /// Another model begins with its own tries; the time goes on.
    pub(super) fn of_another_model(&mut self) {
        *self = Self { since: self.since, ..Self::default() };
    }
}
