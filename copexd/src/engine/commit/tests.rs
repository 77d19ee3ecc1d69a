//! Commits of a run, by the real git in folders of their own.

use std::collections::BTreeMap;

use super::*;
use crate::backend::process::Owner;
use crate::engine::gate;

/// A repository that a user works in.
struct Repo {
    folder: tempfile::TempDir,
    base: Option<Baseline>,
    tip: Option<String>,
}

impl Repo {
    /// Files `a`, `b` and `mine` in one commit on `main`.
    async fn new() -> Self {
        let repo = Self::empty();
        repo.sh("git init -q -b main . && git config user.name me && git config user.email me@x")
            .await;
        repo.sh("echo 1 > a; echo 1 > b; echo 1 > mine; echo out > .gitignore").await;
        repo.sh("git add -A && git commit -qm first").await;
        repo
    }

    fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), base: None, tip: None }
    }

    fn place(&self) -> Workplace {
        let env = BTreeMap::from([
            ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("HOME".to_owned(), "/nowhere".to_owned()),
            // A hook that starts a client has it set.
            ("GIT_DIR".to_owned(), "/nowhere/else".to_owned()),
        ]);
        let folder = self.folder.path().to_owned();
        Workplace { folder, env, owner: Owner::here("commit-test") }
    }

    /// What a command of the user's prints.
    async fn sh(&self, command: &str) -> String {
        let command = format!("unset GIT_DIR; {command}");
        let done = gate::run(self.place(), 0, command.clone(), PATIENCE).await;
        assert_eq!(done.exit_code, Some(0), "{command}: {}", done.output);
        done.output
    }

    async fn begin(&mut self) {
        self.base = Some(baseline(self.place(), None).await.unwrap());
    }

    fn order(&self, number: u32) -> Order {
        let number = number.to_string();
        Order {
            branch: "copex/ralph/r".to_owned(),
            base: self.base.clone().unwrap(),
            tip: self.tip.clone(),
            message: commits::message("it", "", &[("Run", "r"), ("Iteration", &number)]),
        }
    }

    /// One commit, and what is left out.
    async fn commit(&mut self, number: u32) -> Made {
        let made = commit(self.place(), self.order(number)).await.unwrap();
        self.tip = made.commit.clone().or(self.tip.take());
        made
    }

    async fn refused(&self) -> String {
        commit(self.place(), self.order(9)).await.unwrap_err()
    }

    /// All that must stay as it is.
    async fn state(&self) -> String {
        self.sh("git rev-parse HEAD; git symbolic-ref HEAD; git ls-files --stage; git stash list; \
             git status --porcelain; ls -A .git; \
             find . -path ./.git -prune -o -type f -print -exec cat {} +")
            .await
    }

    /// The files of a commit, each with its text.
    async fn files(&self, commit: &str) -> String {
        let each = format!(
            "for f in $(git ls-tree -r --name-only {commit}); do \
             echo $f=$(git show {commit}:$f); done"
        );
        self.sh(&each).await
    }
}

const FIRST: &str = ".gitignore=out\n";

#[tokio::test]
async fn only_what_the_run_changed_is_committed_and_nothing_else_moves() {
    let mut repo = Repo::new().await;
    repo.sh("echo 2 > mine; echo 2 > b; git add b; echo 3 > b; echo x > untracked").await;
    repo.begin().await;
    repo.sh("echo 2 > a; mkdir d; echo new > d/new; echo y > out; chmod +x d/new").await;
    let before = repo.state().await;
    let made = repo.commit(1).await;
    assert_eq!(repo.state().await, before);
    assert_eq!(made.left_out, [""; 0]);
    let one = made.commit.unwrap();
    assert_eq!(repo.files(&one).await, format!("{FIRST}a=2\nb=1\nd/new=new\nmine=1\n"));
    assert_eq!(repo.sh("git rev-parse copex/ralph/r").await.trim(), one);
    let who = repo.sh("git log -1 --format='%an %ae %P' copex/ralph/r").await;
    let head = repo.base.as_ref().unwrap().head.clone();
    assert_eq!(who.trim(), format!("me me@x {head}"));
    assert_eq!(repo.commit(2).await, Made::default(), "nothing has changed");

    repo.sh("rm -r d; echo d > d; git rm -q --cached a; echo 1 > a").await;
    let two = repo.commit(3).await.commit.unwrap();
    assert_eq!(repo.files(&two).await, format!("{FIRST}a=1\nb=1\nd=d\nmine=1\n"));
    assert_eq!(repo.sh(&format!("git rev-parse {two}^")).await.trim(), one);
}

