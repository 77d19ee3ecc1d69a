//! From a request to what the machine and the backend need, checked once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use copex_proto::config::NotifyConfig;
use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::run::{
    self as wire, Approval, ApprovalMode, ChatRequest, KeySource, Mode, ProviderKind, RunOptions,
    RunRequest, SessionChoice, SystemMessageMode,
};
use copex_proto::secret::Secret;

use super::key::{self, KeyRing};
use super::{council, events, mcp, plan, ralph, skills, use_cli};
use crate::backend::process::Owner;
use crate::backend::spec::{ProviderSpec, RuntimeSpec, SecretText, SessionSpec};
use crate::core::admission::Priority;
use crate::core::approval::{self, Policy};
use crate::core::chat::{Chat, ChatSpec, OnLostSession};
use crate::core::failure::Failure;
use crate::core::machine::Machine;
use crate::core::policy;
use crate::core::stored::Stored;

/// Silence of a model request that ends an attempt, in seconds, when nothing else is said.
const IDLE_S: f64 = 300.0;

/// How much later the turn's own watchdog fires than that of its request, in milliseconds.
const IDLE_MARGIN_MS: u64 = 5_000;

/// The shortest silence that may end an attempt: less cuts off healthy models.
const LEAST_IDLE_S: f64 = 1.0;

/// How long a question waits for a person, in seconds, when nothing else is said.
const ASK_TIMEOUT_S: u64 = 24 * 60 * 60;

/// Secrets that the Copilot CLI itself reads from its environment.
pub(super) const CLI_SECRETS: [&str; 4] =
    ["COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN", "COPILOT_HMAC_KEY"];

/// The Copilot CLI's variable for a token instead of a key.
const BEARER_VARIABLE: &str = "COPILOT_PROVIDER_BEARER_TOKEN";

/// What the daemon knows of its own surroundings.
#[derive(Debug, Clone)]
pub struct Ambient {
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// The user's home folder.
    pub home: PathBuf,
    /// Marks the processes it starts.
    pub owner: Owner,
    /// Where it keeps what it must not lose.
    pub state: PathBuf,
    /// Who is told of runs.
    pub notify: NotifyConfig,
}

/// Checks a request before anything is recorded.
///
/// # Errors
/// `Usage` for input that cannot work.
pub fn check(request: &RunRequest, ambient: &Ambient) -> Result<PathBuf, ErrorInfo> {
    let usage = |message: String| ErrorInfo::new(ErrorClass::Usage, message);
    let prompt = match request {
        RunRequest::Chat(chat) if chat.compact => compaction(chat).map_err(usage)?,
        RunRequest::Chat(chat) => chat.prompt.as_str(),
        RunRequest::Ralph(ralph) => {
            ralph::check(ralph).map_err(usage)?;
            ralph.prompt.as_str()
        }
        RunRequest::Plan(plan) => {
            plan::check(plan).map_err(usage)?;
            let given = plan.load.is_some() || plan.plan.is_some();
            if given { "a plan that is given" } else { &plan.task }
        }
        RunRequest::Council(council) => {
            council::check(council)?;
            council.task.as_str()
        }
        RunRequest::Fleet(fleet) => {
            super::fleet::check(fleet)?;
            "tasks that are given"
        }
    };
    if prompt.trim().is_empty() {
        return Err(usage("the prompt is empty".to_owned())
            .with_hint("pass it as an argument or on standard input"));
    }
    let options = request.options();
    if let Some(timeout) = options.timeout_s
        && !(timeout.is_finite() && timeout >= LEAST_IDLE_S)
    {
        return Err(usage(format!("timeout_s is {timeout}; it must be {LEAST_IDLE_S} or more")));
    }
    check_limits(options).map_err(usage)?;
    if let Some(most) = options.max_duration_s
        && !(most.is_finite() && most > 0.0)
    {
        return Err(usage(format!("max_duration_s is {most}; it must be more than 0")));
    }
    if let Some(wait) = options.retry.first_event_timeout_s
        && !(wait.is_finite() && wait > 0.0)
    {
        return Err(usage(format!("first_event_timeout_s is {wait}; it must be more than 0")));
    }
    super::chain::links(options)?;
    let cwd = options.cwd.as_ref().map_or_else(|| ambient.home.clone(), PathBuf::from);
    if cwd.is_relative() {
        return Err(usage(format!("the folder {} is not absolute", cwd.display())));
    }
    let real = std::fs::canonicalize(&cwd)
        .map_err(|error| usage(format!("the folder {}: {error}", cwd.display())))?;
    if !real.is_dir() {
        return Err(usage(format!("{} is not a folder", cwd.display())));
    }
    policy(&options.approval, &real.to_string_lossy()).map_err(usage)?;
    if options.use_cli {
        use_cli::check(options)?;
    }
    Ok(real)
}

/// Models with a price: nobody works with more, and the table travels with every run.
const MOST_PRICES: usize = 1_000;

