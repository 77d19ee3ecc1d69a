//! What a task did, as a commit.

use super::*;
use crate::core::worktrees::Finalize;

const ONE: &str = "copex/fleet-task/r/one";

impl User {
    async fn not_committed(&self) -> String {
        let order = Commit { task: "one".to_owned(), ..Commit::default() };
        commit(self.site(), order).await.unwrap_err()
    }
}

#[tokio::test]
async fn worktree_all_that_git_does_not_ignore_is_one_commit() {
    let user = User::new().await;
    let before = user.state().await;
    let one = user.create("one", &[]).await;
    let none = user.commit("one").await;
    assert_eq!(none, Committed { tip: user.base.clone(), ..Committed::default() });
    let change = "rm b; echo x > 'ü \"q\"'; mkdir out; echo y > out/y; git mv a z; chmod +x deep/er/c; \
         ln -s z link; echo s > staged; git add staged";
    user.sh_in(&one.path, change).await;
    let made = user.commit("one").await;
    let commit = made.commit.clone().unwrap();
    assert_eq!((&made.tip, &made.left_out), (&commit, &Vec::new()));
    let files = user.sh(&format!("git ls-tree -r -z --name-only {commit} | tr '\\0' '\\n'")).await;
    assert_eq!(files, ".gitignore\ndeep/er/c\nlink\nstaged\nz\nü \"q\"\n");
    let message = user.sh(&format!("git log -1 --format=%B {commit}")).await;
    assert_eq!(message.trim(), "do one\n\nCopex-Run: r\nCopex-Task: one");
    assert_eq!(user.commit("one").await, made, "the same call finds it");
    assert_eq!(
        user.sh_in(&one.path, "git status --porcelain; git rev-parse HEAD").await.trim(),
        commit
    );
    // Killed before its index was put in place.
    user.sh_in(&one.path, "git read-tree HEAD^").await;
    assert_eq!(user.commit("one").await, made);
    assert_eq!(user.sh_in(&one.path, "git status --porcelain").await, "");
    user.sh_in(&one.path, "echo more > z").await;
    let more = user.commit("one").await.commit.unwrap();
    assert_eq!(user.sh(&format!("git rev-parse {more}^")).await.trim(), commit);
    assert_eq!(user.state().await, before);
}

#[tokio::test]
async fn worktree_commits_of_the_task_itself_stay() {
    let user = User::new().await;
    let one = user.create("one", &[]).await;
    let own = user
        .sh_in(&one.path, "echo 1 > x; git add x; git commit -qm own; git rev-parse HEAD")
        .await;
    assert_eq!(
        user.commit("one").await,
        Committed { tip: own.trim().to_owned(), ..Committed::default() }
    );
    let branch = "git checkout -qb mine; echo 2 > y; git add y; git commit -qm two; echo 3 > z";
    user.sh_in(&one.path, branch).await;
    let commit = user.commit("one").await.commit.unwrap();
    assert_eq!(user.sh(&format!("git rev-parse {commit}^")).await, own);
    assert_eq!(user.sh(&format!("git ls-tree --name-only {commit} x y z")).await, "x\ny\nz\n");
    let on = user.sh_in(&one.path, "git symbolic-ref HEAD; git status --porcelain").await;
    assert_eq!(on, format!("refs/heads/{ONE}\n"));
    user.sh_in(&one.path, "git checkout -q --detach main").await;
    let why = user.not_committed().await;
    assert!(why.contains("is not made from"), "{why}");
    assert_eq!(user.tip(ONE).await, commit);
}

#[tokio::test]
async fn worktree_what_is_half_done_is_not_committed() {
    let user = User::new().await;
    let one = user.create("one", &[]).await;
    let conflict = "echo 1 > a; git commit -qam 1; git checkout -qb x HEAD^; echo 2 > a; \
         git commit -qam 2; git checkout -q copex/fleet-task/r/one; git merge -q x || true";
    user.sh_in(&one.path, conflict).await;
    assert_eq!(user.not_committed().await, "a merge is in progress");
    user.sh_in(
        &one.path,
        "git merge --abort; git init -q sub; cd sub; \
         git -c user.name=x -c user.email=x commit -q --allow-empty -m x",
    )
    .await;
    let made = user.commit("one").await;
    assert_eq!((made.commit, made.left_out), (None, vec!["sub".to_owned()]));
}

#[tokio::test]
async fn worktree_no_hook_runs_and_nobody_is_called_copex() {
    let user = User::clean().await;
    user.sh("git config --unset user.name; git config --unset user.email; \
         for h in pre-commit post-checkout post-merge reference-transaction commit-msg; do \
         printf '#!/bin/sh\\ntouch \"%s/ran\"; exit 1\\n' \"$PWD/..\" > .git/hooks/$h; chmod +x .git/hooks/$h; done")
        .await;
    let commit = user.task("one", &[], "echo 1 > x").await;
    let Merged::Done { commit: merged } = user.merge("one").await else { panic!() };
    let order = Finalize { on: "main".to_owned(), message: None };
    finalize(user.site(), order).await.unwrap();
    for id in [commit, merged] {
        let who = user.sh(&format!("git log -1 --format='%an %ae %cn' {id}")).await;
        assert_eq!(who.trim(), "copex copex@localhost copex");
    }
    assert!(!user.folder.path().join("ran").exists());
}

#[tokio::test]
async fn worktree_without_its_folder_there_is_nothing_to_commit() {
    let user = User::new().await;
    assert_eq!(user.not_committed().await, "the worktree of `one` is not there");
    let one = user.create("one", &[]).await;
    std::fs::remove_dir_all(&one.path).unwrap();
    assert_eq!(user.not_committed().await, "the worktree of `one` is not there");
}
