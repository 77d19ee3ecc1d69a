//! One lane of a run at work: a session on lease, what is under way in it, and its timers.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::backend::upstream::Place;
use crate::core::failure::Failure;
use crate::core::governor::Ticket;
use crate::core::machine::{Input, Timer};
use crate::core::target::Target;
use crate::pool::{Lease, Queued};

/// Signals taken together into one commit. A commit costs 0.2 ms; what a model says in
/// that time fits many times over.
const BATCH: usize = 256;

/// What an operation in flight led to.
pub(super) enum Done {
    /// An input for the machine.
    Input(Input),
    /// The session was opened.
    Opened(Box<Lease>, Option<Place>, Input),
    /// Nothing to tell.
    Nothing,
}

/// A lane.
#[derive(Default)]
pub(super) struct Desk {
    pub(super) lease: Option<Lease>,
    /// Resolves once the session that was given back last may be opened again.
    pub(super) returned: Option<oneshot::Receiver<()>>,
    /// The place in the session's queue, kept to the end: a turn that is tried again goes
    /// on before anybody else speaks in its session.
    pub(super) place: Option<Queued>,
    /// The place among the runs at work. A parked run has none.
    pub(super) slot: Option<Place>,
    /// Whether the model is asked although its breaker is open.
    pub(super) forced: bool,
    /// Whether the session was told of this run since it was opened.
    pub(super) begun: bool,
    /// A turn that was let through as a whole, and is to be reported on.
    pub(super) admitted: Option<(Target, Ticket)>,
    /// Whether the backend lets requests through as turns; otherwise one by one.
    pub(super) by_turn: bool,
    pub(super) operations: FuturesUnordered<BoxFuture<'static, Done>>,
    pub(super) timers: BTreeMap<Timer, Instant>,
    /// What a pause before another try follows.
    pub(super) resting: Option<Failure>,
    /// The iteration that was told last.
    pub(super) iteration: Option<u32>,
}

impl Desk {
    /// Whether anything can happen in the lane by itself.
    pub(super) fn waits(&self) -> bool {
        self.lease.is_some() || !self.operations.is_empty() || !self.timers.is_empty()
    }

    /// What happens next in the lane. Cancel safe: nothing is lost when it is dropped.
    pub(super) async fn next(&mut self) -> Vec<Input> {
        tokio::select! {
            biased;
            Some(done) = self.operations.next() => {
                // What a compaction took was said before it had ended.
                let compacted = matches!(done, Done::Input(Input::Compacted(_)));
                let said = listen(self.lease.as_ref().filter(|_| compacted)).now_or_never();
                let mut inputs = said.unwrap_or_default();
                inputs.extend(self.done(done));
                inputs
            }
            inputs = listen(self.lease.as_ref()) => inputs,
            timer = expire(&self.timers) => {
                self.timers.remove(&timer);
                vec![Input::Timer(timer)]
            }
        }
    }

    fn done(&mut self, done: Done) -> Vec<Input> {
        match done {
            Done::Input(input) => vec![input],
            Done::Opened(lease, slot, input) => {
                self.slot = slot;
                self.begun = false;
                self.by_turn = !lease.session().capabilities().request_policy;
                self.place = Some(lease.place().queued());
                self.lease = Some(*lease);
                vec![input]
            }
            Done::Nothing => Vec::new(),
        }
    }

    /// Adds an operation.
    pub(super) fn start(&self, operation: impl Future<Output = Done> + Send + 'static) {
        self.operations.push(operation.boxed());
    }

    /// Tells the machine something that is known already.
    pub(super) fn tell(&self, input: Input) {
        self.start(std::future::ready(Done::Input(input)));
    }

    /// Whether it rests because nobody may be asked.
    pub(super) fn waits_for_health(&self) -> bool {
        let shut = self.resting.as_ref().is_some_and(|failure| failure.unasked);
        shut && self.timers.contains_key(&Timer::Backoff)
    }
}

/// The signals that are there now, at least one.
async fn listen(lease: Option<&Lease>) -> Vec<Input> {
    let Some(lease) = lease else { return std::future::pending().await };
    let session = lease.session();
    let mut inputs = vec![Input::Signal(session.next().await)];
    while inputs.len() < BATCH
        && let Some(signal) = session.next().now_or_never()
    {
        inputs.push(Input::Signal(signal));
    }
    inputs
}

async fn expire(timers: &BTreeMap<Timer, Instant>) -> Timer {
    let first = timers.iter().min_by_key(|(_, at)| **at);
    let Some((timer, at)) = first else { return std::future::pending().await };
    tokio::time::sleep_until(*at).await;
    timer.clone()
}
