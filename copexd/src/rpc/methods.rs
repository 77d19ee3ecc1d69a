//! The contract, implemented: decode, ask the engine, reply.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use copex_proto::api::CopexApiServer;
use copex_proto::ask::{AskFilter, AskList};
use copex_proto::breaker::{BreakerList, ResetResponse};
use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::event::Answer;
use copex_proto::explain::Explanation;
use copex_proto::fleet::{CleanTarget, FleetCleaned};
use copex_proto::health::{
    AnswerResponse, AuthStatus, BackendQuery, CancelResponse, ClientInfo, DaemonStatus,
    EventsResponse, HelloResponse, Latency, ListResponse, ModelList, OfferResponse, PoolStatus,
    Recycled, RunFilter, RuntimeStatus, SteerResponse, StopResponse, SubmitResponse, TreeUsage,
    Warmth,
};
use copex_proto::id::{AskId, RunId, Seq};
use copex_proto::mcp::{McpCheck, McpReport};
use copex_proto::run::{RunDetail, RunRequest};
use copex_proto::secret::Secret;
use copex_proto::session::{
    DeletedSession, ForkResponse, SessionDetail, SessionFilter, SessionList, SessionsReport,
};
use copex_proto::skill::{SkillDetail, SkillList, SkillQuery};
use copex_proto::spend::{MetricsReport, SpendBy, SpendLimits, SpendReport};
use copex_proto::{MIN_PROTOCOL_VERSION, PROTOCOL_VERSION};
use jsonrpsee::core::{RpcResult, SubscriptionResult};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{Extensions, PendingSubscriptionSink};

use super::{Connections, Peer, error_object, stream};
use crate::daemon::{Control, Phase};
use crate::engine::{Engine, MOST_ASKS, MOST_LISTED, MOST_WAIT, events, skills};

/// How long a call waits for a daemon that is starting. Opening the store takes 30 ms, and
/// after an unclean stop a read of everything (40 ms per 20,000 records).
const START_WAIT: Duration = Duration::from_mins(1);

/// Events of one `run.events` when nothing else is said.
const EVENTS: u32 = 256;

/// Runs of one `run.list` when nothing else is said.
const LISTED: u32 = 50;

/// Questions of one `ask.list` when nothing else is said.
const ASKS: u32 = 100;

/// Sessions of one `session.list` when nothing else is said.
const SESSIONS: u32 = 20;

/// Implements the contract.
pub struct Api {
    /// The daemon around the engine.
    pub control: Control,
    /// The connection counter.
    pub connections: Connections,
    /// The largest message taken.
    pub max_message_bytes: u32,
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn refusal(error: ErrorInfo) -> ErrorObjectOwned {
    error_object(error.code(), &error)
}

impl Api {
    /// The engine, once the store is open.
    async fn engine(&self) -> RpcResult<Engine> {
        let mut phase = self.control.phase();
        let ready = phase.wait_for(|phase| !matches!(phase, Phase::Starting));
        let starting = || {
            let info = ErrorInfo::new(ErrorClass::Unavailable, "the daemon is still starting");
            refusal(info.retry_after(1_000))
        };
        let now = tokio::time::timeout(START_WAIT, ready).await.map_err(|_| starting())?;
        match &*now.map_err(|_| starting())? {
            Phase::Ready(engine) => Ok(engine.clone()),
            Phase::Broken(error) => Err(refusal(error.clone())),
            Phase::Starting => Err(starting()),
        }
    }

    fn stop_response(engine: Option<&Engine>) -> StopResponse {
        StopResponse { active_runs: engine.map_or(0, Engine::active_runs) }
    }
}

fn attach(engine: &Engine, run: RunId, extensions: &Extensions) {
    if let Some(peer) = extensions.get::<Peer>() {
        engine.attach(run, peer.closed.clone());
    }
}

#[async_trait]
impl CopexApiServer for Api {
    async fn hello(&self, client: Option<ClientInfo>) -> RpcResult<HelloResponse> {
        if let Some(client) = client {
            tracing::debug!(client.name, client.version, client.protocol, "hello");
        }
        let engine = self.engine().await?;
        Ok(HelloResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL_VERSION,
            min_protocol: MIN_PROTOCOL_VERSION,
            epoch: engine.store().epoch().to_owned(),
            max_message_bytes: u64::from(self.max_message_bytes),
        })
    }

