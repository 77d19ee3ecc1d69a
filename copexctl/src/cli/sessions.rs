//! The command line of `sessions`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ChatFlags;

/// `sessions`.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// List the Copilot CLI's sessions, last used first.
    List {
        /// Only sessions of this folder.
        #[arg(long, conflicts_with = "cwd")]
        here: bool,
        /// Only sessions of another folder.
        #[arg(long, value_name = "DIR")]
        cwd: Option<PathBuf>,
        /// At most so many.
        #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// One JSON object on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Show a session and the end of its conversation.
    Show {
        /// The session: its id, or the beginning of it.
        id: String,
        /// One JSON object on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Go on in a session; the same as `chat --resume ID PROMPT`.
    Resume(Box<ResumeArgs>),
    /// Make a new session with the history of another, and print its id alone.
    Fork {
        /// The session.
        id: String,
        /// One JSON object on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Remove sessions from the disk, with all that was said in them.
    Rm {
        /// The sessions.
        #[arg(required = true)]
        ids: Vec<String>,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
    /// Look for what keeps sessions from being opened.
    Doctor {
        /// One session; all of them when absent.
        id: Option<String>,
        /// Repair what was found, after a backup.
        #[arg(long)]
        fix: bool,
        /// One JSON object on stdout.
        #[arg(long)]
        json: bool,
    },
}

/// `sessions resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The session.
    pub(crate) id: String,
    /// What to say. Absent: read from stdin. With a prompt, text piped in is appended to it.
    pub(crate) prompt: Option<String>,
    /// The flags of `chat`; those that name a session do not go with it.
    #[command(flatten)]
    pub(crate) flags: ChatFlags,
}
