//! What a run may spend: prices, caps, and the purse that is asked before every model call.
//!
//! A call's **cost** follows one rule: where its model has a price, it is the estimate in
//! the currency of the price table; else it is the premium requests that the backend told.
//! A cap on cost therefore counts money for priced models and premium requests for others.
//!
//! Invariant: a call is admitted only while what was spent, what is reserved for the calls
//! in flight and the estimate of this call stay within every cap. A first call has nothing
//! to be estimated by, so a cap can be passed by the calls that were in flight, and by no more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::day::DAY_MS;
use super::signal::CallUsage;

mod caps;

use caps::OF_RUN;
pub use caps::{Cap, Caps, Exceeded, Passed, amount};

/// Tokens that a price is for.
const PER_TOKENS: f64 = 1_000_000.0;

/// Shares of a cap that are told when they are passed, in percent.
pub const WARNED_AT: [u32; 3] = [50, 75, 90];

/// Sums of floats that should be equal differ by about this share.
const SLACK: f64 = 1e-9;

/// What a million tokens cost, in the price table's currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    /// Tokens sent that the endpoint had not cached.
    pub input: f64,
    /// Tokens received, reasoning included.
    pub output: f64,
    /// Tokens sent that the endpoint had cached. Absent: as `input`.
    pub cached: Option<f64>,
}

/// Prices by model, in lower case.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices(BTreeMap<String, Price>);

impl Prices {
    /// A table from a model's name to its price.
    pub fn new(prices: impl IntoIterator<Item = (String, Price)>) -> Self {
        Self(prices.into_iter().map(|(name, price)| (name.to_lowercase(), price)).collect())
    }

    /// The price of a model, by its whole name in any case.
    pub fn of(&self, model: &str) -> Option<&Price> {
        self.0.get(&model.to_lowercase())
    }
}

/// What one call, or several, cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Premium requests, as the backend told.
    pub premium_requests: f64,
    /// AI credits, where the backend told.
    pub ai_credits: Option<f64>,
    /// Our own estimate from the price table, where the model has a price.
    pub estimate: Option<f64>,
}

/// What a call cost.
pub fn cost_of(usage: &CallUsage, price: Option<&Price>) -> Cost {
    let estimate = price.map(|price| {
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let fresh = usage.input_tokens - cached;
        let sum = tokens(fresh) * price.input
            + tokens(cached) * price.cached.unwrap_or(price.input)
            + tokens(usage.output_tokens) * price.output;
        sum / PER_TOKENS
    });
    Cost { premium_requests: usage.premium_requests, ai_credits: usage.ai_credits, estimate }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 tokens")]
fn tokens(count: u64) -> f64 {
    count as f64
}

/// What a run spent so far. Fold every call of it, in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// By the rule of the module: estimates, and premium requests of models without a price.
    pub cost: f64,
    /// AI credits, as far as they were told.
    pub ai_credits: f64,
    /// Tokens sent and received.
    pub tokens: f64,
}

impl Spent {
    /// What one call came to. Its estimate must have been made ([`Purse::price`]).
    pub fn by(usage: &CallUsage) -> Self {
        Self {
            cost: usage.estimated_cost.unwrap_or(usage.premium_requests),
            ai_credits: usage.ai_credits.unwrap_or(0.0),
            tokens: tokens(usage.input_tokens) + tokens(usage.output_tokens),
        }
    }

    /// Adds what others came to.
    pub fn add(&mut self, other: Self) {
        self.cost += other.cost;
        self.ai_credits += other.ai_credits;
        self.tokens += other.tokens;
    }

    fn of(&self, cap: Cap) -> f64 {
        match cap {
            Cap::Cost | Cap::CostPerDay => self.cost,
            Cap::AiCredits => self.ai_credits,
            Cap::Tokens => self.tokens,
        }
    }
}

/// Which shares of a cap were told.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Told(u32);

impl Told {
    /// The highest share that is passed now and was not told. Lower ones are told by it.
    fn next(&mut self, spent: f64, most: f64) -> Option<u32> {
        let reached = |percent: &u32| at_least(spent, most * f64::from(*percent) / 100.0);
        let percent = WARNED_AT.into_iter().rfind(reached)?;
        if spent <= 0.0 || percent <= self.0 {
            return None;
        }
        self.0 = percent;
        Some(percent)
    }
}

fn at_least(value: f64, bound: f64) -> bool {
    value >= bound - bound.abs() * SLACK
}

