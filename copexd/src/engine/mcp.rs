//! MCP servers of a run, and whether they start.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::mcp::{
    self, McpCheck, McpChecked, McpError, McpReport, McpTool, Servers, Surroundings,
};
use copex_proto::run::{RunOptions, RunRequest};
use copex_proto::secret::Secret;
use serde_json::Value;

use super::chain::public;
use super::prepare::{self, Ambient};
use super::{Engine, enquire, events};
use crate::core::failure::{Failure, FailureClass};
use crate::core::redact::Redactor;

/// How long a server may take to start when nothing else is said: `npx` and `uvx` may have to
/// fetch it first.
const CHECK_S: f64 = 30.0;

/// The longest that may be said: the Copilot CLI itself gives up after it.
const MOST_CHECK_S: f64 = 60.0;

/// Servers of one request: each is a process.
const MOST_SERVERS: usize = 64;

/// Brings the servers of a request into one form, takes the secrets that are written out in
/// them away into its secrets, and sees that what they refer to is there.
///
/// # Errors
/// `Usage`, naming the server.
pub(super) fn settle(request: &mut RunRequest, ambient: &Ambient) -> Result<(), ErrorInfo> {
    let mut secrets = std::mem::take(&mut request.options_mut().secrets);
    let mut settle_one = |servers: &mut Servers| {
        *servers = normal(std::mem::take(servers))?;
        mcp::hide(servers, &mut secrets, &is_token);
        Ok(())
    };
    settle_one(&mut request.options_mut().mcp_servers).map_err(usage)?;
    if let RunRequest::Fleet(fleet) = request {
        for task in &mut fleet.tasks {
            settle_one(&mut task.mcp_servers).map_err(|error| of_task(&task.id, error))?;
        }
    }
    request.options_mut().secrets = secrets;
    let options = request.options();
    let try_out = |servers| put_in(servers, options, &options.secrets, "/", ambient).map(drop);
    try_out(&options.mcp_servers).map_err(usage)?;
    if let RunRequest::Fleet(fleet) = &*request {
        for task in &fleet.tasks {
            try_out(&task.mcp_servers).map_err(|error| of_task(&task.id, error))?;
        }
    }
    Ok(())
}

/// Whether a text has a token of a well-known service in it.
fn is_token(text: &str) -> bool {
    matches!(Redactor::default().text(text), Cow::Owned(_))
}

fn of_task(id: &str, error: McpError) -> ErrorInfo {
    let message = format!("task `{id}`: {}", error.message);
    usage(McpError { message, ..error })
}

fn usage(error: McpError) -> ErrorInfo {
    let info = ErrorInfo::new(ErrorClass::Usage, error.message);
    match error.hint {
        Some(hint) => info.with_hint(hint),
        None => info,
    }
}

fn normal(servers: Servers) -> Result<Servers, McpError> {
    let mut normal = Servers::new();
    if servers.len() > MOST_SERVERS {
        let message = format!("{} MCP servers are more than {MOST_SERVERS}", servers.len());
        return Err(McpError { message, hint: None, variable: None });
    }
    for (name, server) in servers {
        if let Some(server) = mcp::normalise(&name, server)? {
            normal.insert(name, server);
        }
    }
    Ok(normal)
}

fn put_in(
    servers: &Servers,
    options: &RunOptions,
    secrets: &BTreeMap<String, Secret>,
    folder: &str,
    ambient: &Ambient,
) -> Result<Servers, McpError> {
    let variable = |name: &str| {
        let offered = secrets.get(name).map(Secret::reveal);
        let sent = || options.env.as_ref().and_then(|env| env.get(name)).map(String::as_str);
        let own = || ambient.env.get(name).map(String::as_str);
        offered.or_else(sent).or_else(own).map(str::to_owned)
    };
    let home = ambient.home.to_string_lossy();
    mcp::resolve(servers, &Surroundings { variable: &variable, folder, home: &home })
}

/// The servers as they are started, secrets put in: for memory only.
///
/// # Errors
/// `Auth` when a variable that one refers to is not set: it was when the run began.
pub(super) fn resolved(
    options: &RunOptions,
    secrets: &BTreeMap<String, Secret>,
    folder: &str,
    ambient: &Ambient,
) -> Result<Servers, Failure> {
    put_in(&options.mcp_servers, options, secrets, folder, ambient).map_err(|error| {
        let mut failure = Failure::new(FailureClass::Auth, error.message);
        failure.needs_key = error.variable;
        match error.hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    })
}

