//! `doctor`: everything copex needs, each with its way out. Starts nothing.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use copex_proto::config::{ClientConfig, Severity};
use copex_proto::health::{AuthStatus, DaemonStatus, PoolStatus};
use serde::Serialize;
use serde_json::json;

use crate::cli::JsonFlag;
use crate::commands::{login, models, sign_in};
use crate::connect::Connection;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::settings::{self, Given, Settings, in_words};
use crate::{process, render};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    level: Level,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Default)]
struct Report(Vec<Check>);

impl Report {
    fn ok(&mut self, name: &'static str, message: impl Into<String>) {
        self.0.push(Check { name, level: Level::Ok, message: message.into(), hint: None });
    }

    fn bad(&mut self, name: &'static str, level: Level, message: impl Into<String>, hint: &str) {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        self.0.push(Check { name, level, message: message.into(), hint });
    }

    fn failure(&mut self, name: &'static str, level: Level, failure: &Failure) {
        let hint = match failure {
            Failure::Told { info, .. } => info.hint.clone(),
            Failure::OutputClosed => None,
        };
        self.0.push(Check { name, level, message: failure.to_string(), hint });
    }
}

/// Prints the report; exit 1 when a check failed.
pub(crate) fn run(ctx: &Context, flag: &JsonFlag) -> Result<Exit> {
    let mut report = Report::default();
    let settings = config(ctx, &mut report);
    state_dir(ctx, &mut report);
    copilot(ctx, settings.as_ref(), &mut report);
    daemon(ctx, settings.as_ref(), &mut report);
    let failed = report.0.iter().any(|check| check.level == Level::Fail);
    if flag.json {
        render::value(&json!({ "ok": !failed, "checks": report.0 }))?;
    } else {
        let mut text = String::new();
        for check in &report.0 {
            let level = match check.level {
                Level::Ok => "ok  ",
                Level::Warn => "warn",
                Level::Fail => "FAIL",
            };
            let _ = writeln!(text, "{level}  {:<10} {}", check.name, check.message);
            if let Some(hint) = &check.hint {
                let _ = writeln!(text, "      {:<10} -> {hint}", "");
            }
        }
        render::text(text.as_bytes())?;
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn config(ctx: &Context, report: &mut Report) -> Option<Settings> {
    let (merged, cwd) = match settings::merge(ctx, Given::default()) {
        Ok(merged) => merged,
        Err(failure) => {
            report.failure("config", Level::Fail, &failure);
            return None;
        }
    };
    for problem in merged.problems() {
        let level = if problem.severity == Severity::Error { Level::Fail } else { Level::Warn };
        report.bad("config", level, in_words(problem), "");
    }
    match ClientConfig::from_merged(&merged) {
        Ok(config) => {
            if merged.problems().is_empty() {
                report.ok("config", ctx.config_file().display().to_string());
            }
            Some(Settings { config, merged, cwd })
        }
        Err(problem) => {
            if merged.error().is_none() {
                report.bad("config", Level::Fail, in_words(&problem), "");
            }
            None
        }
    }
}

fn state_dir(ctx: &Context, report: &mut Report) {
    let folder = &ctx.state_dir;
    let existing = folder.ancestors().find(|folder| folder.is_dir());
    match existing.map(tempfile::NamedTempFile::new_in) {
        Some(Ok(_)) => report.ok("state", folder.display().to_string()),
        Some(Err(error)) => {
            let words = format!("{} cannot be written: {error}", folder.display());
            report.bad("state", Level::Fail, words, "make room or mend its permissions");
        }
        None => report.bad("state", Level::Fail, "no folder for the state exists", "set HOME"),
    }
}

fn copilot(ctx: &Context, settings: Option<&Settings>, report: &mut Report) {
    let named = settings.and_then(|settings| settings.config.cli_path.as_deref());
    let Some(program) = login::find(ctx, named.map(std::path::Path::new)) else {
        let words = match named {
            Some(path) => format!("cli_path {path} is not a program"),
            None => "the Copilot CLI was not found".to_owned(),
        };
        return report.bad("copilot", Level::Fail, words, login::INSTALL);
    };
    if let Some(version) = process::version_of(&program) {
        report.ok("copilot", format!("{version} ({})", program.display()));
    } else {
        let words = format!("{} does not tell its version", program.display());
        report.bad("copilot", Level::Fail, words, login::INSTALL);
    }
}

fn daemon(ctx: &Context, settings: Option<&Settings>, report: &mut Report) {
    let socket = match ctx.socket() {
        Ok(socket) => socket,
        Err(failure) => return report.failure("socket", Level::Fail, &failure),
    };
    let folder = socket.parent().and_then(|folder| fs::metadata(folder).ok());
    if folder.is_some_and(|meta| meta.permissions().mode() & 0o077 != 0) {
        let words = format!("others may enter the folder of {}", socket.display());
        report.bad("socket", Level::Fail, words, "chmod 700 that folder");
    } else {
        report.ok("socket", socket.display().to_string());
    }
    let mut connection = match Connection::running(ctx) {
        Ok(Some(connection)) => connection,
        Ok(None) => {
            return match ctx.daemon_program() {
                Ok(program) => {
                    let words = format!("not running; {} starts when needed", program.display());
                    report.bad("copexd", Level::Warn, words, "copexctl daemon start");
                }
                Err(failure) => report.failure("copexd", Level::Fail, &failure),
            };
        }
        Err(failure) => return report.failure("copexd", Level::Fail, &failure),
    };
    running(&mut connection, report);
    backend(ctx, &mut connection, settings, report);
}

fn running(connection: &mut Connection, report: &mut Report) {
    match connection.call::<DaemonStatus>("daemon.status", &json!({})) {
        Ok(status) if status.version == env!("CARGO_PKG_VERSION") => {
            report.ok("copexd", format!("{}, pid {}", status.version, status.pid));
            for note in status.notes {
                report.bad("copexd", Level::Warn, note, "");
            }
        }
        Ok(status) => {
            let words =
                format!("{} runs, copexctl is {}", status.version, env!("CARGO_PKG_VERSION"));
            report.bad("copexd", Level::Warn, words, "copexctl daemon restart");
        }
        Err(failure) => report.failure("copexd", Level::Fail, &failure),
    }
    match connection.call::<PoolStatus>("pool.status", &json!({})) {
        Ok(PoolStatus { problem: Some(problem), .. }) => {
            let hint = problem.hint.unwrap_or_default();
            report.bad("runtime", Level::Fail, problem.message, &hint);
        }
        Ok(pool) => report.ok("runtime", format!("{} alive", pool.runtimes.len())),
        Err(failure) => report.failure("runtime", Level::Fail, &failure),
    }
}

fn backend(
    ctx: &Context,
    connection: &mut Connection,
    settings: Option<&Settings>,
    report: &mut Report,
) {
    let Some(settings) = settings else { return };
    if let Some(provider) = &settings.config.provider {
        return report.ok("provider", provider.base_url.clone());
    }
    let query = json!({ "query": models::query(ctx, settings) });
    match connection.call::<AuthStatus>("auth.status", &query) {
        Ok(auth) if auth.authenticated => {
            report.ok("sign-in", sign_in::who(ctx, &auth));
        }
        Ok(auth) => {
            report.bad("sign-in", Level::Warn, auth.message, "copexctl login, or set [provider]");
        }
        Err(failure) => report.failure("sign-in", Level::Warn, &failure),
    }
}
