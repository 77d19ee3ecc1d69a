//! Flags of the full screen.

use std::path::PathBuf;

use clap::Args;

use super::turn::{ApprovalFlags, UiFlags};

/// `tui`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TuiArgs {
    /// Model of new runs.
    #[arg(short, long)]
    pub(crate) model: Option<String>,
    /// How hard new runs think: none, minimal, low, medium, high, xhigh, max.
    #[arg(short, long, alias = "reasoning-effort", value_name = "LEVEL")]
    pub(crate) reasoning: Option<String>,
    /// Configuration file instead of the user's own.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// Working folder of new runs.
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    /// Who decides about the tools of new runs.
    #[command(flatten)]
    pub(crate) approval: ApprovalFlags,
    /// How everything looks.
    #[command(flatten)]
    pub(crate) ui: UiFlags,
    /// Take the mouse too: the wheel scrolls, a click selects, a second one opens.
    #[arg(long)]
    pub(crate) mouse: bool,
}
