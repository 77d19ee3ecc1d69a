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
use crate::core::machine::{Decision, Effect, Input};
use crate::core::policy::Trouble;
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
                let timeout = Duration::from_millis(timeout_ms);
                let result = gate::run(self.workplace(), index, command, timeout);
                self.operations.push(result.map(|it| Done::Input(Input::Gated(it))).boxed());
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
                self.slot = None;
                self.live.activity.set(Doing::Nothing);
                self.account.rest();
                if let Some(lease) = self.lease.take() {
                    self.returned = lease.give_back(!poisoned);
                }
            }
            Effect::Wait(timer, ms) => {
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
    fn begin(&self) {
        let Some(lease) = &self.lease else { return };
        let progress = self.progress();
        lease.session().begin(Errand {
            policy: self.policy,
            priority: prepare::priority(&self.request),
            candidates: self.chain.candidates.clone(),
            current: progress.candidate,
            excluded: progress.excluded,
            forced: self.forced,
            // What the turn achieved before is told by its answers: see `seam::Link`.
            patient: !self.request.options().foreground || progress.reruns > 0,
            tries: progress.streak.tries,
            purse: Some(self.account.purse.clone()),
            activity: self.live.activity.clone(),
        });
    }

    /// Why a turn may not begin now, where its requests do not ask for themselves.
    fn shut(&self) -> Option<Failure> {
        if self.by_request {
            return None;
        }
        let target = self.target()?;
        match self.engine.inner.upstream.admit(&target, self.forced) {
            Admission::Go => None,
            Admission::Shut(failure) => Some(failure),
        }
    }

    /// Whoever wakes a parked run wants its model asked now: the limit that parked it is
    /// forgotten, and learned again if it still holds.
    pub(super) fn ask_in_spite_of_limits(&self) {
        let mut governor = self.engine.inner.upstream.lock();
        for candidate in self.chain.candidates.iter() {
            governor.forget_limits(&candidate.target);
        }
    }

    /// What became of a turn, where its requests do not report for themselves.
    pub(super) fn report(&self, report: &Report<'_>) {
        if let Some(target) = self.target().filter(|_| !self.by_request) {
            self.engine.inner.upstream.report(&target, report);
        }
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
        let progress = self.progress();
        let chain = (&*self.chain.candidates, progress.candidate, progress.excluded.as_slice());
        let next = {
            let mut governor = self.engine.inner.upstream.lock();
            governor.judge(&self.policy, trouble, chain, clock::moment())
        };
        tracing::debug!(class = ?trouble.failure.class, ?next, "a failure is judged");
        self.operations.push(std::future::ready(Done::Input(Input::Judged(next))).boxed());
    }

    fn open(&mut self) {
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
        let resumes =
            progress.session.is_some() || matches!(options.session, SessionChoice::Resume(_));
        let wanted = Wanted {
            engine: self.engine.clone(),
            live: self.live.clone(),
            options,
            cwd: self.cwd.clone(),
            // One in the queue of a session that is left is of no use in another.
            place: self.place.clone().filter(|_| resumes),
            slot: self.slot.take(),
            priority: prepare::priority(&self.request),
            before: self.lease.take(),
            returned: self.returned.take(),
            progress,
            route,
        };
        let opening: BoxFuture<'static, Done> = open(wanted).boxed();
        self.operations.push(opening);
    }
}
