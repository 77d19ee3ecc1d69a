//! The scripts a person starts are sound shell and say how they are used.

use copex_tests::env::workspace;
use copex_tests::process::Launch;
use copex_tests::sandbox::Sandbox;

#[test]
fn scripts_parse_and_explain_themselves() {
    let sandbox = Sandbox::new();
    for script in ["check", "quickstart", ".ci/run"] {
        let path = workspace().join(script);
        let parsed = Launch::inside(&sandbox, "bash").args(["-n".as_ref(), path.as_os_str()]).run();
        assert_eq!(parsed.expect_code(0).stderr, "", "{script}");
    }
    let check = Launch::inside(&sandbox, workspace().join("check")).args(["--help"]).run();
    assert!(check.ok().contains("usage"));
}

#[test]
fn check_refuses_what_it_does_not_know() {
    let sandbox = Sandbox::new();
    let output = Launch::inside(&sandbox, workspace().join("check")).args(["fnt"]).run();
    assert!(output.expect_code(2).stderr.contains("fnt"));
}

#[test]
fn quickstart_names_the_program_that_is_missing() {
    let mut sandbox = Sandbox::new();
    sandbox.set("PATH", "/nonexistent");
    let script = workspace().join("quickstart");
    let output = Launch::inside(&sandbox, "/bin/bash").args([script]).run();
    let output = output.expect_code(69);
    assert!(output.stderr.contains("cargo"), "{}", output.stderr);
    assert_eq!(output.stdout, "");
}