    async fn run_start(
        &self,
        pending: PendingSubscriptionSink,
        extensions: &Extensions,
        request: RunRequest,
        key: Option<String>,
    ) -> SubscriptionResult {
        let engine = match self.engine().await {
            Ok(engine) => engine,
            Err(error) => {
                pending.reject(error).await;
                return Ok(());
            }
        };
        let started = async {
            let submitted = engine.submit(request, key, None).await?;
            attach(&engine, submitted.run, extensions);
            engine.watch(submitted.run, 0)
        };
        match started.await {
            Ok(watcher) => stream::pump(pending, watcher).await,
            Err(error) => stream::refuse(pending, &error).await,
        }
        Ok(())
    }

    async fn run_submit(
        &self,
        _extensions: &Extensions,
        request: RunRequest,
        key: Option<String>,
    ) -> RpcResult<SubmitResponse> {
        let submitted = self.engine().await?.submit(request, key, None).await.map_err(refusal)?;
        Ok(SubmitResponse { run: submitted.run, created: submitted.created })
    }

    async fn run_watch(
        &self,
        pending: PendingSubscriptionSink,
        extensions: &Extensions,
        run: RunId,
        after: Option<Seq>,
    ) -> SubscriptionResult {
        let engine = match self.engine().await {
            Ok(engine) => engine,
            Err(error) => {
                pending.reject(error).await;
                return Ok(());
            }
        };
        match engine.watch(run, after.unwrap_or(0)) {
            Ok(watcher) => {
                attach(&engine, run, extensions);
                stream::pump(pending, watcher).await;
            }
            Err(error) => stream::refuse(pending, &error).await,
        }
        Ok(())
    }

    async fn run_watch_all(
        &self,
        pending: PendingSubscriptionSink,
        recent: Option<u32>,
    ) -> SubscriptionResult {
        let recent = recent.unwrap_or(LISTED).min(MOST_LISTED);
        match self.engine().await {
            Ok(engine) => stream::pump_all(pending, engine.overview(recent)).await,
            Err(error) => pending.reject(error).await,
        }
        Ok(())
    }

    async fn run_events(
        &self,
        run: RunId,
        after: Option<Seq>,
        limit: Option<u32>,
        wait_ms: Option<u64>,
    ) -> RpcResult<EventsResponse> {
        let engine = self.engine().await?;
        let wait = Duration::from_millis(wait_ms.unwrap_or(0).min(MOST_WAIT));
        let limit = limit.unwrap_or(EVENTS);
        engine.events(run, after.unwrap_or(0), limit, wait).await.map_err(refusal)
    }

    async fn run_get(&self, run: RunId) -> RpcResult<RunDetail> {
        self.engine().await?.detail(run).map_err(refusal)
    }

    async fn run_list(
        &self,
        filter: Option<RunFilter>,
        cursor: Option<RunId>,
        limit: Option<u32>,
    ) -> RpcResult<ListResponse> {
        let engine = self.engine().await?;
        let limit = limit.unwrap_or(LISTED).min(MOST_LISTED);
        engine.list(&filter.unwrap_or_default(), cursor, limit).map_err(refusal)
    }

    async fn run_cancel(&self, run: RunId) -> RpcResult<CancelResponse> {
        let state = self.engine().await?.cancel(run).await.map_err(refusal)?;
        Ok(CancelResponse { run, state })
    }

    async fn run_steer(&self, run: RunId, text: String) -> RpcResult<SteerResponse> {
        self.engine().await?.say(run, text).await.map_err(refusal)?;
        Ok(SteerResponse { run })
    }

