//! The contract as an OpenRPC document, generated from the types.
//!
//! Names, summaries and parameter names stand here once more, because a trait cannot be
//! asked for them; tests compare them with the trait, so they cannot drift.

use std::collections::BTreeMap;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::ask::{AskFilter, AskList};
use crate::breaker::{BreakerList, ResetResponse};
use crate::error::{ErrorInfo, code};
use crate::event::{Answer, RunEvent};
use crate::explain::Explanation;
use crate::fleet::{CleanTarget, FleetCleaned};
use crate::health::{
    AnswerResponse, AuthStatus, BackendQuery, CancelResponse, ClientInfo, DaemonStatus,
    EventsResponse, HelloResponse, ListResponse, ModelList, OfferResponse, PoolStatus, RunFilter,
    RunsChanged, SteerResponse, StopResponse, SubmitResponse,
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

/// Every error code with its name in the document and what it means.
pub const ERRORS: [(i32, &str, &str); 18] = [
    (code::PARSE, "Parse", "The frame is not JSON."),
    (code::INVALID_REQUEST, "InvalidRequest", "The frame is JSON but not a request."),
    (code::METHOD_NOT_FOUND, "MethodNotFound", "No such method."),
    (code::INVALID_PARAMS, "InvalidParams", "The parameters do not fit the method."),
    (code::INTERNAL, "Internal", "A bug of the daemon."),
    (code::OVERLOADED, "Overloaded", "A queue is full; see retry_after_ms."),
    (code::NOT_FOUND, "NotFound", "The thing named does not exist."),
    (code::CONFLICT, "Conflict", "It clashes with the present state."),
    (code::UNAVAILABLE, "Unavailable", "The daemon or the Copilot CLI cannot serve now."),
    (code::NOT_AVAILABLE, "NotAvailable", "Known by name, but not in this version."),
    (code::TOO_MANY_SUBSCRIPTIONS, "TooManySubscriptions", "Too many on this connection."),
    (code::TOO_LARGE, "TooLarge", "One message is larger than the limit."),
    (code::ANSWER_TOO_LARGE, "AnswerTooLarge", "The answer is larger than the limit."),
    (code::TOO_MANY_CONNECTIONS, "TooManyConnections", "The daemon has no room for another."),
    (code::STORE, "Store", "The store refused."),
    (code::AUTH, "Auth", "Not signed in, or not allowed."),
    (code::BACKEND, "Backend", "The backend failed; the class in data says how."),
    (code::CALL_CANCELLED, "CallCancelled", "A call was cancelled by its own client."),
];

/// The OpenRPC 1.3 document of this contract.
pub fn openrpc() -> Value {
    let mut document = Document::new();
    document.daemon_methods();
    document.run_methods();
    document.answer_methods();
    document.backend_methods();
    document.session_methods();
    document.finish()
}

/// Whether a parameter may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
}

/// What each call may fail with, besides its own.
const COMMON: [&str; 3] = ["InvalidParams", "Internal", "Unavailable"];

struct Document {
    generator: SchemaGenerator,
    methods: Vec<Value>,
}

/// A method, while it is described.
struct Method<'a> {
    document: &'a mut Document,
    name: &'static str,
    summary: &'static str,
    params: Vec<Value>,
    errors: Vec<&'static str>,
}

impl Document {
    fn new() -> Self {
        let settings = SchemaSettings::draft07().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let mut generator = settings.into_generator();
        // Every error refers to it.
        let _reference = generator.subschema_for::<ErrorInfo>();
        Self { generator, methods: Vec::new() }
    }

