//! What is removed, and what is not.

use super::*;
use crate::core::worktrees::{Cleaned, Item};

/// Run and task of each, with what keeps it.
fn seen(items: &[Item]) -> Vec<String> {
    let one = |item: &Item| {
        let task = item.task.as_deref().unwrap_or("-");
        format!("{} {task} {}", item.run, item.keep.as_deref().unwrap_or("ok"))
    };
    items.iter().map(one).collect()
}

/// A sweep of everything, while nobody is at work.
pub(super) fn every(which: Which, force: bool) -> Sweep<'static> {
    Sweep { which, force, branches: true, at_work: &|_| false }
}

impl User {
    async fn list(&self, which: Which) -> Vec<String> {
        let repo = repo::Repo::open(&self.site()).await.unwrap();
        let found = super::super::clean::find(&repo, &self.site(), which).await.unwrap();
        seen(&found.into_iter().map(|found| found.item).collect::<Vec<_>>())
    }

    async fn clean_up(&self, which: Which, force: bool) -> Cleaned {
        let before = self.state().await;
        let cleaned = clean(self.site(), every(which, force)).await.unwrap();
        assert_eq!(self.state().await, before);
        cleaned
    }
}

#[tokio::test]
async fn worktree_what_is_merged_goes_and_the_rest_stays() {
    let user = User::new().await;
    assert_eq!(user.list(Which::All).await, [""; 0]);
    user.task("one", &[], "echo 1 > a; mkdir out; head -c 100000 /dev/urandom > out/big").await;
    let two = user.task("two", &[], "echo 2 > a").await;
    user.create("idle", &[]).await;
    let open = user.create("open", &[]).await;
    user.sh_in(&open.path, "echo work > w").await;
    user.merge("one").await;
    let run = user.tip("copex/fleet/r").await;
    let unmerged = |name: &str| format!("`copex/fleet{name}` is merged into no other branch");
    let wanted = [
        "r idle ok".to_owned(),
        "r one ok".to_owned(),
        "r open something in it is not committed".to_owned(),
        format!("r two {}", unmerged("-task/r/two")),
        format!("r - {}", unmerged("/r")),
    ];
    assert_eq!(user.list(Which::This).await, wanted);
    assert_eq!(user.list(Which::All).await, wanted);
    let done = user.clean_up(Which::This, false).await;
    assert_eq!(seen(&done.removed), wanted[..2]);
    assert_eq!(seen(&done.kept), wanted[2..]);
    assert!(done.removed[1].bytes > 100_000 && done.removed[0].bytes > 0, "{done:?}");
    assert_eq!(user.tip("copex/fleet-task/r/one").await, "");
    assert_eq!(user.tip("copex/fleet-task/r/two").await, two);
    assert_eq!(user.tip("copex/fleet/r").await, run);
    assert_eq!(user.sh_in(&open.path, "cat w; ls ..").await, "work\nopen\ntwo\n");
    let again = user.clean_up(Which::This, false).await;
    assert_eq!((seen(&again.removed), seen(&again.kept)), (vec![], wanted[2..].to_vec()));
    // The user merges the run's branch, and deletes one of its folders.
    user.sh(&format!("git update-ref refs/heads/release {run}")).await;
    std::fs::remove_dir_all(open.path.with_file_name("two")).unwrap();
    let done = user.clean_up(Which::All, false).await;
    assert_eq!(seen(&done.removed), ["r - ok"]);
    assert_eq!(seen(&done.kept), wanted[2..4]);
    let done = user.clean_up(Which::This, true).await;
    assert_eq!(seen(&done.removed), wanted[2..4]);
    assert_eq!(
        user.sh("git for-each-ref refs/heads/copex; ls .git/worktrees 2>&1 || true")
            .await
            .lines()
            .count(),
        1
    );
    assert!(!open.path.parent().unwrap().exists(), "the run's folder is gone, too");
}

#[tokio::test]
async fn worktree_what_was_half_removed_is_removed() {
    let user = User::new().await;
    let one = user.create("one", &[]).await;
    let admin = user.sh_in(&one.path, "git rev-parse --absolute-git-dir").await;
    let home = one.path.parent().unwrap();
    let steps = [
        "rm MARK; rm one/a".to_owned(),
        "rm MARK; mv one .trash-x".to_owned(),
        "mv one .trash-x; cd ../../..; cd mein*; git worktree prune".to_owned(),
    ];
    for step in steps {
        user.create("one", &[]).await;
        let mark = format!("'{}/copex-worktree'", admin.trim());
        user.sh_in(home, &step.replace("MARK", &mark)).await;
        let done = user.clean_up(Which::This, false).await;
        assert_eq!(seen(&done.removed), ["r one ok"], "{step}");
        assert_eq!(done.kept, []);
        assert!(!home.exists(), "{step}");
        std::fs::create_dir(home).unwrap();
    }
}

#[tokio::test]
async fn worktree_nobody_elses_is_touched() {
    let user = User::new().await;
    let site = user.site_of("other ü");
    let made = create(site.clone(), user.order("x y", &[])).await.unwrap();
    let Created::Ready(theirs) = made else { panic!("{made:?}") };
    user.task("one", &[], "echo 1 > one").await;
    let stranger = User::new().await;
    let mut foreign = stranger.site_of("foreign");
    foreign.root = user.site().root;
    create(foreign.clone(), stranger.order("one", &[])).await.unwrap();
    assert_eq!(repositories(&user.site().root).len(), 2);
    let all = user.list(Which::All).await;
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(user.list(Which::This).await.len(), 1);
    // A folder whose link is broken, and one that was no worktree.
    let home = user.site().home().unwrap();
    user.sh_in(&home, "mkdir three; echo x > three/x").await;
    user.sh_in(&home.with_file_name("foreign"), "rm one/.git").await;
    let done = user.clean_up(Which::This, false).await;
    assert_eq!(done.removed, []);
    assert_eq!(
        seen(&done.kept)[1],
        "r three it is no worktree any more, and nobody knows what is in it"
    );
    let done = user.clean_up(Which::All, true).await;
    assert_eq!(done.removed.len(), 3, "{done:?}");
    assert!(!theirs.path.exists() && !home.exists());
    let left = user.sh_in(&home.with_file_name("foreign"), "ls one").await;
    assert_eq!(left, "a\nb\ndeep\n");
    let cleaned = async |site: Site| clean(site, every(Which::All, false)).await.unwrap();
    let theirs = cleaned(foreign).await;
    assert_eq!(theirs.kept.len() + theirs.removed.len(), 1, "{theirs:?}");
    assert_eq!(cleaned(site).await, Cleaned::default());
}

#[tokio::test]
async fn worktree_repositories_inside_and_what_was_prepared() {
    let user = User::new().await;
    let mut order = user.order("one", &[]);
    order.setup = Some(Step { command: "echo 1 > prepared".to_owned(), timeout_ms: 60_000 });
    create(user.site(), order).await.unwrap();
    assert_eq!(user.list(Which::This).await, ["r one ok"], "only what was prepared");
    let path = user.create("one", &[]).await.path;
    user.sh_in(
        &path,
        "git init -q sub; cd sub; echo 1 > x; git add x; \
         git -c user.name=x -c user.email=x commit -qm x",
    )
    .await;
    assert_eq!(user.list(Which::This).await, ["r one something in it is not committed"]);
    user.sh_in(
        &path,
        "rm -rf sub; git checkout -q --detach; echo 1 > x; git add x; \
         git commit -qm x; git rm -q x; git commit -qm y",
    )
    .await;
    assert_eq!(user.list(Which::This).await, ["r one something in it is not committed"]);
}
