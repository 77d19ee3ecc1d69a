//! What a client asks for, and how a run stands.

mod council;
mod fleet;
mod plan;
mod summary;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::council::{CouncilPreset, CouncilRequest, Seat};
pub use self::fleet::{FleetRequest, FleetTask, Isolation, OnDependencyFailure};
pub use self::plan::{OnStepFailure, PlanRequest};
pub use self::summary::{RunDetail, RunState, RunSummary};
pub use crate::effort::Effort;
pub use crate::provider::{KeySource, Provider, ProviderKind};
pub use crate::retry::{OnLostSession, RetryOptions};
use crate::secret::Secret;
use crate::spend::Price;

/// One unit of work, tagged by `mode`. The client resolves flags, files and its
/// environment and sends a complete request, so the daemon needs nothing of the
/// client's surroundings afterwards.
///
/// An unknown field is refused by name: a misspelt option must never be ignored.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum RunRequest {
    /// One prompt, one answer.
    Chat(ChatRequest),
    /// The same prompt again and again until it is true.
    Ralph(RalphRequest),
    /// A task turned into steps, and the steps carried out.
    Plan(PlanRequest),
    /// Many tasks with dependencies.
    Fleet(FleetRequest),
    /// Several models, one decision.
    Council(CouncilRequest),
}

/// The mode of a run, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// One prompt, one answer.
    Chat,
    /// A loop until a promise holds.
    Ralph,
    /// Steps with gates.
    Plan,
    /// Parallel tasks.
    Fleet,
    /// Several models, one decision.
    Council,
}

impl Mode {
    /// The name on the wire and in the shell.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Ralph => "ralph",
            Self::Plan => "plan",
            Self::Fleet => "fleet",
            Self::Council => "council",
        }
    }
}

/// A chat: one turn in a new or continued session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatRequest {
    /// What to say to the agent. Never empty, unless with `compact`.
    #[serde(default)]
    pub prompt: String,
    /// Make the conversation smaller, by a summary of it, and say nothing: `prompt` is empty.
    #[serde(default, skip_serializing_if = "is_false")]
    pub compact: bool,
    /// Everything that is the same in all modes.
    #[serde(flatten)]
    pub options: RunOptions,
}

/// A ralph loop.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RalphRequest {
    /// The prompt of every iteration.
    pub prompt: String,
    /// The text the model must promise, in `<promise>TEXT</promise>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<String>,
    /// Commands that must all exit 0 before a promise is believed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<String>,
    /// The most iterations (default 30).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_iterations: Option<u32>,
    /// Seconds that one of the commands may run (default 600). It is killed then, and counts
    /// as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_timeout_s: Option<f64>,
    /// Which session an iteration speaks in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub context: RalphContext,
    /// Failed iterations in a row that end the loop (default 3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_errors: Option<u32>,
    /// Seconds between two iterations (default 0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_s: Option<f64>,
    /// Whether what each iteration changed is committed, on the branch `copex/ralph/RUN`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub commit: bool,
    /// Whether a person is asked before each iteration but the first: `go on`, `stop`, or words
    /// for the agent.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pause: bool,
    /// Everything that is the same in all modes.
    #[serde(flatten)]
    pub options: RunOptions,
}

/// Which session an iteration of a loop speaks in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RalphContext {
    /// All in one: the agent has what was said before.
    #[default]
    Same,
    /// Each in a new one: the agent has the working folder alone.
    Fresh,
    /// So many in one, then the next. At least 1.
    FreshEvery(u32),
}

