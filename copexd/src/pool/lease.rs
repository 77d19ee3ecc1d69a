//! The right to use a session. Dropping it gives the session back.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Pool;
use super::place::Place;
use super::runtimes::Busy;
use super::sessions::Resting;
use crate::backend::Session;
use crate::backend::spec::SessionSpec;
use crate::runtime::clock;

/// Where a session runs.
pub(super) enum Home {
    /// In a runtime of ours, with others.
    Runtime(Busy),
    /// In a process of its own for each turn: nothing of it is kept warm.
    Cli,
}

/// A session on loan. Dropping it instead of [`Lease::give_back`] counts as a turn
/// that was left midway: the session is closed and not used warm again.
pub struct Lease {
    pool: Pool,
    session: Arc<dyn Session>,
    /// Taken when the lease is given back.
    home: Option<Home>,
    spec: SessionSpec,
    key: String,
    /// Turns that ended in the session since it was opened.
    turns: u32,
    clean: bool,
    place: Place,
}

/// A session that is open, and where.
pub(super) struct Open {
    pub(super) session: Arc<dyn Session>,
    pub(super) home: Home,
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
        let Open { session, home, turns } = open;
        let home = match home {
            Home::Runtime(busy) => Home::Runtime(busy.for_a_run()),
            Home::Cli => Home::Cli,
        };
        let (pool, spec, home) = (pool.clone(), spec.clone(), Some(home));
        Self { pool, session, home, spec, key, turns, clean: false, place }
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
    ///
    /// Cancel safe: dropped before the session is closed, it is given back as by dropping.
    pub async fn close(mut self) {
        self.session.close().await;
        // What is open under its id from now on is the next holder's: no second close.
        let Some(Home::Runtime(busy)) = self.home.take() else { return };
        let leaving = !busy.host().serves();
        drop(busy);
        if leaving {
            let pool = self.pool.clone();
            let tasks = pool.inner.tasks.clone();
            tasks.spawn("pool wind-down", async move { pool.wind_down().await });
        }
    }

    /// Gives the session back, `clean` when the turn ended and it may be used warm again. Who keeps its place may open it again once
    /// what is returned resolves, with whatever: it rests then, or is closed.
    pub fn give_back(mut self, clean: bool) -> Option<oneshot::Receiver<()>> {
        self.clean = clean;
        self.end()
    }

    fn end(&mut self) -> Option<oneshot::Receiver<()>> {
        let home = self.home.take()?;
        let (given_back, returned) = oneshot::channel();
        let (pool, session) = (self.pool.clone(), self.session.clone());
        let (key, clean, place) = (self.key.clone(), self.clean, self.place.clone());
        let (spec, turns) = (self.spec.clone(), self.turns + 1);
        let tasks = pool.inner.tasks.clone();
        tasks.spawn("session return", async move {
            let Home::Runtime(busy) = home else {
                session.close().await;
                drop((given_back, place));
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
            drop((given_back, place));
            if leaving {
                pool.wind_down().await;
            }
            if clean {
                pool.prepare_spares(&spec).await;
            }
        });
        Some(returned)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Whoever drops it does not want to know.
        let _ = self.end();
    }
}
