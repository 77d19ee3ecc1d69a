//! The command line of `council`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use copex_proto::run::CouncilPreset;

use super::TurnFlags;
use super::turn::KEPT;

/// What a council that is resumed has from its first start, beside [`KEPT`].
const KEPT_COUNCIL: [&str; 22] = [
    "task",
    "member",
    "investigator_model",
    "codex_model",
    "gemini_model",
    "opus_model",
    "chair_model",
    "quorum",
    "straggler_timeout",
    "max_concurrent",
    "debate",
    "escalate",
    "preset",
    "council_tool",
    "diff",
    "plan",
    "shared_context",
    "skills",
    "git_finalize",
    "no_git_finalize",
    "git_message",
    "dry_run",
];

/// `council`.
#[derive(Debug, Args)]
pub(crate) struct CouncilArgs {
    /// What to decide. Absent, and neither --diff nor --plan: read from stdin. With a task,
    /// text piped in is appended to it.
    pub(crate) task: Option<String>,
    /// Go on with a council that did not end well: RUN, or the last one of this folder. What
    /// was said stays; what is missing is asked for again.
    #[arg(
        long,
        value_name = "RUN",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with_all = KEPT_COUNCIL,
        conflicts_with_all = KEPT
    )]
    pub(crate) resume: Option<String>,
    /// Who sits in it, and how it works.
    #[command(flatten)]
    pub(crate) flags: CouncilFlags,
    /// What each turn needs.
    #[command(flatten)]
    pub(crate) turn: TurnFlags,
}

/// Who sits in a council, and how it works.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Council")]
pub(crate) struct CouncilFlags {
    /// Member: MODEL or MODEL:EFFORT; several times, or with commas.
    #[arg(long, value_name = "MODEL[:EFFORT]", value_delimiter = ',')]
    pub(crate) member: Vec<String>,
    /// One more member, as in Python copex.
    #[arg(long, value_name = "MODEL")]
    pub(crate) investigator_model: Option<String>,
    /// One more member, as in Python copex.
    #[arg(long, value_name = "MODEL")]
    pub(crate) codex_model: Option<String>,
    /// One more member, as in Python copex.
    #[arg(long, value_name = "MODEL")]
    pub(crate) gemini_model: Option<String>,
    /// One more member, as in Python copex.
    #[arg(long, value_name = "MODEL")]
    pub(crate) opus_model: Option<String>,
    /// Who decides [default: the run's model, else the first member's].
    #[arg(long, value_name = "MODEL[:EFFORT]")]
    pub(crate) chair_model: Option<String>,
    /// Opinions without which nothing is decided [default: of more than half of the members].
    #[arg(long, value_name = "N")]
    pub(crate) quorum: Option<u32>,
    /// Seconds that the others have once the quorum is there; who is later is left out
    /// [default: 180].
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) straggler_timeout: Option<f64>,
    /// Members at work at once [default: 3].
    #[arg(long, value_name = "N")]
    pub(crate) max_concurrent: Option<u32>,
    /// Let members change their opinions while the reviews disagree, so many rounds at most
    /// [default: 2].
    #[arg(
        long,
        value_name = "ROUNDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2"
    )]
    pub(crate) debate: Option<u32>,
    /// Ask a chair that is less sure than 0.7 once more, at a higher effort.
    #[arg(long)]
    pub(crate) escalate: bool,
    /// Tool offered beside those that only read; may be given several times.
    #[arg(long, value_name = "TOOL")]
    pub(crate) council_tool: Vec<String>,
    /// What the members look at first.
    #[arg(long, value_name = "PRESET")]
    pub(crate) preset: Option<Preset>,
    /// Judge what differs from REV in this folder's repository [default: HEAD].
    #[arg(
        long,
        value_name = "REV",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "HEAD"
    )]
    pub(crate) diff: Option<String>,
    /// Judge this plan.
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    /// Words for everybody beside the task.
    #[arg(long, value_name = "TEXT")]
    pub(crate) shared_context: Option<String>,
    /// Folder that holds skills, as in Python copex; the same as --skill-dir.
    #[arg(long, value_name = "DIR")]
    pub(crate) skills: Vec<PathBuf>,
    /// Python copex commits after a council. Here it changes nothing: refused.
    #[arg(long, hide = true, conflicts_with = "no_git_finalize")]
    pub(crate) git_finalize: bool,
    /// What a council does in any case.
    #[arg(long, hide = true)]
    pub(crate) no_git_finalize: bool,
    /// The message of that commit: refused.
    #[arg(long, hide = true, value_name = "TEXT")]
    pub(crate) git_message: Option<String>,
    /// Show opinions and reviews too.
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Write everything as JSON to a file, once the run has ended.
    #[arg(long, value_name = "FILE")]
    pub(crate) artifact: Option<PathBuf>,
}

/// What the members look at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// What an attacker could do.
    Security,
    /// Structure, boundaries, growth.
    Architecture,
    /// Simpler code that does the same.
    Refactor,
    /// Whether a change is right.
    Review,
}

impl From<Preset> for CouncilPreset {
    fn from(flag: Preset) -> Self {
        match flag {
            Preset::Security => Self::Security,
            Preset::Architecture => Self::Architecture,
            Preset::Refactor => Self::Refactor,
            Preset::Review => Self::Review,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::turn::tests::can_or_kept;
    use super::*;

    #[test]
    fn a_flag_that_a_resumed_council_cannot_honour_is_refused() {
        let command = CouncilArgs::augment_args(clap::Command::new("council"));
        can_or_kept(&command, &KEPT_COUNCIL, &["verbose", "artifact"]);
    }

    #[test]
    fn what_may_have_a_value_does_not_take_the_task() {
        let command = CouncilArgs::augment_args(clap::Command::new("council"));
        let words = ["council", "--debate", "--diff", "the task", "--member", "a,b:high"];
        let matches = command.try_get_matches_from(words).unwrap();
        assert_eq!(matches.get_one::<String>("task").unwrap(), "the task");
        assert_eq!(matches.get_one::<u32>("debate"), Some(&2));
        assert_eq!(matches.get_one::<String>("diff").unwrap(), "HEAD");
        let members: Vec<&String> = matches.get_many("member").unwrap().collect();
        assert_eq!(members, ["a", "b:high"]);
    }
}
