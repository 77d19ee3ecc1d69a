//! The command line of `ralph`.

use clap::Args;
use copex_proto::run::RalphContext;

use super::TurnFlags;
use super::turn::KEPT;

/// What a loop that is resumed has from its first start, beside [`KEPT`].
const KEPT_LOOP: [&str; 10] = [
    "prompt",
    "max_iterations",
    "promise",
    "verify",
    "verify_timeout",
    "context",
    "max_errors",
    "delay",
    "commit",
    "pause",
];

/// `ralph`.
#[derive(Debug, Args)]
pub(crate) struct RalphArgs {
    /// The task of every iteration. Absent: read from stdin. With a prompt, text piped in is
    /// appended to it.
    pub(crate) prompt: Option<String>,
    /// Go on with a loop that did not end well: RUN, or the last one of this folder. One that
    /// is at work is followed. It keeps what it was started with, but for limits.
    #[arg(
        long,
        value_name = "RUN",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with_all = KEPT_LOOP,
        conflicts_with_all = KEPT
    )]
    pub(crate) resume: Option<String>,
    /// When the loop ends.
    #[command(flatten)]
    pub(crate) flags: LoopFlags,
    /// What each turn needs.
    #[command(flatten)]
    pub(crate) turn: TurnFlags,
}

/// When a loop ends, and how it goes round.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Loop")]
pub(crate) struct LoopFlags {
    /// Most iterations [default: 30].
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) max_iterations: Option<u32>,
    /// Text that the model must promise, in <promise>TEXT</promise>.
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) promise: Option<String>,
    /// Command that must exit 0 before the promise is believed; may be given several times.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) verify: Vec<String>,
    /// Seconds that one of these commands may run [default: 600].
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) verify_timeout: Option<f64>,
    /// Session of an iteration: same, fresh, fresh-every=N [default: same].
    #[arg(long, value_name = "CONTEXT", value_parser = context)]
    pub(crate) context: Option<RalphContext>,
    /// Failed iterations in a row that end the loop [default: 3].
    #[arg(long, value_name = "N")]
    pub(crate) max_errors: Option<u32>,
    /// Seconds between two iterations.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) delay: Option<f64>,
    /// Commit what each iteration changed, on the branch copex/ralph/RUN. What is checked out
    /// stays as it is.
    #[arg(long)]
    pub(crate) commit: bool,
    /// Ask after each iteration whether to go on, here or by `runs answer`.
    #[arg(long)]
    pub(crate) pause: bool,
}

/// `same`, `fresh` or `fresh-every=N`.
fn context(text: &str) -> Result<RalphContext, String> {
    match text.split_once('=') {
        None if text == "same" => Ok(RalphContext::Same),
        None if text == "fresh" => Ok(RalphContext::Fresh),
        Some(("fresh-every", many)) => match many.parse() {
            Ok(many @ 1..) => Ok(RalphContext::FreshEvery(many)),
            _ => Err(format!("`{many}` is not a number from 1")),
        },
        _ => Err("it is same, fresh or fresh-every=N".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::turn::tests::can_or_kept;
    use super::*;

    #[test]
    fn a_flag_that_a_resumed_loop_cannot_honour_is_refused() {
        let command = RalphArgs::augment_args(clap::Command::new("ralph"));
        can_or_kept(&command, &KEPT_LOOP, &[]);
        let parse = |words: &[&str]| {
            let words = ["ralph", "--resume"].iter().chain(words);
            command.clone().try_get_matches_from(words).map(|_| ())
        };
        assert!(parse(&["--json", "--max-cost", "2"]).is_ok());
        let refused = parse(&["--model", "m"]).unwrap_err().to_string();
        assert!(refused.contains("--resume") && refused.contains("--model"), "{refused}");
    }

    #[test]
    fn a_context_is_read() {
        assert_eq!(context("same"), Ok(RalphContext::Same));
        assert_eq!(context("fresh"), Ok(RalphContext::Fresh));
        assert_eq!(context("fresh-every=4"), Ok(RalphContext::FreshEvery(4)));
        for wrong in ["", "Fresh", "fresh-every", "fresh-every=0", "fresh-every=x", "same=1"] {
            assert!(context(wrong).is_err(), "{wrong}");
        }
    }
}
