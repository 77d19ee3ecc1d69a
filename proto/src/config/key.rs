//! The one list of keys.

use crate::config::nearest;
use crate::notify::NOTICE_EVENTS;

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number in a range, both ends included.
    Int(i64, i64),
    /// A number in a range, both ends included.
    Float(f64, f64),
    /// Any text.
    Text,
    /// Text that is never shown.
    Secret,
    /// A path; `~/` is the home folder, a relative one starts at the file's own folder.
    Path,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any of these words.
    Choices(&'static [&'static str]),
    /// A reasoning effort.
    Effort,
    /// Any texts.
    List,
    /// Shell commands: a list of texts, or one text.
    Commands,
    /// Paths.
    Paths,
    /// Reasoning efforts.
    Efforts,
    /// Texts by name.
    Map,
    /// MCP servers: a table by name, or a list of tables with a `name`.
    Servers,
    /// Prices: a table by model, each with `input`, `output` and perhaps `cached`.
    Prices,
}

/// Who may set a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The user only: a project's file must not widen what is allowed.
    User,
    /// A project's file too.
    Project,
    /// The daemon reads it from the user's file; nobody else may set it.
    Daemon,
}

/// How a value meets the ones below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It takes their place.
    Replace,
    /// Lists add up.
    Add,
    /// A project can only make it stricter.
    Stricter,
    /// A project can only leave things out.
    Intersect,
}

/// Whether this version does what the key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Full,
    /// It means something else than in Python copex; the words say what.
    Changed(&'static str),
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// Its name, with the table and a dot in front.
    pub name: &'static str,
    /// What its value must look like.
    pub kind: Kind,
    /// What holds when nobody sets it, in words for people.
    pub default: &'static str,
    /// Who may set it.
    pub scope: Scope,
    /// How it meets the values below it.
    pub rule: Rule,
    /// Whether it has its effect.
    pub support: Support,
    /// What it does.
    pub doc: &'static str,
}

impl Key {
    const fn new(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            default,
            scope: Scope::User,
            rule: Rule::Replace,
            support: Support::Full,
            doc,
        }
    }

    const fn project(mut self) -> Self {
        self.scope = Scope::Project;
        self
    }

    const fn daemon(mut self) -> Self {
        self.scope = Scope::Daemon;
        self
    }

    const fn rule(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self
    }

    const fn changed(mut self, words: &'static str) -> Self {
        self.support = Support::Changed(words);
        self
    }
}

/// The table of a key's name; empty for the top level.
pub fn table_of(name: &str) -> &str {
    name.split_once('.').map_or("", |(table, _)| table)
}

/// Finds a key by its full name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether some key lives in this table.
pub fn is_table(name: &str) -> bool {
    KEYS.iter().any(|key| table_of(key.name) == name && !name.is_empty())
}

/// The key that was most likely meant.
pub fn suggest(name: &str) -> Option<&'static str> {
    nearest(name, KEYS.iter().map(|key| key.name))
}

const EVERYTHING: i64 = i64::MAX;
const DAY: i64 = 86_400;
/// More than anybody means to spend: a slip of the finger.
const MOST_COST: f64 = 1_000_000.0;
/// More tokens than a run can use: a slip of the finger.
const MOST_TOKENS: i64 = 1_000_000_000_000;

/// Log levels, most talkative last.
pub const LOG_LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
/// What `approval.mode` may be.
pub const APPROVAL_MODES: &[&str] = &["workspace", "ask", "auto", "deny"];

const PYTHON_APPROVAL: &[&str] =
    &["auto-approve", "approve", "manual", "deny-all", "policy-based", "dry-run"];
const PYTHON_LOG: &[&str] =
    &["none", "off", "error", "warning", "warn", "info", "debug", "all", "trace", "default"];
const NO_TOOLS: &str = "it has no effect: the tool it switched on is not part of copex";

