//! The whole product for one test: the real daemon and client, the real Copilot CLI, and a
//! scripted model behind it.

use copex_tests::ctl::Ctl;
use copex_tests::daemon::{DaemonBuilder, TestDaemon};
use copex_tests::model::{MODEL, ModelServer, RecordedRequest};
use copex_tests::process::Output;
use copex_tests::rpc::Rpc;
use serde_json::{Value, json};

/// A daemon with a model.
pub(crate) struct Product {
    // Dropped before the model: what it started may still be asking.
    pub(crate) daemon: TestDaemon,
    pub(crate) model: ModelServer,
}

impl Product {
    /// A daemon with no configuration.
    pub(crate) fn start() -> Self {
        Self::with(|builder| builder)
    }

    /// A daemon with something changed.
    pub(crate) fn with(change: impl FnOnce(DaemonBuilder) -> DaemonBuilder) -> Self {
        let model = ModelServer::start();
        let builder = TestDaemon::builder(copex_tests::bins!()).model(&model);
        let daemon = change(builder).start();
        Self { daemon, model }
    }

    /// `copexctl`, nothing on its stdin.
    pub(crate) fn ctl(&self) -> Ctl {
        self.daemon.ctl()
    }

    /// `copexctl chat ARGS`, to its end.
    pub(crate) fn chat<const N: usize>(&self, args: [&str; N]) -> Output {
        self.ctl().run(["chat"].into_iter().chain(args))
    }

    /// `copexctl runs ARGS`, to its end.
    pub(crate) fn runs<const N: usize>(&self, args: [&str; N]) -> Output {
        self.ctl().run(["runs"].into_iter().chain(args))
    }

    /// A connection.
    pub(crate) fn rpc(&self) -> Rpc {
        self.daemon.rpc()
    }

    /// A chat request for the socket, with further fields.
    pub(crate) fn request(&self, prompt: &str, more: Value) -> Value {
        let mut request = json!({
            "mode": "chat",
            "prompt": prompt,
            "cwd": self.daemon.sandbox().work(),
            "model": MODEL,
            "provider": {
                "base_url": self.model.base_url(),
                "key": {"env": "COPILOT_PROVIDER_API_KEY"},
            },
        });
        let fields = request.as_object_mut().expect("an object");
        if let Value::Object(more) = more {
            fields.extend(more);
        }
        request
    }

    /// Submits a chat and returns its run.
    pub(crate) fn submit(&self, rpc: &mut Rpc, prompt: &str, more: Value) -> String {
        let submitted =
            rpc.call("run.submit", &json!({"request": self.request(prompt, more), "key": null}));
        submitted["run"].as_str().expect("a run's id").to_owned()
    }

    /// The newest request to the model.
    pub(crate) fn last_request(&self) -> RecordedRequest {
        self.model.requests().pop().expect("a request to the model")
    }
}

/// The events of one type.
pub(crate) fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

/// The types in order.
pub(crate) fn types(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["type"].as_str()).collect()
}

/// A run's events from the first to the last.
pub(crate) fn follow(rpc: &mut Rpc, run: &str) -> Vec<Value> {
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    rpc.events_to_end(&watched)
}

/// The call of a shell command, for [`copex_tests::model::Reply::tool`].
pub(crate) fn shell(command: &str) -> Value {
    json!({"command": command, "description": "a test"})
}
