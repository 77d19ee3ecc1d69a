//! Numbers, not verdicts: `cargo test -p copexd --release -- --ignored --nocapture measure`.

use super::*;
use crate::store::RunQuery;

#[expect(clippy::disallowed_methods, reason = "it measures, and asserts nothing on time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn quantiles(mut times: Vec<u128>) -> String {
    times.sort_unstable();
    format!("p50 {} us, p99 {} us", times[times.len() / 2], times[times.len() * 99 / 100])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "a measurement"]
async fn measure() {
    let temp = tempfile::tempdir().unwrap();
    let (store, _) = open(temp.path());
    let mut times = Vec::new();
    for n in 0..10_000 {
        let start = now();
        store.commit(submit(n)).await.unwrap();
        times.push(start.elapsed().as_micros());
    }
    println!("submit, first thousand: {}", quantiles(times[..1000].to_vec()));
    println!("submit, last thousand: {}", quantiles(times[9000..].to_vec()));

    let start = now();
    let page = store.list_runs(&RunQuery { limit: 50, ..RunQuery::default() }).unwrap();
    println!("list of {} of 10,000: {:?}", page.runs.len(), start.elapsed());
    let start = now();
    let none = RunQuery { states: vec!["no".to_owned()], limit: 50, ..RunQuery::default() };
    store.list_runs(&none).unwrap();
    println!("list that goes through all: {:?}", start.elapsed());
    let start = now();
    store.unfinished_runs().unwrap();
    println!("unfinished, 10,000 of them: {:?}", start.elapsed());

    let start = now();
    let mut answers = Vec::new();
    for seq in 2..=50_001 {
        let op = event(seq % 20, seq, &"x".repeat(300));
        loop {
            match store.enqueue(Commit::flushed(vec![op.clone()])) {
                Ok(answer) => break answers.push(answer),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    println!("50,000 events of 300 bytes, queued: {:?}", start.elapsed());
    let mut times = Vec::new();
    for seq in 1..2000 {
        let start = now();
        store.commit(Commit::flushed(vec![event(20_000, seq, "x")])).await.unwrap();
        times.push(start.elapsed().as_micros());
    }
    println!("one event at a time, flushed: {}", quantiles(times));

    let start = now();
    let spec = Op::PutSpec { run: id(1), bytes: vec![1; 64 << 20].into() };
    store.commit(Commit::synced(vec![spec])).await.unwrap();
    println!("64 MiB in one commit: {:?}", start.elapsed());
    println!("{:?}", store.size().unwrap());
    drop(store);
    let start = now();
    let (store, _) = open(temp.path());
    println!("open after an unclean stop: {:?}", start.elapsed());
    let start = now();
    store.close().await.unwrap();
    println!("close: {:?}", start.elapsed());
    let start = now();
    let (_store, _) = open(temp.path());
    println!("open after a clean one: {:?}", start.elapsed());
}
