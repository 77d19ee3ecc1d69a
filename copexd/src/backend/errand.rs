//! What a session is told of the run it works for, before each turn: whose rules hold, what
//! may be spent, and where it can be seen what its request waits for.

use std::sync::{Arc, Mutex, PoisonError};

use crate::core::admission::Priority;
use crate::core::failure::Failure;
use crate::core::policy::Policy;
use crate::core::spend::Purse;
use crate::core::target::Candidate;

/// The run behind a turn.
#[derive(Debug, Clone)]
pub struct Errand {
    /// How failures are answered.
    pub policy: Policy,
    /// How urgent it is.
    pub priority: Priority,
    /// The models of the run, in order.
    pub candidates: Arc<[Candidate]>,
    /// The one that is asked.
    pub current: usize,
    /// Those that failed this turn already.
    pub excluded: Vec<usize>,
    /// Whether it is asked although its breaker is open.
    pub forced: bool,
    /// How long an answer may pause, in milliseconds.
    pub idle_ms: u64,
    /// Whether waits are better than an early end: something was achieved, or nobody looks on.
    pub patient: bool,
    /// Tries of this turn since something last succeeded.
    pub tries: u32,
    /// The failure that the turn goes on after, if any.
    pub after: Option<Failure>,
    /// What it may spend.
    pub purse: Option<Purse>,
    /// Where it is shown what is being done.
    pub activity: Activity,
}

/// What a run's model request is doing.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Doing {
    /// There is none.
    #[default]
    Nothing,
    /// Its session is in use by runs that came before.
    Session {
        /// Since when, in Unix milliseconds.
        since: u64,
    },
    /// It waits for a place among the requests to this endpoint.
    Place {
        /// Which endpoint.
        endpoint: String,
        /// Since when, in Unix milliseconds.
        since: u64,
    },
    /// It was made and has no answer yet.
    Asked {
        /// Of what.
        target: String,
        /// Since when, in Unix milliseconds.
        since: u64,
    },
    /// Its answer is coming.
    Answering {
        /// From what.
        target: String,
        /// Since when, in Unix milliseconds.
        since: u64,
    },
    /// A gate runs.
    Gate {
        /// Its command.
        command: String,
        /// Since when, in Unix milliseconds.
        since: u64,
    },
    /// It waits before another try.
    Waiting {
        /// Until when, in Unix milliseconds.
        until: u64,
        /// For what reason.
        failure: Failure,
    },
}

/// Where it is shown what a run's request is doing. Clones are one place.
#[derive(Debug, Clone, Default)]
pub struct Activity {
    doing: Arc<Mutex<Doing>>,
}

impl Activity {
    /// It does this now.
    pub fn set(&self, doing: Doing) {
        *self.doing.lock().unwrap_or_else(PoisonError::into_inner) = doing;
    }

    /// What it does now.
    pub fn get(&self) -> Doing {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
