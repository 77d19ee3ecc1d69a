//! `--record` and `--replay`: model traffic in a file, and a run without a model.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use copex_tests::cli::CopilotCli;
use copex_tests::daemon::{DaemonBuilder, TestDaemon};
use copex_tests::model::{API_KEY, Cut, Gate, ModelServer, Reply};
use copex_tests::process::Output;
use copex_tests::sandbox::Sandbox;
use copex_tests::tap::Tap;
use serde_json::{Value, json};

use crate::product::{Product, of_type, shell, types};

/// Time between two pieces of an answer: more than what the daemon joins them within.
const GAP: Duration = Duration::from_millis(120);

/// A daemon that knows neither a provider nor an account.
fn alone() -> TestDaemon {
    let sandbox = Sandbox::with_cli(CopilotCli::install());
    DaemonBuilder::new(copex_tests::bins!()).sandbox(sandbox).start()
}

/// Records a chat that has to end with `code`, and stops everything but the file.
fn record(product: Product, prompt: &str, code: i32) -> (PathBuf, Vec<Value>, Product) {
    let file = product.daemon.sandbox().path("tape.jsonl");
    let path = file.to_str().unwrap();
    let output = product.chat([prompt, "--record", path, "--jsonl"]).expect_code(code);
    (file, output.json_lines(), product)
}

fn replay(daemon: &TestDaemon, prompt: &str, file: &Path, more: &[&str]) -> Output {
    let file = file.to_str().unwrap();
    daemon.ctl().run(["chat", prompt, "--replay", file].iter().chain(more))
}

fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.ends_with('\n'), "every line is whole");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn content(events: &[Value]) -> &Value {
    &events.last().unwrap()["content"]
}

fn warned(events: &[Value], code: &str) -> bool {
    of_type(events, "warning").iter().any(|warning| warning["code"] == code)
}

#[test]
fn a_chat_with_a_tool_is_played_again_without_network_and_account() {
    let product = Product::start();
    product.model.push(Reply::tool("bash", &shell("echo made | tee -a made.txt")));
    product.model.push(Reply::slow(["one ", "two ", "three"], GAP));
    let (file, recorded, product) = record(product, "make it", 0);
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = lines(&file);
    assert_eq!((kept.len(), &kept[0]["copex_cassette"]), (3, &json!(1)), "{kept:?}");
    assert_eq!(kept[0]["dialect"]["kind"], "openai");
    assert_eq!(kept[0]["cli"], copex_tests::cli::VERSION);
    let Product { daemon, model } = product;
    drop(model);

    let elsewhere = alone();
    let played = replay(&elsewhere, "make it", &file, &["--jsonl"]).expect_code(0).json_lines();
    assert_eq!(content(&played), "one two three");
    assert_eq!(content(&played), content(&recorded));
    let deltas = |events: &[Value]| of_type(events, "message_delta").len();
    assert_eq!((deltas(&played), deltas(&recorded)), (3, 3));
    assert_eq!(types(&played).last(), Some(&"done"));
    assert!(warned(&played, "replay") && !warned(&recorded, "replay"));
    assert!(!warned(&played, "replay_differs"), "{played:?}");
    assert_eq!(played.last().unwrap()["model"], recorded.last().unwrap()["model"]);
    // The tool is real, here as there.
    for daemon in [&daemon, &elsewhere] {
        let made = std::fs::read_to_string(daemon.sandbox().work().join("made.txt")).unwrap();
        assert_eq!(made, "made\n");
    }
    // The file is as good as before, and its speed is a matter of taste.
    let again = replay(&elsewhere, "make it", &file, &["--replay-speed", "0", "-q"]);
    assert_eq!(again.ok(), "one two three\n");
}

#[test]
fn a_tool_that_gives_back_something_else_is_said_and_forgiven() {
    let product = Product::start();
    product.model.push(Reply::tool("bash", &shell("pwd")));
    product.model.push(Reply::text("you are there"));
    let (file, _, product) = record(product, "where am I?", 0);
    drop(product.model);
    let played = replay(&alone(), "where am I?", &file, &["--jsonl"]).expect_code(0).json_lines();
    assert_eq!(content(&played), "you are there");
    assert!(warned(&played, "replay_differs"), "{played:?}");
}

