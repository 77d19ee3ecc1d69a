//! The right to use a session. Dropping it gives the session back.

use std::sync::Arc;

use super::place::Place;
use super::runtimes::Busy;
use super::{Pool, Resting};
use crate::backend::Session;
use crate::backend::sdk::Runtime;
use crate::backend::spec::SessionSpec;
use crate::runtime::clock;

/// Where a session runs.
#[derive(Clone)]
pub(super) enum Home {
    /// In a runtime of ours, with others.
    Runtime(Arc<Runtime>),
    /// In a process of its own for each turn: nothing of it is kept warm.
    Cli,
}

/// A session on loan. Unless [`Lease::clean`] is called first, dropping it counts as a turn
/// that was left midway: the session is closed and not used warm again.
pub struct Lease {
    pool: Pool,
    session: Arc<dyn Session>,
    home: Home,
    spec: SessionSpec,
    key: String,
    clean: bool,
    place: Place,
    _busy: Busy,
}

impl Lease {
    pub(super) fn new(
        pool: &Pool,
        session: Arc<dyn Session>,
        home: Home,
        spec: &SessionSpec,
        key: String,
        place: Place,
    ) -> Self {
        let busy = match &home {
            Home::Runtime(runtime) => pool.inner.runtimes.busy(runtime),
            Home::Cli => Busy::none(),
        };
        let (pool, spec) = (pool.clone(), spec.clone());
        Self { pool, session, home, spec, key, clean: false, place, _busy: busy }
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
        self.clean = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let pool = self.pool.clone();
        let (session, home) = (self.session.clone(), self.home.clone());
        let (key, clean, place) = (self.key.clone(), self.clean, self.place.clone());
        let spec = self.spec.clone();
        let tasks = pool.inner.tasks.clone();
        tasks.spawn("session return", async move {
            let (Home::Runtime(runtime), true) = (home, clean) else {
                session.close().await;
                drop(place);
                return;
            };
            let since_ms = clock::now_ms();
            pool.rest(Resting { session, runtime, key, since_ms }).await;
            drop(place);
            pool.prepare_spare(&spec).await;
        });
    }
}