    fn method(&mut self, name: &'static str, summary: &'static str) -> Method<'_> {
        let errors = COMMON.to_vec();
        Method { document: self, name, summary, params: Vec::new(), errors }
    }

    fn daemon_methods(&mut self) {
        self.method(
            "hello",
            "Versions, both ways. Never required; a client of another protocol learns it here.",
        )
        .param::<ClientInfo>("client", Need::Optional)
        .gives::<HelloResponse>();
        self.method("metrics.get", "What was counted and timed since `since` (Unix milliseconds; default: all that is kept, 90 days).")
            .param::<u64>("since", Need::Optional)
            .fails(&["Store"])
            .gives::<MetricsReport>();
        self.method("spend.get", "The ledger since the day of `since` (Unix milliseconds; default: all that is kept, 400 days), summed `by` (default model).")
            .param::<u64>("since", Need::Optional)
            .param::<SpendBy>("by", Need::Optional)
            .fails(&["Store"])
            .gives::<SpendReport>();
        self.method("config.get", "The daemon's own settings in force, with where each came from.")
            .gives::<Value>();
        self.method("daemon.status", "How the daemon is.").gives::<DaemonStatus>();
        self.method("daemon.drain", "Takes no new runs and lets the present ones end.")
            .gives::<StopResponse>();
        self.method(
            "daemon.stop",
            "Stops the daemon. Unfinished runs go on when one starts again.",
        )
        .gives::<StopResponse>();
        self.method("rpc.discover", "This contract as an OpenRPC document.").gives::<Value>();
    }

    fn run_methods(&mut self) {
        self.method("run.start", "Submits a run and streams its events to the end. A repeated `key` finds the run again.")
            .param::<RunRequest>("request", Need::Required)
            .param::<String>("key", Need::Optional)
            .fails(&["Overloaded", "Conflict", "Store", "TooManySubscriptions"])
            .streams::<RunEvent>("run.event", "run.start.end");
        self.method(
            "run.submit",
            "Submits a run and returns at once. A repeated `key` finds the run again.",
        )
        .param::<RunRequest>("request", Need::Required)
        .param::<String>("key", Need::Optional)
        .fails(&["Overloaded", "Conflict", "Store"])
        .gives::<SubmitResponse>();
        self.method(
            "run.watch",
            "Streams a run's events after `after` (default 0: from the first) to its end.",
        )
        .param::<RunId>("run", Need::Required)
        .param::<Seq>("after", Need::Optional)
        .fails(&["NotFound", "Store", "TooManySubscriptions"])
        .streams::<RunEvent>("run.watched", "run.unwatch");
        self.method("run.watch_all", "Streams how all runs stand: first those that have not ended and the `recent` newest (default 50, most 500), then those that are new or stand otherwise, at most ten times a second. It ends with the daemon.")
            .param::<u32>("recent", Need::Optional)
            .fails(&["Store", "TooManySubscriptions"])
            .streams::<RunsChanged>("run.changed", "run.unwatch_all");
        self.method("run.events", "The events after `after`, at most `limit` (default 256, most 4,096); waits up to `wait_ms` (default 0, most 60,000) for the first.")
            .param::<RunId>("run", Need::Required)
            .param::<Seq>("after", Need::Optional)
            .param::<u32>("limit", Need::Optional)
            .param::<u64>("wait_ms", Need::Optional)
            .fails(&["NotFound", "Store"])
            .gives::<EventsResponse>();
        self.method("run.get", "One run in full.")
            .param::<RunId>("run", Need::Required)
            .fails(&["NotFound", "Store"])
            .gives::<RunDetail>();
        self.method("run.list", "Runs, newest first, at most `limit` (default 50, most 500).")
            .param::<RunFilter>("filter", Need::Optional)
            .param::<RunId>("cursor", Need::Optional)
            .param::<u32>("limit", Need::Optional)
            .fails(&["Store"])
            .gives::<ListResponse>();
    }

    fn answer_methods(&mut self) {
        self.method("run.cancel", "Cancels a run. Asking twice changes nothing.")
            .param::<RunId>("run", Need::Required)
            .fails(&["NotFound", "Store"])
            .gives::<CancelResponse>();
        self.method(
            "run.steer",
            "Says something more to the agent in the turn under way. Only a chat that works in a session of the SDK takes it; to another the text is a prompt of its own.",
        )
        .param::<RunId>("run", Need::Required)
        .param::<String>("text", Need::Required)
        .fails(&["NotFound", "Conflict", "Store"])
        .gives::<SteerResponse>();
        self.method(
            "run.resume",
            "Starts a new run that goes on where an ended one stopped, in the same session. What `limits` names takes the place of the ended run's own. A parked run goes on in place; with `now` no other is resumed. With `rerun_failed`, tasks of a fleet that failed begin anew instead of going on where they stopped. `secrets` are held in memory only.",
        )
        .param::<RunId>("run", Need::Required)
        .param::<String>("prompt", Need::Optional)
        .param::<SpendLimits>("limits", Need::Optional)
        .param::<bool>("now", Need::Optional)
        .param::<bool>("rerun_failed", Need::Optional)
        .param::<BTreeMap<String, Secret>>("secrets", Need::Optional)
        .fails(&["NotFound", "Conflict", "Auth", "Overloaded", "Store"])
        .gives::<SubmitResponse>();
        self.method(
            "run.offer",
            "Hands keys over to a run that is parked because only a client had its key (`needs_key`), and lets it go on. Another run takes nothing. They are held in memory only.",
        )
        .param::<RunId>("run", Need::Required)
        .param::<BTreeMap<String, Secret>>("secrets", Need::Required)
        .fails(&["NotFound", "Store"])
        .gives::<OfferResponse>();
        self.method("run.explain", "Why a run waits, and what would let it go on.")
            .param::<RunId>("run", Need::Required)
            .fails(&["NotFound", "Store"])
            .gives::<Explanation>();
        self.method("ask.list", "Questions that wait for a person, of all runs that have not ended, oldest first, at most `limit` (default 100, most 500).")
            .param::<AskFilter>("filter", Need::Optional)
            .param::<u32>("limit", Need::Optional)
            .fails(&["NotFound", "Store"])
            .gives::<AskList>();
        self.method("run.answer", "Answers a question of a run. The first answer wins.")
            .param::<AskId>("ask", Need::Required)
            .param::<Answer>("answer", Need::Required)
            .fails(&["NotFound", "Conflict", "Store"])
            .gives::<AnswerResponse>();
    }

    fn backend_methods(&mut self) {
        self.method("model.list", "Models: the provider's where one is given, else the account's when signed in, else the Copilot CLI's catalogue.")
            .param::<BackendQuery>("query", Need::Optional)
            .fails(&["Auth", "Backend"])
            .gives::<ModelList>();
        self.method(
            "auth.status",
            "Whether the Copilot CLI is signed in, as whom, and what the plan leaves.",
        )
        .param::<BackendQuery>("query", Need::Optional)
        .fails(&["Backend"])
        .gives::<AuthStatus>();
        self.method(
            "skill.list",
            "Skills of some folders: which are offered, which are not and why.",
        )
        .param::<SkillQuery>("query", Need::Required)
        .gives::<SkillList>();
        self.method(
            "skill.get",
            "One skill in full: the one that a run is offered under this name.",
        )
        .param::<String>("name", Need::Required)
        .param::<SkillQuery>("query", Need::Required)
        .fails(&["NotFound"])
        .gives::<SkillDetail>();
        self.method(
            "mcp.check",
            "Has the Copilot CLI start MCP servers, four at a time, and lists their tools.",
        )
        .param::<McpCheck>("check", Need::Required)
        .fails(&["Auth", "Backend"])
        .gives::<McpReport>();
        self.method("breaker.list", "Circuit breakers, limits and queues.").gives::<BreakerList>();
        self.method(
            "breaker.reset",
            "Closes breakers and forgets limits: of one endpoint, of one model, or all.",
        )
        .param::<String>("endpoint", Need::Optional)
        .param::<String>("model", Need::Optional)
        .gives::<ResetResponse>();
        self.method("pool.status", "The Copilot runtimes and their sessions.")
            .gives::<PoolStatus>();
    }

    fn session_methods(&mut self) {
        self.method("session.list", "Copilot sessions on the disk, last used first, at most `limit` (default 20, most 500).")
            .param::<SessionFilter>("filter", Need::Optional)
            .param::<u32>("limit", Need::Optional)
            .param::<BackendQuery>("query", Need::Optional)
            .fails(&["Store"])
            .gives::<SessionList>();
        self.method("session.get", "One session and the end of its conversation. `session` may be the beginning of an id, here and below.")
            .param::<String>("session", Need::Required)
            .param::<BackendQuery>("query", Need::Optional)
            .fails(&["NotFound", "Store"])
            .gives::<SessionDetail>();
        self.method("session.fork", "A new session with the history of another, which stays as it is. One that is open elsewhere can be forked.")
            .param::<String>("session", Need::Required)
            .param::<BackendQuery>("query", Need::Optional)
            .fails(&["NotFound", "Backend", "Store"])
            .gives::<ForkResponse>();
        self.method(
            "session.delete",
            "Removes a session from the disk, unless a living process or an unfinished run has it.",
        )
        .param::<String>("session", Need::Required)
        .param::<BackendQuery>("query", Need::Optional)
        .fails(&["NotFound", "Conflict", "Backend", "Store"])
        .gives::<DeletedSession>();
        self.method("session.doctor", "What makes sessions (default: all) unfit to be opened; with `fix`, repairs them, after a backup.")
            .param::<String>("session", Need::Optional)
            .param::<bool>("fix", Need::Optional)
            .param::<BackendQuery>("query", Need::Optional)
            .fails(&["NotFound", "Backend", "Store"])
            .gives::<SessionsReport>();
        self.method("fleet.clean", "Removes worktrees and branches of ended fleets: of a run, of a folder's repository, or (default) of all repositories. What is merged nowhere else only with `force`.")
            .param::<CleanTarget>("target", Need::Optional)
            .param::<bool>("force", Need::Optional)
            .fails(&["NotFound", "Conflict", "Store"])
            .gives::<FleetCleaned>();
    }

    fn finish(mut self) -> Value {
        let schemas = self.generator.take_definitions(true);
        let errors: Map<String, Value> = ERRORS
            .iter()
            .map(|(code, name, meaning)| {
                let data = json!({"$ref": "#/components/schemas/ErrorInfo"});
                let error = json!({"code": code, "message": meaning, "data": data});
                ((*name).to_owned(), error)
            })
            .collect();
        json!({
            "openrpc": "1.3.2",
            "info": {
                "title": "copexd",
                "version": crate::PROTOCOL_VERSION.to_string(),
                "description": "JSON-RPC 2.0 on one Unix socket, as newline-delimited JSON, \
                    Content-Length frames, WebSocket, or HTTP (calls only). On the first two \
                    `$/cancelRequest {id}` ends a call of one's own with -32800.",
            },
            "methods": self.methods,
            "components": {"schemas": schemas, "errors": errors},
        })
    }
}

