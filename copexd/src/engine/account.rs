//! What one run spends and what is measured of it: the part of its loop that counts.

use std::collections::BTreeMap;

use copex_proto::event::EventBody;
use copex_proto::id::RunId;
use copex_proto::run::{RunOptions, RunRequest, RunState};

use super::ledger::{self, Row};
use super::submit::state_name;
use super::{events, measure};
use crate::core::day::Day;
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::{Effect, Fact, Input, Lane, MAIN};
use crate::core::metrics;
use crate::core::signal::Signal;
use crate::core::spend::{Caps, DayTotal, Price, Prices, Purse, Spent};
use crate::runtime::clock;
use crate::runtime::meter::Meter;
use crate::store::{Op, Store, StoreError};

/// What all runs share: the day's total, and the meter.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    /// What all runs of the day cost.
    pub day: DayTotal,
    /// Counts and times.
    pub meter: Meter,
}

impl Accounts {
    /// Reads today's total and what was measured in the present hour. Blocks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn load(store: &Store, max_cost_per_day: Option<f64>) -> Result<Self, StoreError> {
        let now = clock::now_ms();
        let spent = ledger::cost_of_day(store, now)?;
        let meter = measure::load(store, now)?;
        Ok(Self { day: DayTotal::new(now, spent, max_cost_per_day), meter })
    }
}

/// One run's books.
pub(super) struct Account {
    run: RunId,
    mode: &'static str,
    repository: String,
    /// Clones go to whoever makes the run's model calls.
    purse: Purse,
    /// The purses of lanes that have limits of their own.
    parts: BTreeMap<Lane, Purse>,
    meter: Meter,
    /// Rows that were written by this task, by key.
    rows: BTreeMap<Vec<u8>, Row>,
    /// Retries of model requests that were heard of and not journaled yet.
    waiting: usize,
    /// Whether a cassette answers.
    played: bool,
    /// When the turn's first try began, if this task saw it.
    turn_since: Option<u64>,
}

impl Account {
    /// The books of a run, with what it and those it goes on from spent so far.
    pub(super) fn open(
        accounts: &Accounts,
        store: &Store,
        (run, cwd): (RunId, &str),
        request: &RunRequest,
    ) -> Result<Self, StoreError> {
        let options = request.options();
        let spent = ledger::spent_before(store, run)?;
        Ok(Self {
            run,
            mode: request.mode().as_str(),
            repository: ledger::repository(cwd),
            parts: BTreeMap::new(),
            purse: Purse::new(caps(options), prices(options), spent, accounts.day.clone()),
            meter: accounts.meter.clone(),
            rows: BTreeMap::new(),
            waiting: 0,
            played: options.replay.is_some(),
            turn_since: None,
        })
    }

    /// Hears an input before the machine does: puts the estimate into usage, and the run's
    /// name into the way out of a limit.
    pub(super) fn hear(&mut self, input: &mut Input) {
        match input {
            Input::Refused(failure) | Input::Signal(Signal::Failed(failure))
                if failure.class == FailureClass::Limit =>
            {
                let hint = failure.hint.take();
                failure.hint = hint.map(|hint| hint.replace("RUN", self.run.as_str()));
            }
            Input::Signal(Signal::Usage(usage)) => self.purse.price(usage),
            Input::Signal(Signal::Waiting { .. }) => self.waiting += 1,
            _ => {}
        }
    }

    /// Why an effect that leads to model calls must not be performed, if so. Backends whose
    /// calls do not pass through us are held here only. `sent` says whether the prompt was:
    /// a session for a turn that may not begin would be empty, and gone when it is wanted.
    pub(super) fn refuses(
        &self,
        lane: Lane,
        effect: &Effect,
        sent: impl FnOnce() -> bool,
    ) -> Option<Failure> {
        let calls = match effect {
            Effect::Open => !sent(),
            Effect::Send(_) | Effect::Rerun => true,
            _ => false,
        };
        let check = || self.purse_of(lane).check(clock::now_ms()).err();
        calls.then(check).flatten().map(Failure::from)
    }

    /// Gives a lane a purse of its own, unless it has one.
    pub(super) fn limit(&mut self, lane: Lane, (caps, spent): (Caps, Spent)) {
        let purse = &self.purse;
        self.parts.entry(lane).or_insert_with(|| purse.part(caps, spent));
    }

    /// The purse of a lane.
    pub(super) fn purse_of(&self, lane: Lane) -> &Purse {
        self.parts.get(&lane).unwrap_or(&self.purse)
    }

