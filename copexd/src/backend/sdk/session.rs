//! One Copilot session over the SDK.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use github_copilot_sdk::handler::{
    PermissionHandler, PermissionResult, UserInputHandler, UserInputResponse,
};
use github_copilot_sdk::rpc::SendMessagesRequest;
use github_copilot_sdk::session::Session as CopilotSession;
use github_copilot_sdk::subscription::{EventSubscription, RecvErrorKind};
use github_copilot_sdk::{
    DeliveryMode, MessageOptions, PermissionRequestData, RequestId, SessionEvent, SessionId,
};
use tokio::sync::{mpsc, oneshot};

use super::convert::{self, Converter};
use super::options::{self, Handlers};
use super::runtime::{CALL_TIMEOUT, OPEN_TIMEOUT, Runtime};
use super::seam::{Link, Tape};
use super::transcript;
use crate::backend::cassette;
use crate::backend::errand::Errand;
use crate::backend::spec::SessionSpec;
use crate::backend::{Capabilities, Opening, Session};
use crate::core::failure::{Failure, FailureClass, Watchdog};
use crate::core::machine::{Decision, Found};
use crate::core::redact::Redactor;
use crate::core::signal::Signal;
use crate::runtime::tasks::Tasks;

/// Signals that wait for the run, which takes them in batches between two commits of the
/// journal. A burst of a fast model is a few thousand; what does not fit here fills the
/// SDK's buffer, where it would be lost, so the margin is wide. Room is only taken by what
/// waits.
const SIGNALS: usize = 16_384;

/// The longest a compaction may take. It is one request over the whole conversation, with
/// its own retries behind it; a slow one says nothing about the runtime, which serves other
/// sessions and so is not condemned for it.
const COMPACT_TIMEOUT: Duration = Duration::from_mins(12);

/// How long the event that ends a compaction may take after the answer, which follows it: both
/// come by the same pipe.
const TOLD_TIMEOUT: Duration = Duration::from_secs(2);

type Questions = Arc<Mutex<HashMap<String, oneshot::Sender<Option<String>>>>>;

/// A session and the pump that turns its events into signals.
pub struct SdkSession {
    id: String,
    session: CopilotSession,
    runtime: Arc<Runtime>,
    signals: tokio::sync::Mutex<mpsc::Receiver<Signal>>,
    questions: Questions,
    link: Link,
}

impl SdkSession {
    pub(super) async fn open(
        runtime: &Arc<Runtime>,
        spec: &SessionSpec,
        opening: &Opening,
        tasks: &Tasks,
    ) -> Result<Self, Failure> {
        let (sender, signals) = mpsc::channel(SIGNALS);
        let tape = Tape::open(spec, runtime.located().version.clone(), &sender).await?;
        let questions = Questions::default();
        let handlers = Handlers {
            permission: Arc::new(Elsewhere),
            user_input: Arc::new(Asker { signals: sender.clone(), questions: questions.clone() }),
        };
        let client = runtime.client();
        let prepared = match opening {
            Opening::New => {
                let id = uuid::Uuid::new_v4().to_string();
                client.prepare_session(options::create(spec, &id, handlers)?)
            }
            Opening::Resume(id) | Opening::ResumeWaiting(id) => {
                // Otherwise the CLI may take up a tool whose decision it lost when its
                // daemon died, and run the turn by itself beside ours.
                let waits = matches!(opening, Opening::ResumeWaiting(_));
                client.prepare_resume_session(options::resume(spec, id, handlers, waits)?)
            }
        };
        let prepared = prepared.map_err(|error| {
            let message = format!("the session options do not fit: {error}");
            Failure::new(FailureClass::Usage, message)
        })?;
        let events = prepared.subscribe();
        let opened = runtime.call("opening the session", OPEN_TIMEOUT, prepared.start()).await;
        let session = opened.map_err(|failure| refusal(failure, opening))?;
        let id = session.id().to_string();
        let link = Link::new(sender.clone(), Redactor::new(cassette::secrets(spec)));
        if let Some(seam) = runtime.seam() {
            seam.link(&id, link.clone());
            seam.load(&id, tape);
        }
        tasks.spawn("session pump", pump(events, sender, runtime.clone(), link.clone()));
        let signals = tokio::sync::Mutex::new(signals);
        Ok(Self { id, session, runtime: runtime.clone(), signals, questions, link })
    }

    async fn build_tools(&self) -> Result<(), Failure> {
        let method = "session.tools.initializeAndValidate";
        let params = serde_json::json!({ "sessionId": self.id });
        let built = self.session.client().call(method, Some(params));
        self.runtime.call("preparing the tools", OPEN_TIMEOUT, built).await.map(drop)
    }

