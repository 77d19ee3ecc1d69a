//! Fleets that are gone on with, what is kept of each task, and what a task may have.

use super::*;

#[test]
fn tasks_that_failed_begin_anew_and_their_work_is_kept_apart() {
    let product = Product::start();
    clean_repository(&product);
    // `a` leaves something behind and fails.
    product.model.respond(|request| match (task(request).as_str(), request.tool_results().len()) {
        ("a", 0) => Reply::tool("bash", &shell("echo first > a; echo left > left")),
        ("a", _) => Reply::error(400, "bad_request", "no"),
        ("b", 0) => Reply::tool("bash", &shell("echo b > b")),
        (id, _) => Reply::text(format!("answer of {id}")),
    });
    tasks(&product, &[("a", &[], ""), ("b", &[], ""), ("c", &["a"], "")]);
    let failed = fleet(&product, ["-f", "tasks.toml", "--jsonl"]).expect_code(1).json_lines();
    let run = run_of(&failed);
    let requests = product.model.requests().len();
    respond(&product, &[("a", "ls > seen; echo second > a"), ("c", "cat a > c")]);
    let args = ["--resume", "--rerun-failed", "-o", "out", "--artifact", "all.json", "--json"];
    let told = fleet(&product, args).expect_code(0).json();
    let asked = &product.model.requests()[requests..];
    let first = asked.iter().find(|request| task(request) == "a").unwrap();
    assert_eq!(first.tool_results(), [""; 0], "a session of its own");
    assert!(!asked.iter().any(|request| task(request) == "b"), "what is done is done");
    let show = format!("git show copex/fleet/{run}:seen copex/fleet/{run}:c");
    assert_eq!(git(&product, &show), "mine\nseen\nsecond", "a worktree of its own");
    let old = format!("git worktree list | grep 'copex/fleet-task/{run}/a]' | cut -d' ' -f1");
    assert_eq!(git(&product, &format!("cat $({old})/left")), "left", "the first try is kept");
    // What each changed is a patch that applies.
    assert_eq!(read(&product, "out/b.md"), "answer of b\n");
    let patch = read(&product, "out/b.patch");
    assert!(patch.contains("+++ b/b\n@@ -0,0 +1 @@\n+b\n"), "{patch}");
    git(&product, "git apply out/a.patch out/b.patch out/c.patch");
    assert_eq!(git(&product, "cat a b c"), "second\nb\nsecond");
    let artifact: Value = serde_json::from_str(&read(&product, "all.json")).unwrap();
    let file = artifact["tasks"][1]["patch_file"].as_str().unwrap();
    assert!(file.ends_with("/out/b.patch"), "{artifact}");
    let branch = format!("copex/fleet/{run}");
    assert_eq!(told["tasks"][1]["branch"], branch, "what was merged before is told again");
    let changes = told["tasks"][1]["changes"].as_str().unwrap();
    assert_eq!(git(&product, &format!("git diff {changes}")), patch.trim());
    let only = fleet(&product, ["x", "--rerun-failed"]).expect_code(2);
    assert!(only.stderr.contains("--resume"), "{only:?}");
}

#[test]
fn a_task_that_spent_what_it_may_ends_and_the_others_go_on() {
    let product = Product::start();
    product.model.respond(|request| {
        let id = task(request);
        let rounds = request.tool_results().len();
        if rounds < 3 {
            return Reply::tool("bash", &shell(&format!("echo {id} >> {id}")));
        }
        Reply::text(format!("answer of {id}"))
    });
    tasks(
        &product,
        &[("a", &[], "max_tokens = 30"), ("b", &[], "max_tokens = 1000"), ("c", &[], "")],
    );
    let args = ["-f", "tasks.toml", "--task-max-tokens", "500", "--jsonl"];
    let events = fleet(&product, args).expect_code(1).json_lines();
    assert_eq!(states(&events, "a").last().unwrap(), "exhausted");
    assert!(note(&events, "a").starts_with("the task's tokens is 18"), "{}", note(&events, "a"));
    for id in ["b", "c"] {
        assert_eq!(states(&events, id).last().unwrap(), "done");
        assert_eq!(read(&product, id).lines().count(), 3);
    }
    let calls = |id: &str| product.model.requests().iter().filter(|it| task(it) == id).count();
    assert_eq!((calls("a"), calls("b")), (1, 4), "it is asked before each call");
    let again = fleet(&product, ["--resume", "--jsonl"]).expect_code(1).json_lines();
    assert_eq!(states(&again, "a").last().unwrap(), "exhausted");
    assert_eq!(calls("a"), 2, "as much again");
    tasks(&product, &[("a", &[], "max_tokens = 0")]);
    let refused = fleet(&product, ["-f", "tasks.toml"]).expect_code(2);
    assert!(refused.stderr.contains("max_tokens"), "{refused:?}");
}
