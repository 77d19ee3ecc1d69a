//! What goes wrong above the daemon: models that refuse, break off, fall silent or cannot be
//! reached. For each fault: how often the model is asked, what the run says meanwhile, and
//! that the user gets one answer or one honest error.

mod breaker;
mod continuity;
mod fallback;
mod lost;
mod matrix;
mod parking;
mod rows;
mod storm;

use copex_tests::model::{ModelServer, RecordedRequest};
use copex_tests::process::Output;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::product::{Product, follow, of_type};

/// The model that a run asks for.
const FIRST: &str = "first";

/// The model that follows it.
const SECOND: &str = "second";

/// How the run went for whoever looked on.
struct Seen {
    events: Vec<Value>,
    /// What `copexctl runs attach -q` printed.
    output: Output,
}

impl Seen {
    fn end(&self) -> &Value {
        self.events.last().expect("a run has a last event")
    }

    fn count(&self, kind: &str) -> usize {
        of_type(&self.events, kind).len()
    }

    /// The text that a follower of the stream is left with.
    fn text(&self) -> String {
        let withdrawn = self.events.iter().rposition(|event| event["type"] == "restarted");
        let rest = self.events.iter().skip(withdrawn.map_or(0, |at| at + 1));
        rest.filter(|event| event["type"] == "message_delta")
            .filter_map(|event| event["text"].as_str())
            .collect()
    }
}

/// Fields of a request whose retries do not keep a test waiting.
fn quick() -> Value {
    json!({
        "model": FIRST,
        "fallback_chain": [],
        "foreground": true,
        "retry": {"base_delay_s": 0.05, "max_delay_s": 0.2, "first_event_timeout_s": 0.5},
    })
}

/// `base` with the fields of `more` over it.
fn merged(mut base: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (base.as_object_mut(), more) {
        fields.extend(more);
    }
    base
}

/// A provider of its own: what one learns of it says nothing of another.
fn provider(model: &ModelServer, name: &str) -> Value {
    let base_url = format!("{}/{name}", model.base_url());
    json!({"base_url": base_url, "key": {"env": "COPILOT_PROVIDER_API_KEY"}})
}

/// The requests to such a provider.
fn requests_to(product: &Product, name: &str) -> Vec<RecordedRequest> {
    let path = format!("/v1/{name}/");
    let mut requests = product.model.requests();
    requests.retain(|request| request.path.starts_with(&path));
    requests
}

/// Runs a chat to its end, as somebody sees it who looks on.
fn chat(product: &Product, prompt: &str, more: Value) -> Seen {
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, prompt, more);
    let attached = product.ctl().start(["runs", "attach", &run, "-q"]);
    Seen { events: follow(&mut rpc, &run), output: attached.wait() }
}

/// A chat that nobody looks on; its retries do not keep a test waiting.
fn background(more: Value) -> Value {
    merged(merged(quick(), json!({"foreground": false})), more)
}

/// Kills every runtime as a crash would.
fn kill_runtimes(product: &Product) {
    signal_runtimes(product, Signal::SIGKILL);
}

fn signal_runtimes(product: &Product, signal: Signal) {
    let pool = product.rpc().call("pool.status", &json!({}));
    let runtimes = pool["runtimes"].as_array().cloned().unwrap_or_default();
    assert!(!runtimes.is_empty(), "a runtime is at work: {pool}");
    for runtime in &runtimes {
        let pid = runtime["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("a runtime of ours");
    }
}