/// Every key, in the order the documentation shows them.
#[rustfmt::skip]
pub static KEYS: &[Key] = &[
    Key::new("model", Kind::Text, "the provider's, else the Copilot CLI's own", "Model to ask.").project(),
    Key::new("reasoning_effort", Kind::Effort, "the model's own", "How hard the model thinks: none, minimal, low, medium, high, xhigh (or xh), max.").project(),
    Key::new("strict_model", Kind::Bool, "false", "Fail instead of going on when another model answers than was asked.").project(),
    Key::new("streaming", Kind::Bool, "true", "Whether text arrives while it is written.").project(),
    Key::new("timeout", Kind::Float(10.0, 86_400.0), "300", "Seconds without a sign of life from a model request before the turn is aborted.").project(),
    Key::new("context_budget", Kind::Int(1, EVERYTHING), "none", "Most prompt tokens of a conversation before it is compacted.").project(),
    Key::new("instructions", Kind::Text, "none", "Words added to the system message.").project(),
    Key::new("instructions_file", Kind::Path, "none", "File with words added to the system message; `instructions` wins."),
    Key::new("skill_directories", Kind::Paths, "[]", "Folders that hold skills (`NAME/SKILL.md`), or are one; they come after the usual ones.").project().rule(Rule::Add),
    Key::new("disabled_skills", Kind::List, "[]", "Skills that are not loaded, by name.").project().rule(Rule::Add),
    Key::new("auto_discover_skills", Kind::Bool, "true", "Whether the skill folders of the repository and of the user are found by themselves.").project(),
    Key::new("skills", Kind::List, "[]", "Only these skills are offered, by name; empty: all that are found.").project(),
    Key::new("mcp_servers", Kind::Servers, "none", "MCP servers by name: `command`, `args`, `env`, or `url`, `type`, `headers`; secrets as `${env:NAME}`."),
    Key::new("mcp_config_file", Kind::Path, "none", "JSON file with MCP servers, as the Copilot CLI, VS Code or Python copex write it; `mcp_servers` wins."),
    Key::new("available_tools", Kind::List, "all", "Only these tools are offered. An empty list offers none.").project().rule(Rule::Intersect),
    Key::new("excluded_tools", Kind::List, "[]", "Tools that are not offered.").project().rule(Rule::Add),
    Key::new("cwd", Kind::Path, "where copexctl is started", "Working folder of runs."),
    Key::new("working_directory", Kind::Path, "`cwd`", "Working folder of runs; wins over `cwd`."),
    Key::new("cli_path", Kind::Path, "found by copexd", "The Copilot CLI to run."),
    Key::new("github_token", Kind::Secret, "the Copilot CLI's sign-in", "GitHub token for Copilot. Better: `copexctl login`, or COPEX_TOKEN."),
    Key::new("auto_start", Kind::Bool, "true", "Whether copexctl starts copexd when none answers."),
    Key::new("fallback_chain", Kind::List, "by model", "Models to go on with when one fails, in order. Absent: Python copex's chain for the model, on GitHub's models only; `[]` falls back to nothing. `github:MODEL` and `provider:MODEL` say where a model is.").project(),
    Key::new("ui_theme", Kind::Choice(&["default", "midnight", "mono", "sunset", "tokyo"]), "default", "Colours on a terminal. `default` are the terminal's own, `mono` are none."),
    Key::new("ui_density", Kind::Choice(&["compact", "extended"]), "extended", "How much is shown of a tool on a terminal: one line, or the first lines of its result and of its change as well."),
    Key::new("ui_background", Kind::Choice(&["auto", "dark", "light"]), "auto", "What the text stands on. `auto` is what COLORFGBG says, else dark."),
    Key::new("screen_reader", Kind::Bool, "false", "Whether everything is a plain line: no drawing, nothing redrawn."),
    Key::new("bell", Kind::Bool, "false", "Whether the terminal's bell rings when a run that you look at ends or asks."),
    Key::new("use_cli", Kind::Bool, "false", "One Copilot CLI process per turn. Nobody can be asked then: what would ask is denied."),
    Key::new("approval_mode", Kind::Choice(PYTHON_APPROVAL), "none", "Python copex's name of `approval.mode`.").changed("it sets `approval.mode`: auto-approve is auto, approve and manual are ask, deny-all and dry-run are deny, policy-based is workspace"),
    Key::new("auto_restart", Kind::Bool, "true", "Whether a dead runtime is started again.").changed("it has no effect: a dead runtime is always replaced"),
    Key::new("auto_continue", Kind::Bool, "true", "Go on after retries ran out.").changed("it runs the turn once more over its history after the retries ran out, only where it is set; the task is never replaced by a prompt"),
    Key::new("continue_prompt", Kind::Text, "none", "Prompt to go on with.").changed("it has no effect: a turn is tried again as it is, the task is never replaced by a prompt"),
    Key::new("cli_url", Kind::Text, "none", "Address of a running Copilot CLI.").changed("it has no effect: copexd runs its own Copilot runtime"),
    Key::new("log_level", Kind::Choice(PYTHON_LOG), "warning", "Python copex's name of `telemetry.log_level`.").changed("it has no effect here: set `telemetry.log_level` for the daemon's log"),
    Key::new("audit", Kind::Bool, "false", "Audit log.").changed("it has no effect: every run keeps its whole log; see `copexctl runs logs`"),
    Key::new("js_repl", Kind::Bool, "false", "JavaScript tool.").changed(NO_TOOLS),
    Key::new("pdf_analyze", Kind::Bool, "false", "PDF tool.").changed(NO_TOOLS),

    Key::new("retry.max_retries", Kind::Int(0, 20), "5", "Most attempts of a turn after the first.").project(),
    Key::new("retry.max_auto_continues", Kind::Int(0, 10), "1", "Further turns after the retries ran out.").changed("more than one is one; see `auto_continue`"),
    Key::new("retry.base_delay", Kind::Float(0.1, 3600.0), "per kind of error", "Seconds before the first retry.").changed("it is a floor under the delays that each kind of error has"),
    Key::new("retry.max_delay", Kind::Float(1.0, 3600.0), "per kind of error", "Most seconds before a retry.").changed("it is a cap over the delays that each kind of error has"),
    Key::new("retry.exponential_base", Kind::Float(1.5, 10.0), "per kind of error", "Growth of the delay from one retry to the next."),
    Key::new("retry.retry_on_any_error", Kind::Bool, "false", "Retry whatever happened.").changed("it has no effect: the kind of error decides what is retried"),
    Key::new("retry.retry_on_errors", Kind::List, "[]", "Texts of errors to retry.").changed("it has no effect: the kind of error decides what is retried, never its text"),
    Key::new("retry.on_lost_session", Kind::Choice(&["ask", "restart", "fail"]), "ask", "What to do when tools ran and the session is lost."),
    Key::new("retry.first_event_timeout", Kind::Float(1.0, 590.0), "120", "Seconds a model may take to its first word.").project(),
    Key::new("retry.park", Kind::Bool, "true", "Whether a run waits for the end of a long limit instead of failing.").project(),
    Key::new("retry.max_parks", Kind::Int(0, 1000), "20", "Most waits for the end of a limit in one run.").project(),

    Key::new("breaker.window", Kind::Int(1, 1000), "10", "Outcomes a breaker looks at.").daemon(),
    Key::new("breaker.failure_rate", Kind::Float(0.01, 1.0), "0.5", "Share of failures that opens a breaker.").daemon(),
    Key::new("breaker.min_samples", Kind::Int(1, 1000), "5", "Outcomes needed before a breaker may open.").daemon(),
    Key::new("breaker.cooldown", Kind::Float(1.0, 3600.0), "60", "Seconds an open breaker waits the first time; it doubles up to 10 minutes.").daemon(),
    Key::new("breaker.panic", Kind::Bool, "false", "Let the least bad model through when every breaker is open.").daemon(),

    Key::new("fallback.on_content_filter", Kind::Bool, "false", "Try another model once when a filter withheld the answer.").project(),

    Key::new("prices", Kind::Prices, "none", "What models cost per million tokens, in one currency: `[prices.\"MODEL\"]` with `input`, `output` and, for cached input, `cached`."),

    Key::new("approval.mode", Kind::Choice(APPROVAL_MODES), "workspace", "Rule for tools that no pattern names: workspace, ask, auto, deny. A project can only make it stricter.").project().rule(Rule::Stricter),
    Key::new("approval.allow", Kind::List, "[]", "Patterns that are allowed without asking, as in the Copilot CLI's `--allow-tool`.").rule(Rule::Add),
    Key::new("approval.deny", Kind::List, "[]", "Patterns that are denied, whatever else is said.").project().rule(Rule::Add),
    Key::new("approval.ask_timeout", Kind::Int(1, 365 * DAY), "86400", "Seconds a question waits for a person before it counts as denied."),

    Key::new("provider.type", Kind::Choice(&["openai", "azure", "anthropic"]), "openai", "Dialect of a model endpoint of your own."),
    Key::new("provider.base_url", Kind::Text, "none", "Where it is, for example `http://127.0.0.1:11434/v1`. Setting it turns the provider on."),
    Key::new("provider.model", Kind::Text, "none", "Model to ask there; wins over `model` of the files, not over COPEX_MODEL and `-m`."),
    Key::new("provider.wire_api", Kind::Choice(&["completions", "responses"]), "completions", "API of an OpenAI dialect."),
    Key::new("provider.key_env", Kind::Text, "none", "Variable that holds the key."),
    Key::new("provider.key_command", Kind::Text, "none", "Shell command that prints the key."),
    Key::new("provider.key_file", Kind::Path, "none", "File that holds the key."),
    Key::new("provider.azure_api_version", Kind::Text, "none", "API version of an Azure endpoint."),
    Key::new("provider.headers", Kind::Map, "none", "Further headers. No secrets: they are stored with the run."),
    Key::new("provider.max_prompt_tokens", Kind::Int(1, EVERYTHING), "none", "Context window of the model there, where the endpoint does not say."),
    Key::new("provider.reasoning_efforts", Kind::Efforts, "none", "Reasoning efforts that the model there supports."),

    Key::new("fleet.max_concurrent", Kind::Int(1, 32), "5", "Most tasks at once."),
    Key::new("fleet.timeout", Kind::Float(10.0, 86_400.0), "3600", "Seconds a task may work."),
    Key::new("fleet.isolation", Kind::Choice(&["auto", "worktree", "none"]), "auto", "Whether tasks get a git worktree of their own."),
    Key::new("fleet.fail_fast", Kind::Bool, "false", "Stop at the first failure."),
    Key::new("fleet.worktree_setup", Kind::Commands, "[]", "Shell commands that prepare each new worktree, for example `cp \"$COPEX_SOURCE/.env\" .`; a text is one command. `COPEX_SOURCE` is your own checkout."),
    Key::new("fleet.setup_timeout", Kind::Float(1.0, 86_400.0), "600", "Seconds they may run together."),
    Key::new("fleet.merge_gate", Kind::Text, "none", "Shell command that must exit 0 in the merged tree before a task's merge counts."),
    Key::new("fleet.merge_gate_timeout", Kind::Float(1.0, 86_400.0), "600", "Seconds it may run."),

    Key::new("council.members", Kind::List, "[]", "Members of a council where the command line names none, each `MODEL` or `MODEL:EFFORT`.").project(),
    Key::new("council.chair", Kind::Text, "the run's model, else the first member's", "Who decides in a council, as a member is named.").project(),

    Key::new("notify.command", Kind::Text, "none", "Shell command that is told of runs: one JSON object on its standard input for each event. Run by copexd, in its environment and the home folder, for 10 s at most.").daemon(),
    Key::new("notify.desktop", Kind::Bool, "false", "Whether the desktop shows a bubble for each event, by `notify-send`.").daemon(),
    Key::new("notify.on", Kind::Choices(&NOTICE_EVENTS), "['ask', 'parked', 'resumed', 'done', 'failed', 'budget']", "The events that are told.").daemon(),

    Key::new("pool.max_runtimes", Kind::Int(1, 64), "4", "Most Copilot runtimes alive; one more when all of them are at work.").daemon(),
    Key::new("pool.max_sessions", Kind::Int(0, 1000), "5", "Most idle sessions kept open per runtime; those used longest ago are closed.").daemon(),
    Key::new("pool.max_idle_time", Kind::Float(1.0, 86_400.0), "300", "Seconds an idle session stays open.").daemon(),
    Key::new("pool.start_timeout", Kind::Float(0.1, 600.0), "30", "Seconds a Copilot runtime may take to start.").daemon(),
    Key::new("pool.spares", Kind::Int(0, 16), "1", "Sessions opened ahead for each of the last 4 kinds of run.").daemon(),
    Key::new("pool.prewarm", Kind::Int(0, 4), "0", "Kinds of the latest runs for which spares are opened when the daemon starts.").daemon(),
    Key::new("pool.max_runtime_rss", Kind::Int(64 << 20, EVERYTHING), "1073741824", "Bytes of memory of its process, without its tools, at which a runtime is replaced.").daemon(),
    Key::new("pool.max_runtime_age", Kind::Float(1.0, 31_536_000.0), "86400", "Seconds after which a runtime is replaced.").daemon(),
    Key::new("pool.probe_interval", Kind::Float(0.05, 3600.0), "15", "Seconds between two looks at runtimes and idle sessions.").daemon(),
    Key::new("pool.probe_timeout", Kind::Float(0.05, 600.0), "10", "Seconds a quiet runtime may take to give a sign of life before it is replaced.").daemon(),

    Key::new("limits.max_duration", Kind::Float(1.0, 31_536_000.0), "none", "Seconds a run may take in all, parks included.").project(),
    Key::new("limits.max_running", Kind::Int(1, 10_000), "64", "Most runs at work at once.").daemon(),
    Key::new("limits.max_queued", Kind::Int(1, 1_000_000), "1024", "Most runs that wait; one more is refused as overloaded.").daemon(),
    Key::new("limits.max_connections", Kind::Int(4, 65_536), "512", "Most open connections.").daemon(),
    Key::new("limits.max_message_bytes", Kind::Int(1 << 20, 1 << 30), "33554432", "Largest message taken, in bytes.").daemon(),
    Key::new("limits.max_cost", Kind::Float(0.0, MOST_COST), "none", "Most that a run may cost: by `prices` for models that are in there, else in premium requests. Checked before each model call."),
    Key::new("limits.max_ai_credits", Kind::Float(0.0, MOST_COST), "none", "Most AI credits that a run may take."),
    Key::new("limits.max_tokens", Kind::Int(1, MOST_TOKENS), "none", "Most tokens that a run may send and receive."),
    Key::new("limits.max_cost_per_day", Kind::Float(0.0, MOST_COST), "none", "Most that all runs of a day (UTC) may cost, counted as `limits.max_cost`.").daemon(),

    Key::new("store.retention_days", Kind::Int(1, 3650), "30", "Days an ended run is kept.").daemon(),
    Key::new("store.retention_bytes", Kind::Int(16 << 20, EVERYTHING), "2147483648", "Bytes of ended runs kept.").daemon(),

    Key::new("telemetry.log_level", Kind::Choice(LOG_LEVELS), "info", "How much the daemon's log says.").daemon(),
];