    async fn run_resume(
        &self,
        _extensions: &Extensions,
        run: RunId,
        prompt: Option<String>,
        limits: Option<SpendLimits>,
        now: Option<bool>,
        rerun_failed: Option<bool>,
        secrets: Option<BTreeMap<String, Secret>>,
    ) -> RpcResult<SubmitResponse> {
        let engine = self.engine().await?;
        let secrets = secrets.unwrap_or_default();
        if now.unwrap_or(false) {
            engine.wake(run, secrets).await.map_err(refusal)?;
            return Ok(SubmitResponse { run, created: false });
        }
        let limits = limits.unwrap_or_default();
        let submitted = engine
            .resume(run, prompt, limits, rerun_failed.unwrap_or(false), secrets)
            .await
            .map_err(refusal)?;
        Ok(SubmitResponse { run: submitted.run, created: submitted.created })
    }

    async fn run_offer(
        &self,
        run: RunId,
        secrets: BTreeMap<String, Secret>,
    ) -> RpcResult<OfferResponse> {
        let taken = self.engine().await?.offer(run, secrets).await.map_err(refusal)?;
        Ok(OfferResponse { run, taken })
    }

    async fn run_answer(&self, ask: AskId, answer: Answer) -> RpcResult<AnswerResponse> {
        let engine = self.engine().await?;
        let reply = events::core_reply(answer);
        let (resolution, accepted) = engine.answer(ask.clone(), reply).await.map_err(refusal)?;
        let (answer, by) = events::wire_resolution(resolution);
        Ok(AnswerResponse { ask, answer, by, accepted })
    }

    async fn ask_list(&self, filter: Option<AskFilter>, limit: Option<u32>) -> RpcResult<AskList> {
        let limit = limit.unwrap_or(ASKS).min(MOST_ASKS);
        self.engine().await?.inbox(&filter.unwrap_or_default(), limit).map_err(refusal)
    }

    async fn run_explain(&self, run: RunId) -> RpcResult<Explanation> {
        self.engine().await?.explain(run).map_err(refusal)
    }

    async fn breaker_list(&self) -> RpcResult<BreakerList> {
        Ok(self.engine().await?.breakers())
    }

    async fn breaker_reset(
        &self,
        endpoint: Option<String>,
        model: Option<String>,
    ) -> RpcResult<ResetResponse> {
        let engine = self.engine().await?;
        let reset = engine.reset_breakers(endpoint.as_deref(), model.as_deref());
        Ok(ResetResponse { reset })
    }

    async fn model_list(&self, query: Option<BackendQuery>) -> RpcResult<ModelList> {
        let engine = self.engine().await?;
        engine.models(query.unwrap_or_default()).await.map_err(refusal)
    }

    async fn auth_status(&self, query: Option<BackendQuery>) -> RpcResult<AuthStatus> {
        let engine = self.engine().await?;
        engine.auth(query.unwrap_or_default()).await.map_err(refusal)
    }

    async fn skill_list(&self, query: SkillQuery) -> RpcResult<SkillList> {
        skills::list(&query).await.map_err(refusal)
    }

    async fn skill_get(&self, name: String, query: SkillQuery) -> RpcResult<SkillDetail> {
        skills::get(&name, &query).await.map_err(refusal)
    }

    async fn mcp_check(&self, check: McpCheck) -> RpcResult<McpReport> {
        let engine = self.engine().await?;
        engine.check_mcp(check).await.map_err(refusal)
    }

    async fn pool_status(&self) -> RpcResult<PoolStatus> {
        let engine = self.engine().await?;
        let report = engine.pool().report().await;
        let runtimes = report.runtimes.into_iter().map(|runtime| RuntimeStatus {
            pid: runtime.pid,
            program: runtime.kind.to_owned(),
            version: runtime.version,
            busy_sessions: runtime.busy,
            idle_sessions: runtime.idle,
            spare_sessions: runtime.spare,
            rss_bytes: runtime.rss_bytes,
            started_at: runtime.started_at,
            leaving: runtime.leaving.map(str::to_owned),
            tree: Some(TreeUsage {
                processes: runtime.tree.processes,
                rss_bytes: runtime.tree.rss_bytes,
                cpu_ms: runtime.tree.cpu_ms,
            }),
            latency: runtime
                .latency_us
                .map(|(baseline_us, latest_us)| Latency { baseline_us, latest_us }),
        });
        let tally = report.tally;
        let recycled = tally.recycled.into_iter().map(|(reason, recycled)| Recycled {
            reason: reason.as_str().to_owned(),
            count: recycled.count,
            last_at: recycled.last_at,
        });
        Ok(PoolStatus {
            runtimes: runtimes.collect(),
            problem: report.problem.as_ref().map(events::error_info),
            warm: Some(Warmth {
                spare_hits: tally.spare_hits,
                spare_misses: tally.spare_misses,
                idle_hits: tally.idle_hits,
                idle_misses: tally.idle_misses,
            }),
            recycled: recycled.collect(),
            open_files: Some(report.open_files),
        })
    }

