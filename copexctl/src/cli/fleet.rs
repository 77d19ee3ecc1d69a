//! The command line of `fleet`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use copex_proto::run::Isolation;

use super::TurnFlags;
use super::turn::KEPT;

/// What a fleet that is resumed has from its first start, beside [`KEPT`].
const KEPT_FLEET: [&str; 29] = [
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
    "git_finalize",
    "no_git_finalize",
    "git_message",
    "merge_gate",
    "merge_gate_timeout",
    "worktree_setup",
    "no_worktree_setup",
    "setup_timeout",
    "resolve_conflicts",
    "task_max_cost",
    "task_max_ai_credits",
    "task_max_tokens",
    "retry",
    "skills",
    "approval_dry_run",
    "audit",
];

/// `fleet`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
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
    /// What else can be done with fleets.
    #[command(subcommand)]
    pub(crate) command: Option<FleetCommand>,
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
    /// With --resume: tasks that failed begin anew, in new sessions and worktrees, instead of
    /// going on where they stopped.
    #[arg(long)]
    pub(crate) rerun_failed: bool,
    /// The tasks and how they are carried out.
    #[command(flatten)]
    pub(crate) flags: FleetFlags,
    /// What each turn needs.
    #[command(flatten)]
    pub(crate) turn: TurnFlags,
}

/// What can be done with fleets that have ended. A prompt of this one word goes after `--`.
#[derive(Debug, Subcommand)]
pub(crate) enum FleetCommand {
    /// Remove worktrees and branches that fleets left and that are merged elsewhere.
    Clean(CleanArgs),
}

/// `fleet clean`.
#[derive(Debug, Args)]
pub(crate) struct CleanArgs {
    /// Only of this run; without it, of all runs in the repository of this folder.
    pub(crate) run: Option<String>,
    /// Of all runs in all repositories.
    #[arg(long, conflicts_with = "run")]
    pub(crate) all: bool,
    /// Also what is merged nowhere or not committed. It is lost then.
    #[arg(long)]
    pub(crate) force: bool,
    /// One JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
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
    /// Whether tasks have working folders of their own: auto (where several may be at work, or
    /// merges have a gate), worktree, none [default: auto].
    #[arg(long, value_name = "HOW")]
    pub(crate) isolation: Option<IsolationName>,
    /// The same as `--isolation worktree`.
    #[arg(short, long, conflicts_with = "isolation")]
    pub(crate) worktree: bool,
    /// Shell command that must exit 0 in the merged tree before a task's merge counts.
    #[arg(long, value_name = "CMD")]
    pub(crate) merge_gate: Option<String>,
    /// Seconds that it may run [default: 600].
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) merge_gate_timeout: Option<f64>,
    /// Shell command that prepares each new worktree; may be given several times. Your own
    /// checkout is $COPEX_SOURCE there.
    #[arg(long, value_name = "CMD")]
    pub(crate) worktree_setup: Vec<String>,
    /// Leave out what the configuration and the task file say of that.
    #[arg(long, conflicts_with = "worktree_setup")]
    pub(crate) no_worktree_setup: bool,
    /// Seconds that the preparation may take [default: 600].
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) setup_timeout: Option<f64>,
    /// Have a further turn merge what does not fit, in a worktree with the conflicts.
    #[arg(long)]
    pub(crate) resolve_conflicts: bool,
    /// Most cost of a task that does not say itself.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) task_max_cost: Option<f64>,
    /// Most AI credits of such a task.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) task_max_ai_credits: Option<f64>,
    /// Most tokens of such a task.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) task_max_tokens: Option<u64>,
    /// Bring what the tasks changed to the branch that is checked out, once they are over: by a
    /// fast-forward from worktrees, else by a commit of what they changed and nothing else.
    #[arg(long)]
    pub(crate) git_finalize: bool,
    /// Do not; that is the default.
    #[arg(long, hide = true, conflicts_with_all = ["git_finalize", "git_message"])]
    pub(crate) no_git_finalize: bool,
    /// The same as --git-finalize, by one commit with this message.
    #[arg(long, visible_alias = "commit-msg", value_name = "TEXT")]
    pub(crate) git_message: Option<String>,
    /// Accepted: answers and progress are always shown.
    #[arg(
        short,
        long,
        short_alias = 'P',
        alias = "progress",
        hide = true,
        overrides_with = "verbose"
    )]
    pub(crate) verbose: bool,
    /// Refused: it is `--verify CMD` here.
    #[arg(short = 'R', long, value_name = "N", hide = true)]
    pub(crate) retry: Option<String>,
    /// Refused: it is `--skill-dir DIR` here.
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) skills: Vec<String>,
    /// Refused: it is `--approval deny` here.
    #[arg(long, hide = true)]
    pub(crate) approval_dry_run: bool,
    /// Refused: all that a run does is in its log.
    #[arg(long, hide = true)]
    pub(crate) audit: bool,
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

impl FleetFlags {
    /// A flag of Python copex that is another one here, and which.
    pub(crate) fn another(&self) -> Option<(&'static str, &'static str)> {
        let all = [
            (self.retry.is_some(), "--retry", "--verify CMD tries a task again until CMD exits 0"),
            (!self.skills.is_empty(), "--skills", "--skill-dir DIR names a folder with skills"),
            (self.approval_dry_run, "--approval-dry-run", "--approval deny denies every tool"),
            (
                self.audit,
                "--audit",
                "all that a run does is in its log: copexctl runs attach RUN --jsonl",
            ),
        ];
        all.into_iter().find(|(given, ..)| *given).map(|(_, flag, way)| (flag, way))
    }
}

#[cfg(test)]
mod tests {
    use super::super::turn::tests::can_or_kept;
    use super::*;

    #[test]
    fn a_flag_that_a_resumed_fleet_cannot_honour_is_refused() {
        let command = FleetArgs::augment_args(clap::Command::new("fleet"));
        can_or_kept(&command, &KEPT_FLEET, &["rerun_failed", "verbose", "artifact"]);
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
