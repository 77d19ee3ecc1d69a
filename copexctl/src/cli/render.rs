//! The flags of `render`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::UiFlags;
use crate::render::transcript::Class;

/// `render`.
#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// The log: JSON lines of copexd (`--jsonl`, `runs logs --jsonl`) or of the Copilot CLI
    /// (`--output-format json`, `session-state/ID/events.jsonl`); `-`, or none, is stdin.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The same.
    #[arg(short, long, value_name = "FILE|-", conflicts_with = "file")]
    pub(crate) input: Option<PathBuf>,
    /// What it becomes.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
    /// Go on with what is written to the file, until the run or session in it ends.
    #[arg(short = 'F', long)]
    pub(crate) follow: bool,
    /// Only these; may be given several times.
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub(crate) only: Vec<Class>,
    /// Not these; may be given several times.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', conflicts_with = "only")]
    pub(crate) without: Vec<Class>,
    /// From when: `30m`, `12h`, `7d`, a date (`2026-01-31`) or a moment.
    #[arg(long, value_name = "SPAN|DATE")]
    pub(crate) since: Option<String>,
    /// The whole results of tools.
    #[arg(long)]
    pub(crate) expand: bool,
    /// How it looks.
    #[command(flatten)]
    pub(crate) ui: UiFlags,
}

/// What a log becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// What a person sees of a run.
    Text,
    /// A Markdown document.
    Markdown,
    /// One page of HTML that needs nothing else.
    Html,
}
