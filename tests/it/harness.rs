//! The harness itself: what its promises rest on.

use std::time::Duration;

use copex_tests::ctl::Bins;
use copex_tests::daemon::{DaemonBuilder, TestDaemon};
use copex_tests::env;
use copex_tests::model::{Gate, ModelServer, Reply};
use copex_tests::process::{Launch, marked};
use copex_tests::sandbox::Sandbox;
use nix::sys::signal::Signal;
use serde_json::json;

fn shell(sandbox: &Sandbox, script: &str) -> Launch {
    Launch::inside(sandbox, "/bin/sh").args(["-c", script])
}

#[test]
fn the_environment_is_the_sandboxs_alone() {
    let mut sandbox = Sandbox::new();
    sandbox.set("MINE", "1");
    let output = shell(&sandbox, "env; pwd; cat").stdin("piped").run();
    let stdout = output.ok();
    assert!(stdout.contains("MINE=1\n"), "{stdout}");
    assert!(stdout.contains(&format!("HOME={}", sandbox.path("home").display())), "{stdout}");
    assert!(!stdout.contains("CARGO"), "{stdout}");
    assert!(stdout.ends_with("/work\npiped"), "{stdout}");
    assert!(sandbox.socket().as_os_str().len() < 108);
}

#[test]
fn a_sandbox_ends_what_was_started_in_it_and_nothing_else() {
    let (sandbox, other) = (Sandbox::new(), Sandbox::new());
    let orphan = "setsid sleep 300 & echo started; wait";
    let running = shell(&sandbox, orphan).start();
    let neighbour = shell(&other, orphan).start();
    running.wait_stdout("started");
    neighbour.wait_stdout("started");
    running.signal(Signal::SIGKILL);
    assert_eq!(running.wait().code(), 128 + 9);
    let marker = sandbox.marker().to_owned();
    assert!(!marked(&marker).is_empty(), "the orphan lives on");
    drop(sandbox);
    assert!(marked(&marker).is_empty());
    assert!(!neighbour.has_ended());
    drop(neighbour);
}

#[test]
fn output_is_seen_while_it_comes_and_a_terminal_is_one() {
    let sandbox = Sandbox::new();
    let running = shell(&sandbox, "echo one; read line; echo two >&2; exit 7").stdin("\n").start();
    running.wait_stdout("one");
    running.wait_stderr("two");
    let _output = running.wait().expect_code(7);

    let mut running =
        shell(&sandbox, "test -t 0 && test -t 1 && echo ready; read line; echo $line")
            .start_on_terminal();
    running.wait_stdout("ready");
    running.type_in("typed\n");
    assert!(running.wait().ok().contains("typed"));
}

#[test]
fn a_server_answers_clients_that_do_not_stream() {
    let (sandbox, server) = (Sandbox::new(), ModelServer::start());
    server.push(Reply::chunks(["a", "b"]).model("other"));
    let curl = |path: &str, body: &str| {
        let url = format!("{}{path}", server.base_url());
        let launch = Launch::inside(&sandbox, "curl").args(["-sS", "--noproxy", "*", &url]);
        if body.is_empty() { launch.run() } else { launch.args(["-d", body]).run() }
    };
    let answer = curl("/chat/completions", r#"{"model":"m","messages":[]}"#).json();
    assert_eq!(answer["choices"][0]["message"]["content"], "ab");
    assert_eq!(answer["model"], "other");
    assert_eq!(curl("/models", "").json()["object"], "list");
    assert_eq!(server.all_requests().len(), 2);
    assert!(server.times(0).is_some());
}

#[test]
fn a_gate_that_is_open_holds_nobody() {
    let (sandbox, server, gate) = (Sandbox::new(), ModelServer::start(), Gate::new());
    gate.open();
    server.respond(move |_| Reply::text("x").wait_before_head(&gate));
    let url = format!("{}/chat/completions", server.base_url());
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"q"}]}"#;
    let args = ["-sS", "--noproxy", "*", "-d", body, &url];
    let stdout = Launch::inside(&sandbox, "curl").args(args).run().ok();
    assert!(stdout.ends_with("data: [DONE]\n\n"), "{stdout}");
    assert_eq!(server.wait_for_requests_within(1, Duration::from_secs(5)).len(), 1);
    server.wait_for_completed(1);
}

