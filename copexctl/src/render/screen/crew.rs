//! Those who work side by side: a fleet's tasks, a council's members. Folded from the run's
//! events; pure.
//!
//! An event costs the same whatever their number.

use std::collections::HashMap;

use copex_proto::event::{EventBody, RunEvent, Task, Usage};
use copex_proto::run::{Mode, RunState};

use super::work::{Doing, Work};

/// Those who work side by side.
#[derive(Debug)]
pub(crate) struct Crew {
    /// What they are.
    pub(crate) mode: Mode,
    /// Everybody who was told of, in the order of the telling.
    pub(crate) hands: Vec<Hand>,
    /// How many of them may be at work now; 0 where that was not told.
    pub(crate) at_once: u32,
    /// How many might be at most.
    pub(crate) widest: u32,
    /// The stage of a council that was told of last.
    pub(crate) stage: String,
    /// What all who are parked wait for, as it was told last.
    pub(crate) parked: Work,
    places: HashMap<String, usize>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Hand {
    /// Its name.
    pub(crate) name: String,
    /// Its place.
    pub(crate) number: u32,
    /// How it stands.
    pub(crate) state: RunState,
    /// Why, where that was told.
    pub(crate) note: Option<String>,
    /// Whom it waits for.
    pub(crate) depends_on: Vec<String>,
    /// The stages of a council that it took part in, and how each stands.
    pub(crate) stages: Vec<(String, RunState)>,
    /// When it began, in Unix milliseconds; 0 before.
    pub(crate) began_at: u64,
    /// How long it took, once it is over.
    pub(crate) took_ms: Option<u64>,
    /// What it took.
    pub(crate) usage: Usage,
    /// The model that is asked, or answered last.
    pub(crate) model: Option<String>,
    /// The try that it is at.
    pub(crate) tries: u32,
    /// The iteration that it is at and the last there may be, where it is a loop.
    pub(crate) iteration: Option<(u32, u32)>,
    /// Questions of its that wait.
    pub(crate) asks: u32,
    /// What it is doing.
    pub(crate) work: Work,
}

impl Hand {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            number: u32::MAX,
            state: RunState::Queued,
            note: None,
            depends_on: Vec::new(),
            stages: Vec::new(),
            began_at: 0,
            took_ms: None,
            usage: Usage::default(),
            model: None,
            tries: 0,
            iteration: None,
            asks: 0,
            work: Work::default(),
        }
    }

    /// Whether it has begun and has not ended.
    pub(crate) fn at_work(&self) -> bool {
        matches!(self.state, RunState::Running | RunState::Asking | RunState::Parked)
    }

    /// Whether it waits for a person.
    pub(crate) fn asked(&self) -> bool {
        self.state == RunState::Asking || self.asks > 0 && self.at_work()
    }

    /// Takes something that it did.
    fn does(&mut self, body: &EventBody, at: u64) {
        match body {
            EventBody::Usage(usage) => {
                self.usage.add(usage);
                self.model.clone_from(&self.usage.model);
            }
            EventBody::Iteration { number, max } => {
                self.iteration = Some((*number, *max));
                self.work.turn_to(Doing::Asked, at);
            }
            EventBody::Gate { .. } => self.work.turn_to(Doing::Between, at),
            EventBody::Ask(_) => self.asks += 1,
            EventBody::Answered { .. } => self.asks = self.asks.saturating_sub(1),
            body => {
                if let EventBody::Attempt(attempt) = body {
                    self.tries = attempt.number;
                    if attempt.model.is_some() {
                        self.model.clone_from(&attempt.model);
                    }
                }
                self.work.turn(body, at);
            }
        }
    }
}

impl Crew {
    /// Nobody yet; nothing in a mode in which one works alone.
    pub(super) fn of(mode: Mode) -> Option<Self> {
        matches!(mode, Mode::Fleet | Mode::Council).then(|| Self {
            mode,
            hands: Vec::new(),
            at_once: 0,
            widest: 0,
            stage: String::new(),
            parked: Work::default(),
            places: HashMap::new(),
        })
    }

    /// Takes an event.
    pub(super) fn apply(&mut self, event: &RunEvent) {
        let at = event.at;
        match (&event.body, event.path.as_deref()) {
            (EventBody::Task(task), _) => self.task(task, at),
            (EventBody::Member { name, state, stage, note }, _) => {
                let stage = stage.as_deref().unwrap_or("part");
                self.member((name, stage), *state, note.as_deref(), at);
            }
            (body, Some(path)) => {
                // What comes after an id is an iteration of the task.
                let id = path.split('/').next().filter(|_| self.mode == Mode::Fleet);
                self.hand(id.unwrap_or(path)).does(body, at);
            }
            (EventBody::Parked { .. }, None) => {
                self.parked.turn(&event.body, at);
                for hand in self.hands.iter_mut().filter(|hand| hand.state == RunState::Parked) {
                    hand.work.turn(&event.body, at);
                }
            }
            (_, None) => {}
        }
    }

    /// Who has this name, if anybody was told of.
    pub(crate) fn find(&self, name: &str) -> Option<&Hand> {
        self.hands.get(*self.places.get(name)?)
    }

    /// How many are in one of these states.
    pub(crate) fn count(&self, states: &[RunState]) -> usize {
        self.hands.iter().filter(|hand| states.contains(&hand.state)).count()
    }

    fn hand(&mut self, name: &str) -> &mut Hand {
        let next = self.hands.len();
        // No name is copied for an event of somebody who is known: there are many.
        let known = self.places.get(name).copied();
        let place = known.unwrap_or_else(|| *self.places.entry(name.to_owned()).or_insert(next));
        if place == next {
            self.hands.push(Hand::new(name));
        }
        &mut self.hands[place]
    }

    fn task(&mut self, task: &Task, at: u64) {
        self.at_once = task.at_once;
        self.widest = self.widest.max(task.at_once);
        let hand = self.hand(&task.id);
        let waited = hand.state == RunState::Queued;
        (hand.state, hand.number) = (task.state, task.number);
        hand.note.clone_from(&task.note);
        hand.depends_on.clone_from(&task.depends_on);
        if hand.at_work() && waited {
            hand.began_at = at;
            hand.work.since = at;
        }
        if hand.state == RunState::Parked && !matches!(hand.work.doing, Doing::Parked { .. }) {
            // Until when is told of the run.
            let why = task.note.clone().unwrap_or_default();
            hand.work.turn_to(Doing::Parked { until: None, why }, at);
        }
        hand.took_ms = task.duration_ms;
        if let Some(usage) = &task.usage {
            hand.usage.clone_from(usage);
        }
    }

    fn member(
        &mut self,
        (name, stage): (&str, &str),
        state: RunState,
        note: Option<&str>,
        at: u64,
    ) {
        stage.clone_into(&mut self.stage);
        let hand = self.hand(name);
        match hand.stages.iter_mut().rfind(|(known, _)| known == stage) {
            // A debate has the same stage several times; the last one counts.
            Some(known) => known.1 = state,
            None => hand.stages.push((stage.to_owned(), state)),
        }
        match state {
            RunState::Queued => (hand.began_at, hand.took_ms) = (0, None),
            RunState::Running => {
                (hand.began_at, hand.took_ms) = (at, None);
                hand.work = Work::default();
                hand.work.since = at;
            }
            _ => {
                // One that was never asked took no time.
                hand.took_ms = at.checked_sub(hand.began_at).filter(|_| hand.began_at > 0);
                hand.asks = 0;
            }
        }
        hand.state = state;
        hand.note = note.map(str::to_owned);
    }
}
