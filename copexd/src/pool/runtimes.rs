//! The runtimes: one per environment, started once however many ask, few alive.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::backend::process::Owner;
use crate::backend::sdk::Runtime;
use crate::backend::sdk::runtime::Start;
use crate::backend::spec::RuntimeSpec;
use crate::backend::upstream::Upstream;
use crate::core::failure::Failure;
use crate::runtime::clock;
use crate::runtime::tasks::Tasks;

/// Runtimes alive at once. Each costs 40 to 150 MB; a user has one shell environment,
/// sometimes two.
const MOST_RUNTIMES: usize = 4;

/// One environment's runtime. The lock makes concurrent starts one start.
#[derive(Default)]
struct Slot {
    runtime: tokio::sync::Mutex<Option<Arc<Runtime>>>,
    /// What is alive, to be looked at without waiting for a start.
    alive: Mutex<Option<Arc<Runtime>>>,
    busy: Arc<AtomicU32>,
    used_at: Mutex<u64>,
}

pub(super) struct Runtimes {
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    problem: Mutex<Option<Failure>>,
    owner: Owner,
    tasks: Tasks,
    upstream: Arc<Upstream>,
    start: Duration,
}

/// Counts one session at work for as long as it lives.
pub(super) struct Busy(Option<Arc<AtomicU32>>);

impl Busy {
    /// Counts nowhere.
    pub(super) fn none() -> Self {
        Self(None)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Runtimes {
    pub(super) fn new(
        owner: Owner,
        tasks: Tasks,
        start: Duration,
        upstream: Arc<Upstream>,
    ) -> Self {
        let (slots, problem) = (Mutex::default(), Mutex::default());
        Self { slots, problem, owner, tasks, upstream, start }
    }

    pub(super) fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// The runtime for this environment, started if need be.
    pub(super) async fn get(&self, spec: &RuntimeSpec) -> Result<Arc<Runtime>, Failure> {
        let slot = self.slot(spec);
        *lock(&slot.used_at) = clock::now_ms();
        let mut runtime = slot.runtime.lock().await;
        if let Some(runtime) = runtime.as_ref().filter(|runtime| runtime.alive()) {
            return Ok(runtime.clone());
        }
        *runtime = None;
        *lock(&slot.alive) = None;
        let (owner, tasks, upstream) = (&self.owner, &self.tasks, &self.upstream);
        let how = Start { owner, tasks, upstream, most: self.start };
        let started = Runtime::start(spec, how, clock::now_ms()).await;
        *lock(&self.problem) = started.as_ref().err().cloned();
        let started = started?;
        *runtime = Some(started.clone());
        *lock(&slot.alive) = Some(started.clone());
        Ok(started)
    }

    fn slot(&self, spec: &RuntimeSpec) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        let key = spec.key();
        if !slots.contains_key(&key) && slots.len() >= MOST_RUNTIMES {
            let idle = slots.iter().filter(|(_, slot)| slot.busy.load(Ordering::Relaxed) == 0);
            let oldest = idle.min_by_key(|(_, slot)| *lock(&slot.used_at));
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                slots.remove(&key);
            }
        }
        slots.entry(key).or_default().clone()
    }

    pub(super) fn busy(&self, runtime: &Arc<Runtime>) -> Busy {
        let slots = lock(&self.slots);
        let mine = |slot: &&Arc<Slot>| {
            lock(&slot.alive).as_ref().is_some_and(|alive| Arc::ptr_eq(alive, runtime))
        };
        let count = slots.values().find(mine).map(|slot| slot.busy.clone());
        if let Some(count) = &count {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Busy(count)
    }

    pub(super) fn alive(&self) -> Vec<(Arc<Runtime>, u32)> {
        let slots = lock(&self.slots);
        let describe = |slot: &Arc<Slot>| {
            let runtime = lock(&slot.alive).clone().filter(|runtime| runtime.alive())?;
            Some((runtime, slot.busy.load(Ordering::Relaxed)))
        };
        slots.values().filter_map(describe).collect()
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.alive().iter().map(|(runtime, _)| runtime.pid()).collect()
    }

    pub(super) fn problem(&self) -> Option<Failure> {
        lock(&self.problem).clone()
    }

    pub(super) fn forget_dead(&self) {
        for slot in lock(&self.slots).values() {
            let mut alive = lock(&slot.alive);
            if alive.as_ref().is_some_and(|runtime| !runtime.alive()) {
                *alive = None;
                if let Ok(mut runtime) = slot.runtime.try_lock() {
                    *runtime = None;
                }
            }
        }
    }

    pub(super) fn clear(&self) {
        lock(&self.slots).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
