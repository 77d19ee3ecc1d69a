//! A fleet whose tasks have worktrees survives the death of its daemon: what is done stays
//! done, and every merge happens once.

use copex_tests::kills::points;
use copex_tests::tap::{Tap, Tapped, assert_whole, kinds};

use super::*;

/// Tasks of the fleet.
const TASKS: usize = 20;

/// Kills in the standing test; `COPEX_KILLS` asks for more.
const KILLS: usize = 6;

/// Events that a run of this fleet has, about.
const EVENTS: u64 = 290;

fn id(number: usize) -> String {
    format!("t{number}")
}

/// Tasks in rows of five; but for the first row each needs one or two of the row before.
fn tasks() -> String {
    let needs = |number: usize| -> Vec<String> {
        match number {
            0..5 => Vec::new(),
            _ if number.is_multiple_of(3) => vec![id(number - 5), id(5 * (number / 5) - 1)],
            _ => vec![id(number - 5)],
        }
    };
    let needs: Vec<(String, Vec<String>)> = (0..TASKS).map(|it| (id(it), needs(it))).collect();
    let one = |(id, needs): &(String, Vec<String>)| {
        let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
        toml(&[(id, &needs, "")])
    };
    needs.iter().map(one).collect()
}

/// Writes a line into the task's file, then answers.
fn model(request: &RecordedRequest) -> Reply {
    let id = task(request);
    if request.tool_results().is_empty() {
        return Reply::tool("bash", &shell(&format!("mkdir -p work; echo {id} >> work/{id}")));
    }
    Reply::text(format!("answer of {id}"))
}

/// The tasks of which this was told.
pub(super) fn told(events: &[Tapped], state: &str) -> Vec<String> {
    let tasks = events.iter().filter(|event| event.kind == "task").map(Tapped::value);
    let told = tasks.filter(|task| task["state"] == state);
    told.filter_map(|task| Some(task["id"].as_str()?.to_owned())).collect()
}

/// How often something is there.
pub(super) fn counted(all: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

fn assert_merged_once(product: &Product, run: &str, all: &[Tapped], context: &str) {
    let branch = format!("copex/fleet/{run}");
    let subjects = trees::git(product, &format!("git log --format=%s {branch} -- work"));
    let commits = counted(subjects.lines().map(str::to_owned));
    assert!(commits.values().all(|count| *count == 1), "{commits:?}: {context}");
    let of = |kind: &str| -> Vec<Value> {
        all.iter().filter(|event| event.kind == kind).map(Tapped::value).collect()
    };
    let path = |event: Value| event["path"].as_str().unwrap().to_owned();
    let merges = of("artifact").into_iter().filter(|event| event["kind"] == "commit").map(path);
    let merges = counted(merges);
    let ran = of("tool_end").into_iter().filter(|event| event["success"] == true).map(path);
    let ran: BTreeSet<String> = ran.collect();
    assert!(ran.len() + 5 >= TASKS, "five run at once, and one kill cuts off no more: {context}");
    for id in &ran {
        assert_eq!(merges.get(id), Some(&1), "{id}: {merges:?}: {context}");
        let file = trees::git(product, &format!("git show {branch}:work/{id}"));
        assert_eq!(file, *id, "its line is there once: {context}");
    }
    assert!(merges.values().all(|count| *count == 1), "{merges:?}: {context}");
    let left =
        trees::git(product, "git worktree list | wc -l; git branch --list 'copex/fleet-task/*'");
    assert_eq!(left, "1", "{context}");
}

#[test]
fn kills_run_no_finished_task_again_and_make_no_merge_twice() {
    let mut product = Product::start();
    trees::repository(&product);
    let before = trees::standing(&product);
    put(&product, "tasks.toml", &tasks());
    product.model.respond(model);
    for point in points(KILLS, EVENTS) {
        let run = fleet(&product, ["--file", "tasks.toml", "--detach"]).ok().trim().to_owned();
        let mut seen = 0;
        let first = Tap::watch(&product.daemon.socket(), &run, 0).until(|event| {
            seen += 1;
            seen >= point || event.is_terminal()
        });
        let _killed = product.daemon.kill9();
        let asked = product.model.requests().len();
        product.daemon.restart();
        let all = Tap::watch(&product.daemon.socket(), &run, 0).follow();
        let said = all.iter().filter(|event| event.kind == "warning").chain(all.last());
        let said: Vec<Value> = said.map(Tapped::value).collect();
        let context =
            format!("killed after {point} of {}: {said:#?}: {:?}", all.len(), kinds(&all));
        assert_whole(&all);
        assert_eq!(first, all[..first.len()], "{context}");
        assert_eq!(kinds(&all).last(), Some(&"done"), "{context}");
        for state in ["running", "done"] {
            let counts = counted(told(&all, state));
            assert_eq!(counts.len(), TASKS, "{state}: {context}");
            assert!(counts.values().all(|count| *count == 1), "{state}: {counts:?}: {context}");
        }
        let done = told(&first, "done");
        let again: Vec<String> = product.model.requests()[asked..].iter().map(task).collect();
        assert!(!again.iter().any(|id| done.contains(id)), "{again:?} {done:?}: {context}");
        assert_merged_once(&product, &run, &all, &context);
        assert_eq!(trees::standing(&product), before, "{context}");
    }
}
