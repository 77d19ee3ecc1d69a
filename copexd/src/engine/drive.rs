//! The one loop: an input, the machine's word, one commit, and only then the effects.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use copex_proto::event::EventBody;
use copex_proto::id::{RunId, SessionId};
use copex_proto::run::{RunRequest, SessionChoice};
use futures_util::FutureExt as _;
use futures_util::future::select_all;
use tokio::sync::{mpsc, watch};

use super::account::Account;
use super::chain::Chain;
use super::crew::Crew;
use super::desk::Desk;
use super::events;
use super::registry::{Command, Live};
use super::returning::Returning;
use super::{Engine, inbox, key, prepare, tape};
use crate::core::failure::{Failure, FailureClass};
use crate::core::governor::Report;
use crate::core::machine::{Effect, End, Fact, Input, Lane, MAIN, Machine, Outcome, Tail, Verdict};
use crate::core::policy::Policy;
use crate::core::stored::Stored;
use crate::pool::Queued;
use crate::runtime::clock;
use crate::store::{Durability, Op, SessionRecord, StoreError};

/// A run as it is set to work.
pub(super) struct Begun {
    pub(super) request: RunRequest,
    pub(super) progress: Option<Stored>,
    pub(super) first: Input,
    /// The place in its session's queue, where it goes on in one.
    pub(super) place: Option<Queued>,
    pub(super) returning: Returning,
}

/// One run at work.
pub(super) struct Driver {
    pub(super) engine: Engine,
    pub(super) live: Arc<Live>,
    pub(super) request: RunRequest,
    pub(super) cwd: String,
    pub(super) account: Account,
    pub(super) chain: Arc<Chain>,
    /// The same for lanes that do not ask the run's own.
    pub(super) chains: BTreeMap<Lane, Arc<Chain>>,
    pub(super) policy: Policy,
    pub(super) machine: Box<dyn Machine>,
    /// The lanes that were at work; [`MAIN`] is always there.
    pub(super) desks: BTreeMap<Lane, Desk>,
    /// The run's way back after a restart.
    pub(super) returning: Returning,
    /// Fires when breakers or limits change.
    pub(super) health: watch::Receiver<u64>,
    ended: bool,
}

impl Engine {
    /// Sets a journaled run to work.
    pub(super) fn spawn_run(
        &self,
        live: Arc<Live>,
        inbox: mpsc::Receiver<Command>,
        request: RunRequest,
        progress: Option<Stored>,
        first: Input,
    ) {
        // Taken here and not in the task: runs speak in the order in which they were accepted.
        let session = session_of(&request, progress.as_ref());
        let place = session.map(|id| self.inner.pool.queue(&id));
        let returning = Returning::default();
        self.spawn_begun(live, inbox, Begun { request, progress, first, place, returning });
    }

    /// The same for a run that has its places in queues already.
    pub(super) fn spawn_begun(
        &self,
        live: Arc<Live>,
        inbox: mpsc::Receiver<Command>,
        begun: Begun,
    ) {
        let engine = self.clone();
        self.inner.tasks.spawn("run", async move {
            let (run, returning) = (live.summary.borrow().run, begun.returning.clone());
            if let Err(error) = engine.clone().drive(live, inbox, begun).await {
                tracing::error!(%run, %error, "the run stops: the store refuses");
            }
            returning.leave();
            engine.inner.registry.remove(run);
        });
    }

    async fn drive(
        self,
        live: Arc<Live>,
        mut inbox: mpsc::Receiver<Command>,
        begun: Begun,
    ) -> Result<(), StoreError> {
        let Begun { mut request, progress, first, place, returning } = begun;
        let fresh = first == Input::Start;
        let (run, cwd) = {
            let summary = live.summary.borrow();
            (summary.run, summary.cwd.clone().unwrap_or_default())
        };
        self.settle_demo(&mut request, &live).await;
        tape::settle(&mut request).await;
        let options = request.options();
        let mut spec = match prepare::chat_spec(run.as_str(), options, &cwd) {
            Ok(spec) => spec,
            Err(error) => return self.refuse(&live, &error.message).await,
        };
        let chain = match self.chain(options, &live).await {
            Ok(chain) => chain,
            Err(error) => return self.refuse(&live, &error.message).await,
        };
        spec.choices.clone_from(&chain.choices);
        let warning = spec.choices.first().and_then(|first| first.warning.clone());
        let warning = warning.filter(|_| fresh);
        spec.warnings.extend(warning.map(|text| ("effort_lowered".to_owned(), text)));
        if options.demo && fresh {
            let text = "a built-in demonstration model answers; sign in with `copexctl login` or \
                        set [provider] in the configuration for a real one";
            spec.warnings.push(("demo_model".to_owned(), text.to_owned()));
        }
        spec.warnings.extend(tape::warning(options).filter(|_| fresh));
        let Crew { machine, chains } =
            match self.crew(&request, (spec, &cwd), &live, progress).await {
                Ok(crew) => crew,
                Err(error) => return self.refuse(&live, &error.message).await,
            };
        let (accounts, store) = (&self.inner.accounts, &self.inner.store);
        let account = Account::open(accounts, store, (run, &cwd), &request)?;
        let policy = prepare::retry_policy(request.options());
        let health = self.inner.upstream.changes();
        let mut driver = Driver {
            engine: self,
            live,
            request,
            cwd,
            account,
            chain: Arc::new(chain),
            chains,
            policy,
            machine,
            desks: BTreeMap::from([(MAIN, Desk { place, ..Desk::default() })]),
            returning,
            health,
            ended: false,
        };
        if let Input::Recover(tail) = &first {
            driver.remember(tail);
        }
        driver.step(MAIN, vec![first]).await?;
        driver.work(&mut inbox).await
    }
}

