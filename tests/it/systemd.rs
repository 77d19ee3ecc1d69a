//! The unit files are what systemd takes and what their README says; the daemon speaks to
//! systemd as it expects.

use copex_tests::daemon::TestDaemon;
use copex_tests::env::workspace;
use copex_tests::process::{Launch, Output};
use copex_tests::sandbox::Sandbox;
use copex_tests::tool;
use serde_json::json;

fn unit(name: &str) -> String {
    std::fs::read_to_string(workspace().join("systemd").join(name)).unwrap()
}

/// `systemd-analyze verify` over the two units, or `None` where systemd is not installed.
fn verify(service: &str, socket: &str) -> Option<Output> {
    let program = tool::find("systemd-analyze")?;
    let sandbox = Sandbox::new();
    let service = sandbox.write("work/copexd.service", service);
    let socket = sandbox.write("work/copexd.socket", socket);
    let arguments = ["--user", "--man=no", "--recursive-errors=no", "verify"];
    let launch = Launch::inside(&sandbox, program).args(arguments);
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
    // The first three would remove or move folders that are not the unit's, and tools would
    // inherit the last (systemd/README.md).
    for key in ["RuntimeDirectory", "StateDirectory", "LogsDirectory", "UMask"] {
        assert!(!keys.iter().any(|(known, _)| *known == key), "{key}");
    }
    for pair in [("Type", "notify"), ("KillMode", "mixed"), ("ExecStart", "%h/.local/bin/copexd")] {
        assert!(keys.contains(&pair), "{pair:?}");
    }
}

/// The settings in the first column of the table below a heading of the README.
fn table(heading: &str) -> Vec<String> {
    let readme = unit("README.md");
    let (_, section) = readme.split_once(&format!("## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let firsts = rows.filter_map(|line| line.split('|').nth(1));
    let spans = firsts.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    spans.map(str::to_owned).collect()
}

#[test]
fn the_readme_explains_every_line_of_the_units_and_no_other() {
    // What the two files are about needs no reason.
    const PLAIN: [&str; 9] = [
        "Description",
        "Requires",
        "After",
        "ExecStart",
        "WantedBy",
        "Also",
        "ListenStream",
        "FileDescriptorName",
        "Documentation",
    ];
    let units = unit("copexd.service") + &unit("copexd.socket");
    let lines = units.lines().filter(|line| line.contains('=') && !line.starts_with('#'));
    let is_plain = |line: &&str| PLAIN.contains(&line.split('=').next().unwrap_or_default());
    let mut written: Vec<_> = lines.filter(|line| !is_plain(line)).collect();
    let mut explained = table("What each line is for");
    written.sort_unstable();
    explained.sort_unstable();
    assert_eq!(explained, written);
    for left_out in table("What is left out, and why") {
        let key = format!("\n{}=", left_out.split('=').next().unwrap_or_default());
        assert!(!units.contains(&key), "{left_out} is said to be left out");
    }
}

#[test]
fn systemd_hears_of_the_start_and_of_the_end() {
    let daemon = TestDaemon::builder(copex_tests::bins!()).start();
    assert_eq!(daemon.rpc().call("daemon.status", &json!({}))["supervisor"], "systemd");
    assert_eq!(daemon.notifications(), ["READY=1", "STATUS=serving"]);
    let _output = daemon.stop().expect_code(0);
    daemon.wait_notified("STOPPING=1");
    assert_eq!(daemon.notifications(), ["READY=1", "STATUS=serving", "STOPPING=1"]);
}

#[test]
fn systemd_gets_signs_of_life_for_as_long_as_the_daemon_lives() {
    let daemon = TestDaemon::builder(copex_tests::bins!()).env("WATCHDOG_USEC", "20000").start();
    daemon.wait_notified_times("WATCHDOG=1", 3);

    // A watchdog that is another process's own, inherited by accident, is not fed.
    let daemon = TestDaemon::builder(copex_tests::bins!())
        .env("WATCHDOG_USEC", "20000")
        .env("WATCHDOG_PID", "1")
        .start();
    let _output = daemon.stop().expect_code(0);
    daemon.wait_notified("STOPPING=1");
    assert!(!daemon.notifications().contains(&"WATCHDOG=1".to_owned()));
}

#[test]
fn a_daemon_that_does_not_start_never_says_ready() {
    let daemon = TestDaemon::builder(copex_tests::bins!()).args(["--socket", "here"]).start_only();
    let _output = daemon.process().wait().expect_code(2);
    assert_eq!(daemon.notifications(), [""; 0]);
}
