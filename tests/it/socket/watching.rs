//! Many watchers, slow ones, late ones: everybody gets every event, once and in order.

use copex_tests::model::{Gate, ModelServer, Reply};
use serde_json::{Value, json};

use super::{answer, assert_numbered, chat, daemon, is, kinds, poll_until};

/// Watchers at once. The daemon takes 512 connections.
const WATCHERS: usize = 100;

/// Pieces of an answer, each too large to be merged with its neighbour.
fn pieces(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{at:05} {}\n", "x".repeat(2_100))).collect()
}

#[test]
fn a_hundred_watchers_see_the_same() {
    let (server, gate) = (ModelServer::start(), Gate::new());
    let pieces = pieces(300);
    server.push(pieces.iter().fold(Reply::stream().wait(&gate), Reply::say));
    let daemon = daemon(&server);
    let mut first = daemon.rpc();
    let request = chat(&server, &daemon, "go");
    let run = first.call("run.submit", &json!({"request": request}))["run"].clone();
    gate.wait_reached(1);
    let mut watchers: Vec<_> = (0..WATCHERS)
        .map(|_| {
            let mut rpc = daemon.rpc();
            let watched = rpc.subscribe("run.watch", &json!({"run": run}));
            (rpc, watched)
        })
        .collect();
    gate.open();
    let expected = poll_until(&mut first, &run, is("done"));
    assert_numbered(&expected, 1);
    assert_eq!(answer(&expected), pieces.concat());
    let deltas = expected.iter().filter(|event| event["type"] == "message_delta");
    assert!(deltas.count() >= 300, "large pieces are not merged");
    for (rpc, watched) in &mut watchers {
        assert!(rpc.events_to_end(watched) == expected, "a watcher saw something else");
    }
    let status = first.call("daemon.status", &json!({}));
    assert_eq!(status["connections"], WATCHERS + 1, "{status}");
}

#[test]
fn a_reader_that_stops_for_a_while_misses_nothing() {
    let server = ModelServer::start();
    let pieces = pieces(700);
    server.push(Reply::chunks(&pieces));
    let daemon = daemon(&server);
    let (mut slow, mut other) = (daemon.rpc(), daemon.rpc());
    let request = chat(&server, &daemon, "go");
    let started = slow.subscribe("run.start", &json!({"request": request}));
    let mut head = vec![slow.next_event(&started)];
    let run = head[0]["run"].clone();
    // Six subscriptions on one connection are more than its queue, the socket and the
    // newest events in memory hold together: what comes later comes from the store.
    let more: Vec<_> = (0..5).map(|_| slow.subscribe("run.watch", &json!({"run": run}))).collect();
    let expected = poll_until(&mut other, &run, is("done"));
    assert_eq!(answer(&expected), pieces.concat());

    head.extend(slow.events_to_end(&started));
    assert!(head == expected, "the subscription that started the run saw something else");
    for watched in &more {
        assert!(slow.events_to_end(watched) == expected, "a watcher saw something else");
    }
}

#[test]
fn a_watcher_goes_on_where_it_was() {
    let (server, gate) = (ModelServer::start(), Gate::new());
    server.push(Reply::stream().say("before ").wait(&gate).say("after"));
    let daemon = daemon(&server);
    let mut rpc = daemon.rpc();
    let request = chat(&server, &daemon, "go");
    let started = rpc.subscribe("run.start", &json!({"request": request}));
    let mut seen = rpc.events_until(&started, "message_delta");
    let run = seen[0]["run"].clone();
    drop(rpc);

    let mut rpc = daemon.rpc();
    let after = seen.last().unwrap()["seq"].clone();
    let watched = rpc.subscribe("run.watch", &json!({"run": run, "after": after}));
    gate.release();
    seen.extend(rpc.events_to_end(&watched));
    assert_numbered(&seen, 1);
    assert_eq!(answer(&seen), "before after");

    // The run has ended: its log is read from the store now.
    let last = seen.len();
    for after in [0, 1, last - 1] {
        let watched = rpc.subscribe("run.watch", &json!({"run": run, "after": after}));
        assert_eq!(rpc.events_to_end(&watched), seen[after..]);
    }
    let page = rpc.call("run.events", &json!({"run": run, "after": 1, "limit": 2}));
    assert_eq!(page["events"], json!(seen[1..3]));
    assert_eq!((&page["next_after"], &page["ended"]), (&json!(3), &json!(false)));
    let page = rpc.call("run.events", &json!({"run": run, "after": last}));
    assert_eq!((&page["events"], &page["ended"]), (&json!([]), &json!(true)));
}

