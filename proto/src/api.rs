//! Every method and subscription, in one trait: the server implements it, the client is generated.
//!
//! Parameters travel by name or by position. Subscriptions need a framing that carries
//! notifications (not plain HTTP; there `run.events` long-polls the same log).

use std::collections::BTreeMap;

use jsonrpsee::core::{RpcResult, SubscriptionResult};
use jsonrpsee::proc_macros::rpc;

use crate::ask::{AskFilter, AskList};
use crate::breaker::{BreakerList, ResetResponse};
use crate::event::Answer;
#[cfg(feature = "client")]
use crate::event::RunEvent;
use crate::explain::Explanation;
use crate::fleet::{CleanTarget, FleetCleaned};
#[cfg(feature = "client")]
use crate::health::RunsChanged;
use crate::health::{
    AnswerResponse, AuthStatus, BackendQuery, CancelResponse, ClientInfo, DaemonStatus,
    EventsResponse, HelloResponse, ListResponse, ModelList, OfferResponse, PoolStatus, RunFilter,
    SteerResponse, StopResponse, SubmitResponse,
};
use crate::id::{AskId, RunId, Seq};
use crate::mcp::{McpCheck, McpReport};
use crate::run::{RunDetail, RunRequest};
use crate::secret::Secret;
use crate::session::{
    DeletedSession, ForkResponse, SessionDetail, SessionFilter, SessionList, SessionsReport,
};
use crate::skill::{SkillDetail, SkillList, SkillQuery};
use crate::spend::{MetricsReport, SpendBy, SpendLimits, SpendReport};

/// The method set. Names are `resource.verb`; what each takes and gives is in its types.
#[cfg_attr(all(feature = "server", feature = "client"), rpc(server, client))]
#[cfg_attr(all(feature = "server", not(feature = "client")), rpc(server))]
#[cfg_attr(all(not(feature = "server"), feature = "client"), rpc(client))]
pub trait CopexApi {
    /// Versions, both ways. Never required; a client of another protocol learns it here.
    #[method(name = "hello", param_kind = map)]
    async fn hello(&self, client: Option<ClientInfo>) -> RpcResult<HelloResponse>;

    /// Submits a run and streams its events to the end. A repeated `key` finds the run again.
    #[subscription(name = "run.start" => "run.event", unsubscribe = "run.start.end", item = RunEvent, param_kind = map, with_extensions)]
    async fn run_start(&self, request: RunRequest, key: Option<String>) -> SubscriptionResult;

    /// Submits a run and returns at once. A repeated `key` finds the run again.
    #[method(name = "run.submit", param_kind = map, with_extensions)]
    async fn run_submit(
        &self,
        request: RunRequest,
        key: Option<String>,
    ) -> RpcResult<SubmitResponse>;

    /// Streams a run's events after `after` (default 0: from the first) to its end.
    #[subscription(name = "run.watch" => "run.watched", unsubscribe = "run.unwatch", item = RunEvent, param_kind = map, with_extensions)]
    async fn run_watch(&self, run: RunId, after: Option<Seq>) -> SubscriptionResult;

    /// Streams how all runs stand: first those that have not ended and the `recent` newest
    /// (default 50, most 500), then those that are new or stand otherwise, at most ten times a
    /// second. It ends with the daemon.
    #[subscription(name = "run.watch_all" => "run.changed", unsubscribe = "run.unwatch_all", item = RunsChanged, param_kind = map)]
    async fn run_watch_all(&self, recent: Option<u32>) -> SubscriptionResult;

    /// The events after `after`, at most `limit` (default 256, most 4,096); waits up to
    /// `wait_ms` (default 0, most 60,000) for the first.
    #[method(name = "run.events", param_kind = map)]
    async fn run_events(
        &self,
        run: RunId,
        after: Option<Seq>,
        limit: Option<u32>,
        wait_ms: Option<u64>,
    ) -> RpcResult<EventsResponse>;

