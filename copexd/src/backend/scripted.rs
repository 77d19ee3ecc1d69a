//! The strictest backend: it plays a script and takes nothing out of order.
//!
//! For tests of whoever uses a backend. What a real one would let pass (a second prompt into
//! a turn under way, a decision about nothing, a word after the end) is a finding here: it
//! panics, or fails with the class `Usage`, as [`Strictness`] says.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::errand::Errand;
use super::spec::SessionSpec;
use super::{Auth, Backend, Capabilities, Model, Opening, Session};
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::{Decision, Found};
use crate::core::signal::{CallUsage, Signal, Wish};

/// What a call out of order leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// A panic that names it.
    Panics,
    /// A failure of the class `Usage` that names it.
    Fails,
}

/// One step of a turn.
#[derive(Debug, Clone)]
pub enum Step {
    /// Say this. [`Signal::Idle`] and [`Signal::Closed`] end the turn.
    Say(Signal),
    /// A message in pieces and as a whole, that answers the prompt and is paid for.
    Answer(String),
    /// Call a tool that needs permission: its steps when it is allowed, or when it is not.
    Ask {
        /// Names the request.
        request: String,
        /// What it wants.
        wish: Wish,
        /// What comes when it is allowed.
        allowed: Vec<Step>,
        /// What comes when it is denied.
        denied: Vec<Step>,
    },
    /// Ask the user, and go on once there is an answer.
    Question {
        /// Names the request.
        request: String,
        /// The question.
        question: String,
    },
    /// Say nothing more until the turn is stopped.
    Hang,
}

/// A turn under way.
#[derive(Debug, Default)]
struct Turn {
    steps: VecDeque<Step>,
    /// A request that was said and waits.
    waiting: Option<(String, Wish, Vec<Step>, Vec<Step>)>,
    /// A question that was said and waits.
    question: Option<String>,
}

#[derive(Debug, Clone, Default)]
struct Told {
    messages: Vec<String>,
    /// What was said after the prompt.
    said: Vec<String>,
    ended: bool,
}

/// One conversation, open or not.
#[derive(Debug, Default)]
struct State {
    open: bool,
    dead: bool,
    turn: Option<Turn>,
    /// Signals said and not taken.
    ready: VecDeque<Signal>,
    /// The prompts so far, with what was told after each.
    history: Vec<Told>,
    message: String,
}

/// The scripts, and every session ever opened.
#[derive(Debug)]
pub struct ScriptedBackend {
    strictness: Strictness,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    scripts: Mutex<VecDeque<Vec<Step>>>,
    sessions: Mutex<HashMap<String, Arc<Mutex<State>>>>,
}

impl ScriptedBackend {
    /// A backend without scripts and sessions.
    pub fn new(strictness: Strictness) -> Self {
        Self { strictness, shared: Arc::default() }
    }

    /// What the next turn without a script plays; [`Signal::Idle`] follows on its own unless
    /// the script ends in [`Signal::Closed`]. Without any, a prompt is answered by itself.
    pub fn script(&self, steps: impl IntoIterator<Item = Step>) -> &Self {
        lock(&self.shared.scripts).push_back(steps.into_iter().collect());
        self
    }
}

#[async_trait]
impl Backend for ScriptedBackend {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { request_policy: false, ..Capabilities::ALL }
    }

    async fn open(
        &self,
        _spec: &SessionSpec,
        opening: &Opening,
    ) -> Result<Arc<dyn Session>, Failure> {
        let mut sessions = lock(&self.shared.sessions);
        let (id, state) = match opening {
            Opening::New => {
                let id = format!("scripted-{}", sessions.len() + 1);
                let state = Arc::<Mutex<State>>::default();
                sessions.insert(id.clone(), state.clone());
                (id, state)
            }
            Opening::Resume(id) | Opening::ResumeWaiting(id) => {
                let known = sessions.get(id).filter(|state| !lock(state).history.is_empty());
                let Some(state) = known else {
                    let message = format!("there is no session {id}");
                    return Err(Failure::new(FailureClass::SessionGone, message));
                };
                (id.clone(), state.clone())
            }
        };
        {
            let mut state = lock(&state);
            if state.open {
                return Err(illegal(self.strictness, &id, "opened while it is open"));
            }
            if *opening != Opening::ResumeWaiting(id.clone()) {
                // What was cut off stays so.
                state.turn = None;
            }
            (state.open, state.dead) = (true, false);
            state.ready.clear();
        }
        let (strictness, shared) = (self.strictness, self.shared.clone());
        let moved = Notify::new();
        Ok(Arc::new(ScriptedSession { id, strictness, shared, state, moved }))
    }

    async fn models(&self) -> Result<Vec<Model>, Failure> {
        Ok(vec![Model { id: "scripted".to_owned(), ..Model::default() }])
    }

    async fn catalogue(&self) -> Result<Vec<String>, Failure> {
        Ok(vec!["scripted".to_owned()])
    }

    async fn auth(&self) -> Result<Auth, Failure> {
        Ok(Auth { authenticated: true, ..Auth::default() })
    }
}

