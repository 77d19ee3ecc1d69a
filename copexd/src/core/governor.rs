//! What all runs share of the outside world's health: breakers, limits, the retry budget and
//! how much is asked at once. Every model request asks here first and reports here last.
//!
//! Invariant: what one run learns, all know; nobody asks a target behind an open breaker or a
//! known limit, whichever client it works for.
//!
//! Not here: locks, waiting and the store (`backend::upstream`, `engine::health`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::admission::{self, Limiter};
use super::breaker::{Breaker, BreakerRules, Pass, State};
use super::budget::Budget;
use super::failure::{Failure, FailureClass};
use super::limits::Limits;
use super::moment::Moment;
use super::policy::{self, Level, Next, Others, Policy, Rule, SHORT_WAIT_MS, Trouble, Ways};
use super::target::{Candidate, Target};

/// Targets whose health is remembered. A user asks a handful of models; a gateway offers
/// hundreds, of which the least used are forgotten.
const MOST_TARGETS: usize = 256;

/// Endpoints whose queue is kept.
const MOST_GATES: usize = 64;

/// The answer to a request that wants to be made.
#[derive(Debug, Clone, PartialEq)]
pub enum Admission {
    /// Make it, and report on it with this.
    Go(Ticket),
    /// Do not: with what there is to say, and when to ask again.
    Shut(Failure),
}

/// What a request that was let through is known by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticket {
    /// When it was let through, in Unix milliseconds.
    since: u64,
    /// The lease of a breaker's probe, if it is one.
    probe: Option<u64>,
}

/// What became of a request that was made.
#[derive(Debug, Clone, PartialEq)]
pub enum Report<'a> {
    /// Its answer began. What comes of it is reported later.
    Begun,
    /// It was answered.
    Answered,
    /// It failed.
    Failed(&'a Failure),
    /// Nobody waited for its end.
    Abandoned,
}

/// A target's breaker changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub target: Target,
    /// To what.
    pub state: State,
}

/// Which candidate is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Which.
    pub candidate: usize,
    /// Why the first one is not, where that is so.
    pub reason: Option<String>,
    /// Whether it is asked although its breaker is open: every one's is.
    pub forced: bool,
}

/// The part that outlives the process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Breakers by target.
    pub breakers: Vec<(Target, Breaker)>,
    /// Limits.
    pub limits: Limits,
}

/// The shared state.
#[derive(Debug)]
pub struct Governor {
    rules: BreakerRules,
    panic: bool,
    breakers: BTreeMap<Target, Breaker>,
    /// What endpoints told us of their limits.
    pub limits: Limits,
    /// The retries that all share.
    pub budget: Budget,
    gates: BTreeMap<String, Limiter>,
    ceiling: u32,
    changes: Vec<Change>,
    changed: bool,
}

/// How a governor is set up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setup {
    /// When breakers open.
    pub rules: BreakerRules,
    /// Whether the least bad target is asked when every candidate's breaker is open.
    pub panic: bool,
    /// Requests to one endpoint at once, at most.
    pub ceiling: u32,
}

impl Default for Setup {
    fn default() -> Self {
        Self { rules: BreakerRules::default(), panic: false, ceiling: 64 }
    }
}

impl Governor {
    /// A governor that remembers `memory`.
    pub fn new(setup: Setup, memory: Memory, now_ms: u64) -> Self {
        Self {
            rules: setup.rules,
            panic: setup.panic,
            breakers: memory.breakers.into_iter().take(MOST_TARGETS).collect(),
            limits: memory.limits,
            budget: Budget::full(now_ms),
            gates: BTreeMap::new(),
            ceiling: setup.ceiling.max(1),
            changes: Vec::new(),
            changed: false,
        }
    }

    /// What is to be remembered, if that changed since the last time.
    pub fn take_memory(&mut self) -> Option<Memory> {
        std::mem::take(&mut self.changed).then(|| self.memory())
    }

    fn memory(&self) -> Memory {
        let breakers = self.breakers.iter().map(|(target, it)| (target.clone(), it.clone()));
        Memory { breakers: breakers.collect(), limits: self.limits.clone() }
    }

