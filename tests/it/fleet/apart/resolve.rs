//! `--resolve-conflicts`: a further turn merges what does not fit.

use super::*;

/// Whether a request is of the turn that settles a conflict.
fn settles(request: &RecordedRequest) -> bool {
    request.user_messages().first().is_some_and(|prompt| prompt.contains("remove every marker"))
}

/// Tasks `a` and `b` write different things into `same`; the further turn runs `settle`.
fn conflict(product: &Product, settle: &'static str) {
    clean_repository(product);
    product.model.respond(move |request| {
        let id = task(request);
        // A tool that a kill cut off is called again, as a model would.
        let ran = request.tool_results().concat().contains("it is done");
        let run =
            |command: &str| Reply::tool("bash", &shell(&format!("{command}; echo it is done")));
        match (settles(request), ran) {
            (true, false) => run(settle),
            (true, true) => Reply::text("settled"),
            (false, false) if id == "c" => run("cat same > c"),
            (false, false) => run(&format!("echo {id} > same")),
            (false, true) => Reply::text(format!("answer of {id}")),
        }
    });
    tasks(product, &[("a", &[], ""), ("b", &[], "priority = -1"), ("c", &["a", "b"], "")]);
}

const ARGS: [&str; 7] =
    ["-f", "tasks.toml", "-w", "--max-concurrent", "1", "--resolve-conflicts", "--jsonl"];

#[test]
fn a_conflict_is_settled_in_a_worktree_that_has_it_and_merged() {
    let product = Product::start();
    conflict(
        &product,
        "cat same > seen; rm seen; grep -c '^=======' same; printf 'a\\nb\\n' > same",
    );
    let events = fleet(&product, ARGS).expect_code(0).json_lines();
    let run = run_of(&events);
    let show = format!("git show copex/fleet/{run}:same copex/fleet/{run}:c");
    assert_eq!(git(&product, &show), "a\nb\na\nb", "who depends on both starts from that");
    let asked = product.model.requests().into_iter().find(settles).unwrap();
    let prompt = asked.prompt();
    assert!(prompt.contains("- same\n") && prompt.contains("I am b."), "{prompt}");
    assert!(warned(&events, "conflict")[0].contains("does not fit"));
    let paths: BTreeSet<&str> = events.iter().filter_map(|it| it["path"].as_str()).collect();
    assert!(paths.contains("b:merge"), "{paths:?}");
    let log = git(&product, &format!("git log --format=%s copex/fleet/{run}"));
    assert!(
        log.contains("fleet: settle the conflicts of b") && !log.contains("its conflicts"),
        "{log}"
    );
    assert_eq!(git(&product, "git worktree list | wc -l"), "1", "all of it is merged");
    assert_eq!(states(&events, "b"), ["queued", "running", "done"]);
}

#[test]
fn a_marker_that_is_left_or_a_red_gate_waits_for_a_person() {
    let product = Product::start();
    conflict(&product, "true");
    let events = fleet(&product, ARGS).expect_code(1).json_lines();
    let (run, told) = (run_of(&events), note(&events, "b"));
    assert!(told.starts_with("needs review: copex/fleet-task/"), "{told}");
    assert!(told.ends_with("it left conflict markers in same"), "{told}");
    assert_eq!(git(&product, &format!("git show copex/fleet-task/{run}/b:same")), "b");
    // Gone on with, another turn settles it.
    product.model.respond(|request| match (settles(request), request.tool_results().is_empty()) {
        (true, true) => Reply::tool("bash", &shell("echo both > same")),
        (true, false) => Reply::text("settled"),
        (false, true) => Reply::tool("bash", &shell("cat same > c")),
        (false, false) => Reply::text("answer of c"),
    });
    let _resumed = fleet(&product, ["--resume"]).expect_code(0);
    assert_eq!(git(&product, &format!("git show copex/fleet/{run}:c")), "both");
}

#[test]
fn kills_leave_one_merge_of_what_was_settled() {
    let mut product = Product::start();
    conflict(&product, "printf 'a\\nb\\n' > same");
    for point in [30, 45, 55, 65] {
        let args = ["-f", "tasks.toml", "-w", "--max-concurrent", "1"];
        let more = ["--resolve-conflicts", "--merge-gate", "test -e same", "--detach"];
        let run = product.ctl().run(["fleet"].iter().chain(&args).chain(&more)).ok();
        let run = run.trim().to_owned();
        let mut seen = 0;
        let _first =
            copex_tests::tap::Tap::watch(&product.daemon.socket(), &run, 0).until(|event| {
                seen += 1;
                seen >= point || event.is_terminal()
            });
        let _killed = product.daemon.kill9();
        product.daemon.restart();
        let events = product.runs(["attach", &run, "--jsonl"]).json_lines();
        let context = format!("killed after {point}: {events:#?}");
        assert_eq!(events.last().unwrap()["type"], "done", "{context}");
        let log = format!("git log --first-parent --format=%s copex/fleet/{run}");
        let log = git(&product, &log);
        assert_eq!(
            log, "fleet: merge c\nfleet: merge b\nfleet: merge a\nsecond\nfirst",
            "{context}"
        );
        assert_eq!(git(&product, "git status --porcelain; git worktree list | wc -l"), "1");
    }
}
