//! What goes wrong below the daemon: runtimes that die, a Copilot CLI that is none, a
//! provider that refuses or falls silent.

use copex_tests::ctl::Ctl;
use copex_tests::daemon::{DaemonBuilder, TestDaemon};
use copex_tests::fake_copilot::{FakeCopilot, Fault};
use copex_tests::model::{Gate, ModelServer, Reply};
use copex_tests::process::{Output, marked};
use copex_tests::sandbox::Sandbox;
use copex_tests::tap::{Tap, Tapped, assert_whole, kinds};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

fn builder() -> DaemonBuilder {
    TestDaemon::builder(copex_tests::bins!())
}

/// Starts a run in the background and returns its id.
fn submit(daemon: &TestDaemon, prompt: &str) -> String {
    daemon.ctl().run(["chat", prompt, "--detach"]).ok().trim().to_owned()
}

/// Kills every runtime as a crash would.
fn kill_runtimes(daemon: &TestDaemon) -> usize {
    signal_runtimes(daemon, Signal::SIGKILL)
}

/// Signals every runtime; says how many they were.
fn signal_runtimes(daemon: &TestDaemon, signal: Signal) -> usize {
    let pool = daemon.rpc().call("pool.status", &json!({}));
    let runtimes = pool["runtimes"].as_array().cloned().unwrap_or_default();
    assert!(!runtimes.is_empty(), "a runtime is at work: {pool}");
    for runtime in &runtimes {
        let pid = i32::try_from(runtime["pid"].as_i64().unwrap()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }
    runtimes.len()
}

fn count(events: &[Tapped], kind: &str) -> usize {
    events.iter().filter(|event| event.kind == kind).count()
}

fn last(events: &[Tapped]) -> Value {
    events.last().map(Tapped::value).unwrap_or_default()
}

/// No words of a crash.
fn clean(output: &Output) {
    for word in ["panicked", "RUST_BACKTRACE", "stack backtrace", ".rs:"] {
        assert!(!output.stderr.contains(word), "`{word}` in\n{}", output.stderr);
    }
}

#[test]
fn a_runtime_that_dies_in_the_answer_is_replaced_and_the_answer_is_one() {
    let (server, gate) = (ModelServer::start(), Gate::new());
    server.push(Reply::stream().say("half an ").wait(&gate).say("answer"));
    server.push(Reply::text("a whole answer"));
    let daemon = builder().model(&server).start();
    let chat = daemon.ctl().start(["chat", "tell me", "--jsonl"]);
    chat.wait_stdout("message_delta");
    kill_runtimes(&daemon);
    let output = chat.wait().expect_code(0);
    let events = output.json_lines();
    let kinds: Vec<_> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    for kind in ["restarted", "retrying"] {
        assert!(kinds.contains(&kind), "no {kind} in {kinds:?}");
    }
    let end = events.last().unwrap();
    assert_eq!((&end["type"], &end["content"]), (&json!("done"), &json!("a whole answer")));
    assert_eq!(server.requests().len(), 2);
    assert_eq!(server.user_messages(1), ["tell me"]);
}

#[test]
fn a_runtime_that_dies_in_a_tool_does_not_run_it_again() {
    let server = ModelServer::start();
    let daemon = builder().model(&server).start();
    let bash =
        |command: &str| Reply::tool("bash", &json!({"command": command, "description": "x"}));
    // The CLI writes its transcript with a short delay: the first tool waits for it.
    let transcripts = daemon.sandbox().path("copilot/session-state").display().to_string();
    server.push(bash(&format!("until cat {transcripts}/*/events.jsonl; do sleep 0.02; done")));
    server.push(bash("echo began >> tool.txt; sleep 346 & sleep 347"));
    server.push(Reply::text("the end"));
    let run = daemon.ctl().run(["chat", "run it", "--auto-approve", "--detach"]).ok();
    let mut tap = Tap::watch(&daemon.socket(), run.trim(), 0);
    tap.until(|event| event.kind == "tool_end");
    tap.until(|event| event.kind == "tool_start");
    kill_runtimes(&daemon);
    let rest = tap.follow();
    assert_eq!(last(&rest)["content"], "the end", "{rest:#?}");
    assert_eq!((count(&rest, "tool_end"), count(&rest, "tool_start")), (1, 0), "{rest:#?}");
    let lines = std::fs::read_to_string(daemon.sandbox().work().join("tool.txt"));
    assert!(lines.unwrap_or_default().len() <= "began\n".len(), "it ran at most once");
    let sleeps = marked(daemon.sandbox().marker());
    let sleeps: Vec<_> = sleeps.iter().filter(|(_, line)| line.starts_with("sleep 34")).collect();
    assert!(sleeps.is_empty(), "the runtime's tree ends with it: {sleeps:?}");
}

#[test]
fn a_turn_that_kills_four_runtimes_has_failed() {
    let server = ModelServer::with(|_| Reply::stream().say("half an ").hang());
    let daemon = builder().model(&server).start();
    let chat = daemon.ctl().start(["chat", "tell me", "--json"]);
    for nth in 1..=4 {
        server.wait_for_requests(nth);
        kill_runtimes(&daemon);
        server.wait_for_abandoned(nth);
    }
    let output = chat.wait().expect_code(1);
    clean(&output);
    assert_eq!(output.json()["error"]["class"], "runtime_died", "{}", output.stdout);
    let status = daemon.ctl().run(["status", "--json"]).expect_code(0);
    clean(&status);
    // The next turn is served as if nothing had been.
    server.push(Reply::text("well again"));
    assert_eq!(daemon.ctl().run(["chat", "and now?", "-q"]).ok(), "well again\n");
}

#[test]
fn fifty_dead_runtimes_leave_no_process_behind() {
    const AT_ONCE: usize = 5;
    let server = ModelServer::start();
    let config = format!("[pool]\nspares = 0\nmax_runtimes = {AT_ONCE}\n");
    let daemon = builder().config(&config).model(&server).start();
    let mut killed = 0;
    while killed < 50 {
        let gate = Gate::new();
        let held = gate.clone();
        let background = json!({"command": "sleep 348 & echo started", "description": "leave it"});
        server.respond(move |request| {
            if request.tool_results().is_empty() {
                Reply::tool("bash", &background)
            } else {
                Reply::text("left").wait_before_head(&held)
            }
        });
        // Each environment has a runtime of its own.
        let submit = |place: usize| {
            let ctl = daemon.ctl().with(|launch| launch.env("PLACE", place.to_string()));
            ctl.run(["chat", "leave something behind", "--detach"]).ok().trim().to_owned()
        };
        let runs: Vec<String> = (0..AT_ONCE).map(submit).collect();
        gate.wait_reached(AT_ONCE);
        killed += kill_runtimes(&daemon);
        gate.open();
        for run in runs {
            let events = Tap::watch(&daemon.socket(), &run, 0).follow();
            assert_eq!(last(&events)["type"], "done", "{events:#?}");
            assert_eq!(count(&events, "retrying"), 1, "its runtime died: {events:#?}");
        }
    }
    let _stopped = daemon.ctl().run(["daemon", "stop"]).expect_code(0);
    let _ended = daemon.process().wait();
    let left = marked(daemon.sandbox().marker());
    assert!(left.is_empty(), "{left:?}");
}

/// A daemon whose Copilot CLI is the fake with this fault.
fn faulty(fault: Fault) -> (TestDaemon, FakeCopilot) {
    let sandbox = Sandbox::new();
    let fake =
        FakeCopilot::install(&copex_tests::bins!().fake_copilot, sandbox.path("fake"), fault);
    let provider = "[provider]\nbase_url = \"http://127.0.0.1:1/v1\"\nmodel = \"fake-1\"\n";
    let config = format!("{provider}[pool]\nstart_timeout = 1.0\n");
    let daemon =
        builder().sandbox(sandbox).config(&config).env("COPILOT_CLI_PATH", fake.program()).start();
    (daemon, fake)
}

/// Runs a chat that must fail with `code`, and hands on what it said; the run is over.
fn fails(daemon: &TestDaemon, ctl: &Ctl, args: &[&str], code: i32) -> Output {
    let output = ctl.run(["chat", "hi"].iter().chain(args)).expect_code(code);
    clean(&output);
    let listed = daemon.ctl().run(["runs", "list", "--json"]).expect_code(0).json();
    let newest = &listed["runs"][0];
    assert!(newest["ended_at"].is_u64(), "the run is over: {newest}");
    let run = newest["run"].as_str().unwrap();
    assert_whole(&Tap::watch(&daemon.socket(), run, 0).follow());
    output
}

fn says(output: &Output, words: &[&str]) {
    for word in words {
        assert!(output.stderr.contains(word), "no `{word}` in\n{}", output.stderr);
    }
}

#[test]
fn a_copilot_cli_that_is_not_there_is_named_with_the_way_out() {
    let (daemon, _fake) = faulty(Fault::None);
    let no_path = |launch: copex_tests::process::Launch| {
        launch.env_remove("COPILOT_CLI_PATH").env("PATH", "/nonexistent")
    };
    let output = fails(&daemon, &daemon.ctl().with(no_path), &[], 69);
    says(&output, &["Copilot CLI was not found", "npm i -g @github/copilot"]);
    let wrong =
        |launch: copex_tests::process::Launch| launch.env("COPILOT_CLI_PATH", "/no/such/copilot");
    let output = fails(&daemon, &daemon.ctl().with(wrong), &[], 69);
    says(&output, &["/no/such/copilot", "not a program", "npm i -g @github/copilot"]);
    let text = "cli_path = \"/etc/passwd\"\n";
    let file = daemon.sandbox().write("other.toml", text).display().to_string();
    let output = fails(&daemon, &daemon.ctl(), &["--config", &file, "--demo"], 69);
    says(&output, &["cli_path /etc/passwd", "not a program"]);
}

#[test]
fn a_copilot_cli_that_does_not_start_is_named_with_its_reason() {
    let table: [(Fault, &[&str]); 5] = [
        (Fault::GarbageAtStart, &["the Copilot protocol"]),
        (Fault::WrongProtocol, &["too old or too new"]),
        (Fault::OldProtocol, &["0.0.300", "too old or too new"]),
        (Fault::ExitAtStart, &["ended before", "cannot start, by order of the test"]),
        (Fault::NoHandshake, &["did not answer the handshake within 1 s"]),
    ];
    let (daemon, fake) = faulty(Fault::None);
    let program = fake.program().display().to_string();
    for (fault, words) in table {
        fake.set_fault(fault);
        let output = fails(&daemon, &daemon.ctl(), &[], 69);
        says(&output, &[&program, "copilot --version", "cli_path"]);
        says(&output, words);
    }
    fake.set_fault(Fault::None);
    assert_eq!(daemon.ctl().run(["chat", "hi", "-q"]).ok(), "echo: hi\n");
}

#[test]
fn an_old_copilot_cli_that_speaks_our_protocol_serves() {
    let (daemon, _fake) = faulty(Fault::OldVersion);
    assert_eq!(daemon.ctl().run(["chat", "hi", "-q"]).ok(), "echo: hi\n");
}

#[test]
fn a_copilot_cli_that_breaks_off_is_tried_again_and_then_reported() {
    for fault in [Fault::ExitMidTurn, Fault::ExitMidFrame, Fault::Garbage] {
        let (daemon, fake) = faulty(fault);
        let output = fails(&daemon, &daemon.ctl(), &["--json"], 1);
        assert_eq!(output.json()["error"]["class"], "runtime_died", "{fault:?}: {output:?}");
        fake.set_fault(Fault::None);
        assert_eq!(daemon.ctl().run(["chat", "hi", "-q"]).ok(), "echo: hi\n", "{fault:?}");
    }
}

#[test]
fn events_that_come_twice_count_once() {
    let (daemon, _fake) = faulty(Fault::DuplicateEvents);
    let output = daemon.ctl().run(["chat", "hi", "--jsonl"]).expect_code(0);
    let events = output.json_lines();
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    let deltas = events.iter().filter_map(|event| event["text"].as_str());
    let text: String = deltas.clone().take(of("message_delta")).collect();
    assert_eq!(text, "echo: hi");
    assert_eq!((of("message"), of("usage"), of("done")), (1, 1, 1));
    assert_eq!(events.last().unwrap()["usage"]["calls"], 1);
}

/// Runs a chat that gives up after a second of silence: less than copexctl lets a user ask
/// for. Everything else is as in the run before, which was good.
fn impatient(daemon: &TestDaemon, prompt: &str) -> Vec<Tapped> {
    let listed = daemon.rpc().call("run.list", &json!({"filter": {}}));
    let known = &listed["runs"][0]["run"];
    let mut request = daemon.rpc().call("run.get", &json!({"run": known}))["request"].take();
    request["prompt"] = json!(prompt);
    request["timeout_s"] = json!(1.0);
    request.as_object_mut().unwrap().remove("session");
    let submitted = daemon.rpc().call("run.submit", &json!({"request": request}));
    let events = Tap::watch(&daemon.socket(), submitted["run"].as_str().unwrap(), 0).follow();
    assert_whole(&events);
    events
}

#[test]
fn a_copilot_cli_that_goes_silent_is_given_up() {
    let (daemon, fake) = faulty(Fault::None);
    assert_eq!(daemon.ctl().run(["chat", "hi", "-q"]).ok(), "echo: hi\n");
    fake.set_fault(Fault::NoIdle);
    kill_runtimes(&daemon);
    let events = impatient(&daemon, "hi");
    assert_eq!(last(&events)["error"]["class"], "timeout", "{events:#?}");
}

#[test]
fn what_the_provider_refuses_has_its_class_and_its_words() {
    let server = ModelServer::start();
    let daemon = builder().model(&server).start();
    let table = [
        (Reply::error(500, "internal", "out of order"), "server", 1, "out of order"),
        (Reply::error(429, "rate_limited", "slow down"), "rate_limit", 5, "slow down"),
        (Reply::error(400, "context_length_exceeded", "too long"), "context_limit", 1, "too long"),
        (Reply::error(400, "bad_thing", "no such thing"), "client", 1, "no such thing"),
        (Reply::error(401, "invalid_api_key", "no such key"), "auth", 77, ""),
        (Reply::error(402, "quota_exceeded", "used up"), "quota", 3, "used up"),
    ];
    let flags = ["--json", "--max-retries", "0", "--no-park"];
    for (reply, class, code, words) in table {
        server.push(reply.no_cli_retry());
        let output = fails(&daemon, &daemon.ctl(), &flags, code);
        let error = &output.json()["error"];
        assert_eq!(error["class"], class, "{output:?}");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        assert_eq!(server.queued(), 0, "asked once: {class}");
    }
    assert_eq!(daemon.ctl().run(["chat", "hi", "-q"]).ok(), "echo: hi\n");
}

#[test]
fn a_provider_that_is_not_there_is_a_network_failure() {
    let server = ModelServer::start();
    let config = "[retry]\nbase_delay = 0.1\nmax_delay = 1.0\n";
    let daemon = builder().config(config).model(&server).start();
    drop(server);
    let output = fails(&daemon, &daemon.ctl(), &["--json"], 1);
    let error = &output.json()["error"];
    assert_eq!(error["class"], "network", "{output:?}");
    assert!(error["hint"].as_str().unwrap().contains("base_url"), "{error}");
}

#[test]
fn a_silent_model_is_aborted_and_its_session_stays_usable() {
    let server = ModelServer::start();
    let daemon = builder().model(&server).start();
    assert_eq!(daemon.ctl().run(["chat", "hi", "-q"]).ok(), "echo: hi\n");
    for silent in [Reply::hang_before_head(), Reply::stream().say("half ").hang()] {
        let before = server.requests().len();
        // Once more, then it is given up.
        server.push(silent.clone()).push(silent);
        let events = impatient(&daemon, "are you there?");
        let end = last(&events);
        assert_eq!((&end["type"], &end["error"]["class"]), (&json!("failed"), &json!("timeout")));
        assert_eq!((server.requests().len() - before, count(&events, "retrying")), (2, 1));
        let attached = ["runs", "attach", end["run"].as_str().unwrap()];
        clean(&daemon.ctl().run(attached).expect_code(1));
        let session = end["outcome"]["session"].as_str().expect("a session").to_owned();
        // Silence speaks of the model's health: two more would open its breaker.
        let _count = daemon.rpc().call("breaker.reset", &json!({}));
        let again = daemon.ctl().run(["chat", "still there?", "--resume", &session, "-q"]);
        assert_eq!(again.ok(), "echo: still there?\n");
        let said = server.requests().last().unwrap().user_messages();
        assert_eq!(said, ["are you there?", "still there?"]);
    }
    let pool = daemon.rpc().call("pool.status", &json!({}));
    assert_eq!(pool["runtimes"].as_array().map(Vec::len), Some(1), "one served all: {pool}");
}

#[test]
fn a_key_finds_its_run_again_even_after_a_restart() {
    let server = ModelServer::start();
    let mut daemon = builder().model(&server).start();
    let request = json!({"mode": "chat", "prompt": "once", "demo": true});
    let params = json!({"request": request, "key": "my-key"});
    let first = daemon.rpc().call("run.submit", &params);
    assert_eq!(first["created"], true);
    let run = first["run"].as_str().unwrap().to_owned();
    let again = json!({"run": run, "created": false});
    assert_eq!(daemon.rpc().call("run.submit", &params), again);
    assert_eq!(last(&Tap::watch(&daemon.socket(), &run, 0).follow())["type"], "done");
    for _ in 0..2 {
        assert_eq!(daemon.rpc().call("run.submit", &params), again);
        daemon.restart();
    }
    let listed = daemon.rpc().call("run.list", &json!({"filter": {}}));
    assert_eq!(listed["runs"].as_array().map(Vec::len), Some(1), "{listed}");
}

#[test]
fn a_draining_daemon_takes_nothing_new_and_leaves_after_its_last_run() {
    let (server, gate) = (ModelServer::start(), Gate::new());
    server.push(Reply::stream().say("a ").wait(&gate).say("last answer"));
    let daemon = builder().model(&server).start();
    let run = submit(&daemon, "the last");
    let mut tap = Tap::watch(&daemon.socket(), &run, 0);
    tap.until(|event| event.kind == "message_delta");
    let mut rpc = daemon.rpc();
    assert_eq!(rpc.call("daemon.drain", &json!({}))["active_runs"], 1);
    assert_eq!(rpc.call("daemon.status", &json!({}))["phase"], "draining");
    let request = json!({"request": {"mode": "chat", "prompt": "x", "demo": true}});
    let refused = rpc.call_err("run.submit", &request);
    assert_eq!(refused["data"]["class"], "unavailable", "{refused}");
    assert_eq!(refused["data"]["retryable"], true, "{refused}");
    assert!(refused["data"]["retry_after_ms"].is_u64(), "{refused}");
    gate.release();
    let rest = tap.follow();
    assert_eq!(last(&rest)["content"], "a last answer", "{:?}", kinds(&rest));
    let _ended = daemon.process().wait().expect_code(0);
    assert!(!daemon.socket().exists());
}
