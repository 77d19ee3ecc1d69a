//! The socket file and the folders: one daemon, one owner, no stranger.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use copex_tests::daemon::{DaemonBuilder, TestDaemon};
use copex_tests::process::{Launch, Output};
use copex_tests::sandbox::Sandbox;
use copex_tests::tool;
use serde_json::json;

fn builder() -> DaemonBuilder {
    TestDaemon::builder(copex_tests::bins!())
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// A daemon that is expected not to start, run to its end.
fn refused(sandbox: &Sandbox, args: &[&str]) -> Output {
    Launch::inside(sandbox, copex_tests::bins!().copexd).args(args).run()
}

#[test]
fn the_socket_and_the_folders_are_the_users_alone() {
    let daemon = builder().start();
    let socket = daemon.socket();
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().unwrap()), 0o700);
    assert_eq!(mode(&socket.with_file_name("copexd.lock")), 0o600);
    let state = daemon.sandbox().path("state/copex");
    assert_eq!(mode(&state.join("store")), 0o700);
    assert_eq!(mode(&state.join("store/lock")), 0o600);
    assert!(daemon.stop().code() == 0 && !socket.exists(), "it takes its socket away");
}

/// What a process of another user sees that connects and says hello.
fn as_stranger(python: &Path, socket: &Path) -> String {
    let script = "
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
try:
    connection.connect(sys.argv[1])
except OSError as error:
    sys.exit(print(type(error).__name__))
try:
    connection.sendall(b'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\"}\\n')
    print('heard', len(connection.recv(100)))
except OSError as error:
    print('heard', 0)
";
    let launch = Launch::new(python).args(["-c", script]).args([socket]);
    launch.run().ok().trim().to_owned()
}

#[test]
fn another_user_gets_nothing() {
    if !nix::unistd::geteuid().is_root() {
        println!("not tested: only root can become somebody else");
        return;
    }
    let Some(python) = tool::find("python3") else { return };
    // A python of root's home folder is out of reach for somebody else.
    let usual = PathBuf::from("/usr/bin/python3");
    let python = if usual.exists() { usual } else { python };
    let daemon = builder().start();
    let socket = daemon.socket();
    assert_eq!(as_stranger(&python, &socket), "PermissionError");

    // Even with every door open, the daemon looks at who it is.
    for path in socket.ancestors().take(4) {
        std::fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    }
    assert_eq!(as_stranger(&python, &socket), "heard 0");
    daemon.process().wait_stderr("another user was turned away");
    assert_eq!(daemon.rpc().call("daemon.status", &json!({}))["connections"], 1);
}

#[test]
fn a_stale_socket_is_replaced_and_other_things_are_left_alone() {
    let mut daemon = builder().start();
    let _killed = daemon.kill9();
    assert!(daemon.socket().exists(), "a killed daemon leaves its socket");
    daemon.restart();
    assert_eq!(daemon.rpc().call("daemon.status", &json!({}))["phase"], "ready");

    let sandbox = Sandbox::new();
    let path = sandbox.write("run/copex/copexd.sock", "a file of somebody's");
    std::fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o700)).unwrap();
    let output = refused(&sandbox, &[]).expect_code(69);
    assert!(output.stderr.contains("is not a socket"), "{}", output.stderr);
    assert_eq!(std::fs::read_to_string(path).unwrap(), "a file of somebody's");
}

#[test]
fn a_folder_that_others_write_to_is_refused() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("run/copex");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    let output = refused(&sandbox, &[]).expect_code(69);
    assert!(output.stderr.contains("chmod go-w"), "{}", output.stderr);
}

#[test]
fn a_second_daemon_on_the_socket_is_refused_by_name() {
    let daemon = builder().start();
    let pid = format!("(process {})", daemon.process().pid());
    let output = refused(daemon.sandbox(), &[]).expect_code(69);
    assert!(output.stderr.contains(&pid), "{}", output.stderr);
    assert_eq!(output.stdout, "");
    assert_eq!(daemon.rpc().call("daemon.status", &json!({}))["phase"], "ready");

    // A listener that is no copexd and holds no lock.
    let sandbox = Sandbox::new();
    let folder = sandbox.path("run/copex");
    std::fs::create_dir(&folder).unwrap();
    let _listener = UnixListener::bind(sandbox.socket()).unwrap();
    let output = refused(&sandbox, &[]).expect_code(69);
    let pid = format!("(process {}) answers", std::process::id());
    assert!(output.stderr.contains(&pid), "{}", output.stderr);
}

#[test]
fn a_second_daemon_on_the_store_is_refused_by_name() {
    let daemon = builder().start();
    let socket = daemon.sandbox().path("run/other/copexd.sock");
    let output = refused(daemon.sandbox(), &["--socket", socket.to_str().unwrap()]);
    let output = output.expect_code(69);
    let holder = format!("is in use by process {}", daemon.process().pid());
    assert!(output.stderr.contains(&holder), "{}", output.stderr);
    assert!(!socket.exists(), "it takes its socket away");
    assert_eq!(daemon.rpc().call("run.list", &json!({}))["runs"], json!([]));
}

#[test]
fn a_socket_path_that_cannot_be_is_a_usage_error() {
    let sandbox = Sandbox::new();
    let long = format!("/tmp/{}", "x".repeat(120));
    let output = refused(&sandbox, &["--socket", &long]).expect_code(2);
    assert!(output.stderr.contains("125 bytes long"), "{}", output.stderr);
    assert!(output.stderr.contains("COPEX_SOCKET"), "{}", output.stderr);
    let output = refused(&sandbox, &["--socket", "here.sock"]).expect_code(2);
    assert!(output.stderr.contains("relative"), "{}", output.stderr);
}
