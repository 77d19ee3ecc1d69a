//! Each function is cut off again and again, a little later each time, with its processes
//! killed. In the end it has done what it would have done at once.

use super::*;

/// When the first call that begins at all is cut off: sooner than one command ends.
const LATER: Duration = Duration::from_millis(1);

/// Calls until one is not cut off; its result, and how many were.
async fn insist<T, F: Future<Output = Result<T, String>>>(call: impl Fn() -> F) -> (T, u32) {
    for tries in 0.. {
        if let Ok(done) = tokio::time::timeout(LATER * tries * tries, call()).await {
            return (done.unwrap(), tries);
        }
    }
    unreachable!()
}

#[tokio::test]
async fn worktree_cut_off_anywhere_the_next_call_ends_it() {
    let user = User::new().await;
    let before = user.state().await;
    let mut order = user.order("one", &[]);
    order.setup =
        Some(Step { command: "mkdir out; echo 1 > out/x".to_owned(), timeout_ms: 60_000 });
    let (made, cut) = insist(|| create(user.site(), order.clone())).await;
    assert!(cut > 2, "{cut}");
    let Created::Ready(one) = made else { panic!("{made:?}") };
    assert_eq!(
        user.sh_in(&one.path, "git status --porcelain; cat out/x deep/er/c").await,
        "1\n1\n"
    );

    user.sh_in(&one.path, "echo 1 > one; rm b").await;
    let work = Commit { task: "one".to_owned(), title: "one".to_owned(), detail: String::new() };
    let (made, cut) = insist(|| commit(user.site(), work.clone())).await;
    assert!(cut > 2, "{cut}");
    let commit = made.commit.unwrap();
    assert_eq!(
        user.sh_in(&one.path, "git status --porcelain; git rev-parse HEAD HEAD^").await,
        format!("{commit}\n{}\n", user.base)
    );

    let gate = Some(Step { command: "test -e one".to_owned(), timeout_ms: 60_000 });
    let merging = Merge { gate, ..user.merging("one") };
    let (made, cut) = insist(|| merge(user.site(), merging.clone())).await;
    assert!(cut > 2, "{cut}");
    let Merged::Done { commit: merged } = made else { panic!("{made:?}") };
    let parents = user.sh("git log -1 --format=%P copex/fleet/r").await;
    assert_eq!(parents, format!("{} {commit}\n", user.base));
    assert_eq!(user.tip("copex/fleet/r").await, merged);

    let (_, cut) = insist(|| clean(user.site(), clean::every(Which::This, false))).await;
    assert!(cut > 2, "{cut}");
    let left = user.sh("git for-each-ref --format='%(refname)' refs/heads/copex").await;
    assert_eq!(left, "refs/heads/copex/fleet/r\n");
    assert!(!one.path.parent().unwrap().exists());
    assert_eq!(user.state().await, before);
}
