//! Tasks that wait: for a person, or for the end of a limit.

use copex_tests::tap::{Tap, Tapped};

use super::*;

#[test]
fn each_task_may_ask_and_hears_its_own_answer() {
    let product = Product::start();
    product.model.respond(|request| {
        let id = task(request);
        if request.tool_results().is_empty() {
            return Reply::tool("bash", &shell(&format!("sudo true; echo {id} > {id}")));
        }
        Reply::text(format!("answer of {id}"))
    });
    let run = fleet(&product, ["I am a.", "I am b.", "--detach"]).ok().trim().to_owned();
    let mut asked = Vec::new();
    let seen = Tap::watch(&product.daemon.socket(), &run, 0).until(|event: &Tapped| {
        if event.kind == "ask" {
            asked.push(event.value());
        }
        asked.len() == 2
    });
    let seen: Vec<Value> = seen.iter().map(Tapped::value).collect();
    assert!(seen.iter().any(|event| event["type"] == "state" && event["state"] == "asking"));
    let paths: BTreeSet<&str> = asked.iter().map(|ask| ask["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["task-1", "task-2"].into());
    for ask in &asked {
        let (id, word) = (ask["ask"].as_str().unwrap(), ask["path"] == "task-1");
        product.runs(["answer", id, if word { "yes" } else { "no" }]).ok();
    }
    let events = product.runs(["attach", &run, "--jsonl"]).expect_code(0).json_lines();
    assert!(states(&events, "task-1").contains(&"asking".to_owned()));
    assert_eq!(read(&product, "a"), "a\n");
    assert_eq!(read(&product, "b"), "", "it was not to");
}

#[test]
fn a_fleet_parks_when_all_of_it_does_and_goes_on_when_it_is_woken() {
    let mut product = Product::start();
    product.model.respond(|_| Reply::rate_limited("rate_limited", Some(3_600)));
    let run = fleet(&product, ["I am a.", "I am b.", "--detach"]).ok().trim().to_owned();
    let parked = |event: &Tapped| event.kind == "parked" && event.value()["path"].is_null();
    let _seen = Tap::watch(&product.daemon.socket(), &run, 0).until(parked);
    assert!(product.runs(["show", &run]).ok().contains("parked"));
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    product.model.respond(|request| Reply::text(format!("answer of {}", task(request))));
    let events = product.runs(["resume", &run, "--now", "--jsonl"]).expect_code(0).json_lines();
    for id in ["task-1", "task-2"] {
        let states = states(&events, id);
        assert!(states.contains(&"parked".to_owned()), "{states:?}");
        assert_eq!(states.last().unwrap(), "done");
    }
}
