//! The unit files are what systemd takes, and say what the daemon needs.

use std::path::Path;

use copex_tests::env::workspace;
use copex_tests::process::{Launch, Output};
use copex_tests::sandbox::Sandbox;

fn unit(name: &str) -> String {
    std::fs::read_to_string(workspace().join("systemd").join(name)).unwrap()
}

/// `systemd-analyze verify` over the two units, or `None` where systemd is not installed.
fn verify(service: &str, socket: &str) -> Option<Output> {
    if !["/usr/bin", "/bin"].iter().any(|dir| Path::new(dir).join("systemd-analyze").exists()) {
        println!("skipped: systemd-analyze is not installed");
        return None;
    }
    let sandbox = Sandbox::new();
    let service = sandbox.write("work/copexd.service", service);
    let socket = sandbox.write("work/copexd.socket", socket);
    let arguments = ["--user", "--man=no", "--recursive-errors=no", "verify"];
    let launch = Launch::inside(&sandbox, "systemd-analyze").args(arguments);
    Some(launch.args([service, socket]).run())
}

/// The service with a program that exists, since a missing one is an error of its own.
fn service() -> String {
    unit("copexd.service").replace("%h/.local/bin/copexd", "/bin/true")
}

#[test]
fn systemd_accepts_the_units() {
    if let Some(output) = verify(&service(), &unit("copexd.socket")) {
        let output = output.expect_code(0);
        assert_eq!(output.stderr, "", "not even a warning");
    }
}

#[test]
fn a_misspelt_key_would_be_found() {
    let bad = service().replace("Restart=on-failure", "Restrat=on-failure");
    if let Some(output) = verify(&bad, &unit("copexd.socket")) {
        assert!(output.stderr.contains("Restrat"), "{output:?}");
    }
}

#[test]
fn the_service_never_owns_the_sockets_folder() {
    let service = unit("copexd.service");
    let keys: Vec<_> = service.lines().filter_map(|line| line.split_once('=')).collect();
    // Both would remove or move folders that are not the unit's (systemd/README.md).
    for key in ["RuntimeDirectory", "StateDirectory", "LogsDirectory"] {
        assert!(!keys.iter().any(|(known, _)| *known == key), "{key}");
    }
    for pair in [("Type", "notify"), ("KillMode", "mixed"), ("ExecStart", "%h/.local/bin/copexd")] {
        assert!(keys.contains(&pair), "{pair:?}");
    }
}