#[tokio::test]
async fn a_file_that_the_user_had_changed_is_left_out() {
    let mut repo = Repo::new().await;
    repo.sh("echo user >> mine; echo user > untracked; rm b").await;
    repo.begin().await;
    repo.sh("echo run >> mine; echo run >> untracked; echo run > b; echo run > a").await;
    let made = repo.commit(1).await;
    assert_eq!(made.left_out, ["b", "mine", "untracked"]);
    assert_eq!(repo.files(&made.commit.unwrap()).await, format!("{FIRST}a=run\nb=1\nmine=1\n"));
}

#[tokio::test]
async fn the_same_order_makes_one_commit() {
    let mut repo = Repo::new().await;
    repo.begin().await;
    repo.sh("echo 2 > a").await;
    let order = repo.order(1);
    let first = commit(repo.place(), order.clone()).await.unwrap();
    repo.sh("echo 3 > a").await;
    assert_eq!(commit(repo.place(), order).await.unwrap(), first, "it was made before a crash");
    assert_eq!(repo.sh("git rev-list --count main..copex/ralph/r").await.trim(), "1");
    repo.tip = first.commit;
    repo.commit(2).await;
    assert_eq!(repo.sh("git rev-list --count main..copex/ralph/r").await.trim(), "2");
}

#[tokio::test]
async fn a_branch_of_somebody_elses_is_left_alone() {
    let mut repo = Repo::new().await;
    repo.begin().await;
    repo.sh("echo 2 > a").await;
    repo.commit(1).await;
    repo.sh("git worktree add -q ../$(basename $PWD)-tree copex/ralph/r").await;
    assert!(repo.refused().await.contains("is checked out in /"));
    repo.sh("git worktree remove ../$(basename $PWD)-tree").await;
    repo.sh("git branch -qf copex/ralph/r main").await;
    assert!(repo.refused().await.contains("not where this run left it"));
    repo.sh("git branch -qD copex/ralph/r").await;
    assert!(repo.refused().await.contains("not where this run left it"));
    repo.sh("git checkout -q -b other").await;
    let words = "`other` is checked out, and it was `main` before the run";
    assert_eq!(repo.refused().await, words);
}

#[tokio::test]
async fn where_nothing_can_be_committed_the_reason_is_said() {
    let repo = Repo::empty();
    let why = async || baseline(repo.place(), None).await.unwrap_err();
    assert!(why().await.ends_with("is in no git repository"));
    repo.sh("git init -q -b main .").await;
    assert_eq!(why().await, "`main` has no commit yet");

    let repo = Repo::new().await;
    let why = async || baseline(repo.place(), None).await.unwrap_err();
    repo.sh("git checkout -q -b other; echo 2 > a; git commit -qam x; git checkout -q main").await;
    repo.sh("echo 3 > a; git commit -qam y; git merge other >&2 || true").await;
    assert_eq!(why().await, "a merge is in progress");
    repo.sh("rm .git/MERGE_HEAD").await;
    assert_eq!(why().await, "there are conflicts that nobody has settled");
    std::fs::remove_dir_all(repo.folder.path()).unwrap();
    assert!(why().await.contains("not there any more"));
}

#[tokio::test]
async fn a_detached_head_is_as_good_as_a_branch_while_it_stays() {
    let mut repo = Repo::new().await;
    repo.sh("git checkout -q --detach").await;
    repo.begin().await;
    repo.sh("echo 2 > a").await;
    let made = repo.commit(1).await.commit.unwrap();
    assert_eq!(repo.sh("git rev-parse copex/ralph/r HEAD~0").await.lines().next(), Some(&*made));
    let changed = repo.sh("git diff --name-only HEAD copex/ralph/r").await;
    assert_eq!(changed, "a\n");
    let head = repo.base.clone().unwrap().head;
    repo.sh("git commit -q --allow-empty -m other").await;
    let why = repo.refused().await;
    let then = format!("is checked out, and it was `{}` before the run", &head[..12]);
    assert!(why.ends_with(&then), "{why}");
    repo.sh("git checkout -q main").await;
    assert!(repo.refused().await.starts_with("`main` is checked out, and it was `"));
}

