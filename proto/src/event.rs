//! What happens in a run, as clients see it: a closed list of types.

mod ask;
mod end;
mod part;
mod turn;
mod usage;

pub use ask::{Answer, AnsweredBy, Ask, AskKind};
pub use end::{Ending, Outcome};
pub use part::{Step, StepState, Task};
pub use turn::{Attempt, Retrying, ToolEnd, ToolStart};
pub use usage::Usage;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{AskId, RunId, Seq};
use crate::run::{Mode, RunState};

/// One numbered entry of a run's log.
///
/// Readers skip types and fields that they do not know. Exactly one event of a run is
/// terminal ([`EventBody::is_terminal`]) and it is the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunEvent {
    /// Which run.
    pub run: RunId,
    /// Its number in the run's log, from 1, without gaps.
    pub seq: Seq,
    /// When it was recorded, in Unix milliseconds.
    pub at: u64,
    /// Where inside a composite run: task id, step number, iteration or member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened. The tag is the field `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventBody {
    /// The run exists and will survive a crash.
    Accepted(Accepted),
    /// The run's state changed.
    State {
        /// The new state.
        state: RunState,
    },
    /// A turn is tried on a model.
    Attempt(Attempt),
    /// A piece of the answer.
    MessageDelta {
        /// The piece.
        text: String,
    },
    /// A whole message of the agent. Replaces the pieces since the last one.
    Message {
        /// The text.
        text: String,
    },
    /// A piece of the model's reasoning.
    ReasoningDelta {
        /// The piece.
        text: String,
    },
    /// A tool begins.
    ToolStart(ToolStart),
    /// A tool ended.
    ToolEnd(ToolEnd),
    /// One model call's cost.
    Usage(Usage),
    /// The turn failed and will be tried again.
    Retrying(Retrying),
    /// The text shown since the last `message` or tool is withdrawn: it comes again.
    Restarted {
        /// Why.
        reason: String,
    },
    /// Another model takes over.
    Fallback {
        /// The model that gave up.
        from: String,
        /// The model that takes over.
        to: String,
        /// Why.
        reason: String,
    },
    /// The run waits for a known moment.
    Parked {
        /// What it waits for.
        reason: String,
        /// When it goes on, in Unix milliseconds, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<u64>,
        /// The variable with a key that only a client has: the run goes on once one brings it
        /// (`run.offer`), and is blocked at `until`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        needs_key: Option<String>,
    },
    /// A person said something more to the turn under way; `run.steer` made it.
    Steered {
        /// What was said.
        text: String,
    },
    /// A question for a person; `run.answer` resolves it.
    Ask(Ask),
    /// A question was answered, or its time ran out.
    Answered {
        /// Which question.
        ask: AskId,
        /// The answer that counts.
        answer: Answer,
        /// Who gave it.
        by: AnsweredBy,
    },
    /// A check command begins. After a crash it may begin again.
    GateStart {
        /// The command.
        command: String,
    },
    /// A check command ran.
    Gate {
        /// The command.
        command: String,
        /// Its exit status; absent when it was killed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
        /// What it printed, its middle left out when long.
        output: String,
        /// How long it ran.
        duration_ms: u64,
    },
    /// A loop begins another round.
    Iteration {
        /// Its number, from 1.
        number: u32,
        /// The most there may be.
        max: u32,
    },
    /// A plan's step changed.
    Step(Step),
    /// A fleet's task changed.
    Task(Task),
    /// A council's member changed.
    Member {
        /// Its name.
        name: String,
        /// Its new state.
        state: RunState,
        /// What it is at: `opinion`, `review`, `revision`, or `decision` of the chair.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stage: Option<String>,
        /// Why, where there is something to say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Something was made for the user.
    Artifact {
        /// Its absolute path; of a `commit`, and of the branch that
        /// was `finalized`, the branch and the commit's id with a space between; of the `changes`
        /// of a task, the commits before and after them with `..` between.
        file: String,
        /// What it is.
        kind: String,
    },
    /// Something the user should know; the run goes on.
    Warning {
        /// A stable name for the kind of warning.
        code: String,
        /// What, why, and what to do.
        message: String,
    },
    /// Terminal: it ended well.
    Done(Outcome),
    /// Terminal: it ended with an error.
    Failed(Ending),
    /// Terminal: only a person can go on.
    Blocked(Ending),
    /// Terminal: a limit was reached.
    Exhausted(Ending),
    /// Terminal: somebody cancelled it.
    Cancelled(Ending),
    /// A type from a newer daemon. Skip it.
    #[serde(other)]
    Unknown,
}

impl EventBody {
    /// Whether this is the run's last event.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Done(_)
                | Self::Failed(_)
                | Self::Blocked(_)
                | Self::Exhausted(_)
                | Self::Cancelled(_)
        )
    }

    /// What came of the run, if this is its last event.
    pub fn outcome(&self) -> Option<&Outcome> {
        if let Self::Done(outcome) = self {
            return Some(outcome);
        }
        self.ending().map(|ending| &ending.outcome)
    }

    /// Why and how the run ended, if it did not end well.
    pub fn ending(&self) -> Option<&Ending> {
        if let Self::Failed(ending)
        | Self::Blocked(ending)
        | Self::Exhausted(ending)
        | Self::Cancelled(ending) = self
        {
            Some(ending)
        } else {
            None
        }
    }
}

/// The run exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// Its mode.
    pub mode: Mode,
    /// The first words of what was asked.
    pub title: String,
    /// Where it works.
    pub cwd: String,
    /// The model asked for, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The run it goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_from: Option<RunId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_from_the_future_is_skipped_not_an_error() {
        let id = RunId::new(1, 1);
        let line = format!(r#"{{"run":"{id}","seq":3,"at":5,"type":"hologram","depth":3}}"#);
        let event: RunEvent = serde_json::from_str(&line).unwrap();
        assert_eq!(event.body, EventBody::Unknown);
        assert_eq!(event.seq, 3);
    }
}
