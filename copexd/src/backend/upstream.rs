//! The shared view of the outside world, behind a lock: every model request of every runtime
//! passes here.
//!
//! Invariant: a place among the requests is given back by drop, whichever way the request
//! ends; who waits for one can leave at any time.
//!
//! Not here: the decisions (`core::governor`), and the requests themselves (`sdk::seam`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot, watch};

use crate::core::admission::{self, Priority};
use crate::core::breaker::State;
use crate::core::failure::Failure;
use crate::core::governor::{Admission, Governor, Memory, Report, Setup, Ticket};
use crate::core::metrics;
use crate::core::target::Target;
use crate::runtime::clock;
use crate::runtime::meter::Meter;

/// The queue of whole runs, beside those of single requests: it has no endpoint.
pub const RUNS: &str = "runs at work";

/// What all runtimes share.
pub struct Upstream {
    governor: Mutex<Governor>,
    waiting: Mutex<HashMap<(String, admission::Ticket), oneshot::Sender<Place>>>,
    /// Counts changes of breakers and limits: who waits for one looks again.
    changed: watch::Sender<u64>,
    /// Something that must be remembered changed.
    remember: Notify,
    /// Counts what is asked of the outside world.
    meter: Meter,
    itself: std::sync::Weak<Self>,
}

/// A place among the requests to an endpoint. Dropping it gives it back.
pub struct Place {
    upstream: Arc<Upstream>,
    endpoint: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.upstream.lock().gate(&self.endpoint).give_back();
        self.upstream.wake(&self.endpoint);
    }
}

/// Leaves the queue when whoever waits is dropped.
struct Leave<'a> {
    upstream: &'a Upstream,
    key: Option<(String, admission::Ticket)>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        // A place that was given at this very moment comes back with its channel.
        drop(lock(&self.upstream.waiting).remove(&key));
        self.upstream.lock().gate(&key.0).leave(key.1);
    }
}

impl Upstream {
    /// A view that remembers `memory`.
    pub fn new(setup: Setup, memory: Memory, meter: Meter) -> Arc<Self> {
        let governor = Governor::new(setup, memory, clock::now_ms());
        Arc::new_cyclic(|itself| Self {
            governor: Mutex::new(governor),
            waiting: Mutex::default(),
            changed: watch::channel(0).0,
            remember: Notify::new(),
            meter,
            itself: itself.clone(),
        })
    }