impl Driver {
    /// In which iterations the lanes were.
    fn remember(&mut self, tail: &Tail) {
        let lanes = tail.lanes.iter().map(|(lane, tail)| (*lane, tail.iteration));
        for (lane, iteration) in lanes.chain([(MAIN, tail.iteration)]) {
            self.desks.entry(lane).or_default().iteration = iteration;
        }
    }

    /// The loop: until the run has ended, or the daemon stops.
    async fn work(&mut self, inbox: &mut mpsc::Receiver<Command>) -> Result<(), StoreError> {
        let stopping = self.engine.inner.tasks.stopping();
        while !self.ended {
            let waits = self.desks.values().any(Desk::waits_for_health);
            let (lane, inputs) = tokio::select! {
                biased;
                // The run stays unfinished in the journal and goes on when a daemon starts.
                () = stopping.cancelled() => return Ok(()),
                command = inbox.recv() => match command {
                    Some(Command::Steer(text, told)) => {
                        let taken = self.machine.steerable();
                        if taken.is_ok() {
                            self.step(MAIN, vec![Input::Steer(text)]).await?;
                        }
                        // Whoever said it may have gone; it counts all the same.
                        let _ = told.send(taken);
                        continue;
                    }
                    Some(command) => (MAIN, hear(command)),
                    None => return Ok(()),
                },
                heard = next(&mut self.desks) => heard,
                // A breaker that closes lets those go on who wait for it.
                Ok(()) = self.health.changed(), if waits => {
                    for (lane, inputs) in self.relent() {
                        self.step(lane, inputs).await?;
                    }
                    continue;
                }
            };
            self.step(lane, inputs).await?;
        }
        Ok(())
    }
}

/// What happens next in any lane.
async fn next(desks: &mut BTreeMap<Lane, Desk>) -> (Lane, Vec<Input>) {
    let mut lanes = Vec::new();
    for (lane, desk) in desks {
        if desk.waits() {
            lanes.push(Box::pin(desk.next().map(|inputs| (*lane, inputs))));
        }
    }
    if lanes.is_empty() {
        return std::future::pending().await;
    }
    select_all(lanes).await.0
}

impl Engine {
    /// Takes the demonstration model when it was allowed and nothing else can answer.
    async fn settle_demo(&self, request: &mut RunRequest, live: &Live) {
        let options = request.options();
        if !options.demo_fallback || options.demo || options.provider.is_some() {
            return;
        }
        if key::sign_in(options, live, &self.inner.ambient).is_err() {
            // It was signed in, and waits until it is again.
            return;
        }
        let spec = prepare::runtime_spec(options, &live.keys.known(), &self.inner.ambient);
        // A runtime that does not start is told by the turn, not here.
        let Ok(runtime) = self.inner.pool.runtime(&spec).await else { return };
        let signed_in = runtime.auth().await.is_ok_and(|auth| auth.authenticated);
        request.options_mut().demo = !signed_in;
    }

    /// Ends a run that cannot even begin.
    async fn refuse(&self, live: &Live, why: &str) -> Result<(), StoreError> {
        let failure = Failure::new(FailureClass::Usage, why);
        let end = End { verdict: Verdict::Failed(failure), outcome: Outcome::default() };
        let now = clock::now_ms();
        let bodies = vec![(None, events::terminal(end, live.took(now)))];
        let news = self.inner.notifier.news(live, &bodies, now);
        let ops = live.record(&bodies).into_iter().collect();
        live.log.append(bodies, ops, Durability::Synced).await?;
        self.inner.notifier.tell(news);
        Ok(())
    }
}

/// The session that a run goes on in, where it is known.
pub(super) fn session_of(request: &RunRequest, progress: Option<&Stored>) -> Option<String> {
    let known = progress.and_then(|progress| progress.session().cloned());
    known.or_else(|| match &request.options().session {
        SessionChoice::Resume(id) => Some(id.clone()),
        SessionChoice::New | SessionChoice::Continue => None,
    })
}

/// A command as the machine's input.
fn hear(command: Command) -> Vec<Input> {
    match command {
        Command::Cancel => vec![Input::Cancel],
        Command::Wake => vec![Input::Wake],
        // Taken where it can be replied to.
        Command::Steer(..) => Vec::new(),
        Command::Answer(resolution, first) => {
            // The asker may have gone; the answer counts all the same.
            let _ = first.send(true);
            vec![Input::Answered(resolution)]
        }
    }
}

