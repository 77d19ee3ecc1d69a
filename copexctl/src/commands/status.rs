//! `status`: how everything is, without starting anything.

use std::time::Duration;

use copex_proto::ask::AskList;
use copex_proto::breaker::{BreakerList, BreakerState};
use copex_proto::health::{
    AuthStatus, DaemonStatus, ListResponse, PoolStatus, Recycled, RuntimeStatus, Warmth,
};
use copex_proto::run::RunSummary;
use copex_proto::spend::SpendReport;
use serde_json::{Value, json};

use crate::cli::JsonFlag;
use crate::clock;
use crate::commands::{breakers, inbox, metrics, models, runs, sign_in};
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
    let asks = inbox::count(&mut connection)?;
    let health = connection.send("breaker.list", &json!({}))?;
    let today = json!({ "since": clock::unix_ms(), "by": "model" });
    let spend = connection.send("spend.get", &today)?;
    let daemon: DaemonStatus = connection.answer(daemon)?;
    let pool: PoolStatus = connection.answer(pool)?;
    let active: ListResponse = connection.answer(active)?;
    let asks: AskList = connection.answer(asks)?;
    let health: BreakerList = connection.answer(health)?;
    let spend: SpendReport = connection.answer(spend)?;
    // With an endpoint of the user's own nobody needs to be signed in. Only a runtime knows who
    // is: the daemon starts one for that, as for a run.
    let auth = if settings.config.provider.is_some() {
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
            "health": health,
            "auth": auth,
            "provider": provider(&settings),
            "runs": active.runs,
            "asks_waiting": asks.waiting,
            "spend": spend,
        }))?;
        return Ok(Exit::Done);
    }
    let mut rows = daemon_rows(&daemon);
    rows.extend(pool_rows(&pool));
    let told = sign_in::lines(ctx, &settings, auth.as_ref());
    rows.extend(told.into_iter().map(|(name, text)| row(&name, text)));
    rows.extend(health_rows(&health));
    rows.push(row("spend today", metrics::today(&spend)));
    rows.push(row("runs", format!("{} active", daemon.active_runs)));
    rows.extend(active.runs.iter().map(run_row));
    rows.extend(inbox::waiting(asks.waiting).map(|words| row("inbox", words)));
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
        row("socket", socket(daemon)),
    ]
}

/// Where it listens, and who keeps it running where somebody does.
fn socket(daemon: &DaemonStatus) -> String {
    match daemon.supervisor.as_str() {
        "none" => daemon.socket.clone(),
        supervisor => format!("{} (kept by {supervisor})", daemon.socket),
    }
}

fn pool_rows(pool: &PoolStatus) -> Vec<Vec<String>> {
    let mut rows: Vec<_> =
        pool.runtimes.iter().map(|runtime| row("runtime", runtime_text(runtime))).collect();
    if let Some(problem) = &pool.problem {
        rows.push(row("runtime", problem.message.clone()));
    } else if rows.is_empty() {
        rows.push(row("runtime", "none yet; the first run starts one"));
    }
    let warm = pool.warm.clone().unwrap_or_default();
    rows.extend(warmth_text(&warm, &pool.recycled).map(|text| row("pool", text)));
    rows
}

/// One runtime at a glance: what it is, who is in it, what it weighs, how fast it answers.
fn runtime_text(runtime: &RuntimeStatus) -> String {
    let version = runtime.version.as_deref().unwrap_or("?");
    let up = clock::unix_ms().saturating_sub(runtime.started_at);
    let mut weight = bytes(runtime.rss_bytes);
    if let Some(tree) = runtime.tree.as_ref().filter(|tree| tree.processes > 1) {
        let all = bytes(tree.rss_bytes);
        weight = format!("{weight} ({all} in {} processes)", tree.processes);
    }
    let answers = runtime.latency.as_ref().map(|latency| {
        let (first, now) = (short(latency.baseline_us), short(latency.latest_us));
        if first == now {
            format!("answers in {now}")
        } else {
            format!("answers in {now} (at first {first})")
        }
    });
    let leaving = runtime.leaving.as_ref().map(|reason| format!("leaving ({reason})"));
    let mut parts = vec![
        format!("{} {version}", runtime.program),
        format!("pid {}", runtime.pid),
        format!("up {}", duration(up)),
        format!("{} busy", runtime.busy_sessions),
        format!("{} idle", runtime.idle_sessions),
        format!("{} spare", runtime.spare_sessions),
        weight,
    ];
    parts.extend(answers);
    parts.extend(leaving);
    parts.join(", ")
}

