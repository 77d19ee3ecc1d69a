//! A fleet with `--git-finalize` survives the death of its daemon: the branch that is checked
//! out is forwarded once, to all that the tasks made.

use copex_tests::kills::points;
use copex_tests::tap::{Tap, Tapped, assert_whole, kinds};

use super::merges::{counted, told};
use super::*;

/// What each task depends on.
const SHAPE: [(&str, &[&str]); 4] = [("a", &[]), ("b", &[]), ("c", &["a"]), ("d", &["b", "c"])];

/// Kills at any point in the standing test; `COPEX_KILLS` asks for more.
const KILLS: usize = 4;

/// Events that a run of this fleet has, about.
const EVENTS: u64 = 60;

/// Writes a line into the task's file, then answers.
fn model(request: &RecordedRequest, folder: &str) -> Reply {
    let id = task(request);
    if request.tool_results().is_empty() {
        return Reply::tool(
            "bash",
            &shell(&format!("mkdir -p {folder}; echo {id} >> {folder}/{id}")),
        );
    }
    Reply::text(format!("answer of {id}"))
}

/// How often the branch was moved since it was here.
fn moves(product: &Product, before: &str) -> usize {
    let moved = trees::git(product, "git reflog show --format=%H main");
    moved.lines().take_while(|commit| *commit != before).count()
}

fn assert_landed_once(
    product: &Product,
    folder: &str,
    before: &str,
    all: &[Tapped],
    context: &str,
) {
    let of = |kind: &str| -> Vec<Value> {
        all.iter().filter(|event| event.kind == kind).map(Tapped::value).collect()
    };
    assert_eq!(kinds(all).last(), Some(&"done"), "{context}");
    let warned: Vec<Value> =
        of("warning").into_iter().filter(|warning| warning["code"] == "finalize").collect();
    assert!(warned.is_empty(), "{warned:?}: {context}");
    let landed: Vec<Value> =
        of("artifact").into_iter().filter(|made| made["kind"] == "finalized").collect();
    let head = trees::git(product, "git rev-parse main");
    assert_eq!(landed.len(), 1, "{landed:?}: {context}");
    assert_eq!(landed[0]["file"], format!("main {head}"), "{context}");
    assert_eq!(moves(product, before), 1, "{context}");
    let first = trees::git(product, "git rev-list --first-parent main");
    assert!(first.lines().any(|commit| commit == before), "nothing is rewritten: {context}");
    let ran = of("tool_end").into_iter().filter(|event| event["success"] == true);
    let ran: BTreeSet<String> =
        ran.map(|event| event["path"].as_str().unwrap().to_owned()).collect();
    // A tool that was cut off is told to the model as interrupted, and not run again.
    assert!(ran.len() + 2 >= SHAPE.len(), "two run at once: {ran:?}: {context}");
    for id in &ran {
        assert_eq!(read(product, &format!("{folder}/{id}")), format!("{id}\n"), "{context}");
    }
    let subjects = trees::git(product, &format!("git log --no-merges --format=%s {before}..main"));
    let commits = counted(subjects.lines().map(str::to_owned));
    assert!(commits.values().all(|count| *count == 1), "{commits:?}: {context}");
    let left = "git status --porcelain; git worktree list | wc -l; \
                git branch --list 'copex/fleet-task/*'; git branch --show-current";
    assert_eq!(trees::git(product, left), "1\nmain", "{context}");
}

#[test]
fn kills_forward_the_branch_once_and_to_everything() {
    let mut product = Product::start();
    trees::repository(&product);
    trees::git(
        &product,
        "git checkout -q mine; echo '*.toml' > .gitignore; git add . && git commit -qm second",
    );
    let tasks: Vec<(&str, &[&str], &str)> =
        SHAPE.iter().map(|(id, depends_on)| (*id, *depends_on, "")).collect();
    put(&product, "tasks.toml", &toml(&tasks));
    // The last kill comes when all tasks are done, while the branch is forwarded.
    let points = points(KILLS, EVENTS).into_iter().map(Some).chain([None]);
    for (index, point) in points.enumerate() {
        let folder = format!("run{index}");
        let for_model = folder.clone();
        product.model.respond(move |request| model(request, &for_model));
        let before = trees::git(&product, "git rev-parse main");
        // By turns a fast-forward, and one merge commit.
        let words = format!("--git-message=All of {folder}");
        let how = if index % 2 == 0 { "--git-finalize" } else { words.as_str() };
        let run = fleet(&product, ["-f", "tasks.toml", how, "--detach"]).ok().trim().to_owned();
        let (mut seen, mut done) = (0, 0);
        let first = Tap::watch(&product.daemon.socket(), &run, 0).until(|event| {
            seen += 1;
            done += usize::from(event.kind == "task" && event.value()["state"] == "done");
            let enough = point.map_or(done == SHAPE.len(), |point| seen >= point);
            enough || event.is_terminal()
        });
        let _killed = product.daemon.kill9();
        product.daemon.restart();
        let all = Tap::watch(&product.daemon.socket(), &run, 0).follow();
        let context = format!("killed after {seen} of {}: {:?}", all.len(), kinds(&all));
        assert_whole(&all);
        assert_eq!(first, all[..first.len()], "{context}");
        assert_eq!(told(&all, "done").len(), SHAPE.len(), "{context}");
        assert_landed_once(&product, &folder, &before, &all, &context);
        if index % 2 == 1 {
            let merge = trees::git(&product, "git log -1 --format='%s, %p' main");
            assert!(merge.starts_with(&format!("All of {folder}, ")), "{merge}: {context}");
        }
    }
}