#[tokio::test]
async fn a_lock_that_a_killed_git_left_on_the_runs_branch_is_no_obstacle() {
    let mut repo = Repo::new().await;
    repo.begin().await;
    repo.sh("echo 2 > a; mkdir -p .git/refs/heads/copex/ralph").await;
    let lock = ".git/refs/heads/copex/ralph/r.lock";
    repo.sh(&format!("touch -d '1 minute ago' {lock}")).await;
    assert!(repo.commit(1).await.commit.is_some());
    repo.sh(&format!("echo 3 > a; echo x > {lock}")).await;
    assert!(repo.commit(2).await.commit.is_some(), "one that is young is waited for");
    assert_eq!(repo.sh("find .git -name '*.lock'").await, "");
}

#[tokio::test]
async fn repositories_inside_are_left_out() {
    let mut repo = Repo::new().await;
    let inner = "git -C inner -c user.name=a -c user.email=a@b commit -q --allow-empty -m x";
    repo.sh(&format!("git init -q inner; {inner}; git add inner 2>/dev/null; git commit -qm in"))
        .await;
    repo.begin().await;
    repo.sh(&format!("{inner}; echo 2 > a; git init -q new; {}", inner.replace("inner", "new")))
        .await;
    let made = repo.commit(1).await;
    assert_eq!(made.left_out, ["inner", "new"]);
    let changed = repo.sh("git diff --name-only main copex/ralph/r").await;
    assert_eq!(changed, "a\n");
}

#[tokio::test]
async fn nobody_is_called_copex_and_hooks_do_not_run() {
    let mut repo = Repo::new().await;
    repo.sh("git config --unset user.name; git config --unset user.email").await;
    repo.sh("for h in post-index-change reference-transaction pre-commit; do \
             printf '#!/bin/sh\\ntouch ran' > .git/hooks/$h; chmod +x .git/hooks/$h; done")
        .await;
    repo.sh("rm -f ran").await;
    repo.begin().await;
    repo.sh("echo 2 > a; rm -f ran").await;
    repo.commit(1).await;
    assert!(!repo.folder.path().join("ran").exists());
    let who = repo.sh("git log -1 --format='%an %ae %cn' copex/ralph/r").await;
    assert_eq!(who.trim(), "copex copex@localhost copex");
}

#[tokio::test]
async fn a_baseline_holds_while_nothing_else_is_checked_out() {
    let mut repo = Repo::new().await;
    repo.begin().await;
    let base = repo.base.clone();
    repo.sh("echo 2 > a").await;
    assert_eq!(baseline(repo.place(), base.clone()).await.ok(), base);
    repo.sh("git commit -qam second").await;
    let next = baseline(repo.place(), base.clone()).await.ok();
    assert!(next.is_some() && next != base);
}

#[tokio::test]
async fn a_run_below_the_top_commits_the_whole_repository() {
    let mut repo = Repo::new().await;
    repo.begin().await;
    repo.sh("mkdir in; echo 2 > a; echo 2 > in/c").await;
    let place = Workplace { folder: repo.folder.path().join("in"), ..repo.place() };
    let made = commit(place, repo.order(1)).await.unwrap().commit.unwrap();
    assert_eq!(repo.files(&made).await, format!("{FIRST}a=2\nb=1\nin/c=2\nmine=1\n"));
}

#[tokio::test]
async fn what_a_sparse_checkout_leaves_out_is_still_there() {
    let mut repo = Repo::new().await;
    repo.sh("mkdir in far; echo 1 > in/c; echo 1 > far/d; git add -A; git commit -qm more").await;
    repo.sh("git sparse-checkout set in").await;
    repo.begin().await;
    repo.sh("echo 2 > in/c; mkdir far; echo new > far/new").await;
    let made = repo.commit(1).await.commit.unwrap();
    let changed = repo.sh(&format!("git diff --name-status main {made}")).await;
    assert_eq!(changed, "A\tfar/new\nM\tin/c\n");
}