    /// Breakers that changed since the last time.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Every target known, with its breaker.
    pub fn breakers(&self) -> impl Iterator<Item = (&Target, &Breaker)> {
        self.breakers.iter()
    }

    /// Every endpoint's limiter.
    pub fn gates(&self) -> impl Iterator<Item = (&str, &Limiter)> {
        self.gates.iter().map(|(endpoint, gate)| (endpoint.as_str(), gate))
    }

    /// The limiter of an endpoint.
    pub fn gate(&mut self, endpoint: &str) -> &mut Limiter {
        let ceiling = admission::ceiling(endpoint, self.ceiling);
        if self.gates.len() >= MOST_GATES && !self.gates.contains_key(endpoint) {
            // Those that nobody is at begin anew when they are wanted again.
            self.gates.retain(|_, gate| !gate.is_empty());
        }
        self.gates.entry(endpoint.to_owned()).or_insert_with(|| Limiter::new(ceiling))
    }

    /// Whether a request may be made now. One that may must be reported on.
    pub fn admit(&mut self, target: &Target, forced: bool, now_ms: u64) -> Admission {
        let mut ticket = Ticket { since: now_ms, probe: None };
        if !target.is_real() {
            return Admission::Go(ticket);
        }
        if let Some(failure) = self.limited(target, now_ms) {
            return Admission::Shut(failure);
        }
        let breaker = self.breaker(target, now_ms);
        match breaker.admit(now_ms) {
            Pass::Free => Admission::Go(ticket),
            Pass::Probe(lease) => {
                self.note(target);
                ticket.probe = Some(lease);
                Admission::Go(ticket)
            }
            Pass::Shut { .. } if forced => Admission::Go(ticket),
            Pass::Shut { until } => Admission::Shut(shut(target, until, now_ms)),
        }
    }

    /// What became of it.
    pub fn report(&mut self, target: &Target, ticket: Ticket, report: &Report<'_>, now_ms: u64) {
        if !target.is_real() {
            return;
        }
        let rules = self.rules;
        let breaker = self.breaker(target, now_ms);
        let before = breaker.state;
        match report {
            Report::Begun => {
                breaker.begun(ticket.probe);
                // One that was made before the limit says nothing about it.
                self.changed |= self.limits.answered(target, ticket.since);
            }
            Report::Answered => {
                breaker.succeeded(ticket.probe, now_ms, &rules);
                self.gate(&target.endpoint).succeeded();
            }
            Report::Failed(failure) => {
                let rule = policy::rule(failure.class);
                if rule.counted {
                    breaker.failed(ticket.probe, now_ms, &rules);
                } else {
                    breaker.returned(ticket.probe, now_ms);
                }
                self.learn(target, failure, rule, now_ms);
            }
            Report::Abandoned => breaker.returned(ticket.probe, now_ms),
        }
        self.changed = true;
        if self.breakers.get(target).is_some_and(|breaker| breaker.state != before) {
            self.note(target);
        }
    }

    fn learn(&mut self, target: &Target, failure: &Failure, rule: Rule, now_ms: u64) {
        if rule.halves {
            self.gate(&target.endpoint).throttled(now_ms);
        }
        // One without a time is learned when somebody gives up waiting for it.
        if let (FailureClass::RateLimit(scope), Some(after)) =
            (failure.class, failure.retry_after_ms)
        {
            self.limits.learn(target, scope, (Some(after), &failure.message), now_ms);
        }
    }

