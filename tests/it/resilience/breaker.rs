//! The breaker: when it opens, who it stops, who may probe, and what outlives the daemon.

use std::time::UNIX_EPOCH;

use copex_tests::clock::{Deadline, PATIENCE};
use copex_tests::model::{Gate, Reply};
use copex_tests::rpc::{Rpc, Subscription};
use serde_json::{Value, json};

use super::{FIRST, background, chat, quick};
use crate::product::{Product, follow};

/// How long a probe may take before another is let through.
const LEASE_MS: u64 = 150_000;

/// Unix milliseconds, as the daemon counts them.
fn now_ms() -> u64 {
    u64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

/// The breaker of the first model.
fn breaker(rpc: &mut Rpc) -> Value {
    let listed = rpc.call("breaker.list", &json!({}));
    let breakers = listed["breakers"].as_array().cloned().unwrap_or_default();
    let mine = breakers.into_iter().find(|breaker| breaker["model"] == FIRST);
    mine.unwrap_or_else(|| panic!("no breaker for {FIRST}: {listed}"))
}

fn out_of_order() -> Reply {
    Reply::error(503, "overloaded", "out of order")
}

/// A product whose first model failed five times in a row.
fn opened(config: &str) -> Product {
    let product = Product::with(|builder| builder.config(config));
    product.model.respond(|_| out_of_order());
    let seen = chat(&product, "hi", quick());
    let message = seen.end()["error"]["message"].as_str().unwrap();
    assert!(message.contains("out of order"), "the reason is named: {message}");
    assert!(message.contains("failed too often"), "and why nobody asks again: {message}");
    assert_eq!(product.model.requests().len(), 5, "it opens with the fifth failure");
    product
}

/// Waits until the run says that it is tried again later.
fn until_waiting(rpc: &mut Rpc, watched: &Subscription) {
    let events = rpc.events_until(watched, "retrying");
    let last = events.last().unwrap();
    let message = last["error"]["message"].as_str().unwrap();
    assert!(message.contains("failed too often"), "{last}");
}

#[test]
fn an_open_breaker_stops_every_client_and_survives_the_daemon() {
    let mut product = opened("[retry]\nbase_delay = 0.1\nmax_delay = 1.0\n");
    let before = breaker(&mut product.rpc());
    assert_eq!((&before["state"], &before["opened"]), (&json!("open"), &json!(1)));
    assert_eq!((&before["failures"], &before["samples"]), (&json!(5), &json!(5)));
    let refused = product.chat(["hello?", "-m", FIRST, "--json"]).expect_code(1).json();
    assert_eq!(refused["error"]["class"], "server", "{refused}");
    let hint = refused["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("copexctl breakers reset"), "{refused}");

    // Who is not looked at waits, and says for what.
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "whenever", background(json!({})));
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    until_waiting(&mut rpc, &watched);
    let why = rpc.call("run.explain", &json!({"run": run}));
    assert_eq!(why["waits"][0]["kind"], "breaker", "{why}");
    assert_eq!(why["waits"][0]["unblock"], "copexctl breakers reset", "{why}");
    assert!(why["models"][0]["closed"].is_string(), "{why}");

    let _stopped = product.daemon.stop();
    product.daemon.restart();
    assert_eq!(breaker(&mut product.rpc())["until"], before["until"], "after a stop");
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let after = breaker(&mut product.rpc());
    for field in ["state", "until", "opened", "failures", "samples"] {
        assert_eq!(after[field], before[field], "{field} after a kill");
    }
    let again = product.chat(["and now?", "-m", FIRST, "-q"]).expect_code(1);
    assert!(again.stderr.contains("failed too often"), "{}", again.stderr);
    assert_eq!(product.model.requests().len(), 5, "nobody asked");

    product.model.respond(|_| Reply::text("well again"));
    let reset = product.ctl().run(["breakers", "reset", "-m", FIRST]).ok();
    assert!(reset.contains('1'), "{reset}");
    let end = follow(&mut product.rpc(), &run).pop().unwrap();
    assert_eq!(end["content"], "well again", "the waiting run goes on: {end}");
    assert_eq!(product.model.requests().len(), 6);
    assert_eq!(product.last_request().user_messages(), ["whenever"]);
    assert_eq!(product.chat(["and now?", "-m", FIRST, "-q"]).ok(), "well again\n");
}

#[test]
fn fifty_callers_make_one_probe_and_its_failure_shuts_the_breaker_for_longer() {
    const CALLERS: usize = 50;
    let product = opened("[breaker]\ncooldown = 2.0\n");
    let gate = Gate::new();
    let held = gate.clone();
    product.model.respond(move |_| out_of_order().wait_before_head(&held));
    // The probe is held for as long as it takes, and must not be given up meanwhile.
    let retry = json!({"base_delay_s": 0.05, "max_delay_s": 0.2, "first_event_timeout_s": 120.0});
    let mut callers: Vec<(String, String, Rpc, Subscription)> = Vec::new();
    for number in 0..CALLERS {
        let mut rpc = product.rpc();
        let prompt = format!("caller {number}");
        let patient = background(json!({"retry": retry}));
        let run = product.submit(&mut rpc, &prompt, patient);
        let watched = rpc.subscribe("run.watch", &json!({"run": run}));
        callers.push((prompt, run, rpc, watched));
    }
    gate.wait_reached(1);
    let probe = product.last_request().prompt();
    assert_eq!(breaker(&mut product.rpc())["state"], "half_open");
    // Everybody else asks while the probe is under way, and is told to look again later than
    // the end of the cooldown they waited for first.
    let probed = breaker(&mut product.rpc())["until"].as_u64().unwrap() - LEASE_MS;
    for (prompt, run, rpc, _) in &mut callers {
        if *prompt == probe {
            continue;
        }
        let deadline = Deadline::after(PATIENCE);
        loop {
            let why = rpc.call("run.explain", &json!({"run": run}));
            let wait = &why["waits"][0];
            if wait["until"].as_u64().is_some_and(|until| until > probed + 1_000) {
                assert_eq!(wait["kind"], "breaker", "{why}");
                break;
            }
            assert!(deadline.left().is_some(), "{prompt} did not ask again: {why}");
        }
    }
    assert_eq!(product.model.requests().len(), 6, "one probe");
    let released = now_ms();
    gate.release();
    let mut rpc = product.rpc();
    let reopened = loop {
        let now = breaker(&mut rpc);
        if now["state"] == "open" {
            break now;
        }
    };
    assert_eq!(reopened["opened"], 2, "{reopened}");
    // Twice as long, from some moment between the probe's end and now on.
    let began = reopened["until"].as_u64().unwrap() - 4_000;
    assert!((released..=now_ms()).contains(&began), "twice as long: {reopened}");

    gate.open();
    product.model.respond(|request| Reply::text(format!("to {}", request.prompt())));
    let _count = rpc.call("breaker.reset", &json!({}));
    for (prompt, _, rpc, watched) in &mut callers {
        let end = rpc.events_to_end(watched).pop().unwrap();
        assert_eq!(end["content"], json!(format!("to {prompt}")), "{end}");
    }
    assert_eq!(breaker(&mut rpc)["state"], "closed");
}

#[test]
fn a_probe_that_is_answered_closes_the_breaker() {
    let product = opened("[breaker]\ncooldown = 1.0\n");
    product.model.respond(|_| Reply::text("well again"));
    // The wait is waited for, then one request is enough.
    let seen = chat(&product, "whenever", background(json!({})));
    assert_eq!(seen.end()["content"], "well again");
    assert_eq!(product.model.requests().len(), 6);
    let after = breaker(&mut product.rpc());
    assert_eq!((&after["state"], &after["opened"]), (&json!("closed"), &json!(0)), "{after}");
    assert_eq!(seen.output.stdout, "well again\n");
}
