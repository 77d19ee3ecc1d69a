//! Tasks with worktrees of their own, merged into a branch of the run.

use copex_tests::process::Launch;

use super::*;

/// Runs a script in the working folder.
pub(super) fn git(product: &Product, script: &str) -> String {
    let sandbox = product.daemon.sandbox();
    Launch::inside(sandbox, "/bin/sh").args(["-c", script]).run().ok().trim().to_owned()
}

/// Makes the working folder a repository with one commit, and something that is not committed.
pub(super) fn repository(product: &Product) {
    git(
        product,
        "git init -q -b main . && git config user.name ada && git config user.email a@b && \
         echo mine > mine && git add mine && git commit -qm first && echo more >> mine",
    );
}

/// How the user's side of the repository stands.
pub(super) fn standing(product: &Product) -> String {
    git(
        product,
        "git status --porcelain -uno; git rev-parse HEAD; git branch --show-current; cat mine",
    )
}

/// Each task runs a command, then answers.
fn respond(product: &Product, commands: &'static [(&'static str, &'static str)]) {
    product.model.respond(move |request| {
        let id = task(request);
        let ran = request.messages().last().is_some_and(|message| message["role"] == "tool");
        match commands.iter().find(|(known, _)| *known == id) {
            Some((_, command)) if !ran => Reply::tool("bash", &shell(command)),
            _ => Reply::text(format!("answer of {id}")),
        }
    });
}

#[test]
fn tasks_apart_are_merged_and_nothing_of_the_users_is_touched() {
    let product = Product::start();
    repository(&product);
    let before = standing(&product);
    respond(&product, &[("a", "echo a > a"), ("b", "echo b > b"), ("sum", "cat a b mine > sum")]);
    let tasks: [(&str, &[&str], &str); 3] =
        [("a", &[], ""), ("b", &[], ""), ("sum", &["a", "b"], "")];
    put(&product, "tasks.toml", &toml(&tasks));
    let ended = fleet(&product, ["--file", "tasks.toml", "--jsonl"]).expect_code(0).json_lines();
    let run = ended[0]["run"].as_str().unwrap();
    let branch = format!("copex/fleet/{run}");
    let sum = git(&product, &format!("git show {branch}:sum"));
    assert_eq!(sum, "a\nb\nmine", "it starts from what it depends on, and from the last commit");
    assert_eq!(standing(&product), before);
    assert_eq!(git(&product, "ls"), "mine\ntasks.toml", "nothing is left in the folder");
    let left = git(&product, "git worktree list | wc -l; git branch --list 'copex/*'");
    assert_eq!(left, format!("1\n  {branch}"), "worktrees of merged tasks are cleaned up");
    let made = of_type(&ended, "artifact").into_iter().filter(|made| made["kind"] == "commit");
    let made: Vec<&Value> = made.collect();
    assert_eq!((made.len(), &made[2]["path"]), (3, &json!("sum")), "{made:?}");
    let warned = of_type(&ended, "warning").into_iter().find(|it| it["code"] == "isolation");
    assert!(warned.unwrap()["message"].as_str().unwrap().contains("1 changed and 1 unknown"));
    let folder = of_type(&ended, "task").pop().unwrap()["folder"].as_str().unwrap().to_owned();
    assert!(folder.contains("/worktrees/"), "{folder}");
}

#[test]
fn worktrees_need_a_commit_and_no_branch() {
    let product = Product::start();
    repository(&product);
    git(&product, "git checkout -q --detach");
    let before = standing(&product);
    respond(&product, &[("a", "echo a > a"), ("b", "echo b > b")]);
    put(&product, "tasks.toml", &toml(&[("a", &[], ""), ("b", &["a"], "")]));
    let args = ["-f", "tasks.toml", "--isolation", "worktree", "--jsonl"];
    let ended = fleet(&product, args).expect_code(0).json_lines();
    let branch = format!("copex/fleet/{}", ended[0]["run"].as_str().unwrap());
    assert_eq!(git(&product, &format!("git show {branch}:a {branch}:b")), "a\nb");
    assert_eq!(standing(&product), before);
    let refused = fleet(&product, ["-f", "tasks.toml", "--git-finalize"]).expect_code(2).stderr;
    assert!(refused.contains("no branch is checked out"), "{refused}");
}

#[test]
fn what_does_not_fit_is_kept_and_blocks_until_it_is_settled() {
    let product = Product::start();
    repository(&product);
    respond(&product, &[("a", "echo a > same"), ("b", "echo b > same"), ("c", "cat same > c")]);
    let tasks: [(&str, &[&str], &str); 3] =
        [("a", &[], ""), ("b", &[], ""), ("c", &["a", "b"], "")];
    put(&product, "tasks.toml", &toml(&tasks));
    let ended = fleet(&product, ["--file", "tasks.toml", "--jsonl"]).expect_code(1).json_lines();
    let run = ended[0]["run"].as_str().unwrap();
    let blocked: Vec<&Value> =
        of_type(&ended, "task").into_iter().filter(|task| task["state"] == "blocked").collect();
    let (first, c) = (blocked[0], blocked[1]);
    let note = first["note"].as_str().unwrap();
    assert!(
        note.starts_with("needs review: copex/fleet-task/") && note.ends_with("in same"),
        "{note}"
    );
    assert_eq!(c["id"], "c");
    let id = first["id"].as_str().unwrap();
    let branch = format!("copex/fleet-task/{run}/{id}");
    assert_eq!(git(&product, &format!("git show {branch}:same")), id, "its work is kept");
    // A person settles it on the task's branch.
    let tree = git(&product, &format!("git worktree list | grep '{branch}' | cut -d' ' -f1"));
    let merge = format!(
        "cd {tree} && (git merge -q copex/fleet/{run} >/dev/null 2>&1; echo both > same; git add same; git commit -qm settled)"
    );
    git(&product, &merge);
    let requests = product.model.requests().len();
    fleet(&product, ["--resume"]).ok();
    let asked: BTreeSet<String> = product.model.requests()[requests..].iter().map(task).collect();
    assert_eq!(asked, ["c".to_owned()].into(), "the others are done");
    assert_eq!(git(&product, &format!("git show copex/fleet/{run}:c")), "both");
}

#[test]
fn worktrees_that_cannot_be_are_refused_or_done_without() {
    let product = Product::start();
    respond(&product, &[("a", "echo a > a")]);
    let tasks: [(&str, &[&str], &str); 2] = [("a", &[], ""), ("b", &[], "")];
    put(&product, "tasks.toml", &toml(&tasks));
    let refused = fleet(&product, ["--file", "tasks.toml", "-w"]).expect_code(2);
    assert!(refused.stderr.contains("no git repository"), "{refused:?}");
    assert_eq!(product.model.requests().len(), 0);
    fleet(&product, ["--file", "tasks.toml"]).ok();
    assert_eq!(read(&product, "a"), "a\n");
    repository(&product);
    fleet(&product, ["--file", "tasks.toml", "--isolation", "none"]).ok();
    assert_eq!(git(&product, "git branch --list 'copex/*'"), "");
}
