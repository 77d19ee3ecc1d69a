//! The command line of `setup`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `setup`.
#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    /// How it is installed.
    #[command(flatten)]
    pub(crate) install: InstallArgs,
    /// What to do; `install` when absent.
    #[command(subcommand)]
    pub(crate) command: Option<SetupCommand>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum SetupCommand {
    /// Install, or bring what is installed up to date.
    Install(InstallArgs),
    /// Remove what was installed, and nothing else.
    Uninstall(Place),
}

/// Where, and how.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Folder above `bin` and `share`.
    #[arg(long, value_name = "DIR", default_value = "~/.local")]
    pub(crate) prefix: PathBuf,
    /// Print what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Overwrite or remove files that copex did not write, or that were changed since.
    #[arg(long)]
    pub(crate) force: bool,
    /// Print every path instead of a summary.
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// One JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `setup install`.
#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// Where.
    #[command(flatten)]
    pub(crate) place: Place,
    /// Leave the systemd units out.
    #[arg(long, conflicts_with = "enable")]
    pub(crate) no_units: bool,
    /// Let systemd own the socket from now on: `systemctl --user enable --now copexd.socket`.
    #[arg(long)]
    pub(crate) enable: bool,
}
