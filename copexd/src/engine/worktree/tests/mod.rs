//! Worktrees, by the real git in folders of their own.

mod clean;
mod commit;
mod create;
mod interrupted;
mod merge;
mod user;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::backend::process::Owner;
use crate::core::worktrees::{Commit, Committed, Create, Created, Merge, Merged, Worktree};

/// Far longer than any command of a test takes.
const LONG: Duration = Duration::from_mins(2);

/// A repository that a user works in, and the worktrees of run `r`.
pub(super) struct User {
    folder: tempfile::TempDir,
    /// The user's folder, from the top level.
    inside: &'static str,
    base: String,
}

impl User {
    /// Files `a`, `b` and `deep/er/c` in one commit on `main`; then something that is changed,
    /// staged, unknown, ignored and stashed.
    async fn new() -> Self {
        let mut user = Self::clean().await;
        user.sh("echo stashed > b; git stash -q; echo staged > b; git add b; echo mine > a").await;
        user.sh("echo new > 'un known'; mkdir out; echo built > out/x").await;
        user.base = user.sh("git rev-parse HEAD").await.trim().to_owned();
        user
    }

    /// The same with nothing but the commit.
    async fn clean() -> Self {
        let mut user = Self::empty();
        user.sh("git init -q -b main . && git config user.name me && git config user.email me@x")
            .await;
        user.sh(
            "seq 20 > a; seq 20 > b; mkdir -p deep/er; echo 1 > deep/er/c; echo out > .gitignore",
        )
        .await;
        user.sh("git add -A && git commit -qm first").await;
        user.base = user.sh("git rev-parse HEAD").await.trim().to_owned();
        user
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("mein Projekt ü")).unwrap();
        Self { folder, inside: "", base: String::new() }
    }

    fn top(&self) -> PathBuf {
        self.folder.path().join("mein Projekt ü").canonicalize().unwrap()
    }

    fn site(&self) -> Site {
        self.site_of("r")
    }

    fn site_of(&self, run: &str) -> Site {
        let env = BTreeMap::from([
            ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("HOME".to_owned(), "/nowhere".to_owned()),
            // A hook that starts a client has it set.
            ("GIT_DIR".to_owned(), "/nowhere/else".to_owned()),
        ]);
        let folder = self.top().join(self.inside);
        let place = Workplace { folder, env, owner: Owner::here("worktree-test") };
        Site { place, root: self.folder.path().join("state ä/worktrees"), run: run.to_owned() }
    }

    /// What a command of the user's prints, at the top level.
    async fn sh(&self, command: &str) -> String {
        self.sh_in(&self.top(), command).await
    }

    async fn sh_in(&self, folder: &Path, command: &str) -> String {
        let place = self.site().inside(folder);
        let done = gate::run(place, 0, command.to_owned(), LONG).await;
        assert_eq!(done.exit_code, Some(0), "{command}: {}", done.output);
        done.output
    }

    /// All of the user's that must stay as it is, to the byte.
    async fn state(&self) -> String {
        self.sh("export GIT_OPTIONAL_LOCKS=0; git rev-parse HEAD; git symbolic-ref HEAD; \
             git status --porcelain=v2 -z | od -c; cksum < .git/index; stat -c %Y .git/index; \
             git stash list --format=%H; git for-each-ref refs/heads refs/stash refs/tags | grep -v copex/; \
             ls .git | grep -v worktrees; cat .git/config; cat .git/logs/HEAD; \
             find . -path ./.git -prune -o -type f -print -exec cksum {} +")
            .await
    }

    fn order(&self, task: &str, after: &[&str]) -> Create {
        let after = after.iter().map(|task| (*task).to_owned()).collect();
        Create { task: task.to_owned(), base: self.base.clone(), after, setup: None }
    }

    async fn create(&self, task: &str, after: &[&str]) -> Worktree {
        match create(self.site(), self.order(task, after)).await.unwrap() {
            Created::Ready(worktree) => worktree,
            other => panic!("{other:?}"),
        }
    }

    async fn commit(&self, task: &str) -> Committed {
        let (task, title) = (task.to_owned(), format!("do {task}"));
        commit(self.site(), Commit { task, title, detail: String::new() }).await.unwrap()
    }

    fn merging(&self, task: &str) -> Merge {
        Merge { task: task.to_owned(), base: self.base.clone(), ..Merge::default() }
    }

    async fn merge(&self, task: &str) -> Merged {
        merge(self.site(), self.merging(task)).await.unwrap()
    }

    /// Makes a worktree, runs a command in it, and commits.
    async fn task(&self, task: &str, after: &[&str], command: &str) -> String {
        let worktree = self.create(task, after).await;
        self.sh_in(&worktree.folder, command).await;
        self.commit(task).await.commit.unwrap()
    }

    /// A file of a commit.
    async fn file(&self, commit: &str, file: &str) -> String {
        self.sh(&format!("git show '{commit}:{file}'")).await
    }

    async fn tip(&self, branch: &str) -> String {
        self.sh(&format!("git rev-parse -q --verify refs/heads/{branch} || true"))
            .await
            .trim()
            .to_owned()
    }
}

#[tokio::test]
async fn worktree_a_run_of_two_tasks_leaves_the_user_alone() {
    let user = User::new().await;
    let before = user.state().await;
    let one = user.task("one", &[], "seq 2 20 > a; echo x > 'new fü'; echo y > out").await;
    let two = user.task("two", &[], "rm b").await;
    assert_eq!(user.tip("copex/fleet-task/r/one").await, one);
    let Merged::Done { commit: first } = user.merge("one").await else { panic!() };
    let Merged::Done { commit: second } = user.merge("two").await else { panic!() };
    assert_eq!(user.tip("copex/fleet/r").await, second);
    let parents = user.sh(&format!("git log -1 --format='%P %an' {second}")).await;
    assert_eq!(parents.trim(), format!("{first} {two} me"));
    let files = user.sh(&format!("git ls-tree -r --name-only -z {second} | tr '\\0' '\\n'")).await;
    assert_eq!(files, ".gitignore\na\ndeep/er/c\nnew fü\n");
    assert_eq!(user.state().await, before);
}
