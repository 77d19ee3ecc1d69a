//! `status`: how everything is, without starting anything.

use std::time::Duration;

use copex_proto::health::{AuthStatus, DaemonStatus, ListResponse, PoolStatus};
use copex_proto::run::RunSummary;
use copex_proto::spend::SpendReport;
use serde_json::{Value, json};

use crate::cli::JsonFlag;
use crate::clock;
use crate::commands::{metrics, models, runs};
use crate::connect::Connection;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::render::{self, brief, bytes, duration};
use crate::settings::{self, Given, Settings};

/// The sign-in may have to be asked from a runtime that is not up; `doctor` waits for it.
const SIGN_IN_PATIENCE: Duration = Duration::from_secs(2);

/// Runs shown; the count is of all.
const SHOWN: u32 = 10;

/// Prints how things are.
pub(crate) fn run(ctx: &Context, flag: &JsonFlag) -> Result<Exit> {
    let settings = settings::load(ctx, Given::default())?;
    let Some(mut connection) = Connection::running(ctx)? else {
        return not_running(ctx, flag);
    };
    let filter = json!({ "filter": { "states": runs::ACTIVE }, "limit": SHOWN });
    let daemon = connection.send("daemon.status", &json!({}))?;
    let pool = connection.send("pool.status", &json!({}))?;
    let active = connection.send("run.list", &filter)?;
    let today = json!({ "since": clock::unix_ms(), "by": "model" });
    let spend = connection.send("spend.get", &today)?;
    let daemon: DaemonStatus = connection.answer(daemon)?;
    let pool: PoolStatus = connection.answer(pool)?;
    let active: ListResponse = connection.answer(active)?;
    let spend: SpendReport = connection.answer(spend)?;
    // With an endpoint of the user's own nobody needs to be signed in. And only a runtime
    // knows who is: one is not started for that here.
    let auth = if settings.config.provider.is_some() || pool.runtimes.is_empty() {
        None
    } else {
        let query = json!({ "query": models::query(ctx, &settings) });
        Some(connection.send("auth.status", &query)?)
    };
    connection.patience(SIGN_IN_PATIENCE);
    let auth: Option<AuthStatus> = auth.and_then(|call| connection.answer(call).ok());
    if flag.json {
        render::value(&json!({
            "running": true,
            "daemon": daemon,
            "pool": pool,
            "auth": auth,
            "provider": provider(&settings),
            "runs": active.runs,
            "spend": spend,
        }))?;
        return Ok(Exit::Done);
    }
    let mut rows = daemon_rows(&daemon);
    rows.extend(pool_rows(&pool));
    rows.push(backend_row(&settings, auth.as_ref()));
    rows.push(row("spend today", metrics::today(&spend)));
    rows.push(row("runs", format!("{} active", daemon.active_runs)));
    rows.extend(active.runs.iter().map(run_row));
    rows.extend(daemon.notes.iter().map(|text| row("note", text.clone())));
    render::text(render::table(&rows).as_bytes())?;
    Ok(Exit::Done)
}

fn not_running(ctx: &Context, flag: &JsonFlag) -> Result<Exit> {
    if flag.json {
        render::value(&json!({ "running": false, "socket": ctx.socket()? }))?;
    } else {
        render::line(&format!("copexd  not running ({})", ctx.socket()?.display()))?;
    }
    Ok(Exit::Unavailable)
}

fn row(name: &str, text: impl Into<String>) -> Vec<String> {
    vec![name.to_owned(), text.into()]
}

fn daemon_rows(daemon: &DaemonStatus) -> Vec<Vec<String>> {
    let phase = serde_json::to_value(daemon.phase).unwrap_or_default();
    let up = clock::unix_ms().saturating_sub(daemon.started_at);
    vec![
        row(
            "copexd",
            format!(
                "{} {}, pid {}, up {}, {}",
                daemon.version,
                phase.as_str().unwrap_or("?"),
                daemon.pid,
                duration(up),
                bytes(daemon.rss_bytes),
            ),
        ),
        row("socket", format!("{} ({})", daemon.socket, daemon.supervisor)),
    ]
}

fn pool_rows(pool: &PoolStatus) -> Vec<Vec<String>> {
    let mut rows: Vec<_> = pool
        .runtimes
        .iter()
        .map(|runtime| {
            let version = runtime.version.as_deref().unwrap_or("?");
            row(
                "runtime",
                format!(
                    "{} {version}, pid {}, {} busy, {} idle, {} spare, {}",
                    runtime.program,
                    runtime.pid,
                    runtime.busy_sessions,
                    runtime.idle_sessions,
                    runtime.spare_sessions,
                    bytes(runtime.rss_bytes),
                ),
            )
        })
        .collect();
    if let Some(problem) = &pool.problem {
        rows.push(row("runtime", problem.message.clone()));
    } else if rows.is_empty() {
        rows.push(row("runtime", "none yet; the first run starts one"));
    }
    rows
}

fn backend_row(settings: &Settings, auth: Option<&AuthStatus>) -> Vec<String> {
    if let Some(provider) = &settings.config.provider {
        let model = settings.config.model.as_deref().unwrap_or("its own model");
        return row("provider", format!("{}, {model}", provider.base_url));
    }
    match auth {
        Some(auth) => match &auth.login {
            Some(login) if auth.authenticated => row("sign-in", login.clone()),
            _ => row("sign-in", auth.message.clone()),
        },
        None => row("sign-in", "not known yet; copexctl doctor waits for it"),
    }
}

fn provider(settings: &Settings) -> Value {
    match &settings.config.provider {
        Some(provider) => json!({
            "type": provider.kind,
            "base_url": provider.base_url,
            "model": settings.config.model,
        }),
        None => Value::Null,
    }
}

fn run_row(run: &RunSummary) -> Vec<String> {
    row("", format!("{} {} {}", run.run, runs::state_name(run.state), brief(&run.title, 60)))
}
