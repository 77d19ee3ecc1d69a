//! One request: forwarded, asked again as the policy says, answered or given up.

use std::time::Duration;

use github_copilot_sdk::Client;
use serde::Deserialize;
use tokio::time::Instant;

use super::attempt::{self, Answer, Outcome, Refusal};
use super::exchange::{Exchange, Head};
use super::respond::{self, Told};
use super::{Link, Seam, lock};
use crate::backend::errand::{Activity, Doing, Errand};
use crate::backend::upstream::{Place, Upstream};
use crate::core::failure::{Failure, FailureClass, Spent};
use crate::core::governor::{Admission, Report, Ticket};
use crate::core::metrics;
use crate::core::policy::{self, Level, Next, Trouble, Ways};
use crate::core::signal::Signal;
use crate::core::spend::{Purse, Reservation};
use crate::core::target::{Candidate, Target};
use crate::runtime::clock;

/// How long an answer may pause that no run waits for: a list of models.
const UNWATCHED: Duration = Duration::from_mins(5);

/// Serves one request to its end.
pub(super) async fn serve(seam: &Seam, client: &Client, id: &str, exchange: Exchange) {
    let cancelled = || respond::fail(client, id, "the request was cancelled", "cancelled");
    let served = async {
        tokio::select! {
            () = exchange.cancel.cancelled() => cancelled().await,
            () = seam.death.cancelled() => Ok(()),
            served = answer(seam, client, id, &exchange) => served,
        }
    };
    if let Err(error) = served.await {
        tracing::debug!(%error, "the runtime did not take an answer");
    }
}

async fn answer(seam: &Seam, client: &Client, id: &str, exchange: &Exchange) -> Told {
    let Some(head) = &exchange.head else { return Ok(()) };
    if head.websocket {
        // The CLI then asks the same over HTTP.
        return respond::fail(client, id, "WebSockets are not forwarded", "unsupported").await;
    }
    let link = seam.linked(head.session.as_deref());
    let errand = link.as_ref().and_then(Link::errand);
    let (Some(link), Some(errand), "POST") = (link, errand, head.method.as_str()) else {
        // A list of models, or a session that nobody works in.
        let first_event = Duration::from_millis(policy::Policy::default().first_event_ms);
        return match attempt::once(seam, head, &exchange.body, None, first_event).await {
            Outcome::Answer(answer) => {
                let idle = (head, UNWATCHED);
                respond::pass_on(client, id, idle, answer, &mut |_| {}).await.map(drop)
            }
            Outcome::Failed(refusal) => respond::give_up(client, id, &refusal).await,
        };
    };
    let target = target_of(&errand, &exchange.body);
    let asking = Asking { seam, head, body: &exchange.body, link: &link, errand, target };
    match asking.run().await {
        Ok((answer, passing, tries)) => asking.pass_on(client, id, answer, passing, tries).await,
        Err(refusal) => {
            asking.errand.activity.set(Doing::Nothing);
            *lock(&link.given_up) = Some(refusal.failure.clone());
            respond::give_up(client, id, &refusal).await
        }
    }
}

/// What the request is sent to: a sub-agent may ask another model than the run does.
fn target_of(errand: &Errand, body: &[u8]) -> Target {
    #[derive(Deserialize)]
    struct Asked {
        model: Option<String>,
    }
    let asked = serde_json::from_slice::<Asked>(body).ok().and_then(|asked| asked.model);
    let current = errand.candidates.get(errand.current).map(|candidate| candidate.target.clone());
    let unknown =
        || Target { backend: "sdk".to_owned(), endpoint: String::new(), model: String::new() };
    let mut target = current.unwrap_or_else(unknown);
    if let Some(model) = asked {
        target.model = model;
    }
    target
}

/// A breaker that opened under the turn's own failures: the last of them is the reason that
/// people can do something about.
fn because(shut: Failure, last: Option<&Failure>) -> Failure {
    match last {
        Some(last) if !matches!(shut.class, FailureClass::RateLimit(_)) => {
            let message = format!("{}; {}", last.message, shut.message);
            Failure { class: last.class, status: last.status, message, ..shut }
        }
        _ => shut,
    }
}

/// One request under way.
struct Asking<'a> {
    seam: &'a Seam,
    head: &'a Head,
    body: &'a [u8],
    link: &'a Link,
    errand: Errand,
    target: Target,
}

