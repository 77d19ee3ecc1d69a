//! Doing what a machine says: each effect, performed after it was journaled.

use std::sync::Arc;
use std::time::Duration;

use copex_proto::run::SessionChoice;
use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::chain::Chain;
use super::desk::{Desk, Done};
use super::drive::Driver;
use super::gate::{self, Workplace};
use super::open::{Wanted, open};
use super::{commit, plan_file, prepare};
use crate::backend::Session;
use crate::backend::errand::{Doing, Errand};
use crate::core::failure::Failure;
use crate::core::governor::{Admission, Report, Route};
use crate::core::machine::{Decision, Effect, Input, Lane, MAIN, Timer};
use crate::core::plan::Outline;
use crate::core::policy::{Next, Trouble};
use crate::core::target::Target;
use crate::runtime::clock;

impl Driver {
    /// Whom a lane asks.
    pub(super) fn chain(&self, lane: Lane) -> &Arc<Chain> {
        self.chains.get(&lane).unwrap_or(&self.chain)
    }

    /// Where a lane works.
    pub(super) fn folder(&self, lane: Lane) -> String {
        self.machine.folder(lane).unwrap_or_else(|| self.cwd.clone())
    }

    /// The desk of a lane.
    pub(super) fn desk(&mut self, lane: Lane) -> &mut Desk {
        self.desks.entry(lane).or_default()
    }

    pub(super) fn perform(&mut self, lane: Lane, effect: Effect) {
        if let Some(limits) = self.machine.purse(lane) {
            self.account.limit(lane, limits);
        }
        let sent = || self.machine.turn(lane).sent;
        if let Some(failure) = self.account.refuses(lane, &effect, sent) {
            return self.desk(lane).tell(Input::Refused(failure));
        }
        match effect {
            Effect::Open => self.open(lane),
            Effect::Send(prompt) => self.send(lane, prompt),
            Effect::Rerun => self.rerun(lane),
            Effect::Steer(text) => self.steer(lane, text),
            Effect::Judge(trouble) => self.judge(lane, &trouble),
            Effect::Compact => {
                self.begin(lane);
                self.operate(lane, |session| async move {
                    Done::Input(Input::Compacted(session.compact().await))
                });
            }
            Effect::Decide { request, decision } => self.decide(lane, request, decision),
            Effect::Reply { request, text } => {
                if let Some(lease) = &self.desk(lane).lease {
                    lease.session().reply(&request, text);
                }
            }
            Effect::Gate { index, command, timeout_ms } => {
                let (activity, since) = (self.live.activity.clone(), clock::now_ms());
                activity.set(Doing::Gate { command: command.clone(), since });
                let timeout = Duration::from_millis(timeout_ms);
                let gate = gate::run(self.workplace(lane), index, command, timeout);
                self.desk(lane).start(async move {
                    let result = gate.await;
                    activity.set(Doing::Nothing);
                    Done::Input(Input::Gated(result))
                });
            }
            Effect::Sense => {
                let sensed = gate::fingerprint(self.workplace(lane));
                self.desk(lane).start(sensed.map(|it| Done::Input(Input::Sensed(it))));
            }
            Effect::Baseline { known } => {
                let based = commit::baseline(self.workplace(lane), known);
                self.desk(lane).start(based.map(|it| Done::Input(Input::Based(it))));
            }
            Effect::Commit(order) => {
                let made = commit::commit(self.workplace(lane), *order);
                self.desk(lane).start(made.map(|it| Done::Input(Input::Committed(it))));
            }
            Effect::Tree(wish) => self.tree(lane, *wish),
            Effect::ReadPlan { task, answer } => {
                let read = std::future::ready(plan_file::of_answer(&task, &answer));
                self.desk(lane).start(read.map(|it| Done::Input(Input::Drafted(it))));
            }
            Effect::WritePlan { file, outline } => self.file(plan_file::write(file, outline)),
            Effect::LoadPlan { file } => self.file(plan_file::load(file)),
            Effect::MarkPlan { file, number, mark } => {
                self.file(plan_file::mark(file, number, mark));
            }
            Effect::Abort => self.operate(lane, |session| async move {
                // A runtime that does not take the abort is dead, and says so by itself.
                let _ = session.abort().await;
                Done::Nothing
            }),
            Effect::Release { poisoned } => self.release(lane, poisoned),
            Effect::Wait(timer, ms) => self.wait(lane, timer, ms),
            Effect::Unwait(timer) => {
                self.desk(lane).timers.remove(&timer);
            }
            // Journaled already, and taken apart by whoever calls.
            Effect::Emit(_) | Effect::Checkpoint | Effect::Finish(_) | Effect::Of(..) => {}
        }
    }