#[test]
fn refusals_and_cuts_are_part_of_the_tape() {
    let product = Product::start();
    let busy = || Reply::rate_limited("rate_limited", None).header("retry-after-ms", "20");
    product.model.push(busy()).push(Reply::text("at last"));
    let (file, recorded, product) = record(product, "hurry", 0);
    let status = |exchange: &Value| exchange["response"]["status"].clone();
    let kept = lines(&file);
    assert_eq!(kept[1..].iter().map(status).collect::<Vec<_>>(), [429, 200]);
    drop(product.model);
    let daemon = alone();
    let played = replay(&daemon, "hurry", &file, &["--jsonl"]).expect_code(0).json_lines();
    for events in [&recorded, &played] {
        assert_eq!(content(events), "at last");
        assert_eq!(of_type(events, "retrying").len(), 1, "{:?}", types(events));
    }

    let product = Product::start();
    product.model.push(Reply::stream().say("half").cut(Cut::Reset)).push(Reply::text("whole"));
    let (file, recorded, product) = record(product, "talk", 0);
    assert_eq!(lines(&file)[1]["end"]["how"], "failed");
    drop(product.model);
    let played = replay(&daemon, "talk", &file, &["--jsonl"]).expect_code(0).json_lines();
    for events in [&recorded, &played] {
        assert_eq!(content(events), "whole");
        assert_eq!(of_type(events, "restarted").len(), 1, "{:?}", types(events));
    }

    let product = Product::start();
    product.model.push(Reply::error(400, "bad", "the words of the server").no_cli_retry());
    let (file, _, product) = record(product, "no", 1);
    drop(product.model);
    let object = replay(&daemon, "no", &file, &["--json"]).expect_code(1).json();
    assert_eq!(object["error"]["class"], "client", "{object}");
    assert!(object["error"]["message"].as_str().unwrap().contains("the words of the server"));
}

#[test]
fn what_is_not_on_the_tape_fails_and_asks_nobody() {
    let product = Product::start();
    product.model.push(Reply::text("hello"));
    let (file, _, product) = record(product, "say hello", 0);
    // The model is there and would answer: a replay must not ask it.
    let object = replay(&product.daemon, "say goodbye", &file, &["--json"]).expect_code(1).json();
    let message = object["error"]["message"].as_str().unwrap();
    assert_eq!(object["error"]["class"], "client", "{object}");
    for part in [file.to_str().unwrap(), "say goodbye", "line 2", "say hello"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(product.model.requests().len(), 1);
}

#[test]
fn secrets_are_not_on_the_tape_wherever_they_were() {
    let product = Product::start();
    let token = format!("ghp_{}", "x7Yz".repeat(9));
    let (a, b) = API_KEY.split_at(9);
    let command = format!("echo {token}");
    product.model.push(Reply::tool("bash", &shell(&command)));
    product.model.push(
        Reply::stream().say("the key is ").pause(GAP).say(a).pause(GAP).say(b).say(" indeed"),
    );
    let (file, recorded, _product) = record(product, &format!("look at {token}"), 0);
    assert!(content(&recorded).as_str().unwrap().contains("the key is"), "{recorded:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    for secret in [API_KEY, token.as_str(), &token[4..], a, b] {
        assert!(!text.contains(secret), "{secret} is on the tape");
    }
    assert!(text.contains("look at [redacted]") && text.contains("the key is "), "{text}");
    let kept = lines(&file);
    assert_eq!(kept[1]["request"]["headers"]["authorization"], json!(["[redacted]"]));
    // It can be played for all that.
    let played = replay(&alone(), &format!("look at {token}"), &file, &["-q"]);
    assert_eq!(played.ok(), "the key is [redacted] indeed\n");
}

#[test]
fn files_that_cannot_be_used_are_named_before_anything_runs() {
    let product = Product::start();
    product.model.push(Reply::text("hello"));
    let (file, _, product) = record(product, "hi", 0);
    let good = std::fs::read_to_string(&file).unwrap();
    let runs = product.runs(["list", "--json"]).ok();
    let write = |text: &str| product.daemon.sandbox().write("broken.jsonl", text);
    let fails = |file: &Path, words: &[&str]| {
        let object = replay(&product.daemon, "hi", file, &["--json"]).expect_code(2).json();
        let message = object["error"]["message"].as_str().unwrap().to_owned();
        assert_eq!(object["error"]["class"], "usage", "{object}");
        for words in words.iter().chain([&file.to_str().unwrap()]) {
            assert!(message.contains(words), "{words}: {message}");
        }
    };
    fails(&product.daemon.sandbox().path("absent.jsonl"), &["No such file"]);
    fails(&write(""), &["line 1", "empty"]);
    fails(&write("not a cassette\n"), &["line 1"]);
    fails(&write(&good[..good.len() - 20]), &["line 2", "cut off"]);
    fails(&write(&format!("{good}{{\"request\": 1}}\n")), &["line 3"]);
    let newer = good.replacen("\"copex_cassette\":1", "\"copex_cassette\":7", 1);
    fails(&write(&newer), &["line 1", "format 7"]);

    let path = file.to_str().unwrap();
    let taken = product.chat(["hi", "--record", path]).expect_code(2);
    assert!(taken.stderr.contains(path) && taken.stderr.contains("already"), "{}", taken.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), good, "it is not touched");
    let nowhere = product.chat(["hi", "--record", "absent/tape.jsonl"]).expect_code(2);
    assert!(nowhere.stderr.contains("absent/tape.jsonl"), "{}", nowhere.stderr);
    for flags in [
        ["--record", "--replay"],
        ["--record", "--demo"],
        ["--replay", "--or-demo"],
        ["--replay", "--model"],
    ] {
        let value = |flag: &str| (!flag.contains("demo")).then(|| "x".to_owned());
        let args = flags.iter().flat_map(|flag| [Some((*flag).to_owned()), value(flag)]);
        let args: Vec<String> = args.flatten().collect();
        let all = ["chat", "hi"].into_iter().map(str::to_owned).chain(args);
        let refused = product.ctl().run(all).expect_code(2);
        assert!(refused.stderr.contains("cannot be used with"), "{}", refused.stderr);
    }
    assert_eq!(product.runs(["list", "--json"]).ok(), runs, "no run was made");
    assert_eq!(product.model.requests().len(), 1);
}

