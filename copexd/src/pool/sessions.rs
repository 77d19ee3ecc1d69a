//! The sessions that wait for work: used ones by their id, fresh ones by their kind.
//!
//! Invariant: whoever lets go of a used session has its place meanwhile, so that nobody
//! resumes it before its transcript is written. One whose place somebody else has is about
//! to be used, and stays.

use std::collections::HashMap;
use std::sync::Arc;

use super::place::Place;
use super::runtimes::Pooled;
use crate::backend::Session;
use crate::backend::spec::SessionSpec;
use crate::core::slots::{self, Idle, Kinds, Limits};

/// A session that waits for work.
pub(super) struct Resting {
    pub(super) session: Arc<dyn Session>,
    pub(super) host: Arc<Pooled>,
    pub(super) key: String,
    pub(super) since_ms: u64,
    /// Turns since it was opened.
    pub(super) turns: u32,
}

/// Sessions that are to be let go. Used ones are closed, fresh ones leave nothing behind.
#[derive(Default)]
pub(super) struct Outgoing {
    /// With their places, unless the caller has that.
    used: Vec<(Resting, Option<Place>)>,
    pub(super) fresh: Vec<Resting>,
}

impl Outgoing {
    /// Lets go of them, one after another.
    pub(super) async fn end(self) {
        for (resting, place) in self.used {
            resting.session.close().await;
            drop(place);
        }
        for resting in self.fresh {
            resting.session.discard().await;
        }
    }
}

#[derive(Default)]
pub(super) struct Sessions {
    /// Used and idle.
    idle: HashMap<String, Resting>,
    /// Fresh and unused, by kind.
    spares: HashMap<String, Vec<Resting>>,
    /// Spares on their way, by kind.
    opening: HashMap<String, usize>,
    kinds: Kinds<SessionSpec>,
    /// One lock per session in use or waited for.
    locks: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
}

impl Sessions {
    pub(super) fn lock(&mut self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        // Locks that nobody holds or waits for are forgotten here, or they would pile up.
        self.locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        self.locks.entry(id.to_owned()).or_default().clone()
    }

    pub(super) fn take_idle(&mut self, id: &str) -> Option<Resting> {
        self.idle.remove(id)
    }

    pub(super) fn take_spare(&mut self, key: &str) -> Option<Resting> {
        let spares = self.spares.get_mut(key)?;
        let at = spares.iter().position(|spare| spare.host.serves())?;
        Some(spares.remove(at))
    }

    /// Puts a used session to rest, and takes out those that have to make room; or itself,
    /// when its runtime is on its way out: whoever lets that go takes its sessions next.
    /// The caller has the session's place until all of them are gone.
    pub(super) fn rest(&mut self, resting: Resting, limits: &Limits, now_ms: u64) -> Outgoing {
        if !resting.host.serves() {
            return Outgoing { used: vec![(resting, None)], fresh: Vec::new() };
        }
        let id = resting.session.id().to_owned();
        self.idle.insert(id.clone(), resting);
        let evicted = self.evicted(limits, now_ms);
        let own = if evicted.contains(&id) { self.idle.remove(&id) } else { None };
        let mut used = self.take_used(evicted);
        used.extend(own.map(|resting| (resting, None)));
        Outgoing { used, fresh: Vec::new() }
    }

    fn evicted(&self, limits: &Limits, now_ms: u64) -> Vec<String> {
        let ids: Vec<String> = self.idle.keys().cloned().collect();
        let view = |id: &String| {
            let resting = &self.idle[id];
            let runtime = resting.host.runtime.pid();
            Idle { runtime, since_ms: resting.since_ms, turns: resting.turns }
        };
        let views: Vec<Idle> = ids.iter().map(view).collect();
        slots::evict(&views, limits, now_ms).into_iter().map(|at| ids[at].clone()).collect()
    }