impl Engine {
    /// Has the Copilot CLI start servers and lists their tools.
    ///
    /// # Errors
    /// `Usage` for what cannot be started at all, and when there is no Copilot CLI. A server
    /// that fails is part of the answer.
    pub async fn check_mcp(&self, check: McpCheck) -> Result<McpReport, ErrorInfo> {
        let seconds = check.timeout_s.unwrap_or(CHECK_S);
        if !(seconds > 0.0 && seconds <= MOST_CHECK_S) {
            let message = format!("timeout_s is {seconds}; it goes from 0 to {MOST_CHECK_S}");
            return Err(ErrorInfo::new(ErrorClass::Usage, message));
        }
        let (options, mut secrets) = enquire::as_options(check.query);
        let ambient = &self.inner.ambient;
        let cwd = check.cwd.unwrap_or_else(|| ambient.home.to_string_lossy().into_owned());
        let mut servers = normal(check.servers).map_err(usage)?;
        let spec = prepare::runtime_spec(&options, &secrets, ambient);
        // What is written out in them is known as secret from here on.
        mcp::hide(&mut servers, &mut secrets, &is_token);
        let redactor = Redactor::new(secrets.values().map(Secret::reveal));
        let mut report = McpReport::default();
        let mut ready = Vec::new();
        for (name, server) in servers {
            let one: Servers = [(name.clone(), server.clone())].into();
            match put_in(&one, &options, &secrets, &cwd, ambient) {
                Ok(one) => ready.extend(one),
                Err(error) => {
                    let transport = mcp::transport(&server).to_owned();
                    let hint = error.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                    let error = Some(format!("{}{hint}", error.message));
                    let failed = McpChecked {
                        name,
                        transport,
                        ok: false,
                        took_ms: 0,
                        tools: Vec::new(),
                        error,
                    };
                    report.servers.push(failed);
                }
            }
        }
        if !ready.is_empty() {
            let failed = |failure: Failure| events::error_info(&failure);
            let runtime = self.inner.pool.runtime(&spec).await.map_err(failed)?;
            let most = Duration::from_secs_f64(seconds);
            let started: Servers = ready.iter().cloned().collect();
            let checked = runtime.check_mcp(&cwd, ready, most).await.map_err(failed)?;
            report.servers.extend(checked.into_iter().map(|one| {
                let server = started.get(&one.name);
                let why = |words: String| match server {
                    Some(server) => why(server, (&cwd, &spec.env), &words),
                    None => words,
                };
                McpChecked {
                    name: one.name,
                    transport: one.transport,
                    ok: one.error.is_none(),
                    took_ms: one.took_ms,
                    tools: one
                        .tools
                        .into_iter()
                        .map(|(name, description)| McpTool { name, description })
                        .collect(),
                    error: one.error.map(|words| redactor.said(&why(words))),
                }
            }));
        }
        report.servers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(report)
    }
}

/// What the CLI says of an address at which nobody answers, without a word of the reason.
const UNREACHED: &str = "error sending request for url";

/// Why a server failed. For one that is a process this names its program, and where there is
/// no such program it says so: the words of the operating system name no file.
fn why(server: &Value, (folder, env): (&str, &BTreeMap<String, String>), words: &str) -> String {
    let Some(command) = server["command"].as_str() else {
        let url = server["url"].as_str().filter(|_| words.contains(UNREACHED));
        let Some(address) = url.map(public) else { return words.to_owned() };
        return format!("nobody answers at {address}; start it, or correct `url` of the server");
    };
    let folder = Path::new(folder).join(server["cwd"].as_str().unwrap_or_default());
    let (files, place): (Vec<PathBuf>, _) = if command.contains('/') {
        let place = if command.starts_with('/') { "there" } else { "below its folder" };
        (vec![folder.join(command)], place)
    } else {
        let path = server["env"]["PATH"].as_str();
        let path = path.or_else(|| env.get("PATH").map(String::as_str)).unwrap_or_default();
        (std::env::split_paths(path).map(|it| it.join(command)).collect(), "on the PATH")
    };
    let there = files.iter().filter(|file| file.is_file());
    let runs = |it: &&PathBuf| it.metadata().is_ok_and(|it| it.permissions().mode() & 0o111 != 0);
    match (there.clone().find(runs), there.clone().next()) {
        (Some(_), _) => format!("`{command}`: {words}"),
        (None, Some(file)) => {
            format!(
                "{} may not be executed; `chmod +x` it, or name its interpreter",
                file.display()
            )
        }
        (None, None) => format!(
            "`{command}` is not {place}; install it, or write its path in `command` of the server"
        ),
    }
}

#[cfg(test)]
mod tests {
    use copex_proto::run::ChatRequest;
    use serde_json::json;

    use super::*;
    use crate::backend::process::Owner;

    fn ambient() -> Ambient {
        Ambient {
            env: BTreeMap::new(),
            home: "/".into(),
            owner: Owner::here("test"),
            state: "/".into(),
            notify: copex_proto::config::NotifyConfig::default(),
        }
    }

    fn request(server: serde_json::Value) -> RunRequest {
        let mut options = RunOptions { env: Some(BTreeMap::new()), ..RunOptions::default() };
        options.mcp_servers.insert("a".to_owned(), server);
        RunRequest::Chat(ChatRequest { prompt: "x".to_owned(), compact: false, options })
    }

    #[test]
    fn what_is_stored_of_a_request_has_no_secrets_of_servers() {
        let token = format!("ghp_{}", "a".repeat(36));
        let args = ["--password", "sesame", "-v", &token];
        let server = json!({"command": "x", "args": args, "env": {"API_KEY": "sesame"}});
        let mut request = request(server);
        settle(&mut request, &ambient()).unwrap();
        let secrets = std::mem::take(&mut request.options_mut().secrets);
        let stored = serde_json::to_string(&request).unwrap();
        assert!(!stored.contains("sesame") && !stored.contains(&token), "{stored}");
        let started = resolved(request.options(), &secrets, "/", &ambient()).unwrap();
        assert_eq!(started["a"]["env"]["API_KEY"], "sesame");
        assert_eq!(started["a"]["args"], json!(args));
        // The daemon that held it is gone.
        let failure = resolved(request.options(), &BTreeMap::new(), "/", &ambient()).unwrap_err();
        assert_eq!(failure.class, FailureClass::Auth);
        assert!(failure.message.contains("in memory only"), "{failure}");
    }

    #[test]
    fn a_variable_that_is_not_set_is_refused_before_anything_runs() {
        let mut request = request(json!({"command": "x", "args": ["${env:COPEX_NOT_SET}"]}));
        let info = settle(&mut request, &ambient()).unwrap_err();
        assert_eq!(info.class, ErrorClass::Usage);
        assert!(info.message.contains("COPEX_NOT_SET"), "{info}");
    }
}
