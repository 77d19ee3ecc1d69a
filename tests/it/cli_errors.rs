//! Whatever a user gets wrong is told by name, with a reason and a way out, and never with a
//! stack trace.

use copex_tests::ctl::Ctl;
use copex_tests::process::Output;
use copex_tests::sandbox::Sandbox;

fn ctl(sandbox: &Sandbox) -> Ctl {
    Ctl::new(&copex_tests::bins!(), sandbox)
}

/// Runs a command that must fail with `code` and say all of `words` on stderr.
fn refused(sandbox: &Sandbox, args: &[&str], code: i32, words: &[&str]) {
    let output = ctl(sandbox).run(args).expect_code(code);
    clean(&output);
    assert_eq!(output.stdout, "", "{args:?}: nothing on stdout");
    let said = output.stderr.to_lowercase();
    for word in words {
        assert!(said.contains(&word.to_lowercase()), "{args:?}: no `{word}` in\n{}", output.stderr);
    }
}

/// No words of a crash.
fn clean(output: &Output) {
    for word in ["panicked", "RUST_BACKTRACE", "stack backtrace", "src/", ".rs:"] {
        assert!(!output.stderr.contains(word), "`{word}` in\n{}", output.stderr);
    }
}

#[test]
fn what_the_command_line_does_not_know_is_refused_by_name() {
    let sandbox = Sandbox::new();
    let table: [(&[&str], &[&str]); 12] = [
        (&["chat", "x", "--no-such-flag"], &["--no-such-flag"]),
        (&["chat", "two", "words"], &["'words'", "quotes"]),
        (&["chat", "x", "-r", "ultra"], &["--reasoning", "ultra", "xhigh"]),
        (&["chat", "x", "--approval", "x"], &["--approval", "workspace"]),
        (&["chat", "x", "--timeout", "soon"], &["--timeout", "soon", "it is not a number"]),
        (&["chat", "x", "--timeout", "-1"], &["--timeout"]),
        (&["chat", "x", "--max-retries", "-3"], &["--max-retries"]),
        (&["chat", "x", "--continue", "--resume", "id"], &["--continue", "--resume"]),
        (&["chat", "x", "--mcp-config", "{"], &["--mcp-config", "json"]),
        (&["chta", "x"], &["chta", "copexctl chat"]),
        (&["runs", "list", "--state", "sleeping"], &["--state", "sleeping", "running"]),
        (&[], &["no command"]),
    ];
    for (args, words) in table {
        refused(&sandbox, args, 2, words);
        let told = ctl(&sandbox).run(args).stderr;
        assert!(told.starts_with("copexctl: error: ") && !told.contains("Usage"), "{told}");
    }
    let told = ctl(&sandbox).run(["chat", "x", "--json", "--jsonl"]).expect_code(2);
    assert_eq!(told.json()["error"]["class"], "usage", "{told:?}");
    assert!(!sandbox.socket().exists(), "none of this starts a daemon");
}

#[test]
fn what_this_version_cannot_do_is_refused_by_name() {
    let sandbox = Sandbox::new();
    for mode in ["squad", "acp"] {
        refused(&sandbox, &[mode, "x"], 2, &[mode, "not available in this version"]);
    }
    let template = ["chat", "x", "--template", "t"];
    refused(&sandbox, &template, 2, &["--template", "not available in this version"]);
    assert!(!sandbox.socket().exists(), "none of this starts a daemon");
}

#[test]
fn a_broken_configuration_names_file_line_and_column() {
    let sandbox = Sandbox::new();
    sandbox.write_config("model = \"a\"\n[retry]\nmax_retries = = 3\n");
    let file = sandbox.config_file().display().to_string();
    for args in [&["chat", "x"][..], &["config", "check"], &["config", "show"], &["models"]] {
        refused(&sandbox, args, 2, &[&file, "3", "15"]);
    }
    let before = std::fs::read_to_string(sandbox.config_file()).unwrap();
    refused(&sandbox, &["config", "set", "model", "b"], 2, &[&file]);
    assert_eq!(std::fs::read_to_string(sandbox.config_file()).unwrap(), before);
}

#[test]
fn values_of_the_wrong_type_name_their_key_and_line() {
    let sandbox = Sandbox::new();
    let table = [
        ("timeout = \"soon\"", "timeout"),
        ("model = 3", "model"),
        ("streaming = \"yes please\"", "streaming"),
        ("reasoning_effort = \"ultra\"", "reasoning_effort"),
        ("[retry]\nmax_retries = \"many\"", "retry.max_retries"),
        ("[approval]\nmode = \"whatever\"", "approval.mode"),
        ("[provider]\nbase_url = \"not a url\"", "base_url"),
        ("[provider]\ntype = \"oracle\"\nbase_url = \"http://127.0.0.1:1/v1\"", "provider.type"),
    ];
    for (text, key) in table {
        sandbox.write_config(text);
        let file = sandbox.config_file().display().to_string();
        refused(&sandbox, &["chat", "x"], 2, &[&file, key]);
        refused(&sandbox, &["config", "check"], 2, &[key]);
    }
    assert!(!sandbox.socket().exists(), "none of this starts a daemon");
}

#[test]
fn an_unknown_key_is_an_error_in_check_and_names_its_neighbour() {
    let sandbox = Sandbox::new();
    sandbox.write_config("modle = \"a\"\n");
    let words = ["config.toml", "1", "modle", "model"];
    refused(&sandbox, &["config", "check"], 2, &words);
    let shown = ctl(&sandbox).run(["config", "show"]).expect_code(0);
    assert!(shown.stderr.contains("modle"), "a warning at run time: {}", shown.stderr);
}

