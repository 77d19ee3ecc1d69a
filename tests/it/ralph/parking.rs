//! A loop meets a limit that ends in an hour, and its daemon dies meanwhile.

use copex_tests::model::Gate;
use copex_tests::process::marked;
use copex_tests::tap::{Tap, assert_whole, kinds};
use serde_json::json;

use super::*;

/// The limit, in seconds.
const HOUR_S: u64 = 3_600;

/// The daemon dies, and the next one is started after so many milliseconds.
fn dies_and_comes_back_after(product: &mut Product, ms: u64) {
    let _killed = product.daemon.kill9();
    product.daemon.sandbox_mut().set("COPEX_TEST_CLOCK_AHEAD_MS", ms.to_string());
    product.daemon.restart();
}

fn running(events: &[Value]) -> usize {
    of_type(events, "state").iter().filter(|event| event["state"] == "running").count()
}

#[test]
fn an_hours_limit_parks_a_loop_over_kills_and_it_goes_on_once() {
    let mut product = Product::start();
    product.model.push(Reply::text("not yet"));
    product.model.respond(|_| Reply::rate_limited("user_global_rate_limited", Some(HOUR_S)));
    let args = ["ralph", "go", "-p", "all tests passing", "--verify", "true", "--detach"];
    let run = product.ctl().run(args).ok().trim().to_owned();
    let socket = product.daemon.socket();
    let first = Tap::watch(&socket, &run, 0).until(|event| event.kind == "parked");
    let parked = first.last().unwrap().value();
    let (at, until) = (parked["at"].as_u64().unwrap(), parked["until"].as_u64().unwrap());
    assert!((at + HOUR_S * 1_000 - 1_000..=at + HOUR_S * 1_100).contains(&until), "{parked}");
    assert_eq!(parked["path"], "2", "the second iteration: {parked}");
    assert_eq!(product.model.requests().len(), 2);

    // Not a minute before its time, however often the daemon dies.
    for minutes in [0, 30, 59] {
        dies_and_comes_back_after(&mut product, minutes * 60_000);
        let mut rpc = product.rpc();
        let detail = rpc.call("run.get", &json!({"run": run}));
        assert_eq!(detail["summary"]["state"], "parked", "after {minutes} minutes: {detail}");
        assert_eq!(detail["summary"]["last_seq"], parked["seq"], "nothing happened: {detail}");
    }
    assert_eq!(product.model.requests().len(), 2, "nobody is asked meanwhile");

    // Then at once, and once: also when the daemon dies in the midst of it.
    let gate = Gate::new();
    let held = gate.clone();
    product.model.respond(move |_| Reply::text(PROMISE).wait_before_head(&held));
    dies_and_comes_back_after(&mut product, HOUR_S * 1_100);
    gate.wait_reached(1);
    let seq = parked["seq"].as_u64().unwrap();
    let resumed = Tap::watch(&socket, &run, seq).until(|event| event.kind == "attempt");
    assert_eq!(kinds(&resumed), ["state", "attempt"], "{resumed:#?}");
    let _killed = product.daemon.kill9();
    product.model.respond(|_| Reply::text(PROMISE));
    product.daemon.restart();
    let all = Tap::watch(&socket, &run, 0).follow();
    gate.open();

    assert_whole(&all);
    assert_eq!(all[..first.len()], first);
    assert_eq!(kinds(&all).last(), Some(&"done"), "{all:#?}");
    let events: Vec<Value> = all.iter().map(copex_tests::tap::Tapped::value).collect();
    assert_eq!(of_type(&events, "parked").len(), 1, "{events:#?}");
    // Begun, gone on after the park, gone on after the last kill.
    assert_eq!(running(&events), 3, "{events:#?}");
    let numbers: Vec<&Value> =
        of_type(&events, "iteration").iter().map(|event| &event["number"]).collect();
    assert_eq!(json!(numbers), json!([1, 2]), "{events:#?}");
    let prompts = product.last_request().user_messages();
    assert_eq!(prompts.len(), 2, "each prompt was sent once: {prompts:?}");
    let left = marked(product.daemon.sandbox().marker());
    let daemons = left.iter().filter(|(_, line)| line.contains("copexd"));
    assert_eq!(daemons.count(), 1, "{left:?}");
}
