//! Questions of all runs that wait for a person: what an inbox shows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Answer, AnsweredBy, Ask};
use crate::id::RunId;
use crate::run::Mode;

/// Which questions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AskFilter {
    /// Only questions of this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Those too that were closed in the last 24 hours: answered, denied for want of an
    /// answer, or dropped with their run.
    pub closed: bool,
}

/// Answer to `ask.list`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AskList {
    /// The questions: those that wait, oldest first, then closed ones, newest first.
    pub asks: Vec<AskEntry>,
    /// Questions that wait, those included that the limit left out.
    pub waiting: u32,
    /// Whether the limit left something out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// One question with what is needed to answer it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AskEntry {
    /// The question itself.
    #[serde(flatten)]
    pub ask: Ask,
    /// The run that waits.
    pub run: RunId,
    /// Its mode.
    pub mode: Mode,
    /// The first words of what that run was asked.
    pub run_title: String,
    /// Where it works.
    pub cwd: String,
    /// When the question was asked, in Unix milliseconds.
    pub asked_at: u64,
    /// How it was closed; absent while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<AskClosed>,
}

/// How a question was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskClosed {
    /// When, in Unix milliseconds.
    pub at: u64,
    /// The answer that counts; absent when the run ended before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Who gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<AnsweredBy>,
}
