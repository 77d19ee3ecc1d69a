//! A turn is never sent twice: whatever breaks in the middle of its tools, the model reads
//! each prompt once and each tool call once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use copex_tests::model::{Cut, Gate, RecordedRequest, Reply};
use copex_tests::process::Launch;
use serde_json::json;

use super::{FIRST, background, chat, kill_runtimes, merged, provider, quick, requests_to};
use crate::product::{Product, follow, of_type, shell};

/// Tool calls in what the model was sent, by their ids.
fn calls(request: &RecordedRequest) -> Vec<String> {
    let messages = request.messages().iter();
    let calls = messages.filter_map(|message| message["tool_calls"].as_array()).flatten();
    calls.filter_map(|call| call["id"].as_str()).map(str::to_owned).collect()
}

/// A turn of two tools, which leave a line each.
fn step(request: &RecordedRequest) -> Reply {
    match request.tool_results().len() {
        0 => Reply::stream().say("first, ").call("bash", &shell("echo one >> tools.txt")),
        1 => Reply::tool("bash", &shell("echo two >> tools.txt")),
        _ => Reply::text("the end"),
    }
}

/// Asserts that a request's history holds the prompt once and each of `tools` calls once.
fn assert_once(request: &RecordedRequest, prompt: &str, tools: usize) {
    assert_eq!(request.user_messages(), [prompt]);
    let mut calls = calls(request);
    assert_eq!(calls.len(), tools, "{calls:?}");
    calls.dedup();
    assert_eq!(calls.len(), tools, "each call once: {calls:?}");
    assert_eq!(request.tool_results().len(), tools);
}

fn lines(product: &Product, folder: &str) -> String {
    let file = product.daemon.sandbox().work().join(folder).join("tools.txt");
    std::fs::read_to_string(file).unwrap_or_default()
}

#[test]
fn whatever_breaks_between_two_tools_nothing_is_said_or_done_twice() {
    let half = || Reply::chunks(["half ", "an answer"]);
    let call = || Reply::tool("bash", &shell("echo never >> tools.txt"));
    let faults: Vec<(&str, Reply)> = vec![
        ("server", Reply::error(503, "overloaded", "out of order")),
        ("limit", Reply::rate_limited("slow_down", Some(1))),
        ("reset", Reply::cut_before_head(Cut::Reset)),
        ("words-then-fin", half().cut(Cut::Fin)),
        ("words-then-reset", half().cut(Cut::Reset)),
        ("call-then-fin", call().cut(Cut::Fin)),
        ("call-then-nothing", call().truncated()),
        ("no-end", half().truncated()),
        ("garbage", Reply::garbage()),
        ("silence", Reply::hang_before_head()),
        ("words-then-silence", half().hang()),
        ("call-then-silence", call().hang()),
    ];
    let product = Product::start();
    let _warm = product.chat(["hi", "-q"]).ok();
    let (known, broken) = (faults.clone(), Mutex::new(HashSet::new()));
    product.model.respond(move |request| {
        let name = request.path.split('/').nth(2).unwrap_or_default();
        let fault = known.iter().find(|(known, _)| *known == name).map(|(_, fault)| fault);
        let mut broken = broken.lock().unwrap_or_else(PoisonError::into_inner);
        match fault.filter(|_| request.tool_results().len() == 1) {
            Some(fault) if broken.insert(name.to_owned()) => fault.clone(),
            _ => step(request),
        }
    });
    std::thread::scope(|scope| {
        for (name, _) in &faults {
            scope.spawn(|| breaks_between_tools(&product, name));
        }
    });
}

fn breaks_between_tools(product: &Product, name: &str) {
    let cwd = product.daemon.sandbox().path(format!("work/{name}"));
    std::fs::create_dir(&cwd).unwrap();
    let more = json!({
        "provider": provider(&product.model, name),
        "cwd": cwd,
        "timeout_s": 2.0,
        "approval": {"mode": "auto"},
    });
    let seen = chat(product, "run both", merged(quick(), more));
    assert_eq!(seen.end()["content"], "the end", "{name}: {:#?}", seen.events);
    assert_eq!(seen.output.stdout, "the end\n", "{name}");
    assert_eq!((seen.count("tool_start"), seen.count("tool_end")), (2, 2), "{name}");
    assert_eq!(seen.count("retrying"), 1, "{name}: {:#?}", seen.events);
    assert_eq!(lines(product, name), "one\ntwo\n", "{name}");
    let requests = requests_to(product, name);
    assert_eq!(requests.len(), 4, "{name}: one more than without the fault");
    for (request, tools) in requests.iter().zip([0, 1, 1, 2]) {
        assert_once(request, "run both", tools);
    }
}

