//! The runs at work.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::event::EventBody;
use copex_proto::id::RunId;
use copex_proto::run::RunState;
use tokio::sync::{Notify, mpsc, watch};

use super::events;
use super::key::Keys;
use super::log::RunLog;
use super::submit::state_name;
use crate::backend::errand::Activity;
use crate::core::ids::Ids;
use crate::core::machine::Resolution;
use crate::runtime::clock;
use crate::store::{Op, RunSummary};

/// Runs at work at once. Each costs a task, a session and its ring of events; more than
/// this is a loop gone wild and not a person's work.
pub(super) const MOST_LIVE_RUNS: usize = 1_024;

/// Commands that wait for a run: cancels and answers, which are rare.
const COMMANDS: usize = 64;

/// How soon to ask again when all places are taken.
const RETRY_MS: u64 = 2_000;

/// What a run can be told.
#[derive(Debug)]
pub(super) enum Command {
    /// End.
    Cancel,
    /// Go on now, if it is parked.
    Wake,
    /// Hear more in the turn under way. Replied with why not, once that is in the journal.
    Steer(String, tokio::sync::oneshot::Sender<Result<(), &'static str>>),
    /// A question was answered. Replied with whether this answer was the first.
    Answer(Resolution, tokio::sync::oneshot::Sender<bool>),
}

/// A run at work.
pub(super) struct Live {
    /// Its log.
    pub(super) log: Arc<RunLog>,
    /// Its summary as last recorded.
    pub(super) summary: watch::Sender<RunSummary>,
    /// Tells it things.
    pub(super) commands: mpsc::Sender<Command>,
    /// What its model request is doing.
    pub(super) activity: Activity,
    /// Connections that follow it.
    pub(super) attached: watch::Sender<usize>,
    /// What clients handed over for it.
    pub(super) keys: Keys,
}

/// The runs at work, by id.
#[derive(Default)]
pub(super) struct Registry {
    runs: Mutex<HashMap<RunId, Arc<Live>>>,
    ids: Mutex<Ids>,
    closed: AtomicBool,
    changed: Notify,
    /// Rings when what lists show of a run has changed.
    bell: watch::Sender<u64>,
}

impl Registry {
    /// Adds a run and gives the end where it hears commands.
    pub(super) fn add(
        &self,
        log: Arc<RunLog>,
        summary: RunSummary,
        keys: Keys,
    ) -> (Arc<Live>, mpsc::Receiver<Command>) {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let run = summary.run;
        let (summary, _) = watch::channel(summary);
        let (attached, _) = watch::channel(0);
        let live = Arc::new(Live {
            log,
            summary,
            commands,
            activity: Activity::default(),
            attached,
            keys,
        });
        self.lock().insert(run, live.clone());
        self.ring();
        (live, inbox)
    }

    /// Whether another run may begin.
    ///
    /// # Errors
    /// `Unavailable` while draining, `Overloaded` when all places are taken.
    pub(super) fn admit(&self) -> Result<(), ErrorInfo> {
        if self.closed.load(Ordering::Relaxed) {
            let message = "the daemon is stopping and takes no new runs";
            return Err(ErrorInfo::new(ErrorClass::Unavailable, message).retry_after(RETRY_MS));
        }
        let working = self.lock().values().filter(|live| !live.parked()).count();
        if working >= MOST_LIVE_RUNS {
            let message = format!("{MOST_LIVE_RUNS} runs are at work already");
            return Err(ErrorInfo::new(ErrorClass::Overloaded, message)
                .retry_after(RETRY_MS)
                .with_hint("`copexctl runs list` shows them; cancel some, or wait"));
        }
        Ok(())
    }

    /// A name for a new run, above all that this daemon gave: recovery goes by names.
    pub(super) fn next_id(&self, now_ms: u64) -> RunId {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let (ms, chance) = ids.next(now_ms, clock::chance());
        RunId::new(ms, chance)
    }

    /// The run, if it is at work.
    pub(super) fn get(&self, run: RunId) -> Option<Arc<Live>> {
        self.lock().get(&run).cloned()
    }

    /// An unfinished run that speaks in this session.
    pub(super) fn speaking_in(&self, session: &str) -> Option<RunId> {
        let speaks = |live: &&Arc<Live>| {
            live.summary.borrow().session.as_ref().is_some_and(|it| it.0 == session)
        };
        self.lock().values().find(speaks).map(|live| live.summary.borrow().run)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<RunId> {
        self.lock().keys().copied().collect()
    }

    /// Takes out a run that ended.
    pub(super) fn remove(&self, run: RunId) {
        self.lock().remove(&run);
        self.changed.notify_waiters();
        self.ring();
    }

    /// Tells whoever looks on that lists are to be read again.
    pub(super) fn ring(&self) {
        self.bell.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Hears [`Registry::ring`].
    pub(super) fn bell(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    /// All of them, as last recorded.
    pub(super) fn summaries(&self) -> Vec<RunSummary> {
        self.lock().values().map(|live| live.summary.borrow().clone()).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.lock().len()).unwrap_or(u32::MAX)
    }

    /// Admits nobody from now on.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// A run parked, or went on.
    pub(super) fn look_again(&self) {
        self.changed.notify_waiters();
    }

    /// Fires when none is at work: parked ones wait in the journal.
    pub(super) async fn emptied(&self) {
        loop {
            let changed = self.changed.notified();
            if self.lock().values().all(|live| live.parked()) {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Arc<Live>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// Whether it waits for a moment, and costs nothing meanwhile.
    pub(super) fn parked(&self) -> bool {
        self.summary.borrow().state == state_name(RunState::Parked)
    }

    /// It has its places in the queues. Kept with what the journal has of it next.
    pub(super) fn begin(&self) {
        self.summary.send_if_modified(|summary| {
            let first = summary.begun_at.is_none();
            if first {
                summary.begun_at = Some(clock::now_ms());
            }
            first
        });
    }

    /// How long it took until `now`, in milliseconds: nothing while it waits in queues.
    pub(super) fn took(&self, now: u64) -> u64 {
        now.saturating_sub(self.summary.borrow().begun_at.unwrap_or(now))
    }

    /// The changed summary, as an operation of the same commit.
    pub(super) fn record(&self, placed: &[(Option<String>, EventBody)]) -> Option<Op> {
        let bodies = || placed.iter().map(|(_, body)| body);
        let state = bodies().filter_map(events::state_after).next_back();
        let attempt = bodies().any(|body| matches!(body, EventBody::Attempt(_)));
        if state.is_none() && !attempt {
            return None;
        }
        let last_seq = self.log.last() + placed.len() as u64;
        let terminal = bodies().rev().find(|body| body.is_terminal());
        let stands = bodies().rev().find(|body| events::state_after(body).is_some());
        self.summary.send_modify(|summary| {
            summary.last_seq = last_seq;
            if let Some(state) = state {
                state_name(state).clone_into(&mut summary.state);
            }
            if let Some(body) = stands {
                summary.needs_key = match body {
                    EventBody::Parked { needs_key, .. } => needs_key.clone(),
                    _ => None,
                };
            }
            if let Some(terminal) = terminal {
                summary.ended_at = Some(clock::now_ms());
                summary.outcome = serde_json::to_value(terminal).ok();
            }
        });
        Some(Op::PutRun(self.summary.borrow().clone()))
    }
}
