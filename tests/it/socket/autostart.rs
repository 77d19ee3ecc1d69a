//! `copexctl` starts the daemon when none answers: one, however many ask.

use std::os::unix::net::UnixStream;

use copex_tests::cli::CopilotCli;
use copex_tests::clock::{Deadline, PATIENCE};
use copex_tests::ctl::Ctl;
use copex_tests::model::{MODEL, ModelServer};
use copex_tests::process::{Running, marked};
use copex_tests::rpc::Rpc;
use copex_tests::sandbox::Sandbox;
use nix::sys::signal::Signal;
use serde_json::json;

fn ctl(sandbox: &Sandbox) -> Ctl {
    Ctl::new(&copex_tests::bins!(), sandbox)
}

/// The daemons of a sandbox, by process id.
fn daemons(sandbox: &Sandbox) -> Vec<i32> {
    let found = marked(sandbox.marker()).into_iter();
    let daemons = found.filter(|(_, line)| {
        line.split(' ').next().is_some_and(|program| program.ends_with("copexd-dup"))
    });
    daemons.map(|(pid, _)| pid.as_raw()).collect()
}

#[test]
fn ten_clients_on_a_cold_machine_start_one_daemon() {
    let server = ModelServer::start();
    let mut sandbox = Sandbox::with_cli(CopilotCli::install());
    sandbox.set_all(server.provider_env());
    let ctl = ctl(&sandbox);
    let chats: Vec<Running> =
        (0..5).map(|at| ctl.start(["chat", "-q", &format!("number {at}")])).collect();
    let lists: Vec<Running> = (0..5).map(|_| ctl.start(["runs", "list", "--json"])).collect();
    let mut said = String::new();
    for (at, chat) in chats.into_iter().enumerate() {
        let output = chat.wait().expect_code(0);
        assert_eq!(output.stdout.trim(), format!("echo: number {at}"));
        said.push_str(&output.stderr);
    }
    for list in lists {
        let output = list.wait().expect_code(0);
        assert!(output.json()["runs"].is_array(), "{}", output.stdout);
        said.push_str(&output.stderr);
    }
    assert_eq!(said.matches("copexd started").count(), 1, "{said}");
    let found = daemons(&sandbox);
    assert_eq!(found.len(), 1, "{found:?}");
    let mut rpc = Rpc::connect(&sandbox.socket());
    assert_eq!(rpc.call("daemon.status", &json!({}))["pid"], found[0]);
    assert_eq!(rpc.call("run.list", &json!({}))["runs"].as_array().map(Vec::len), Some(5));
    assert!(server.requests().iter().all(|request| request.model() == MODEL));
}

#[test]
fn the_daemon_is_started_looked_at_restarted_and_stopped() {
    let sandbox = Sandbox::new();
    let ctl = ctl(&sandbox);
    let output = ctl.run(["daemon", "status"]).expect_code(69);
    assert!(output.stdout.contains("not running"), "{}", output.stdout);
    assert_eq!(daemons(&sandbox), [0; 0], "looking starts nothing");
    let output = ctl.run(["daemon", "stop"]).expect_code(0);
    assert!(output.stderr.contains("not running"), "{}", output.stderr);

    let output = ctl.run(["daemon", "start"]).expect_code(0);
    assert!(output.stderr.contains("copexd started"), "{}", output.stderr);
    let first = daemons(&sandbox);
    assert_eq!(first.len(), 1);
    let again = ctl.run(["daemon", "start"]).ok();
    assert!(again.contains(&format!("pid {}", first[0])), "{again}");
    let status = ctl.run(["daemon", "status", "--json"]).expect_code(0).json();
    assert_eq!(status["daemon"]["pid"], first[0], "{status}");
    assert_eq!(status["daemon"]["supervisor"], "none");

    let _output = ctl.run(["daemon", "restart"]).expect_code(0);
    let second = daemons(&sandbox);
    assert!(second.len() == 1 && second != first, "{first:?} {second:?}");

    let follower = ctl.start(["daemon", "logs", "-f", "-n", "1"]);
    let output = ctl.run(["daemon", "stop"]).expect_code(0);
    assert!(output.stderr.contains("copexd stopped"), "{}", output.stderr);
    assert!(!sandbox.socket().exists());
    // A stopped daemon is gone, and not merely silent: the next one may start at once.
    let lock = std::fs::File::open(sandbox.path("run/copex/copexd.lock")).unwrap();
    lock.try_lock().expect("nobody holds the lock");
    follower.wait_stdout("stopped");
    let logs = ctl.run(["daemon", "logs"]).ok();
    assert_eq!(logs.matches("serving").count(), 2, "{logs}");
    assert_eq!(logs.matches("stopped").count(), 2, "{logs}");
    let last = ctl.run(["daemon", "logs", "-n", "1"]).ok();
    assert!(last.lines().count() == 1 && last.contains("stopped"), "{last}");
}

