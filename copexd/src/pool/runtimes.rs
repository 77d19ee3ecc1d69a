//! The runtimes: one per environment, started once however many ask, few alive. Those that
//! are on their way out work beside their successors until they are empty.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::counts::Counts;
use crate::backend::process::Owner;
use crate::backend::sdk::Runtime;
use crate::backend::sdk::runtime::Start;
use crate::backend::spec::RuntimeSpec;
use crate::backend::upstream::Upstream;
use crate::core::failure::Failure;
use crate::core::latency::Latency;
use crate::core::slots::{self, Occupancy, Reason, Serving};
use crate::runtime::clock;
use crate::runtime::tasks::Tasks;

/// A runtime with what the pool knows about it. It ends when the last one who has it lets go.
pub(super) struct Pooled {
    pub(super) runtime: Arc<Runtime>,
    pub(super) spec: RuntimeSpec,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    occupancy: Occupancy,
    latency: Latency,
    used_at_ms: u64,
    /// Of those inside, the runs. The others open sessions ahead, or ask something.
    runs: u32,
    /// Whether a run had a session of it.
    served: bool,
}

impl Pooled {
    /// Takes one more in, unless the runtime is dead or leaving.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Busy> {
        if !self.runtime.alive() {
            return None;
        }
        let mut state = lock(&self.state);
        state.used_at_ms = clock::now_ms();
        state.occupancy.enter().then(|| Busy { host: self.clone(), run: false })
    }

    /// Whether it would take one more in.
    pub(super) fn serves(&self) -> bool {
        self.runtime.alive() && self.leaving().is_none()
    }

    pub(super) fn leaving(&self) -> Option<Reason> {
        lock(&self.state).occupancy.leaving()
    }

    pub(super) fn busy(&self) -> u32 {
        lock(&self.state).occupancy.busy()
    }

    /// Runs that have a session of it.
    pub(super) fn runs(&self) -> u32 {
        lock(&self.state).runs
    }

    pub(super) fn latency(&self) -> Latency {
        lock(&self.state).latency.clone()
    }

    pub(super) fn record_ping(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        lock(&self.state).latency.record(us);
    }

    pub(super) fn served(&self) -> bool {
        lock(&self.state).served
    }

    /// As the decisions see it.
    pub(super) fn view(&self) -> Serving {
        let state = lock(&self.state);
        Serving {
            busy: state.occupancy.busy(),
            used_at_ms: state.used_at_ms,
            started_at_ms: self.runtime.started_at(),
            rss: self.runtime.rss_bytes(),
            latency: state.latency.clone(),
        }
    }

    fn over(&self) -> bool {
        !self.runtime.alive() || lock(&self.state).occupancy.over()
    }
}

/// A runtime with one place in it taken, for as long as this lives.
pub(super) struct Busy {
    host: Arc<Pooled>,
    run: bool,
}

impl Busy {
    pub(super) fn host(&self) -> &Arc<Pooled> {
        &self.host
    }

    pub(super) fn runtime(&self) -> &Arc<Runtime> {
        &self.host.runtime
    }

    /// It is a run that has the place.
    pub(super) fn for_a_run(mut self) -> Self {
        let mut state = lock(&self.host.state);
        state.runs += u32::from(!self.run);
        state.served = true;
        drop(state);
        self.run = true;
        self
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = lock(&self.host.state);
        state.occupancy.exit();
        state.runs -= u32::from(self.run);
        state.used_at_ms = clock::now_ms();
    }
}

/// One environment's runtime.
#[derive(Default)]
struct Slot {
    /// Makes concurrent starts one start.
    starting: tokio::sync::Mutex<()>,
    current: Mutex<Option<Arc<Pooled>>>,
}

impl Slot {
    fn enter(&self) -> Option<Busy> {
        lock(&self.current).as_ref()?.enter()
    }
}

pub(super) struct Runtimes {
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    leaving: Mutex<Vec<Arc<Pooled>>>,
    problem: Mutex<Option<Failure>>,
    counts: Arc<Counts>,
    owner: Owner,
    tasks: Tasks,
    upstream: Arc<Upstream>,
    start: Duration,
    most: usize,
}

/// How runtimes are started, and how many may live.
pub(super) struct Rules {
    pub(super) start: Duration,
    pub(super) most: usize,
    pub(super) upstream: Arc<Upstream>,
}

impl Runtimes {
    pub(super) fn new(owner: Owner, tasks: Tasks, rules: Rules, counts: Arc<Counts>) -> Self {
        let (slots, leaving, problem) = (Mutex::default(), Mutex::default(), Mutex::default());
        let Rules { start, most, upstream } = rules;
        Self { slots, leaving, problem, counts, owner, tasks, upstream, start, most }
    }

