//! The command line of `ralph`.

use std::path::PathBuf;

use clap::Args;
use copex_proto::run::RalphContext;

use super::{ApprovalFlags, ChatFlags, LimitFlags, OutputFlags, ToolFlags};

/// `ralph`.
#[derive(Debug, Args)]
pub(crate) struct RalphArgs {
    /// The task of every iteration. Absent: read from stdin. With a prompt, text piped in is
    /// appended to it.
    pub(crate) prompt: Option<String>,
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
}

/// The flags of `chat` that a loop has as well.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Turns")]
pub(crate) struct TurnFlags {
    /// Model to ask.
    #[arg(short, long)]
    pub(crate) model: Option<String>,
    /// How hard to think: none, minimal, low, medium, high, xhigh, max.
    #[arg(short, long, alias = "reasoning-effort", value_name = "LEVEL")]
    pub(crate) reasoning: Option<String>,
    /// Fail instead of going on when another model answers than was asked.
    #[arg(long)]
    pub(crate) strict_model: bool,
    /// Configuration file instead of the user's own.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// Working folder of the run.
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    /// Read the prompt from stdin.
    #[arg(short = 'i', long = "stdin")]
    pub(crate) stdin: bool,
    /// Words added to the system message.
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// How the answer is shown.
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    /// Return at once and print the run's id alone.
    #[arg(long, conflicts_with_all = ["output", "json", "jsonl"])]
    pub(crate) detach: bool,
    /// Do not stream the answer.
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Who decides about tools.
    #[command(flatten)]
    pub(crate) approval: ApprovalFlags,
    /// Which tools, skills and MCP servers.
    #[command(flatten)]
    pub(crate) tools: ToolFlags,
    /// Seconds without a sign of life before a turn is aborted.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) timeout: Option<f64>,
    /// Most attempts of a turn after the first.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) max_retries: Option<i64>,
    /// Model to go on with when one fails; may be given several times, tried in order.
    /// `github:MODEL` and `provider:MODEL` say where it is; `none` falls back to nothing.
    #[arg(long, value_name = "MODEL", value_delimiter = ',')]
    pub(crate) fallback: Vec<String>,
    /// Fail with exit code 5 instead of waiting for the end of a long limit.
    #[arg(long)]
    pub(crate) no_park: bool,
    /// Most waits for the end of a limit.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) max_parks: Option<i64>,
    /// Seconds the run may take in all.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) max_duration: Option<f64>,
    /// Most prompt tokens of the conversation.
    #[arg(long, value_name = "TOKENS", allow_negative_numbers = true)]
    pub(crate) context_budget: Option<i64>,
    /// What the run may spend.
    #[command(flatten)]
    pub(crate) limits: LimitFlags,
    /// One Copilot CLI process per turn; a tool that would ask is denied.
    #[arg(long)]
    pub(crate) use_cli: bool,
}

impl From<TurnFlags> for ChatFlags {
    fn from(flags: TurnFlags) -> Self {
        Self {
            model: flags.model,
            reasoning: flags.reasoning,
            strict_model: flags.strict_model,
            config: flags.config,
            cwd: flags.cwd,
            stdin: flags.stdin,
            system: flags.system,
            output: flags.output,
            detach: flags.detach,
            no_stream: flags.no_stream,
            approval: flags.approval,
            tools: flags.tools,
            timeout: flags.timeout,
            max_retries: flags.max_retries,
            fallback: flags.fallback,
            no_park: flags.no_park,
            max_parks: flags.max_parks,
            max_duration: flags.max_duration,
            context_budget: flags.context_budget,
            limits: flags.limits,
            use_cli: flags.use_cli,
            ..Self::default()
        }
    }
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
    use super::*;

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
