//! Commands around worktrees: what prepares them, and what judges a merge.

use super::*;

#[test]
fn a_worktree_is_prepared_with_what_git_ignores() {
    let product = Product::start();
    clean_repository(&product);
    git(&product, "echo .env >> .gitignore; git commit -qam ignored; echo secret > .env");
    respond(&product, &[("a", "cat .env > a; ls node_modules >> a"), ("b", "cat .env > b")]);
    let setup = "[fleet]\nworktree_setup = ['cp \"$COPEX_SOURCE/.env\" .', \
                 'mkdir node_modules; echo node_modules > .gitignore_; exit 0']\n";
    let text = toml(&[("a", &[], ""), ("b", &[], "")]);
    put(&product, "tasks.toml", &format!("{setup}{text}"));
    let events = fleet(&product, ["-f", "tasks.toml", "--jsonl"]).expect_code(0).json_lines();
    let branch = format!("copex/fleet/{}", run_of(&events));
    let files = git(&product, &format!("git ls-tree --name-only {branch}; git show {branch}:a"));
    assert_eq!(files, ".gitignore\na\nb\nmine\nsecret", "what the preparation left is not theirs");
    assert!(warned(&events, "gates")[0].contains("cp \"$COPEX_SOURCE/.env\" ."));
    // One that fails, and one that takes too long, keep the task from beginning.
    let requests = product.model.requests().len();
    let broken = ["--worktree-setup", "echo no such thing; exit 3"];
    let late = ["--worktree-setup", "sleep 60", "--setup-timeout", "0.2"];
    for (more, words) in [(&broken[..], "no such thing"), (&late[..], "longer than 0.2 s")] {
        let args = ["fleet", "I am a.", "I am b.", "--jsonl"];
        let events = product.ctl().run(args.iter().chain(more)).expect_code(1).json_lines();
        let note = note(&events, "task-1");
        assert!(note.starts_with("its worktree could not be prepared"), "{note}");
        assert!(note.contains(words), "{note}");
    }
    assert_eq!(product.model.requests().len(), requests);
}

#[test]
fn the_configuration_prepares_worktrees_by_one_command_or_many() {
    let config = "[fleet]\nworktree_setup = \"echo one, two > prepared\"\n";
    let product = Product::with(|builder| builder.config(config));
    clean_repository(&product);
    respond(&product, &[("a", "cat prepared > a")]);
    let events = fleet(&product, ["I am a.", "I am b.", "--jsonl"]).expect_code(0).json_lines();
    let show = format!("git show copex/fleet/{}:a", run_of(&events));
    assert_eq!(git(&product, &show), "one, two");
    let args = ["I am a.", "I am b.", "--no-worktree-setup", "--dry-run", "--json"];
    let shown = fleet(&product, args).json();
    assert_eq!(shown["worktree_setup"], json!([]), "{shown}");
}

#[test]
fn a_merge_counts_only_when_its_gate_is_green() {
    let product = Product::start();
    clean_repository(&product);
    respond(&product, &[("a", "echo a > a"), ("b", "echo b > b"), ("c", "cat b > c")]);
    tasks(&product, &[("a", &[], ""), ("b", &["a"], ""), ("c", &["b"], "")]);
    let gate = "test -e a && ! test -e b || { echo b is not welcome; exit 1; }";
    let args = ["-f", "tasks.toml", "-w", "--merge-gate", gate, "--jsonl"];
    let events = fleet(&product, args).expect_code(1).json_lines();
    let run = run_of(&events);
    let told = note(&events, "b");
    assert!(told.starts_with("needs review: copex/fleet-task/"), "{told}");
    assert!(told.contains("its check is red") && told.contains("b is not welcome"), "{told}");
    assert!(note(&events, "c").contains("depends on b"), "the rest goes on, but for those");
    let kept = git(
        &product,
        &format!("git ls-tree --name-only copex/fleet/{run}; git show copex/fleet-task/{run}/b:b"),
    );
    assert_eq!(kept, ".gitignore\na\nmine\nb");
    // Settled by a person, it is merged by the same gate without being done again.
    let tree = format!("git worktree list | grep 'copex/fleet-task/{run}/b' | cut -d' ' -f1");
    git(&product, &format!("cd $({tree}) && git mv b b2 && git commit -qm settled"));
    let requests = product.model.requests().len();
    respond(&product, &[("c", "cat b2 > c")]);
    let _resumed = fleet(&product, ["--resume"]).expect_code(0);
    let asked: BTreeSet<String> = product.model.requests()[requests..].iter().map(task).collect();
    assert_eq!(asked, ["c".to_owned()].into());
    assert_eq!(git(&product, &format!("git show copex/fleet/{run}:c")), "b");
    // One that takes too long is red.
    respond(&product, &[("a", "echo late > late")]);
    let late = [
        "I am a.",
        "I am b.",
        "--merge-gate",
        "sleep 60",
        "--merge-gate-timeout",
        "0.2",
        "--jsonl",
    ];
    let events = fleet(&product, late).expect_code(1).json_lines();
    assert!(note(&events, "task-1").contains("longer than 0.2 s"), "{}", note(&events, "task-1"));
}

#[test]
fn a_gate_that_is_asked_for_judges_one_task_too_or_it_is_said_that_it_does_not() {
    let product = Product::start();
    clean_repository(&product);
    respond(&product, &[("a", "echo a > a")]);
    let one = ["I am a.", "--merge-gate", "! test -e a", "--jsonl"];
    let events = fleet(&product, one).expect_code(1).json_lines();
    assert!(note(&events, "task-1").contains("its check is red"), "{events:?}");
    assert_eq!(git(&product, "ls"), "mine", "it worked in a worktree");
    let shared = ["I am a.", "--merge-gate", "! test -e a", "--isolation", "none", "--jsonl"];
    let events = fleet(&product, shared).expect_code(0).json_lines();
    let said = warned(&events, "isolation");
    assert_eq!(said, ["the merge gate does not run: without worktrees nothing is merged"]);
    git(&product, "rm -rf .git a");
    let outside = ["I am a.", "--merge-gate", "! test -e a", "--jsonl"];
    let events = fleet(&product, outside).expect_code(0).json_lines();
    assert!(warned(&events, "isolation")[0].starts_with("the merge gate does not run"));
}
