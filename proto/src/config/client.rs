//! What a client needs, typed and valid.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::layer::Origin;
use crate::config::merge::{Default, Merged};
use crate::config::problem::{Problem, Severity};
use crate::config::ui::Ui;
use crate::run::{
    Approval, Effort, KeySource, OnLostSession, Provider, ProviderKind, RetryOptions,
};
use crate::secret::Secret;
use crate::spend::{Price, SpendLimits};

/// The settings of one command, after flags, environment and files.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientConfig {
    /// The model to ask.
    pub model: Option<String>,
    /// How hard it thinks.
    pub reasoning_effort: Option<Effort>,
    /// Whether another model's answer is a failure.
    pub strict_model: bool,
    /// Whether text arrives while it is written.
    pub streaming: bool,
    /// Seconds without a sign of life.
    pub timeout_s: Option<f64>,
    /// The most prompt tokens.
    pub context_budget: Option<u64>,
    /// The most attempts after the first.
    pub max_retries: Option<u32>,
    /// How the waits between attempts grow.
    pub retry: RetryOptions,
    /// Models to go on with when one fails.
    pub fallback_chain: Option<Vec<String>>,
    /// Whether another model is asked once when a filter withheld the answer.
    pub on_content_filter: bool,
    /// What to do when tools ran in a session and it is lost.
    pub on_lost_session: OnLostSession,
    /// Whether the turn is run once more after its tries ran out.
    pub auto_continue: bool,
    /// Whether long limits are waited for.
    pub park: bool,
    /// The most waits for the end of a limit.
    pub max_parks: Option<u32>,
    /// Seconds the run may take in all.
    pub max_duration_s: Option<f64>,
    /// Words for the system message.
    pub instructions: Option<String>,
    /// A file with words for the system message.
    pub instructions_file: Option<String>,
    /// Folders with skills.
    pub skill_directories: Vec<String>,
    /// Skills left out.
    pub disabled_skills: Vec<String>,
    /// Only these skills, where any is named.
    pub skills: Option<Vec<String>>,
    /// Whether the usual skill folders are added.
    pub auto_discover_skills: bool,
    /// MCP servers by name.
    pub mcp_servers: Option<BTreeMap<String, Value>>,
    /// A file with MCP servers.
    pub mcp_config_file: Option<String>,
    /// Only these tools.
    pub available_tools: Option<Vec<String>>,
    /// Not these tools.
    pub excluded_tools: Vec<String>,
    /// Where runs work.
    pub cwd: Option<String>,
    /// The Copilot CLI.
    pub cli_path: Option<String>,
    /// Whether each turn is a process of it.
    pub use_cli: bool,
    /// The GitHub token.
    pub github_token: Option<Secret>,
    /// Whether to start the daemon.
    pub auto_start: bool,
    /// Who decides about tools.
    pub approval: Approval,
    /// The endpoint of the user's own.
    pub provider: Option<Provider>,
    /// What a run may spend.
    pub limits: SpendLimits,
    /// What models cost.
    pub prices: BTreeMap<String, Price>,
    /// Members of a council.
    pub council_members: Vec<String>,
    /// Who decides in it.
    pub council_chair: Option<String>,
    /// How runs look on a terminal.
    pub ui: Ui,
}

