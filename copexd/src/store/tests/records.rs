//! What goes in comes out.

use super::*;
use crate::store::index;
use crate::store::keys::Tree;
use crate::store::{RawTree, RunQuery, StoreError};

#[tokio::test]
async fn a_submitted_run_is_there_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let (store, report) = open(dir.path());
    assert!(report.fresh && report.was_clean && report.epoch_changed);
    store.commit(submit(1)).await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.get_run(id(1)), Err(StoreError::Closed { .. })));
    assert!(matches!(store.commit(submit(2)).await, Err(StoreError::Closed { .. })));
    let other = StoreOptions { fresh_epoch: "epoch-2".to_owned(), ..options() };
    let (store, report) = Store::open(dir.path(), other).unwrap();
    assert!(!report.fresh && report.was_clean && !report.epoch_changed);
    assert_eq!(store.epoch(), "epoch-1");
    assert_eq!(store.get_run(id(1)).unwrap(), Some(run(1)));
    assert_eq!(store.get_spec(id(1)).unwrap().unwrap(), "{\"prompt\":\"1\"}");
    assert_eq!(store.run_by_key("key-1").unwrap(), Some(id(1)));
    assert_eq!(store.last_seq(id(1)).unwrap(), 1);
    assert_eq!(store.unfinished_runs().unwrap(), vec![run(1)]);
    assert_eq!(store.get_run(id(2)).unwrap(), None);
}

#[tokio::test]
async fn large_values_come_back_and_leave_no_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let pattern = |n: usize, salt: u8| -> Bytes {
        (0..n).map(|i| u8::try_from(i % 251).unwrap() ^ salt).collect::<Vec<_>>().into()
    };
    let (five, three, event) = (pattern(5_000_000, 1), pattern(3_000_001, 2), pattern(100_000, 3));
    let spec = |bytes: &Bytes| Op::PutSpec { run: id(1), bytes: bytes.clone() };
    store.commit(Commit::flushed(vec![Op::PutRun(run(1)), spec(&five)])).await.unwrap();
    assert_eq!(store.get_spec(id(1)).unwrap().unwrap(), five);
    // Replaced twice in one commit: neither leaves pieces behind.
    let log = Op::AppendEvent { run: id(1), seq: 1, bytes: event.clone() };
    store.commit(Commit::flushed(vec![spec(&five), spec(&three), log])).await.unwrap();
    assert_eq!(store.get_spec(id(1)).unwrap().unwrap(), three);
    assert_eq!(store.events(id(1), 0, 10, usize::MAX).unwrap(), vec![(1, event)]);
    store.commit(Commit::flushed(vec![Op::DeleteRun(id(1))])).await.unwrap();
    assert!(store.shared.read(|db| Ok(db.is_empty())).unwrap());
    let blobs = std::fs::read_dir(dir.path().join("sled/blobs")).unwrap().count();
    assert_eq!(blobs, 0, "sled never deletes blobs");
}

#[tokio::test]
async fn the_largest_value_fits_and_one_more_byte_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let largest = Bytes::from(vec![7; 64 * 1024 * 1024]);
    let put = |bytes| Commit::synced(vec![Op::PutSpec { run: id(1), bytes }]);
    store.commit(put(largest.clone())).await.unwrap();
    assert!(store.get_spec(id(1)).unwrap().unwrap() == largest);
    let above = Bytes::from(vec![7; 64 * 1024 * 1024 + 1]);
    let refused = store.commit(put(above)).await.unwrap_err();
    assert!(matches!(refused, StoreError::TooLarge { tree: "specs", .. }), "{refused}");
}

#[tokio::test]
async fn a_list_pages_through_a_thousand_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.commit(Commit::flushed((0..1000).map(|n| Op::PutRun(run(n))).collect())).await.unwrap();
    let mut query = RunQuery { limit: 70, ..RunQuery::default() };
    let mut seen = Vec::new();
    loop {
        let page = store.list_runs(&query).unwrap();
        seen.extend(page.runs.iter().map(|run| run.run));
        query.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..1000).rev().map(id).collect::<Vec<_>>());
    let here = RunQuery { cwd: Some("/home/ada/0".to_owned()), limit: 334, ..RunQuery::default() };
    let page = store.list_runs(&here).unwrap();
    assert_eq!((page.runs.len(), page.next), (334, None));
    let ended = RunQuery { states: vec!["done".to_owned()], limit: 5, ..RunQuery::default() };
    assert!(store.list_runs(&ended).unwrap().runs.is_empty());
    let even = RunQuery { limit: 1000, ..RunQuery::default() };
    assert_eq!(store.list_runs_where(&even, |run| run.foreground).unwrap().runs.len(), 500);
}