    /// The shared state itself. Never held across a wait.
    pub fn lock(&self) -> MutexGuard<'_, Governor> {
        lock(&self.governor)
    }

    /// Fires when breakers or limits change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Resolves when there is something to remember.
    pub async fn to_remember(&self) {
        self.remember.notified().await;
    }

    /// Waits for a place among the requests to `endpoint`, in order of urgency.
    ///
    /// Cancel safe: dropped while it waits, nobody is kept waiting for it.
    pub async fn enter(&self, endpoint: &str, priority: Priority) -> Option<Place> {
        let answer = {
            // Both locks, so that a place cannot be given before anybody listens for it.
            let mut waiting = lock(&self.waiting);
            match self.lock().gate(endpoint).ask(priority) {
                Ok(()) => return self.place(endpoint),
                Err(ticket) => {
                    let (sender, answer) = oneshot::channel();
                    waiting.insert((endpoint.to_owned(), ticket), sender);
                    (ticket, answer)
                }
            }
        };
        let (ticket, answer) = answer;
        let mut leave = Leave { upstream: self, key: Some((endpoint.to_owned(), ticket)) };
        let place = answer.await.ok();
        leave.key = None;
        place
    }

    /// Whether a request may be made now. One that may must be reported on.
    pub fn admit(&self, target: &Target, forced: bool) -> Admission {
        let mut governor = self.lock();
        let admission = governor.admit(target, forced, clock::now_ms());
        self.tell(governor);
        admission
    }

    /// What became of a request.
    pub fn report(&self, target: &Target, ticket: Ticket, report: &Report<'_>) {
        let mut governor = self.lock();
        governor.report(target, ticket, report, clock::now_ms());
        let limited = matches!(report, Report::Failed(Failure { retry_after_ms: Some(_), .. }));
        self.tell(governor);
        if limited {
            self.remember.notify_one();
        }
        // More, or fewer, may be let through now.
        self.wake(&target.endpoint);
    }

    /// Counts and times.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Closes breakers and forgets limits by hand; returns how many of both.
    pub fn reset(&self, matches: impl Fn(&str, Option<&str>) -> bool) -> usize {
        let mut governor = self.lock();
        let count = governor.reset(matches, clock::now_ms());
        self.tell(governor);
        self.limits_changed();
        count
    }

    /// Forgets the limits of these, for somebody who does not want to wait for their end.
    pub fn forget_limits(&self, targets: &[Target]) {
        if self.lock().forget_limits(targets) {
            self.limits_changed();
        }
    }

    /// Breakers tell their own changes; limits are told here.
    fn limits_changed(&self) {
        self.changed.send_modify(|count| *count += 1);
        self.remember.notify_one();
    }

    fn tell(&self, mut governor: MutexGuard<'_, Governor>) {
        let changes = governor.take_changes();
        drop(governor);
        if changes.is_empty() {
            return;
        }
        for change in changes {
            let target = &change.target;
            let state = match change.state {
                State::Closed => {
                    tracing::info!(%target, "breaker closed");
                    "closed"
                }
                State::Open { until } => {
                    tracing::warn!(%target, until, "breaker opened");
                    "open"
                }
                State::HalfOpen { .. } => {
                    tracing::info!(%target, "breaker half-open: one probe");
                    "half_open"
                }
            };
            self.meter.count(&metrics::BREAKERS, &[&target.to_string(), state]);
        }
        self.changed.send_modify(|count| *count += 1);
        self.remember.notify_one();
    }

    fn place(&self, endpoint: &str) -> Option<Place> {
        let upstream = self.itself.upgrade()?;
        Some(Place { upstream, endpoint: endpoint.to_owned() })
    }

    /// Gives free places to those who wait.
    fn wake(&self, endpoint: &str) {
        let mut admitted = Vec::new();
        {
            let mut waiting = lock(&self.waiting);
            for ticket in self.lock().gate(endpoint).admitted() {
                admitted.push(waiting.remove(&(endpoint.to_owned(), ticket)));
            }
        }
        for sender in admitted {
            // Made in any case: one that nobody takes gives its place back by drop.
            let Some(place) = self.place(endpoint) else { return };
            if let Some(sender) = sender {
                let _ = sender.send(place);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn upstream(ceiling: u32) -> Arc<Upstream> {
        Upstream::new(Setup { ceiling, ..Setup::default() }, Memory::default(), Meter::default())
    }

    #[tokio::test]
    async fn places_come_back_by_drop_and_go_to_the_most_urgent() {
        let upstream = upstream(1);
        let first = upstream.enter("x", Priority::Fleet).await.unwrap();
        let mut fleet = Box::pin(upstream.enter("x", Priority::Fleet));
        let mut person = Box::pin(upstream.enter("x", Priority::Interactive));
        assert!((&mut fleet).now_or_never().is_none() && (&mut person).now_or_never().is_none());
        assert!(upstream.enter("y", Priority::Fleet).now_or_never().is_some(), "another endpoint");
        drop(first);
        assert!((&mut fleet).now_or_never().is_none());
        let second = person.await.unwrap();
        drop(second);
        assert!(fleet.await.is_some());
    }

    #[tokio::test]
    async fn who_leaves_the_queue_keeps_nobody_waiting() {
        let upstream = upstream(1);
        let first = upstream.enter("x", Priority::Fleet).await.unwrap();
        let mut leaves = Box::pin(upstream.enter("x", Priority::Interactive));
        let mut stays = Box::pin(upstream.enter("x", Priority::Fleet));
        assert!((&mut leaves).now_or_never().is_none() && (&mut stays).now_or_never().is_none());
        drop(leaves);
        drop(first);
        let _stays = stays.await.unwrap();
        assert_eq!(upstream.lock().gate("x").score().0, 1);
    }

    #[tokio::test]
    async fn a_place_that_comes_as_its_waiter_leaves_is_not_lost() {
        let upstream = upstream(1);
        let first = upstream.enter("x", Priority::Fleet).await.unwrap();
        let mut leaves = Box::pin(upstream.enter("x", Priority::Fleet));
        assert!((&mut leaves).now_or_never().is_none());
        drop(first);
        drop(leaves);
        assert!(upstream.enter("x", Priority::Fleet).now_or_never().is_some());
    }
}
