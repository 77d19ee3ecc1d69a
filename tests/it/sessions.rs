//! Conversations: who speaks in which, in which order, and what the model is told of it.

mod disk;
mod doctor;

use copex_tests::model::{Gate, Reply};
use serde_json::{Value, json};

use crate::product::{Product, follow};

fn content(events: &[Value]) -> &Value {
    let last = events.last().expect("a terminal event");
    assert_eq!(last["type"], "done", "{last}");
    &last["content"]
}

#[test]
fn eight_prompts_on_one_session_are_answered_in_order() {
    let (product, gate) = (Product::start(), Gate::new());
    let first = product.chat(["prompt 0", "--json"]).expect_code(0).json();
    let held = gate.clone();
    product.model.respond(move |request| {
        Reply::chunks(["answer to ", &request.prompt()]).wait_before_head(&held)
    });
    let mut rpc = product.rpc();
    let session = json!({"session": {"resume": first["session"]}});
    let runs: Vec<_> = (1..=8)
        .map(|number| product.submit(&mut rpc, &format!("prompt {number}"), session.clone()))
        .collect();
    gate.wait_reached(1);
    gate.open();
    for (number, run) in (1..).zip(&runs) {
        let events = follow(&mut rpc, run);
        assert_eq!(content(&events), &json!(format!("answer to prompt {number}")));
        assert_eq!(events.last().unwrap()["session"], first["session"]);
    }
    // Each said once, each heard once, in the order in which they were accepted.
    let prompts: Vec<_> = (0..=8).map(|number| format!("prompt {number}")).collect();
    assert_eq!(product.last_request().user_messages(), prompts);
    assert_eq!(product.model.requests().len(), 9);
    let answers = product.last_request().messages().to_vec();
    let answers = answers.iter().filter(|message| message["role"] == "assistant").count();
    assert_eq!(answers, 8, "the history holds every answer once");
}

#[test]
fn twenty_sessions_at_once_never_swap_an_answer_and_share_a_runtime() {
    let (product, gate) = (Product::start(), Gate::new());
    let held = gate.clone();
    product.model.respond(move |request| {
        let prompt = request.prompt();
        Reply::chunks(["answer ", "to ", &prompt]).wait_before_head(&held)
    });
    let mut rpc = product.rpc();
    let runs: Vec<_> = (0..20)
        .map(|number| product.submit(&mut rpc, &format!("question <{number}>"), json!({})))
        .collect();
    gate.wait_reached(20);
    let pool = rpc.call("pool.status", &json!({}));
    let runtimes = pool["runtimes"].as_array().unwrap();
    assert_eq!(runtimes.len(), 1, "{pool}");
    assert_eq!(runtimes[0]["busy_sessions"], 20, "{pool}");
    gate.open();
    let mut sessions = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let events = follow(&mut rpc, run);
        assert_eq!(content(&events), &json!(format!("answer to question <{number}>")));
        sessions.push(events.last().unwrap()["session"].as_str().unwrap().to_owned());
    }
    sessions.sort();
    sessions.dedup();
    assert_eq!(sessions.len(), 20, "nobody shares a session");
    assert!(product.model.requests().iter().all(|request| request.user_messages().len() == 1));
}

#[test]
fn continue_finds_the_last_session_of_the_folder_and_no_other() {
    let product = Product::start();
    let (here, there) = (product.daemon.sandbox().path("work/here"), "work/there");
    let there = product.daemon.sandbox().path(there);
    for folder in [&here, &there] {
        std::fs::create_dir(folder).unwrap();
    }
    let chat = |folder: &std::path::Path, args: &[&str]| {
        let ctl = product.ctl().with(|launch| launch.cwd(folder));
        ctl.run(["chat", "--json"].iter().chain(args))
    };
    let none = chat(&here, &["nobody spoke", "--continue"]).expect_code(1).json();
    assert_eq!(none["error"]["class"], "not_found", "{none}");
    assert!(none["error"]["hint"].is_string(), "{none}");

    let older = chat(&here, &["older"]).expect_code(0).json();
    let newer = chat(&here, &["newer"]).expect_code(0).json();
    let other = chat(&there, &["other"]).expect_code(0).json();
    assert_ne!(older["session"], newer["session"]);
    let gone_on = chat(&here, &["and then?", "--continue"]).expect_code(0).json();
    assert_eq!(gone_on["session"], newer["session"]);
    assert_eq!(product.last_request().user_messages(), ["newer", "and then?"]);
    let gone_on = chat(&there, &["and there?", "--continue"]).expect_code(0).json();
    assert_eq!(gone_on["session"], other["session"]);

    // What was used last counts, not what was made last.
    let id = older["session"].as_str().unwrap();
    let _older = chat(&here, &["again", "--resume", id]).expect_code(0);
    let last = chat(&here, &["at last", "--continue"]).expect_code(0).json();
    assert_eq!(last["session"], older["session"]);
    assert_eq!(product.last_request().user_messages(), ["older", "again", "at last"]);
}

