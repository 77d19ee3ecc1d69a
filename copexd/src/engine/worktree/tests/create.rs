//! How a worktree comes to be, also where another one was half made.

use super::*;

const ONE: &str = "copex/fleet-task/r/one";

impl User {
    async fn admin(&self, path: &Path) -> PathBuf {
        let said = self.sh_in(path, "git rev-parse --absolute-git-dir").await;
        PathBuf::from(said.trim())
    }

    async fn refused(&self, task: &str, after: &[&str]) -> String {
        create(self.site(), self.order(task, after)).await.unwrap_err()
    }
}

#[tokio::test]
async fn worktree_a_task_starts_from_the_last_commit_and_twice_is_once() {
    let user = User::new().await;
    let before = user.state().await;
    let one = user.create("one", &[]).await;
    assert_eq!((one.branch.as_str(), &one.tip, one.adopted), (ONE, &user.base, false));
    assert_eq!(one.folder, one.path);
    assert!(!one.path.starts_with(user.top()), "{}", one.path.display());
    assert_eq!(
        user.sh_in(&one.path, "ls -A; head -1 a b; git status --porcelain").await,
        ".git\n.gitignore\na\nb\ndeep\n==> a <==\n1\n\n==> b <==\n1\n"
    );
    user.sh_in(&one.path, "echo work > w").await;
    let again = user.create("one", &[]).await;
    assert_eq!(again, Worktree { adopted: true, ..one.clone() });
    assert_eq!(user.sh_in(&one.path, "cat w").await, "work\n");
    assert_eq!(user.state().await, before);
}

#[tokio::test]
async fn worktree_a_task_works_in_the_folder_that_the_run_has() {
    let mut user = User::new().await;
    user.inside = "deep/er";
    let one = user.create("one", &[]).await;
    assert_eq!(one.folder, one.path.join("deep/er"));
    assert_eq!(user.sh_in(&one.folder, "ls").await, "c\n");
    user.sh("mkdir -p 'neu ü/x'").await;
    user.inside = "neu ü/x";
    let two = user.create("two", &[]).await;
    assert_eq!(two.folder, two.path.join("neu ü/x"));
    user.task("three", &[], "echo 1 > here").await;
    assert_eq!(user.file("copex/fleet-task/r/three", "neu ü/x/here").await, "1\n");
}

#[tokio::test]
async fn worktree_a_task_starts_from_what_it_depends_on() {
    let user = User::new().await;
    let before = user.state().await;
    user.task("one", &[], "echo 1 > one").await;
    user.task("left", &["one"], "echo 1 > left").await;
    user.task("right", &["one"], "echo 1 > right").await;
    user.create("idle", &[]).await;
    let last = user.create("last", &["left", "right", "one", "idle"]).await;
    assert_eq!(user.sh_in(&last.path, "ls").await, "a\nb\ndeep\nleft\none\nright\n");
    assert_eq!(user.commit("last").await.commit, None, "nothing is its own");
    let parents = user.sh(&format!("git log -1 --format=%P {}", last.tip)).await;
    let [left, right] = ["left", "right"].map(|name| format!("copex/fleet-task/r/{name}"));
    assert_eq!(parents.trim(), format!("{} {}", user.tip(&left).await, user.tip(&right).await));
    assert_eq!(user.create("last", &["left", "right"]).await.tip, last.tip);
    assert_eq!(user.state().await, before);
    let none = user.refused("more", &["nobody"]).await;
    assert!(none.contains("no branch `copex/fleet-task/r/nobody`"), "{none}");
}

#[tokio::test]
async fn worktree_dependencies_that_do_not_fit_are_named() {
    let user = User::new().await;
    user.task("one", &[], "echo 1 > a; echo 1 > 'c ü'").await;
    user.task("two", &[], "echo 2 > a; echo 2 > 'c ü'; echo 2 > b").await;
    for _ in 0..2 {
        let made = create(user.site(), user.order("last", &["one", "two"])).await.unwrap();
        let Created::Conflict(clash) = made else { panic!("{made:?}") };
        assert_eq!(clash.ours, [ONE]);
        assert_eq!(clash.theirs, "copex/fleet-task/r/two");
        assert_eq!(clash.files, ["a", "c ü"]);
        assert_eq!(user.tip("copex/fleet-task/r/last").await, "");
    }
}

#[tokio::test]
async fn worktree_a_dependency_that_was_cleaned_away_is_in_the_runs_branch() {
    let user = User::new().await;
    let one = user.task("one", &[], "echo 1 > one").await;
    user.task("two", &[], "echo 2 > two").await;
    user.merge("one").await;
    user.merge("two").await;
    clean(user.site(), clean::every(Which::This, false)).await.unwrap();
    assert_eq!(user.tip(ONE).await, "");
    assert_eq!(user.create("three", &["one"]).await.tip, one);
}