    async fn events(&self) -> Result<Vec<SessionEvent>, Failure> {
        let events = self.session.get_events();
        self.runtime.call("reading the transcript", CALL_TIMEOUT, events).await
    }
}

/// A session that cannot be opened for a reason other than a dead runtime: when it was to be
/// resumed, it does not exist or cannot be read.
fn refusal(failure: Failure, opening: &Opening) -> Failure {
    let (Opening::Resume(id) | Opening::ResumeWaiting(id)) = opening else { return failure };
    let (class, message) = match failure.class {
        FailureClass::Unknown | FailureClass::SessionCorrupt => {
            let message = format!("session {id} cannot be resumed: {}", failure.message);
            (FailureClass::SessionCorrupt, message)
        }
        FailureClass::SessionGone => (failure.class, format!("there is no session {id}")),
        _ => return failure,
    };
    let hint = format!(
        "`copexctl sessions list` shows those that there are, \
         `copexctl sessions doctor {id}` what is wrong with this one"
    );
    Failure::new(class, message).with_hint(hint)
}

async fn pump(
    mut events: EventSubscription,
    signals: mpsc::Sender<Signal>,
    runtime: Arc<Runtime>,
    link: Link,
) {
    let (told, mut converter) = (link.clone(), Converter::new(link));
    let (death, heard) = (runtime.death(), runtime.heard().clone());
    // Holding the runtime itself would keep a dead one alive for as long as its pump.
    drop(runtime);
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = death.cancelled() => break,
            () = signals.closed() => return,
        };
        heard.now();
        let compacted = matches!(&event, Ok(it) if it.event_type == "session.compaction_complete");
        let converted = match event {
            Ok(event) => converter.convert(&event),
            Err(error) if matches!(error.kind(), RecvErrorKind::Lagged(_)) => {
                let message = format!("the event stream fell behind: {error}");
                vec![Signal::Notice { code: "events_lost", message }]
            }
            Err(_) => break,
        };
        for signal in converted {
            if signals.send(signal).await.is_err() {
                return;
            }
        }
        if compacted {
            told.compacted.notify_waiters();
        }
    }
    let failure = Failure::new(FailureClass::RuntimeDied, "the Copilot runtime died");
    // Nobody may be listening any more.
    let _ = signals.send(Signal::Closed(failure)).await;
}

#[async_trait]
impl Session for SdkSession {
    fn id(&self) -> &str {
        &self.id
    }