/// A latency for people: tenths of a millisecond while they matter.
fn short(us: u64) -> String {
    let (whole, tenths) = (us / 1_000, us % 1_000 / 100);
    if whole < 10 { format!("{whole}.{tenths} ms") } else { format!("{whole} ms") }
}

/// How often what a run needed was warm, and which runtimes left; nothing before any run.
fn warmth_text(warm: &Warmth, recycled: &[Recycled]) -> Option<String> {
    let hits = warm.spare_hits + warm.idle_hits;
    let runs = hits + warm.spare_misses + warm.idle_misses;
    let mut parts = Vec::new();
    if runs > 0 {
        parts.push(format!("{hits} of {runs} sessions were warm"));
    }
    let reasons: Vec<String> =
        recycled.iter().map(|it| format!("{} {}", it.count, it.reason)).collect();
    if !reasons.is_empty() {
        parts.push(format!("runtimes let go: {}", reasons.join(", ")));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Models that are left alone: open breakers, and limits that hold.
fn health_rows(health: &BreakerList) -> Vec<Vec<String>> {
    let open = health.breakers.iter().filter(|it| it.state != BreakerState::Closed);
    let rows = open.map(breakers::breaker_row).chain(health.limits.iter().map(breakers::limit_row));
    let one = |cells: Vec<String>| row(&cells[0], cells[1..].join(", "));
    rows.map(one).collect()
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
    row("", format!("{} {} {}", run.run, runs::standing(run), brief(&run.title, 60)))
}

#[cfg(test)]
mod tests {
    use copex_proto::health::{Latency, TreeUsage};

    use super::*;

    fn runtime() -> RuntimeStatus {
        RuntimeStatus {
            pid: 42,
            program: "copilot-runtime".to_owned(),
            version: Some("1.0.102".to_owned()),
            busy_sessions: 1,
            idle_sessions: 2,
            spare_sessions: 3,
            rss_bytes: 130 << 20,
            started_at: clock::unix_ms(),
            leaving: None,
            tree: Some(TreeUsage { processes: 1, rss_bytes: 130 << 20, cpu_ms: 10 }),
            latency: None,
        }
    }

    #[test]
    fn a_runtime_is_one_line_with_what_matters() {
        let plain = runtime_text(&runtime());
        assert!(plain.starts_with("copilot-runtime 1.0.102, pid 42, up "), "{plain}");
        assert!(plain.ends_with("1 busy, 2 idle, 3 spare, 130 MB"), "{plain}");
        let busy = RuntimeStatus {
            tree: Some(TreeUsage { processes: 4, rss_bytes: 300 << 20, cpu_ms: 10 }),
            latency: Some(Latency { baseline_us: 1_234, latest_us: 250_000 }),
            leaving: Some("latency".to_owned()),
            ..runtime()
        };
        let words = "130 MB (300 MB in 4 processes), answers in 250 ms (at first 1.2 ms), \
                     leaving (latency)";
        assert!(runtime_text(&busy).ends_with(words), "{}", runtime_text(&busy));
    }

    #[test]
    fn the_pool_says_how_often_it_was_warm_and_who_left() {
        let mut warm = Warmth::default();
        assert_eq!(warmth_text(&warm, &[]), None);
        warm.spare_hits = 3;
        warm.idle_misses = 1;
        let gone = Recycled { reason: "age".to_owned(), count: 2, last_at: 0 };
        let text = warmth_text(&warm, &[gone]).unwrap();
        assert_eq!(text, "3 of 4 sessions were warm; runtimes let go: 2 age");
    }
}