#[test]
fn a_recording_that_cannot_go_on_is_said_and_the_run_ends_well() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::stream().say("one ").wait(&gate).say("two"));
    product.model.push(Reply::text("unused"));
    let file = product.daemon.sandbox().path("tape.jsonl");
    let path = file.to_str().unwrap();
    let running = product.ctl().start(["chat", "count", "--record", path, "--jsonl"]);
    gate.wait_reached(1);
    // As good as a full disk: the file cannot be written any more.
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    gate.release();
    let events = running.wait().expect_code(0).json_lines();
    assert_eq!(content(&events), "one two");
    let warnings = of_type(&events, "warning");
    let stopped = warnings.iter().filter(|warning| warning["code"] == "recording_stopped");
    let stopped: Vec<_> = stopped.collect();
    assert_eq!(stopped.len(), 1, "{warnings:?}");
    assert!(stopped[0]["message"].as_str().unwrap().contains(path), "{stopped:?}");
}

#[test]
fn a_recording_goes_on_after_its_daemon_was_killed() {
    let Product { mut daemon, model } = Product::start();
    let gate = Gate::new();
    model.push(Reply::tool("bash", &shell("echo made")));
    model.push(Reply::stream().say("half ").wait(&gate).say("an answer"));
    model.push(Reply::text("a whole answer"));
    let file = daemon.sandbox().path("tape.jsonl");
    let path = file.to_str().unwrap();
    let run = daemon.ctl().run(["chat", "go on", "--record", path, "--detach"]).ok();
    let run = run.trim().to_owned();
    gate.wait_reached(1);
    daemon.restart();
    let events = Tap::watch(&daemon.socket(), &run, 0).follow();
    assert_eq!(events.last().unwrap().value()["content"], "a whole answer");
    let kept = lines(&file);
    assert_eq!(kept[0]["run"], run.as_str());
    // What was on its way when the daemon died is not known; what came before and after is.
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(kept[2]["response"].to_string().contains("a whole answer"));
}

#[test]
fn a_recorded_run_shares_nothing_with_the_next_one() {
    let product = Product::start();
    product.model.respond(|request| Reply::text(format!("heard {}", request.prompt())));
    let (file, recorded, product) = record(product, "first", 0);
    let before = std::fs::read(&file).unwrap();
    assert_eq!(product.chat(["second", "-q"]).ok(), "heard second\n");
    let session = recorded.last().unwrap()["session"].as_str().unwrap();
    assert_eq!(product.chat(["third", "-q", "--resume", session]).ok(), "heard third\n");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    // A run that goes on from a recorded one does not write into its file either.
    let run = recorded[0]["run"].as_str().unwrap();
    assert_eq!(product.runs(["resume", run, "fourth", "-q"]).ok(), "heard fourth\n");
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn the_traffic_of_an_account_is_played_without_one() {
    let model = ModelServer::start();
    model.push(Reply::chunks(["from ", "GitHub"]));
    let mut sandbox = Sandbox::with_cli(CopilotCli::install());
    sandbox.set_all(model.signed_in_env());
    let file = sandbox.path("tape.jsonl");
    let signed_in = DaemonBuilder::new(copex_tests::bins!()).sandbox(sandbox).start();
    let path = file.to_str().unwrap();
    assert_eq!(signed_in.ctl().run(["chat", "hi", "-q", "--record", path]).ok(), "from GitHub\n");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&"t".repeat(36)) && !text.contains("gho_"), "{text}");
    assert_eq!(lines(&file)[0]["dialect"]["kind"], "github");
    drop(model);
    assert_eq!(replay(&alone(), "hi", &file, &["-q"]).ok(), "from GitHub\n");
}
