//! What happens in a run, as clients see it: a closed list of types.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::council::CouncilReport;
use crate::error::ErrorInfo;
use crate::id::{AskId, RunId, Seq, SessionId};
use crate::run::{Effort, Mode, RunState};

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

/// A turn is tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// Which try of the turn, from 1.
    pub number: u32,
    /// The model asked for, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The effort asked for, after what the model supports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// Which backend: `sdk`, `cli` or `demo`.
    pub backend: String,
    /// The session it speaks in.
    pub session: SessionId,
}

/// A plan's step changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Its number in the plan, from 1.
    pub number: u32,
    /// Steps of the plan.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub total: u32,
    /// Its title.
    pub title: String,
    /// Its new state.
    pub state: StepState,
    /// Numbers of the steps that must be done first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<u32>,
    /// Why, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How long the steps that are left will take, by those that are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// A fleet's task changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// Its new state. `blocked`: a task that it depends on is not done, or it needs a person.
    pub state: RunState,
    /// Its place among the tasks, from 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub number: u32,
    /// Tasks of the fleet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub total: u32,
    /// Tasks that may be at work at once at this moment: fewer while the model throttles.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub at_once: u32,
    /// Names of the tasks that must be done first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Why, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Tries of it, once it is over; with checks, iterations.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// How long it took, once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// What it took, once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The folder that it works in, where it is not the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

/// How a plan's step stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    #[default]
    Pending,
    /// The agent is at it.
    Running,
    /// Done, and its gates are green.
    Done,
    /// It ended otherwise.
    Failed,
    /// A person left it out.
    Skipped,
    /// A step it depends on failed.
    Blocked,
}

/// A tool begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolStart {
    /// Names this call inside the run.
    pub call: String,
    /// The tool.
    pub name: String,
    /// What it was called with.
    #[serde(default)]
    pub arguments: serde_json::Value,
}

/// A tool ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolEnd {
    /// The call that ended.
    pub call: String,
    /// The tool.
    pub name: String,
    /// Whether it succeeded.
    pub success: bool,
    /// What it gave back, clipped in the middle when long.
    pub result: String,
    /// How long it ran.
    pub duration_ms: u64,
}

/// Tokens and money. Of one model call in a `usage` event, summed elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Usage {
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Model calls.
    pub calls: u64,
    /// Tokens sent.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Tokens sent that the endpoint had cached.
    pub cached_tokens: u64,
    /// Tokens received that were reasoning.
    pub reasoning_tokens: u64,
    /// Premium requests, with the model's multiplier.
    pub premium_requests: f64,
    /// AI credits, where the backend tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai_credits: Option<f64>,
    /// What it cost by the price table of the request: an estimate, in the table's currency,
    /// of the calls whose model has a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_cost: Option<f64>,
}

impl Usage {
    /// Adds another call's numbers; the newest model name stays.
    pub fn add(&mut self, other: &Self) {
        if other.model.is_some() {
            self.model.clone_from(&other.model);
        }
        self.calls += other.calls;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cached_tokens += other.cached_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
        self.premium_requests += other.premium_requests;
        if let Some(credits) = other.ai_credits {
            *self.ai_credits.get_or_insert(0.0) += credits;
        }
        if let Some(cost) = other.estimated_cost {
            *self.estimated_cost.get_or_insert(0.0) += cost;
        }
    }
}

/// The turn failed and will be tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Retrying {
    /// The try that comes, from 2.
    pub attempt: u32,
    /// What failed.
    pub error: ErrorInfo,
    /// How long it waits first.
    pub delay_ms: u64,
}

/// A question for a person.
#[expect(clippy::struct_field_names, reason = "`ask` names the question on the wire everywhere")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ask {
    /// Names it, for `run.answer`.
    pub ask: AskId,
    /// What kind of question.
    pub kind: AskKind,
    /// The question in one line.
    pub title: String,
    /// What it is about: the command, the path, the diff, the URL.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Answers to pick from; empty when any text will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// When it counts as denied, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
}

/// What kind of question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskKind {
    /// May this tool run?
    Permission,
    /// The agent wants to know something.
    UserInput,
    /// Is this plan good?
    PlanApproval,
    /// A kind from a newer daemon.
    #[serde(other)]
    Unknown,
}

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Answer {
    /// Yes, this once.
    Allow,
    /// Yes, and the same again for the rest of this run.
    AllowAlways,
    /// No.
    Deny {
        /// Words for the agent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        feedback: Option<String>,
    },
    /// The text asked for.
    Text {
        /// The text.
        text: String,
    },
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    /// A person, through a client.
    Client,
    /// Nobody: the time ran out, which denies.
    Timeout,
}

/// What came of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Outcome {
    /// The answer.
    pub content: String,
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The model asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_model: Option<String>,
    /// The effort used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// Summed over all model calls.
    pub usage: Usage,
    /// Tries after the first.
    pub retries: u32,
    /// Models that took over.
    pub fallbacks: u32,
    /// Tools that ran.
    pub tools: u32,
    /// The session it spoke in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The number of the last iteration, where the run is a loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u32>,
    /// What came of it as a council.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub council: Option<Box<CouncilReport>>,
    /// From accepted to the end.
    pub duration_ms: u64,
}

/// A run that did not end well: why, and what there is of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ending {
    /// Why.
    pub error: ErrorInfo,
    /// What there is.
    #[serde(default)]
    pub outcome: Outcome,
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

    #[test]
    fn usage_adds_up_over_calls() {
        let mut sum = Usage::default();
        let call = Usage { calls: 1, input_tokens: 10, ai_credits: Some(0.5), ..Usage::default() };
        sum.add(&call);
        sum.add(&call);
        assert_eq!((sum.calls, sum.input_tokens, sum.ai_credits), (2, 20, Some(1.0)));
    }
}
