//! How the daemon, its pool and its backends are doing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::ErrorInfo;
use crate::event::{Answer, AnsweredBy, RunEvent};
use crate::id::{AskId, RunId, Seq};
use crate::run::{Effort, RunState, RunSummary};

/// What a client says of itself. Never required.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientInfo {
    /// Its name, for logs.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The protocol it speaks.
    pub protocol: u32,
}

/// Answer to `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HelloResponse {
    /// The daemon's version.
    pub version: String,
    /// The protocol it speaks.
    pub protocol: u32,
    /// The oldest protocol it still serves.
    pub min_protocol: u32,
    /// Changes when the store was replaced: sequence numbers of another epoch mean nothing.
    pub epoch: String,
    /// Largest message it takes, in bytes.
    pub max_message_bytes: u64,
}

/// Answer to `run.submit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubmitResponse {
    /// The run, new or found by its key.
    pub run: RunId,
    /// Whether this call made it; false when the idempotency key was known.
    pub created: bool,
}

/// Answer to `run.events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventsResponse {
    /// The events after the number asked for, in order.
    pub events: Vec<RunEvent>,
    /// Ask again after this number.
    pub next_after: Seq,
    /// Whether the run has ended and this answer reaches its end.
    pub ended: bool,
    /// The store's epoch.
    pub epoch: String,
}

/// Which runs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunFilter {
    /// Only runs in one of these states. Empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<RunState>,
    /// Only runs that work in this folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
}

/// Answer to `run.list`, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListResponse {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// Pass it to get the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<RunId>,
}

/// What `run.watch_all` tells: runs that are new, or stand otherwise than was told before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunsChanged {
    /// The runs, newest first.
    pub runs: Vec<RunSummary>,
    /// Questions that wait for a person, of all runs.
    pub waiting: u32,
}

/// Answer to `run.cancel`: the same however often it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelResponse {
    /// Which run.
    pub run: RunId,
    /// How it stands; not terminal yet while the cancel is carried out.
    pub state: RunState,
}

/// Answer to `run.steer`: what was said is in the run's log, and reaches the agent before its
/// next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SteerResponse {
    /// Which run.
    pub run: RunId,
}

/// Answer to `run.offer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OfferResponse {
    /// Which run.
    pub run: RunId,
    /// Whether it was parked for one of the keys, and goes on now.
    pub taken: bool,
}

/// Answer to `run.answer`. The first answer wins; a second gets the recorded one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerResponse {
    /// Which question.
    pub ask: AskId,
    /// The answer that counts.
    pub answer: Answer,
    /// Who gave it.
    pub by: AnsweredBy,
    /// Whether it was this call's.
    pub accepted: bool,
}

/// Where a client wants to look for models or sign-in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackendQuery {
    /// The Copilot CLI to ask. Default: found by the daemon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cli_path: Option<String>,
    /// The environment to ask with. Default: the daemon's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// The provider to ask instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<crate::run::Provider>,
    /// Secrets by name, held in memory only.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, crate::secret::Secret>,
}

/// Answer to `model.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelList {
    /// The models.
    pub models: Vec<ModelInfo>,
    /// Things the reader should know, such as "not signed in: the built-in catalogue".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelInfo {
    /// The id to ask for.
    pub id: String,
    /// Its name for people, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who says so: `account`, `catalogue` or `provider`; `configured` in what `copexctl` prints.
    pub source: String,
    /// Reasoning efforts it supports; empty when nobody told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub efforts: Vec<Effort>,
    /// Premium requests that one call costs, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<f64>,
    /// Its context window in tokens, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u64>,
}

/// What the account may still use of one kind of request, as GitHub tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quota {
    /// Which requests: `premium_interactions`, `chat`, `completions`.
    pub kind: String,
    /// Whether there is no limit.
    pub unlimited: bool,
    /// Requests that the plan has until the reset.
    pub entitlement: i64,
    /// Requests that were used since the last reset.
    pub used: i64,
    /// What is left, in percent.
    pub remaining_percent: f64,
    /// Whether requests beyond the plan are allowed, at extra cost.
    pub overage_allowed: bool,
    /// When it is reset, as GitHub writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_date: Option<String>,
}