impl Method<'_> {
    fn schema<T: JsonSchema>(&mut self) -> Schema {
        self.document.generator.subschema_for::<T>()
    }

    fn param<T: JsonSchema>(mut self, name: &'static str, need: Need) -> Self {
        let schema = self.schema::<T>();
        let required = need == Need::Required;
        self.params.push(json!({"name": name, "required": required, "schema": schema}));
        self
    }

    fn fails(mut self, errors: &[&'static str]) -> Self {
        self.errors.extend(errors);
        self
    }

    fn gives<R: JsonSchema>(mut self) {
        let schema = self.schema::<R>();
        let result = json!({"name": "result", "schema": schema});
        let method = self.describe(&result);
        self.document.methods.push(method);
    }

    fn streams<I: JsonSchema>(mut self, notification: &str, unsubscribe: &str) {
        let item = self.schema::<I>();
        let result = json!({"name": "subscription", "schema": {"type": "string"}});
        let mut method = self.describe(&result);
        method["x-subscription"] = json!({
            "notification": notification, "unsubscribe": unsubscribe, "item": item,
        });
        self.document.methods.push(method);
    }

    fn describe(&self, result: &Value) -> Value {
        let reference = |name: &&str| json!({"$ref": format!("#/components/errors/{name}")});
        json!({
            "name": self.name,
            "summary": self.summary,
            "paramStructure": "either",
            "params": self.params,
            "result": result,
            "errors": self.errors.iter().map(reference).collect::<Vec<_>>(),
        })
    }
}
