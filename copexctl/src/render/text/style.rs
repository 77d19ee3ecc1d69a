//! What of a run is shown as text, and how.

use copex_proto::plan::Drawing;

use crate::render::theme::Look;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// When the answer is printed.
    pub(crate) answer: AnswerStyle,
    /// Tools and retries.
    pub(crate) progress: Shown,
    /// The line at the end.
    pub(crate) summary: Shown,
    /// The model's reasoning.
    pub(crate) reasoning: Shown,
    /// Warnings and notes.
    pub(crate) notes: Shown,
    /// Whether stdout is a terminal.
    pub(crate) terminal: Shown,
    /// Dimmed words on stderr.
    pub(crate) color: Shown,
    /// How a plan is drawn; in its own words when absent.
    pub(crate) drawing: Option<Drawing>,
    /// A council's opinions and reviews.
    pub(crate) whole: Shown,
    /// How the answer's Markdown looks; absent: it is printed as it is.
    pub(crate) look: Option<Look>,
    /// How tools and the summary look; absent: as plain lines.
    pub(crate) asides: Option<Look>,
    /// The whole results of tools.
    pub(crate) results: Shown,
}

/// When the answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerStyle {
    /// As it comes.
    Stream,
    /// Whole, at the end.
    AtTheEnd,
}

/// Whether something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// It is.
    Yes,
    /// It is not.
    No,
}

impl From<bool> for Shown {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}
