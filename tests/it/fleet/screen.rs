//! A fleet on a terminal: a row for each task that matters, and a table at the end.

use copex_tests::process::Launch;
use copex_tests::terminal::{ENTER, LEAVE, plain};

use super::*;

#[test]
fn the_screen_says_who_works_and_who_waits_and_a_table_is_left() {
    let product = Product::start();
    let gate = Gate::new();
    let held = gate.clone();
    product.model.respond(move |request| match task(request).as_str() {
        "bad" => Reply::error(400, "bad_request", "no"),
        id => Reply::stream().say(format!("I am at it as {id}")).wait(&held),
    });
    let tasks: [(&str, &[&str], &str); 5] = [
        ("one", &[], ""),
        ("two", &[], ""),
        ("bad", &[], ""),
        ("later", &["one", "two"], ""),
        ("never", &["bad"], ""),
    ];
    put(&product, "tasks.toml", &toml(&tasks));
    let args = ["fleet", "--file", "tasks.toml", "--max-concurrent", "3"];
    let ctl = product.ctl().with(|launch| launch.env("NO_COLOR", "1"));
    let running = ctl.start_on_one_terminal(args);
    for words in [
        "3 at once",
        "I am at it as one",
        "after one, two",
        "failed: no",
        "blocked: it depends on bad, which failed",
    ] {
        running.wait_stdout(words);
    }
    gate.open();
    let shown = running.wait().expect_code(1).stdout;
    let (screen, after) = shown.rsplit_once(LEAVE).unwrap();
    assert_eq!(screen.matches(ENTER).count(), 1, "{shown}");
    let after = plain(after);
    let report = after.find("# Fleet: 3 of 5 tasks done").unwrap();
    assert_eq!(after.matches("# Fleet: ").count(), 1, "{after}");
    let table = after.find("task   state").unwrap();
    assert!(report < table, "the table is what a person sees last: {after}");
    for row in ["later  done", "bad    failed", "never  blocked"] {
        assert!(after[table..].contains(row), "{row}: {after}");
    }
}

#[test]
fn what_was_merged_is_in_the_table() {
    let product = Product::start();
    trees::repository(&product);
    product.model.respond(|request| {
        if request.tool_results().is_empty() {
            return Reply::tool("bash", &shell(&format!("echo x > {}", task(request))));
        }
        Reply::text("done")
    });
    let shown = product.ctl().start_on_one_terminal(["fleet", "I am a.", "I am b."]);
    let shown = shown.wait().expect_code(0).stdout;
    let after = plain(shown.rsplit_once(LEAVE).unwrap().1);
    let head = after.lines().find(|line| line.starts_with("task    state")).unwrap();
    assert!(head.trim_end().ends_with(" branch"), "{after}");
    let branch = Launch::inside(product.daemon.sandbox(), "/bin/sh")
        .args(["-c", "git branch --list 'copex/fleet/*' --format='%(refname:short)'"])
        .run()
        .ok();
    assert_eq!(after.matches(&format!("  {}", branch.trim())).count(), 2, "{after}");
}

#[test]
fn what_is_no_terminal_has_a_line_for_each_transition() {
    let product = Product::start();
    product.model.respond(|request| Reply::text(format!("answer of {}", task(request))));
    let ended = fleet(&product, ["I am x.", "I am y."]).expect_code(0);
    assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
    for id in ["task-1 (1 of 2)", "task-2 (2 of 2)"] {
        for words in ["is at work ──", "is done ("] {
            let line = format!("── {id} {words}");
            assert_eq!(ended.stderr.matches(&line).count(), 1, "{line}: {ended:?}");
        }
    }
}