    /// No model call of the lane is in flight any more, where it has a purse of its own.
    pub(super) fn rest_of(&self, lane: Lane) {
        if let Some(part) = self.parts.get(&lane) {
            part.release_all();
        }
    }

    /// No model call of the run is in flight any more.
    pub(super) fn rest(&self) {
        self.purse.release_all();
    }

    /// Takes the usage among the facts of a commit: the purse is settled, warnings that are
    /// due are added to the facts, and the rows of the ledger are returned.
    pub(super) fn settle(
        &mut self,
        store: &Store,
        facts: &mut Vec<(Lane, Fact)>,
        now: u64,
    ) -> Vec<Op> {
        let day = Day::of(now);
        let mut changed = BTreeMap::new();
        let mut passed = Vec::new();
        for (lane, fact) in facts.iter() {
            let Fact::Usage(usage) = fact else { continue };
            if self.played {
                // It was paid for when it was recorded.
                continue;
            }
            self.purse.settle(None, usage, now);
            if let Some(part) = self.parts.get(lane) {
                part.settle(None, usage, now);
                passed.extend(part.warnings().into_iter().map(|passed| (*lane, passed)));
            }
            let model = usage.model.as_deref().unwrap_or("unknown");
            let key = ledger::key(day, self.run, model);
            let row = self.rows.entry(key.clone()).or_insert_with(|| {
                // What a killed daemon wrote for this run today. A store that cannot be read
                // does not take this commit either.
                ledger::get(store, &key).unwrap_or_default()
            });
            row.repository.clone_from(&self.repository);
            row.add(usage);
            changed.insert(key.clone(), ledger::put(&key, row));
        }
        // Rows of days that are over are not written again.
        self.rows.retain(|key, _| key.starts_with(day.compact().as_bytes()));
        passed.extend(self.purse.warnings().into_iter().map(|passed| (MAIN, passed)));
        facts.extend(passed.into_iter().map(|(lane, passed)| {
            let (code, message) = ("spend".to_owned(), passed.to_string());
            (lane, Fact::Warning { code, message })
        }));
        changed.into_values().collect()
    }

    /// Measures the events of a commit.
    pub(super) fn measure(&mut self, bodies: &[(Option<String>, EventBody)], now: u64) {
        for (_, body) in bodies {
            match body {
                EventBody::Attempt(attempt) if attempt.number == 1 => self.turn_since = Some(now),
                EventBody::Usage(usage) => self.tokens(usage),
                EventBody::Retrying(retrying) => {
                    let level = if self.waiting > 0 { "request" } else { "turn" };
                    self.waiting = self.waiting.saturating_sub(1);
                    let class = measure::wire_name(&retrying.error.class);
                    if !retrying.unasked {
                        self.meter.count(&metrics::RETRIES, &[level, &class]);
                    }
                }
                EventBody::Fallback { from, to, .. } => {
                    self.meter.count(&metrics::FALLBACKS, &[from, to]);
                }
                EventBody::Parked { .. } => self.meter.count(&metrics::PARKS, &[self.mode]),
                body if body.is_terminal() => {
                    self.ended(events::state_after(body).unwrap_or(RunState::Failed), now);
                }
                _ => {}
            }
        }
        // One that the machine did not pass on is none.
        self.waiting = 0;
    }

    fn tokens(&self, usage: &copex_proto::event::Usage) {
        let model = usage.model.as_deref().unwrap_or("unknown");
        let kinds = [
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cached", usage.cached_tokens),
            ("reasoning", usage.reasoning_tokens),
        ];
        for (kind, count) in kinds {
            self.meter.add(&metrics::TOKENS, &[model, kind], count);
        }
    }

    fn ended(&mut self, state: RunState, now: u64) {
        self.meter.count(&metrics::RUNS, &[self.mode, state_name(state)]);
        if let Some(since) = self.turn_since.take() {
            let took = std::time::Duration::from_millis(now.saturating_sub(since));
            self.meter.observe(&metrics::TURN_TIME, &[self.mode], took);
        }
    }
}

fn caps(options: &RunOptions) -> Caps {
    Caps {
        max_cost: options.max_cost,
        max_ai_credits: options.max_ai_credits,
        max_tokens: options.max_tokens,
    }
}

fn prices(options: &RunOptions) -> Prices {
    let price = |price: &copex_proto::spend::Price| Price {
        input: price.input,
        output: price.output,
        cached: price.cached,
    };
    Prices::new(options.prices.iter().map(|(model, it)| (model.clone(), price(it))))
}
