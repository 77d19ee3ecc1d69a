//! The command line of `plan`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use copex_proto::plan::Drawing;
use copex_proto::run::OnStepFailure;

use super::TurnFlags;
use super::turn::KEPT;

/// What a plan that is resumed has from its first start, beside [`KEPT`].
const KEPT_PLAN: [&str; 13] = [
    "task",
    "review",
    "load",
    "from_step",
    "max_iterations",
    "plan_model",
    "plan_tool",
    "parallel",
    "trust_plan",
    "verify_timeout",
    "max_errors",
    "commit",
    "on_failure",
];

/// `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// What to plan. Absent, and nothing loaded: read from stdin. With a task, text piped in
    /// is appended to it.
    pub(crate) task: Option<String>,
    /// Go on with a plan that did not end well: RUN, or the last one of this folder. One that
    /// is at work is followed. It keeps what it was started with, but for limits; its file may
    /// be edited before.
    #[arg(
        long,
        value_name = "RUN",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with_all = KEPT_PLAN,
        conflicts_with_all = KEPT
    )]
    pub(crate) resume: Option<String>,
    /// How it is planned and carried out.
    #[command(flatten)]
    pub(crate) flags: PlanFlags,
    /// What each turn needs.
    #[command(flatten)]
    pub(crate) turn: TurnFlags,
}

/// How a plan is made and carried out.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Plan")]
pub(crate) struct PlanFlags {
    /// Carry the plan out, step by step.
    #[arg(short, long)]
    pub(crate) execute: bool,
    /// Ask for approval first: approve, edit, reject, or say what to change. Then carry it out.
    #[arg(short = 'R', long)]
    pub(crate) review: bool,
    /// Go on with this plan file; a plan of Python copex's (JSON) is taken over.
    #[arg(short, long, value_name = "FILE", conflicts_with = "task")]
    pub(crate) load: Option<PathBuf>,
    /// Take steps with lower numbers for done.
    #[arg(short, long, value_name = "N")]
    pub(crate) from_step: Option<u32>,
    /// Most iterations of a step [default: 10].
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) max_iterations: Option<u32>,
    /// Print the plan as a picture: ascii, tree, mermaid, dot.
    #[arg(short = 'V', long, value_name = "FORMAT")]
    pub(crate) visualize: Option<Drawing>,
    /// Model that plans, where it is not the one that carries out.
    #[arg(long, value_name = "MODEL")]
    pub(crate) plan_model: Option<String>,
    /// Tool offered for planning beside those that only read; may be given several times.
    #[arg(long, value_name = "TOOL")]
    pub(crate) plan_tool: Vec<String>,
    /// Steps at work at once, where they do not need each other [default: 1].
    #[arg(long, value_name = "N")]
    pub(crate) parallel: Option<u32>,
    /// Run the check commands that a plan proposes although nobody approved it.
    #[arg(long)]
    pub(crate) trust_plan: bool,
    /// Seconds that a check command may run [default: 600].
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) verify_timeout: Option<f64>,
    /// Failed iterations in a row that end a step [default: 3].
    #[arg(long, value_name = "N")]
    pub(crate) max_errors: Option<u32>,
    /// Commit what a step changed once it is done, on the branch copex/plan/RUN.
    #[arg(long)]
    pub(crate) commit: bool,
    /// What to do about a step that failed: ask, or stop [default: ask; stop where nobody sits
    /// at a terminal and the run is not detached].
    #[arg(long, value_name = "WHAT")]
    pub(crate) on_failure: Option<OnFailure>,
}

/// What to do about a step that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnFailure {
    /// Ask a person.
    Ask,
    /// End the run.
    Stop,
}

impl From<OnFailure> for OnStepFailure {
    fn from(flag: OnFailure) -> Self {
        match flag {
            OnFailure::Ask => Self::Ask,
            OnFailure::Stop => Self::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::turn::tests::can_or_kept;
    use super::*;

    #[test]
    fn a_flag_that_a_resumed_plan_cannot_honour_is_refused() {
        // `--execute` says what is done anyway.
        let command = PlanArgs::augment_args(clap::Command::new("plan"));
        can_or_kept(&command, &KEPT_PLAN, &["execute", "visualize"]);
        let parse = |words: &[&str]| {
            let words = ["plan", "--resume"].iter().chain(words);
            command.clone().try_get_matches_from(words).map(|_| ())
        };
        assert!(parse(&["-e", "--json", "--max-cost", "2"]).is_ok());
        assert!(parse(&["--parallel", "2"]).is_err());
    }
}