/// What every mode shares. Absent means the daemon's default, stated per field.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunOptions {
    /// Absolute working folder. Default: the user's home folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// The model to ask. Default: the provider's, else the Copilot CLI's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How hard to think. Lowered with a warning where the model cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<Effort>,
    /// Fail instead of going on when another model answers than was asked.
    #[serde(skip_serializing_if = "is_false")]
    pub strict_model: bool,
    /// A bring-your-own endpoint instead of GitHub's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// Secrets by name, held in memory only: never stored, logged or shown.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
    /// Answer from the built-in demonstration model: no account, no endpoint.
    #[serde(skip_serializing_if = "is_false")]
    pub demo: bool,
    /// Answer from the demonstration model when nobody is signed in and no provider is set.
    #[serde(skip_serializing_if = "is_false")]
    pub demo_fallback: bool,
    /// Words for the system message, added to the Copilot CLI's own or replacing it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_message: Option<SystemMessage>,
    /// Only these tools are offered. An empty list offers none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_tools: Option<Vec<String>>,
    /// These tools are not offered, whatever else is said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded_tools: Vec<String>,
    /// Absolute folders that hold skills (`NAME/SKILL.md`), or are one. The first of a name wins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skill_directories: Vec<String>,
    /// Skills that are not loaded, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disabled_skills: Vec<String>,
    /// Only these skills are offered, by name; those that come with the Copilot CLI count.
    /// Absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skills: Option<Vec<String>>,
    /// MCP servers by name, each as in the Copilot CLI's own configuration. `${env:NAME}` in
    /// a text is put in when the server is started: secrets are best written so. A secret
    /// that is written out is kept in memory only, like `secrets`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mcp_servers: BTreeMap<String, serde_json::Value>,
    /// Whether text arrives while it is written. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streaming: Option<bool>,
    /// Who decides about tools.
    pub approval: Approval,
    /// The environment for tools and gates. Default: the daemon's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// Which conversation to speak in.
    pub session: SessionChoice,
    /// The Copilot CLI to run. Default: found by the daemon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cli_path: Option<String>,
    /// One Copilot CLI process per turn instead of a session in a shared runtime. Nobody can be
    /// asked then: a tool that would ask is denied.
    #[serde(skip_serializing_if = "is_false")]
    pub use_cli: bool,
    /// Seconds without a sign of life from a model request before the turn is aborted. Default 300.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<f64>,
    /// The most attempts after the first. Default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// How the waits between attempts grow, over the defaults per kind of failure.
    #[serde(skip_serializing_if = "is_default")]
    pub retry: RetryOptions,
    /// The most prompt tokens of the conversation before it is compacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_budget: Option<u64>,
    /// The most that the run may cost: by `prices` for models that are in there, else in
    /// premium requests. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<f64>,
    /// The most AI credits that the run may take, as the backend tells. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ai_credits: Option<f64>,
    /// The most tokens that the run may send and receive. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// What models cost, by name. At most 1,000.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub prices: BTreeMap<String, Price>,
    /// Models to go on with when one fails, in order: `MODEL`, `github:MODEL` or
    /// `provider:MODEL`. Absent: the built-in chain of the model, on GitHub's models only.
    /// An empty list falls back to nothing. At most 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_chain: Option<Vec<String>>,
    /// Whether another model is asked once when a filter withheld the answer.
    #[serde(skip_serializing_if = "is_false")]
    pub on_content_filter: bool,
    /// What to do when tools ran in a session and it is lost.
    #[serde(skip_serializing_if = "is_default")]
    pub on_lost_session: OnLostSession,
    /// Whether the turn is run once more after its tries ran out.
    #[serde(skip_serializing_if = "is_false")]
    pub auto_continue: bool,
    /// Whether a long limit fails the run instead of parking it.
    #[serde(skip_serializing_if = "is_false")]
    pub no_park: bool,
    /// Parks of the run, at most. Default 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parks: Option<u32>,
    /// How long the run may take in all, in seconds, parks included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration_s: Option<f64>,
    /// Absolute path of a new file that keeps the model's traffic, without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Absolute path of such a file: it answers in the model's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// How many times faster than recorded a replay goes; 0 does not wait. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_speed: Option<f64>,
    /// Whether the run ends when its client goes away (and 5 s pass).
    #[serde(skip_serializing_if = "is_false")]
    pub foreground: bool,
    /// Whether a foreground run goes on all the same when its client goes away: somebody looks
    /// on, and may come back.
    #[serde(skip_serializing_if = "is_false")]
    pub outlives_client: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl RunRequest {
    /// The mode by name.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Chat(_) => Mode::Chat,
            Self::Ralph(_) => Mode::Ralph,
            Self::Plan(_) => Mode::Plan,
            Self::Fleet(_) => Mode::Fleet,
            Self::Council(_) => Mode::Council,
        }
    }

    /// What every mode shares.
    pub fn options(&self) -> &RunOptions {
        match self {
            Self::Chat(request) => &request.options,
            Self::Ralph(request) => &request.options,
            Self::Plan(request) => &request.options,
            Self::Fleet(request) => &request.options,
            Self::Council(request) => &request.options,
        }
    }

    /// What every mode shares, to change.
    pub fn options_mut(&mut self) -> &mut RunOptions {
        match self {
            Self::Chat(request) => &mut request.options,
            Self::Ralph(request) => &mut request.options,
            Self::Plan(request) => &mut request.options,
            Self::Fleet(request) => &mut request.options,
            Self::Council(request) => &mut request.options,
        }
    }

    /// The first words of what was asked, for lists.
    pub fn title(&self) -> &str {
        let text = match self {
            Self::Chat(request) if request.compact => "compact the conversation",
            Self::Chat(request) => &request.prompt,
            Self::Ralph(request) => &request.prompt,
            Self::Plan(request) => &request.task,
            Self::Fleet(request) => request.tasks.first().map_or("", |task| &task.prompt),
            Self::Council(request) => &request.task,
        };
        let line = text.trim_start().lines().next().unwrap_or("");
        line.char_indices().nth(TITLE_CHARS).map_or(line, |(end, _)| &line[..end])
    }
}