    /// One run in full.
    #[method(name = "run.get", param_kind = map)]
    async fn run_get(&self, run: RunId) -> RpcResult<RunDetail>;

    /// Runs, newest first, at most `limit` (default 50, most 500).
    #[method(name = "run.list", param_kind = map)]
    async fn run_list(
        &self,
        filter: Option<RunFilter>,
        cursor: Option<RunId>,
        limit: Option<u32>,
    ) -> RpcResult<ListResponse>;

    /// Cancels a run. Asking twice changes nothing.
    #[method(name = "run.cancel", param_kind = map)]
    async fn run_cancel(&self, run: RunId) -> RpcResult<CancelResponse>;

    /// Says something more to the agent in the turn under way. Only a chat that works in a
    /// session of the SDK takes it; to another the text is a prompt of its own.
    #[method(name = "run.steer", param_kind = map)]
    async fn run_steer(&self, run: RunId, text: String) -> RpcResult<SteerResponse>;

    /// Starts a new run that goes on where an ended one stopped, in the same session. What
    /// `limits` names takes the place of the ended run's own. A parked run goes on in place;
    /// with `now` no other is resumed. With `rerun_failed`, tasks of a fleet that failed begin
    /// anew instead of going on where they stopped. `secrets` are held in memory only.
    #[method(name = "run.resume", param_kind = map, with_extensions)]
    async fn run_resume(
        &self,
        run: RunId,
        prompt: Option<String>,
        limits: Option<SpendLimits>,
        now: Option<bool>,
        rerun_failed: Option<bool>,
        secrets: Option<BTreeMap<String, Secret>>,
    ) -> RpcResult<SubmitResponse>;

    /// Hands keys over to a run that is parked because only a client had its key (`needs_key`),
    /// and lets it go on. Another run takes nothing. They are held in memory only.
    #[method(name = "run.offer", param_kind = map)]
    async fn run_offer(
        &self,
        run: RunId,
        secrets: BTreeMap<String, Secret>,
    ) -> RpcResult<OfferResponse>;

    /// Answers a question of a run. The first answer wins.
    #[method(name = "run.answer", param_kind = map)]
    async fn run_answer(&self, ask: AskId, answer: Answer) -> RpcResult<AnswerResponse>;

    /// Questions that wait for a person, of all runs that have not ended, oldest first, at most
    /// `limit` (default 100, most 500).
    #[method(name = "ask.list", param_kind = map)]
    async fn ask_list(&self, filter: Option<AskFilter>, limit: Option<u32>) -> RpcResult<AskList>;

    /// Why a run waits, and what would let it go on.
    #[method(name = "run.explain", param_kind = map)]
    async fn run_explain(&self, run: RunId) -> RpcResult<Explanation>;

    /// Circuit breakers, limits and queues.
    #[method(name = "breaker.list")]
    async fn breaker_list(&self) -> RpcResult<BreakerList>;

    /// Closes breakers and forgets limits: of one endpoint, of one model, or all.
    #[method(name = "breaker.reset", param_kind = map)]
    async fn breaker_reset(
        &self,
        endpoint: Option<String>,
        model: Option<String>,
    ) -> RpcResult<ResetResponse>;

    /// Models: the provider's where one is given, else the account's when signed in, else the Copilot CLI's catalogue.
    #[method(name = "model.list", param_kind = map)]
    async fn model_list(&self, query: Option<BackendQuery>) -> RpcResult<ModelList>;

    /// Whether the Copilot CLI is signed in, as whom, and what the plan leaves.
    #[method(name = "auth.status", param_kind = map)]
    async fn auth_status(&self, query: Option<BackendQuery>) -> RpcResult<AuthStatus>;

    /// Skills of some folders: which are offered, which are not and why.
    #[method(name = "skill.list", param_kind = map)]
    async fn skill_list(&self, query: SkillQuery) -> RpcResult<SkillList>;