    /// Works with the plan's file.
    fn file<F>(&mut self, work: F)
    where
        F: Future<Output = Result<Outline, String>> + Send + 'static,
    {
        self.desk(MAIN).start(work.map(|it| Done::Input(Input::Loaded(it))));
    }

    fn release(&mut self, lane: Lane, poisoned: bool) {
        self.returning.leave();
        self.report(lane, &Report::Abandoned);
        let parked = self.machine.turn(lane).parked.is_some();
        self.live.activity.set(Doing::Nothing);
        let desk = self.desk(lane);
        desk.operations.clear();
        desk.slot = None;
        if parked {
            // Who wants to speak in the session meanwhile need not wait for hours.
            desk.place = None;
        }
        if let Some(lease) = desk.lease.take() {
            desk.returned = lease.give_back(!poisoned);
        }
        self.account.rest_of(lane);
        if self.desks.values().all(|desk| desk.lease.is_none()) {
            self.account.rest();
        }
    }

    fn wait(&mut self, lane: Lane, timer: Timer, ms: u64) {
        let resting = self.desk(lane).resting.clone();
        if let (Timer::Backoff, Some(failure)) = (&timer, resting) {
            let until = clock::now_ms().saturating_add(ms);
            self.live.activity.set(Doing::Waiting { until, failure });
        }
        let at = Instant::now() + Duration::from_millis(ms);
        self.desk(lane).timers.insert(timer, at);
    }

    fn operate<F, Fut>(&self, lane: Lane, operation: F)
    where
        F: FnOnce(Arc<dyn Session>) -> Fut,
        Fut: Future<Output = Done> + Send + 'static,
    {
        if let Some(desk) = self.desks.get(&lane)
            && let Some(lease) = &desk.lease
        {
            desk.start(operation(lease.session()));
        }
    }

    /// Where the run's own commands are run.
    pub(super) fn workplace(&self, lane: Lane) -> Workplace {
        let ambient = &self.engine.inner.ambient;
        let spec = prepare::runtime_spec(self.request.options(), &self.live.keys.known(), ambient);
        let folder = self.folder(lane).into();
        Workplace { folder, env: spec.env, owner: ambient.owner.clone() }
    }

    fn decide(&mut self, lane: Lane, request: String, decision: Decision) {
        if !self.desk(lane).begun {
            // A turn that is taken up with a tool waiting: its requests come after this.
            self.begin(lane);
        }
        self.operate(lane, |session| async move {
            if let Err(error) = session.decide(&request, &decision).await {
                tracing::warn!(%error, "a decision did not reach the backend");
            }
            Done::Nothing
        });
    }

    fn send(&mut self, lane: Lane, prompt: String) {
        if let Some(shut) = self.shut(lane) {
            return self.desk(lane).tell(Input::Refused(shut));
        }
        self.begin(lane);
        self.operate(lane, |session| async move {
            match session.send(&prompt).await {
                Ok(message) => Done::Input(Input::Sent(message)),
                Err(failure) => Done::Input(Input::Refused(failure)),
            }
        });
    }

    fn steer(&mut self, lane: Lane, text: String) {
        if !self.desk(lane).begun {
            // A turn that was found over: what is said now begins another round.
            self.begin(lane);
        }
        self.operate(lane, |session| async move {
            Done::Input(Input::Steered(session.steer(&text).await))
        });
    }

    fn rerun(&mut self, lane: Lane) {
        self.begin(lane);
        self.operate(lane, |session| async move {
            match session.rerun().await {
                Ok(()) => Done::Input(Input::Sent(String::new())),
                Err(failure) => Done::Input(Input::Refused(failure)),
            }
        });
    }

    /// Tells the session whose rules hold for the turn that comes.
    fn begin(&mut self, lane: Lane) {
        let progress = self.machine.turn(lane);
        let chain = self.chain(lane).clone();
        let Some(desk) = self.desks.get_mut(&lane) else { return };
        let Some(lease) = &desk.lease else { return };
        desk.begun = true;
        lease.session().begin(Errand {
            policy: self.policy,
            priority: prepare::priority(&self.request),
            candidates: chain.candidates.clone(),
            current: progress.candidate,
            excluded: progress.excluded,
            forced: desk.forced,
            // What the turn achieves from now on is told by its answers: see `seam::Link`.
            patient: !self.request.options().foreground || progress.tools > 0,
            idle_ms: prepare::idle_ms(self.request.options()),
            tries: progress.streak.tries,
            after: desk.resting.clone().filter(|failure| !failure.unasked),
            purse: Some(self.account.purse_of(lane).clone()),
            activity: self.live.activity.clone(),
        });
    }

