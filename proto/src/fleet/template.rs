//! `{{task:ID.FIELD}}` in a prompt: what came of another task.

use super::FleetError;

/// What begins a reference.
const BEGIN: &str = "{{task:";

/// What ends it.
const END: &str = "}}";

/// What can be named of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Its answer.
    Content,
    /// The model's reasoning, as far as it was heard.
    Reasoning,
    /// `true` or `false`.
    Success,
    /// Why it is not done; empty where it is.
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

impl Field {
    /// Every field.
    pub const ALL: [Self; 10] = [
        Self::Content,
        Self::Reasoning,
        Self::Success,
        Self::Error,
        Self::DurationMs,
        Self::PromptTokens,
        Self::CompletionTokens,
        Self::TotalTokens,
        Self::Model,
        Self::Attempts,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Reasoning => "reasoning",
            Self::Success => "success",
            Self::Error => "error",
            Self::DurationMs => "duration_ms",
            Self::PromptTokens => "prompt_tokens",
            Self::CompletionTokens => "completion_tokens",
            Self::TotalTokens => "total_tokens",
            Self::Model => "model",
            Self::Attempts => "attempts",
        }
    }
}

/// A piece of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text as it is.
    Text(&'a str),
    /// What came of a task.
    Of {
        /// Its id.
        id: &'a str,
        /// What of it.
        field: Field,
    },
}

/// Takes a prompt apart.
///
/// # Errors
/// For a reference that is not ended, or that names no task or no field.
pub fn pieces(prompt: &str) -> Result<Vec<Piece<'_>>, FleetError> {
    let (mut pieces, mut rest) = (Vec::new(), prompt);
    while let Some((text, after)) = rest.split_once(BEGIN) {
        let Some((inside, after)) = after.split_once(END) else {
            return Err(FleetError::new(format!("`{BEGIN}` is not ended with `{END}`")));
        };
        let whole = format!("{BEGIN}{inside}{END}");
        let Some((id, name)) = inside.trim().rsplit_once('.') else {
            let reason = format!("{whole} names no field of the task");
            return Err(FleetError::new(reason).with_hint(fields()));
        };
        let (id, name) = (id.trim(), name.trim());
        let Some(field) = Field::ALL.into_iter().find(|field| field.name() == name) else {
            let near = crate::config::nearest(name, Field::ALL.map(Field::name));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let reason = format!("{whole}: a task has no field `{name}`{near}");
            return Err(FleetError::new(reason).with_hint(fields()));
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        pieces.push(Piece::Of { id, field });
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

fn fields() -> String {
    format!("the fields are {}", Field::ALL.map(Field::name).join(", "))
}
