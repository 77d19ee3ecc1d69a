//! Tasks' branches, merged into their run's.

use super::*;
use crate::core::worktrees::Clash;

const RUN: &str = "copex/fleet/r";

impl User {
    async fn gated(&self, task: &str, command: &str) -> Merged {
        let gate = Some(Step { command: command.to_owned(), timeout_ms: 60_000 });
        merge(self.site(), Merge { gate, ..self.merging(task) }).await.unwrap()
    }

    async fn done(&self, task: &str) -> String {
        let Merged::Done { commit } = self.merge(task).await else { panic!("{task}") };
        commit
    }
}

#[tokio::test]
async fn worktree_two_tasks_in_the_same_lines_one_is_kept_and_named() {
    let user = User::new().await;
    let before = user.state().await;
    user.task("one", &[], "sed -i 's/^3$/one/' a").await;
    let two = user.task("two", &[], "sed -i 's/^3$/two/' a; echo 2 > b").await;
    let three = user.task("three", &[], "sed -i 's/^18$/three/' a").await;
    let first = user.done("one").await;
    for _ in 0..2 {
        let Merged::Conflict(clash) = user.merge("two").await else { panic!() };
        let (ours, theirs) = (vec![RUN.to_owned()], "copex/fleet-task/r/two".to_owned());
        assert_eq!(clash, Clash { ours, theirs, files: vec!["a".to_owned()] });
        assert_eq!(user.tip(RUN).await, first);
        assert_eq!(user.tip("copex/fleet-task/r/two").await, two);
    }
    let second = user.done("three").await;
    let parents = user.sh(&format!("git log -1 --format=%P {second}")).await;
    assert_eq!(parents.trim(), format!("{first} {three}"));
    let seen = user.sh(&format!("git show {second}:a | sed -n '3p;18p'")).await;
    assert_eq!(seen, "one\nthree\n");
    assert_eq!(user.state().await, before);
}

#[tokio::test]
async fn worktree_each_merge_happens_once() {
    let user = User::new().await;
    user.task("one", &[], "echo 1 > one").await;
    user.task("two", &["one"], "echo 2 > two").await;
    user.create("idle", &[]).await;
    assert_eq!(user.merge("idle").await, Merged::Nothing);
    assert_eq!(user.tip(RUN).await, "", "there was nothing to merge");
    let first = user.done("one").await;
    let second = user.done("two").await;
    assert_eq!((user.done("one").await, user.done("two").await), (first.clone(), second.clone()));
    assert_eq!(user.tip(RUN).await, second);
    // Killed before the branch moved.
    user.sh(&format!("git update-ref refs/heads/{RUN} {first}")).await;
    let again = user.done("two").await;
    assert_eq!(user.tip(RUN).await, again);
    // The branch was cleaned away.
    user.sh(
        "git worktree remove -f ../state*/worktrees/r/one; git branch -qD copex/fleet-task/r/one",
    )
    .await;
    assert_eq!(user.done("one").await, first);
    // A task that did more.
    user.task("two", &[], "echo more > two").await;
    let more = user.done("two").await;
    assert_eq!(user.file(&more, "two").await, "more\n");
    let none = merge(user.site(), user.merging("nobody")).await.unwrap_err();
    assert!(none.contains("no branch"), "{none}");
}

#[tokio::test]
async fn worktree_a_gate_judges_before_the_branch_moves() {
    let mut user = User::new().await;
    user.inside = "deep/er";
    let before = user.state().await;
    user.task("one", &[], "echo 1 > one").await;
    for _ in 0..2 {
        let red = user.gated("one", "echo no; test -e two").await;
        let failed = Failed { exit_code: Some(1), output: "no\n".to_owned() };
        assert_eq!(red, Merged::Red(failed));
        assert_eq!(user.tip(RUN).await, "");
    }
    let seen = "cat one ../../a | head -2; git status --porcelain; test -z \"$GIT_DIR\"; \
         test -e prepared; test \"$(basename \"$PWD\")\" = er; dirty > ../../a; true";
    let mut order = user.merging("one");
    order.gate = Some(Step { command: format!("set -e; {seen}"), timeout_ms: 60_000 });
    order.setup = Some(Step { command: "exit 4".to_owned(), timeout_ms: 60_000 });
    let red = merge(user.site(), order.clone()).await.unwrap();
    assert_eq!(red, Merged::Red(Failed { exit_code: Some(4), output: String::new() }));
    order.setup = Some(Step { command: "touch prepared".to_owned(), timeout_ms: 60_000 });
    order.gate = Some(Step { command: seen.to_owned(), timeout_ms: 60_000 });
    // A gate of a killed daemon left its folder.
    let home = user.site().home().unwrap();
    let gate = home.join(".gate").display().to_string();
    user.sh(&format!("git worktree add -q --detach '{gate}'; echo x > '{gate}/x'")).await;
    let Merged::Done { commit } = merge(user.site(), order).await.unwrap() else { panic!() };
    assert_eq!(user.tip(RUN).await, commit);
    assert_eq!(user.sh_in(&home, "ls -A").await, "one\n", "the gate's folder is gone");
    assert_eq!(user.sh("ls .git/worktrees").await, "one\n");
    assert_eq!(user.state().await, before);
}

#[tokio::test]
async fn worktree_a_gate_sees_all_that_was_merged() {
    let user = User::new().await;
    user.task("one", &[], "echo 1 > one").await;
    user.task("two", &[], "echo 2 > two").await;
    let both = "echo $(ls); ! { test -e one && test -e two; }";
    let (one, two) = tokio::join!(user.gated("one", both), user.gated("two", both));
    let red = if matches!(one, Merged::Done { .. }) { two } else { one };
    let Merged::Red(failed) = red else { panic!("{red:?}") };
    assert_eq!(failed.output, "a b deep one two\n");
}

#[tokio::test]
async fn worktree_a_branch_that_the_user_looks_at_does_not_move() {
    let user = User::new().await;
    user.task("one", &[], "echo 1 > one").await;
    user.task("two", &[], "echo 2 > two").await;
    let first = user.done("one").await;
    user.sh(&format!("git worktree add -q ../looks {RUN}")).await;
    let why = merge(user.site(), user.merging("two")).await.unwrap_err();
    assert!(why.contains("is checked out in"), "{why}");
    assert_eq!(user.tip(RUN).await, first);
}

#[tokio::test]
async fn worktree_a_diamond_is_merged_from_the_top() {
    let user = User::new().await;
    let before = user.state().await;
    user.task("top", &[], "sed -i 's/^1$/top/' a").await;
    user.task("left", &["top"], "sed -i 's/^8$/left/' a").await;
    user.task("right", &["top"], "sed -i 's/^15$/right/' a").await;
    user.task("end", &["left", "right"], "sed -i 's/^20$/end/' a").await;
    for task in ["top", "left", "right", "end"] {
        user.done(task).await;
    }
    let seen = user.sh(&format!("git show {RUN}:a | sed -n '1p;8p;15p;20p'")).await;
    assert_eq!(seen, "top\nleft\nright\nend\n");
    assert_eq!(user.state().await, before);
}
