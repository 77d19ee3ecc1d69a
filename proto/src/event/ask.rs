//! Questions of a run, and answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::AskId;

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
    /// What `allow_always` allows, as a pattern of [`Approval::allow`](crate::run::Approval),
    /// for a run that comes after this one; absent where no pattern says just that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub always: Option<String>,
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