    /// Which candidate a turn is to be asked of: the first that may be asked and is not
    /// `excluded`.
    ///
    /// # Errors
    /// Why none may be asked, with the earliest moment at which that changes.
    pub fn route(
        &self,
        candidates: &[Candidate],
        excluded: &[usize],
        preferred: usize,
        now_ms: u64,
    ) -> Result<Route, Failure> {
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        if preferred < candidates.len() {
            order.retain(|index| *index != preferred);
            order.insert(0, preferred);
        }
        order.retain(|index| *index == preferred || !excluded.contains(index));
        let mut closed: Vec<(usize, Failure)> = Vec::new();
        for index in order {
            match self.closed(&candidates[index].target, now_ms) {
                None => {
                    let reason = closed.first().map(|(_, failure)| failure.message.clone());
                    return Ok(Route { candidate: index, reason, forced: false });
                }
                Some(failure) => closed.push((index, failure)),
            }
        }
        if self.panic
            && let Some((index, why)) = self.least_bad(candidates, &closed)
        {
            return Ok(Route { candidate: index, reason: Some(why), forced: true });
        }
        let first = closed.iter().filter_map(|(_, failure)| failure.retry_after_ms).min();
        let mut words: Vec<String> = Vec::new();
        for (_, failure) in &closed {
            if !words.contains(&failure.message) {
                words.push(failure.message.clone());
            }
        }
        let failure = closed.into_iter().next().map(|(_, failure)| failure);
        let mut failure = failure.unwrap_or_else(|| {
            Failure::new(FailureClass::Unknown, "there is no model to ask").unasked()
        });
        failure.message = words.join("; ");
        Err(failure.with_retry_after(first))
    }

    /// The candidate with the fewest failures, among those that only a breaker keeps shut.
    fn least_bad(
        &self,
        candidates: &[Candidate],
        closed: &[(usize, Failure)],
    ) -> Option<(usize, String)> {
        let behind =
            |(_, failure): &&(usize, Failure)| !matches!(failure.class, FailureClass::RateLimit(_));
        let score = |index: usize| {
            let breaker = self.breakers.get(&candidates[index].target);
            breaker.map_or((0, 0), |breaker| (breaker.opened, breaker.score().0))
        };
        let best = closed.iter().filter(behind).min_by_key(|(index, _)| score(*index))?;
        Some((best.0, format!("every breaker is open: {}", best.1.message)))
    }

    /// Decides about a turn's failure on `current`.
    pub fn judge(
        &mut self,
        policy: &Policy,
        trouble: &Trouble,
        (candidates, current, excluded): (&[Candidate], usize, &[usize]),
        moment: Moment,
    ) -> Next {
        let rule = policy::rule(trouble.failure.class);
        let now_ms = moment.now_ms;
        let ways = match candidates.get(current) {
            Some(candidate) => Ways {
                other: trouble
                    .can_rerun
                    .then(|| self.other(rule.others, candidate, (candidates, excluded), now_ms))
                    .flatten(),
                reset: self.limits.on(&candidate.target, now_ms).map(|limit| limit.until),
            },
            None => Ways::default(),
        };
        let next = policy.next(Level::Turn, trouble, ways, &mut self.budget, moment);
        if let Next::Park { until: Some(until) } = next {
            return Next::Park { until: Some(self.first_end(candidates, until, now_ms)) };
        }
        let Next::Park { until: None } = next else { return next };
        // Nobody said until when: what is assumed holds for everybody.
        let real = candidates.get(current).filter(|candidate| candidate.target.is_real());
        let assumed = real.and_then(|candidate| {
            let FailureClass::RateLimit(scope) = trouble.failure.class else { return None };
            self.changed = true;
            let words = trouble.failure.message.as_str();
            Some(self.limits.learn(&candidate.target, scope, (None, words), now_ms))
        });
        let until = assumed.unwrap_or(now_ms + super::limits::ASSUMED_MS);
        Next::Park { until: Some(self.first_end(candidates, until, now_ms)) }
    }

    /// When the first of a run's limits ends: one that parks begins with the first model again.
    fn first_end(&self, candidates: &[Candidate], until: u64, now_ms: u64) -> u64 {
        let known = candidates.iter().filter_map(|it| self.limits.on(&it.target, now_ms));
        known.map(|limit| limit.until).chain([until]).min().unwrap_or(until)
    }

    /// Another candidate that a rule allows and that may be asked now.
    pub fn other(
        &self,
        others: Others,
        current: &Candidate,
        (candidates, excluded): (&[Candidate], &[usize]),
        now_ms: u64,
    ) -> Option<usize> {
        let fits = |candidate: &Candidate| match others {
            Others::No => false,
            Others::Yes | Others::After(_) | Others::IfAllowed => true,
            Others::Elsewhere => candidate.target.endpoint != current.target.endpoint,
            Others::Larger => match (candidate.context_tokens, current.context_tokens) {
                (Some(theirs), Some(ours)) => theirs > ours,
                // Where nobody says how large they are, it is worth a try.
                _ => true,
            },
        };
        candidates.iter().enumerate().find_map(|(index, candidate)| {
            let free = candidate.target != current.target
                && !excluded.contains(&index)
                && fits(candidate)
                && self.closed(&candidate.target, now_ms).is_none();
            free.then_some(index)
        })
    }

