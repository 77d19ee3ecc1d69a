//! Going on with a loop, and waiting for a person between its iterations.

use copex_tests::tap::{Tap, kinds};

use super::*;

#[test]
fn the_last_loop_that_did_not_end_well_goes_on() {
    let product = Product::start();
    let nothing = product.ctl().run(["ralph", "--resume"]).expect_code(2);
    assert!(nothing.stderr.contains("nothing to resume"), "{}", nothing.stderr);
    product
        .model
        .respond(|request| Reply::text(if iteration(request) == 3 { PROMISE } else { "not yet" }));
    let first = ralph(&product, ["-n", "2", "--json"]).expect_code(4).json();
    let _chat = product.ctl().run(["chat", "[Iteration 1 of"]).ok();
    let second = product.ctl().run(["ralph", "--resume", "--json"]).expect_code(0).json();
    assert_eq!(second["iterations"], 3, "{second}");
    let shown = product.runs(["show", second["run"].as_str().unwrap(), "--json"]).ok();
    assert!(shown.contains(first["run"].as_str().unwrap()), "{shown}");
    // It was taken up, and the run that did so is done.
    let again = product.ctl().run(["ralph", "--resume"]).expect_code(2);
    assert!(again.stderr.contains("nothing to resume"), "{}", again.stderr);
    let run = second["run"].as_str().unwrap();
    let done = product.ctl().run(["ralph", "--resume", run]).expect_code(2);
    assert!(done.stderr.contains("has ended well"), "{}", done.stderr);
}

#[test]
fn a_loop_of_another_folder_or_mode_is_not_taken() {
    let product = Product::start();
    product.model.respond(|_| Reply::text("not yet"));
    std::fs::create_dir(work(&product, "inner")).unwrap();
    let _first = ralph(&product, ["-n", "1"]).expect_code(4);
    let other = product.ctl().run(["ralph", "--resume", "--cwd", "inner"]).expect_code(2);
    assert!(other.stderr.contains("/inner is unfinished"), "{}", other.stderr);
    let chat = product.ctl().run(["chat", "--detach", "hi"]).ok();
    let mode = product.ctl().run(["ralph", "--resume", chat.trim()]).expect_code(2);
    assert!(mode.stderr.contains("is a chat and no ralph"), "{}", mode.stderr);
    let flags = product.ctl().run(["ralph", "--resume", "-n", "3"]).expect_code(2);
    assert!(flags.stderr.contains("--max-iterations"), "{}", flags.stderr);
}

#[test]
fn a_loop_waits_for_a_word_after_each_iteration_and_can_be_followed_meanwhile() {
    let mut product = Product::start();
    product
        .model
        .respond(|request| Reply::text(if iteration(request) == 3 { PROMISE } else { "not yet" }));
    let args = ["ralph", "go", "-p", "all tests passing", "--pause", "--detach"];
    let run = product.ctl().run(args).ok().trim().to_owned();
    let socket = product.daemon.socket();
    let asked = |after: usize| {
        let mut left = after;
        let seen = Tap::watch(&socket, &run, 0).until(|event| {
            left -= usize::from(event.kind == "ask");
            left == 0
        });
        seen.last().unwrap().value()
    };
    let first = asked(1);
    assert_eq!(first["title"], "iteration 1 of 30 is over", "{first}");
    assert_eq!(first["choices"], serde_json::json!(["go on", "stop"]));
    assert_eq!(product.model.requests().len(), 1);
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    product.runs(["answer", first["ask"].as_str().unwrap(), "use tabs"]).ok();
    let second = asked(2);
    assert!(product.last_request().prompt().contains("A person says: use tabs"));
    // It is at work: it is followed, in the same run.
    let following = product.ctl().start(["ralph", "--resume", "--jsonl"]);
    following.wait_stdout("iteration 2 of 30 is over");
    product.runs(["answer", second["ask"].as_str().unwrap(), "go on"]).ok();
    let events = following.wait().expect_code(0).json_lines();
    assert_eq!(events.last().unwrap()["run"], run.as_str());
}

#[test]
fn a_person_stops_the_loop_and_takes_it_up_again() {
    let product = Product::start();
    product
        .model
        .respond(|request| Reply::text(if iteration(request) == 2 { PROMISE } else { "not yet" }));
    let mut running = product.ctl().start_on_one_terminal([
        "ralph",
        "go",
        "-p",
        "all tests passing",
        "--pause",
        "--raw",
    ]);
    running.wait_stdout("2. stop");
    running.type_in("2\n");
    let stopped = running.wait().expect_code(130);
    assert!(stopped.stdout.contains("a person stopped the loop"), "{}", stopped.stdout);
    let run = product.ctl().run(["ralph", "--resume", "--detach"]).ok().trim().to_owned();
    let socket = product.daemon.socket();
    let all = Tap::watch(&socket, &run, 0).follow();
    assert_eq!(kinds(&all).last(), Some(&"done"), "{all:#?}");
}
