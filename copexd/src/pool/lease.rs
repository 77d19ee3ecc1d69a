//! The right to use a session. Dropping it gives the session back.

use std::sync::Arc;

use super::Pool;
use super::place::Place;
use super::runtimes::Busy;
use super::sessions::Resting;
use crate::backend::Session;
use crate::backend::spec::SessionSpec;
use crate::runtime::clock;

/// A session on loan. Unless [`Lease::clean`] is called first, dropping it counts as a turn
/// that was left midway: the session is closed and not used warm again.
pub struct Lease {
    pool: Pool,
    session: Arc<dyn Session>,
    spec: SessionSpec,
    key: String,
    /// Turns that ended in the session since it was opened.
    turns: u32,
    clean: bool,
    place: Place,
    /// Taken when the lease is given back. None for a session of processes of its own.
    busy: Option<Busy>,
}

/// A session that is open, and who has it in.
pub(super) struct Open {
    pub(super) session: Arc<dyn Session>,
    /// None for a process per turn: nothing of it is kept warm.
    pub(super) busy: Option<Busy>,
    pub(super) turns: u32,
}

impl Lease {
    pub(super) fn new(
        pool: &Pool,
        open: Open,
        spec: &SessionSpec,
        key: String,
        place: Place,
    ) -> Self {
        let Open { session, busy, turns } = open;
        let (pool, spec, busy) = (pool.clone(), spec.clone(), busy.map(Busy::for_a_run));
        Self { pool, session, spec, key, turns, clean: false, place, busy }
    }

    /// The session.
    pub fn session(&self) -> Arc<dyn Session> {
        self.session.clone()
    }

    /// The place in the session's queue: who keeps it comes back before anybody else.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Closes the session and gives it back, in this order: who has its place opens it again.
    pub async fn close(self) {
        self.session.close().await;
    }

    /// The turn ended: the session may be used warm again.
    pub fn clean(mut self) {
        // One with a cassette belongs to its run alone.
        self.clean = self.spec.tape.is_none();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let busy = self.busy.take();
        let (pool, session) = (self.pool.clone(), self.session.clone());
        let (key, clean, place) = (self.key.clone(), self.clean, self.place.clone());
        let (spec, turns) = (self.spec.clone(), self.turns + 1);
        let tasks = pool.inner.tasks.clone();
        tasks.spawn("session return", async move {
            let Some(busy) = busy else {
                session.close().await;
                drop(place);
                return;
            };
            if clean {
                let host = busy.host().clone();
                pool.rest(Resting { session, host, key, since_ms: clock::now_ms(), turns }).await;
            } else {
                session.close().await;
            }
            // Only now may a runtime that is leaving end, and the next run have its turn.
            let leaving = !busy.host().serves();
            drop(busy);
            drop(place);
            if leaving {
                pool.wind_down().await;
            }
            if clean {
                pool.prepare_spares(&spec).await;
            }
        });
    }
}
