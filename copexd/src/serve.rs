//! Puts the parts together, and takes them apart in the right order.
//!
//! Start: socket, then the answer "starting", then the store, then the runs that were left.
//! Stop: no new connections, tasks told, processes ended, store closed, socket removed.

use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use copex_proto::api::CopexApiServer as _;
use copex_proto::config::{DaemonConfig, PoolConfig};
use copex_proto::error::{ErrorClass, ErrorInfo};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::backend::cli;
use crate::backend::process::{self, Owner};
use crate::cli::Flags;
use crate::core::breaker::BreakerRules;
use crate::core::governor::Setup;
use crate::core::slots;
use crate::daemon::{About, Control, Phase};
use crate::engine::{Accounts, Ambient, Engine, health, store_error};
use crate::error::{StartError, exit};
use crate::pool::{Pool, PoolLimits};
use crate::rpc::methods::Api;
use crate::rpc::{self, Bound, Connections, Limits};
use crate::runtime::tasks::Tasks;
use crate::runtime::{clock, notify};
use crate::settings::Settings;
use crate::store::{OpenReport, Retention, Store, StoreOptions};
use crate::transfer;

/// How long tasks may take to end once told.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a daemon that cannot open its store answers with the reason. A client that
/// waits for the socket looks every 50 ms.
const SAY_WHY: Duration = Duration::from_millis(500);

/// How often old runs are looked for.
const RETENTION_PERIOD: Duration = Duration::from_hours(1);