impl Driver {
    /// Feeds the machine, commits what it says, performs the rest.
    async fn step(&mut self, lane: Lane, inputs: Vec<Input>) -> Result<(), StoreError> {
        let mut facts = Vec::new();
        let mut checkpoint = false;
        let mut end = None;
        let mut effects = VecDeque::new();
        for mut input in inputs {
            self.account.hear(&mut input);
            self.returning.hear(&input);
            let input = if lane == MAIN { input } else { Input::Of(lane, Box::new(input)) };
            for effect in self.machine.handle(input, clock::moment()) {
                let (lane, effect) = match effect {
                    Effect::Of(lane, effect) => (lane, *effect),
                    effect => (MAIN, effect),
                };
                match effect {
                    Effect::Emit(fact) => facts.push((lane, fact)),
                    Effect::Checkpoint => checkpoint = true,
                    Effect::Finish(it) => end = Some(it),
                    other => effects.push_back((lane, other)),
                }
            }
        }
        self.journal(facts, checkpoint, end).await?;
        for (lane, effect) in effects {
            self.perform(lane, effect);
        }
        Ok(())
    }

    async fn journal(
        &mut self,
        mut facts: Vec<(Lane, Fact)>,
        checkpoint: bool,
        end: Option<End>,
    ) -> Result<(), StoreError> {
        let run = self.live.summary.borrow().run;
        let now = clock::now_ms();
        let mut ops = self.account.settle(&self.engine.inner.store, &mut facts, now);
        for (lane, fact) in &facts {
            ops.extend(self.side_records(*lane, fact, now));
        }
        let mut bodies = self.placed(facts);
        if let Some(end) = end {
            // A turn that did not end well can be resumed: it says where the turn began.
            let over = end.verdict == Verdict::Done;
            if over {
                self.report(MAIN, &Report::Answered);
            }
            // The end is the whole run's.
            bodies.push((None, events::terminal(end, self.live.took(now))));
            inbox::drop_waiting(&self.engine.inner.store, run, &mut ops, now);
            self.ended = true;
            ops.push(if over { Op::DeleteCheckpoint(run) } else { self.checkpoint(run) });
        } else if checkpoint {
            ops.push(self.checkpoint(run));
        }
        self.account.measure(&bodies, now);
        let news = self.engine.inner.notifier.news(&self.live, &bodies, now);
        ops.extend(self.live.record(&bodies));
        let listed = bodies.iter().any(|(_, body)| events::shown_in_lists(body));
        let promised = checkpoint || bodies.iter().any(|(_, body)| events::promises(body));
        let durability = if promised { Durability::Synced } else { Durability::Flushed };
        self.live.log.append(bodies, ops, durability).await?;
        self.engine.inner.notifier.tell(news);
        if listed {
            self.engine.inner.registry.ring();
        }
        if self.live.parked() {
            // A draining daemon does not wait for it.
            self.engine.inner.registry.look_again();
        }
        Ok(())
    }

    /// Facts as events, each with its place in the run: the lane, the iteration, or both.
    fn placed(&mut self, facts: Vec<(Lane, Fact)>) -> Vec<(Option<String>, EventBody)> {
        let mut placed = Vec::with_capacity(facts.len());
        for (lane, fact) in facts {
            let desk = self.desks.entry(lane).or_default();
            if let Fact::Iteration { number, .. } = &fact {
                desk.iteration = Some(*number);
            }
            let name = || self.machine.label(lane).unwrap_or_else(|| lane.to_string());
            let path = match (lane, desk.iteration) {
                (MAIN, None) => None,
                (MAIN, Some(iteration)) => Some(iteration.to_string()),
                (_, None) => Some(name()),
                (_, Some(iteration)) => Some(format!("{}/{iteration}", name())),
            };
            placed.push((path, fact));
        }
        events::bodies(placed)
    }

    fn checkpoint(&self, run: RunId) -> Op {
        let state = serde_json::to_vec(&self.machine.checkpoint()).unwrap_or_default();
        Op::PutCheckpoint { run, bytes: Bytes::from(state) }
    }

    /// What a fact leaves in the store beside the log.
    fn side_records(&self, lane: Lane, fact: &Fact, now: u64) -> Vec<Op> {
        let run = self.live.summary.borrow().run;
        match fact {
            Fact::Attempt { session, .. } => {
                self.live.summary.send_modify(|summary| {
                    summary.session = Some(SessionId(session.clone()));
                });
                let session = SessionId(session.clone());
                let known = self.engine.inner.store.session(&session).ok().flatten();
                vec![Op::PutSession(SessionRecord {
                    session,
                    cwd: self.folder(lane),
                    created_at: known.map_or(now, |known| known.created_at),
                    used_at: now,
                    run: Some(run),
                    detail: serde_json::Value::Null,
                })]
            }
            Fact::Ask(question) => vec![inbox::opened(run, question, now)],
            Fact::Answered(resolution) => {
                let closed = inbox::answered(&self.engine.inner.store, resolution, now);
                closed.into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}
