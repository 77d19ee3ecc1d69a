//! Taking a request: checked, journaled, and only then at work.

use bytes::Bytes;
use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::event::{Accepted, EventBody};
use copex_proto::id::{RunId, SessionId};
use copex_proto::run::{Mode, RunOptions, RunRequest, RunState, SessionChoice};

use super::key::{self, Keys};
use super::log::RunLog;
use super::{Engine, mcp, prepare, skills, store_error, tape};
use crate::core::machine::Input;
use crate::core::stored::Stored;
use crate::runtime::clock;
use crate::store::{Durability, Op, RunSummary, StoreError};

/// Characters of an idempotency key: a UUID has 36, a sentence is no key.
const MOST_KEY: usize = 256;

/// What became of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// The run.
    pub run: RunId,
    /// Whether this submission made it.
    pub created: bool,
}

/// What a new run goes on from.
#[derive(Debug)]
pub struct Resumed {
    /// The ended run.
    pub run: RunId,
    /// Where it stood, when the new run is to go on there.
    pub progress: Option<Stored>,
}

impl Engine {
    /// Records a run and sets it to work. A known `key` finds its run again instead.
    ///
    /// Cancel safe in this sense: dropped midway, the run is there as a whole or not at all.
    ///
    /// # Errors
    /// As [`prepare::check`] and [`tape::check`]; `Overloaded`, `Unavailable` and `Store`.
    pub async fn submit(
        &self,
        request: RunRequest,
        key: Option<String>,
        resumed: Option<Resumed>,
    ) -> Result<Submitted, ErrorInfo> {
        let Some(key) = key else { return self.create(request, None, resumed).await };
        if key.is_empty() || key.len() > MOST_KEY {
            let message =
                format!("an idempotency key has 1 to {MOST_KEY} bytes, not {}", key.len());
            return Err(ErrorInfo::new(ErrorClass::Usage, message));
        }
        let _one_at_a_time = self.inner.keyed.lock().await;
        let known = self.inner.store.run_by_key(&key).map_err(|error| store_error(&error))?;
        if let Some(run) = known {
            return Ok(Submitted { run, created: false });
        }
        self.create(request, Some(key), resumed).await
    }

    async fn create(
        &self,
        mut request: RunRequest,
        key: Option<String>,
        resumed: Option<Resumed>,
    ) -> Result<Submitted, ErrorInfo> {
        let resumed_from = resumed.as_ref().map(|resumed| resumed.run);
        let progress = resumed.and_then(|resumed| resumed.progress);
        let cwd = prepare::check(&request, &self.inner.ambient)?.to_string_lossy().into_owned();
        tape::check(request.options()).await?;
        skills::check(&request, &self.inner.ambient).await?;
        mcp::settle(&mut request, &self.inner.ambient)?;
        self.inner.registry.admit()?;
        self.settle_session(&mut request, &cwd).await?;
        let secrets = std::mem::take(&mut request.options_mut().secrets);
        let now = clock::now_ms();
        let run = self.inner.registry.next_id(now);
        let options = request.options();
        let accepted = Accepted {
            mode: request.mode(),
            title: request.title().to_owned(),
            cwd: cwd.clone(),
            model: options.model.clone(),
            resumed_from,
        };
        let summary = RunSummary {
            run,
            mode: request.mode().as_str().to_owned(),
            state: state_name(RunState::Queued).to_owned(),
            title: accepted.title.clone(),
            cwd: Some(cwd),
            model: accepted.model.clone(),
            session: named_session(options),
            accepted_at: now,
            // Where several work, some do while others wait: it is all the run's time.
            begun_at: (!matches!(request.mode(), Mode::Chat | Mode::Ralph)).then_some(now),
            ended_at: None,
            last_seq: 1,
            resumed_from,
            key: key.clone(),
            foreground: options.foreground && !options.outlives_client,
            needs_key: None,
            sign_in: key::lent_sign_in(&secrets, &self.inner.ambient),
            outcome: None,
        };
        let spec = serde_json::to_vec(&request)
            .map_err(|error| ErrorInfo::new(ErrorClass::Usage, error.to_string()))?;
        let mut ops =
            vec![Op::PutRun(summary.clone()), Op::PutSpec { run, bytes: Bytes::from(spec) }];
        ops.extend(key.map(|key| Op::PutKey { key, run }));
        if let Some(progress) = &progress {
            let state = serde_json::to_vec(&progress.value()).unwrap_or_default();
            ops.push(Op::PutCheckpoint { run, bytes: Bytes::from(state) });
        }
        let log = std::sync::Arc::new(RunLog::new(run, self.inner.store.clone(), 0, false));
        // A new run is refused while the disk is full: only what was accepted waits.
        if let crate::store::Health::Frozen(error) = &*self.inner.store.health().borrow() {
            return Err(frozen(error));
        }
        let engine = self.clone();
        let begin = async move {
            let body = EventBody::Accepted(accepted);
            log.append(vec![(None, body)], ops, Durability::Synced).await?;
            let (live, inbox) = engine.inner.registry.add(log, summary, Keys::of(secrets));
            engine.spawn_run(live, inbox, request, progress, Input::Start);
            Ok::<(), StoreError>(())
        };
        // In a task of its own, so that a client that goes away cannot leave half a run.
        let begun = self.inner.tasks.spawn("submit", begin).await;
        begun
            .map_err(|error| ErrorInfo::new(ErrorClass::Unknown, error.to_string()))?
            .map_err(|error| store_error(&error))?;
        Ok(Submitted { run, created: true })
    }

