//! Why a run waits, and what would let it go on.

use copex_proto::breaker::{BreakerList, BreakerState, BreakerStatus, GateStatus, LimitStatus};
use copex_proto::error::ErrorInfo;
use copex_proto::explain::{Explanation, ModelStanding, Wait, WaitKind};
use copex_proto::id::RunId;
use copex_proto::run::{RunDetail, RunRequest, RunState};

use super::registry::Live;
use super::{Engine, chain, store_error};
use crate::backend::errand::Doing;
use crate::backend::upstream::RUNS;
use crate::core::admission::RETURNING;
use crate::core::breaker::State;
use crate::core::chat::Progress;
use crate::core::failure::{FailureClass, Scope};
use crate::core::governor::span;
use crate::core::stored::Stored;
use crate::runtime::clock;
use crate::store::Health;

impl Engine {
    /// Why a run waits.
    ///
    /// # Errors
    /// `NotFound` for a run nobody knows.
    pub fn explain(&self, run: RunId) -> Result<Explanation, ErrorInfo> {
        let detail = self.detail(run)?;
        let state = detail.summary.state;
        let stored = self.inner.store.checkpoint(run).map_err(|error| store_error(&error))?;
        let stored = stored.and_then(|bytes| Stored::read(&bytes));
        let progress = stored.map(|stored| stored.turn().clone()).unwrap_or_default();
        let now = clock::now_ms();
        let live = self.inner.registry.get(run);
        let mut waits = Vec::new();
        if let Some(live) = live.filter(|_| !state.is_terminal()) {
            waits.extend(self.frozen());
            waits.extend(self.asks(&detail)?);
            if let Some(until) = progress.parked.filter(|_| state == RunState::Parked) {
                waits.push(match &self.record(run)?.needs_key {
                    Some(name) => needs_key(run, name, until),
                    None => parked(run, until, now),
                });
            } else if waits.is_empty() {
                waits.push(doing(run, &live, now));
            }
        }
        let retry_budget = self.inner.upstream.lock().budget.retries(now);
        Ok(Explanation {
            run,
            state,
            summary: summary(&detail, &waits),
            models: self.standings(&detail, &progress, now),
            waits,
            attempts: progress.attempts,
            fallbacks: progress.fallbacks,
            parks: progress.parks,
            retry_budget,
            error: detail.error,
        })
    }

    fn frozen(&self) -> Option<Wait> {
        let health = self.inner.store.health();
        let health = health.borrow();
        let Health::Frozen(error) = &*health else { return None };
        Some(Wait {
            kind: WaitKind::Store,
            detail: format!("the store takes nothing: {error}"),
            since: None,
            until: None,
            unblock: "free some space on that disk".to_owned(),
        })
    }

    fn asks(&self, detail: &RunDetail) -> Result<Vec<Wait>, ErrorInfo> {
        let mut waits = Vec::new();
        for ask in &detail.asks {
            let record = self.inner.store.ask(ask).map_err(|error| store_error(&error))?;
            let Some(record) = record else { continue };
            let title = record.question["title"].as_str().unwrap_or("a question").to_owned();
            waits.push(Wait {
                kind: WaitKind::Ask,
                detail: title,
                since: Some(record.opened_at),
                until: record.due_at,
                unblock: format!("copexctl inbox answer {ask} yes|always|no|TEXT"),
            });
        }
        Ok(waits)
    }

    fn standings(&self, detail: &RunDetail, progress: &Progress, now: u64) -> Vec<ModelStanding> {
        let request = serde_json::from_value::<RunRequest>(detail.request.clone());
        let Ok(request) = request else { return Vec::new() };
        let targets = chain::targets(request.options());
        let governor = self.inner.upstream.lock();
        let over = detail.summary.state.is_terminal();
        let standing = |(index, target): (usize, crate::core::target::Target)| ModelStanding {
            current: index == progress.candidate && !over,
            excluded: progress.excluded.contains(&index),
            closed: governor.closed(&target, now).map(|failure| failure.message),
            model: target.model,
            endpoint: target.endpoint,
        };
        targets.into_iter().enumerate().map(standing).collect()
    }

    /// Breakers, limits and queues.
    pub fn breakers(&self) -> BreakerList {
        let governor = self.inner.upstream.lock();
        let now = clock::now_ms();
        let short = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let breakers = governor.breakers().map(|(target, breaker)| {
            let (failures, samples) = breaker.score();
            let (state, until) = match breaker.state {
                State::Closed => (BreakerState::Closed, None),
                State::Open { until } => (BreakerState::Open, Some(until)),
                State::HalfOpen { lease } => (BreakerState::HalfOpen, Some(lease)),
            };
            BreakerStatus {
                backend: target.backend.clone(),
                endpoint: target.endpoint.clone(),
                model: target.model.clone(),
                state,
                until,
                failures: short(failures),
                samples: short(samples),
                opened: breaker.opened,
                used_at: breaker.used_at,
            }
        });
        let limits = governor.limits.holding(now).map(|limit| LimitStatus {
            endpoint: limit.endpoint.clone(),
            model: limit.model.clone(),
            scope: scope(limit.scope).to_owned(),
            until: limit.until,
            told: limit.told,
            message: limit.words.clone(),
        });
        let gates = governor.gates().map(|(endpoint, gate)| {
            let (in_use, limit, ceiling, waiting) = gate.score();
            let (endpoint, waiting) = (endpoint.to_owned(), short(waiting));
            GateStatus { endpoint, in_use, limit, ceiling, waiting }
        });
        BreakerList {
            breakers: breakers.collect(),
            limits: limits.collect(),
            gates: gates.collect(),
            retry_budget: governor.budget.retries(now),
        }
    }

