//! The document that `rpc.discover` answers lists exactly the methods that are served.

use std::collections::{BTreeMap, BTreeSet};

use copex_proto::api::CopexApiServer;
use copex_proto::ask::{AskFilter, AskList};
use copex_proto::breaker::{BreakerList, ResetResponse};
use copex_proto::event::Answer;
use copex_proto::explain::Explanation;
use copex_proto::fleet::{CleanTarget, FleetCleaned};
use copex_proto::health::{
    AnswerResponse, AuthStatus, BackendQuery, CancelResponse, ClientInfo, DaemonStatus,
    EventsResponse, HelloResponse, ListResponse, ModelList, OfferResponse, PoolStatus, RunFilter,
    SteerResponse, StopResponse, SubmitResponse,
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
use jsonrpsee::core::{RpcResult, SubscriptionResult, async_trait};
use jsonrpsee::types::ErrorCode;
use jsonrpsee::{Extensions, PendingSubscriptionSink};
use serde_json::Value;

/// Serves nothing: only its names count.
struct Nothing;

fn nothing<T>() -> RpcResult<T> {
    Err(ErrorCode::InternalError.into())
}

#[async_trait]
impl CopexApiServer for Nothing {
    async fn hello(&self, _: Option<ClientInfo>) -> RpcResult<HelloResponse> {
        nothing()
    }

    async fn run_start(
        &self,
        _: PendingSubscriptionSink,
        _: &Extensions,
        _: RunRequest,
        _: Option<String>,
    ) -> SubscriptionResult {
        Ok(())
    }

    async fn ask_list(&self, _: Option<AskFilter>, _: Option<u32>) -> RpcResult<AskList> {
        nothing()
    }

    async fn run_explain(&self, _: RunId) -> RpcResult<Explanation> {
        nothing()
    }

    async fn breaker_list(&self) -> RpcResult<BreakerList> {
        nothing()
    }

    async fn breaker_reset(
        &self,
        _: Option<String>,
        _: Option<String>,
    ) -> RpcResult<ResetResponse> {
        nothing()
    }

    async fn run_submit(
        &self,
        _: &Extensions,
        _: RunRequest,
        _: Option<String>,
    ) -> RpcResult<SubmitResponse> {
        nothing()
    }

    async fn run_watch(
        &self,
        _: PendingSubscriptionSink,
        _: &Extensions,
        _: RunId,
        _: Option<Seq>,
    ) -> SubscriptionResult {
        Ok(())
    }

    async fn run_watch_all(
        &self,
        _: PendingSubscriptionSink,
        _: Option<u32>,
    ) -> SubscriptionResult {
        Ok(())
    }

    async fn run_events(
        &self,
        _: RunId,
        _: Option<Seq>,
        _: Option<u32>,
        _: Option<u64>,
    ) -> RpcResult<EventsResponse> {
        nothing()
    }

    async fn run_get(&self, _: RunId) -> RpcResult<RunDetail> {
        nothing()
    }

    async fn run_list(
        &self,
        _: Option<RunFilter>,
        _: Option<RunId>,
        _: Option<u32>,
    ) -> RpcResult<ListResponse> {
        nothing()
    }

    async fn run_cancel(&self, _: RunId) -> RpcResult<CancelResponse> {
        nothing()
    }

    async fn run_steer(&self, _: RunId, _: String) -> RpcResult<SteerResponse> {
        nothing()
    }

    async fn run_resume(
        &self,
        _: &Extensions,
        _: RunId,
        _: Option<String>,
        _: Option<SpendLimits>,
        _: Option<bool>,
        _: Option<bool>,
        _: Option<BTreeMap<String, Secret>>,
    ) -> RpcResult<SubmitResponse> {
        nothing()
    }

    async fn run_offer(&self, _: RunId, _: BTreeMap<String, Secret>) -> RpcResult<OfferResponse> {
        nothing()
    }

    async fn run_answer(&self, _: AskId, _: Answer) -> RpcResult<AnswerResponse> {
        nothing()
    }

    async fn model_list(&self, _: Option<BackendQuery>) -> RpcResult<ModelList> {
        nothing()
    }

    async fn auth_status(&self, _: Option<BackendQuery>) -> RpcResult<AuthStatus> {
        nothing()
    }

    async fn skill_list(&self, _: SkillQuery) -> RpcResult<SkillList> {
        nothing()
    }

    async fn skill_get(&self, _: String, _: SkillQuery) -> RpcResult<SkillDetail> {
        nothing()
    }

    async fn mcp_check(&self, _: McpCheck) -> RpcResult<McpReport> {
        nothing()
    }

    async fn pool_status(&self) -> RpcResult<PoolStatus> {
        nothing()
    }

    async fn session_list(
        &self,
        _: Option<SessionFilter>,
        _: Option<u32>,
        _: Option<BackendQuery>,
    ) -> RpcResult<SessionList> {
        nothing()
    }

    async fn session_get(&self, _: String, _: Option<BackendQuery>) -> RpcResult<SessionDetail> {
        nothing()
    }

    async fn session_fork(&self, _: String, _: Option<BackendQuery>) -> RpcResult<ForkResponse> {
        nothing()
    }

    async fn fleet_clean(
        &self,
        _: Option<CleanTarget>,
        _: Option<bool>,
    ) -> RpcResult<FleetCleaned> {
        nothing()
    }

    async fn session_delete(
        &self,
        _: String,
        _: Option<BackendQuery>,
    ) -> RpcResult<DeletedSession> {
        nothing()
    }

    async fn session_doctor(
        &self,
        _: Option<String>,
        _: Option<bool>,
        _: Option<BackendQuery>,
    ) -> RpcResult<SessionsReport> {
        nothing()
    }

    async fn metrics_get(&self, _: Option<u64>) -> RpcResult<MetricsReport> {
        nothing()
    }

    async fn spend_get(&self, _: Option<u64>, _: Option<SpendBy>) -> RpcResult<SpendReport> {
        nothing()
    }

    async fn config_get(&self) -> RpcResult<Value> {
        nothing()
    }

    async fn daemon_status(&self, _: &Extensions) -> RpcResult<DaemonStatus> {
        nothing()
    }

    async fn daemon_drain(&self) -> RpcResult<StopResponse> {
        nothing()
    }

    async fn daemon_stop(&self) -> RpcResult<StopResponse> {
        nothing()
    }

    async fn rpc_discover(&self) -> RpcResult<Value> {
        Ok(copex_proto::discover::openrpc())
    }
}

#[test]
fn the_document_lists_what_is_served() {
    let served: BTreeSet<String> = Nothing.into_rpc().method_names().map(str::to_owned).collect();
    let document = copex_proto::discover::openrpc();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut listed = BTreeSet::new();
    for method in document["methods"].as_array().unwrap() {
        listed.insert(text(&method["name"]));
        if let Some(subscription) = method.get("x-subscription") {
            listed.insert(text(&subscription["unsubscribe"]));
        }
    }
    assert_eq!(listed, served);
}