#[tokio::test]
async fn worktree_one_that_was_half_made_is_made_anew() {
    let user = User::new().await;
    let before = user.state().await;
    let fresh = user.create("one", &[]).await;
    let path = fresh.path.display().to_string();
    let steps = [
        // From the last step back to the first: the mark, the files, the link, the folder.
        "rm ADMIN/copex-worktree; rm 'PATH/a'; touch ADMIN/index.lock",
        "rm ADMIN/copex-worktree ADMIN/index; rm -r 'PATH/deep'",
        "rm ADMIN/copex-worktree ADMIN/index; rm -r 'PATH'; mkdir 'PATH'; echo initializing > ADMIN/locked",
        "rm -r 'PATH' ADMIN/copex-worktree ADMIN/commondir; echo initializing > ADMIN/locked",
        "rm -r 'PATH' ADMIN/copex-worktree ADMIN/HEAD",
        "rm -r 'PATH' ADMIN",
        "rm -r 'PATH' ADMIN; mkdir 'PATH'",
        "rm -r 'PATH' ADMIN; git update-ref -d refs/heads/copex/fleet-task/r/one",
        // By hand, and a worktree that is whole otherwise.
        "rm -r 'PATH'",
        "git worktree remove -f -f 'PATH'",
    ];
    for step in steps {
        let admin = user.admin(&fresh.path).await;
        let admin = format!("'{}'", admin.display());
        user.sh(&step.replace("ADMIN", &admin).replace("PATH", &path)).await;
        let made = user.create("one", &[]).await;
        assert_eq!(made, fresh, "{step}");
        let seen =
            user.sh_in(&made.path, "git status --porcelain; git symbolic-ref HEAD; ls").await;
        assert_eq!(seen, format!("refs/heads/{ONE}\na\nb\ndeep\n"), "{step}");
        assert_eq!(user.state().await, before, "{step}");
    }
    let left = user.sh_in(fresh.path.parent().unwrap(), "ls -A").await;
    assert_eq!(left, "one\n", "nothing lies about");
}

#[tokio::test]
async fn worktree_commits_outlive_their_folder() {
    let user = User::new().await;
    let commit = user.task("one", &[], "echo 1 > one").await;
    let path = user.create("one", &[]).await.path;
    std::fs::remove_dir_all(&path).unwrap();
    assert_eq!(user.commit("one").await.commit.as_ref(), Some(&commit), "it was made before");
    let again = user.create("one", &[]).await;
    assert_eq!((&again.tip, again.adopted), (&commit, false));
    assert_eq!(user.sh_in(&path, "cat one").await, "1\n");
    user.sh_in(&path, "echo 2 > two; rm .git").await;
    assert!(user.create("one", &[]).await.adopted, "the link is put back");
    let more = user.commit("one").await.commit.unwrap();
    assert_eq!(user.sh(&format!("git rev-parse {more}^")).await.trim(), commit);
}

#[tokio::test]
async fn worktree_a_folder_in_the_way_is_kept() {
    let user = User::new().await;
    let home = user.site().home().unwrap();
    user.sh_in(&home, "mkdir one; echo precious > one/file").await;
    user.create("one", &[]).await;
    assert_eq!(user.sh_in(&home, "cat one.aside-*/file").await, "precious\n");
    // Another repository in place of ours is not touched.
    user.sh_in(&home, "cd one; rm .git; git init -q .").await;
    let why = user.refused("one", &[]).await;
    assert!(why.contains("is not a worktree of"), "{why}");
}

#[tokio::test]
async fn worktree_a_branch_that_somebody_has_checked_out_is_left_alone() {
    let user = User::new().await;
    user.sh(&format!("git worktree add -q -b {ONE} ../elsewhere")).await;
    let why = user.refused("one", &[]).await;
    assert!(why.contains("is checked out in") && why.contains("elsewhere"), "{why}");
    user.sh("rm -r ../elsewhere; git worktree lock ../elsewhere").await;
    assert!(user.refused("one", &[]).await.contains("elsewhere"), "it may be on another disk");
    user.sh("git worktree unlock ../elsewhere").await;
    user.create("one", &[]).await;
}

