use super::*;
use crate::core::day::DAY_MS;
use crate::store::{RunSummary, StoreOptions};

const NOW: u64 = 20_000 * DAY_MS + 5;

fn store() -> (Store, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), StoreOptions::new(0, "epoch")).unwrap();
    (store, dir)
}

fn call(input: u64, premium: f64, estimate: Option<f64>) -> CallUsage {
    CallUsage {
        calls: 1,
        input_tokens: input,
        premium_requests: premium,
        estimated_cost: estimate,
        ..CallUsage::default()
    }
}

fn write(store: &Store, ops: Vec<Op>) {
    store.enqueue(Commit::flushed(ops)).unwrap().blocking_recv().unwrap().unwrap();
}

fn row(repository: &str, call: &CallUsage) -> Row {
    let mut row = Row { repository: repository.to_owned(), ..Row::default() };
    row.add(call);
    row
}

fn run(number: u32) -> RunId {
    RunId::new(NOW, number)
}

fn summary(run: RunId, state: &str, resumed_from: Option<RunId>) -> Op {
    Op::PutRun(RunSummary {
        run,
        mode: "chat".to_owned(),
        state: state.to_owned(),
        title: String::new(),
        cwd: None,
        model: None,
        session: None,
        accepted_at: NOW - DAY_MS,
        begun_at: None,
        ended_at: Some(NOW),
        last_seq: 1,
        resumed_from,
        key: None,
        foreground: false,
        needs_key: None,
        sign_in: None,
        outcome: None,
    })
}

#[test]
fn a_report_sums_by_what_was_asked() {
    let (store, _dir) = store();
    let (today, yesterday) = (Day::of(NOW), Day::of(NOW - DAY_MS));
    let rows = [
        (today, run(1), "a/big", row("/r", &call(10, 1.0, None))),
        (today, run(1), "small", row("/r", &call(20, 5.0, Some(0.5)))),
        (yesterday, run(1), "a/big", row("/r", &call(40, 2.0, None))),
        (today, run(2), "a/big", row("/s", &call(80, 4.0, None))),
    ];
    let ops = rows.iter().map(|(day, run, model, row)| put(&key(*day, *run, model), row));
    write(&store, ops.collect());
    let names = |by, since| {
        let report = report(&store, since, by, NOW).unwrap();
        let line = |it: SpendRow| (it.name, it.spending.usage.input_tokens, it.spending.cost);
        (report.rows.into_iter().map(line).collect::<Vec<_>>(), report.total, report.today)
    };
    let (models, total, of_today) = names(SpendBy::Model, None);
    let text = |text: &str| text.to_owned();
    assert_eq!(models, [(text("a/big"), 130, 7.0), (text("small"), 20, 0.5)]);
    assert_eq!((total.usage.input_tokens, total.cost, total.usage.calls), (150, 7.5, 4));
    assert_eq!((of_today.usage.input_tokens, of_today.cost), (110, 5.5));
    let days = names(SpendBy::Day, None).0;
    assert_eq!(days, [(today.to_string(), 110, 5.5), (yesterday.to_string(), 40, 2.0)]);
    let runs = names(SpendBy::Run, Some(today)).0;
    assert_eq!(runs, [(run(2).to_string(), 80, 4.0), (run(1).to_string(), 30, 1.5)]);
    let repositories = names(SpendBy::Repository, None).0;
    assert_eq!(repositories, [(text("/s"), 80, 4.0), (text("/r"), 70, 3.5)]);
    assert_eq!(cost_of_day(&store, NOW).ok(), Some(5.5));
}

#[test]
fn a_run_goes_on_with_what_those_before_it_spent_unless_they_ended_well() {
    let (store, _dir) = store();
    let yesterday = Day::of(NOW - DAY_MS);
    let mut ops = vec![
        summary(run(1), "done", None),
        summary(run(2), "exhausted", Some(run(1))),
        summary(run(3), "running", Some(run(2))),
    ];
    for (number, day) in [(1, yesterday), (2, yesterday), (2, Day::of(NOW)), (3, Day::of(NOW))] {
        ops.push(put(&key(day, run(number), "m"), &row("/r", &call(1, 1.0, None))));
    }
    write(&store, ops);
    let spent = |number| spent_before(&store, run(number)).unwrap();
    assert_eq!((spent(3).cost, spent(3).tokens), (3.0, 3.0));
    assert_eq!((spent(2).cost, spent(1).cost, spent(9).cost), (2.0, 0.0, 0.0));
}

#[test]
fn rows_go_after_their_time() {
    let (store, _dir) = store();
    let old = Day::of(NOW).before(KEPT_DAYS);
    let row = row("/r", &call(1, 1.0, None));
    let ops = [old.before(1), old, Day::of(NOW)].map(|day| put(&key(day, run(1), "m"), &row));
    write(&store, ops.to_vec());
    assert_eq!(retain(&store, NOW).unwrap(), 1);
    assert_eq!(retain(&store, NOW).unwrap(), 0);
    assert_eq!(rows(&store, b"").unwrap().len(), 2);
}

#[test]
fn the_repository_is_the_folder_that_holds_git() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b");
    std::fs::create_dir_all(&deep).unwrap();
    let name = |path: &Path| path.to_string_lossy().into_owned();
    std::fs::create_dir(dir.path().join("a/.git")).unwrap();
    assert_eq!(repository(&name(&deep)), name(&dir.path().join("a")));
}