fn check_limits(options: &RunOptions) -> Result<(), String> {
    let amount = |name: &str, value: Option<f64>| match value {
        Some(value) if !(value.is_finite() && value >= 0.0) => {
            Err(format!("{name} is {value}; it must be 0 or more"))
        }
        _ => Ok(()),
    };
    amount("max_cost", options.max_cost)?;
    amount("max_ai_credits", options.max_ai_credits)?;
    if options.prices.len() > MOST_PRICES {
        return Err(format!(
            "prices names {} models, more than {MOST_PRICES}",
            options.prices.len()
        ));
    }
    for (model, price) in &options.prices {
        let parts = [
            ("input", Some(price.input)),
            ("output", Some(price.output)),
            ("cached", price.cached),
        ];
        for (part, value) in parts {
            amount(&format!("{part} of the price of {model}"), value)?;
        }
    }
    Ok(())
}

pub(super) fn policy(approval: &Approval, folder: &str) -> Result<Policy, String> {
    Policy::try_new(mode(approval), &approval.allow, &approval.deny, folder)
}

/// The rule for what no pattern names.
pub(super) fn mode(approval: &Approval) -> approval::Mode {
    match approval.mode {
        ApprovalMode::Workspace => approval::Mode::Workspace,
        ApprovalMode::Ask => approval::Mode::Ask,
        ApprovalMode::Auto => approval::Mode::Auto,
        ApprovalMode::Deny => approval::Mode::Deny,
    }
}

/// What the chat machine needs of a request.
///
/// # Errors
/// `Usage`, when a pattern cannot be read.
pub fn chat_spec(run: &str, options: &RunOptions, cwd: &str) -> Result<ChatSpec, ErrorInfo> {
    let policy = policy(&options.approval, cwd)
        .map_err(|message| ErrorInfo::new(ErrorClass::Usage, message))?;
    // Where requests pass us one by one, each has its own watchdog; this one is for the rest.
    let margin = if options.use_cli { 0 } else { IDLE_MARGIN_MS };
    let idle_ms = idle_ms(options).saturating_add(margin);
    let ask_timeout_s = options.approval.ask_timeout_s.unwrap_or(ASK_TIMEOUT_S);
    let mut warnings = Vec::new();
    if options.context_budget.is_some() && options.provider.is_none() {
        let text = "context_budget has no effect on GitHub's models: the Copilot CLI compacts \
                    their conversations at their own limits";
        warnings.push(("not_honoured".to_owned(), text.to_owned()));
    }
    if options.use_cli {
        warnings.extend(use_cli::warnings(options));
    }
    Ok(ChatSpec {
        run: run.to_owned(),
        asks: run.to_owned(),
        prompt: String::new(),
        compact: false,
        policy,
        choices: Vec::new(),
        strict_model: options.strict_model,
        idle_ms,
        ask_timeout_ms: ask_timeout_s.saturating_mul(1_000),
        patient: !options.foreground,
        max_duration_ms: options.max_duration_s.map(millis),
        on_lost_session: match options.on_lost_session {
            wire::OnLostSession::Ask => OnLostSession::Ask,
            wire::OnLostSession::Restart => OnLostSession::Restart,
            wire::OnLostSession::Fail => OnLostSession::Fail,
        },
        warnings,
    })
}

/// What stands for the prompt of a chat that is to make its conversation smaller.
fn compaction(chat: &ChatRequest) -> Result<&'static str, String> {
    if !chat.prompt.is_empty() {
        return Err("compact and prompt do not go together".to_owned());
    }
    if chat.options.session == SessionChoice::New {
        return Err("a new conversation cannot be made smaller".to_owned());
    }
    Ok("the conversation is compacted")
}

/// The machine of a request, new or where it stood.
pub fn machine(
    request: &RunRequest,
    mut spec: ChatSpec,
    progress: Option<Stored>,
) -> Box<dyn Machine> {
    match (request, progress) {
        (RunRequest::Ralph(request), progress) => ralph::machine(request, spec, progress),
        (request, progress) => {
            if let RunRequest::Chat(chat) = request {
                spec.prompt.clone_from(&chat.prompt);
                spec.compact = chat.compact;
            }
            match progress {
                Some(Stored::Chat(progress)) => Box::new(Chat::restored(spec, *progress)),
                _ => Box::new(Chat::new(spec)),
            }
        }
    }
}

/// Seconds as milliseconds; what is absurd saturates.
pub(super) fn millis(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a negative float becomes zero, one beyond u64 saturates"
    )]
    let ms = (seconds * 1_000.0) as u64;
    ms
}

/// Silence of a model request that ends it, in milliseconds.
pub fn idle_ms(options: &RunOptions) -> u64 {
    millis(options.timeout_s.unwrap_or(IDLE_S))
}

