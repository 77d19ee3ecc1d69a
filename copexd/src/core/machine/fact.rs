//! What everybody may see of a run: each fact becomes an event of its log.

use serde::{Deserialize, Serialize};

use super::{GateResult, Resolution};
use crate::core::effort::Effort;
use crate::core::failure::Failure;
use crate::core::signal::CallUsage;

/// Something that everybody may see.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// The run works.
    Running,
    /// The run waits for a person.
    Asking,
    /// A turn is tried.
    Attempt {
        /// Which try, from 1.
        number: u32,
        /// The backend.
        backend: String,
        /// The session.
        session: String,
        /// The model, unless the backend picks one.
        model: Option<String>,
        /// The effort that is sent.
        effort: Option<Effort>,
    },
    /// Another model goes on with the turn.
    Fallback {
        /// The model that was asked.
        from: String,
        /// The one that is asked now.
        to: String,
        /// Why.
        reason: String,
    },
    /// The run waits, and costs nothing meanwhile.
    Parked {
        /// For what.
        reason: String,
        /// Until when, in Unix milliseconds.
        until: u64,
        /// The variable with a key that a client must bring.
        needs_key: Option<String>,
    },
    /// A person said something more to the turn under way.
    Steered(String),
    /// A piece of the answer.
    MessageDelta(String),
    /// A whole message.
    Message(String),
    /// A piece of the reasoning.
    ReasoningDelta(String),
    /// A tool begins.
    ToolStart {
        /// Names the call.
        call: String,
        /// The tool.
        name: String,
        /// What it was called with.
        arguments: serde_json::Value,
    },
    /// A tool ended.
    ToolEnd {
        /// The call.
        call: String,
        /// The tool.
        name: String,
        /// Whether it succeeded.
        success: bool,
        /// What it gave back, clipped.
        result: String,
        /// How long it ran.
        duration_ms: u64,
    },
    /// One model call was paid for.
    Usage(CallUsage),
    /// The turn failed and is tried again.
    Retrying {
        /// The try that comes.
        attempt: u32,
        /// What failed.
        failure: Failure,
        /// The wait before it.
        delay_ms: u64,
    },
    /// Text shown since the last message is withdrawn.
    Restarted(String),
    /// A question for a person.
    Ask(Question),
    /// A question was answered.
    Answered(Resolution),
    /// A loop begins another round.
    Iteration {
        /// Its number, from 1.
        number: u32,
        /// The last there may be.
        max: u32,
    },
    /// A gate command begins.
    GateStart {
        /// The command.
        command: String,
    },
    /// A gate command ran.
    Gate {
        /// The command.
        command: String,
        /// How it ended.
        result: GateResult,
    },
    /// A plan's step changed.
    Step(StepFact),
    /// A council's member changed.
    Member(MemberFact),
    /// A fleet's task changed.
    Task(TaskFact),
    /// Something was made for the user.
    Artifact {
        /// Its absolute path; of a commit its branch and its id.
        file: String,
        /// What it is.
        kind: String,
    },
    /// Something the user should know.
    Warning {
        /// A stable name.
        code: String,
        /// The words.
        message: String,
    },
}

/// How a plan's step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFact {
    /// Its number.
    pub number: u32,
    /// Steps of the plan.
    pub total: u32,
    /// Its title.
    pub title: String,
    /// Its state.
    pub state: StepState,
    /// Numbers of the steps that must be done first.
    pub depends_on: Vec<u32>,
    /// Why, where there is something to say.
    pub note: Option<String>,
    /// How long the steps that are left will take, in milliseconds, by those that are done.
    pub left_ms: Option<u64>,
}

/// How a council's member stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberFact {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: MemberState,
    /// What it is at.
    pub stage: String,
    /// Why, where there is something to say.
    pub note: Option<String>,
}

/// The states of a council's member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// It waits until there is room for it.
    Queued,
    /// At work.
    Running,
    /// It has done its part.
    Done,
    /// It is left out.
    Failed,
}

/// The states of a plan's step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepState {
    /// Not begun.
    Pending,
    /// At work.
    Running,
    /// Done.
    Done,
    /// Ended otherwise.
    Failed,
    /// Left out.
    Skipped,
    /// What it depends on failed.
    Blocked,
}

/// How a fleet's task stands.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskFact {
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: TaskState,
    /// Its place among the tasks, from 1.
    pub number: u32,
    /// Tasks of the fleet.
    pub total: u32,
    /// Tasks that may be at work at this moment.
    pub at_once: u32,
    /// Ids of the tasks that come before it.
    pub depends_on: Vec<String>,
    /// Why, where there is something to say.
    pub note: Option<String>,
    /// Tries of it, once it is over.
    pub attempts: u32,
    /// How long it took, once it is over.
    pub duration_ms: Option<u64>,
    /// What it took, once it is over.
    pub usage: Option<CallUsage>,
    /// The folder that it works in, where it is not the run's.
    pub folder: Option<String>,
}

/// The states of a fleet's task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskState {
    /// Not begun.
    #[default]
    Queued,
    /// At work.
    Running,
    /// Waits for a person.
    Asking,
    /// Waits for the end of a limit.
    Parked,
    /// Done.
    Done,
    /// Ended with an error.
    Failed,
    /// What it depends on is not done, or only a person can go on.
    Blocked,
    /// A limit of its own was reached.
    Exhausted,
    /// Stopped, or not begun any more.
    Cancelled,
}

impl TaskState {
    /// Whether it was begun and is not over.
    pub fn at_work(self) -> bool {
        matches!(self, Self::Running | Self::Asking | Self::Parked)
    }

    /// Whether nothing more will happen to it in this run.
    pub fn over(self) -> bool {
        !(self == Self::Queued || self.at_work())
    }

    /// The state in words that follow the task's name.
    pub fn words(self) -> &'static str {
        match self {
            Self::Queued => "was not begun",
            Self::Running => "is at work",
            Self::Asking => "waits for an answer",
            Self::Parked => "is parked",
            Self::Done => "is done",
            Self::Failed => "failed",
            Self::Blocked => "is blocked",
            Self::Exhausted => "reached a limit",
            Self::Cancelled => "was stopped",
        }
    }
}

/// A question for a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Names it.
    pub ask: String,
    /// Whether it is about a tool; otherwise the agent wants to know something.
    pub permission: bool,
    /// Whether it is about a plan.
    #[serde(default)]
    pub approval: bool,
    /// The question in one line.
    pub title: String,
    /// What there is to look at.
    pub detail: String,
    /// Answers to pick from.
    pub choices: Vec<String>,
    /// The pattern of what "always" allows, where there is one.
    #[serde(default)]
    pub always: Option<String>,
    /// When it counts as denied, in Unix milliseconds.
    pub expires_at: u64,
}
