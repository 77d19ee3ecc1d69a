//! One conversation whose turns are processes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::history::History;
use super::turn::{self, Process};
use super::{CAPABILITIES, CliBackend, NAME, cannot, command};
use crate::backend::cassette;
use crate::backend::errand::Errand;
use crate::backend::process::{self, Program};
use crate::backend::sdk::runtime::OPEN_TIMEOUT;
use crate::backend::sdk::transcript;
use crate::backend::spec::SessionSpec;
use crate::backend::{Capabilities, Session};
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::{Decision, Found};
use crate::core::redact::Redactor;
use crate::core::signal::Signal;

/// Signals that wait for the run: as many as a session over the SDK holds.
const SIGNALS: usize = 1_024;

/// A session on the disk and the process of its present turn.
pub(super) struct CliSession {
    id: String,
    spec: SessionSpec,
    program: PathBuf,
    history: History,
    backend: CliBackend,
    sender: mpsc::Sender<Signal>,
    signals: tokio::sync::Mutex<mpsc::Receiver<Signal>>,
    turn: Mutex<Option<Running>>,
    /// Whether a process died: its run starts over with a session of its own.
    dead: Arc<AtomicBool>,
}

/// A turn's process, from outside.
#[derive(Debug, Clone)]
struct Running {
    /// Tells it to stop.
    stop: CancellationToken,
    /// Fires when nothing of it is there any more.
    ended: CancellationToken,
}

impl CliSession {
    pub(super) fn new(
        backend: &CliBackend,
        spec: &SessionSpec,
        id: String,
        program: PathBuf,
        history: History,
    ) -> Self {
        let (sender, signals) = mpsc::channel(SIGNALS);
        let (spec, backend) = (spec.clone(), backend.clone());
        let signals = tokio::sync::Mutex::new(signals);
        let (turn, dead) = (Mutex::default(), Arc::default());
        Self { id, spec, program, history, backend, sender, signals, turn, dead }
    }

    fn running(&self) -> Option<Running> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        turn.clone().filter(|turn| !turn.ended.is_cancelled())
    }

    /// Starts the process of a turn.
    fn start(
        &self,
        prompt: &str,
        accepted: oneshot::Sender<Result<String, Failure>>,
    ) -> Result<Running, Failure> {
        let known = self.history.exists();
        let invocation =
            command::prepare(&self.spec, (&self.id, known), self.backend.owner.files())?;
        let env = invocation.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let args: Vec<&str> = invocation.args.iter().map(String::as_str).collect();
        let program =
            Program { path: &self.program, args: &args, env: env.collect(), cwd: &self.spec.cwd };
        let from = self.history.length();
        let started = process::start(&program, &self.backend.owner);
        let (child, tree) = started.map_err(|error| {
            let message = format!("cannot start {}: {error}", self.program.display());
            Failure::new(FailureClass::Unavailable, message)
        })?;
        let running = Running { stop: CancellationToken::new(), ended: CancellationToken::new() };
        let tasks = &self.backend.tasks;
        let process = Process {
            child,
            tree,
            files: invocation.files,
            history: self.history.clone(),
            from,
            signals: self.sender.clone(),
            redactor: Arc::new(Redactor::new(cassette::secrets(&self.spec))),
            stop: running.stop.clone(),
            daemon_stops: tasks.stopping(),
            ended: running.ended.clone(),
            dead: self.dead.clone(),
        };
        tracing::debug!(session = self.id, known, "a Copilot CLI process begins a turn");
        tasks.spawn("cli turn", turn::run(process, prompt.to_owned(), accepted));
        Ok(running)
    }

    /// Stops the present turn and waits until nothing of it is left.
    async fn stop(&self) {
        if let Some(turn) = self.running() {
            turn.stop.cancel();
            turn.ended.cancelled().await;
        }
    }
}

impl Drop for CliSession {
    fn drop(&mut self) {
        if let Some(turn) = self.running() {
            turn.stop.cancel();
        }
    }
}

#[async_trait]
impl Session for CliSession {
    fn id(&self) -> &str {
        &self.id
    }

    fn backend(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn alive(&self) -> bool {
        !self.dead.load(Ordering::Relaxed)
    }

    async fn warm(&self) {}

    /// Its process asks by rules of its own.
    fn begin(&self, _errand: Errand) {}

    async fn compact(&self) -> Result<(), Failure> {
        Err(cannot("make a conversation smaller"))
    }

    async fn send(&self, prompt: &str) -> Result<String, Failure> {
        if self.running().is_some() {
            let message = format!("a turn is under way in session {} already", self.id);
            return Err(Failure::new(FailureClass::Unknown, message));
        }
        let (accepted, told) = oneshot::channel();
        let running = self.start(prompt, accepted)?;
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = Some(running.clone());
        match tokio::time::timeout(OPEN_TIMEOUT, told).await {
            Ok(Ok(told)) => told,
            Ok(Err(_)) => {
                let message = "the Copilot CLI process was ended with the daemon";
                Err(Failure::new(FailureClass::RuntimeDied, message))
            }
            Err(_) => {
                running.stop.cancel();
                let seconds = OPEN_TIMEOUT.as_secs();
                let message = format!("the Copilot CLI did not take the prompt in {seconds} s");
                let hint = "MCP servers that do not start are the usual reason";
                Err(Failure::new(FailureClass::Unavailable, message).with_hint(hint))
            }
        }
    }

    async fn steer(&self, _text: &str) -> Result<(), Failure> {
        Err(cannot("be told more in a turn under way"))
    }

    async fn said(&self, before: u64) -> Result<Vec<String>, Failure> {
        Ok(transcript::said(&self.history.events(0).await?, before))
    }

    async fn rerun(&self) -> Result<(), Failure> {
        let hint = "the session is whole: go on in it with `copexctl chat --resume`, with or \
                    without use_cli";
        Err(cannot("finish a turn that was broken off").with_hint(hint))
    }

    async fn next(&self) -> Signal {
        match self.signals.lock().await.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }

    async fn user_messages(&self) -> Result<u64, Failure> {
        Ok(transcript::user_messages(&self.history.events(0).await?))
    }

    async fn look(&self, before: u64, steers: &[String]) -> Result<Found, Failure> {
        Ok(transcript::look(&self.history.events(0).await?, before, steers))
    }

    async fn decide(&self, _request: &str, _decision: &Decision) -> Result<(), Failure> {
        Err(cannot("wait for a decision about a tool"))
    }

    fn reply(&self, request: &str, _text: Option<String>) {
        tracing::warn!(session = self.id, request, "an answer for a process that cannot ask");
    }

    async fn abort(&self) -> Result<(), Failure> {
        if let Some(turn) = self.running() {
            turn.stop.cancel();
        }
        Ok(())
    }

    async fn close(&self) {
        self.stop().await;
    }

    async fn discard(&self) {
        // What nobody spoke in is not on the disk.
        self.stop().await;
    }
}
