//! A foreground run ends with its client, and only with its client.
//!
//! That something is *not* cancelled cannot be waited for. So each test lets another run's
//! client leave later: when that run is cancelled, the time of the first one is over.

use copex_tests::daemon::TestDaemon;
use copex_tests::model::{Gate, ModelServer, Reply};
use copex_tests::rpc::Rpc;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{answer, assert_numbered, chat, daemon, foreground, is, kinds, poll_until};

/// A model that says a word and then waits at the gate.
fn waiting_model(gate: &Gate) -> ModelServer {
    let gate = gate.clone();
    ModelServer::with(move |_| Reply::stream().say("begun ").wait(&gate).say("ended"))
}

/// Starts a run on a connection of its own and waits until its answer has begun.
fn begin(daemon: &TestDaemon, request: &Value) -> (Rpc, Value) {
    let mut rpc = daemon.rpc();
    let started = rpc.subscribe("run.start", &json!({"request": request}));
    let seen = rpc.events_until(&started, "message_delta");
    (rpc, seen[0]["run"].clone())
}

/// Waits until a foreground run, whose client leaves now, has been cancelled.
fn outwait(server: &ModelServer, daemon: &TestDaemon) {
    let (client, run) = begin(daemon, &foreground(server, daemon, "left alone"));
    drop(client);
    poll_until(&mut daemon.rpc(), &run, is("cancelled"));
}

fn state(daemon: &TestDaemon, run: &Value) -> Value {
    daemon.rpc().call("run.get", &json!({"run": run}))["summary"]["state"].clone()
}

#[test]
fn a_foreground_run_ends_with_its_client_and_a_detached_one_does_not() {
    let gate = Gate::new();
    let server = waiting_model(&gate);
    let daemon = daemon(&server);
    let (client, detached) = begin(&daemon, &chat(&server, &daemon, "detached"));
    drop(client);
    let (client, attached) = begin(&daemon, &foreground(&server, &daemon, "attached"));
    let (mut closing, closed) = begin(&daemon, &foreground(&server, &daemon, "unsubscribed"));
    outwait(&server, &daemon);
    server.wait_for_abandoned(1);
    assert_eq!(state(&daemon, &detached), "running");
    assert_eq!(state(&daemon, &attached), "running");

    // The end of a subscription is not the end of its connection.
    let subscription = closing.call("run.watch", &json!({"run": closed}));
    closing.call("run.unwatch", &json!([subscription]));
    outwait(&server, &daemon);
    assert_eq!(state(&daemon, &closed), "running");

    gate.open();
    for run in [&detached, &attached, &closed] {
        let seen = poll_until(&mut daemon.rpc(), run, is("done"));
        assert_eq!(answer(&seen), "begun ended");
    }
    drop(client);
}

#[test]
fn a_client_that_comes_back_in_time_keeps_its_run() {
    let gate = Gate::new();
    let server = waiting_model(&gate);
    let daemon = daemon(&server);
    let (client, run) = begin(&daemon, &foreground(&server, &daemon, "flaky line"));
    drop(client);
    let mut back = daemon.rpc();
    let watched = back.subscribe("run.watch", &json!({"run": run}));
    outwait(&server, &daemon);
    assert_eq!(state(&daemon, &run), "running");
    gate.open();
    let seen = back.events_to_end(&watched);
    assert_numbered(&seen, 1);
    assert_eq!(answer(&seen), "begun ended");
}

#[test]
fn a_daemon_that_stops_or_dies_cancels_nothing() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let gate = Gate::new();
        let server = waiting_model(&gate);
        let mut daemon = daemon(&server);
        let (client, run) = begin(&daemon, &foreground(&server, &daemon, "survivor"));
        // A poll that waits must not hold the daemon up until the run counts as left.
        let mut poller = daemon.rpc();
        let last =
            daemon.rpc().call("run.get", &json!({"run": run}))["summary"]["last_seq"].clone();
        let poll = json!({"run": run, "after": last, "wait_ms": 60_000});
        poller.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "run.events", "params": poll}));
        daemon.process().signal(signal);
        let output = daemon.process().wait();
        let code = if signal == Signal::SIGKILL { 137 } else { 0 };
        assert_eq!(output.code(), code, "{}", output.stderr);
        daemon.restart();
        outwait(&server, &daemon);
        assert_eq!(state(&daemon, &run), "running", "{}", daemon.log());
        gate.open();
        let seen = poll_until(&mut daemon.rpc(), &run, is("done"));
        assert!(!kinds(&seen).contains(&"cancelled"), "{signal}: {seen:#?}");
        drop((client, poller));
    }
}