/// Characters of a run's title.
const TITLE_CHARS: usize = 80;

impl<'de> Deserialize<'de> for RunRequest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        let mut fields = serde_json::Map::<String, serde_json::Value>::deserialize(deserializer)?;
        let mode = fields.remove("mode").ok_or_else(|| D::Error::missing_field("mode"))?;
        let mode: Mode = serde_json::from_value(mode).map_err(D::Error::custom)?;
        refuse_unknown::<D::Error>(mode, &fields)?;
        let fields = serde_json::Value::Object(fields);
        let request = match mode {
            Mode::Chat => serde_json::from_value(fields).map(Self::Chat),
            Mode::Ralph => serde_json::from_value(fields).map(Self::Ralph),
            Mode::Plan => serde_json::from_value(fields).map(Self::Plan),
            Mode::Fleet => serde_json::from_value(fields).map(Self::Fleet),
            Mode::Council => serde_json::from_value(fields).map(Self::Council),
        };
        request.map_err(D::Error::custom)
    }
}

/// Field names per mode, read off the schema so that they cannot drift from the types.
static FIELDS: LazyLock<BTreeMap<&'static str, Vec<String>>> = LazyLock::new(|| {
    let names = |schema: schemars::Schema| -> Vec<String> {
        let properties = schema.get("properties").and_then(serde_json::Value::as_object);
        properties.map(|map| map.keys().cloned().collect()).unwrap_or_default()
    };
    BTreeMap::from([
        ("chat", names(schemars::schema_for!(ChatRequest))),
        ("ralph", names(schemars::schema_for!(RalphRequest))),
        ("plan", names(schemars::schema_for!(PlanRequest))),
        ("fleet", names(schemars::schema_for!(FleetRequest))),
        ("council", names(schemars::schema_for!(CouncilRequest))),
    ])
});

fn refuse_unknown<E: serde::de::Error>(
    mode: Mode,
    fields: &serde_json::Map<String, serde_json::Value>,
) -> Result<(), E> {
    let known = FIELDS.get(mode.as_str()).map(Vec::as_slice).unwrap_or_default();
    for name in fields.keys() {
        if known.iter().any(|field| field == name) {
            continue;
        }
        let near = crate::config::nearest(name, known.iter().map(String::as_str));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(E::custom(format!(
            "unknown field `{name}` in a {} request{hint}",
            mode.as_str()
        )));
    }
    Ok(())
}

/// Words for the system message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemMessage {
    /// Whether they are added or replace the Copilot CLI's own.
    #[serde(default)]
    pub mode: SystemMessageMode,
    /// The words.
    pub text: String,
}

/// What becomes of the Copilot CLI's own system message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SystemMessageMode {
    /// It stays; ours follows.
    #[default]
    Append,
    /// Ours takes its place.
    Replace,
}

/// Which conversation a run speaks in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionChoice {
    /// A new one.
    #[default]
    New,
    /// The last one that a run of this daemon used in the same folder.
    Continue,
    /// The one with this id (or this unique beginning of it).
    Resume(String),
}

/// Who decides about tools.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Approval {
    /// The rule for whatever no pattern names.
    pub mode: ApprovalMode,
    /// Patterns that are allowed without asking, as in the Copilot CLI's `--allow-tool`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Patterns that are denied, whatever else is said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// Seconds an ask waits for a person before it counts as denied. Default 86,400.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask_timeout_s: Option<u64>,
}

/// The rule for tools that no pattern names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalMode {
    /// Inside the working folder yes; outside it, URLs and dangerous commands ask.
    #[default]
    Workspace,
    /// Everything that writes, runs or reaches out asks.
    Ask,
    /// Everything is allowed.
    Auto,
    /// Everything is denied.
    Deny,
}
