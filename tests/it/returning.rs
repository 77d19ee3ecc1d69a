//! Fifty runs of a killed daemon come back: the most urgent first, and few at once.

use copex_tests::model::{Gate, RecordedRequest, Reply};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::product::{Product, follow};

/// Runs that may come back at once.
const AT_ONCE: usize = 8;

/// Runs of each kind, the least urgent first, as they are submitted.
const KINDS: [(&str, usize); 3] = [("background", 38), ("loop", 8), ("person", 4)];

fn more(kind: &str) -> Value {
    match kind {
        "loop" => json!({"mode": "ralph", "promise": "DONE"}),
        "person" => json!({"foreground": true}),
        _ => json!({}),
    }
}

/// The name of the run that a request belongs to.
fn name(request: &RecordedRequest) -> String {
    let prompt = request.prompt();
    let at = prompt.find("run:").unwrap_or_else(|| panic!("{prompt}"));
    prompt[at..].split_whitespace().next().unwrap_or_default().to_owned()
}

/// Kills the daemon and its runtimes at one moment: a runtime that finds its daemon dead may
/// ask the model once more.
fn crash(product: &mut Product) {
    let pool = product.rpc().call("pool.status", &json!({}));
    let pids: Vec<Pid> = pool["runtimes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|runtime| Pid::from_raw(i32::try_from(runtime["pid"].as_i64().unwrap()).unwrap()))
        .collect();
    for pid in &pids {
        kill(*pid, Signal::SIGSTOP).unwrap();
    }
    let _killed = product.daemon.kill9();
    for pid in &pids {
        kill(*pid, Signal::SIGKILL).unwrap();
    }
}

#[test]
fn fifty_runs_come_back_by_urgency_and_age_and_eight_at_once() {
    let mut product = Product::start();
    product.model.respond(|_| Reply::hang_before_head());
    let mut rpc = product.rpc();
    let mut runs = Vec::new();
    let mut names = Vec::new();
    for (kind, count) in KINDS {
        let of_kind: Vec<String> =
            (0..count).map(|number| format!("run:{kind}-{number}")).collect();
        runs.extend(of_kind.iter().map(|name| product.submit(&mut rpc, name, more(kind))));
        // Urgent ones were accepted last, and come first.
        names.splice(0..0, of_kind);
    }
    let before = product.model.wait_for_requests(runs.len()).len();
    crash(&mut product);
    let gate = Gate::new();
    let held = gate.clone();
    product.model.respond(move |_| Reply::text("<promise>DONE</promise>").wait_before_head(&held));
    product.daemon.restart();

    for arrived in AT_ONCE..=runs.len() {
        gate.wait_reached(arrived);
        // So many were let go, and no more than eight wait for their model or their session.
        assert_eq!(product.model.requests().len() - before, arrived);
        if arrived == AT_ONCE {
            let pool = product.rpc().call("pool.status", &json!({}));
            let busy = pool["runtimes"][0]["busy_sessions"].as_u64().unwrap();
            assert!(busy <= AT_ONCE as u64, "sessions that are open: {pool}");
            let waiting = product.rpc().call("run.explain", &json!({"run": runs[37]}));
            let words = waiting["waits"][0]["detail"].as_str().unwrap();
            assert!(words.contains("after a restart"), "{waiting}");
        }
        gate.release();
    }
    gate.open();
    let mut came: Vec<String> = product.model.requests()[before..].iter().map(name).collect();
    came[..AT_ONCE].sort();
    names[..AT_ONCE].sort();
    assert_eq!(came, names, "nobody asked twice, and all came in order");
    let mut rpc = product.rpc();
    for run in &runs {
        let end = follow(&mut rpc, run).pop().unwrap();
        assert_eq!(end["type"], "done", "{end}");
    }
    for request in &product.model.requests()[before..] {
        assert_eq!(request.user_messages().len(), 1, "{:?}", request.user_messages());
    }
}