#[test]
fn a_runtime_that_dies_between_two_tools_repeats_neither() {
    let (product, gate) = (Product::start(), Gate::new());
    let held = gate.clone();
    let died = AtomicBool::new(false);
    product.model.respond(move |request| {
        if request.tool_results().len() == 1 && !died.swap(true, Ordering::Relaxed) {
            return Reply::text("too late").wait_before_head(&held);
        }
        step(request)
    });
    let mut rpc = product.rpc();
    // Its first tool ends once the transcript is on the disk: it is written with a delay.
    let auto = json!({"approval": {"mode": "auto"}});
    let run = product.submit(&mut rpc, "run both", background(auto));
    gate.wait_reached(1);
    wait_for_tool_on_disk(&product);
    kill_runtimes(&product);
    let events = follow(&mut rpc, &run);
    assert_eq!(events.last().unwrap()["content"], "the end", "{events:#?}");
    assert_eq!(of_type(&events, "tool_start").len(), 2, "{events:#?}");
    assert_eq!(lines(&product, ""), "one\ntwo\n");
    let requests = product.model.requests();
    assert_eq!(requests.len(), 4);
    for (request, tools) in requests.iter().zip([0, 1, 1, 2]) {
        assert_once(request, "run both", tools);
    }
}

/// Waits until the Copilot CLI has written a tool's end to a transcript, which it does by
/// and by: a shell looks for it, so that nothing here has to sleep.
fn wait_for_tool_on_disk(product: &Product) {
    let folder = product.daemon.sandbox().path("copilot/session-state");
    let look = "until grep -qs tool.execution_complete \"$0\"/*/events.jsonl; do sleep 0.02; done";
    let launch = Launch::inside(product.daemon.sandbox(), "/bin/sh");
    let _found = launch.args(["-c", look, &folder.to_string_lossy()]).run().expect_code(0);
}

#[test]
fn a_run_that_takes_too_long_is_exhausted_and_can_be_resumed() {
    let product = Product::start();
    product.model.respond(|request| match request.tool_results().len() {
        0 => Reply::tool("bash", &shell("echo one >> tools.txt")),
        _ => Reply::hang_before_head(),
    });
    let args = ["go", "--auto-approve", "--max-duration", "3", "--json"];
    let object = product.chat(args).expect_code(4).json();
    assert_eq!(object["error"]["class"], "timeout", "{object}");
    assert!(object["error"]["hint"].as_str().unwrap().contains("--max-duration"), "{object}");
    product.model.respond(|_| Reply::text("the rest"));
    let run = object["run"].as_str().unwrap();
    assert_eq!(product.runs(["resume", run, "-q"]).ok(), "the rest\n");
    assert_once(&product.last_request(), "go", 1);
    assert_eq!(lines(&product, ""), "one\n");
}

#[test]
fn a_provider_that_is_not_there_is_left_after_three_tries_and_named() {
    let product = Product::start();
    // Nobody listens on port 1 of loopback.
    let nowhere = json!({"base_url": "http://127.0.0.1:1/v1", "key": null});
    for (chain, tries) in [(json!([]), [5, 0]), (json!(["second"]), [3, 5])] {
        let more = json!({"provider": nowhere, "fallback_chain": chain});
        let seen = chat(&product, "hi", merged(quick(), more));
        let error = &seen.end()["error"];
        assert_eq!((&error["class"], seen.output.code()), (&json!("network"), 1), "{error}");
        assert!(error["message"].as_str().unwrap().contains("127.0.0.1:1"), "{error}");
        assert!(error["hint"].as_str().unwrap().contains("base_url"), "{error}");
        let mut rpc = product.rpc();
        let breakers = rpc.call("breaker.list", &json!({}))["breakers"].take();
        let failures = |model: &str| {
            let mine = breakers.as_array().unwrap().iter().find(|it| it["model"] == model);
            mine.map_or(0, |breaker| breaker["failures"].as_u64().unwrap())
        };
        assert_eq!([failures(FIRST), failures("second")], tries, "{breakers}");
        let _count = rpc.call("breaker.reset", &json!({}));
    }
}
