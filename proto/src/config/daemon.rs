//! What the daemon needs, from the user's file only.

use std::path::Path;

use crate::config::key::{self, Scope};
use crate::config::layer::{Layer, Origin, Place};
use crate::config::merge::{Default, Merged};
use crate::config::problem::{Problem, Severity};
use crate::notify::{NOTICE_EVENTS, NoticeEvent};

/// The daemon's settings.
#[derive(Debug, Clone, std::default::Default, PartialEq)]
pub struct DaemonConfig {
    /// Runtimes and sessions.
    pub pool: PoolConfig,
    /// What is kept.
    pub store: StoreConfig,
    /// How much is taken.
    pub limits: LimitsConfig,
    /// When models are left alone.
    pub breaker: BreakerConfig,
    /// What is told.
    pub telemetry: TelemetryConfig,
    /// Who is told of runs.
    pub notify: NotifyConfig,
    /// Findings about the daemon's own keys and names nobody knows, for its log.
    pub warnings: Vec<Problem>,
}

/// Runtimes and sessions.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolConfig {
    /// The most Copilot runtimes alive.
    pub max_runtimes: u32,
    /// The most idle sessions per runtime.
    pub max_sessions: u32,
    /// Seconds an idle session stays open.
    pub max_idle_time_s: f64,
    /// Seconds a runtime may take to start.
    pub start_timeout_s: f64,
    /// Sessions opened ahead, of each kind.
    pub spares: u32,
    /// Kinds of the latest runs that get spares when the daemon starts.
    pub prewarm: u32,
    /// Bytes of memory at which a runtime is replaced.
    pub max_runtime_rss: u64,
    /// Seconds after which a runtime is replaced.
    pub max_runtime_age_s: f64,
    /// Seconds between two looks at runtimes and idle sessions.
    pub probe_interval_s: f64,
    /// Seconds a runtime may take to give a sign of life.
    pub probe_timeout_s: f64,
}

impl std::default::Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_runtimes: 4,
            max_sessions: 5,
            max_idle_time_s: 300.0,
            start_timeout_s: 30.0,
            spares: 1,
            prewarm: 0,
            max_runtime_rss: 1 << 30,
            max_runtime_age_s: 86_400.0,
            probe_interval_s: 15.0,
            probe_timeout_s: 10.0,
        }
    }
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// Days an ended run is kept.
    pub retention_days: u32,
    /// Bytes of ended runs kept.
    pub retention_bytes: u64,
}

impl std::default::Default for StoreConfig {
    fn default() -> Self {
        Self { retention_days: 30, retention_bytes: 2 << 30 }
    }
}

/// How much is taken.
#[expect(clippy::struct_field_names, reason = "they are limits: each is a most")]
#[derive(Debug, Clone, PartialEq)]
pub struct LimitsConfig {
    /// The most runs at work.
    pub max_running: u32,
    /// The most runs that wait.
    pub max_queued: u32,
    /// The most open connections.
    pub max_connections: u32,
    /// The largest message in bytes.
    pub max_message_bytes: u32,
    /// The most that all runs of a day (UTC) may cost.
    pub max_cost_per_day: Option<f64>,
}

impl std::default::Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_running: 64,
            max_queued: 1024,
            max_connections: 512,
            max_message_bytes: 32 << 20,
            max_cost_per_day: None,
        }
    }
}

/// When models are left alone.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerConfig {
    /// Outcomes a breaker looks at.
    pub window: u32,
    /// The share of failures that opens it.
    pub failure_rate: f64,
    /// Outcomes needed before it may open.
    pub min_samples: u32,
    /// Seconds it stays open the first time.
    pub cooldown_s: f64,
    /// Whether the least bad model is asked when every breaker is open.
    pub panic: bool,
}

impl std::default::Default for BreakerConfig {
    fn default() -> Self {
        Self { window: 10, failure_rate: 0.5, min_samples: 5, cooldown_s: 60.0, panic: false }
    }
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// How much the log says: off, error, warn, info, debug, trace.
    pub log_level: String,
}

impl std::default::Default for TelemetryConfig {
    fn default() -> Self {
        Self { log_level: "info".to_owned() }
    }
}

/// Who is told of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyConfig {
    /// The shell command. Absent: nobody.
    pub command: Option<String>,
    /// Whether the desktop shows bubbles.
    pub desktop: bool,
    /// The events that are told.
    pub on: Vec<NoticeEvent>,
}

