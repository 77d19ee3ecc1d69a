//! What the screen wants done: calls of the daemon, and what only the shell can do.

use std::path::PathBuf;

use copex_proto::event::Answer;
use copex_proto::id::{AskId, RunId, Seq};
use serde_json::{Value, json};

use super::form::Draft;

/// A call of the daemon. Its answer comes back together with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    /// Questions that wait.
    Asks,
    /// What was spent.
    Spend,
    /// The runtimes.
    Pool,
    /// Breakers, limits and queues.
    Breakers,
    /// The daemon itself.
    Status,
    /// The request of a run.
    Detail(RunId),
    /// Why a run waits.
    Explain(RunId),
    /// An event of a run, for what was too long to be kept of it.
    Whole(RunId, Seq),
    /// Ends a run.
    Cancel(RunId),
    /// Goes on with a run that ended, or with one that is parked.
    Resume {
        /// Which.
        run: RunId,
        /// What to say.
        prompt: Option<String>,
        /// Whether it is parked, and shall not wait any longer.
        now: bool,
    },
    /// Says more to a run at work.
    Say {
        /// Which.
        run: RunId,
        /// What.
        text: String,
    },
    /// Answers a question.
    Answer {
        /// Which.
        ask: AskId,
        /// How.
        answer: Answer,
    },
    /// Closes breakers and forgets limits.
    ResetBreakers,
}

impl Call {
    /// The method and its parameters.
    pub(crate) fn wire(&self) -> (&'static str, Value) {
        match self {
            Self::Asks => ("ask.list", json!({})),
            Self::Spend => ("spend.get", json!({})),
            Self::Pool => ("pool.status", json!({})),
            Self::Breakers => ("breaker.list", json!({})),
            Self::Status => ("daemon.status", json!({})),
            Self::Detail(run) => ("run.get", json!({ "run": run })),
            Self::Whole(run, seq) => {
                ("run.events", json!({ "run": run, "after": seq.saturating_sub(1), "limit": 1 }))
            }
            Self::Explain(run) => ("run.explain", json!({ "run": run })),
            Self::Cancel(run) => ("run.cancel", json!({ "run": run })),
            Self::Resume { run, prompt, now } => {
                ("run.resume", json!({ "run": run, "prompt": prompt, "now": now }))
            }
            Self::Say { run, text } => ("run.steer", json!({ "run": run, "text": text })),
            Self::Answer { ask, answer } => ("run.answer", json!({ "ask": ask, "answer": answer })),
            Self::ResetBreakers => ("breaker.reset", json!({})),
        }
    }
}

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// A call of the daemon.
    Call(Call),
    /// Starts a run.
    Submit(Box<Draft>),
    /// Lets the user's editor change a text, and brings it back.
    EditPrompt(String),
    /// Shows a text in the user's editor.
    View {
        /// The text.
        text: String,
        /// How its file ends.
        extension: &'static str,
    },
    /// Lets the user's editor change a plan's file.
    EditPlan(PathBuf),
    /// Starts the daemon, which was stopped.
    StartDaemon,
    /// Draws everything anew.
    Redraw,
    /// Leaves.
    Quit,
}

impl From<Call> for Effect {
    fn from(call: Call) -> Self {
        Self::Call(call)
    }
}
