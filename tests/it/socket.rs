//! The socket of a real daemon: every client's habit, every framing, every way to be refused.

mod autostart;
mod binding;
mod clients;
mod foreground;
mod frames;
mod refusals;
mod watching;

use copex_tests::daemon::TestDaemon;
use copex_tests::model::{MODEL, ModelServer};
use copex_tests::rpc::Rpc;
use serde_json::{Value, json};

/// A daemon on the real Copilot CLI, with `server` as the model behind it.
fn daemon(server: &ModelServer) -> TestDaemon {
    TestDaemon::builder(copex_tests::bins!()).model(server).start()
}

/// A chat as a client without copexctl asks for it.
fn chat(server: &ModelServer, daemon: &TestDaemon, prompt: &str) -> Value {
    json!({
        "mode": "chat",
        "prompt": prompt,
        "cwd": daemon.sandbox().work(),
        "model": MODEL,
        "provider": {
            "type": "openai",
            "base_url": server.base_url(),
            "key": {"env": "COPILOT_PROVIDER_API_KEY"},
        },
    })
}

/// The same, ended when its client leaves.
fn foreground(server: &ModelServer, daemon: &TestDaemon, prompt: &str) -> Value {
    let mut request = chat(server, daemon, prompt);
    request["foreground"] = json!(true);
    request
}

/// Follows a run by long polls, which attach nobody, until `enough` of its events.
fn poll_until(rpc: &mut Rpc, run: &Value, enough: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut seen: Vec<Value> = Vec::new();
    loop {
        let after = seen.last().map_or(0, |event| event["seq"].as_u64().unwrap_or(0));
        let params = json!({"run": run, "after": after, "wait_ms": 20_000});
        let page = rpc.call("run.events", &params);
        let fresh = page["events"].as_array().cloned().unwrap_or_default();
        let found = fresh.iter().any(&enough);
        seen.extend(fresh);
        if found {
            return seen;
        }
        assert_eq!(page["ended"], false, "the run ended without it: {seen:#?}");
    }
}

/// Whether an event has this type.
fn is(kind: &str) -> impl Fn(&Value) -> bool + '_ {
    move |event| event["type"] == kind
}

/// The types of events, in order.
fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["type"].as_str()).collect()
}

/// The answer of a run that is done.
fn answer(events: &[Value]) -> &str {
    let last = events.last().expect("a run has events");
    assert_eq!(last["type"], "done", "{events:#?}");
    last["content"].as_str().unwrap_or_default()
}

/// The events are numbered from `first` on, with nothing missing and nothing twice.
fn assert_numbered(events: &[Value], first: u64) {
    let numbers = events.iter().map(|event| event["seq"].as_u64().unwrap_or(0));
    for (expected, seq) in (first..).zip(numbers) {
        assert_eq!(seq, expected, "{events:#?}");
    }
}