#[test]
fn the_configuration_is_changed_with_care() {
    let sandbox = Sandbox::new();
    let text = "# mine\nmodel = 'a' # the best\n\n[retry] # patient\nmax_retries = 3\n";
    sandbox.write_config(text);
    let _set = ctl(&sandbox).run(["config", "set", "model", "b"]).expect_code(0);
    let now = || std::fs::read_to_string(sandbox.config_file()).unwrap();
    assert_eq!(now(), text.replace("'a'", "\"b\""));
    let before = now();
    refused(&sandbox, &["config", "set", "retry.max_retries", "many"], 2, &["retry.max_retries"]);
    refused(&sandbox, &["config", "set", "modle", "b"], 2, &["modle", "model"]);
    refused(&sandbox, &["init"], 2, &["config.toml", "exists", "--force"]);
    assert_eq!(now(), before);
    let _forced = ctl(&sandbox).run(["init", "--force"]).expect_code(0);
    assert_ne!(now(), before);
}

#[test]
fn files_and_folders_that_are_not_there_are_named() {
    let sandbox = Sandbox::new();
    let table: [(&[&str], &[&str]); 8] = [
        (&["chat", "x", "--config", "nowhere.toml"], &["nowhere.toml", "no such file"]),
        (&["config", "check", "--config", "nowhere.toml"], &["nowhere.toml", "no such file"]),
        (&["chat", "x", "--cwd", "/no/such/folder"], &["/no/such/folder", "no such file"]),
        (&["chat", "x", "-C", "nowhere.txt"], &["nowhere.txt", "no such file"]),
        (&["chat", "x", "--mcp-config", "nowhere.json"], &["nowhere.json", "no such file"]),
        (&["runs", "list", "--cwd", "/no/such/folder"], &["/no/such/folder", "no such file"]),
        (&["chat", "x", "--skill-dir", "nowhere"], &["--skill-dir", "/nowhere is no folder"]),
        (&["skills", "list", "--skill-dir", "nowhere"], &["--skill-dir", "nowhere"]),
    ];
    for (args, words) in table {
        refused(&sandbox, args, 2, words);
    }
}

#[test]
fn an_empty_prompt_is_no_prompt() {
    let sandbox = Sandbox::new();
    refused(&sandbox, &["chat"], 2, &["prompt"]);
    for mode in ["ralph", "plan"] {
        let told = ctl(&sandbox).run([mode]).expect_code(2).stderr;
        assert!(told.contains("in quotes") && !told.contains("copexctl chat"), "{told}");
    }
    refused(&sandbox, &["chat", "  \n"], 2, &["prompt"]);
    let piped = ctl(&sandbox).stdin(" \n").run(["chat"]).expect_code(2);
    clean(&piped);
    assert!(piped.stderr.contains("prompt"), "{}", piped.stderr);
}

#[test]
fn what_the_daemon_refuses_is_told_as_plainly() {
    let sandbox = Sandbox::new();
    let started = ctl(&sandbox).run(["daemon", "start"]).expect_code(0);
    clean(&started);
    let table: [(&[&str], i32, &[&str]); 9] = [
        (&["runs", "show", "0000000000000"], 1, &["0000000000000", "runs list"]),
        (&["runs", "attach", "0000000000000"], 1, &["0000000000000", "runs list"]),
        (&["runs", "cancel", "0000000000000"], 1, &["0000000000000"]),
        (&["runs", "resume", "0000000000000"], 1, &["0000000000000"]),
        (&["runs", "logs", "0000000000000"], 1, &["0000000000000"]),
        (&["runs", "show", "ab"], 2, &["ab"]),
        (&["runs", "show", "zz!!zz"], 1, &["zz!!zz"]),
        (&["runs", "answer", "nothing-1", "allow"], 1, &["nothing-1"]),
        (&["chat", "x", "--allow-tool", "shell(("], 2, &["shell(("]),
    ];
    for (args, code, words) in table {
        refused(&sandbox, args, code, words);
    }
    let bad = ctl(&sandbox).run(["chat", "x", "--deny-tool", ")(", "--json"]).expect_code(2);
    clean(&bad);
    assert_eq!(bad.json()["error"]["class"], "usage", "{}", bad.stdout);
    let none = ctl(&sandbox).run(["runs", "list", "--json"]).expect_code(0);
    assert_eq!(none.json()["runs"], serde_json::json!([]), "no run was recorded");
    let _stopped = ctl(&sandbox).run(["daemon", "stop"]).expect_code(0);
}

#[test]
fn a_daemon_that_cannot_start_says_why() {
    let sandbox = Sandbox::new();
    sandbox.write_config("[limits]\nmax_connections = \"lots\"\n");
    refused(&sandbox, &["runs", "list"], 69, &["limits.max_connections", "config.toml"]);
    sandbox.write_config("auto_start = false\n");
    refused(&sandbox, &["chat", "x"], 69, &["not running", "daemon start"]);
    let sandbox = Sandbox::new();
    let missing = ctl(&sandbox).with(|launch| launch.env("COPEX_DAEMON", "/no/such/copexd"));
    let output = missing.run(["chat", "x"]).expect_code(69);
    clean(&output);
    assert!(output.stderr.contains("/no/such/copexd"), "{}", output.stderr);
}
