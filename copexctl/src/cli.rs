//! The command line and nothing else.

mod council;
mod fleet;
mod inbox;
mod interactive;
mod plan;
mod ralph;
mod render;
mod sessions;
mod setup;
mod tools;
mod tui;
mod turn;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use council::{CouncilArgs, CouncilFlags};
pub(crate) use fleet::{CleanArgs, FleetArgs, FleetCommand, FleetFlags};
pub(crate) use inbox::{InboxCommand, InboxList};
pub(crate) use interactive::InteractiveArgs;
pub(crate) use plan::{PlanArgs, PlanFlags};
pub(crate) use ralph::{LoopFlags, RalphArgs};
pub(crate) use render::{Format, RenderArgs};
pub(crate) use sessions::{ResumeArgs, SessionsCommand};
pub(crate) use setup::{InstallArgs, Place, SetupArgs, SetupCommand};
pub(crate) use tools::{McpCommand, McpFrom, SkillFolders, SkillsCommand};
pub(crate) use tui::TuiArgs;
pub(crate) use turn::{ApprovalFlags, LimitFlags, OutputFlags, ToolFlags, TurnFlags, UiFlags};

/// Copilot runs that survive: a client of the copexd daemon.
#[derive(Debug, Parser)]
#[command(
    name = "copexctl",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 blocked or waits for a person, 4 a limit \
                  was reached, 5 a rate limit with --no-park, 69 daemon or Copilot unavailable, 77 not signed in, \
                  130 interrupted."
)]
pub(crate) struct Cli {
    /// Prompt; the same as `copexctl chat PROMPT`.
    #[arg(short, long)]
    pub(crate) prompt: Option<String>,
    /// Plain answer on stdout, as with `--raw`; needs `-p`.
    #[arg(short = 's', long = "non-interactive", requires = "prompt")]
    pub(crate) non_interactive: bool,
    /// Accepted: there is no squad.
    #[arg(long, hide = true)]
    pub(crate) no_squad: bool,
    /// The flags of `chat`.
    #[command(flatten)]
    pub(crate) chat: ChatFlags,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send a prompt and stream the answer.
    Chat(Box<ChatArgs>),
    /// Converse at a prompt: the same as `copexctl` alone on a terminal.
    Interactive(Box<InteractiveArgs>),
    /// Give the same task again and again, until a promise is kept and every check passes.
    Ralph(Box<RalphArgs>),
    /// Turn a task into a plan that you may edit, and carry it out step by step.
    Plan(Box<PlanArgs>),
    /// Ask several models, have them judge each other without names, and let a chair decide.
    Council(Box<CouncilArgs>),
    /// Do many tasks side by side, in the order that their dependencies leave.
    Fleet(Box<FleetArgs>),
    /// The whole house on one screen: all runs live, the inbox, spend, the pool.
    Tui(Box<TuiArgs>),
    /// Runs of the daemon: list, show, attach, cancel, resume, answer, logs.
    Runs {
        /// What to do with them.
        #[command(subcommand)]
        command: RunsCommand,
    },
    /// Questions of all runs that wait for you: list, show, answer.
    #[command(args_conflicts_with_subcommands = true)]
    Inbox {
        /// Which are listed.
        #[command(flatten)]
        list: InboxList,
        /// What to do with them; `list` when absent.
        #[command(subcommand)]
        command: Option<InboxCommand>,
    },
    /// Conversations of the Copilot CLI: list, show, resume, fork, rm, doctor.
    Sessions {
        /// What to do with them.
        #[command(subcommand)]
        command: SessionsCommand,
    },
    /// Skills that a run is offered: list, show.
    Skills {
        /// What to do with them.
        #[command(subcommand)]
        command: SkillsCommand,
    },
    /// MCP servers that a run is given: list, check.
    Mcp {
        /// What to do with them.
        #[command(subcommand)]
        command: McpCommand,
    },
    /// Circuit breakers and limits of models and endpoints.
    Breakers {
        /// What to do with them; `list` when absent.
        #[command(subcommand)]
        command: Option<BreakersCommand>,
    },
    /// Show a log of copexd or of the Copilot CLI to people: as text, Markdown or a page.
    Render(RenderArgs),
    /// List models.
    Models(ModelsArgs),
    /// How the daemon, the runtimes, the sign-in and the provider are.
    Status(JsonFlag),
    /// Show, check and change the configuration.
    Config {
        /// Configuration file instead of the user's own.
        #[arg(short, long, value_name = "PATH", global = true)]
        config: Option<PathBuf>,
        /// What to do; `show` when absent.
        #[command(subcommand)]
        command: Option<ConfigCommand>,
    },
    /// Write a starter configuration file.
    Init(InitArgs),
    /// What was spent, counted and timed.
    Metrics(MetricsArgs),
    /// Check everything copex needs, and say what to do.
    Doctor(JsonFlag),
    /// Start, stop and watch the daemon.
    Daemon {
        /// What to do with it.
        #[command(subcommand)]
        command: DaemonCommand,
    },
    /// Install the binaries, units, completions and manual pages for this user; or take them away.
    #[command(args_conflicts_with_subcommands = true)]
    Setup(SetupArgs),
    /// Show a command's manual page; into a pipe it is roff.
    Man {
        /// The command, word by word; copexctl itself when absent.
        #[arg(conflicts_with = "out")]
        command: Vec<String>,
        /// Folder to write all pages to.
        #[arg(short, long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Help on a command or a topic: config, exit-codes, permissions, providers and others.
    Help {
        /// The command, word by word, or the topic.
        topic: Vec<String>,
    },
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Sign in: runs `copilot login`.
    Login(PassedOn),
    /// Sign out: starts the Copilot CLI with `/logout`, which is a command of its prompt only.
    Logout(PassedOn),
    /// A command of Python copex, or of a later version.
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// Arguments handed to another program.
#[derive(Debug, Args)]
pub(crate) struct PassedOn {
    /// Arguments of the Copilot CLI's own command.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}

/// `--json` alone.
#[derive(Debug, Args)]
pub(crate) struct JsonFlag {
    /// One JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `chat`.
#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    /// What to say. Absent: read from stdin. With a prompt, text piped in is appended to it.
    pub(crate) prompt: Option<String>,
    /// The flags.
    #[command(flatten)]
    pub(crate) flags: ChatFlags,
}

/// The flags of `chat`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Chat")]
pub(crate) struct ChatFlags {
    /// What every mode takes.
    #[command(flatten)]
    pub(crate) turn: TurnFlags,
    /// File to send along; may be given several times.
    #[arg(short = 'C', long = "context", value_name = "PATH")]
    pub(crate) context: Vec<PathBuf>,
    /// Go on in the last session used in this folder.
    #[arg(long = "continue", conflicts_with = "resume")]
    pub(crate) continue_last: bool,
    /// Go on in the session with this id.
    #[arg(long, value_name = "ID")]
    pub(crate) resume: Option<String>,
    /// Answer from the built-in demonstration model: no account needed.
    #[arg(long)]
    pub(crate) demo: bool,
    /// Answer from the demonstration model when nobody is signed in and no provider is set.
    #[arg(long)]
    pub(crate) or_demo: bool,
    /// Keep the model's traffic in a new file, without secrets: for bug reports.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["replay", "demo", "or_demo", "use_cli"])]
    pub(crate) record: Option<PathBuf>,
    /// Answer from such a file: no network, no account, no model.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "demo", "or_demo", "use_cli"])]
    pub(crate) replay: Option<PathBuf>,
    /// How many times faster than recorded a replay goes; 0 does not wait.
    #[arg(long, value_name = "N", requires = "replay", allow_negative_numbers = true)]
    pub(crate) replay_speed: Option<f64>,
    /// Not available in this version.
    #[arg(short = 'T', long, hide = true)]
    pub(crate) template: Option<String>,
}

/// `runs`.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List runs, newest first.
    List {
        /// Only runs in this state; may be given several times.
        #[arg(long, value_name = "STATE")]
        state: Vec<StateName>,
        /// Only runs that have not ended.
        #[arg(long, conflicts_with = "state")]
        active: bool,
        /// Only runs of this folder.
        #[arg(long, value_name = "DIR")]
        cwd: Option<PathBuf>,
        /// At most so many.
        #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// One JSON object on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Show one run.
    Show {
        /// The run: its id, or four or more characters of its beginning or end.
        id: String,
        /// One JSON object on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Replay a run from its first event and follow it to the end.
    Attach {
        /// The run.
        id: String,
        /// How the answer is shown.
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Cancel a run.
    Cancel {
        /// The run.
        id: String,
    },
    /// Go on where an ended run stopped: a new run in the same session. A parked one goes on in place.
    Resume {
        /// The run.
        id: String,
        /// What to say; absent: go on with the unfinished turn, or at the loop's iteration.
        prompt: Option<String>,
        /// Let a parked run go on before its time; an error when it is not parked.
        #[arg(long, conflicts_with_all = ["prompt", "max_cost", "max_ai_credits", "max_tokens"])]
        now: bool,
        /// Return at once and print the run's id alone.
        #[arg(long)]
        detach: bool,
        /// In place of the ended run's own limits.
        #[command(flatten)]
        limits: LimitFlags,
        /// How the answer is shown.
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Say why a run waits, and what would let it go on.
    Explain {
        /// The run.
        id: String,
        /// One JSON object on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Answer a question that a run waits on; the same as `inbox answer`.
    Answer {
        /// The question's id.
        ask: String,
        /// yes, always, no and a reason, or the text asked for.
        #[arg(required = true)]
        answer: Vec<String>,
    },
    /// Print a run's log.
    Logs {
        /// The run.
        id: String,
        /// Every event as it is, one JSON object per line.
        #[arg(long)]
        jsonl: bool,
    },
}

/// `breakers`.
#[derive(Debug, Subcommand)]
pub(crate) enum BreakersCommand {
    /// Every model asked so far, and the limits that hold.
    List {
        /// One JSON object on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Close breakers and forget limits.
    Reset {
        /// Only those of this endpoint.
        #[arg(long, value_name = "ENDPOINT")]
        endpoint: Option<String>,
        /// Only those of this model.
        #[arg(short, long, value_name = "MODEL")]
        model: Option<String>,
    },
}

/// The states of a run, for `--state`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum StateName {
    /// Waits for its turn.
    Queued,
    /// At work.
    Running,
    /// Waits for an answer.
    Asking,
    /// Waits for a moment.
    Parked,
    /// Ended well.
    Done,
    /// Ended with an error.
    Failed,
    /// Needs a person.
    Blocked,
    /// Ended at a limit.
    Exhausted,
    /// Was cancelled.
    Cancelled,
}

/// `models`.
#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    /// Configuration file instead of the user's own.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// One JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `metrics`.
#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// From when: `30m`, `12h`, `7d`, a date (`2026-01-31`) or a moment. Absent: all that is kept.
    #[arg(long, value_name = "SPAN|DATE")]
    pub(crate) since: Option<String>,
    /// What the spend is summed by.
    #[arg(long, value_name = "WHAT", default_value = "model")]
    pub(crate) by: ByName,
    /// One JSON object on stdout.
    #[arg(long, conflicts_with = "prometheus")]
    pub(crate) json: bool,
    /// The text format of Prometheus on stdout.
    #[arg(long)]
    pub(crate) prometheus: bool,
}

/// What spend is summed by, for `--by`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ByName {
    /// Each run.
    Run,
    /// Each day (UTC).
    Day,
    /// Each repository.
    Repository,
    /// Each model.
    Model,
}

/// `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Every value and where it came from.
    Show {
        /// One JSON object on stdout.
        #[arg(long)]
        json: bool,
    },
    /// Check the files; unknown keys are errors here.
    Check,
    /// Set a key in the user's file, keeping its comments.
    Set {
        /// The key, for example `retry.max_retries`.
        key: String,
        /// The value; lists as `a,b` or JSON.
        value: String,
    },
    /// Print the path of the user's file.
    Path,
}

/// `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Where to write it.
    #[arg(short, long)]
    pub(crate) path: Option<PathBuf>,
    /// Overwrite a file that exists.
    #[arg(long)]
    pub(crate) force: bool,
}

/// `daemon`.
#[derive(Debug, Subcommand)]
pub(crate) enum DaemonCommand {
    /// Start it.
    Start {
        /// Become the daemon instead of starting it in the background.
        #[arg(long)]
        foreground: bool,
    },
    /// Stop it; unfinished runs go on when it starts again.
    Stop,
    /// Stop it and start it again.
    Restart,
    /// How it is; the same as `copexctl status`.
    Status(JsonFlag),
    /// Print the end of its log.
    Logs {
        /// Print what comes as well.
        #[arg(short, long)]
        follow: bool,
        /// How many lines.
        #[arg(short = 'n', long, default_value_t = 50)]
        lines: usize,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_prompt_at_the_root_is_a_chat() {
        let cli = Cli::try_parse_from(["copexctl", "-p", "hi", "-m", "x", "-s"]).unwrap();
        assert_eq!(cli.prompt.as_deref(), Some("hi"));
        assert_eq!(cli.chat.turn.model.as_deref(), Some("x"));
        assert!(Cli::try_parse_from(["copexctl", "chat", "hi", "--approve", "--dry-run"]).is_err());
        assert!(Cli::try_parse_from(["copexctl", "chat", "hi", "--no-such-flag"]).is_err());
    }

    #[test]
    fn a_command_of_another_version_is_kept_by_name() {
        let cli = Cli::try_parse_from(["copexctl", "squad", "x", "-n", "3"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Other(words)) if words[0] == "squad"));
    }
}
