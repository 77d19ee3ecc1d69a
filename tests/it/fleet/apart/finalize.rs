//! `--git-finalize`: the branch that is checked out gets what the tasks changed.

use super::*;

const TWO: &[Does] = &[("a", "echo a > a"), ("b", "echo b > b; echo more >> mine")];

fn artifact(product: &Product) -> Value {
    serde_json::from_str(&read(product, "out/all.json")).unwrap()
}

#[test]
fn the_branch_is_forwarded_to_what_the_tasks_made_apart() {
    let product = Product::start();
    clean_repository(&product);
    put(&product, "note", "unknown to git");
    respond(&product, TWO);
    tasks(&product, &[("a", &[], ""), ("b", &["a"], "")]);
    let ended = fleet(&product, ["-f", "tasks.toml", "--git-finalize", "--jsonl"]).expect_code(0);
    let events = ended.json_lines();
    let run = run_of(&events);
    let head = git(&product, "git rev-parse main");
    assert_eq!(head, git(&product, &format!("git rev-parse copex/fleet/{run}")));
    assert_eq!(git(&product, "cat a b mine; git status --porcelain"), "a\nb\nmine\nmore\n?? note");
    let told = of_type(&events, "artifact").into_iter().find(|it| it["kind"] == "finalized");
    assert_eq!(told.unwrap()["file"], format!("main {head}"));
    assert_eq!(warned(&events, "finalize"), [""; 0]);
    // With a message all of it is one commit on that branch.
    respond(&product, &[("a", "echo again > a")]);
    tasks(&product, &[("a", &[], ""), ("c", &[], "")]);
    let message = "Do it again\n\nFor good.";
    let args = ["-f", "tasks.toml", "--git-message", message, "--artifact", "out/all.json"];
    std::fs::create_dir(product.daemon.sandbox().work().join("out")).unwrap();
    let ended = fleet(&product, args).expect_code(0);
    let (table, last) = ended.stderr.split_once("\n\ntask  state").unwrap();
    assert!(last.contains("copexctl: finalized: ") && !table.contains("finalized"), "{ended:?}");
    assert!(
        ended.stderr.contains("finalized: ") && !ended.stderr.contains("git reset"),
        "{ended:?}"
    );
    let log =
        git(&product, "git log -1 --format=%B | head -3; git log --first-parent --format=%s -2");
    assert!(log.starts_with("Do it again\n\nFor good.\nDo it again\n"), "{log}");
    let told = artifact(&product);
    assert_eq!(told["git_finalize"]["enabled"], true, "{told}");
    assert_eq!(told["git_finalize"]["success"], true, "{told}");
    assert_eq!(told["git_finalize"]["commit_hash"], git(&product, "git rev-parse HEAD"));
    assert_eq!(told["git_finalize"]["message"], message);
}

#[test]
fn in_one_folder_only_what_the_tasks_changed_is_committed() {
    let product = Product::start();
    repository(&product);
    put(&product, "note", "unknown to git");
    respond(&product, &[("a", "echo a > a"), ("b", "echo b > b; echo theirs >> mine")]);
    let args = ["I am a.", "I am b.", "--isolation", "none", "--git-finalize", "--jsonl"];
    let events = fleet(&product, args).expect_code(0).json_lines();
    let shown = git(&product, "git show --format=%s --name-only; git status --porcelain");
    assert_eq!(shown, "fleet: I am a.; I am b.\n\na\nb\n M mine\n?? note");
    let left = warned(&events, "finalize");
    assert!(left[0].starts_with("not committed: mine: changed before"), "{left:?}");
    // One that is not done leaves all of it where it is.
    product.model.respond(|request| match task(request).as_str() {
        "c" => Reply::error(400, "bad_request", "no"),
        id if request.tool_results().is_empty() => {
            Reply::tool("bash", &shell(&format!("echo {id} > {id}")))
        }
        id => Reply::text(format!("answer of {id}")),
    });
    let before = git(&product, "git rev-parse HEAD");
    let args = ["I am c.", "I am d.", "--isolation", "none", "--git-finalize", "--jsonl"];
    let events = fleet(&product, args).expect_code(1).json_lines();
    let why = warned(&events, "finalize");
    assert!(why[0].contains("1 of 2 tasks are not done"), "{why:?}");
    assert_eq!(git(&product, "git rev-parse HEAD"), before);
    assert_eq!(read(&product, "d"), "d\n");
}

#[test]
fn what_cannot_be_forwarded_is_refused_before_anything_runs() {
    let product = Product::start();
    let refused = |words: &[&str]| {
        for more in [&[][..], &["-w"][..]] {
            let args = ["fleet", "I am a.", "I am b.", "--git-finalize"];
            let output = product.ctl().run(args.iter().chain(more)).expect_code(2);
            assert_eq!(output.stdout, "", "there is nothing to report on");
            assert!(!output.stderr.contains("attempts"), "{output:?}");
            for words in words {
                assert!(output.stderr.contains(words), "{words}: {output:?}");
            }
        }
    };
    refused(&[
        "--git-finalize cannot be: the folder is in no git repository",
        "leave --git-finalize out",
    ]);
    git(&product, "git init -q -b main .");
    refused(&["the repository has no commit yet"]);
    git(&product, "rm -r .git");
    repository(&product);
    refused(&["`main` could not be forwarded over 1 changed file", "commit or stash"]);
    git(&product, "git checkout -q mine; git checkout -q --detach");
    refused(&["no branch is checked out", "git switch"]);
    git(
        &product,
        "git checkout -q main; git checkout -qb other; echo 1 > mine; git commit -qam 1; \
         git checkout -q main; echo 2 > mine; git commit -qam 2; git merge -q other >/dev/null || true",
    );
    refused(&["something is half done: a merge is in progress", "abort"]);
    assert_eq!(product.model.requests().len(), 0);
    let output = fleet(&product, ["x", "--git-message", " "]).expect_code(2);
    assert!(output.stderr.contains("git_message is empty"), "{output:?}");
    let _both = fleet(&product, ["x", "--git-message", "m", "--no-git-finalize"]).expect_code(2);
}

#[test]
fn a_branch_that_moved_meanwhile_is_left_alone_and_the_way_out_is_said() {
    let product = Product::start();
    clean_repository(&product);
    respond(&product, &[("a", "echo a > a"), ("b", "git -C \"$PWD\" rev-parse HEAD > b")]);
    let gate = Gate::new();
    let held = gate.clone();
    product.model.respond(move |request| {
        let id = task(request);
        if request.tool_results().is_empty() {
            return Reply::tool("bash", &shell(&format!("echo {id} > {id}")));
        }
        Reply::text(format!("answer of {id}")).wait_before_head(&held)
    });
    let args = ["I am a.", "I am b.", "--git-finalize", "--detach"];
    let run = fleet(&product, args).ok().trim().to_owned();
    let _asked = product.model.wait_for_requests(4);
    git(&product, "echo mine >> mine; git commit -qam meanwhile");
    let head = git(&product, "git rev-parse HEAD");
    gate.open();
    let events = product.runs(["attach", &run, "--jsonl"]).expect_code(0).json_lines();
    let why = warned(&events, "finalize");
    let branch = format!("copex/fleet/{run}");
    assert!(why[0].contains("`main` has commits that") && why[0].contains(&branch), "{why:?}");
    assert_eq!(git(&product, "git rev-parse HEAD; git status --porcelain"), head);
    git(&product, &format!("git merge -q {branch}"));
    assert_eq!(git(&product, "cat a b"), "a\nb");
}