impl std::default::Default for NotifyConfig {
    fn default() -> Self {
        let on = NOTICE_EVENTS.iter().filter_map(|name| NoticeEvent::from_name(name));
        Self { command: None, desktop: false, on: on.collect() }
    }
}

impl DaemonConfig {
    /// Reads the user's file. An empty text gives the defaults.
    ///
    /// # Errors
    /// When the text is not TOML, or one of the daemon's keys does not fit; a client's key
    /// that does not fit is the client's error, not the daemon's.
    pub fn from_toml(text: &str) -> Result<Self, Problem> {
        let root = Path::new("/");
        let origin = Origin::User("config.toml".into());
        let layer = Layer::parse(text, &Place { origin, base: root, home: root })?;
        let mut warnings = Vec::new();
        for problem in &layer.problems {
            let ours = problem.key.as_deref().is_some_and(is_ours);
            match problem.severity {
                Severity::Error if ours => return Err(problem.clone()),
                Severity::Unknown => warnings.push(problem.clone()),
                Severity::Warning if ours => warnings.push(problem.clone()),
                Severity::Warning | Severity::Error => {}
            }
        }
        let merged = Merged::new([layer]);
        let base = <Self as std::default::Default>::default();
        let number = |name, default| merged.typed::<u32>(name).unwrap_or(default);
        Ok(Self {
            pool: pool(&merged),
            store: StoreConfig {
                retention_days: number("store.retention_days", base.store.retention_days),
                retention_bytes: merged
                    .unsigned("store.retention_bytes")
                    .unwrap_or(base.store.retention_bytes),
            },
            limits: LimitsConfig {
                max_running: number("limits.max_running", base.limits.max_running),
                max_queued: number("limits.max_queued", base.limits.max_queued),
                max_connections: number("limits.max_connections", base.limits.max_connections),
                max_message_bytes: number(
                    "limits.max_message_bytes",
                    base.limits.max_message_bytes,
                ),
                max_cost_per_day: merged.float("limits.max_cost_per_day"),
            },
            breaker: BreakerConfig {
                window: number("breaker.window", base.breaker.window),
                failure_rate: merged
                    .float("breaker.failure_rate")
                    .unwrap_or(base.breaker.failure_rate),
                min_samples: number("breaker.min_samples", base.breaker.min_samples),
                cooldown_s: merged.float("breaker.cooldown").unwrap_or(base.breaker.cooldown_s),
                panic: merged.bool("breaker.panic", Default::Off),
            },
            telemetry: TelemetryConfig {
                log_level: merged.text("telemetry.log_level").unwrap_or(base.telemetry.log_level),
            },
            notify: notify(&merged),
            warnings,
        })
    }
}

fn pool(merged: &Merged) -> PoolConfig {
    let base = <PoolConfig as std::default::Default>::default();
    let number = |name, default| merged.typed::<u32>(name).unwrap_or(default);
    let float = |name, default| merged.float(name).unwrap_or(default);
    PoolConfig {
        max_runtimes: number("pool.max_runtimes", base.max_runtimes),
        max_sessions: number("pool.max_sessions", base.max_sessions),
        max_idle_time_s: float("pool.max_idle_time", base.max_idle_time_s),
        start_timeout_s: float("pool.start_timeout", base.start_timeout_s),
        spares: number("pool.spares", base.spares),
        prewarm: number("pool.prewarm", base.prewarm),
        max_runtime_rss: merged.unsigned("pool.max_runtime_rss").unwrap_or(base.max_runtime_rss),
        max_runtime_age_s: float("pool.max_runtime_age", base.max_runtime_age_s),
        probe_interval_s: float("pool.probe_interval", base.probe_interval_s),
        probe_timeout_s: float("pool.probe_timeout", base.probe_timeout_s),
    }
}

fn notify(merged: &Merged) -> NotifyConfig {
    let base = <NotifyConfig as std::default::Default>::default();
    let on = merged.typed::<Vec<NoticeEvent>>("notify.on").unwrap_or(base.on);
    NotifyConfig {
        command: merged.text("notify.command"),
        desktop: merged.bool("notify.desktop", Default::Off),
        on,
    }
}

/// Whether the daemon answers for a key. Of `[limits]` some are a client's.
fn is_ours(key: &str) -> bool {
    if let Some(known) = key::find(key) {
        return known.scope == Scope::Daemon;
    }
    let table = key.split_once('.').map_or(key, |(table, _)| table);
    matches!(table, "breaker" | "pool" | "store" | "limits" | "telemetry" | "notify")
}