#[tokio::test]
async fn events_come_in_order_within_limits() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    for n in [1, 2] {
        let ops = (1..=300).map(|seq| event(n, seq, "0123456789")).collect();
        store.commit(Commit::flushed(ops)).await.unwrap();
    }
    let seqs = |after, limit, bytes| -> Vec<Seq> {
        let events = store.events(id(1), after, limit, bytes).unwrap();
        events.into_iter().map(|(seq, _)| seq).collect()
    };
    assert_eq!(seqs(0, 1000, 1 << 20), (1..=300).collect::<Vec<_>>());
    assert_eq!(seqs(254, 3, 1 << 20), vec![255, 256, 257]);
    assert_eq!(seqs(0, 1000, 25), vec![1, 2]);
    assert_eq!(seqs(0, 1000, 1), vec![1], "one always fits");
    assert!(seqs(300, 1000, 1 << 20).is_empty());
    assert_eq!(store.last_seq(id(2)).unwrap(), 300);
    assert_eq!(store.last_seq(id(3)).unwrap(), 0);
}

#[tokio::test]
async fn an_event_is_never_overwritten_and_its_commit_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.commit(submit(1)).await.unwrap();
    let again = Commit::flushed(vec![Op::PutRun(run(9)), event(1, 1, "other")]);
    // In one group with commits that are right: only the wrong one is refused.
    let wrong = store.enqueue(again).unwrap();
    let right = store.enqueue(Commit::flushed(vec![event(1, 2, "two")])).unwrap();
    let twice = store.enqueue(Commit::flushed(vec![event(1, 3, "a"), event(1, 3, "b")])).unwrap();
    let error = wrong.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::IllegalSeq { seq: 1, last: 1, .. }), "{error}");
    right.await.unwrap().unwrap();
    assert!(matches!(twice.await.unwrap(), Err(StoreError::IllegalSeq { seq: 3, last: 3, .. })));
    assert_eq!(store.get_run(id(9)).unwrap(), None);
    assert_eq!(store.last_seq(id(1)).unwrap(), 2);
    let first = store.events(id(1), 0, 1, 1 << 20).unwrap();
    assert_eq!(first[0].1, "{\"type\":\"accepted\"}");
}

#[tokio::test]
async fn a_key_stays_with_its_run_until_the_run_goes() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    store.commit(submit(1)).await.unwrap();
    store
        .commit(Commit::flushed(vec![Op::PutKey { key: "key-1".into(), run: id(1) }]))
        .await
        .unwrap();
    let taken = Op::PutKey { key: "key-1".into(), run: id(2) };
    let error = store.commit(Commit::flushed(vec![taken.clone()])).await.unwrap_err();
    assert!(matches!(error, StoreError::KeyTaken { run, .. } if run == id(1)), "{error}");
    store.commit(Commit::flushed(vec![Op::DeleteRun(id(1))])).await.unwrap();
    store.commit(Commit::flushed(vec![taken])).await.unwrap();
    assert_eq!(store.run_by_key("key-1").unwrap(), Some(id(2)));
}

#[tokio::test]
async fn asks_are_found_by_run_and_while_open() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let asks = [ask("a", 1, None), ask("b", 1, Some(NOW)), ask("c", 2, None)];
    let ops = asks.iter().cloned().map(Op::PutAsk).collect();
    store.commit(Commit::synced(ops)).await.unwrap();
    assert_eq!(store.asks_of(id(1)).unwrap(), asks[..2].to_vec());
    assert_eq!(store.open_asks().unwrap(), vec![asks[0].clone(), asks[2].clone()]);
    store.commit(Commit::synced(vec![Op::PutAsk(ask("a", 1, Some(NOW)))])).await.unwrap();
    assert_eq!(store.open_asks().unwrap(), vec![asks[2].clone()]);
    store.commit(Commit::flushed(vec![Op::DeleteRun(id(2))])).await.unwrap();
    assert_eq!(store.ask(&AskId("c".to_owned())).unwrap(), None);
    assert!(store.open_asks().unwrap().is_empty());
}

