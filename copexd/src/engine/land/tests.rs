//! The commit on the user's branch, by the real git.

use std::collections::BTreeMap;

use super::*;
use crate::backend::process::Owner;
use crate::core::commits::Baseline;
use crate::engine::{commit, gate};

/// A repository that a user works in: `mine` is changed, `staged` is staged, `new` is unknown.
struct User {
    folder: tempfile::TempDir,
    base: Baseline,
}

impl User {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut user = Self { folder, base: Baseline::default() };
        user.sh("git init -q -b main . && git config user.name me && git config user.email me@x")
            .await;
        user.sh(
            "for f in a b mine staged; do echo 1 > $f; done; git add . && git commit -qm first",
        )
        .await;
        user.sh("echo 2 > mine; echo 2 > staged; git add staged; echo 2 > new").await;
        user.base = commit::baseline(user.place(), None).await.unwrap();
        user
    }

    fn place(&self) -> Workplace {
        let env = BTreeMap::from([
            ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("HOME".to_owned(), "/nowhere".to_owned()),
        ]);
        let folder = self.folder.path().to_owned();
        Workplace { folder, env, owner: Owner::here("land-test") }
    }

    async fn sh(&self, command: &str) -> String {
        let done = gate::run(self.place(), 0, command.to_owned(), PATIENCE).await;
        assert_eq!(done.exit_code, Some(0), "{command}: {}", done.output);
        done.output
    }

    async fn land(&self) -> Result<Finalized, String> {
        let message = commits::worded("Do it", &[("Run", "r"), ("Step", "finalize")]);
        land(self.place(), Land { base: self.base.clone(), message }).await
    }

    async fn landed(&self) -> (String, Vec<String>) {
        match self.land().await.unwrap() {
            Finalized::Forwarded { commit, left_out, .. } => (commit, left_out),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn only_what_the_run_changed_is_committed_and_the_rest_stays_as_it_is() {
    let user = User::new().await;
    assert_eq!(user.land().await.unwrap(), Finalized::Nothing);
    user.sh("echo 2 > a; rm b; echo 1 > made; echo 3 > mine").await;
    let (commit, left_out) = user.landed().await;
    assert_eq!(left_out, ["mine"]);
    let shown = user
        .sh("git show --no-renames --format='%s|%an' --name-status HEAD; git rev-parse HEAD")
        .await;
    assert_eq!(shown, format!("Do it|me\n\nM\ta\nD\tb\nA\tmade\n{commit}\n"));
    let rest = user.sh("git status --porcelain; git diff --cached; ls .git | grep copex || true");
    let rest = rest.await;
    assert!(rest.starts_with(" M mine\nM  staged\n?? new\n"), "{rest}");
    assert!(rest.contains("b/staged") && !rest.contains("copex"), "{rest}");
    assert_eq!(user.landed().await.0, commit, "the same order finds it");
    assert_eq!(user.sh("git rev-list --count HEAD").await, "2\n");
}

#[tokio::test]
async fn what_was_left_in_the_middle_is_ended() {
    let user = User::new().await;
    user.sh("echo 2 > a").await;
    // Killed once the index was locked, before the branch moved.
    user.sh("cp .git/index .git/copex-index; ln .git/copex-index .git/index.lock").await;
    let (commit, _) = user.landed().await;
    assert_eq!(user.sh("git status --porcelain").await, " M mine\nM  staged\n?? new\n");
    // Killed once it had moved: the index that belongs to it is under the lock.
    user.sh("cp .git/index .git/copex-index; ln .git/copex-index .git/index.lock").await;
    user.sh("cp .git/index x; GIT_INDEX_FILE=x git read-tree HEAD~1; mv x .git/index").await;
    assert_eq!(user.landed().await.0, commit);
    assert_eq!(user.sh("git status --porcelain").await, " M mine\nM  staged\n?? new\n");
    assert_eq!(user.sh("ls .git | grep -c -e copex -e lock || true").await, "0\n");
}

/// A git that is killed while it moves the branch leaves its locks behind.
#[tokio::test]
async fn locks_of_the_users_branch_are_removed_where_they_are_ours() {
    let user = User::new().await;
    user.sh("echo 2 > a").await;
    let killed = "cp .git/index .git/copex-index; ln .git/copex-index .git/index.lock";
    let old = "touch -d '1 minute ago' .git/HEAD.lock .git/refs/heads/main.lock";
    user.sh(&format!("{killed}; {old}")).await;
    let (commit, _) = user.landed().await;
    assert_eq!(
        user.sh("find .git -name '*.lock'; git rev-parse main").await,
        format!("{commit}\n")
    );

    // One that holds this order's commit is ours, too; one that holds another is not.
    user.sh("git reset -q --soft HEAD~1; git restore --staged a").await;
    let lock = ".git/refs/heads/main.lock";
    user.sh(&format!("{killed}; git rev-parse HEAD > {lock}; {old}")).await;
    let why = user.land().await.unwrap_err();
    assert!(why.contains("refs/heads/main.lock is there; remove it if no git"), "{why}");
    user.sh(&format!("echo {commit} > {lock}; {old}")).await;
    let (again, _) = user.landed().await;
    assert_eq!(user.sh("find .git -name '*.lock'; git rev-parse main").await, format!("{again}\n"));

    // Without a sign of ours nobody's lock is touched.
    user.sh("git reset -q --soft HEAD~1; git restore --staged a").await;
    user.sh(&format!("touch -d '1 minute ago' {lock}")).await;
    let why = user.land().await.unwrap_err();
    assert!(why.contains("refs/heads/main.lock is there; remove it if no git"), "{why}");
    assert_eq!(user.sh("find .git -name '*.lock'").await, format!("{lock}\n"));
}

#[tokio::test]
async fn nothing_is_done_where_it_would_be_in_the_way_of_the_user() {
    let user = User::new().await;
    user.sh("echo 2 > a; touch .git/index.lock").await;
    assert!(user.land().await.unwrap_err().contains("another git is at work"));
    assert_eq!(user.sh("ls .git | grep copex || true").await, "");
    user.sh("rm .git/index.lock; git commit -qm mine").await;
    let Finalized::Not { why } = user.land().await.unwrap() else { panic!() };
    assert!(why.contains("had not before the run"), "{why}");
    user.sh("git checkout -qb other").await;
    let Finalized::Not { why } = user.land().await.unwrap() else { panic!() };
    assert!(why.contains("`other` is checked out, and it was `main`"), "{why}");
    user.sh("git checkout -q --detach").await;
    assert!(user.land().await.unwrap_err().contains("detached HEAD"));
}