#[test]
fn the_foreground_daemon_is_the_process_itself() {
    let sandbox = Sandbox::new();
    let ctl = ctl(&sandbox);
    let running = ctl.start(["daemon", "start", "--foreground"]);
    running.wait_stderr("serving");
    let status = ctl.run(["status", "--json"]).expect_code(0).json();
    assert_eq!(status["daemon"]["pid"], running.pid().as_raw());
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code(), 0);
}

#[test]
fn a_daemon_that_was_killed_is_started_again_by_the_next_client() {
    let sandbox = Sandbox::new();
    let ctl = ctl(&sandbox);
    let _output = ctl.run(["daemon", "start"]).expect_code(0);
    let first = daemons(&sandbox)[0];
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), Signal::SIGKILL).unwrap();
    // A process that is being killed may still be connected to.
    let deadline = Deadline::after(PATIENCE);
    while UnixStream::connect(sandbox.socket()).is_ok() {
        assert!(deadline.left().is_some(), "it listens on");
    }
    let output = ctl.run(["runs", "list", "--json"]).expect_code(0);
    assert!(output.stderr.contains("copexd started"), "{}", output.stderr);
    assert_ne!(daemons(&sandbox), [first]);
}

#[test]
fn a_daemon_that_cannot_start_says_why_through_the_client() {
    let sandbox = Sandbox::new();
    sandbox.write_config("[limits]\nmax_connections = \"many\"\n");
    for args in [&["daemon", "start"][..], &["runs", "list"], &["chat", "hi"]] {
        let output = ctl(&sandbox).run(args);
        assert!([2, 69].contains(&output.code()), "{args:?}: {output:?}");
        assert!(output.stderr.contains("limits.max_connections"), "{args:?}: {output:?}");
        assert!(output.stderr.contains("config.toml:2"), "{args:?}: {output:?}");
        assert_eq!(output.stdout, "");
    }
    assert_eq!(daemons(&sandbox), [0; 0]);
}

#[test]
fn a_daemon_that_is_not_there_is_named() {
    let sandbox = Sandbox::new();
    let gone = sandbox.path("gone/copexd");
    let ctl = ctl(&sandbox).with(|launch| launch.env("COPEX_DAEMON", &gone));
    let output = ctl.run(["runs", "list"]).expect_code(69);
    assert!(output.stderr.contains(gone.to_str().unwrap()), "{}", output.stderr);

    // One that ends at once, with nothing to say.
    let ctl = ctl.with(|launch| launch.env("COPEX_DAEMON", "/bin/false"));
    let output = ctl.run(["runs", "list"]).expect_code(69);
    assert!(output.stderr.contains("did not start (exit status: 1)"), "{}", output.stderr);

    // A socket path that no daemon could have.
    let ctl = ctl.with(|launch| launch.env("COPEX_SOCKET", format!("/tmp/{}", "x".repeat(120))));
    let output = ctl.run(["runs", "list"]).expect_code(2);
    assert!(output.stderr.contains("125 bytes long"), "{}", output.stderr);
}