#[test]
fn a_session_is_found_by_the_beginning_of_its_id_and_an_unknown_one_is_told() {
    let product = Product::start();
    let first = product.chat(["first", "--json"]).expect_code(0).json();
    let id = first["session"].as_str().unwrap();
    let resumed = product.chat(["second", "--json", "--resume", &id[..8]]).expect_code(0).json();
    assert_eq!(resumed["session"], first["session"]);

    let unknown = "00000000-1111-4222-8333-444444444444";
    let output = product.chat(["third", "--resume", unknown]).expect_code(1);
    assert!(output.stderr.contains(unknown), "{}", output.stderr);
    assert!(output.stderr.contains("hint: "), "{}", output.stderr);
    assert_eq!(product.model.requests().len(), 2, "nobody is asked on a session that is not");
}

#[test]
fn a_session_outlives_the_daemon() {
    let mut product = Product::start();
    let first = product.chat(["remember me", "--json"]).expect_code(0).json();
    product.daemon.restart();
    let id = first["session"].as_str().unwrap();
    let second = product.chat(["who am I?", "--json", "--resume", id]).expect_code(0).json();
    assert_eq!(second["session"], first["session"]);
    assert_eq!(product.last_request().user_messages(), ["remember me", "who am I?"]);
}

#[test]
fn a_turn_keeps_its_place_in_the_session_when_its_runtime_dies() {
    let (product, gate) = (Product::start(), Gate::new());
    let first = product.chat(["prompt 0", "--json"]).expect_code(0).json();
    product.model.push(Reply::stream().say("half an").wait(&gate).hang());
    product
        .model
        .respond(|request| Reply::chunks(["answers ", &request.user_messages().join(", ")]));
    let mut rpc = product.rpc();
    let session = json!({"session": {"resume": first["session"]}});
    let runs: Vec<_> = (1..=3)
        .map(|number| product.submit(&mut rpc, &format!("prompt {number}"), session.clone()))
        .collect();
    gate.wait_reached(1);
    let pool = rpc.call("pool.status", &json!({}));
    let runtimes = pool["runtimes"].as_array().unwrap();
    let at_work = runtimes.iter().find(|runtime| runtime["busy_sessions"] == 1).unwrap();
    let pid = at_work["pid"].as_i64().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    let mut said = vec!["prompt 0".to_owned()];
    for (number, run) in (1..).zip(&runs) {
        said.push(format!("prompt {number}"));
        let answer = format!("answers {}", said.join(", "));
        assert_eq!(content(&follow(&mut rpc, run)), &json!(answer));
    }
}

#[test]
fn prompts_that_wait_keep_their_order_over_a_killed_daemon() {
    let (mut product, gate) = (Product::start(), Gate::new());
    let first = product.chat(["prompt 0", "--json"]).expect_code(0).json();
    product.model.push(Reply::stream().say("half an").wait(&gate).hang());
    product
        .model
        .respond(|request| Reply::chunks(["answers ", &request.user_messages().join(", ")]));
    let mut rpc = product.rpc();
    let session = json!({"session": {"resume": first["session"]}});
    let runs: Vec<_> = (1..=4)
        .map(|number| product.submit(&mut rpc, &format!("prompt {number}"), session.clone()))
        .collect();
    gate.wait_reached(1);
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let mut rpc = product.rpc();
    let mut said = vec!["prompt 0".to_owned()];
    for (number, run) in (1..).zip(&runs) {
        said.push(format!("prompt {number}"));
        let answer = format!("answers {}", said.join(", "));
        assert_eq!(content(&follow(&mut rpc, run)), &json!(answer));
    }
}