    /// Closes breakers and forgets limits; returns how many of both.
    pub fn reset_breakers(&self, endpoint: Option<&str>, model: Option<&str>) -> u32 {
        let matches = |at: &str, of: Option<&str>| {
            endpoint.is_none_or(|endpoint| endpoint == at)
                && model.is_none_or(|model| of == Some(model))
        };
        u32::try_from(self.inner.upstream.reset(matches)).unwrap_or(u32::MAX)
    }
}

fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Model => "model",
        Scope::Account => "account",
        Scope::Weekly => "weekly",
        Scope::Integration => "integration",
    }
}

fn parked(run: RunId, until: u64, now: u64) -> Wait {
    Wait {
        kind: WaitKind::Park,
        detail: format!("it is parked for {} more", span(until.saturating_sub(now))),
        since: None,
        until: Some(until),
        unblock: format!("copexctl runs resume --now {run}"),
    }
}

fn needs_key(run: RunId, name: &str, until: u64) -> Wait {
    Wait {
        kind: WaitKind::NeedsKey,
        detail: format!(
            "it needs the key in {name}: only a client had it, and keys are not stored"
        ),
        since: None,
        until: Some(until),
        unblock: format!("copexctl runs resume {run}, where {name} is set"),
    }
}

/// What its model request does.
fn doing(run: RunId, live: &Live, now: u64) -> Wait {
    let cancel = format!("copexctl runs cancel {run}");
    let wait = |kind, detail: String, since, until, unblock: String| Wait {
        kind,
        detail,
        since,
        until,
        unblock,
    };
    let ago = |since: u64| span(now.saturating_sub(since));
    match live.activity.get() {
        Doing::Session { since } => wait(
            WaitKind::Session,
            "its session is in use by a run that came before".to_owned(),
            Some(since),
            None,
            "that run ends; `copexctl runs list --active` shows it".to_owned(),
        ),
        Doing::Gate { command, since } => wait(
            WaitKind::Gate,
            format!("the gate `{command}` has run for {}", ago(since)),
            Some(since),
            None,
            format!("the command ends, or its time is up; {cancel}"),
        ),
        Doing::Place { endpoint, since } => {
            let (kind, detail, unblock) = place(&endpoint);
            wait(kind, detail, Some(since), None, unblock.to_owned())
        }
        Doing::Asked { target, since } => wait(
            WaitKind::Model,
            format!("{target} was asked {} ago and has not begun to answer", ago(since)),
            Some(since),
            None,
            cancel,
        ),
        Doing::Answering { target, since } => wait(
            WaitKind::Model,
            format!("{target} is answering a request of {} ago", ago(since)),
            Some(since),
            None,
            cancel,
        ),
        Doing::Waiting { until, failure } => {
            let kind = match failure.class {
                FailureClass::RateLimit(_) => WaitKind::Limit,
                _ if failure.unasked => WaitKind::Breaker,
                _ => WaitKind::Backoff,
            };
            let left = span(until.saturating_sub(now));
            let unblock = if kind == WaitKind::Backoff {
                "the next try succeeds".to_owned()
            } else {
                "copexctl breakers reset".to_owned()
            };
            let detail = if failure.unasked {
                format!("nobody was asked yet, it is in {left}: {}", failure.message)
            } else {
                format!("it is tried again in {left}, after: {}", failure.message)
            };
            wait(kind, detail, None, Some(until), unblock)
        }
        Doing::Nothing => wait(
            WaitKind::Agent,
            "the agent is at work: a tool runs, or the Copilot CLI prepares".to_owned(),
            None,
            None,
            format!("copexctl runs logs {run} shows what it did last"),
        ),
    }
}

/// What a wait for a place is about, and what gives one.
fn place(queue: &str) -> (WaitKind, String, &'static str) {
    match queue {
        RUNS => (
            WaitKind::Slot,
            "it waits for a place among the runs at work".to_owned(),
            "another run ends, or `limits.max_running` is raised",
        ),
        RETURNING => (
            WaitKind::Slot,
            "it comes back after a restart, and others are before it".to_owned(),
            "one of those that come back hears from its model",
        ),
        endpoint => (
            WaitKind::Admission,
            format!("its request waits for a place among those to {endpoint}"),
            "another request ends; fewer are let through after throttling",
        ),
    }
}

fn summary(detail: &RunDetail, waits: &[Wait]) -> String {
    if let Some(wait) = waits.first() {
        return wait.detail.clone();
    }
    match (&detail.error, detail.summary.state) {
        (Some(error), _) => error.message.clone(),
        (None, RunState::Done) => "it is done".to_owned(),
        (None, state) if state.is_terminal() => "it is over".to_owned(),
        (None, _) => "it goes on when the daemon has read its journal".to_owned(),
    }
}
