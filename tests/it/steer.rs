//! Words that a person adds to the turn under way, with the real Copilot CLI.

use copex_tests::model::{Gate, Reply};
use copex_tests::rpc::Rpc;
use serde_json::{Value, json};

use crate::product::{Product, follow, of_type, types};

fn begin(product: &Product) -> (Rpc, String) {
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "look around", json!({"approval": {"mode": "auto"}}));
    (rpc, run)
}

fn steer(rpc: &mut Rpc, run: &str, text: &str) {
    let told = rpc.call("run.steer", &json!({"run": run, "text": text}));
    assert_eq!(told["run"], run);
}

/// A look at the working folder: a tool that asks nobody and ends at once.
fn look(product: &Product) -> Reply {
    Reply::stream().call("view", &json!({"path": product.daemon.sandbox().work()}))
}

#[test]
fn words_reach_the_agent_before_its_next_step() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(look(&product).wait(&gate));
    product.model.push(Reply::text("both done"));
    let (mut rpc, run) = begin(&product);
    gate.wait_reached(1);
    steer(&mut rpc, &run, "and the tests too");
    gate.release();
    let events = follow(&mut rpc, &run);
    let steered = of_type(&events, "steered");
    assert_eq!(steered.len(), 1, "{:?}", types(&events));
    assert_eq!(steered[0]["text"], "and the tests too");
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["content"]), (&json!("done"), &json!("both done")));
    assert_eq!(of_type(&events, "warning"), Vec::<&Value>::new());
    let told = product.last_request().user_messages();
    assert_eq!(told, ["look around", "and the tests too"]);
    assert_eq!(product.model.requests().len(), 2);
}

#[test]
fn words_after_the_last_step_begin_another_round_of_the_same_turn() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::stream().say("first").wait(&gate));
    product.model.push(Reply::text("second"));
    let (mut rpc, run) = begin(&product);
    gate.wait_reached(1);
    steer(&mut rpc, &run, "one thing more");
    gate.release();
    let events = follow(&mut rpc, &run);
    assert_eq!(events.last().unwrap()["content"], "second", "{events:#?}");
    assert_eq!(of_type(&events, "warning"), Vec::<&Value>::new());
    assert_eq!(product.model.requests().len(), 2);

    let over = rpc.call_err("run.steer", &json!({"run": run, "text": "too late"}));
    assert_eq!(over["data"]["class"], "conflict", "{over}");
    let nothing = rpc.call_err("run.steer", &json!({"run": run, "text": " "}));
    assert_eq!(nothing["data"]["class"], "usage", "{nothing}");
}

#[test]
fn words_that_a_dying_daemon_took_reach_the_agent_once() {
    let (mut product, gate) = (Product::start(), Gate::new());
    product.model.push(look(&product).wait(&gate));
    let (mut rpc, run) = begin(&product);
    gate.wait_reached(1);
    steer(&mut rpc, &run, "and the tests too");
    let _killed = product.daemon.kill9();
    product.model.respond(|request| Reply::text(request.user_messages().join(" | ")));
    product.daemon.restart();
    let events = follow(&mut product.rpc(), &run);
    let last = events.last().unwrap();
    assert_eq!(last["content"], "look around | and the tests too", "{events:#?}");
    assert_eq!(of_type(&events, "steered").len(), 1);
}

#[test]
fn a_process_per_turn_takes_no_words() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::stream().say("one").wait(&gate));
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "go", json!({"use_cli": true}));
    gate.wait_reached(1);
    let refused = rpc.call_err("run.steer", &json!({"run": run, "text": "more"}));
    assert_eq!(refused["data"]["class"], "conflict", "{refused}");
    gate.release();
    assert_eq!(follow(&mut rpc, &run).last().unwrap()["content"], "one");
}

#[test]
fn a_conversation_is_made_smaller_on_demand() {
    let product = Product::start();
    let first = product.chat(["tell me a story", "--json"]).expect_code(0).json();
    product.model.respond(|_| Reply::text("a summary of it all"));
    let mut rpc = product.rpc();
    let more = json!({"session": {"resume": first["session"]}, "compact": true});
    let run = product.submit(&mut rpc, "", more);
    let events = follow(&mut rpc, &run);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "done", "{events:#?}");
    assert!(last["content"].as_str().unwrap().contains("compacted"), "{last}");
    assert_eq!(last["session"], first["session"]);

    let request = product.request("", json!({"compact": true}));
    let refused = rpc.call_err("run.submit", &json!({"request": request, "key": null}));
    assert!(refused["data"]["message"].as_str().unwrap().contains("new conversation"), "{refused}");
}
