//! The command line of `interactive`.

use clap::Args;

use super::ChatFlags;

/// `interactive`.
#[derive(Debug, Default, Args)]
pub(crate) struct InteractiveArgs {
    /// What to say first.
    pub(crate) prompt: Option<String>,
    /// The terminal's own lines: no completion, no history, nothing drawn.
    #[arg(long)]
    pub(crate) classic: bool,
    /// Not available: every tool of every run is in `runs logs`.
    #[arg(long, hide = true)]
    pub(crate) audit: bool,
    /// The flags of `chat`.
    #[command(flatten)]
    pub(crate) flags: ChatFlags,
}