/// Threads for tasks. Each is memory; nothing here computes for long.
const WORKERS: usize = 2;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// The daemon's entry: flags, environment, socket, then [`run`].
pub fn main() -> ExitCode {
    let flags = Flags::parse();
    match start(&flags) {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(error) => {
            complain(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

#[expect(clippy::print_stderr, reason = "there is no log yet when a daemon does not start")]
fn complain(error: &StartError) {
    eprintln!("copexd: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        eprintln!("  because {error}");
        cause = error.source();
    }
}

fn start(flags: &Flags) -> Result<(), StartError> {
    let settings = Settings::resolve(flags, crate::env::read())?;
    log_to_stderr(&settings.log_level);
    set_clock(&settings);
    if let Some(file) = &flags.export {
        return transfer::export(&settings.state_dir, file);
    }
    if let Some(file) = &flags.import {
        return transfer::import(&settings.state_dir, file);
    }
    // Both before any thread starts: the descriptors are taken out of the environment.
    let bound = take_socket(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("copexd")
        .enable_all()
        .build()
        .map_err(|source| StartError::System { doing: "start threads", source })?;
    runtime.block_on(run(settings, bound))
}

/// A test's daemon may be told that it is later than it is.
fn set_clock(settings: &Settings) {
    let Some(ahead) = settings.env.get(clock::AHEAD_VARIABLE) else { return };
    match ahead.parse() {
        Ok(ms) => {
            clock::set_ahead(ms);
            tracing::warn!(ms, "for a test, the clock is ahead");
        }
        Err(error) => tracing::warn!(%error, "{} is no number", clock::AHEAD_VARIABLE),
    }
}

fn take_socket(settings: &Settings) -> Result<Bound, StartError> {
    let handed: Option<UnixListener> = rpc::handed_in()
        .map_err(|source| StartError::System { doing: "take the socket from systemd", source })?;
    match handed {
        Some(listener) => Ok(rpc::adopt(listener)?),
        None => Ok(rpc::bind(&settings.socket)?),
    }
}

fn log_to_stderr(level: &str) {
    let filter = EnvFilter::try_new(format!("warn,copexd={level}"))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr);
    // Somebody may have set one: a test with several daemons in it.
    let _ = subscriber.try_init();
}

/// Serves until told to stop.
///
/// # Errors
/// When the socket or the store is not to be had.
pub async fn run(settings: Settings, bound: Bound) -> Result<(), StartError> {
    let tasks = Tasks::default();
    process::become_subreaper();
    let about = About {
        socket: bound.guard.path().to_owned(),
        state_dir: settings.state_dir.clone(),
        started_at: clock::now_ms(),
        supervised: settings.env.contains_key("NOTIFY_SOCKET"),
        settings: describe(&settings),
    };
    let control = Control::new(about, tasks.clone());
    for warning in &settings.config.warnings {
        tracing::warn!("{warning}");
    }
    let limits = Limits {
        connections: settings.config.limits.max_connections,
        request_bytes: settings.config.limits.max_message_bytes,
        ..Limits::default()
    };
    let connections = Connections::new(limits.connections);
    let api = Api {
        control: control.clone(),
        connections: connections.clone(),
        max_message_bytes: limits.request_bytes,
    };
    let system = |doing| move |source| StartError::System { doing, source };
    let listener = tokio::net::UnixListener::from_std(bound.listener)
        .map_err(system("listen on the socket"))?;
    let server = rpc::serve(
        listener,
        api.into_rpc().into(),
        limits,
        connections,
        tasks.tracker(),
        control.stopping(),
    );
    let server = tasks.spawn("socket", server);
    hear_signals(&control, &tasks)?;
    let opened = open(&settings, &control, &tasks).await;
    let engine = match opened {
        Ok(engine) => engine,
        Err(error) => {
            // Clients that waited for the store get the reason, and so do those that are
            // on their way: whoever started this daemon looks for its socket.
            let stopping = control.stopping();
            let _ = tokio::time::timeout(SAY_WHY, stopping.cancelled()).await;
            control.stop();
            let _ = tokio::time::timeout(STOP_TIMEOUT, server).await;
            return Err(error);
        }
    };
    notify::ready("serving");
    tracing::info!(socket = %bound.guard.path().display(), "serving");
    control.stopping().cancelled().await;
    notify::stopping();
    engine.leave();
    // The socket ends its calls within its own deadline.
    let _ = server.await;
    engine.pool().shut().await;
    let left = tasks.stop(STOP_TIMEOUT).await;
    engine.write_metrics().await;
    if let Err(error) = engine.store().close().await {
        tracing::error!(%error, "the store was not closed in order");
    }
    tracing::info!(left, "stopped");
    Ok(())
}

/// Opens the store, ends what a killed daemon left, and sets its runs to work again.
async fn open(settings: &Settings, control: &Control, tasks: &Tasks) -> Result<Engine, StartError> {
    let (dir, options) = store_options(&settings.state_dir);
    let opening = tokio::task::spawn_blocking(move || Store::open(&dir, options));
    let opened = opening.await.map_err(|error| StartError::System {
        doing: "open the store",
        source: std::io::Error::other(error),
    })?;
    let (store, report) = opened.inspect_err(|error| {
        // A daemon without its store is no daemon, whatever ails the store.
        let info = ErrorInfo { class: ErrorClass::Unavailable, ..store_error(error) };
        control.enter(Phase::Broken(info));
    })?;
    tell(control, &report);
    let name = digest(&settings.state_dir.to_string_lossy());
    let owner = Owner::here(&name).with_files(settings.process_files(&name));
    let sweeper = owner.clone();
    let sweep = move || {
        let ended = process::sweep(&sweeper);
        cli::sweep(sweeper.files());
        ended
    };
    let swept = tokio::task::spawn_blocking(sweep).await.unwrap_or(0);
    if swept > 0 {
        tracing::info!(swept, "ended what a killed daemon left behind");
    }
    let accounts = Accounts::load(&store, settings.config.limits.max_cost_per_day)?;
    let upstream = health::recall(&store, setup(&settings.config), accounts.meter.clone())?;
    let limits = pool_limits(&settings.config.pool);
    let pool = Pool::new(owner.clone(), tasks.clone(), limits, upstream);
    let ambient = Ambient {
        env: settings.env.clone(),
        home: settings.home.clone(),
        owner,
        state: settings.state_dir.clone(),
        notify: settings.config.notify.clone(),
    };
    let engine = Engine::new(store, pool, tasks.clone(), ambient, accounts);
    let recovered = engine.recover()?;
    if recovered > 0 {
        tracing::info!(recovered, "unfinished runs go on");
    }
    engine.remember();
    engine.prewarm(settings.config.pool.prewarm);
    tidy_up(&engine, settings, tasks);
    engine.keep_metrics();
    feed_watchdog(&engine, tasks);
    control.enter(Phase::Ready(engine.clone()));
    Ok(engine)
}

/// When models are left alone, and how much is asked of them at once.
fn setup(config: &DaemonConfig) -> Setup {
    let breaker = &config.breaker;
    let cooldown = Duration::from_secs_f64(breaker.cooldown_s);
    Setup {
        rules: BreakerRules {
            window: breaker.window as usize,
            failure_rate: breaker.failure_rate,
            min_samples: breaker.min_samples as usize,
            cooldown_ms: u64::try_from(cooldown.as_millis()).unwrap_or(u64::MAX),
        },
        panic: breaker.panic,
        ceiling: config.limits.max_running,
    }
}

fn pool_limits(config: &PoolConfig) -> PoolLimits {
    let seconds = Duration::from_secs_f64;
    let ms = |s: f64| u64::try_from(seconds(s).as_millis()).unwrap_or(u64::MAX);
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    PoolLimits {
        slots: slots::Limits {
            max_runtimes: count(config.max_runtimes),
            max_sessions: count(config.max_sessions),
            idle_ms: ms(config.max_idle_time_s),
            spares: count(config.spares),
            max_rss: config.max_runtime_rss,
            max_age_ms: ms(config.max_runtime_age_s),
        },
        start: seconds(config.start_timeout_s),
        look: seconds(config.probe_interval_s),
        ping: seconds(config.probe_timeout_s),
    }
}

/// Where the store is and how it is opened.
pub(crate) fn store_options(state_dir: &std::path::Path) -> (std::path::PathBuf, StoreOptions) {
    let epoch = uuid::Uuid::new_v4().simple().to_string();
    (state_dir.join("store"), StoreOptions::new(clock::now_ms(), &epoch[..16]))
}

fn tell(control: &Control, report: &OpenReport) {
    if let Some(salvage) = &report.salvaged {
        let note = format!(
            "the store was damaged ({}); {} records were kept, the damaged one is at {}",
            salvage.cause,
            salvage.kept,
            salvage.quarantine.display()
        );
        tracing::warn!("{note}");
        control.note(note);
    }
}

fn digest(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in &Sha256::digest(text.as_bytes())[..8] {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn describe(settings: &Settings) -> serde_json::Value {
    let config = &settings.config;
    serde_json::json!({
        "file": settings.config_path,
        "socket": settings.socket,
        "state_dir": settings.state_dir,
        "log_level": settings.log_level,
        "pool": {
            "max_runtimes": config.pool.max_runtimes,
            "max_sessions": config.pool.max_sessions,
            "max_idle_time": config.pool.max_idle_time_s,
            "start_timeout": config.pool.start_timeout_s,
            "spares": config.pool.spares,
            "prewarm": config.pool.prewarm,
            "max_runtime_rss": config.pool.max_runtime_rss,
            "max_runtime_age": config.pool.max_runtime_age_s,
            "probe_interval": config.pool.probe_interval_s,
            "probe_timeout": config.pool.probe_timeout_s,
        },
        "store": {
            "retention_days": config.store.retention_days,
            "retention_bytes": config.store.retention_bytes,
        },
        "limits": {
            "max_connections": config.limits.max_connections,
            "max_message_bytes": config.limits.max_message_bytes,
            "max_cost_per_day": config.limits.max_cost_per_day,
        },
        "notify": {
            "command": config.notify.command,
            "on": config.notify.on,
        },
    })
}

fn hear_signals(control: &Control, tasks: &Tasks) -> Result<(), StartError> {
    let hear = |kind| {
        signal(kind).map_err(|source| StartError::System { doing: "listen for signals", source })
    };
    let (mut term, mut int) = (hear(SignalKind::terminate())?, hear(SignalKind::interrupt())?);
    let mut child = hear(SignalKind::child())?;
    let (control, stopping) = (control.clone(), tasks.stopping());
    tasks.spawn("signals", async move {
        loop {
            tokio::select! {
                _ = term.recv() => control.stop(),
                _ = int.recv() => control.stop(),
                _ = child.recv() => process::reap(),
                () = stopping.cancelled() => return,
            }
        }
    });
    Ok(())
}

/// A sign of life for the supervisor, for as long as the engine and its store answer.
fn feed_watchdog(engine: &Engine, tasks: &Tasks) {
    let Some(period) = notify::watchdog_period() else { return };
    let (engine, stopping) = (engine.clone(), tasks.stopping());
    tasks.spawn("watchdog", async move {
        loop {
            if engine.answers() {
                notify::alive();
            }
            tokio::select! {
                () = tokio::time::sleep(period) => {}
                () = stopping.cancelled() => return,
            }
        }
    });
}

/// Removes runs that nobody keeps, now and every hour.
fn tidy_up(engine: &Engine, settings: &Settings, tasks: &Tasks) {
    let keep = Retention {
        max_age_ms: u64::from(settings.config.store.retention_days) * DAY_MS,
        max_bytes: settings.config.store.retention_bytes,
    };
    let (engine, stopping) = (engine.clone(), tasks.stopping());
    tasks.spawn("retention", async move {
        loop {
            let engine = engine.clone();
            let round = tokio::task::spawn_blocking(move || {
                let now = clock::now_ms();
                let old = engine.retain_accounts(now)?;
                engine.retain_plans(Duration::from_millis(keep.max_age_ms));
                engine.store().retain(keep, now).map(|report| (report, old))
            });
            match round.await {
                Ok(Ok((report, old))) => tracing::debug!(?report, old, "retention"),
                Ok(Err(error)) => tracing::warn!(%error, "old runs were not removed"),
                Err(error) => tracing::warn!(%error, "old runs were not removed"),
            }
            tokio::select! {
                () = tokio::time::sleep(RETENTION_PERIOD) => {}
                () = stopping.cancelled() => return,
            }
        }
    });
}