    /// Takes these idle sessions out, each with its place.
    fn take_used(&mut self, ids: Vec<String>) -> Vec<(Resting, Option<Place>)> {
        let mut taken = Vec::new();
        for id in ids {
            let Ok(guard) = self.lock(&id).try_lock_owned() else { continue };
            let place = Some(Place::new(guard));
            taken.extend(self.idle.remove(&id).map(|resting| (resting, place)));
        }
        taken
    }

    /// Takes out whatever has waited for too long.
    pub(super) fn take_stale(&mut self, limits: &Limits, now_ms: u64) -> Outgoing {
        let evicted = self.evicted(limits, now_ms);
        let used = self.take_used(evicted);
        let fresh = self.take_spares(|it| slots::is_stale(it.since_ms, limits, now_ms));
        Outgoing { used, fresh }
    }

    /// Takes out what belongs to runtimes that are dead or leaving.
    pub(super) fn take_left(&mut self) -> Outgoing {
        let left = self.idle.iter().filter(|(_, it)| !it.host.serves());
        let left: Vec<String> = left.map(|(id, _)| id.clone()).collect();
        Outgoing { used: self.take_used(left), fresh: self.take_spares(|it| !it.host.serves()) }
    }

    fn take_spares(&mut self, out: impl Fn(&Resting) -> bool) -> Vec<Resting> {
        let mut taken = Vec::new();
        for spares in self.spares.values_mut() {
            taken.extend(spares.extract_if(.., |spare| out(spare)));
        }
        self.spares.retain(|_, spares| !spares.is_empty());
        taken
    }

    /// A session of this kind was used: how many spares of it are to be opened, and those of
    /// the kind that is forgotten for it. Each is to be [`Sessions::opened`].
    pub(super) fn used(
        &mut self,
        key: &str,
        spec: &SessionSpec,
        limits: &Limits,
    ) -> (usize, Outgoing) {
        let forgotten = self.kinds.used(key, spec.clone());
        let fresh = forgotten.and_then(|key| self.spares.remove(&key)).unwrap_or_default();
        let ready = self.spares.get(key).map_or(0, Vec::len);
        let opening = self.opening.get(key).copied().unwrap_or(0);
        let wanted = slots::spares_wanted(limits, ready, opening);
        if wanted > 0 {
            *self.opening.entry(key.to_owned()).or_default() += wanted;
        }
        (wanted, Outgoing { used: Vec::new(), fresh })
    }

    /// A spare that was to be opened is there, or is not to be had. One that nobody wants any
    /// more is given back.
    pub(super) fn opened(&mut self, key: &str, spare: Option<Resting>) -> Option<Resting> {
        if let Some(opening) = self.opening.get_mut(key) {
            *opening = opening.saturating_sub(1);
        }
        self.opening.retain(|_, opening| *opening > 0);
        let spare = spare?;
        if self.kinds.recipe(key).is_none() || !spare.host.serves() {
            return Some(spare);
        }
        self.spares.entry(key.to_owned()).or_default().push(spare);
        None
    }

    /// The kinds that have spares on this runtime, with what makes one.
    pub(super) fn kinds_on(&self, host: &Arc<Pooled>) -> Vec<SessionSpec> {
        let here = |spares: &Vec<Resting>| spares.iter().any(|it| Arc::ptr_eq(&it.host, host));
        let keys = self.spares.iter().filter(|(_, spares)| here(spares)).map(|(key, _)| key);
        keys.filter_map(|key| self.kinds.recipe(key).cloned()).collect()
    }

    /// Idle and spare sessions of a runtime.
    pub(super) fn count(&self, host: &Arc<Pooled>) -> (u32, u32) {
        let here = |resting: &&Resting| Arc::ptr_eq(&resting.host, host);
        let idle = self.idle.values().filter(here).count();
        let spares = self.spares.values().flatten().filter(here).count();
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        (number(idle), number(spares))
    }

    /// Takes everything out. Used sessions need no closing when the runtimes end too.
    pub(super) fn clear(&mut self) -> Outgoing {
        self.idle.clear();
        Outgoing { used: Vec::new(), fresh: self.take_spares(|_| true) }
    }
}