    async fn session_list(
        &self,
        filter: Option<SessionFilter>,
        limit: Option<u32>,
        query: Option<BackendQuery>,
    ) -> RpcResult<SessionList> {
        let engine = self.engine().await?;
        let (filter, query) = (filter.unwrap_or_default(), query.unwrap_or_default());
        engine.sessions(filter, limit.unwrap_or(SESSIONS), query).await.map_err(refusal)
    }

    async fn session_get(
        &self,
        session: String,
        query: Option<BackendQuery>,
    ) -> RpcResult<SessionDetail> {
        let engine = self.engine().await?;
        engine.session(&session, query.unwrap_or_default()).await.map_err(refusal)
    }

    async fn session_fork(
        &self,
        session: String,
        query: Option<BackendQuery>,
    ) -> RpcResult<ForkResponse> {
        let engine = self.engine().await?;
        engine.fork_session(&session, query.unwrap_or_default()).await.map_err(refusal)
    }

    async fn session_delete(
        &self,
        session: String,
        query: Option<BackendQuery>,
    ) -> RpcResult<DeletedSession> {
        let engine = self.engine().await?;
        engine.delete_session(&session, query.unwrap_or_default()).await.map_err(refusal)
    }

    async fn session_doctor(
        &self,
        session: Option<String>,
        fix: Option<bool>,
        query: Option<BackendQuery>,
    ) -> RpcResult<SessionsReport> {
        let engine = self.engine().await?;
        let (fix, query) = (fix.unwrap_or(false), query.unwrap_or_default());
        engine.doctor_sessions(session.as_deref(), fix, query).await.map_err(refusal)
    }

    async fn fleet_clean(
        &self,
        target: Option<CleanTarget>,
        force: Option<bool>,
    ) -> RpcResult<FleetCleaned> {
        let engine = self.engine().await?;
        let (target, force) = (target.unwrap_or_default(), force.unwrap_or(false));
        engine.clean_fleets(target, force).await.map_err(refusal)
    }

    async fn metrics_get(&self, since: Option<u64>) -> RpcResult<MetricsReport> {
        self.engine().await?.metrics(since).await.map_err(refusal)
    }

    async fn spend_get(&self, since: Option<u64>, by: Option<SpendBy>) -> RpcResult<SpendReport> {
        self.engine().await?.spend(since, by.unwrap_or_default()).await.map_err(refusal)
    }

    async fn config_get(&self) -> RpcResult<serde_json::Value> {
        Ok(self.control.settings())
    }

    async fn daemon_status(&self, _extensions: &Extensions) -> RpcResult<DaemonStatus> {
        Ok(self.control.status(self.connections.count()))
    }

    async fn daemon_drain(&self) -> RpcResult<StopResponse> {
        let engine = self.engine().await?;
        self.control.drain(&engine);
        Ok(Self::stop_response(Some(&engine)))
    }

    async fn daemon_stop(&self) -> RpcResult<StopResponse> {
        let response = match &*self.control.phase().borrow() {
            Phase::Ready(engine) => Self::stop_response(Some(engine)),
            Phase::Starting | Phase::Broken(_) => Self::stop_response(None),
        };
        self.control.stop();
        Ok(response)
    }

    async fn rpc_discover(&self) -> RpcResult<serde_json::Value> {
        Ok(copex_proto::discover::openrpc())
    }
}