/// An open session.
struct ScriptedSession {
    id: String,
    strictness: Strictness,
    shared: Arc<Shared>,
    state: Arc<Mutex<State>>,
    moved: Notify,
}

impl ScriptedSession {
    /// The state, if the session is open still.
    fn open(&self, doing: &str) -> Result<MutexGuard<'_, State>, Failure> {
        let state = lock(&self.state);
        if state.open {
            return Ok(state);
        }
        drop(state);
        Err(self.illegal(&format!("{doing} after it was closed")))
    }

    fn illegal(&self, what: &str) -> Failure {
        illegal(self.strictness, &self.id, what)
    }

    /// Begins a turn over the history with the next script.
    fn start_turn(&self, state: &mut State, prompt: Option<&str>) {
        let script = lock(&self.shared.scripts).pop_front();
        let steps = script.unwrap_or_else(|| {
            let number = state.history.len();
            vec![Step::Answer(format!("{number}: {}", prompt.unwrap_or("again")))]
        });
        state.turn = Some(Turn { steps: steps.into(), ..Turn::default() });
        state.play();
        self.moved.notify_one();
    }
}

impl State {
    /// Says everything up to the next wait or the end of the turn.
    fn play(&mut self) {
        while let Some(turn) = self.turn.as_mut() {
            match turn.steps.pop_front() {
                Some(Step::Say(signal)) => self.say(signal),
                Some(Step::Answer(text)) => self.answer(&text),
                Some(Step::Ask { request, wish, allowed, denied }) => {
                    turn.waiting = Some((request.clone(), wish.clone(), allowed, denied));
                    self.say(Signal::Permission { request, wish });
                    return;
                }
                Some(Step::Question { request, question }) => {
                    turn.question = Some(request.clone());
                    self.say(Signal::Question { request, question, choices: Vec::new() });
                    return;
                }
                Some(Step::Hang) => return,
                None => self.say(Signal::Idle),
            }
        }
    }

    fn answer(&mut self, text: &str) {
        let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
        let (head, tail) = text.split_at(middle);
        let answers = Some(self.message.clone());
        let usage =
            CallUsage { calls: 1, input_tokens: 11, output_tokens: 7, ..CallUsage::default() };
        self.say(Signal::Requesting(true));
        self.say(Signal::MessageDelta(head.to_owned()));
        self.say(Signal::MessageDelta(tail.to_owned()));
        self.say(Signal::Requesting(false));
        self.say(Signal::Message { text: text.to_owned(), answers });
        self.say(Signal::Usage(usage));
    }

    fn say(&mut self, signal: Signal) {
        let told = self.history.last_mut();
        match (&signal, told) {
            (Signal::Message { text, .. }, Some(told)) => told.messages.push(text.clone()),
            (Signal::Failed(_), Some(told)) => told.messages.clear(),
            (Signal::Idle, told) => {
                if let Some(told) = told {
                    told.ended = !told.messages.is_empty();
                }
                self.turn = None;
            }
            (Signal::Closed(_), _) => {
                self.turn = None;
                self.dead = true;
            }
            _ => {}
        }
        self.ready.push_back(signal);
    }
}

#[async_trait]
impl Session for ScriptedSession {
    fn id(&self) -> &str {
        &self.id
    }

