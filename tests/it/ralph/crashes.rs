//! A loop survives the death of its daemon, whenever it comes.

use copex_tests::kills::points;
use copex_tests::process::marked;
use copex_tests::tap::{Tap, Tapped, assert_whole, kinds};
use serde_json::json;

use super::*;

/// The iteration in which the model makes its promise.
const LAST: usize = 4;

/// Which sessions the iterations of the run with this number speak in.
fn context(index: usize) -> &'static str {
    ["same", "fresh", "fresh-every=2"][index % 3]
}

/// A tool call in each iteration, then an answer.
fn model(request: &RecordedRequest, folder: &str) -> Reply {
    let number = iteration(request);
    let command = format!("mkdir -p {folder}; echo line >> {folder}/{number}");
    // A session has one prompt and one tool of each of its iterations.
    if request.tool_results().len() < request.user_messages().len() {
        return Reply::stream().say("I will. ").call("bash", &shell(&command));
    }
    let answer = if number == LAST { format!("It is true. {PROMISE}") } else { "no".to_owned() };
    Reply::chunks([&answer[..1], &answer[1..]])
}

fn assert_once(events: &[Tapped], product: &Product, folder: &str, context: &str) {
    assert_whole(events);
    assert_eq!(kinds(events).last(), Some(&"done"), "{context}");
    let of = |kind: &str| -> Vec<Value> {
        events.iter().filter(|event| event.kind == kind).map(Tapped::value).collect()
    };
    let numbers: Vec<Value> = of("iteration").iter().map(|it| it["number"].clone()).collect();
    assert_eq!(json!(numbers), json!([1, 2, 3, 4]), "{context}");
    let gates: Vec<Value> = of("gate").iter().map(|gate| gate["path"].clone()).collect();
    assert_eq!(json!(gates), json!(["1", "2", "3", "4"]), "{context}");
    let done = events.last().unwrap().value();
    assert_eq!(done["usage"]["calls"], json!(of("usage").len()), "{context}");
    assert_eq!(done["iterations"], json!(LAST), "{context}");
    let mut cut_off = 0;
    for number in 1..=LAST {
        let path = number.to_string();
        let in_it =
            |kind: &str| of(kind).into_iter().filter(|event| event["path"] == path.as_str());
        let ends: Vec<Value> = in_it("tool_end").collect();
        assert_eq!(in_it("tool_start").count(), ends.len(), "every tool that began has ended");
        // A tool that was cut off is told to the model as interrupted, and not run again.
        let ran = ends.iter().any(|end| end["success"] == true);
        let lines = lines(product, &format!("{folder}/{number}"));
        assert!(lines == 1 || (!ran && lines == 0), "{number}: {lines} lines: {context}");
        cut_off += usize::from(!ran);
    }
    assert!(cut_off <= 1, "{cut_off} of {LAST} tools were cut off by one kill: {context}");
}

#[test]
fn kills_repeat_no_iteration_and_lose_none() {
    let mut product = Product::start();
    for (index, point) in points(30, 50).into_iter().enumerate() {
        let before = product.model.requests().len();
        let folder = format!("run{index}");
        let for_model = folder.clone();
        product.model.respond(move |request| model(request, &for_model));
        let args = ["ralph", "go", "-p", "all tests passing", "--verify", "true", "--detach"];
        let args = args.into_iter().chain(["--context", context(index)]);
        let run = product.ctl().run(args).ok().trim().to_owned();
        let socket = product.daemon.socket();
        let mut seen = 0;
        let first = Tap::watch(&socket, &run, 0).until(|event| {
            seen += 1;
            seen >= point || event.is_terminal()
        });
        let _killed = product.daemon.kill9();
        product.daemon.restart();
        let all = Tap::watch(&socket, &run, 0).follow();
        let context = format!("killed after {point}: {all:#?}");
        assert_eq!(first, all[..first.len()], "{context}");
        assert_once(&all, &product, &folder, &context);
        for request in &product.model.requests()[before..] {
            let prompts = request.user_messages();
            for number in 1..=LAST {
                let said = format!("[Iteration {number} of");
                let times = prompts.iter().filter(|prompt| prompt.starts_with(&said)).count();
                assert!(times <= 1, "prompt {number} was sent {times} times: {context}");
            }
        }
    }
}

#[test]
fn a_gate_that_was_interrupted_is_killed_and_runs_again() {
    let mut product = Product::start();
    product.model.respond(|_| Reply::text(PROMISE));
    let fifo = work(&product, "begun");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let first = "echo first >> first";
    let second = "echo second >> second; test -e again || { echo > begun; sleep 322 & wait; }";
    let gates = ["--verify", first, "--verify", second];
    let args = ["ralph", "go", "-p", "all tests passing", "--detach"].iter().chain(&gates);
    let run = product.ctl().run(args).ok().trim().to_owned();
    assert_eq!(std::fs::read_to_string(&fifo).unwrap(), "\n", "the gate is at work");
    let _killed = product.daemon.kill9();
    std::fs::write(work(&product, "again"), "").unwrap();
    product.daemon.restart();
    let all = Tap::watch(&product.daemon.socket(), &run, 0).follow();
    assert_whole(&all);
    assert_eq!(kinds(&all).last(), Some(&"done"), "{all:#?}");
    assert_eq!(all.iter().filter(|event| event.kind == "gate").count(), 2, "{all:#?}");
    assert_eq!(lines(&product, "first"), 1, "its result was recorded");
    assert_eq!(lines(&product, "second"), 2, "its result was not");
    assert_eq!(product.model.requests().len(), 1, "the model is not asked again");
    let left = marked(product.daemon.sandbox().marker());
    assert!(!left.iter().any(|(_, line)| line.starts_with("sleep 322")), "{left:?}");
}

#[test]
fn a_question_and_a_wait_outlast_the_daemon() {
    let mut product = Product::start();
    product.model.push(Reply::text("<needs-human>Which port?</needs-human>"));
    product.model.push(Reply::text(PROMISE));
    let args = ["ralph", "go", "-p", "all tests passing", "--delay", "0.2", "--detach"];
    let run = product.ctl().run(args).ok().trim().to_owned();
    let asked = Tap::watch(&product.daemon.socket(), &run, 0).until(|event| event.kind == "ask");
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let ask = asked.last().unwrap().value()["ask"].as_str().unwrap().to_owned();
    product.runs(["answer", &ask, "8080"]).ok();
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let all = Tap::watch(&product.daemon.socket(), &run, 0).follow();
    assert_whole(&all);
    assert_eq!(kinds(&all).last(), Some(&"done"), "{all:#?}");
    let prompt = product.last_request().prompt();
    assert!(prompt.contains("A person answers: 8080"), "{prompt}");
    assert_eq!(product.model.requests().len(), 2);
}
