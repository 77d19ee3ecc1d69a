//! The look after runtimes and sessions, again and again: who answers, who is due.
//!
//! Order matters: a runtime that does not answer is condemned before anything is asked of
//! it, so that closing its sessions does not wait for it.

use std::sync::Arc;

use futures_util::future::join_all;

use super::Pool;
use super::runtimes::Pooled;
use crate::backend::sdk::probe::Ping;
use crate::core::slots::{self, Reason};
use crate::runtime::clock;

impl Pool {
    /// Looks after everything every [`super::PoolLimits::look`], until the daemon stops.
    pub(super) async fn look_after(self) {
        let stopping = self.inner.tasks.stopping();
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.inner.limits.look) => {}
                () = stopping.cancelled() => return,
            }
            tokio::select! {
                () = self.look() => {}
                () = stopping.cancelled() => return,
            }
        }
    }

    async fn look(&self) {
        self.inner.runtimes.forget();
        self.probe().await;
        let stale = self.sessions().take_stale(&self.inner.limits.slots, clock::now_ms());
        stale.end().await;
        self.inner.runtimes.make_room();
        self.replace_due().await;
        self.wind_down().await;
    }

    /// Asks every runtime for a sign of life that gives none by itself.
    async fn probe(&self) {
        let look = self.inner.limits.look;
        let silent_since =
            clock::now_ms().saturating_sub(u64::try_from(look.as_millis()).unwrap_or(u64::MAX));
        let quiet = |it: &Arc<Pooled>| it.busy() == 0 || it.runtime.heard_at() <= silent_since;
        let quiet = self.inner.runtimes.alive().into_iter().filter(quiet);
        join_all(quiet.map(|runtime| self.ping(runtime))).await;
    }

    async fn ping(&self, host: Arc<Pooled>) {
        let idle = host.busy() == 0;
        match host.runtime.ping(self.inner.limits.ping).await {
            // Pings beside work say how much work there is.
            Ping::Answered(took) if idle => host.record_ping(took),
            Ping::Answered(_) => {}
            Ping::Silent => {
                tracing::warn!(pid = host.runtime.pid(), "a runtime does not answer");
                self.make_up_for(&host).await;
            }
            Ping::Gone => self.inner.runtimes.retire(&host, Reason::Died),
        }
    }

    /// Has a successor ready for a runtime that does not answer, if it was of use.
    async fn make_up_for(&self, host: &Arc<Pooled>) {
        let kinds = self.sessions().kinds_on(host);
        self.inner.runtimes.retire(host, Reason::Unresponsive);
        self.wind_down().await;
        if !host.served() {
            return;
        }
        if let Err(error) = self.inner.runtimes.get(&host.spec).await {
            tracing::warn!(%error, "a runtime that did not answer has no successor");
            return;
        }
        for kind in kinds {
            self.prepare_spares(&kind).await;
        }
    }

    async fn replace_due(&self) {
        for host in self.inner.runtimes.serving() {
            let due = slots::replace(&host.view(), &self.inner.limits.slots, clock::now_ms());
            let Some(reason) = due else { continue };
            if !host.served() {
                // Nobody used it: a successor would only be the next to go.
                self.inner.runtimes.retire(&host, reason);
                continue;
            }
            let kinds = self.sessions().kinds_on(&host);
            if let Err(error) = self.inner.runtimes.replace(&host, reason).await {
                tracing::warn!(%error, "a runtime that is due has no successor and serves on");
                continue;
            }
            self.wind_down().await;
            for kind in kinds {
                self.prepare_spares(&kind).await;
            }
        }
    }

    /// Lets go of the sessions of runtimes that are dead or leaving, and of those runtimes
    /// that are empty. What is wanted again is resumed elsewhere.
    pub(super) async fn wind_down(&self) {
        let left = self.sessions().take_left();
        left.end().await;
        self.inner.runtimes.forget();
    }
}
