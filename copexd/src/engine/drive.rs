//! The one loop: an input, the machine's word, one commit, and only then the effects.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use copex_proto::id::{RunId, SessionId};
use copex_proto::run::{RunRequest, SessionChoice};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::account::Account;
use super::chain::Chain;
use super::events::{self, Context};
use super::registry::{Command, Live};
use super::returning::Returning;
use super::{Engine, inbox, prepare, tape};
use crate::backend::upstream::Place;
use crate::core::failure::{Failure, FailureClass};
use crate::core::governor::{Report, Ticket};
use crate::core::machine::{Effect, End, Fact, Input, Machine, Outcome, Timer, Verdict};
use crate::core::policy::Policy;
use crate::core::stored::Stored;
use crate::core::target::Target;
use crate::pool::{Lease, Queued};
use crate::runtime::clock;
use crate::store::{Durability, Op, SessionRecord, StoreError};

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
    context: Context,
    pub(super) account: Account,
    pub(super) chain: Arc<Chain>,
    pub(super) policy: Policy,
    pub(super) machine: Box<dyn Machine>,
    pub(super) lease: Option<Lease>,
    /// Resolves once the session that was given back last may be opened again.
    pub(super) returned: Option<oneshot::Receiver<()>>,
    /// The place in the session's queue, kept to the end: a turn that is tried again goes
    /// on before anybody else speaks in its session.
    pub(super) place: Option<Queued>,
    /// The run's way back after a restart.
    pub(super) returning: Returning,
    /// The place among the runs at work. A parked run has none.
    pub(super) slot: Option<Place>,
    /// Whether the model is asked although its breaker is open.
    pub(super) forced: bool,
    /// Whether the session was told of this run since it was opened.
    pub(super) begun: bool,
    /// A turn that was let through as a whole, and is to be reported on.
    pub(super) admitted: Option<(Target, Ticket)>,
    /// Whether the backend's requests pass our policy one by one; otherwise turns do.
    pub(super) by_request: bool,
    pub(super) operations: FuturesUnordered<BoxFuture<'static, Done>>,
    pub(super) timers: BTreeMap<Timer, Instant>,
    /// What a pause before another try follows.
    pub(super) resting: Option<Failure>,
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
        let (run, cwd, accepted_at) = {
            let summary = live.summary.borrow();
            (summary.run, summary.cwd.clone().unwrap_or_default(), summary.accepted_at)
        };
        self.settle_demo(&mut request, &live).await;
        tape::settle(&mut request).await;
        let options = request.options();
        let context = Context { accepted_at };
        let mut spec = match prepare::chat_spec(run.as_str(), options, &cwd) {
            Ok(spec) => spec,
            Err(error) => return self.refuse(&live, context, &error.message).await,
        };
        let chain = match self.chain(options, &live).await {
            Ok(chain) => chain,
            Err(error) => return self.refuse(&live, context, &error.message).await,
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
        let machine = prepare::machine(&request, spec, progress);
        let (accounts, store) = (&self.inner.accounts, &self.inner.store);
        let account = Account::open(accounts, store, (run, &cwd), &request)?;
        let policy = prepare::retry_policy(request.options());
        let health = self.inner.upstream.changes();
        let mut driver = Driver {
            engine: self,
            live,
            request,
            cwd,
            context,
            account,
            chain: Arc::new(chain),
            policy,
            machine,
            lease: None,
            returned: None,
            place,
            returning,
            slot: None,
            forced: false,
            begun: false,
            admitted: None,
            by_request: true,
            operations: FuturesUnordered::new(),
            timers: BTreeMap::new(),
            resting: None,
            health,
            ended: false,
        };
        driver.step(vec![first]).await?;
        driver.work(&mut inbox).await
    }
}

impl Driver {
    /// The loop: until the run has ended, or the daemon stops.
    async fn work(&mut self, inbox: &mut mpsc::Receiver<Command>) -> Result<(), StoreError> {
        let stopping = self.engine.inner.tasks.stopping();
        while !self.ended {
            let inputs = tokio::select! {
                biased;
                // The run stays unfinished in the journal and goes on when a daemon starts.
                () = stopping.cancelled() => return Ok(()),
                command = inbox.recv() => match command {
                    Some(command) => hear(command),
                    None => return Ok(()),
                },
                Some(done) = self.operations.next() => self.done(done),
                inputs = listen(self.lease.as_ref()) => inputs,
                timer = expire(&self.timers) => {
                    self.timers.remove(&timer);
                    vec![Input::Timer(timer)]
                }
                // A breaker that closes lets those go on who wait for it.
                Ok(()) = self.health.changed(), if self.waits_for_health() => self.relent(),
            };
            self.step(inputs).await?;
        }
        Ok(())
    }
}

