//! Steering a run from outside: cancel it, answer its questions.

use std::time::Duration;

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::id::{AskId, RunId};
use copex_proto::run::RunState;
use tokio::sync::oneshot;

use super::registry::Command;
use super::{Engine, store_error};
use crate::core::machine::{Reply, Resolution};
use crate::store::AskRecord;

/// How long a cancel waits for the run to end before it answers.
const CANCEL_WAIT: Duration = Duration::from_secs(10);

/// Bytes that a turn is told at once, at most. They are kept in its checkpoint.
const MOST_WORDS: usize = 256 * 1024;

impl Engine {
    /// Ends a run, as far as it is not over. The same however often it is asked.
    ///
    /// # Errors
    /// `NotFound` for a run nobody knows.
    pub async fn cancel(&self, run: RunId) -> Result<RunState, ErrorInfo> {
        if let Some(live) = self.inner.registry.get(run)
            && live.commands.send(Command::Cancel).await.is_ok()
        {
            let mut visible = live.log.visible();
            // A turn is stopped within milliseconds; one that hangs is answered as it stands.
            let ended = visible.wait_for(|visible| visible.ended);
            let _ = tokio::time::timeout(CANCEL_WAIT, ended).await;
        }
        Ok(self.summary(run)?.state)
    }

    /// Says something more to the turn under way. In the journal once this returns.
    ///
    /// # Errors
    /// `Usage` for words that are none or too many, `NotFound` for a run nobody knows,
    /// `Conflict` for one that does not take them.
    pub async fn say(&self, run: RunId, text: String) -> Result<(), ErrorInfo> {
        if text.trim().is_empty() {
            return Err(ErrorInfo::new(ErrorClass::Usage, "there is nothing to tell the agent"));
        }
        if text.len() > MOST_WORDS {
            let message = format!("a turn is told at most {MOST_WORDS} bytes at once");
            let hint = "send it as a prompt of its own";
            return Err(ErrorInfo::new(ErrorClass::Usage, message).with_hint(hint));
        }
        let refused = |why: &str| {
            let hint = "send it as the next prompt of the same conversation";
            ErrorInfo::new(ErrorClass::Conflict, format!("the run {run} {why}")).with_hint(hint)
        };
        let state = self.summary(run)?.state;
        let live = self.inner.registry.get(run).filter(|_| !state.is_terminal());
        let live = live.ok_or_else(|| refused("is over"))?;
        let (sender, heard) = oneshot::channel();
        let command = Command::Steer(text, sender);
        live.commands.send(command).await.map_err(|_| refused("is over"))?;
        heard.await.map_err(|_| refused("is over"))?.map_err(refused)
    }

    /// Answers a question. The first answer wins.
    ///
    /// # Errors
    /// `NotFound` for a question nobody asked, `Conflict` when its run is over.
    pub async fn answer(&self, ask: AskId, reply: Reply) -> Result<(Resolution, bool), ErrorInfo> {
        let known = self.inner.store.ask(&ask).map_err(|error| store_error(&error))?;
        let Some(known) = known else {
            let message = format!("there is no question {ask}");
            return Err(ErrorInfo::new(ErrorClass::NotFound, message));
        };
        let recorded = |record: &AskRecord| {
            let answer = record.answer.clone()?;
            serde_json::from_value::<Resolution>(answer).ok()
        };
        if let Some(resolution) = recorded(&known) {
            return Ok((resolution, false));
        }
        let over = || {
            let message = format!("the run {} is over; nobody waits for {ask}", known.run);
            ErrorInfo::new(ErrorClass::Conflict, message)
        };
        let Some(live) = self.inner.registry.get(known.run) else { return Err(over()) };
        let resolution = Resolution { ask: ask.0.clone(), answer: reply, by_client: true };
        let (sender, heard) = oneshot::channel();
        let command = Command::Answer(resolution.clone(), sender);
        live.commands.send(command).await.map_err(|_| over())?;
        heard.await.map_err(|_| over())?;
        let mut visible = live.log.visible();
        loop {
            let now = *visible.borrow_and_update();
            let record = self.inner.store.ask(&ask).ok().flatten();
            if let Some(counted) = record.as_ref().and_then(recorded) {
                let accepted = counted == resolution;
                return Ok((counted, accepted));
            }
            if now.ended || visible.changed().await.is_err() {
                return Err(over());
            }
        }
    }
}