    /// Why a turn may not begin now, where its requests do not ask for themselves.
    fn shut(&mut self, lane: Lane) -> Option<Failure> {
        if !self.desk(lane).by_turn {
            return None;
        }
        let target = self.target(lane)?;
        let forced = self.desk(lane).forced;
        match self.engine.inner.upstream.admit(&target, forced) {
            Admission::Go(ticket) => {
                let since = clock::now_ms();
                self.live.activity.set(Doing::Asked { target: target.to_string(), since });
                self.desk(lane).admitted = Some((target, ticket));
                None
            }
            Admission::Shut(failure) => Some(failure),
        }
    }

    /// What became of a turn, where its requests do not report for themselves.
    pub(super) fn report(&mut self, lane: Lane, report: &Report<'_>) {
        let Some((target, ticket)) = self.desk(lane).admitted.take() else { return };
        let upstream = &self.engine.inner.upstream;
        if *report == Report::Answered {
            upstream.report(&target, ticket, &Report::Begun);
        }
        upstream.report(&target, ticket, report);
    }

    fn target(&self, lane: Lane) -> Option<Target> {
        let current = self.machine.turn(lane).candidate;
        self.chain(lane).candidates.get(current).map(|candidate| candidate.target.clone())
    }

    fn judge(&mut self, lane: Lane, trouble: &Trouble) {
        if !trouble.failure.unasked {
            self.report(lane, &Report::Failed(&trouble.failure));
        }
        // What changes from now on may make the wait shorter.
        self.health.mark_unchanged();
        let progress = self.machine.turn(lane);
        let candidates = self.chain(lane).candidates.clone();
        let chain = (&*candidates, progress.candidate, progress.excluded.as_slice());
        let next = {
            let mut governor = self.engine.inner.upstream.lock();
            governor.judge(&self.policy, trouble, chain, clock::moment())
        };
        tracing::debug!(class = ?trouble.failure.class, ?next, "a failure is judged");
        let rests = matches!(next, Next::Resume { .. } | Next::Retry { .. });
        let desk = self.desk(lane);
        desk.resting = rests.then(|| trouble.failure.clone());
        desk.tell(Input::Judged(next));
    }

    /// Breakers or limits changed: lanes go on at once where somebody may be asked now.
    pub(super) fn relent(&mut self) -> Vec<(Lane, Vec<Input>)> {
        let resting = self.desks.iter().filter(|(_, desk)| desk.waits_for_health());
        let resting: Vec<Lane> = resting.map(|(lane, _)| *lane).collect();
        let mut inputs = Vec::new();
        for lane in resting {
            if self.route(lane).is_ok() && self.desk(lane).timers.remove(&Timer::Backoff).is_some()
            {
                inputs.push((lane, vec![Input::Timer(Timer::Backoff)]));
            }
        }
        inputs
    }

    /// Which of its models a lane may ask now.
    fn route(&self, lane: Lane) -> Result<Route, Failure> {
        let progress = self.machine.turn(lane);
        self.engine.inner.upstream.lock().route(
            &self.chain(lane).candidates,
            &progress.excluded,
            progress.candidate,
            clock::now_ms(),
        )
    }

    fn open(&mut self, lane: Lane) {
        self.live.activity.set(Doing::Nothing);
        let route = match self.route(lane) {
            Ok(route) => route,
            Err(failure) => return self.desk(lane).tell(Input::Refused(failure)),
        };
        let progress = self.machine.turn(lane);
        let Some(options) = self.chain(lane).options(route.candidate).cloned() else { return };
        let pool = self.engine.inner.pool.clone();
        let desk = self.desk(lane);
        desk.forced = route.forced;
        if progress.session.is_none() && options.session == SessionChoice::New {
            // A session that is left is for others now.
            desk.place = None;
        }
        if let (None, Some(session)) = (&desk.place, &progress.session) {
            // One that was parked stands at the end of its session's queue.
            desk.place = Some(pool.queue(session));
        }
        let (place, slot) = (desk.place.clone(), desk.slot.take());
        let (before, returned) = (desk.lease.take(), desk.returned.take());
        let wanted = Wanted {
            engine: self.engine.clone(),
            live: self.live.clone(),
            options,
            cwd: self.folder(lane),
            place,
            slot,
            priority: prepare::priority(&self.request),
            before,
            returned,
            progress,
            route,
            returning: self.returning.clone(),
        };
        self.desk(lane).start(open(wanted));
    }
}