    pub(super) fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// A place in the runtime for this environment, which is started if need be.
    pub(super) async fn get(&self, spec: &RuntimeSpec) -> Result<Busy, Failure> {
        let slot = lock(&self.slots).entry(spec.key()).or_default().clone();
        if let Some(busy) = slot.enter() {
            return Ok(busy);
        }
        let _starting = slot.starting.lock().await;
        if let Some(busy) = slot.enter() {
            return Ok(busy);
        }
        self.bury(&slot);
        let (pooled, busy) = self.start(spec).await?;
        *lock(&slot.current) = Some(pooled);
        self.make_room();
        Ok(busy)
    }

    async fn start(&self, spec: &RuntimeSpec) -> Result<(Arc<Pooled>, Busy), Failure> {
        let (owner, tasks, upstream) = (&self.owner, &self.tasks, &self.upstream);
        let how = Start { owner, tasks, upstream, most: self.start };
        let started = Runtime::start(spec, how, clock::now_ms()).await;
        *lock(&self.problem) = started.as_ref().err().cloned();
        let runtime = started?;
        let state = State { used_at_ms: clock::now_ms(), ..State::default() };
        let pooled = Arc::new(Pooled { runtime, spec: spec.clone(), state: Mutex::new(state) });
        // Nobody else has it yet: it leaves for nothing but the daemon's end.
        lock(&pooled.state).occupancy.enter();
        let busy = Busy { host: pooled.clone(), run: false };
        Ok((pooled, busy))
    }

    /// Starts a successor, and lets the runtime go once that serves. Until then it serves.
    ///
    /// # Errors
    /// When no successor can be started: the runtime serves on.
    pub(super) async fn replace(&self, old: &Arc<Pooled>, why: Reason) -> Result<(), Failure> {
        let slot = lock(&self.slots).get(&old.spec.key()).cloned();
        let Some(slot) = slot else { return Ok(()) };
        let _starting = slot.starting.lock().await;
        if old.serves() {
            let (pooled, _busy) = self.start(&old.spec).await?;
            *lock(&slot.current) = Some(pooled);
            self.retire(old, why);
        }
        Ok(())
    }

    /// The runtime takes nobody in any more, and ends when it is empty.
    pub(super) fn retire(&self, old: &Arc<Pooled>, why: Reason) {
        if !lock(&old.state).occupancy.leave(why) {
            return;
        }
        let pid = old.runtime.pid();
        tracing::info!(pid, reason = why.as_str(), "a runtime is let go");
        self.counts.recycled(why, clock::now_ms());
        lock(&self.leaving).push(old.clone());
        for slot in lock(&self.slots).values() {
            let mut current = lock(&slot.current);
            if current.as_ref().is_some_and(|it| Arc::ptr_eq(it, old)) {
                *current = None;
            }
        }
    }

    /// Lets idle runtimes go that are more than may live.
    pub(super) fn make_room(&self) {
        let serving = self.serving();
        let views: Vec<Serving> = serving.iter().map(|it| it.view()).collect();
        for at in slots::surplus(&views, self.most) {
            self.retire(&serving[at], Reason::Place);
        }
    }

    /// Whether one that is leaving is empty.
    pub(super) fn some_over(&self) -> bool {
        lock(&self.leaving).iter().any(|it| it.over())
    }

    /// Forgets those that are over, and counts those that died.
    pub(super) fn forget(&self) {
        let slots: Vec<Arc<Slot>> = lock(&self.slots).values().cloned().collect();
        for slot in &slots {
            self.bury(slot);
        }
        // One that somebody else has in hand, beside the map and the list, is being filled.
        let unused =
            |slot: &Arc<Slot>| Arc::strong_count(slot) <= 2 && lock(&slot.current).is_none();
        lock(&self.slots).retain(|_, slot| !unused(slot));
        lock(&self.leaving).retain(|it| !it.over());
    }

    fn bury(&self, slot: &Slot) {
        let dead = lock(&slot.current).take_if(|it| !it.runtime.alive());
        if let Some(dead) = dead {
            self.retire(&dead, Reason::Died);
        }
    }

    /// Those that take sessions in.
    pub(super) fn serving(&self) -> Vec<Arc<Pooled>> {
        let slots = lock(&self.slots);
        let current = slots.values().filter_map(|slot| lock(&slot.current).clone());
        current.filter(|it| it.serves()).collect()
    }

    /// Those that serve, and those that are leaving.
    pub(super) fn alive(&self) -> Vec<Arc<Pooled>> {
        let mut all = self.serving();
        all.extend(lock(&self.leaving).iter().filter(|it| it.runtime.alive()).cloned());
        all.sort_by_key(|it| it.runtime.started_at());
        all
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.alive().iter().map(|it| it.runtime.pid()).collect()
    }

    pub(super) fn problem(&self) -> Option<Failure> {
        lock(&self.problem).clone()
    }

    pub(super) fn clear(&self) {
        lock(&self.slots).clear();
        lock(&self.leaving).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