impl Engine {
    /// Takes the demonstration model when it was allowed and nothing else can answer.
    async fn settle_demo(&self, request: &mut RunRequest, live: &Live) {
        let options = request.options();
        if !options.demo_fallback || options.demo || options.provider.is_some() {
            return;
        }
        let spec = prepare::runtime_spec(options, &live.secrets, &self.inner.ambient);
        // A runtime that does not start is told by the turn, not here.
        let Ok(runtime) = self.inner.pool.runtime(&spec).await else { return };
        let signed_in = runtime.auth().await.is_ok_and(|auth| auth.authenticated);
        request.options_mut().demo = !signed_in;
    }

    /// Ends a run that cannot even begin.
    async fn refuse(&self, live: &Live, context: Context, why: &str) -> Result<(), StoreError> {
        let failure = Failure::new(FailureClass::Usage, why);
        let end = End { verdict: Verdict::Failed(failure), outcome: Outcome::default() };
        let now = clock::now_ms();
        let bodies = vec![events::terminal(end, context, now)];
        let news = self.inner.notifier.news(live, &bodies, now);
        let ops = live.record(&bodies).into_iter().collect();
        live.log.append(bodies, ops, Durability::Synced).await?;
        self.inner.notifier.tell(news);
        Ok(())
    }
}

/// The session that a run goes on in, where it is known.
pub(super) fn session_of(request: &RunRequest, progress: Option<&Stored>) -> Option<String> {
    let known = progress.and_then(|progress| progress.turn().session.clone());
    known.or_else(|| match &request.options().session {
        SessionChoice::Resume(id) => Some(id.clone()),
        SessionChoice::New | SessionChoice::Continue => None,
    })
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

/// A command as the machine's input.
fn hear(command: Command) -> Vec<Input> {
    match command {
        Command::Cancel => vec![Input::Cancel],
        Command::Wake => vec![Input::Wake],
        Command::Answer(resolution, first) => {
            // The asker may have gone; the answer counts all the same.
            let _ = first.send(true);
            vec![Input::Answered(resolution)]
        }
    }
}

impl Driver {
    fn done(&mut self, done: Done) -> Vec<Input> {
        match done {
            Done::Input(input) => vec![input],
            Done::Opened(lease, slot, input) => {
                self.slot = slot;
                self.begun = false;
                self.by_request = lease.session().capabilities().request_policy;
                self.place = Some(lease.place().queued());
                self.lease = Some(*lease);
                vec![input]
            }
            Done::Nothing => Vec::new(),
        }
    }

    /// Feeds the machine, commits what it says, performs the rest.
    async fn step(&mut self, inputs: Vec<Input>) -> Result<(), StoreError> {
        let mut facts = Vec::new();
        let mut checkpoint = false;
        let mut end = None;
        let mut effects = VecDeque::new();
        for mut input in inputs {
            self.account.hear(&mut input);
            self.returning.hear(&input);
            for effect in self.machine.handle(input, clock::moment()) {
                match effect {
                    Effect::Emit(fact) => facts.push(fact),
                    Effect::Checkpoint => checkpoint = true,
                    Effect::Finish(it) => end = Some(it),
                    other => effects.push_back(other),
                }
            }
        }
        self.journal(facts, checkpoint, end).await?;
        for effect in effects {
            self.perform(effect);
        }
        Ok(())
    }

    async fn journal(
        &mut self,
        mut facts: Vec<Fact>,
        checkpoint: bool,
        end: Option<End>,
    ) -> Result<(), StoreError> {
        let run = self.live.summary.borrow().run;
        let now = clock::now_ms();
        let mut ops = self.account.settle(&self.engine.inner.store, &mut facts, now);
        for fact in &facts {
            ops.extend(self.side_records(fact, now));
        }
        let mut bodies = events::bodies(facts);
        if let Some(end) = end {
            // A turn that did not end well can be resumed: it says where the turn began.
            let over = end.verdict == Verdict::Done;
            if over {
                self.report(&Report::Answered);
            }
            bodies.push(events::terminal(end, self.context, now));
            inbox::drop_waiting(&self.engine.inner.store, run, &mut ops, now);
            self.ended = true;
            ops.push(if over { Op::DeleteCheckpoint(run) } else { self.checkpoint(run) });
        } else if checkpoint {
            ops.push(self.checkpoint(run));
        }
        self.account.measure(&bodies, now);
        let news = self.engine.inner.notifier.news(&self.live, &bodies, now);
        ops.extend(self.live.record(&bodies));
        let promised = checkpoint || bodies.iter().any(events::promises);
        let durability = if promised { Durability::Synced } else { Durability::Flushed };
        self.live.log.append(bodies, ops, durability).await?;
        self.engine.inner.notifier.tell(news);
        if self.live.parked() {
            // A draining daemon does not wait for it.
            self.engine.inner.registry.look_again();
        }
        Ok(())
    }

    fn checkpoint(&self, run: RunId) -> Op {
        let state = serde_json::to_vec(&self.machine.checkpoint()).unwrap_or_default();
        Op::PutCheckpoint { run, bytes: Bytes::from(state) }
    }

    /// What a fact leaves in the store beside the log.
    fn side_records(&self, fact: &Fact, now: u64) -> Vec<Op> {
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
                    cwd: self.cwd.clone(),
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