    fn backend(&self) -> &'static str {
        self.runtime.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.runtime.capabilities()
    }

    fn alive(&self) -> bool {
        self.runtime.alive()
    }

    async fn warm(&self) {
        if let Err(error) = self.build_tools().await {
            tracing::debug!(session = self.id, %error, "the first turn prepares its tools itself");
        }
    }

    fn begin(&self, errand: Errand) {
        self.link.begin(errand);
    }

    async fn compact(&self) -> Result<(), Failure> {
        let history = self.session.rpc();
        let history = history.history();
        let doing = "compacting the conversation";
        let told = self.link.compacted.notified();
        tokio::pin!(told);
        told.as_mut().enable();
        let compact = self.runtime.call(doing, Duration::MAX, history.compact());
        let Ok(done) = tokio::time::timeout(COMPACT_TIMEOUT, compact).await else {
            let class = FailureClass::Timeout(Watchdog::Total);
            return Err(Failure::new(class, format!("{doing} took too long")));
        };
        done?;
        // What it took comes as an event, which the run hears before it goes on.
        let _ = tokio::time::timeout(TOLD_TIMEOUT, told).await;
        Ok(())
    }

    async fn send(&self, prompt: &str) -> Result<String, Failure> {
        let send = self.session.send(MessageOptions::new(prompt));
        self.runtime.call("sending the prompt", OPEN_TIMEOUT, send).await
    }

    async fn steer(&self, text: &str) -> Result<(), Failure> {
        let send = self.session.send(MessageOptions::new(text).with_mode(DeliveryMode::Immediate));
        self.runtime.call("telling the agent more", CALL_TIMEOUT, send).await.map(drop)
    }

    async fn said(&self, before: u64) -> Result<Vec<String>, Failure> {
        Ok(transcript::said(&self.events().await?, before))
    }

    async fn rerun(&self) -> Result<(), Failure> {
        let rpc = self.session.rpc();
        let rerun = rpc.send_messages(SendMessagesRequest::default());
        self.runtime.call("running the turn again", OPEN_TIMEOUT, rerun).await.map(drop)
    }

    async fn next(&self) -> Signal {
        match self.signals.lock().await.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }

    async fn user_messages(&self) -> Result<u64, Failure> {
        Ok(transcript::user_messages(&self.events().await?))
    }

    async fn look(&self, before: u64, steers: &[String]) -> Result<Found, Failure> {
        let events = self.events().await?;
        let found = transcript::look(&events, before, steers);
        if !matches!(found, Found::Unfinished { .. }) {
            return Ok(found);
        }
        let pending = self.session.client().call(
            "session.permissions.pendingRequests",
            Some(serde_json::json!({ "sessionId": self.id })),
        );
        let pending = self.runtime.call("reading pending requests", CALL_TIMEOUT, pending).await?;
        let items = pending["items"].as_array().cloned().unwrap_or_default();
        let ids: Vec<&str> = items.iter().filter_map(|item| item["requestId"].as_str()).collect();
        let asked = events.iter().filter(|event| event.event_type == "permission.requested");
        let waiting = asked.filter_map(|event| match convert::permission(&event.data) {
            Some(Signal::Permission { request, wish }) if ids.contains(&request.as_str()) => {
                Some((request, wish))
            }
            _ => None,
        });
        let waiting: Vec<_> = waiting.collect();
        if !waiting.is_empty() {
            // A reopened session builds its tools by and by; a tool that is allowed before
            // that is given up as interrupted (measured).
            self.build_tools().await?;
        }
        Ok(Found::Unfinished { waiting })
    }

    async fn decide(&self, request: &str, decision: &Decision) -> Result<(), Failure> {
        let result = match decision {
            Decision::Allow => serde_json::json!({ "kind": "approve-once" }),
            Decision::Deny(why) => serde_json::json!({ "kind": "reject", "feedback": why }),
        };
        let params = serde_json::json!({
            "sessionId": self.id, "requestId": request, "result": result,
        });
        let method = "session.permissions.handlePendingPermissionRequest";
        let call = self.session.client().call(method, Some(params));
        self.runtime.call("deciding about a tool", CALL_TIMEOUT, call).await.map(drop)
    }

    fn reply(&self, request: &str, text: Option<String>) {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = questions.remove(request) {
            // The agent may have given up on the question.
            let _ = waiting.send(text);
        }
    }

    async fn abort(&self) -> Result<(), Failure> {
        self.runtime.call("stopping the turn", CALL_TIMEOUT, self.session.abort()).await
    }

    async fn close(&self) {
        if !self.runtime.alive() {
            return;
        }
        let close = self.session.disconnect();
        if let Err(error) = self.runtime.call("closing the session", CALL_TIMEOUT, close).await {
            tracing::debug!(session = self.id, %error, "session not closed");
        }
    }

    async fn discard(&self) {
        self.close().await;
        if !self.runtime.alive() {
            return;
        }
        let id = SessionId::from(self.id.clone());
        let delete = self.runtime.client().delete_session(&id);
        if let Err(error) = self.runtime.call("removing the session", CALL_TIMEOUT, delete).await {
            tracing::debug!(session = self.id, %error, "an unused session stays behind");
        }
    }
}

/// Leaves every permission request to the event stream, where the run decides it: one path
/// for requests of now and for those that waited while the daemon was away.
struct Elsewhere;

#[async_trait]
impl PermissionHandler for Elsewhere {
    async fn handle(
        &self,
        _session: SessionId,
        _request: RequestId,
        _data: PermissionRequestData,
    ) -> PermissionResult {
        PermissionResult::NoResult
    }
}

/// Turns the agent's questions into signals and waits for their answers.
struct Asker {
    signals: mpsc::Sender<Signal>,
    questions: Questions,
}

#[async_trait]
impl UserInputHandler for Asker {
    async fn handle(
        &self,
        _session: SessionId,
        question: String,
        choices: Option<Vec<String>>,
        _allow_freeform: Option<bool>,
    ) -> Option<UserInputResponse> {
        let request = uuid::Uuid::new_v4().to_string();
        let (sender, answer) = oneshot::channel();
        self.questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(request.clone(), sender);
        let choices = choices.unwrap_or_default();
        let signal = Signal::Question { request, question, choices: choices.clone() };
        self.signals.send(signal).await.ok()?;
        let answer = answer.await.ok().flatten()?;
        let was_freeform = !choices.contains(&answer);
        Some(UserInputResponse { answer, was_freeform })
    }
}