impl ClientConfig {
    /// Takes the typed values out of `merged`.
    ///
    /// # Errors
    /// The first finding that stops a command.
    pub fn from_merged(merged: &Merged) -> Result<Self, Problem> {
        if let Some(problem) = merged.error() {
            return Err(problem.clone());
        }
        Ok(Self {
            model: model(merged),
            reasoning_effort: merged.typed("reasoning_effort"),
            strict_model: merged.bool("strict_model", Default::Off),
            streaming: merged.bool("streaming", Default::On),
            timeout_s: merged.float("timeout"),
            context_budget: merged.unsigned("context_budget"),
            max_retries: merged.typed("retry.max_retries"),
            retry: RetryOptions {
                base_delay_s: merged.float("retry.base_delay"),
                max_delay_s: merged.float("retry.max_delay"),
                exponential_base: merged.float("retry.exponential_base"),
                first_event_timeout_s: merged.float("retry.first_event_timeout"),
            },
            fallback_chain: merged.list("fallback_chain"),
            on_content_filter: merged.bool("fallback.on_content_filter", Default::Off),
            on_lost_session: merged.typed("retry.on_lost_session").unwrap_or_default(),
            auto_continue: merged.bool("auto_continue", Default::Off)
                && merged.unsigned("retry.max_auto_continues") != Some(0),
            park: merged.bool("retry.park", Default::On),
            max_parks: merged.typed("retry.max_parks"),
            max_duration_s: merged.float("limits.max_duration"),
            instructions: merged.text("instructions"),
            instructions_file: merged.text("instructions_file"),
            skill_directories: merged.list("skill_directories").unwrap_or_default(),
            disabled_skills: merged.list("disabled_skills").unwrap_or_default(),
            skills: merged.list("skills").filter(|names| !names.is_empty()),
            auto_discover_skills: merged.bool("auto_discover_skills", Default::On),
            mcp_servers: merged.typed("mcp_servers"),
            mcp_config_file: merged.text("mcp_config_file"),
            available_tools: merged.list("available_tools"),
            excluded_tools: merged.list("excluded_tools").unwrap_or_default(),
            cwd: merged.text("working_directory").or_else(|| merged.text("cwd")),
            cli_path: merged.text("cli_path"),
            use_cli: merged.bool("use_cli", Default::Off),
            github_token: merged.text("github_token").map(Secret::new),
            auto_start: merged.bool("auto_start", Default::On),
            approval: Approval {
                mode: merged.typed("approval.mode").unwrap_or_default(),
                allow: merged.list("approval.allow").unwrap_or_default(),
                deny: merged.list("approval.deny").unwrap_or_default(),
                ask_timeout_s: merged.unsigned("approval.ask_timeout"),
            },
            provider: provider(merged)?,
            limits: SpendLimits {
                max_cost: merged.float("limits.max_cost"),
                max_ai_credits: merged.float("limits.max_ai_credits"),
                max_tokens: merged.unsigned("limits.max_tokens"),
            },
            prices: merged.typed("prices").unwrap_or_default(),
            council_members: merged.list("council.members").unwrap_or_default(),
            council_chair: merged.text("council.chair"),
            ui: ui(merged),
        })
    }
}

fn ui(merged: &Merged) -> Ui {
    Ui {
        theme: merged.typed("ui_theme").unwrap_or_default(),
        density: merged.typed("ui_density").unwrap_or_default(),
        background: merged.typed("ui_background").unwrap_or_default(),
        screen_reader: merged.bool("screen_reader", Default::Off),
        bell: merged.bool("bell", Default::Off),
    }
}

/// What is wrong with a key's value, with the place that it came from.
fn problem_at(merged: &Merged, key: &str, words: impl Into<String>) -> Problem {
    let mut problem = Problem::new(Severity::Error, words).with_key(key);
    let Some(entry) = merged.entry(key) else { return problem };
    match &entry.origin {
        Origin::User(path) | Origin::Project(path) => {
            problem.path = Some(path.clone());
            problem.line = entry.line;
        }
        Origin::Environment(_) | Origin::Flag(_) => {
            problem.message = format!("{}: {}", entry.origin, problem.message);
        }
        Origin::Default => {}
    }
    problem
}

/// The provider's model wins over `model` of the files, since a name of GitHub's means
/// nothing to it; COPEX_MODEL and `-m` are meant for this very call and win over both.
fn model(merged: &Merged) -> Option<String> {
    let named = merged.entry("model");
    let now =
        named.is_some_and(|entry| matches!(entry.origin, Origin::Environment(_) | Origin::Flag(_)));
    let provider_is_on = merged.entry("provider.base_url").is_some();
    if now || !provider_is_on {
        return merged.text("model");
    }
    merged.text("provider.model").or_else(|| merged.text("model"))
}

fn provider(merged: &Merged) -> Result<Option<Provider>, Problem> {
    let Some(base_url) = merged.text("provider.base_url") else {
        return Ok(None);
    };
    if !(base_url.starts_with("http://") || base_url.starts_with("https://")) {
        let words = format!("`provider.base_url`: `{base_url}` is not an http or https URL");
        return Err(problem_at(merged, "provider.base_url", words));
    }
    let keys = [
        merged.text("provider.key_env").map(KeySource::Env),
        merged.text("provider.key_command").map(KeySource::Command),
        merged.text("provider.key_file").map(KeySource::File),
    ];
    let mut keys = keys.into_iter().flatten();
    let key = keys.next();
    if keys.next().is_some() {
        let words = "`provider`: more than one of key_env, key_command and key_file is set";
        return Err(problem_at(merged, "provider.key_env", words));
    }
    Ok(Some(Provider {
        kind: merged.typed::<ProviderKind>("provider.type").unwrap_or_default(),
        base_url,
        wire_api: merged.text("provider.wire_api"),
        key,
        azure_api_version: merged.text("provider.azure_api_version"),
        headers: merged.typed("provider.headers").unwrap_or_default(),
        max_prompt_tokens: merged.unsigned("provider.max_prompt_tokens"),
        reasoning_efforts: merged.typed("provider.reasoning_efforts"),
    }))
}