/// A request that was let through: reported on whichever way it ends.
struct Passing<'a> {
    upstream: &'a Upstream,
    target: &'a Target,
    ticket: Ticket,
    reported: bool,
    /// When it was made, if it was.
    asked: Option<Instant>,
    /// When the first of its answer came, after that.
    first: Option<Duration>,
    outcome: &'static str,
    reservation: Option<(Purse, Reservation)>,
    activity: Activity,
    _place: Option<Place>,
}

impl Passing<'_> {
    fn report(&mut self, report: &Report<'_>) {
        self.reported = *report != Report::Begun;
        match report {
            Report::Begun => self.first = self.asked.map(|asked| asked.elapsed()),
            Report::Answered => self.outcome = metrics::ANSWERED,
            Report::Failed(failure) => self.outcome = failure.class.name(),
            Report::Abandoned => self.outcome = metrics::ABANDONED,
        }
        self.upstream.report(self.target, self.ticket, report);
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        if !self.reported {
            self.upstream.report(self.target, self.ticket, &Report::Abandoned);
        }
        if let Some((purse, reservation)) = self.reservation.take() {
            purse.release(reservation);
        }
        if let Some(asked) = self.asked {
            let model = if self.target.model.is_empty() { "default" } else { &self.target.model };
            let whom = (self.target.endpoint.as_str(), model);
            self.upstream.meter().request(whom, self.outcome, asked.elapsed(), self.first);
        }
        self.activity.set(Doing::Nothing);
    }
}