/// Whether one more call of `estimate` has no room below `most`.
fn too_much(spent: f64, reserved: f64, estimate: f64, most: f64) -> bool {
    let used = spent + reserved;
    at_least(used, most) || used + estimate > most + most.abs() * SLACK
}

#[derive(Debug, Default)]
struct DayState {
    day: u64,
    spent: f64,
    reserved: f64,
    most: Option<f64>,
    told: Told,
}

impl DayState {
    /// A new day begins with nothing spent. A clock that was set back does not.
    fn turn_to(&mut self, now_ms: u64) {
        let day = now_ms / DAY_MS;
        if day > self.day {
            self.day = day;
            self.spent = 0.0;
            self.told = Told::default();
        }
    }
}

/// What all runs of a day (UTC) cost, and the cap on it. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct DayTotal(Arc<Mutex<DayState>>);

impl DayTotal {
    /// The day of `now_ms`, of which `spent` is spent already.
    pub fn new(now_ms: u64, spent: f64, most: Option<f64>) -> Self {
        let mut told = Told::default();
        if let Some(most) = most {
            told.next(spent, most);
        }
        let day = now_ms / DAY_MS;
        Self(Arc::new(Mutex::new(DayState { day, spent, reserved: 0.0, most, told })))
    }

    /// What is spent of the day, and the cap on it.
    pub fn spent(&self, now_ms: u64) -> (f64, Option<f64>) {
        let mut state = self.lock();
        state.turn_to(now_ms);
        (state.spent, state.most)
    }

