//! Coming back after a restart: the most urgent first, and few at once.
//!
//! Every run that was at work wants its session and an answer of its model at the same
//! moment. So each needs a place among those that come back, from before its session is
//! opened to the first word of its model. That is a slow start: the rate is the pace at which
//! runtime and model answer, and who is most urgent comes first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::backend::upstream::{Place, Upstream};
use crate::core::admission::{Priority, RETURNING};
use crate::core::machine::Input;
use crate::core::signal::Signal;
use crate::runtime::tasks::Tasks;

/// How long one run may keep a place. A model that is slow to its first word, a session that
/// waits for a person or a loop that runs its checks first must not keep fifty others away.
const MOST: Duration = Duration::from_secs(30);

/// A run's way back. Clones are one; a new run has none to go.
#[derive(Clone, Default)]
pub(super) struct Returning(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    /// It has to ask for a place.
    Asks { upstream: Arc<Upstream>, priority: Priority },
    /// It stands in the queue or has a place.
    OnItsWay(Way),
    /// It needs none.
    #[default]
    Back,
}

/// Two moments, each told once.
#[derive(Clone, Default)]
struct Way {
    /// It may open its session.
    open: CancellationToken,
    /// It wants no place any more.
    left: CancellationToken,
}

impl Returning {
    /// Takes a place in the queue now: whoever calls this later stands behind, among equals.
    pub(super) fn queue(upstream: Arc<Upstream>, priority: Priority, tasks: &Tasks) -> Self {
        let returning = Self::later(upstream, priority);
        returning.start(tasks);
        returning
    }

    /// Stands in the queue only when it is its turn to open: it may have to wait for its
    /// session first, and whoever has that must not wait for a place that this one has.
    pub(super) fn later(upstream: Arc<Upstream>, priority: Priority) -> Self {
        Self(Arc::new(Mutex::new(State::Asks { upstream, priority })))
    }

    /// Waits until it may open its session. The place is given back by [`Returning::leave`],
    /// or [`MOST`] after it was given.
    ///
    /// Cancel safe: dropped while it waits, the place in the queue stays.
    pub(super) async fn enter(&self, tasks: &Tasks) {
        if let Some(way) = self.start(tasks) {
            way.open.cancelled().await;
        }
    }

    fn start(&self, tasks: &Tasks) -> Option<Way> {
        let mut state = self.lock();
        let (upstream, priority) = match &*state {
            State::Asks { upstream, priority } => (upstream.clone(), *priority),
            State::OnItsWay(way) => return Some(way.clone()),
            State::Back => return None,
        };
        let way = Way::default();
        let mut place = async move { upstream.enter(RETURNING, priority).await }.boxed();
        // A future stands in the queue only once it was polled.
        let place = match (&mut place).now_or_never() {
            Some(given) => std::future::ready(given).boxed(),
            None => place,
        };
        tasks.spawn("returning", way.clone().keep(place, tasks.stopping()));
        *state = State::OnItsWay(way.clone());
        Some(way)
    }

    /// It is back, or does not come: its place is for the next.
    pub(super) fn leave(&self) {
        if let State::OnItsWay(way) = std::mem::take(&mut *self.lock()) {
            way.left.cancel();
        }
    }

    /// Leaves when an input says that the model or the agent is at work, or gave up.
    pub(super) fn hear(&self, input: &Input) {
        let Input::Signal(signal) = input else { return };
        let on_the_way = matches!(
            signal,
            Signal::Prompted { .. }
                | Signal::Requesting(true)
                | Signal::Waiting { .. }
                | Signal::Notice { .. }
        );
        if !on_the_way {
            self.leave();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Way {
    /// Waits for the place and keeps it, until it is left or the time is over.
    async fn keep(self, place: BoxFuture<'static, Option<Place>>, stopping: CancellationToken) {
        let kept = async {
            let _place = place.await;
            self.open.cancel();
            tokio::time::sleep(MOST).await;
        };
        tokio::select! {
            () = kept => {}
            () = self.left.cancelled() => {}
            () = stopping.cancelled() => {}
        }
        // Whoever waits for a place that will not come goes on without.
        self.open.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::admission::RETURNING_AT_ONCE;
    use crate::core::governor::{Memory, Setup};
    use crate::runtime::meter::Meter;

    fn upstream() -> Arc<Upstream> {
        Upstream::new(Setup::default(), Memory::default(), Meter::default())
    }

    fn in_use(upstream: &Upstream) -> u32 {
        upstream.lock().gate(RETURNING).score().0
    }

    #[tokio::test(start_paused = true)]
    async fn few_come_back_at_once_the_most_urgent_first() {
        let (upstream, tasks) = (upstream(), Tasks::default());
        let queue = |priority| Returning::queue(upstream.clone(), priority, &tasks);
        let first: Vec<_> = (0..RETURNING_AT_ONCE).map(|_| queue(Priority::Loop)).collect();
        let (late, urgent) = (queue(Priority::Background), queue(Priority::Interactive));
        for returning in &first {
            returning.enter(&tasks).await;
        }
        let (mut late, mut urgent) = (Box::pin(late.enter(&tasks)), Box::pin(urgent.enter(&tasks)));
        assert!((&mut late).now_or_never().is_none() && (&mut urgent).now_or_never().is_none());
        first[0].hear(&Input::Signal(Signal::Requesting(true)));
        assert!((&mut urgent).now_or_never().is_none(), "asking the model is not being back");
        first[0].hear(&Input::Signal(Signal::MessageDelta("w".to_owned())));
        urgent.await;
        assert!((&mut late).now_or_never().is_none());
        first[1].leave();
        late.await;
        assert_eq!(in_use(&upstream), RETURNING_AT_ONCE);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_keeps_a_place_for_ever_and_who_gives_up_waits_no_more() {
        let (upstream, tasks) = (upstream(), Tasks::default());
        let slow: Vec<_> = (0..RETURNING_AT_ONCE)
            .map(|_| Returning::later(upstream.clone(), Priority::Loop))
            .collect();
        for returning in &slow {
            returning.enter(&tasks).await;
        }
        let gone = Returning::queue(upstream.clone(), Priority::Interactive, &tasks);
        let next = Returning::later(upstream.clone(), Priority::Background);
        assert!(Box::pin(gone.enter(&tasks)).now_or_never().is_none());
        gone.leave();
        // The clock moves on by itself once everybody waits.
        next.enter(&tasks).await;
        gone.enter(&tasks).await;
        assert_eq!(in_use(&upstream), 1, "the others had their time");
        Returning::default().enter(&tasks).await;
        next.leave();
        Returning::queue(upstream.clone(), Priority::Loop, &tasks).enter(&tasks).await;
        assert_eq!(in_use(&upstream), 1, "the place of who left was given back");
    }
}