    /// Closes breakers and forgets limits by hand; returns how many of both.
    pub fn reset(&mut self, matches: impl Fn(&str, Option<&str>) -> bool, now_ms: u64) -> usize {
        let mut count = 0;
        for (target, breaker) in &mut self.breakers {
            if matches(&target.endpoint, Some(&target.model)) && *breaker != Breaker::default() {
                let open = breaker.state != State::Closed;
                *breaker = Breaker { used_at: now_ms, ..Breaker::default() };
                count += usize::from(open);
                if open {
                    let (target, state) = (target.clone(), State::Closed);
                    self.changes.push(Change { target, state });
                }
            }
        }
        count += self.limits.forget(|limit| matches(&limit.endpoint, limit.model.as_deref()));
        self.changed = true;
        count
    }

    /// Whether a target may not be asked now.
    pub fn is_shut(&self, target: &Target, now_ms: u64) -> bool {
        let shut = |breaker: &Breaker| matches!(breaker.peek(now_ms), Pass::Shut { .. });
        self.limits.on(target, now_ms).is_some() || self.breakers.get(target).is_some_and(shut)
    }

    /// Somebody wants these asked whatever their limits: the next answer says what holds.
    pub fn forget_limits(&mut self, targets: &[Target]) -> bool {
        let known = targets.iter().filter(|target| self.limits.answered(target, u64::MAX)).count();
        self.changed |= known > 0;
        known > 0
    }

    /// Why a target may not be asked for longer than a moment.
    pub fn closed(&self, target: &Target, now_ms: u64) -> Option<Failure> {
        let limited = self.limited(target, now_ms);
        let failure = limited.or_else(|| match self.breakers.get(target)?.peek(now_ms) {
            Pass::Free | Pass::Probe(_) => None,
            Pass::Shut { until } => Some(shut(target, until, now_ms)),
        });
        failure.filter(|failure| failure.retry_after_ms.is_none_or(|wait| wait > SHORT_WAIT_MS))
    }

    fn limited(&self, target: &Target, now_ms: u64) -> Option<Failure> {
        let limit = self.limits.on(target, now_ms)?;
        let wait = limit.until - now_ms;
        let whole = if limit.model.is_some() { target.to_string() } else { limit.endpoint.clone() };
        let message = format!("{whole} is limited for {}: {}", span(wait), limit.words);
        let failure = Failure::new(FailureClass::RateLimit(limit.scope), message);
        Some(failure.unasked().with_retry_after(Some(wait)))
    }

    fn breaker(&mut self, target: &Target, now_ms: u64) -> &mut Breaker {
        if self.breakers.len() >= MOST_TARGETS && !self.breakers.contains_key(target) {
            let oldest = self.breakers.iter().min_by_key(|(_, breaker)| breaker.used_at);
            if let Some(oldest) = oldest.map(|(target, _)| target.clone()) {
                self.breakers.remove(&oldest);
            }
        }
        let fresh = || Breaker { used_at: now_ms, ..Breaker::default() };
        self.breakers.entry(target.clone()).or_insert_with(fresh)
    }

    fn note(&mut self, target: &Target) {
        self.changed = true;
        if let Some(breaker) = self.breakers.get(target) {
            self.changes.push(Change { target: target.clone(), state: breaker.state });
        }
    }
}

fn shut(target: &Target, until: u64, now_ms: u64) -> Failure {
    let wait = until.saturating_sub(now_ms);
    let message = format!("{target} failed too often and is not asked for {}", span(wait));
    let hint =
        "wait, name other models with --fallback, or close it with `copexctl breakers reset`";
    let failure = Failure::new(FailureClass::Server, message).with_hint(hint);
    failure.unasked().with_retry_after(Some(wait))
}

/// A wait in words.
pub fn span(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds.div_ceil(60)),
        7_200..=172_799 => format!("{} h", seconds.div_ceil(3_600)),
        _ => format!("{} days", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests;
