//! `run.watch_all`: how all runs stand, told as it changes.

use copex_tests::model::{Gate, Reply};
use copex_tests::rpc::{Rpc, Subscription};
use serde_json::{Value, json};

use crate::product::{Product, shell};

/// Waits until a run is told in this state; all that was told meanwhile, as run and state.
fn until(rpc: &mut Rpc, all: &Subscription, run: &str, state: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut seen = Vec::new();
    loop {
        let change = rpc.next_event(all);
        for told in change["runs"].as_array().expect("runs") {
            seen.push((text(&told["run"]), text(&told["state"])));
        }
        if seen.iter().any(|(it, at)| it == run && at == state) {
            return seen;
        }
    }
}

#[test]
fn each_run_is_told_as_it_stands_and_those_of_before_at_first() {
    let product = Product::start();
    let gate = Gate::new();
    let held = gate.clone();
    product.model.respond(move |request| {
        let reply = Reply::text("hi");
        if request.prompt().contains("wait") { reply.wait_before_head(&held) } else { reply }
    });
    let mut rpc = product.rpc();
    let early = product.submit(&mut rpc, "early", json!({}));
    let watched = rpc.subscribe("run.watch", &json!({"run": early}));
    rpc.events_to_end(&watched);

    let all = rpc.subscribe("run.watch_all", &json!({}));
    let first = rpc.next_event(&all);
    assert_eq!(first["runs"][0]["run"], early.as_str(), "{first}");
    assert_eq!((&first["runs"][0]["state"], &first["waiting"]), (&json!("done"), &json!(0)));
    let slow = product.submit(&mut rpc, "wait", json!({}));
    until(&mut rpc, &all, &slow, "running");
    // One that begins and ends between two looks is told all the same.
    let quick = product.submit(&mut rpc, "quick", json!({"demo": true}));
    until(&mut rpc, &all, &quick, "done");
    gate.open();
    let seen = until(&mut rpc, &all, &slow, "done");
    assert!(
        seen.iter().all(|(run, _)| *run != early),
        "what has not changed is not told: {seen:?}"
    );

    // Whoever comes later hears the newest, as many as wanted.
    let late = rpc.subscribe("run.watch_all", &json!({"recent": 1}));
    let first = rpc.next_event(&late);
    assert_eq!(first["runs"].as_array().unwrap().len(), 1, "{first}");
    assert_eq!(first["runs"][0]["run"], quick.as_str());
}

#[test]
fn questions_are_counted_and_a_daemon_that_stops_ends_it() {
    let product = Product::start();
    product.model.push(Reply::tool("bash", &shell("git push")));
    product.model.respond(|_| Reply::text("the end"));
    let mut rpc = product.rpc();
    let all = rpc.subscribe("run.watch_all", &json!({}));
    assert_eq!(rpc.next_event(&all)["waiting"], 0);
    let run = product.submit(&mut rpc, "go", json!({}));
    let asks = loop {
        let change = rpc.next_event(&all);
        if change["waiting"] == 1 {
            break rpc.call("ask.list", &json!({}));
        }
    };
    let ask = &asks["asks"][0]["ask"];
    rpc.call("run.answer", &json!({"ask": ask, "answer": {"kind": "deny"}}));
    let waiting = loop {
        let change = rpc.next_event(&all);
        let mut told = change["runs"].as_array().unwrap().iter();
        if told.any(|it| it["run"] == run.as_str() && it["state"] == "done") {
            break change["waiting"].clone();
        }
    };
    assert_eq!(waiting, 0);
    // Somebody who looks on does not hold the daemon up.
    rpc.call("daemon.stop", &json!({}));
    assert_eq!(product.daemon.process().wait().code(), 0);
}