#[test]
fn numbers_and_runs_that_never_were_are_typed_errors() {
    let server = ModelServer::start();
    let daemon = daemon(&server);
    let mut rpc = daemon.rpc();
    let request = chat(&server, &daemon, "go");
    let started = rpc.subscribe("run.start", &json!({"request": request}));
    let seen = rpc.events_to_end(&started);
    let beyond = json!({"run": seen[0]["run"], "after": seen.len() + 1});
    for method in ["run.watch", "run.events"] {
        let error = rpc.call_err(method, &beyond);
        assert_eq!(error["code"], -32003, "{error}");
        assert_eq!(error["data"]["class"], "conflict", "{error}");
        let hint = error["data"]["hint"].as_str().unwrap_or_default();
        assert!(hint.contains("epoch"), "{error}");
    }
    for method in ["run.watch", "run.events", "run.get", "run.cancel", "run.resume"] {
        let error = rpc.call_err(method, &json!({"run": "0123456789abc"}));
        assert_eq!(error["data"]["class"], "not_found", "{method} {error}");
        let error = rpc.call_err(method, &json!({"run": "no run"}));
        assert_eq!(error["code"], -32602, "{method} {error}");
    }
}

#[test]
fn cancelling_twice_answers_twice_the_same() {
    let (server, gate) = (ModelServer::start(), Gate::new());
    server.push(Reply::stream().say("begun").wait(&gate));
    let daemon = daemon(&server);
    let (mut rpc, mut other) = (daemon.rpc(), daemon.rpc());
    let request = chat(&server, &daemon, "go");
    let started = rpc.subscribe("run.start", &json!({"request": request}));
    let mut seen = rpc.events_until(&started, "message_delta");
    let run = json!({"run": seen[0]["run"]});
    let replies: Vec<Value> = (0..3).map(|_| other.call("run.cancel", &run)).collect();
    assert_eq!(replies[0]["state"], "cancelled");
    assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
    seen.extend(rpc.events_to_end(&started));
    assert_numbered(&seen, 1);
    let ends = kinds(&seen).into_iter().filter(|kind| *kind == "cancelled").count();
    assert_eq!((ends, seen.last().unwrap()["type"].as_str()), (1, Some("cancelled")));
    server.wait_for_abandoned(1);

    // A run that is done stays done.
    let request = chat(&server, &daemon, "again");
    let started = rpc.subscribe("run.start", &json!({"request": request}));
    let seen = rpc.events_to_end(&started);
    let reply = other.call("run.cancel", &json!({"run": seen[0]["run"]}));
    assert_eq!(reply["state"], "done");
}

#[test]
fn one_key_is_one_run_whoever_asks() {
    let server = ModelServer::start();
    let daemon = daemon(&server);
    let params = json!({"request": chat(&server, &daemon, "once"), "key": "the-key"});
    let mut clients: Vec<_> = (0..8).map(|_| daemon.rpc()).collect();
    for (at, rpc) in clients.iter_mut().enumerate() {
        rpc.send(&json!({"jsonrpc": "2.0", "id": at, "method": "run.submit", "params": params}));
    }
    let answers: Vec<Value> =
        clients.iter_mut().map(|rpc| rpc.next_frame()["result"].clone()).collect();
    let created = answers.iter().filter(|answer| answer["created"] == true).count();
    assert_eq!(created, 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer["run"] == answers[0]["run"]), "{answers:?}");
    let started = clients[0].subscribe("run.start", &params);
    let seen = clients[0].events_to_end(&started);
    assert_eq!((&seen[0]["run"], answer(&seen)), (&answers[0]["run"], "echo: once"));
    assert_eq!(server.requests().len(), 1);
}
