//! Questions of the agent itself: asked, answered, and over a restart.

use copex_tests::model::Reply;
use serde_json::{Value, json};

use crate::product::{Product, of_type};

fn colour() -> Value {
    json!({"question": "Which colour?", "choices": ["red", "blue"]})
}

#[test]
fn the_agent_asks_and_hears_the_answer() {
    let product = Product::start();
    product.model.push(Reply::tool("ask_user", &colour()));
    product.model.push(Reply::text("the end"));
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "go", json!({}));
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    let ask = rpc.events_until(&watched, "ask").pop().unwrap();
    assert_eq!((&ask["kind"], &ask["title"]), (&json!("user_input"), &json!("Which colour?")));
    assert_eq!(ask["choices"], json!(["red", "blue"]), "{ask}");
    let id = ask["ask"].as_str().unwrap();
    assert_eq!(product.runs(["answer", id, "blue"]).ok(), format!("{id} answered\n"));
    let events = rpc.events_to_end(&watched);
    assert_eq!(events.last().unwrap()["content"], "the end");
    let told = product.last_request().tool_results().pop().unwrap();
    assert!(told.contains("blue"), "{told}");

    // A person at a terminal picks by number.
    product.model.push(Reply::tool("ask_user", &colour()));
    product.model.push(Reply::text("the end"));
    let mut running = product.ctl().start_on_one_terminal(["chat", "go"]);
    running.wait_stdout("Your answer:");
    running.type_in("1\n");
    assert!(running.wait().ok().contains("the end"));
    let told = product.last_request().tool_results().pop().unwrap();
    assert!(told.contains("red"), "{told}");
}

#[test]
fn a_question_of_the_agent_is_not_left_behind_by_a_killed_daemon() {
    let mut product = Product::start();
    // A runtime whose daemon died may ask the model once more before it leaves.
    product.model.respond(|request| match request.tool_results().last() {
        Some(told) if told.contains("blue") => Reply::text("the end"),
        _ => Reply::tool("ask_user", &colour()),
    });
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "go", json!({}));
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    let before = rpc.events_until(&watched, "ask");
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let mut rpc = product.rpc();
    let after = json!({"run": run, "after": before.last().unwrap()["seq"]});
    let watched = rpc.subscribe("run.watch", &after);
    let again = rpc.events_until(&watched, "ask");
    let detail = rpc.call("run.get", &json!({"run": run}));
    let ask = &again.last().unwrap()["ask"];
    assert_eq!(detail["asks"], json!([ask]), "{detail}");
    let answer = json!({"ask": ask, "answer": {"kind": "text", "text": "blue"}});
    assert_eq!(rpc.call("run.answer", &answer)["accepted"], true);
    let rest = rpc.events_to_end(&watched);
    assert_eq!(rest.last().unwrap()["content"], "the end");
    assert!(product.last_request().tool_results().pop().unwrap().contains("blue"));
    assert_eq!(product.last_request().user_messages(), ["go"]);
    // The question that the crash took away is closed, and late answers are told so.
    let old =
        json!({"ask": before.last().unwrap()["ask"], "answer": {"kind": "text", "text": "x"}});
    assert_eq!(rpc.call("run.answer", &old)["accepted"], false);
    assert_eq!(of_type(&again, "answered").len(), 1, "{again:#?}");
}
