//! Socket activation as systemd does it: the socket exists first, the daemon comes with
//! the first client.
//!
//! For the integrator: not part of the test binary until `copexd` serves; add
//! `mod activation;` to `main.rs` then. One setting to check: the daemon must take the
//! socket named `copexd` from `LISTEN_FDS` and must not unlink it when it stops.

use std::path::Path;

use copex_tests::ctl::Bins;
use copex_tests::process::{Launch, Running};
use copex_tests::rpc::Rpc;
use copex_tests::sandbox::Sandbox;
use serde_json::json;

/// Runs the daemon under `systemd-socket-activate`; `None` where that is not installed.
fn activate(bins: &Bins, sandbox: &Sandbox) -> Option<Running> {
    let program = Path::new("/usr/bin/systemd-socket-activate");
    if !program.exists() {
        println!("skipped: systemd-socket-activate is not installed");
        return None;
    }
    let socket = sandbox.socket();
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    // It hands on only the variables that it is told to.
    let variables: Vec<_> = sandbox
        .env()
        .into_iter()
        .filter_map(|(name, _)| Some(format!("--setenv={}", name.to_str()?)))
        .collect();
    let running = Launch::inside(sandbox, program)
        .args([Path::new("-l"), &socket])
        .args(["--fdname=copexd"])
        .args(variables)
        .args([&bins.copexd])
        .start();
    running.wait_stderr("Listening on");
    Some(running)
}

#[test]
fn the_first_client_starts_the_daemon_on_the_socket_that_was_there() {
    let sandbox = Sandbox::new();
    let Some(activator) = activate(&copex_tests::bins!(), &sandbox) else { return };
    let mut rpc = Rpc::connect(&sandbox.socket());
    let hello = rpc.call("hello", &json!({}));
    assert_eq!(hello["protocol"], copex_proto::PROTOCOL_VERSION, "{hello}");

    // The activator has become the daemon: stopping it leaves systemd's socket alone.
    rpc.call("daemon.stop", &json!({}));
    let _output = activator.wait().expect_code(0);
    assert!(sandbox.socket().exists(), "the socket belongs to systemd");
}