    fn lock(&self) -> MutexGuard<'_, DayState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that was admitted: settle it with its usage, or release it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reservation(u64);

/// What is reserved for a call.
#[derive(Debug, Clone, Copy)]
struct Held {
    by: Reservation,
    estimate: Spent,
    /// The same in the purse of the whole, where this is a part.
    whole: Option<Reservation>,
}

#[derive(Debug)]
struct PurseState {
    spent: Spent,
    /// The largest call so far: what the next one is thought to take.
    largest: Spent,
    /// Calls in flight, oldest first, each with what was reserved for it.
    open: VecDeque<Held>,
    next: u64,
    told: [Told; OF_RUN.len()],
    passed: Vec<Passed>,
}

impl PurseState {
    fn reserved(&self) -> Spent {
        let mut sum = Spent::default();
        self.open.iter().for_each(|held| sum.add(held.estimate));
        sum
    }
}

/// One run's purse. Clones are the same purse: whoever makes its calls asks it, whoever
/// hears of their usage settles it.
#[derive(Debug, Clone)]
pub struct Purse {
    caps: Caps,
    prices: Arc<Prices>,
    day: DayTotal,
    state: Arc<Mutex<PurseState>>,
    /// The purse of which this is a part.
    whole: Option<Box<Purse>>,
}

impl Purse {
    /// The purse of a run that spent `spent` so far. What it passed already is not told again.
    pub fn new(caps: Caps, prices: Prices, spent: Spent, day: DayTotal) -> Self {
        let mut told = [Told::default(); OF_RUN.len()];
        for (cap, told) in OF_RUN.into_iter().zip(&mut told) {
            if let Some(most) = caps.most(cap) {
                told.next(spent.of(cap), most);
            }
        }
        let state = PurseState {
            spent,
            largest: Spent::default(),
            open: VecDeque::new(),
            next: 1,
            told,
            passed: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        Self { caps, prices: Arc::new(prices), day, state, whole: None }
    }

    /// The purse of a part of the run that spent `spent` so far: its calls are reserved in
    /// both. Both must be settled.
    pub fn part(&self, caps: Caps, spent: Spent) -> Self {
        let part = Self::new(caps, Prices::default(), spent, DayTotal::default());
        Self { whole: Some(Box::new(self.clone())), prices: self.prices.clone(), ..part }
    }

    /// Asks for one more model call.
    ///
    /// # Errors
    /// When a cap of the run or of the day has no room for it. Nothing is reserved then.
    pub fn reserve(&self, now_ms: u64) -> Result<Reservation, Exceeded> {
        let mut state = self.lock();
        let part = self.whole.is_some();
        let (spent, reserved, estimate) = (state.spent, state.reserved(), state.largest);
        let refuse = |cap, spent, reserved, estimate, most| {
            let over = too_much(spent, reserved, estimate, most);
            if over { Err(Exceeded { cap, spent, reserved, estimate, most, part }) } else { Ok(()) }
        };
        for cap in OF_RUN {
            if let Some(most) = self.caps.most(cap) {
                refuse(cap, spent.of(cap), reserved.of(cap), estimate.of(cap), most)?;
            }
        }
        let whole = if let Some(whole) = &self.whole {
            Some(whole.reserve(now_ms)?)
        } else {
            let mut day = self.day.lock();
            day.turn_to(now_ms);
            if let Some(most) = day.most {
                refuse(Cap::CostPerDay, day.spent, day.reserved, estimate.cost, most)?;
            }
            day.reserved += estimate.cost;
            None
        };
        let by = Reservation(state.next);
        state.next += 1;
        state.open.push_back(Held { by, estimate, whole });
        Ok(by)
    }

    /// Whether one more model call would be admitted. Nothing is reserved.
    ///
    /// # Errors
    /// As [`Purse::reserve`].
    pub fn check(&self, now_ms: u64) -> Result<(), Exceeded> {
        self.reserve(now_ms).map(|reservation| self.release(reservation))
    }

    /// A call ended with this usage. Without its reservation the oldest in flight is taken:
    /// usage is told by another way than the call was made. Without any it still counts.
    pub fn settle(&self, reservation: Option<Reservation>, usage: &CallUsage, now_ms: u64) {
        let mut state = self.lock();
        let held = match reservation {
            Some(wanted) => take(&mut state.open, wanted),
            None => state.open.pop_front(),
        };
        let call = Spent::by(usage);
        state.spent.add(call);
        state.largest = Spent {
            cost: state.largest.cost.max(call.cost),
            ai_credits: state.largest.ai_credits.max(call.ai_credits),
            tokens: state.largest.tokens.max(call.tokens),
        };
        let spent = state.spent;
        for (at, cap) in OF_RUN.into_iter().enumerate() {
            let Some(most) = self.caps.most(cap) else { continue };
            if let Some(percent) = state.told[at].next(spent.of(cap), most) {
                let part = self.whole.is_some();
                state.passed.push(Passed { cap, percent, spent: spent.of(cap), most, part });
            }
        }
        if self.whole.is_some() {
            // The day is the whole's.
            return;
        }
        let mut day = self.day.lock();
        day.turn_to(now_ms);
        day.reserved = (day.reserved - held.map_or(0.0, |held| held.estimate.cost)).max(0.0);
        day.spent += call.cost;
        if let Some(most) = day.most {
            let spent = day.spent;
            if let Some(percent) = day.told.next(spent, most) {
                let cap = Cap::CostPerDay;
                state.passed.push(Passed { cap, percent, spent, most, part: false });
            }
        }
    }

    /// A call cost nothing: it failed, or was never made.
    pub fn release(&self, reservation: Reservation) {
        let held = take(&mut self.lock().open, reservation);
        match (&self.whole, held.and_then(|held| held.whole)) {
            (Some(whole), Some(reservation)) => whole.release(reservation),
            (Some(_), None) => {}
            (None, _) => self.give_back(held.map_or(0.0, |held| held.estimate.cost)),
        }
    }

    /// No call is in flight any more: the turn is over, or its runtime died.
    pub fn release_all(&self) {
        let all: Vec<Held> = self.lock().open.drain(..).collect();
        match &self.whole {
            Some(whole) => {
                all.iter().filter_map(|held| held.whole).for_each(|held| whole.release(held));
            }
            None => self.give_back(all.iter().map(|held| held.estimate.cost).sum()),
        }
    }

    fn give_back(&self, cost: f64) {
        let mut day = self.day.lock();
        day.reserved = (day.reserved - cost).max(0.0);
    }

    /// Shares of caps that were passed since this was asked last. Each is told once; one
    /// call that passes several tells the highest.
    pub fn warnings(&self) -> Vec<Passed> {
        std::mem::take(&mut self.lock().passed)
    }

    /// Puts the estimate into a call's usage, where its model has a price.
    pub fn price(&self, usage: &mut CallUsage) {
        let price = usage.model.as_deref().and_then(|model| self.prices.of(model));
        usage.estimated_cost = cost_of(usage, price).estimate;
    }

    /// What the run spent so far.
    pub fn spent(&self) -> Spent {
        self.lock().spent
    }

    fn lock(&self) -> MutexGuard<'_, PurseState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(open: &mut VecDeque<Held>, wanted: Reservation) -> Option<Held> {
    let at = open.iter().position(|held| held.by == wanted)?;
    open.remove(at)
}

#[cfg(test)]
mod tests;
