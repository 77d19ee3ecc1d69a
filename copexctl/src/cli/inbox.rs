//! `inbox`.

use clap::{Args, Subcommand};

/// Which questions are listed, and how.
#[derive(Debug, Args)]
pub(crate) struct InboxList {
    /// Only questions of this run.
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Those too that were closed in the last 24 hours.
    #[arg(long)]
    pub(crate) closed: bool,
    /// One JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with the inbox.
#[derive(Debug, Subcommand)]
pub(crate) enum InboxCommand {
    /// List the questions that wait; the same as `inbox` alone.
    List(InboxList),
    /// Show one question in full, and how to answer it.
    Show {
        /// The question: its id, the beginning of it, or its run where that has one question.
        id: String,
        /// One JSON object on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Answer a question. The first answer counts.
    Answer {
        /// The question: its id, the beginning of it, or its run where that has one question.
        id: String,
        /// yes, always, no and a reason, or one of the choices by its number or its text.
        #[arg(required_unless_present = "text", conflicts_with = "text")]
        answer: Vec<String>,
        /// Words of your own, where the question takes them.
        #[arg(long, value_name = "TEXT")]
        text: Option<String>,
    },
}