#[tokio::test]
async fn worktree_a_command_prepares_a_new_one() {
    let user = User::new().await;
    let before = user.state().await;
    let mut order = user.order("one", &[]);
    let setup = |command: &str| Some(Step { command: command.to_owned(), timeout_ms: 60_000 });
    order.setup = setup("echo why; exit 3");
    let made = create(user.site(), order.clone()).await.unwrap();
    let failed = Failed { exit_code: Some(3), output: "why\n".to_owned() };
    assert_eq!(made, Created::Setup(failed));
    order.setup = Some(Step { command: "sleep 300".to_owned(), timeout_ms: 100 });
    let made = create(user.site(), order.clone()).await.unwrap();
    let Created::Setup(Failed { exit_code: None, output }) = made else { panic!("{made:?}") };
    assert!(output.contains("0.1 s"), "{output}");
    order.setup = setup("cp -r \"$COPEX_SOURCE/out\" .; echo left > over; test -z \"$GIT_DIR\"");
    let made = create(user.site(), order.clone()).await.unwrap();
    let Created::Ready(one) = made else { panic!("{made:?}") };
    assert_eq!(user.sh_in(&one.path, "cat out/x").await, "built\n");
    order.setup = setup("exit 1");
    create(user.site(), order).await.unwrap();
    assert_eq!(user.commit("one").await.commit, None, "what it left is not the task's");
    user.sh_in(&one.path, "echo 1 > one; echo 2 > over").await;
    let made = user.commit("one").await;
    assert_eq!(made.left_out, ["over"]);
    let files = user.sh(&format!("git ls-tree --name-only {ONE}")).await;
    assert_eq!(files, ".gitignore\na\nb\ndeep\none\n");
    assert_eq!(user.state().await, before);
}

#[tokio::test]
async fn worktree_eight_at_once() {
    let user = User::new().await;
    let before = user.state().await;
    let make = |number: usize| {
        // Two of each: they find the same.
        create(user.site(), user.order(&format!("task {}", number / 2), &[]))
    };
    let made = futures_util::future::join_all((0..16).map(make)).await;
    let mut paths = Vec::new();
    for one in made {
        let Ok(Created::Ready(one)) = one else { panic!("{one:?}") };
        assert_eq!(user.sh_in(&one.path, "git status --porcelain; cat deep/er/c").await, "1\n");
        paths.push(one.path);
    }
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 8);
    assert_eq!(user.state().await, before);
}

#[tokio::test]
async fn worktree_locks_of_killed_processes_are_removed() {
    let user = User::new().await;
    let old = "touch -d '1 hour ago'";
    user.sh(&format!(
        "mkdir -p .git/refs/heads/copex/fleet-task/r; {old} .git/refs/heads/{ONE}.lock"
    ))
    .await;
    let one = user.create("one", &[]).await;
    let admin = user.admin(&one.path).await;
    user.sh(&format!("{old} '{}/index.lock' .git/refs/heads/{ONE}.lock", admin.display())).await;
    user.sh_in(&one.path, "echo 1 > one").await;
    assert!(user.commit("one").await.commit.is_some());
    user.sh_in(&one.path, "git add -A").await;
}

/// Nobody can tell yet whether they are held, so they are waited for.
#[tokio::test]
async fn worktree_locks_of_processes_killed_just_now_are_waited_for() {
    let user = User::new().await;
    let one = user.create("one", &[]).await;
    let admin = user.admin(&one.path).await;
    user.sh(&format!("touch '{}/HEAD.lock' .git/refs/heads/{ONE}.lock", admin.display())).await;
    user.sh_in(&one.path, "echo 1 > one").await;
    assert!(user.commit("one").await.commit.is_some());
    assert_eq!(user.sh_in(&one.path, "git status --porcelain").await, "");
}

#[tokio::test]
async fn worktree_none_is_made_among_the_users_files() {
    let user = User::new().await;
    let mut site = user.site();
    site.root = user.top().join("out");
    let why = create(site, user.order("one", &[])).await.unwrap_err();
    assert!(why.contains("is inside"), "{why}");
}

#[tokio::test]
async fn worktree_dropped_midway_it_is_made_the_next_time() {
    let user = User::new().await;
    let mut order = user.order("one", &[]);
    let command = "echo $$ > pid; sleep 300".to_owned();
    order.setup = Some(Step { command, timeout_ms: 60_000 });
    let pid = user.folder.path().join("state ä/worktrees/r/one/pid");
    let begun = async {
        while std::fs::read_to_string(&pid).unwrap_or_default().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        made = create(user.site(), order) => panic!("{made:?}"),
        () = begun => {}
    }
    let pid = std::fs::read_to_string(&pid).unwrap();
    let one = user.create("one", &[]).await;
    assert!(!one.adopted && !one.path.join("pid").exists());
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}