#[tokio::test]
async fn the_latest_session_of_a_folder_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let put = |session| Commit::flushed(vec![Op::PutSession(session)]);
    let latest =
        |cwd: &str| store.latest_session_for_cwd(cwd).unwrap().map(|session| session.session.0);
    store.commit(put(session("old", "/a", 10))).await.unwrap();
    store.commit(put(session("new", "/a", 20))).await.unwrap();
    store.commit(put(session("older", "/a", 5))).await.unwrap();
    assert_eq!(latest("/a").as_deref(), Some("new"));
    store.commit(put(session("old", "/a", 30))).await.unwrap();
    assert_eq!(latest("/a").as_deref(), Some("old"));
    store.commit(put(session("old", "/b", 40))).await.unwrap();
    assert_eq!((latest("/a").as_deref(), latest("/b").as_deref()), (Some("new"), Some("old")));
    let delete = Op::DeleteSession(SessionId("new".to_owned()));
    store.commit(Commit::flushed(vec![delete])).await.unwrap();
    assert_eq!(latest("/a").as_deref(), Some("older"));
    assert_eq!(latest("/c"), None);
    assert_eq!(store.sessions().unwrap().len(), 2);
}

#[tokio::test]
async fn the_indexes_can_be_built_again_from_the_records() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let ended = RunSummary { ended_at: Some(NOW), ..run(2) };
    let ops = vec![
        Op::PutRun(run(1)),
        Op::PutRun(ended),
        Op::PutAsk(ask("a", 1, None)),
        Op::PutAsk(ask("b", 1, Some(NOW))),
        Op::PutSession(session("new", "/a", 20)),
        Op::PutSession(session("old", "/a", 10)),
    ];
    store.commit(Commit::flushed(ops)).await.unwrap();
    let rebuilt = store.shared.read(|db| {
        db.tree(Tree::Live).clear().unwrap();
        db.tree(Tree::AskIndex).clear().unwrap();
        db.tree(Tree::CwdIndex).insert("/a", "old").unwrap();
        db.tree(Tree::CwdIndex).insert("/gone", "gone").unwrap();
        index::rebuild(db)
    });
    rebuilt.unwrap();
    assert_eq!(store.unfinished_runs().unwrap(), vec![run(1)]);
    assert_eq!(store.open_asks().unwrap(), vec![ask("a", 1, None)]);
    assert_eq!(store.asks_of(id(1)).unwrap().len(), 2);
    assert_eq!(store.latest_session_for_cwd("/a").unwrap().unwrap().session.0, "new");
    assert_eq!(store.latest_session_for_cwd("/gone").unwrap(), None);
}

#[tokio::test]
async fn checkpoints_and_raw_values_are_replaced_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let raw = |bytes: &'static str| Op::PutRaw {
        tree: RawTree::Breakers,
        key: b"gpt/5".to_vec(),
        bytes: Bytes::from_static(bytes.as_bytes()),
    };
    let point = |bytes: &'static str| Op::PutCheckpoint { run: id(1), bytes: bytes.into() };
    store
        .commit(Commit::synced(vec![raw("one"), point("1"), raw("two"), point("2")]))
        .await
        .unwrap();
    assert_eq!(store.get_raw(RawTree::Breakers, b"gpt/5").unwrap().unwrap(), "two");
    assert_eq!(store.get_raw(RawTree::Spend, b"gpt/5").unwrap(), None);
    assert_eq!(store.scan_raw(RawTree::Breakers, b"gpt/").unwrap().len(), 1);
    assert_eq!(store.checkpoint(id(1)).unwrap().unwrap(), "2");
    let key = b"gpt/5".to_vec();
    let delete = vec![Op::DeleteRaw { tree: RawTree::Breakers, key }, Op::DeleteCheckpoint(id(1))];
    store.commit(Commit::flushed(delete)).await.unwrap();
    assert_eq!(store.get_raw(RawTree::Breakers, b"gpt/5").unwrap(), None);
    assert_eq!(store.checkpoint(id(1)).unwrap(), None);
}
