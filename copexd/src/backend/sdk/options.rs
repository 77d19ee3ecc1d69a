//! From a session's specification to the SDK's configuration types.

use std::collections::HashMap;
use std::sync::Arc;

use github_copilot_sdk::handler::{PermissionHandler, UserInputHandler};
use github_copilot_sdk::types::{
    AzureProviderOptions, InfiniteSessionConfig, McpServerConfig, ProviderConfig,
    ResumeSessionConfig, SessionConfig, SystemMessageConfig,
};

use crate::backend::spec::{ProviderSpec, SessionSpec};
use crate::core::failure::{Failure, FailureClass};

use super::demo;

/// Events that the SDK holds until our pump takes them, which does nothing else and has a
/// queue of its own to put them. A runtime makes at most 10,000 events a second: this is a
/// tenth of a second in which the pump is not scheduled. The SDK takes the whole room at
/// once, 0.3 KB an event, for as long as the session is open.
const EVENT_BUFFER: usize = 1_024;

/// How we appear in the CLI's own logs.
const CLIENT_NAME: &str = "copex";

/// The handlers that a session needs.
pub struct Handlers {
    /// Takes permission requests.
    pub permission: Arc<dyn PermissionHandler>,
    /// Takes the agent's questions.
    pub user_input: Arc<dyn UserInputHandler>,
}

macro_rules! fill {
    ($config:ident, $spec:ident, $handlers:ident) => {{
        $config.model = $spec.model.clone();
        $config.client_name = Some(CLIENT_NAME.to_owned());
        $config.reasoning_effort = $spec.effort.clone();
        $config.streaming = Some($spec.streaming);
        $config.system_message = system_message($spec);
        $config.available_tools = $spec.available_tools.clone();
        $config.excluded_tools =
            (!$spec.excluded_tools.is_empty()).then(|| $spec.excluded_tools.clone());
        $config.skill_directories =
            (!$spec.skill_directories.is_empty()).then(|| $spec.skill_directories.clone());
        $config.disabled_skills =
            (!$spec.disabled_skills.is_empty()).then(|| $spec.disabled_skills.clone());
        $config.included_builtin_skills = $spec.built_in_skills.clone();
        $config.mcp_servers = mcp_servers($spec)?;
        $config.working_directory = Some($spec.cwd.clone());
        $config.infinite_sessions = infinite($spec);
        $config.provider = if $spec.runtime.demo {
            Some(demo::provider())
        } else {
            $spec.provider.as_ref().map(|it| provider(it, $spec.context_budget))
        };
        if $spec.runtime.demo {
            $config.model = Some(demo::MODEL.to_owned());
        }
        $config.event_buffer_capacity = Some(EVENT_BUFFER);
        $config = $config.with_permission_handler($handlers.permission);
        $config = $config.with_user_input_handler($handlers.user_input);
        $config
    }};
}

/// Options for a new session under an id of ours.
///
/// # Errors
/// `Usage` when an MCP server's description cannot be read.
pub fn create(spec: &SessionSpec, id: &str, handlers: Handlers) -> Result<SessionConfig, Failure> {
    let mut config = SessionConfig::default().with_session_id(id);
    Ok(fill!(config, spec, handlers))
}

/// Options for an existing session. Everything must be given again. Whether tools that wait
/// for a decision go on waiting is `waits`; otherwise they count as interrupted.
///
/// # Errors
/// `Usage` when an MCP server's description cannot be read.
pub fn resume(
    spec: &SessionSpec,
    id: &str,
    handlers: Handlers,
    waits: bool,
) -> Result<ResumeSessionConfig, Failure> {
    let mut config =
        ResumeSessionConfig::new(id.to_owned().into()).with_continue_pending_work(waits);
    Ok(fill!(config, spec, handlers))
}

fn system_message(spec: &SessionSpec) -> Option<SystemMessageConfig> {
    let (text, replace) = spec.system_message.as_ref()?;
    let mut message = SystemMessageConfig::new();
    message.mode = Some(if *replace { "replace" } else { "append" }.to_owned());
    message.content = Some(text.clone());
    Some(message)
}

fn infinite(spec: &SessionSpec) -> Option<InfiniteSessionConfig> {
    // With a budget of the user's own the CLI compacts at 80 % of it, as it does of the
    // model's limit; for account models the budget cannot be told to the CLI.
    spec.context_budget.map(|_| InfiniteSessionConfig::new().with_enabled(true))
}

fn provider(spec: &ProviderSpec, budget: Option<u64>) -> ProviderConfig {
    let mut config = ProviderConfig::default();
    config.provider_type = Some(spec.kind.clone());
    config.base_url.clone_from(&spec.base_url);
    config.wire_api.clone_from(&spec.wire_api);
    let key = spec.key.as_ref().map(|key| key.reveal().to_owned());
    if spec.bearer {
        config.bearer_token = key;
    } else {
        config.api_key = key;
    }
    if spec.azure_api_version.is_some() {
        let mut azure = AzureProviderOptions::default();
        azure.api_version.clone_from(&spec.azure_api_version);
        config.azure = Some(azure);
    }
    if !spec.headers.is_empty() {
        config.headers = Some(spec.headers.clone().into_iter().collect::<HashMap<_, _>>());
    }
    let limit = [spec.max_prompt_tokens, budget].into_iter().flatten().min();
    config.max_prompt_tokens = limit.and_then(|tokens| i64::try_from(tokens).ok());
    config
}

/// MCP servers by name.
pub type McpServers = Option<indexmap::IndexMap<String, McpServerConfig>>;

/// The MCP servers as the SDK and the CLI take them.
///
/// # Errors
/// `Usage` when one cannot be read.
pub fn mcp_servers(spec: &SessionSpec) -> Result<McpServers, Failure> {
    if spec.mcp_servers.is_empty() {
        return Ok(None);
    }
    let mut servers = indexmap::IndexMap::new();
    for (name, value) in &spec.mcp_servers {
        let server = mcp_server(value).map_err(|error| {
            let message = format!("the MCP server `{name}` cannot be read: {error}");
            let hint = "give it `command` and `args`, or `type` (http or sse) and `url`";
            Failure::new(FailureClass::Usage, message).with_hint(hint)
        })?;
        servers.insert(name.clone(), server);
    }
    Ok(Some(servers))
}

/// Reads a server's description; what the formats of other tools leave out is filled in.
fn mcp_server(value: &serde_json::Value) -> Result<McpServerConfig, serde_json::Error> {
    let mut value = value.clone();
    if let Some(fields) = value.as_object_mut() {
        let by_url = if fields.contains_key("url") { "http" } else { "stdio" };
        fields.entry("type").or_insert_with(|| by_url.into());
        fields.entry("tools").or_insert_with(|| serde_json::json!(["*"]));
    }
    serde_json::from_value(value)
}
