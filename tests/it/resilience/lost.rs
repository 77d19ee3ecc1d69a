//! A session that is gone although tools ran in it: what they did must not be done again
//! unless somebody says so.

use copex_tests::model::Reply;
use copex_tests::rpc::{Rpc, Subscription};
use copex_tests::tap::{Tap, Tapped, assert_whole};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{background, merged, signal_runtimes};
use crate::product::{Product, shell};

/// A run whose session is lost while its tool is at work.
fn lost_in_a_tool(product: &Product, rpc: &mut Rpc, more: Value) -> (String, Subscription) {
    product.model.push(Reply::tool("bash", &shell("echo once >> tool.txt; sleep 349")));
    let auto = json!({"approval": {"mode": "auto"}});
    let run = product.submit(rpc, "run it", background(merged(auto, more)));
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    rpc.events_until(&watched, "tool_start");
    // Nothing is written any more, and what is there goes.
    signal_runtimes(product, Signal::SIGSTOP);
    let _absent = std::fs::remove_dir_all(product.daemon.sandbox().path("copilot/session-state"));
    signal_runtimes(product, Signal::SIGKILL);
    (run, watched)
}

/// The daemon is killed, and what the Copilot CLI had of its sessions never reaches the disk.
fn killed_without_transcripts(product: &mut Product) {
    signal_runtimes(product, Signal::SIGSTOP);
    let _killed = product.daemon.kill9();
    let _absent = std::fs::remove_dir_all(product.daemon.sandbox().path("copilot/session-state"));
    product.daemon.restart();
}

/// A loop, and a task of a fleet.
const PARTS: [&[&str]; 2] = [
    &["ralph", "go", "-p", "it is done", "--context", "fresh", "--detach"],
    &["fleet", "go", "--detach"],
];

/// Begins a loop or a fleet whose daemon is killed once a `tool` was shown as begun, or, with
/// none, once its model was asked. All that the run says after it, to its end or its question.
fn lost_part(product: &mut Product, part: &[&str], tool: Option<&(&str, Value)>) -> Vec<Tapped> {
    let before = product.model.requests().len();
    if let Some((name, arguments)) = tool {
        product.model.push(Reply::tool(name, arguments));
    }
    let stays = tool.is_some_and(|(name, _)| *name == "bash");
    if !stays {
        product.model.push(Reply::hang_before_head());
    }
    let run = product.ctl().run(part).ok().trim().to_owned();
    let socket = product.daemon.socket();
    product.model.wait_for_requests(before + 1 + usize::from(tool.is_some() && !stays));
    if tool.is_some() {
        Tap::watch(&socket, &run, 0).until(|event| event.kind == "tool_start");
    }
    killed_without_transcripts(product);
    Tap::watch(&socket, &run, 0).until(|event| event.is_terminal() || event.kind == "ask")
}

#[test]
fn a_part_of_a_run_that_changed_nothing_starts_over_by_itself() {
    let mut product = Product::start();
    let folder = product.daemon.sandbox().work().display().to_string();
    let promise = "<promise>it is done</promise>";
    for part in PARTS {
        for tool in [None, Some(("view", json!({"path": folder})))] {
            let context = format!("{part:?} {tool:?}");
            product.model.respond(move |_| Reply::text(promise));
            let all = lost_part(&mut product, part, tool.as_ref());
            assert_eq!(all.last().unwrap().kind, "done", "{context}: {all:#?}");
            assert_whole(&all);
            let warned = |event: &&Tapped| event.value()["code"] == "session_lost";
            assert_eq!(all.iter().filter(warned).count(), 1, "{context}: {all:#?}");
            assert_eq!(product.last_request().user_messages().len(), 1, "{context}");
        }
    }
}

#[test]
fn a_part_of_a_run_that_may_have_changed_something_asks() {
    let mut product = Product::start();
    for part in PARTS {
        let tool = ("bash", shell("echo once >> tool.txt; sleep 351"));
        let all = lost_part(&mut product, part, Some(&tool));
        let asked = all.last().unwrap().value();
        assert_eq!(asked["choices"], json!(["start over", "stop"]), "{part:?}: {asked}");
    }
}

/// The question whether the turn is to start over.
fn question(product: &Product, rpc: &mut Rpc, run: &str, watched: &Subscription) -> String {
    let asked = rpc.events_until(watched, "ask").pop().unwrap();
    assert_eq!(asked["choices"], json!(["start over", "stop"]), "{asked}");
    assert!(asked["title"].as_str().unwrap().contains("tools ran"), "{asked}");
    let ask = asked["ask"].as_str().unwrap().to_owned();
    let why = rpc.call("run.explain", &json!({"run": run}));
    assert_eq!(why["waits"][0]["kind"], "ask", "{why}");
    assert_eq!(product.model.requests().len(), 1, "nothing is started over by itself");
    ask
}

fn blocked(end: &Value) {
    assert_eq!(
        (&end["type"], &end["error"]["class"]),
        (&json!("blocked"), &json!("session_corrupt"))
    );
    assert!(end["error"]["message"].as_str().unwrap().contains("tools ran"), "{end}");
}

#[test]
fn a_person_stops_the_run() {
    let product = Product::start();
    let mut rpc = product.rpc();
    let (run, watched) = lost_in_a_tool(&product, &mut rpc, json!({}));
    let ask = question(&product, &mut rpc, &run, &watched);
    let _answered = product.runs(["answer", &ask, "stop"]).expect_code(0);
    blocked(&rpc.events_to_end(&watched).pop().unwrap());
    let attached = product.runs(["attach", &run, "-q"]).expect_code(3);
    assert!(attached.stderr.contains("tools ran"), "{}", attached.stderr);
    assert_eq!(product.model.requests().len(), 1);
}

#[test]
fn a_person_starts_the_turn_over() {
    let product = Product::start();
    let mut rpc = product.rpc();
    let (run, watched) = lost_in_a_tool(&product, &mut rpc, json!({}));
    let ask = question(&product, &mut rpc, &run, &watched);
    let _answered = product.runs(["answer", &ask, "start over"]).expect_code(0);
    let end = rpc.events_to_end(&watched).pop().unwrap();
    assert_eq!(end["content"], "echo: run it", "{end}");
    assert_eq!(product.model.requests().len(), 2);
    assert_eq!(product.last_request().user_messages(), ["run it"]);
}

#[test]
fn the_request_may_have_said_what_to_do() {
    let product = Product::start();
    let mut rpc = product.rpc();
    let (_, watched) = lost_in_a_tool(&product, &mut rpc, json!({"on_lost_session": "fail"}));
    blocked(&rpc.events_to_end(&watched).pop().unwrap());
    assert_eq!(product.model.requests().len(), 1);
    let (_, watched) = lost_in_a_tool(&product, &mut rpc, json!({"on_lost_session": "restart"}));
    let warning = rpc.events_until(&watched, "warning").pop().unwrap();
    assert_eq!(warning["code"], "session_lost", "{warning}");
    let end = rpc.events_to_end(&watched).pop().unwrap();
    assert_eq!(end["content"], "echo: run it", "{end}");
    assert_eq!(product.last_request().user_messages(), ["run it"]);
}