    fn backend(&self) -> &'static str {
        "scripted"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { request_policy: false, ..Capabilities::ALL }
    }

    fn alive(&self) -> bool {
        !lock(&self.state).dead
    }

    async fn warm(&self) {}

    fn begin(&self, _errand: Errand) {
        // Told by a failure only where that is a panic: it has no result of its own.
        if self.open("a run began").is_ok_and(|state| state.turn.is_some()) {
            let _told = self.illegal("a run began in a turn under way");
        }
    }

    async fn compact(&self) -> Result<(), Failure> {
        if self.open("it was made smaller")?.turn.is_some() {
            return Err(self.illegal("it was made smaller in a turn under way"));
        }
        Ok(())
    }

    async fn send(&self, prompt: &str) -> Result<String, Failure> {
        let mut state = self.open("a prompt was sent")?;
        if state.turn.is_some() || !state.ready.is_empty() {
            drop(state);
            return Err(self.illegal("a prompt was sent into a turn under way"));
        }
        state.history.push(Told::default());
        state.message = format!("{}-m{}", self.id, state.history.len());
        self.start_turn(&mut state, Some(prompt));
        Ok(state.message.clone())
    }

    async fn steer(&self, text: &str) -> Result<(), Failure> {
        let mut state = self.open("it was told more")?;
        let Some(told) = state.history.last_mut() else {
            drop(state);
            return Err(self.illegal("it was told more before any prompt"));
        };
        told.said.push(text.to_owned());
        told.ended = false;
        state.say(Signal::Prompted { text: text.to_owned(), message: None });
        if state.turn.is_none() {
            self.start_turn(&mut state, Some(text));
        }
        self.moved.notify_one();
        Ok(())
    }

    async fn said(&self, before: u64) -> Result<Vec<String>, Failure> {
        let state = self.open("its transcript was read")?;
        let after = usize::try_from(before).unwrap_or(usize::MAX);
        Ok(state.history.iter().skip(after).flat_map(|told| told.said.clone()).collect())
    }

    async fn rerun(&self) -> Result<(), Failure> {
        let mut state = self.open("a turn was run again")?;
        let wrong = match state.history.last() {
            None => Some("a turn was run again before any prompt"),
            Some(told) if told.ended => Some("a turn was run again that had ended"),
            Some(_) if state.turn.is_some() => Some("a turn was run again that is under way"),
            Some(_) => None,
        };
        if let Some(wrong) = wrong {
            drop(state);
            return Err(self.illegal(wrong));
        }
        self.start_turn(&mut state, None);
        Ok(())
    }

    async fn next(&self) -> Signal {
        loop {
            let moved = self.moved.notified();
            if let Some(signal) = lock(&self.state).ready.pop_front() {
                return signal;
            }
            moved.await;
        }
    }

    async fn user_messages(&self) -> Result<u64, Failure> {
        Ok(self.open("its transcript was read")?.history.len() as u64)
    }

    async fn look(&self, before: u64, _steers: &[String]) -> Result<Found, Failure> {
        let state = self.open("its transcript was read")?;
        let at = usize::try_from(before).unwrap_or(usize::MAX);
        let Some(told) = state.history.get(at) else { return Ok(Found::Nothing) };
        if told.ended {
            return Ok(Found::Finished { messages: told.messages.clone() });
        }
        if at + 1 < state.history.len() {
            return Ok(Found::Nothing);
        }
        let waiting = state.turn.as_ref().and_then(|turn| turn.waiting.as_ref());
        let waiting = waiting.map(|(request, wish, ..)| (request.clone(), wish.clone()));
        Ok(Found::Unfinished { waiting: waiting.into_iter().collect() })
    }

    async fn decide(&self, request: &str, decision: &Decision) -> Result<(), Failure> {
        let mut state = self.open("a tool was decided about")?;
        let turn = state.turn.as_mut();
        let asked = turn.and_then(|turn| turn.waiting.take_if(|(name, ..)| name == request));
        let Some((_, _, allowed, denied)) = asked else {
            drop(state);
            return Err(self.illegal(&format!("{request} was decided, which does not wait")));
        };
        let steps = if *decision == Decision::Allow { allowed } else { denied };
        if let Some(turn) = state.turn.as_mut() {
            for step in steps.into_iter().rev() {
                turn.steps.push_front(step);
            }
        }
        state.play();
        self.moved.notify_one();
        Ok(())
    }

    fn reply(&self, request: &str, _text: Option<String>) {
        // Without a result to carry it, a failure can only be told by panicking.
        let Ok(mut state) = self.open("a question was answered") else { return };
        let turn = state.turn.as_mut();
        if turn.and_then(|turn| turn.question.take_if(|name| name == request)).is_none() {
            drop(state);
            let _told = self.illegal(&format!("{request} was answered, which nobody asked"));
            return;
        }
        state.play();
        self.moved.notify_one();
    }

    async fn abort(&self) -> Result<(), Failure> {
        let mut state = self.open("a turn was stopped")?;
        if state.turn.is_some() {
            state.say(Signal::Idle);
            self.moved.notify_one();
        }
        Ok(())
    }

    async fn close(&self) {
        if let Ok(mut state) = self.open("it was closed") {
            state.open = false;
        }
    }

    async fn discard(&self) {
        self.close().await;
        lock(&self.shared.sessions).remove(&self.id);
    }
}

fn illegal(strictness: Strictness, session: &str, what: &str) -> Failure {
    let message = format!("session {session}: {what}");
    assert!(strictness == Strictness::Fails, "illegal: {message}");
    Failure::new(FailureClass::Usage, message)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
