use std::collections::BTreeMap;

use copex_proto::config::NotifyConfig;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::backend::process::Owner;
use crate::backend::upstream::Upstream;
use crate::core::governor::{Memory, Setup};
use crate::engine::key::Keys;
use crate::engine::{Accounts, Ambient};
use crate::pool::{Pool, PoolLimits};
use crate::runtime::meter::Meter;
use crate::runtime::tasks::Tasks;
use crate::store::{RunSummary, Store, StoreOptions};

/// Just short of the time that a client has to come back.
const ALMOST: Duration = Duration::from_millis(4_900);

/// An engine with one foreground run at work, which hears its commands here.
struct Stage {
    engine: Engine,
    run: RunId,
    commands: mpsc::Receiver<Command>,
    _dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(dir.path(), StoreOptions::new(0, "epoch")).unwrap();
        let owner = Owner::here("test");
        let tasks = Tasks::default();
        let upstream = Upstream::new(Setup::default(), Memory::default(), Meter::default());
        let pool = Pool::new(owner.clone(), tasks.clone(), PoolLimits::default(), upstream);
        let home = dir.path().to_owned();
        let (state, notify) = (home.clone(), NotifyConfig::default());
        let ambient = Ambient { env: BTreeMap::new(), home, owner, state, notify };
        let engine = Engine::new(store.clone(), pool, tasks, ambient, Accounts::default());
        let run = RunId::new(1, 1);
        let summary = RunSummary {
            run,
            mode: "chat".to_owned(),
            state: "running".to_owned(),
            title: String::new(),
            cwd: None,
            model: None,
            session: None,
            accepted_at: 0,
            begun_at: None,
            ended_at: None,
            last_seq: 1,
            resumed_from: None,
            key: None,
            foreground: true,
            needs_key: None,
            sign_in: None,
            outcome: None,
        };
        let log = Arc::new(RunLog::new(run, store, 1, false));
        let (_, commands) = engine.inner.registry.add(log, summary, Keys::lost());
        Self { engine, run, commands, _dir: dir }
    }

    /// A client that follows the run until the token is cancelled.
    fn client(&self) -> CancellationToken {
        let closed = CancellationToken::new();
        self.engine.attach(self.run, closed.clone());
        closed
    }

    /// Whether the run is told to end within `time`.
    async fn cancelled_within(&mut self, time: Duration) -> bool {
        matches!(timeout(time, self.commands.recv()).await, Ok(Some(Command::Cancel)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_five_seconds_after_its_last_client() {
    let mut stage = Stage::new();
    let (first, second) = (stage.client(), stage.client());
    first.cancel();
    assert!(!stage.cancelled_within(REATTACH * 10).await, "somebody still follows");
    second.cancel();
    assert!(!stage.cancelled_within(ALMOST).await);
    assert!(stage.cancelled_within(REATTACH).await);
}

#[tokio::test(start_paused = true)]
async fn every_client_that_comes_back_has_five_seconds_of_its_own() {
    let mut stage = Stage::new();
    let mut client = stage.client();
    for _ in 0..5 {
        client.cancel();
        assert!(!stage.cancelled_within(ALMOST).await);
        client = stage.client();
        tokio::task::yield_now().await;
    }
    client.cancel();
    assert!(!stage.cancelled_within(ALMOST).await, "an earlier leaving counts no more");
    assert!(stage.cancelled_within(REATTACH).await);
    assert!(!stage.cancelled_within(REATTACH * 10).await, "told once");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_leaves_cancels_nothing() {
    let mut stage = Stage::new();
    let (early, late) = (stage.client(), stage.client());
    early.cancel();
    tokio::task::yield_now().await;
    stage.engine.leave();
    late.cancel();
    assert!(!stage.cancelled_within(REATTACH * 10).await);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_events_of_a_daemon_that_leaves() {
    let stage = Stage::new();
    let (engine, run) = (stage.engine.clone(), stage.run);
    stage.engine.inner.tasks.spawn("leave", async move { engine.leave() });
    let wait = Duration::from_mins(1);
    let page = timeout(ALMOST, stage.engine.events(run, 1, 10, wait)).await;
    assert!(!page.expect("it does not wait").unwrap().ended);
}
