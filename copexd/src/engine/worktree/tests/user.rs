//! What the user's repository must be like, and what is done to it when that is asked for.

use super::*;
use crate::core::worktrees::{Caution, Finalize, Finalized, Problem, Report};

const RUN: &str = "copex/fleet/r";

impl User {
    async fn check(&self) -> Report {
        check(self.site().place).await
    }

    async fn finalize(&self) -> Finalized {
        self.finalize_as(None).await
    }

    async fn finalize_as(&self, message: Option<&str>) -> Finalized {
        let (on, message) = ("main".to_owned(), message.map(str::to_owned));
        finalize(self.site(), Finalize { on, message }).await.unwrap()
    }

    async fn not(&self) -> String {
        let before = self.state().await;
        let Finalized::Not { why } = self.finalize().await else { panic!() };
        assert_eq!(self.state().await, before, "{why}");
        why
    }
}

#[tokio::test]
async fn worktree_what_is_wrong_with_a_repository_is_said_before_the_start() {
    let user = User::empty();
    assert_eq!(user.check().await.problems, [Problem::NoRepository]);
    user.sh("git init -q -b main .").await;
    assert_eq!(user.check().await.problems, [Problem::NoCommit]);
    let user = User::new().await;
    let before = user.state().await;
    let uncommitted = Caution::Uncommitted { changed: 2, untracked: 1 };
    let good = Report {
        head: user.base.clone(),
        on: "main".to_owned(),
        problems: Vec::new(),
        cautions: vec![uncommitted.clone()],
    };
    assert_eq!(user.check().await, good);
    assert_eq!(user.state().await, before);
    user.sh("git reset -q --hard; rm 'un known'; git checkout -q --detach").await;
    let detached = user.check().await;
    assert_eq!((detached.problems, detached.cautions), (vec![Problem::Detached], Vec::new()));
    user.sh("git checkout -q main; git sparse-checkout set deep").await;
    assert_eq!(user.check().await.cautions, [Caution::Sparse]);
    user.sh("git sparse-checkout disable; git clone -q . sub; git add sub; git commit -qm sub")
        .await;
    assert_eq!(user.check().await.cautions, [Caution::Submodules]);
    user.sh("git checkout -qb other; echo 1 > a; git commit -qam 1; git checkout -q main; \
         echo 2 > a; git commit -qam 2; git merge -q other || true")
        .await;
    let half = user.check().await.problems;
    assert_eq!(half, [Problem::HalfDone("a merge is in progress".to_owned())]);
    user.sh("git merge --abort; git rebase -q other || true").await;
    let half = user.check().await.problems;
    assert_eq!(half[1..], [Problem::HalfDone("a rebase is in progress".to_owned())]);
    let user = User::empty();
    user.sh("git init -q --bare .").await;
    assert_eq!(user.check().await.problems, [Problem::Bare]);
}

#[tokio::test]
async fn worktree_the_users_branch_is_forwarded_when_nothing_can_be_lost() {
    let user = User::clean().await;
    assert_eq!(user.finalize().await, Finalized::Nothing, "nothing was merged");
    user.task(
        "one",
        &[],
        "seq 2 20 > a; echo 1 > one; git rm -q --cached .gitignore; rm .gitignore; echo 1 > out",
    )
    .await;
    user.merge("one").await;
    let end = user.tip(RUN).await;
    user.sh("echo mine > b").await;
    assert!(user.not().await.contains("not committed (1 files)"));
    user.sh("git checkout -q b; echo mine > one").await;
    assert!(user.not().await.contains("in the way"), "an unknown file is in the way");
    user.sh("rm one; echo mine > out").await;
    assert!(user.not().await.contains("in the way"), "an ignored file is in the way");
    user.sh("rm out; mkdir one; echo mine > one/x").await;
    assert!(user.not().await.contains("git read-tree"), "a folder is in the way");
    user.sh("rm -r one; git checkout -qb other").await;
    assert!(user.not().await.contains("`other` is checked out"));
    user.sh("git checkout -q --detach").await;
    assert!(user.not().await.contains("no branch is checked out"));
    user.sh("git checkout -q main; echo note > note").await;
    for _ in 0..2 {
        let (on, commit) = ("main".to_owned(), end.clone());
        let left_out = Vec::new();
        assert_eq!(user.finalize().await, Finalized::Forwarded { on, commit, left_out });
    }
    assert_eq!(user.tip("main").await, end);
    assert_eq!(user.sh("git status --porcelain; cat one").await, "?? note\n1\n");
    user.task("two", &[], "echo 2 > two").await;
    user.merge("two").await;
    user.sh("git commit -q --allow-empty -m mine").await;
    assert!(user.not().await.contains("has commits that"));
}

#[tokio::test]
async fn worktree_a_message_brings_all_of_a_run_as_one_commit_and_the_rest_of_it_on_top() {
    let user = User::clean().await;
    user.task("one", &[], "echo 1 > one").await;
    user.merge("one").await;
    let words = "Add it\n\nCopex-Run: r\nCopex-Step: finalize\n";
    let Finalized::Forwarded { commit: first, .. } = user.finalize_as(Some(words)).await else {
        panic!()
    };
    let log = user.sh("git log --first-parent --format=%s main; git status --porcelain").await;
    assert_eq!(log, "Add it\nfirst\n");
    let Finalized::Forwarded { commit: again, .. } = user.finalize_as(Some(words)).await else {
        panic!()
    };
    assert_eq!(again, first, "it is there already");
    user.task("two", &[], "echo 2 > two").await;
    user.merge("two").await;
    user.finalize_as(Some(words)).await;
    let log = user.sh("git log --first-parent --format=%s main; git status --porcelain; ls").await;
    assert_eq!(log, "Add it\nAdd it\nfirst\na\nb\ndeep\none\ntwo\n");
    user.task("three", &[], "echo 3 > three").await;
    user.merge("three").await;
    user.sh("git commit -q --allow-empty -m mine").await;
    assert!(matches!(user.finalize_as(Some(words)).await, Finalized::Not { .. }));
}