    /// One skill in full: the one that a run is offered under this name.
    #[method(name = "skill.get", param_kind = map)]
    async fn skill_get(&self, name: String, query: SkillQuery) -> RpcResult<SkillDetail>;

    /// Has the Copilot CLI start MCP servers, four at a time, and lists their tools.
    #[method(name = "mcp.check", param_kind = map)]
    async fn mcp_check(&self, check: McpCheck) -> RpcResult<McpReport>;

    /// The Copilot runtimes and their sessions.
    #[method(name = "pool.status")]
    async fn pool_status(&self) -> RpcResult<PoolStatus>;

    /// Copilot sessions on the disk, last used first, at most `limit` (default 20, most 500).
    #[method(name = "session.list", param_kind = map)]
    async fn session_list(
        &self,
        filter: Option<SessionFilter>,
        limit: Option<u32>,
        query: Option<BackendQuery>,
    ) -> RpcResult<SessionList>;

    /// One session and the end of its conversation. `session` may be the beginning of an id, here and below.
    #[method(name = "session.get", param_kind = map)]
    async fn session_get(
        &self,
        session: String,
        query: Option<BackendQuery>,
    ) -> RpcResult<SessionDetail>;

    /// A new session with the history of another, which stays as it is. One that is open elsewhere can be forked.
    #[method(name = "session.fork", param_kind = map)]
    async fn session_fork(
        &self,
        session: String,
        query: Option<BackendQuery>,
    ) -> RpcResult<ForkResponse>;

    /// Removes a session from the disk, unless a living process or an unfinished run has it.
    #[method(name = "session.delete", param_kind = map)]
    async fn session_delete(
        &self,
        session: String,
        query: Option<BackendQuery>,
    ) -> RpcResult<DeletedSession>;

    /// What makes sessions (default: all) unfit to be opened; with `fix`, repairs them, after a backup.
    #[method(name = "session.doctor", param_kind = map)]
    async fn session_doctor(
        &self,
        session: Option<String>,
        fix: Option<bool>,
        query: Option<BackendQuery>,
    ) -> RpcResult<SessionsReport>;

    /// Removes worktrees and branches of ended fleets: of a run, of a folder's repository, or (default) of all repositories. What is merged nowhere else only with `force`.
    #[method(name = "fleet.clean", param_kind = map)]
    async fn fleet_clean(
        &self,
        target: Option<CleanTarget>,
        force: Option<bool>,
    ) -> RpcResult<FleetCleaned>;

    /// What was counted and timed since `since` (Unix milliseconds; default: all that is kept, 90 days).
    #[method(name = "metrics.get", param_kind = map)]
    async fn metrics_get(&self, since: Option<u64>) -> RpcResult<MetricsReport>;

    /// The ledger since the day of `since` (Unix milliseconds; default: all that is kept, 400 days), summed `by` (default model).
    #[method(name = "spend.get", param_kind = map)]
    async fn spend_get(&self, since: Option<u64>, by: Option<SpendBy>) -> RpcResult<SpendReport>;

    /// The daemon's own settings in force, with where each came from.
    #[method(name = "config.get")]
    async fn config_get(&self) -> RpcResult<serde_json::Value>;

    /// How the daemon is.
    #[method(name = "daemon.status", with_extensions)]
    async fn daemon_status(&self) -> RpcResult<DaemonStatus>;

    /// Takes no new runs and lets the present ones end.
    #[method(name = "daemon.drain")]
    async fn daemon_drain(&self) -> RpcResult<StopResponse>;

    /// Stops the daemon. Unfinished runs go on when one starts again.
    #[method(name = "daemon.stop")]
    async fn daemon_stop(&self) -> RpcResult<StopResponse>;

    /// This contract as an OpenRPC document.
    #[method(name = "rpc.discover")]
    async fn rpc_discover(&self) -> RpcResult<serde_json::Value>;
}
