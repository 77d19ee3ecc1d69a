//! Export, import and retention.

use super::*;
use crate::store::{RawTree, Retention, StoreError};

async fn varied(store: &Store) {
    for n in 1..=20 {
        store.commit(submit(n)).await.unwrap();
    }
    let raw = |key: &[u8], bytes: &'static [u8]| Op::PutRaw {
        tree: RawTree::Metrics,
        key: key.to_vec(),
        bytes: Bytes::from_static(bytes),
    };
    let ops = vec![
        event(3, 2, "not json"),
        event(3, 3, " {\"blanks\": \"around\"} "),
        event(3, 4, "{\n}"),
        event(3, 5, &format!("\"{}\"", "long ".repeat(20_000))),
        Op::PutCheckpoint { run: id(3), bytes: Bytes::from_static(&[0, 255, 10, 13]) },
        Op::PutAsk(ask("a", 3, None)),
        Op::PutSession(session("s", "/a", 1)),
        raw(&[0xff, 0], b""),
        raw(b"text", b"7"),
    ];
    store.commit(Commit::synced(ops)).await.unwrap();
}

fn exported(store: &Store) -> String {
    let mut out = Vec::new();
    store.export(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_export_comes_back_byte_for_byte() {
    let temp = tempfile::tempdir().unwrap();
    let (from, _) = open(&temp.path().join("from"));
    varied(&from).await;
    let (to, _) = open(&temp.path().join("to"));
    let text = exported(&from);
    let report = tokio::task::block_in_place(|| to.import(text.as_bytes())).unwrap();
    assert_eq!((report.records, report.skipped), (text.lines().count() as u64 - 1, 0));
    assert_eq!(exported(&to), text);
    assert_eq!(
        to.events(id(3), 0, 99, usize::MAX).unwrap(),
        from.events(id(3), 0, 99, usize::MAX).unwrap()
    );
    assert_eq!(to.open_asks().unwrap(), from.open_asks().unwrap());
    assert_eq!(to.latest_session_for_cwd("/a").unwrap(), Some(session("s", "/a", 1)));
    let again = tokio::task::block_in_place(|| to.import(text.as_bytes())).unwrap_err();
    assert!(matches!(again, StoreError::NotEmpty { .. }), "{again}");
}

#[test]
fn a_foreign_file_is_refused_by_line() {
    let temp = tempfile::tempdir().unwrap();
    let (store, _) = open(temp.path());
    let error = |text: &str| store.import(text.as_bytes()).unwrap_err().to_string();
    assert!(error("hello").starts_with("line 1 "));
    assert!(error("{\"copex_store\":99}").contains("format 99"));
    let line = "{\"copex_store\":1}\n{\"tree\":\"runs\",\"version\":1,\"json\":1}";
    assert!(error(line).starts_with("line 2 "));
    let unknown = "{\"copex_store\":1}\n{\"tree\":\"x\",\"key\":\"k\",\"version\":1,\"json\":1}";
    assert_eq!(store.import(unknown.as_bytes()).unwrap().skipped, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn old_runs_go_and_unfinished_ones_stay() {
    let temp = tempfile::tempdir().unwrap();
    let (store, _) = open(temp.path());
    varied(&store).await;
    for n in 1..=10 {
        let ended = RunSummary { ended_at: Some(NOW + n), ..run(n) };
        store.commit(Commit::flushed(vec![Op::PutRun(ended)])).await.unwrap();
    }
    let day = 24 * 60 * 60 * 1000;
    let now = NOW + 6 + 30 * day;
    let policy = Retention::default();
    let report = tokio::task::block_in_place(|| store.retain(policy, now)).unwrap();
    assert_eq!((report.by_age, report.by_size, report.size.runs), (5, 0, 20));
    assert_eq!(store.get_run(id(3)).unwrap(), None);
    assert_eq!(store.checkpoint(id(3)).unwrap(), None);
    assert_eq!(store.last_seq(id(3)).unwrap(), 0);
    assert!(store.asks_of(id(3)).unwrap().is_empty());
    assert_eq!(store.run_by_key("key-3").unwrap(), None);
    assert!(store.get_run(id(6)).unwrap().is_some());
    assert_eq!(store.unfinished_runs().unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_large_store_loses_its_oldest_runs_until_the_records_fit() {
    let temp = tempfile::tempdir().unwrap();
    let (store, _) = open(temp.path());
    for n in 0..10 {
        let ended = RunSummary { ended_at: (n > 0).then_some(NOW), ..run(n) };
        let spec = Op::PutSpec { run: id(n), bytes: vec![0; 100_000].into() };
        store.commit(Commit::flushed(vec![Op::PutRun(ended), spec])).await.unwrap();
    }
    // Room for five specs and a half, at two bytes of file for one of records.
    let policy = Retention { max_bytes: 1_100_000, ..Retention::default() };
    let report = tokio::task::block_in_place(|| store.retain(policy, NOW)).unwrap();
    assert_eq!((report.by_age, report.by_size), (0, 5));
    let left: Vec<_> = (0..10).filter(|n| store.get_run(id(*n)).unwrap().is_some()).collect();
    assert_eq!(left, vec![0, 6, 7, 8, 9], "the unfinished one stays");
}
