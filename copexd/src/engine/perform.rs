//! Doing what a machine says: each effect, performed after it was journaled.

use std::sync::Arc;
use std::time::Duration;

use copex_proto::run::SessionChoice;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::drive::{Done, Driver};
use super::gate::{self, Workplace};
use super::open::{Wanted, open};
use super::prepare;
use crate::backend::Session;
use crate::backend::errand::{Doing, Errand};
use crate::core::chat::Progress;
use crate::core::failure::Failure;
use crate::core::governor::{Admission, Report};
use crate::core::machine::{Decision, Effect, Input, Timer};
use crate::core::policy::{Next, Trouble};
use crate::core::target::Target;
use crate::runtime::clock;

impl Driver {
    pub(super) fn perform(&mut self, effect: Effect) {
        if let Some(failure) = self.account.refuses(&effect, || self.progress().sent) {
            let refused = Done::Input(Input::Refused(failure));
            return self.operations.push(std::future::ready(refused).boxed());
        }
        match effect {
            Effect::Open => self.open(),
            Effect::Send(prompt) => self.send(prompt),
            Effect::Rerun => self.rerun(),
            Effect::Judge(trouble) => self.judge(&trouble),
            Effect::Compact => {
                self.begin();
                self.operate(|session| async move {
                    Done::Input(Input::Compacted(session.compact().await))
                });
            }
            Effect::Decide { request, decision } => self.decide(request, decision),
            Effect::Reply { request, text } => {
                if let Some(lease) = &self.lease {
                    lease.session().reply(&request, text);
                }
            }
            Effect::Gate { index, command, timeout_ms } => {
                let (activity, since) = (self.live.activity.clone(), clock::now_ms());
                activity.set(Doing::Gate { command: command.clone(), since });
                let timeout = Duration::from_millis(timeout_ms);
                let gate = gate::run(self.workplace(), index, command, timeout);
                self.operations.push(
                    async move {
                        let result = gate.await;
                        activity.set(Doing::Nothing);
                        Done::Input(Input::Gated(result))
                    }
                    .boxed(),
                );
            }
            Effect::Sense => {
                let sensed = gate::fingerprint(self.workplace());
                self.operations.push(sensed.map(|it| Done::Input(Input::Sensed(it))).boxed());
            }
            Effect::Abort => self.operate(|session| async move {
                // A runtime that does not take the abort is dead, and says so by itself.
                let _ = session.abort().await;
                Done::Nothing
            }),
            Effect::Release { poisoned } => {
                self.operations.clear();
                self.returning.leave();
                self.slot = None;
                self.report(&Report::Abandoned);
                if self.progress().parked.is_some() {
                    // Who wants to speak in the session meanwhile need not wait for hours.
                    self.place = None;
                }
                self.live.activity.set(Doing::Nothing);
                self.account.rest();
                if let Some(lease) = self.lease.take() {
                    self.returned = lease.give_back(!poisoned);
                }
            }
            Effect::Wait(timer, ms) => {
                if let (Timer::Backoff, Some(failure)) = (&timer, self.resting.clone()) {
                    let until = clock::now_ms().saturating_add(ms);
                    self.live.activity.set(Doing::Waiting { until, failure });
                }
                let at = Instant::now() + Duration::from_millis(ms);
                self.timers.insert(timer, at);
            }
            Effect::Unwait(timer) => {
                self.timers.remove(&timer);
            }
            Effect::Emit(_) | Effect::Checkpoint | Effect::Finish(_) => {}
        }
    }

    fn operate<F, Fut>(&mut self, operation: F)
    where
        F: FnOnce(Arc<dyn Session>) -> Fut,
        Fut: Future<Output = Done> + Send + 'static,
    {
        if let Some(lease) = &self.lease {
            self.operations.push(operation(lease.session()).boxed());
        }
    }

    /// Where the run's own commands are run.
    fn workplace(&self) -> Workplace {
        let ambient = &self.engine.inner.ambient;
        let spec = prepare::runtime_spec(self.request.options(), &self.live.secrets, ambient);
        Workplace { folder: self.cwd.clone().into(), env: spec.env, owner: ambient.owner.clone() }
    }

    fn decide(&mut self, request: String, decision: Decision) {
        if !self.begun {
            // A turn that is taken up with a tool waiting: its requests come after this.
            self.begin();
        }
        self.operate(|session| async move {
            if let Err(error) = session.decide(&request, &decision).await {
                tracing::warn!(%error, "a decision did not reach the backend");
            }
            Done::Nothing
        });
    }

    fn send(&mut self, prompt: String) {
        if let Some(shut) = self.shut() {
            let refused = Done::Input(Input::Refused(shut));
            self.operations.push(std::future::ready(refused).boxed());
            return;
        }
        self.begin();
        self.operate(|session| async move {
            match session.send(&prompt).await {
                Ok(message) => Done::Input(Input::Sent(message)),
                Err(failure) => Done::Input(Input::Refused(failure)),
            }
        });
    }

    fn rerun(&mut self) {
        self.begin();
        self.operate(|session| async move {
            match session.rerun().await {
                Ok(()) => Done::Input(Input::Sent(String::new())),
                Err(failure) => Done::Input(Input::Refused(failure)),
            }
        });
    }