    /// Makes "continue" and a shortened session id into the session they mean.
    async fn settle_session(&self, request: &mut RunRequest, cwd: &str) -> Result<(), ErrorInfo> {
        let store = &self.inner.store;
        let none = |message: String| {
            ErrorInfo::new(ErrorClass::NotFound, message)
                .with_hint("leave the option out to start a new session")
        };
        let settled = match &request.options().session {
            SessionChoice::New => return Ok(()),
            SessionChoice::Continue => {
                let latest = store.latest_session_for_cwd(cwd).map_err(|e| store_error(&e))?;
                let latest = latest.ok_or_else(|| none(format!("no session to continue in {cwd}")));
                latest?.session.0
            }
            SessionChoice::Resume(id) if id.is_empty() => {
                return Err(ErrorInfo::new(ErrorClass::Usage, "the session id is empty"));
            }
            SessionChoice::Resume(id) => {
                let options = request.options();
                let spec = prepare::runtime_spec(options, &options.secrets, &self.inner.ambient);
                // One that nobody knows: the Copilot CLI will say.
                self.session_named(&spec, id).await?.unwrap_or_else(|| id.clone())
            }
        };
        request.options_mut().session = SessionChoice::Resume(settled);
        Ok(())
    }
}

/// The session that a settled request names: nobody removes it from under the run.
fn named_session(options: &RunOptions) -> Option<SessionId> {
    match &options.session {
        SessionChoice::Resume(id) => Some(SessionId(id.clone())),
        SessionChoice::New | SessionChoice::Continue => None,
    }
}

fn frozen(error: &StoreError) -> ErrorInfo {
    ErrorInfo::new(ErrorClass::Store, format!("no new runs: {error}"))
        .with_hint("free some space on that disk; runs that were accepted go on then")
        .retry_after(5_000)
}

/// A state's name in the store.
pub(super) fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Queued => "queued",
        RunState::Running => "running",
        RunState::Asking => "asking",
        RunState::Parked => "parked",
        RunState::Done => "done",
        RunState::Failed => "failed",
        RunState::Blocked => "blocked",
        RunState::Exhausted => "exhausted",
        RunState::Cancelled => "cancelled",
    }
}