impl Asking<'_> {
    /// Asks until there is an answer or the policy gives up.
    async fn run(&self) -> Result<(Answer, Passing<'_>, Spent), Box<Refusal>> {
        let upstream = &self.seam.upstream;
        upstream.lock().budget.earn(clock::now_ms());
        let since_ms = clock::now_ms();
        let mut spent = Spent { tries: self.errand.tries, in_class: 0 };
        let mut last: Option<Failure> = None;
        let mut told = false;
        loop {
            let place = self.enter().await;
            let refusal = match upstream.admit(&self.target, self.errand.forced) {
                Admission::Shut(shut) => {
                    drop(place);
                    let last = last.as_ref().or(self.errand.after.as_ref());
                    Box::new(Refusal::of_ours(because(shut, last)))
                }
                Admission::Go(ticket) => {
                    let mut passing = self.passing(place, ticket)?;
                    spent.tries += 1;
                    match self.once(&mut passing).await {
                        Outcome::Answer(answer) => return Ok((answer, passing, spent)),
                        Outcome::Failed(refusal) => {
                            passing.report(&Report::Failed(&refusal.failure));
                            refusal
                        }
                    }
                }
            };
            let failure = &refusal.failure;
            if !failure.unasked {
                let again = last.as_ref().is_some_and(|last| last.class == failure.class);
                spent.in_class = if again { spent.in_class + 1 } else { 1 };
                last = Some(failure.clone());
            }
            let unasked = refusal.failure.unasked;
            self.wait_or_give_up(refusal, (spent, told), since_ms).await?;
            told = unasked;
        }
    }

    async fn wait_or_give_up(
        &self,
        mut refusal: Box<Refusal>,
        (spent, told): (Spent, bool),
        since_ms: u64,
    ) -> Result<(), Box<Refusal>> {
        let moment = clock::moment();
        if policy::rule(refusal.failure.class).counted && !refusal.failure.unasked {
            // A failure that opened the breaker: nobody waits for a try that is not made.
            let closed = self.seam.upstream.lock().closed(&self.target, moment.now_ms);
            if let Some(shut) = closed.filter(|_| !self.errand.forced) {
                refusal.failure = because(shut, Some(&refusal.failure));
            }
        }
        let trouble = Trouble {
            failure: refusal.failure.clone(),
            tries: spent.tries,
            in_class: spent.in_class,
            elapsed_ms: moment.now_ms.saturating_sub(since_ms),
            parks: 0,
            filtered: false,
            can_rerun: true,
            patient: self.errand.patient,
        };
        let next = {
            let mut governor = self.seam.upstream.lock();
            let Errand { candidates, current, excluded, policy, .. } = &self.errand;
            let others = policy::rule(refusal.failure.class).others;
            // A sub-agent's model is its own: nobody takes over from that one.
            let own = |current: &&Candidate| {
                current.target.model.is_empty() || current.target == self.target
            };
            let other = candidates.get(*current).filter(own).and_then(|current| {
                governor.other(others, current, (candidates, excluded), moment.now_ms)
            });
            let ways = Ways { other, reset: None };
            policy.next(Level::Request, &trouble, ways, &mut governor.budget, moment)
        };
        let Next::Retry { at } = next else {
            tracing::debug!(?next, class = ?refusal.failure.class, "a request is given up");
            refusal.failure = refusal.failure.with_spent(spent);
            return Err(refusal);
        };
        let delay_ms = at.saturating_sub(moment.now_ms);
        let failure = refusal.failure;
        let limited = matches!(failure.class, FailureClass::RateLimit(_));
        // A limit without a time is in no table: nobody can say that it is over.
        let shut = failure.unasked || (limited && failure.retry_after_ms.is_some());
        self.errand.activity.set(Doing::Waiting { until: at, failure: failure.clone() });
        // That nobody may be asked yet is told once; after that it is only a sign of life.
        let signal = if failure.unasked && told {
            Signal::Requesting(true)
        } else {
            Signal::Waiting { attempt: spent.tries + 1, failure, delay_ms }
        };
        // A run that has ended meanwhile needs no news.
        let _ = self.link.signals.send(signal).await;
        let mut changes = self.seam.upstream.changes();
        let sleep = tokio::time::sleep(Duration::from_millis(delay_ms));
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => return Ok(()),
                // A breaker that closes, or a limit that is forgotten, lets those through
                // who wait for it.
                _ = changes.changed(), if shut => {
                    let now_ms = clock::now_ms();
                    if !self.seam.upstream.lock().is_shut(&self.target, now_ms) {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Waits for a place among the requests to this endpoint. The run's watchdog must not
    /// take that for the model's silence.
    async fn enter(&self) -> Option<Place> {
        let Errand { priority, activity, .. } = &self.errand;
        let endpoint = &self.target.endpoint;
        let mut entering = Box::pin(self.seam.upstream.enter(endpoint, *priority));
        if let Some(place) = futures_util::FutureExt::now_or_never(&mut entering) {
            return place;
        }
        activity.set(Doing::Place { endpoint: endpoint.clone(), since: clock::now_ms() });
        let _ = self.link.signals.send(Signal::Requesting(false)).await;
        let place = entering.await;
        let _ = self.link.signals.send(Signal::Requesting(true)).await;
        place
    }

    fn passing(&self, place: Option<Place>, ticket: Ticket) -> Result<Passing<'_>, Box<Refusal>> {
        let mut passing = Passing {
            upstream: &self.seam.upstream,
            target: &self.target,
            ticket,
            reported: false,
            asked: None,
            first: None,
            outcome: metrics::ABANDONED,
            reservation: None,
            activity: self.errand.activity.clone(),
            _place: place,
        };
        if let Some(purse) = &self.errand.purse {
            match purse.reserve(clock::now_ms()) {
                Ok(reservation) => passing.reservation = Some((purse.clone(), reservation)),
                Err(exceeded) => return Err(Box::new(Refusal::of_ours(exceeded.into()))),
            }
        }
        Ok(passing)
    }

    async fn once(&self, passing: &mut Passing<'_>) -> Outcome {
        let (target, since) = (self.target.to_string(), clock::now_ms());
        self.errand.activity.set(Doing::Asked { target: target.clone(), since });
        let first_event = self.errand.policy.first_event_ms.min(self.errand.idle_ms);
        let first_event = Duration::from_millis(first_event);
        let (seam, link) = (self.seam, Some(self.link));
        passing.asked = Some(Instant::now());
        let mut outcome = attempt::once(seam, self.head, self.body, link, first_event).await;
        match &mut outcome {
            Outcome::Answer(_) => {
                passing.report(&Report::Begun);
                self.errand.activity.set(Doing::Answering { target, since });
            }
            Outcome::Failed(refusal) => {
                refusal.name(&self.target, &self.head.url, &self.link.redactor);
            }
        }
        outcome
    }

    async fn pass_on(
        &self,
        client: &Client,
        id: &str,
        answer: Answer,
        mut passing: Passing<'_>,
        spent: Spent,
    ) -> Told {
        // Known before the CLI can say anything about it.
        let mut broke = |failure: &Failure| {
            passing.report(&Report::Failed(failure));
            let spent = Spent { tries: spent.tries, in_class: 1 };
            *lock(&self.link.given_up) = Some(failure.clone().with_spent(spent));
        };
        let idle = Duration::from_millis(self.errand.idle_ms);
        if respond::pass_on(client, id, (self.head, idle), answer, &mut broke).await? {
            passing.report(&Report::Answered);
            // Its usage is on the way and settles what was reserved.
            passing.reservation = None;
            self.link.succeeded();
        }
        Ok(())
    }
}