    /// Tells the session whose rules hold for the turn that comes.
    fn begin(&mut self) {
        let Some(lease) = &self.lease else { return };
        self.begun = true;
        let progress = self.progress();
        lease.session().begin(Errand {
            policy: self.policy,
            priority: prepare::priority(&self.request),
            candidates: self.chain.candidates.clone(),
            current: progress.candidate,
            excluded: progress.excluded,
            forced: self.forced,
            // What the turn achieves from now on is told by its answers: see `seam::Link`.
            patient: !self.request.options().foreground || progress.tools > 0,
            idle_ms: prepare::idle_ms(self.request.options()),
            tries: progress.streak.tries,
            after: self.resting.clone().filter(|failure| !failure.unasked),
            purse: Some(self.account.purse.clone()),
            activity: self.live.activity.clone(),
        });
    }

    /// Why a turn may not begin now, where its requests do not ask for themselves.
    fn shut(&mut self) -> Option<Failure> {
        if self.by_request {
            return None;
        }
        let target = self.target()?;
        match self.engine.inner.upstream.admit(&target, self.forced) {
            Admission::Go(ticket) => {
                let since = clock::now_ms();
                self.live.activity.set(Doing::Asked { target: target.to_string(), since });
                self.admitted = Some((target, ticket));
                None
            }
            Admission::Shut(failure) => Some(failure),
        }
    }

    /// What became of a turn, where its requests do not report for themselves.
    pub(super) fn report(&mut self, report: &Report<'_>) {
        let Some((target, ticket)) = self.admitted.take() else { return };
        let upstream = &self.engine.inner.upstream;
        if *report == Report::Answered {
            upstream.report(&target, ticket, &Report::Begun);
        }
        upstream.report(&target, ticket, report);
    }

    fn target(&self) -> Option<Target> {
        let current = self.progress().candidate;
        self.chain.candidates.get(current).map(|candidate| candidate.target.clone())
    }

    fn progress(&self) -> Progress {
        self.machine.turn()
    }

    fn judge(&mut self, trouble: &Trouble) {
        if !trouble.failure.unasked {
            self.report(&Report::Failed(&trouble.failure));
        }
        // What changes from now on may make the wait shorter.
        self.health.mark_unchanged();
        let progress = self.progress();
        let chain = (&*self.chain.candidates, progress.candidate, progress.excluded.as_slice());
        let next = {
            let mut governor = self.engine.inner.upstream.lock();
            governor.judge(&self.policy, trouble, chain, clock::moment())
        };
        tracing::debug!(class = ?trouble.failure.class, ?next, "a failure is judged");
        let rests = matches!(next, Next::Resume { .. } | Next::Retry { .. });
        self.resting = rests.then(|| trouble.failure.clone());
        self.operations.push(std::future::ready(Done::Input(Input::Judged(next))).boxed());
    }

    /// Whether it rests because nobody may be asked.
    pub(super) fn waits_for_health(&self) -> bool {
        let shut = self.resting.as_ref().is_some_and(|failure| failure.unasked);
        shut && self.timers.contains_key(&Timer::Backoff)
    }

    /// Breakers or limits changed: goes on at once if somebody may be asked now.
    pub(super) fn relent(&mut self) -> Vec<Input> {
        let progress = self.progress();
        let route = self.engine.inner.upstream.lock().route(
            &self.chain.candidates,
            &progress.excluded,
            progress.candidate,
            clock::now_ms(),
        );
        if route.is_err() || self.timers.remove(&Timer::Backoff).is_none() {
            return Vec::new();
        }
        vec![Input::Timer(Timer::Backoff)]
    }

    fn open(&mut self) {
        self.live.activity.set(Doing::Nothing);
        let progress = self.progress();
        let upstream = &self.engine.inner.upstream;
        let route = upstream.lock().route(
            &self.chain.candidates,
            &progress.excluded,
            progress.candidate,
            clock::now_ms(),
        );
        let route = match route {
            Ok(route) => route,
            Err(failure) => {
                let refused = Done::Input(Input::Refused(failure));
                self.operations.push(std::future::ready(refused).boxed());
                return;
            }
        };
        let Some(options) = self.chain.options(route.candidate).cloned() else { return };
        self.forced = route.forced;
        if progress.session.is_none() && options.session == SessionChoice::New {
            // A session that is left is for others now.
            self.place = None;
        }
        if let (None, Some(session)) = (&self.place, &progress.session) {
            // One that was parked stands at the end of its session's queue.
            self.place = Some(self.engine.inner.pool.queue(session));
        }
        let wanted = Wanted {
            engine: self.engine.clone(),
            live: self.live.clone(),
            options,
            cwd: self.cwd.clone(),
            place: self.place.clone(),
            slot: self.slot.take(),
            priority: prepare::priority(&self.request),
            before: self.lease.take(),
            returned: self.returned.take(),
            progress,
            route,
            returning: self.returning.clone(),
        };
        let opening: BoxFuture<'static, Done> = open(wanted).boxed();
        self.operations.push(opening);
    }
}