/// How a run's failures are answered: what it says, over the defaults.
pub fn retry_policy(options: &RunOptions) -> policy::Policy {
    let defaults = policy::Policy::default();
    let retry = &options.retry;
    policy::Policy {
        attempts: options.max_retries.map_or(defaults.attempts, |n| n.saturating_add(1)),
        continues: u32::from(options.auto_continue),
        floor_ms: retry.base_delay_s.map_or(defaults.floor_ms, millis),
        cap_ms: retry.max_delay_s.map(millis),
        factor: retry.exponential_base,
        most_parks: if options.no_park {
            0
        } else {
            options.max_parks.unwrap_or(policy::MOST_PARKS)
        },
        on_content_filter: options.on_content_filter,
        first_event_ms: retry.first_event_timeout_s.map_or(defaults.first_event_ms, millis),
        ..defaults
    }
}

/// How urgent a run is.
pub fn priority(request: &RunRequest) -> Priority {
    match request {
        RunRequest::Chat(chat) if chat.options.foreground => Priority::Interactive,
        RunRequest::Chat(_) => Priority::Background,
        RunRequest::Ralph(_) | RunRequest::Plan(_) => Priority::Loop,
        RunRequest::Fleet(_) | RunRequest::Council(_) => Priority::Fleet,
    }
}

/// The process that serves a request.
pub fn runtime_spec(
    options: &RunOptions,
    secrets: &BTreeMap<String, Secret>,
    ambient: &Ambient,
) -> RuntimeSpec {
    let env = options.env.clone().unwrap_or_else(|| ambient.env.clone());
    let secret_env = CLI_SECRETS
        .iter()
        .filter_map(|name| {
            let offered = secrets.get(*name).map(Secret::reveal);
            let own = || ambient.env.get(*name).map(String::as_str);
            let value = offered.or_else(own)?;
            Some(((*name).to_owned(), SecretText::new(value)))
        })
        .collect();
    RuntimeSpec {
        cli_path: options.cli_path.as_ref().map(PathBuf::from),
        env: env.into_iter().filter(|(name, _)| !CLI_SECRETS.contains(&name.as_str())).collect(),
        secret_env,
        demo: options.demo,
    }
}

/// The session that serves a request, with its key looked up.
///
/// # Errors
/// `Auth` when the provider's key or a secret of an MCP server cannot be had, `Usage` when the
/// skills cannot be had so with one process per turn.
pub async fn session_spec(
    options: &RunOptions,
    secrets: &BTreeMap<String, Secret>,
    cwd: &str,
    ambient: &Ambient,
) -> Result<SessionSpec, Failure> {
    let runtime = runtime_spec(options, secrets, ambient);
    let provider = match &options.provider {
        Some(provider) if !options.demo => {
            let ring = KeyRing {
                offered: secrets,
                own_env: &ambient.env,
                run_env: &runtime.env,
                cwd: cwd.as_ref(),
                owner: &ambient.owner,
            };
            let key = match &provider.key {
                Some(source) => Some(key::resolve(source, &ring).await?),
                None => None,
            };
            let kind = match provider.kind {
                ProviderKind::Openai => "openai",
                ProviderKind::Azure => "azure",
                ProviderKind::Anthropic => "anthropic",
            };
            Some(ProviderSpec {
                kind: kind.to_owned(),
                base_url: provider.base_url.clone(),
                wire_api: provider.wire_api.clone(),
                key,
                bearer: provider.key == Some(KeySource::Env(BEARER_VARIABLE.to_owned())),
                azure_api_version: provider.azure_api_version.clone(),
                headers: provider.headers.clone(),
                max_prompt_tokens: provider.max_prompt_tokens,
            })
        }
        _ => None,
    };
    let system_message = options
        .system_message
        .as_ref()
        .map(|message| (message.text.clone(), message.mode == SystemMessageMode::Replace));
    let mcp_servers = mcp::resolved(options, secrets, cwd, ambient)?;
    let mut spec = SessionSpec {
        runtime,
        cwd: PathBuf::from(cwd),
        model: options.model.clone(),
        effort: options.reasoning_effort.map(|it| events::core_effort(it).as_str().to_owned()),
        provider,
        system_message,
        available_tools: options.available_tools.clone(),
        excluded_tools: options.excluded_tools.clone(),
        skill_directories: options.skill_directories.iter().map(PathBuf::from).collect(),
        disabled_skills: options.disabled_skills.clone(),
        built_in_skills: None,
        mcp_servers,
        streaming: options.streaming.unwrap_or(true),
        context_budget: options.context_budget,
        tape: None,
        cli: options.use_cli.then(|| use_cli::rules(&options.approval)),
    };
    skills::settle(options, &mut spec).await?;
    Ok(spec)
}

/// The mode's name on the wire, from the store's text.
pub fn mode_from(name: &str) -> Mode {
    [Mode::Ralph, Mode::Plan, Mode::Fleet, Mode::Council]
        .into_iter()
        .find(|mode| mode.as_str() == name)
        .unwrap_or(Mode::Chat)
}
