//! Flags that every mode shares.

use std::path::PathBuf;

use clap::Args;
use copex_proto::plan::Drawing;

use crate::render::keep::Keep;

/// What a run that is resumed has from its first start, and no flag can change.
pub(crate) const KEPT: [&str; 29] = [
    "model",
    "reasoning",
    "strict_model",
    "config",
    "stdin",
    "system",
    "no_stream",
    "approval",
    "auto_approve",
    "approve",
    "dry_run",
    "allow_all",
    "allow_tool",
    "deny_tool",
    "available_tools",
    "excluded_tools",
    "skill_dir",
    "disable_skill",
    "skill",
    "no_auto_skills",
    "mcp_config",
    "timeout",
    "max_retries",
    "fallback",
    "no_park",
    "max_parks",
    "max_duration",
    "context_budget",
    "use_cli",
];

/// What every mode that talks to a model takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Turn")]
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
    #[arg(long, conflicts_with_all = ["json", "jsonl"])]
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

/// What a run may spend.
#[expect(clippy::struct_field_names, reason = "they are limits: each is a most")]
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitFlags {
    /// Most that the run may cost: by `[prices]` for models in there, else in premium requests.
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    pub(crate) max_cost: Option<f64>,
    /// Most AI credits that the run may take.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) max_ai_credits: Option<f64>,
    /// Most tokens that the run may send and receive.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) max_tokens: Option<i64>,
}

/// How everything looks on a terminal.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct UiFlags {
    /// Colours on a terminal: default, midnight, mono, sunset, tokyo.
    #[arg(long, value_name = "THEME")]
    pub(crate) ui_theme: Option<String>,
    /// How much is shown of a tool on a terminal: compact, extended.
    #[arg(long, value_name = "DENSITY")]
    pub(crate) ui_density: Option<String>,
    /// Everything as a plain line: no drawing, nothing redrawn.
    #[arg(long)]
    pub(crate) screen_reader: bool,
}

/// How a run's answer is shown.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputFlags {
    /// The answer alone, whole.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// One JSON object at the end, on failure too.
    #[arg(long, conflicts_with = "jsonl")]
    pub(crate) json: bool,
    /// Every event, one per line.
    #[arg(long)]
    pub(crate) jsonl: bool,
    /// Plain text: no tools, no colours, no summary.
    #[arg(long)]
    pub(crate) raw: bool,
    /// Write the answer to a file as well, once it is whole.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Show the model's reasoning (on a terminal, on stderr).
    #[arg(long, overrides_with = "no_reasoning")]
    pub(crate) show_reasoning: bool,
    /// Do not show the model's reasoning. The default.
    #[arg(long)]
    pub(crate) no_reasoning: bool,
    /// Ring the terminal's bell when the run ends or asks.
    #[arg(long)]
    pub(crate) bell: bool,
    /// How it looks.
    #[command(flatten)]
    pub(crate) ui: UiFlags,
    /// How a plan is drawn; set by the commands that have one.
    #[arg(skip)]
    pub(crate) drawing: Option<Drawing>,
    /// Whether a council's opinions and reviews are shown; set by the command that has them.
    #[arg(skip)]
    pub(crate) whole: bool,
    /// Where everything is written as JSON; set by the commands that do.
    #[arg(skip)]
    pub(crate) artifact: Option<PathBuf>,
    /// Where a fleet's results are kept; set by the command that has one.
    #[arg(skip)]
    pub(crate) keep: Option<Keep>,
}

/// Who decides about tools.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Tools")]
pub(crate) struct ApprovalFlags {
    /// Rule for tools that no pattern names: workspace, ask, auto, deny.
    #[arg(long, value_name = "MODE", group = "approval_choice")]
    pub(crate) approval: Option<String>,
    /// Allow everything; the same as `--approval auto`.
    #[arg(long, group = "approval_choice")]
    pub(crate) auto_approve: bool,
    /// Ask before every change; the same as `--approval ask`.
    #[arg(long, group = "approval_choice")]
    pub(crate) approve: bool,
    /// Deny every change; the same as `--approval deny`.
    #[arg(long, group = "approval_choice")]
    pub(crate) dry_run: bool,
    /// Allow everything; the same as `--approval auto`.
    #[arg(long, group = "approval_choice")]
    pub(crate) allow_all: bool,
    /// Pattern that is allowed without asking, as in the Copilot CLI.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) allow_tool: Vec<String>,
    /// Pattern that is denied, whatever else is said.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) deny_tool: Vec<String>,
}

/// Which tools, skills and MCP servers.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Tools")]
pub(crate) struct ToolFlags {
    /// Offer only these tools.
    #[arg(long, value_name = "TOOL", value_delimiter = ',', num_args = 1)]
    pub(crate) available_tools: Option<Vec<String>>,
    /// Do not offer these tools.
    #[arg(long, alias = "exclude-tools", value_name = "TOOL", value_delimiter = ',')]
    pub(crate) excluded_tools: Vec<String>,
    /// Folder that holds skills.
    #[arg(short = 'S', long = "skill-dir", value_name = "DIR")]
    pub(crate) skill_dir: Vec<PathBuf>,
    /// Skill that is not loaded.
    #[arg(long, value_name = "NAME")]
    pub(crate) disable_skill: Vec<String>,
    /// Skill that is offered, and no other; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) skill: Vec<String>,
    /// Do not look for skills in the usual folders.
    #[arg(long)]
    pub(crate) no_auto_skills: bool,
    /// MCP servers: a JSON file as the Copilot CLI, VS Code or Python copex write it, or JSON.
    #[arg(long, value_name = "PATH|JSON")]
    pub(crate) mcp_config: Vec<String>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::KEPT;

    /// What every run that is resumed can be given anew: how it is shown, where it is looked
    /// for, and limits.
    const CAN: [&str; 17] = [
        "resume",
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
        "bell",
        "no_reasoning",
        "max_cost",
        "max_ai_credits",
        "max_tokens",
    ];

    /// Each flag is either kept from the first start, or can be honoured by a resumed run:
    /// those of every mode, and the `kept` and the `can` of this one.
    pub(in crate::cli) fn can_or_kept(command: &clap::Command, kept: &[&str], can: &[&str]) {
        for argument in command.get_arguments() {
            let name = argument.get_id().as_str();
            let is_kept = KEPT.contains(&name) || kept.contains(&name);
            let is_can = CAN.contains(&name) || can.contains(&name);
            assert_ne!(is_kept, is_can, "{name}");
        }
    }
}
