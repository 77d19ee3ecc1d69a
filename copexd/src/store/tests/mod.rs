//! Tests of the store, each on a real database in a folder of its own.

mod damage;
mod full;
mod kill;
mod measure;
mod records;
mod upkeep;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use copex_proto::id::{AskId, RunId, Seq, SessionId};

use super::{AskRecord, Commit, Op, OpenReport, RunSummary, SessionRecord, Store, StoreOptions};

const NOW: u64 = 1_700_000_000_000;

fn options() -> StoreOptions {
    StoreOptions::new(NOW, "epoch-1")
}

fn impatient() -> StoreOptions {
    StoreOptions { lock_wait: Duration::ZERO, ..options() }
}

fn open(dir: &Path) -> (Store, OpenReport) {
    Store::open(dir, options()).unwrap()
}

/// The n-th run, newer with n.
fn id(n: u64) -> RunId {
    RunId::new(NOW + n, 0)
}

fn run(n: u64) -> RunSummary {
    RunSummary {
        run: id(n),
        mode: "chat".to_owned(),
        state: "running".to_owned(),
        title: format!("question {n}"),
        cwd: Some(format!("/home/ada/{}", n % 3)),
        model: Some("gpt-5".to_owned()),
        session: None,
        accepted_at: NOW + n,
        begun_at: None,
        ended_at: None,
        last_seq: 1,
        resumed_from: None,
        key: Some(format!("key-{n}")),
        foreground: n.is_multiple_of(2),
        needs_key: None,
        sign_in: None,
        outcome: None,
    }
}

fn event(n: u64, seq: Seq, text: &str) -> Op {
    Op::AppendEvent { run: id(n), seq, bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

fn ask(name: &str, n: u64, closed_at: Option<u64>) -> AskRecord {
    AskRecord {
        ask: AskId(name.to_owned()),
        run: id(n),
        opened_at: NOW,
        due_at: Some(NOW + 1),
        closed_at,
        question: serde_json::json!({"tool": "shell"}),
        answer: None,
    }
}

fn session(name: &str, cwd: &str, used_at: u64) -> SessionRecord {
    SessionRecord {
        session: SessionId(name.to_owned()),
        cwd: cwd.to_owned(),
        created_at: NOW,
        used_at,
        run: Some(id(1)),
        detail: serde_json::json!({}),
    }
}

/// What a submit writes.
fn submit(n: u64) -> Commit {
    Commit::synced(vec![
        Op::PutRun(run(n)),
        Op::PutSpec { run: id(n), bytes: Bytes::from(format!("{{\"prompt\":\"{n}\"}}")) },
        Op::PutKey { key: format!("key-{n}"), run: id(n) },
        event(n, 1, "{\"type\":\"accepted\"}"),
    ])
}
