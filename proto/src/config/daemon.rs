//! What the daemon needs, from the user's file only.

use std::path::Path;

use crate::config::layer::{Layer, Origin, Place};
use crate::config::merge::Merged;
use crate::config::problem::{Problem, Severity};

/// The daemon's settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DaemonConfig {
    /// Runtimes and sessions.
    pub pool: PoolConfig,
    /// What is kept.
    pub store: StoreConfig,
    /// How much is taken.
    pub limits: LimitsConfig,
    /// What is told.
    pub telemetry: TelemetryConfig,
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

impl Default for PoolConfig {
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

impl Default for StoreConfig {
    fn default() -> Self {
        Self { retention_days: 30, retention_bytes: 2 << 30 }
    }
}

/// How much is taken.
#[expect(clippy::struct_field_names, reason = "they are limits: each is a most")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// The most runs at work.
    pub max_running: u32,
    /// The most runs that wait.
    pub max_queued: u32,
    /// The most open connections.
    pub max_connections: u32,
    /// The largest message in bytes.
    pub max_message_bytes: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_running: 64,
            max_queued: 1024,
            max_connections: 512,
            max_message_bytes: 32 << 20,
        }
    }
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// How much the log says: off, error, warn, info, debug, trace.
    pub log_level: String,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log_level: "info".to_owned() }
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
        let base = Self::default();
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
            },
            telemetry: TelemetryConfig {
                log_level: merged.text("telemetry.log_level").unwrap_or(base.telemetry.log_level),
            },
            warnings,
        })
    }
}

fn pool(merged: &Merged) -> PoolConfig {
    let base = PoolConfig::default();
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

fn is_ours(key: &str) -> bool {
    let table = key.split_once('.').map_or(key, |(table, _)| table);
    matches!(table, "pool" | "store" | "limits" | "telemetry")
}
