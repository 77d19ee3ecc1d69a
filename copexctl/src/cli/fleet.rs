//! The command line of `fleet`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use copex_proto::run::Isolation;

use super::TurnFlags;
use super::turn::KEPT;

/// What a fleet that is resumed has from its first start, beside [`KEPT`].
const KEPT_FLEET: [&str; 13] = [
    "prompts",
    "file",
    "discover",
    "template",
    "batch_size",
    "max_concurrent",
    "fail_fast",
    "shared_context",
    "verify",
    "verify_timeout",
    "max_iterations",
    "isolation",
    "worktree",
];

/// `fleet`.
#[derive(Debug, Args)]
#[command(
    mut_arg("output", |arg| {
        arg.visible_alias("output-dir")
            .value_name("DIR")
            .help("Write each task's answer to a file in this folder, ID.md")
    }),
    mut_arg("timeout", |arg| arg.help("Seconds that a task may work [default: 3600]")),
    mut_arg("dry_run", |arg| arg.help("Check everything, show what would be done, and do nothing")),
    mut_arg("stdin", |arg| arg.help("Read the tasks from stdin, as --file - does"))
)]
pub(crate) struct FleetArgs {
    /// Prompts, each a task: task-1, task-2, … Absent, and no file: read from stdin, as a task
    /// file or with a prompt on each line.
    pub(crate) prompts: Vec<String>,
    /// Do what a fleet left undone: RUN, or the last one of this folder. One that is at work
    /// is followed. It keeps what it was started with, but for limits.
    #[arg(
        long,
        value_name = "RUN",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with_all = KEPT_FLEET,
        conflicts_with_all = KEPT
    )]
    pub(crate) resume: Option<String>,
    /// The tasks and how they are carried out.
    #[command(flatten)]
    pub(crate) flags: FleetFlags,
    /// What each turn needs.
    #[command(flatten)]
    pub(crate) turn: TurnFlags,
}

/// The tasks of a fleet and how they are carried out.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Fleet")]
pub(crate) struct FleetFlags {
    /// File with the tasks: TOML, JSON or JSONL; `-` is stdin.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["prompts", "discover"])]
    pub(crate) file: Option<PathBuf>,
    /// Shell command that prints what there is to be done, an item on each line; with
    /// --template.
    #[arg(long, value_name = "CMD", requires = "template", conflicts_with = "prompts")]
    pub(crate) discover: Option<String>,
    /// Prompt for each item; `{item}` stands for it.
    #[arg(long, value_name = "TEXT", requires = "discover")]
    pub(crate) template: Option<String>,
    /// Items in one task [default: 1].
    #[arg(short, long, value_name = "N", requires = "discover")]
    pub(crate) batch_size: Option<usize>,
    /// Most tasks at once [default: 5]. Fewer while the model throttles.
    #[arg(long, visible_alias = "parallel", value_name = "N")]
    pub(crate) max_concurrent: Option<u32>,
    /// Stop all tasks when one fails.
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// What every task is told before its prompt.
    #[arg(long, value_name = "TEXT")]
    pub(crate) shared_context: Option<String>,
    /// Command that must exit 0 before a task is done, where the task names none; may be given
    /// several times.
    #[arg(long, value_name = "CMD")]
    pub(crate) verify: Vec<String>,
    /// Seconds that a check command may run [default: 600].
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) verify_timeout: Option<f64>,
    /// Most iterations of a task with check commands [default: 10].
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) max_iterations: Option<u32>,
    /// Whether tasks have working folders of their own: auto, worktree, none [default: auto].
    #[arg(long, value_name = "HOW")]
    pub(crate) isolation: Option<IsolationName>,
    /// The same as `--isolation worktree`.
    #[arg(short, long, conflicts_with = "isolation")]
    pub(crate) worktree: bool,
    /// Write what came of all tasks to a file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) artifact: Option<PathBuf>,
}

/// Whether tasks have working folders of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IsolationName {
    /// Where that is possible and more than one task may be at work.
    Auto,
    /// Each in a git worktree.
    Worktree,
    /// All in one folder.
    None,
}

impl From<IsolationName> for Isolation {
    fn from(name: IsolationName) -> Self {
        match name {
            IsolationName::Auto => Self::Auto,
            IsolationName::Worktree => Self::Worktree,
            IsolationName::None => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_that_a_resumed_fleet_cannot_honour_is_refused() {
        /// What it can: how it is shown and kept, where it is looked for, and limits.
        const CAN: [&str; 17] = [
            "resume",
            "artifact",
            "cwd",
            "quiet",
            "json",
            "jsonl",
            "raw",
            "output",
            "detach",
            "show_reasoning",
            "ui_theme",
            "ui_density",
            "screen_reader",
            "no_reasoning",
            "max_cost",
            "max_ai_credits",
            "max_tokens",
        ];
        let command = FleetArgs::augment_args(clap::Command::new("fleet"));
        for argument in command.get_arguments() {
            let name = argument.get_id().as_str();
            let kept = KEPT.contains(&name) || KEPT_FLEET.contains(&name);
            assert_ne!(kept, CAN.contains(&name), "{name}");
        }
        let parse = |words: &[&str]| {
            let words = ["fleet"].iter().chain(words);
            command.clone().try_get_matches_from(words).map(|_| ())
        };
        assert!(parse(&["--resume", "--json", "--output-dir", "out", "--max-cost", "2"]).is_ok());
        assert!(parse(&["--resume", "--parallel", "2"]).is_err());
        assert!(parse(&["a", "b", "--parallel", "2", "-o", "out", "-w"]).is_ok());
        assert!(parse(&["--discover", "ls"]).is_err(), "it wants a template");
        assert!(parse(&["a", "--file", "b"]).is_err());
    }
}
