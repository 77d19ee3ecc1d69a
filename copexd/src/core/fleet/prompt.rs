//! What a task is told, with what came of the tasks before it.

use super::Fleet;
use super::progress::TaskProgress;
use crate::core::machine::{Lane, TaskState};

/// A piece of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Text(String),
    /// What came of a task that this one depends on.
    Of(Lane, Field),
}

/// What can be named of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Its answer.
    Content,
    /// The model's reasoning.
    Reasoning,
    /// Whether it is done.
    Success,
    /// Why it is not.
    Error,
    /// How long it took, in milliseconds.
    DurationMs,
    /// Tokens sent.
    PromptTokens,
    /// Tokens received.
    CompletionTokens,
    /// Both.
    TotalTokens,
    /// The model that answered.
    Model,
    /// Tries of it.
    Attempts,
}

impl Fleet {
    /// What a task is told. All that it names are over.
    pub(super) fn prompt(&self, lane: Lane) -> String {
        let pieces = self.task(lane).map(|task| task.prompt.as_slice()).unwrap_or_default();
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(words) => text.push_str(words),
                Piece::Of(lane, field) => {
                    let task = self.progress.tasks.get(lane);
                    text.push_str(&task.map(|task| value(task, *field)).unwrap_or_default());
                }
            }
        }
        text
    }

    /// Whether a prompt names a task's reasoning.
    pub(super) fn wants_reasoning(&self, lane: Lane) -> bool {
        let pieces = self.spec.tasks.iter().flat_map(|task| &task.prompt);
        pieces.into_iter().any(|piece| *piece == Piece::Of(lane, Field::Reasoning))
    }
}

fn value(task: &TaskProgress, field: Field) -> String {
    let answer = &task.answer;
    let usage = &answer.usage;
    match field {
        Field::Content => answer.content.clone(),
        Field::Reasoning => answer.reasoning.clone(),
        Field::Success => (task.state == TaskState::Done).to_string(),
        Field::Error => answer.error.clone(),
        Field::DurationMs => answer.duration_ms.to_string(),
        Field::PromptTokens => usage.input_tokens.to_string(),
        Field::CompletionTokens => usage.output_tokens.to_string(),
        Field::TotalTokens => (usage.input_tokens + usage.output_tokens).to_string(),
        Field::Model => answer.model.clone().unwrap_or_default(),
        Field::Attempts => answer.attempts.to_string(),
    }
}