/// Answer to `auth.status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuthStatus {
    /// Whether the Copilot CLI is signed in.
    pub authenticated: bool,
    /// As whom, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// How, where known: `env` (a token by environment), `gh-cli`, `user` (the Copilot CLI's
    /// own sign-in), `token`, `hmac`, `api-key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Where, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What the plan leaves, where GitHub tells it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quota: Vec<Quota>,
    /// What the Copilot CLI says, or what to do.
    pub message: String,
}

/// Answer to `pool.status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolStatus {
    /// The runtimes alive.
    pub runtimes: Vec<RuntimeStatus>,
    /// Why no runtime can be started, if that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ErrorInfo>,
    /// How often what a run needed was there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<Warmth>,
    /// The runtimes that left, by reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recycled: Vec<Recycled>,
    /// Open file descriptors of the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u32>,
}

/// How often what a run needed was there already, since the daemon's start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warmth {
    /// New sessions that had been opened ahead.
    pub spare_hits: u64,
    /// New sessions that had to be opened.
    pub spare_misses: u64,
    /// Sessions to go on with that were open.
    pub idle_hits: u64,
    /// Sessions to go on with that had to be resumed.
    pub idle_misses: u64,
}

/// Runtimes that left for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recycled {
    /// `age`, `memory`, `latency` (it had become slow), `unresponsive`, `died`, or `place`
    /// (another environment needed it).
    pub reason: String,
    /// How many, since the daemon's start.
    pub count: u64,
    /// When the last one did, in Unix milliseconds.
    pub last_at: u64,
}

/// One Copilot runtime process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuntimeStatus {
    /// Its process id.
    pub pid: u32,
    /// `copilot-runtime` or `copilot`.
    pub program: String,
    /// The Copilot CLI's version, where it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Sessions at work.
    pub busy_sessions: u32,
    /// Sessions open and idle.
    pub idle_sessions: u32,
    /// Sessions open, warm and not used yet.
    pub spare_sessions: u32,
    /// Resident memory of its process in bytes.
    pub rss_bytes: u64,
    /// Since when it runs, in Unix milliseconds.
    pub started_at: u64,
    /// Why it takes no sessions any more, if that is so: one of the reasons of
    /// [`Recycled::reason`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<String>,
    /// Its process with everything that it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<TreeUsage>,
    /// How fast it answers; absent before it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// What a process and everything that it started use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TreeUsage {
    /// How many processes they are.
    pub processes: u32,
    /// Their resident memory in bytes; memory that they share counts for each.
    pub rss_bytes: u64,
    /// Their processor time in milliseconds.
    pub cpu_ms: u64,
}

/// How fast a runtime answers a ping, in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// The median of its first pings.
    pub baseline_us: u64,
    /// The median of its latest pings.
    pub latest_us: u64,
}

/// How far the daemon is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DaemonPhase {
    /// The socket answers; the store is not read yet.
    Starting,
    /// It serves.
    Ready,
    /// It finishes what it has and takes nothing new.
    Draining,
}

/// Answer to `daemon.status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonStatus {
    /// How far it is.
    pub phase: DaemonPhase,
    /// Its version.
    pub version: String,
    /// The protocol it speaks.
    pub protocol: u32,
    /// Its process id.
    pub pid: u32,
    /// Since when it runs, in Unix milliseconds.
    pub started_at: u64,
    /// Where it listens.
    pub socket: String,
    /// Where its store is.
    pub state_dir: String,
    /// Its resident memory in bytes.
    pub rss_bytes: u64,
    /// Open connections.
    pub connections: u32,
    /// Runs that have not ended.
    pub active_runs: u32,
    /// The store's epoch.
    pub epoch: String,
    /// Who watches over it: `systemd` or `none`.
    pub supervisor: String,
    /// Things the reader should know: salvage, full disk, an odd CLI version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Answer to `daemon.drain` and `daemon.stop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StopResponse {
    /// Runs still at work. They go on when a daemon starts again.
    pub active_runs: u32,
}
