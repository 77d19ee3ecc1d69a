//! One run's event log: numbered, encoded once, committed, then visible.
//!
//! Watchers pull. The newest events are in a ring that everybody shares; who is further
//! behind reads the store by number. So a slow reader costs no memory and loses nothing,
//! and a hundred readers cost one encoding.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use copex_proto::event::{EventBody, RunEvent};
use copex_proto::id::{RunId, Seq};
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::runtime::clock;
use crate::store::{Commit, Durability, Health, Op, Store, StoreError};

/// Events that are shared from memory. A reader that keeps up is a few events behind; the
/// rest of the ring is for bursts.
const RING: usize = 1_024;

/// Bytes that a ring may hold: sixteen full tool results.
const RING_BYTES: usize = 1024 * 1024;

/// Bytes read from the store at once for a reader that is behind.
const PAGE_BYTES: usize = 1024 * 1024;

/// How long to leave a busy store alone: some of its commits.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// An encoded event with its number.
pub type Encoded = (Seq, Arc<RawValue>);

struct Ring {
    events: VecDeque<Encoded>,
    bytes: usize,
}

/// How far a log can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visible {
    /// The newest event that may be shown.
    pub last: Seq,
    /// Whether it is the terminal one.
    pub ended: bool,
}

/// One run's log. Only the run's own task appends.
pub struct RunLog {
    run: RunId,
    store: Store,
    ring: Mutex<Ring>,
    visible: watch::Sender<Visible>,
}

impl RunLog {
    /// The log of a run whose newest event is `last`.
    pub fn new(run: RunId, store: Store, last: Seq, ended: bool) -> Self {
        let ring = Mutex::new(Ring { events: VecDeque::new(), bytes: 0 });
        let (visible, _) = watch::channel(Visible { last, ended });
        Self { run, store, ring, visible }
    }

    /// How far it can be read, now and later.
    pub fn visible(&self) -> watch::Receiver<Visible> {
        self.visible.subscribe()
    }

    /// The newest number.
    pub fn last(&self) -> Seq {
        self.visible.borrow().last
    }

    /// Appends events, each with its place in a composite run, together with other changes,
    /// as one commit, and shows them.
    ///
    /// While the disk is full it waits for space: what was accepted goes on then.
    ///
    /// # Errors
    /// When the store refuses for good.
    pub async fn append(
        &self,
        bodies: Vec<(Option<String>, EventBody)>,
        mut ops: Vec<Op>,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let at = clock::now_ms();
        let before = self.last();
        let mut encoded = Vec::with_capacity(bodies.len());
        let mut ended = false;
        let mut seq = before;
        for (path, body) in bodies {
            seq += 1;
            ended |= body.is_terminal();
            let event = RunEvent { run: self.run, seq, at, path, body };
            let Ok(raw) = serde_json::value::to_raw_value(&event) else { continue };
            let bytes = Bytes::copy_from_slice(raw.get().as_bytes());
            ops.push(Op::AppendEvent { run: self.run, seq, bytes });
            encoded.push((seq, Arc::<RawValue>::from(raw)));
        }
        if ops.is_empty() {
            return Ok(());
        }
        self.commit(Commit { ops, durability }, before, seq).await?;
        if encoded.is_empty() {
            return Ok(());
        }
        self.share(encoded);
        self.visible.send_replace(Visible { last: seq, ended });
        Ok(())
    }

    async fn commit(&self, commit: Commit, before: Seq, last: Seq) -> Result<(), StoreError> {
        loop {
            let Err(error) = self.store.commit(commit.clone()).await else { return Ok(()) };
            if matches!(error, StoreError::Busy { .. }) {
                // Every place in the writer's queue is taken; it empties by itself.
                tokio::time::sleep(BUSY_PAUSE).await;
                continue;
            }
            let mut health = self.store.health();
            if !matches!(*health.borrow(), Health::Frozen(_)) {
                return Err(error);
            }
            tracing::warn!(run = %self.run, %error, "the run waits for the store");
            let open = |health: &Health| !matches!(health, Health::Frozen(_));
            let Ok(now) = health.wait_for(open).await else { return Err(error) };
            if matches!(*now, Health::Closed) {
                return Err(error);
            }
            drop(now);
            // The commit may have reached the disk before it failed.
            if last > before && self.store.last_seq(self.run)? >= last {
                return Ok(());
            }
        }
    }

    fn share(&self, encoded: Vec<Encoded>) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        for event in encoded {
            ring.bytes += event.1.get().len();
            ring.events.push_back(event);
        }
        while ring.events.len() > RING || (ring.bytes > RING_BYTES && ring.events.len() > 1) {
            let Some((_, dropped)) = ring.events.pop_front() else { break };
            ring.bytes -= dropped.get().len();
        }
    }

    /// Visible events after `after`, at most `limit`, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn read(&self, after: Seq, limit: usize) -> Result<Vec<Encoded>, StoreError> {
        let last = self.last();
        if after >= last || limit == 0 {
            return Ok(Vec::new());
        }
        {
            let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            if ring.events.front().is_some_and(|(first, _)| *first <= after + 1) {
                let fresh = ring.events.iter().filter(|(seq, _)| *seq > after && *seq <= last);
                return Ok(fresh.take(limit).cloned().collect());
            }
        }
        read_store(&self.store, self.run, after, limit)
    }
}

/// Events of any run straight from the store.
///
/// # Errors
/// When the store cannot be read.
pub fn read_store(
    store: &Store,
    run: RunId,
    after: Seq,
    limit: usize,
) -> Result<Vec<Encoded>, StoreError> {
    let events = store.events(run, after, limit, PAGE_BYTES)?;
    let decode = |(seq, bytes): (Seq, Bytes)| {
        let text = String::from_utf8(bytes.to_vec()).ok()?;
        let raw = RawValue::from_string(text).ok()?;
        Some((seq, Arc::<RawValue>::from(raw)))
    };
    Ok(events.into_iter().filter_map(decode).collect())
}