#[tokio::test]
async fn async_tests_can_wait_for_requests_too() {
    let server = ModelServer::start();
    let url = format!("{}/chat/completions", server.base_url());
    let ask = move || {
        let sandbox = Sandbox::new();
        Launch::inside(&sandbox, "curl")
            .args(["-sS", "--noproxy", "*", "-d", "{}", &url])
            .run()
            .ok()
    };
    let asked = tokio::task::spawn_blocking(ask);
    assert_eq!(server.requests_after(1).await.len(), 1);
    assert!(asked.await.unwrap().contains("echo: "));
}

#[test]
fn editors_library_is_installed() {
    let folder = copex_tests::cli::vscode_jsonrpc();
    let sandbox = Sandbox::new();
    let script = "console.log(typeof require('vscode-jsonrpc/node').createMessageConnection)";
    let output = Launch::inside(&sandbox, "node")
        .env("NODE_PATH", folder)
        .env("PATH", env::path())
        .args(["-e", script])
        .run();
    assert_eq!(output.ok(), "function\n");
}

#[test]
fn a_client_that_leaves_is_noticed() {
    let (sandbox, server) = (Sandbox::new(), ModelServer::start());
    server.push(Reply::stream().say("one").hang());
    server.push(Reply::hang_before_head());
    let url = format!("{}/chat/completions", server.base_url());
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"q"}]}"#;
    let curl = Launch::inside(&sandbox, "curl").args(["-sSN", "--noproxy", "*", "-d", body, &url]);
    let running = curl.clone().start();
    running.wait_stdout("one");
    drop(running);
    server.wait_for_abandoned(1);
    let running = curl.start();
    server.wait_for_requests(2);
    drop(running);
    server.wait_for_abandoned(2);
}

/// A daemon builder whose program is a Python outline of the daemon.
fn stand_in() -> DaemonBuilder {
    let bins = Bins { copexd: "/usr/bin/env".into(), ..copex_tests::bins!() };
    TestDaemon::builder(bins).args(["python3", "-c", include_str!("stand_in.py")])
}

#[test]
fn a_daemon_is_waited_for_asked_killed_and_started_again() {
    let mut daemon = stand_in().start();
    assert_eq!(daemon.notifications()[0], "READY=1");
    assert_eq!(daemon.wait_notified("STATUS="), "STATUS=up");

    let mut rpc = daemon.rpc();
    assert_eq!(rpc.call("hello", &json!({"a": 1})), json!({"a": 1}));
    assert_eq!(rpc.call_err("bad", &json!({}))["code"], -32601);
    let watched = rpc.subscribe("run.watch", &json!({}));
    let kinds: Vec<_> = rpc.events_to_end(&watched).iter().map(|e| e["type"].clone()).collect();
    assert_eq!(kinds, ["accepted", "message", "done"]);

    assert_eq!(daemon.kill9().code(), 128 + 9);
    daemon.restart();
    assert_eq!(daemon.rpc().call("again", &json!([])), json!([]));
    daemon.process().wait_stderr("stand-in is up");
    let marker = daemon.sandbox().marker().to_owned();
    drop(daemon);
    assert!(marked(&marker).is_empty() && !marker.exists());
}

#[test]
#[should_panic(expected = "the daemon did not say READY=1")]
fn a_daemon_that_dies_at_once_is_not_waited_for() {
    let bins = Bins { copexd: "/bin/false".into(), ..copex_tests::bins!() };
    let _never = TestDaemon::builder(bins).start();
}
