//! How many clients are connected: one counter for the limit and for `daemon.status`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Counts open connections. Clones share the count.
#[derive(Debug, Clone)]
pub struct Connections {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: u32,
    open: AtomicU32,
    accepted: AtomicU64,
}

/// One open connection. Dropping it makes room.
#[derive(Debug)]
pub(super) struct Slot {
    number: u64,
    shared: Arc<Shared>,
}

impl Connections {
    /// A counter that admits `limit` connections at once.
    pub fn new(limit: u32) -> Self {
        let shared = Shared { limit, open: AtomicU32::new(0), accepted: AtomicU64::new(0) };
        Self { shared: Arc::new(shared) }
    }

    /// Connections open now.
    pub fn count(&self) -> u32 {
        self.shared.open.load(Ordering::Acquire)
    }

    /// The most there may be.
    pub fn limit(&self) -> u32 {
        self.shared.limit
    }

    /// Room for one more, or nothing when the limit is reached.
    pub(super) fn admit(&self) -> Option<Slot> {
        let room = |open: u32| (open < self.shared.limit).then(|| open + 1);
        let open = &self.shared.open;
        open.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).ok()?;
        let number = self.shared.accepted.fetch_add(1, Ordering::Relaxed) + 1;
        Some(Slot { number, shared: Arc::clone(&self.shared) })
    }
}

impl Slot {
    /// The connection's number, from 1, never given twice.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::AcqRel);
    }
}
