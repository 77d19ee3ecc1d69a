//! What copex needs of whoever runs the agent.
//!
//! A [`Backend`] opens [`Session`]s; a session takes one turn at a time and speaks in
//! [`Signal`]s. The adapters classify failures once, from typed fields, into
//! [`Failure`]; nobody behind this module looks at text.
//!
//! Not here: which session serves which run (`pool`), and what a failure leads to
//! (`core`).

pub mod cassette;
pub mod cli;
pub mod disk;
pub mod errand;
pub mod locate;
pub mod process;
#[cfg(feature = "scripted")]
pub mod scripted;
pub mod sdk;
pub mod spec;
pub mod upstream;
pub mod usage;

use std::sync::Arc;

use async_trait::async_trait;

use crate::core::failure::Failure;
use crate::core::machine::{Decision, Found};
use crate::core::signal::Signal;
use errand::Errand;
use spec::SessionSpec;

/// Which conversation to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// A new one.
    New,
    /// The one with this id. Tools that were cut off are told to the agent as interrupted.
    Resume(String),
    /// The one with this id, where a tool waits for a decision: it goes on waiting.
    ResumeWaiting(String),
}

/// A model as the backend describes it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    /// The id to ask for.
    pub id: String,
    /// Its name for people.
    pub name: Option<String>,
    /// Reasoning efforts it supports, by name; `None` when the backend does not say.
    pub efforts: Option<Vec<String>>,
    /// Premium requests per call.
    pub multiplier: Option<f64>,
    /// Context window in tokens.
    pub context_tokens: Option<u64>,
}

/// Whether somebody is signed in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Auth {
    /// Whether the backend may use GitHub's models.
    pub authenticated: bool,
    /// As whom.
    pub login: Option<String>,
    /// How.
    pub method: Option<String>,
    /// The backend's own words.
    pub message: String,
}

/// What a way to Copilot can do. What it cannot is an error there that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a list of independent yes and no")]
pub struct Capabilities {
    /// Tools can wait for a decision ([`Signal::Permission`]).
    pub asks: bool,
    /// The agent can ask the user something ([`Signal::Question`]).
    pub questions: bool,
    /// A turn can be run again over the history ([`Session::rerun`]).
    pub rerun: bool,
    /// Its model requests pass our own policy of retries.
    pub request_policy: bool,
    /// A tool that waits for a decision goes on waiting when the session is opened again
    /// ([`Opening::ResumeWaiting`]).
    pub continues_waiting: bool,
    /// The conversation can be made smaller on demand ([`Session::compact`]).
    pub compacts: bool,
    /// Something more can be said in a turn under way ([`Session::steer`]).
    pub steers: bool,
    /// It can tell models and who is signed in.
    pub enquiries: bool,
}

impl Capabilities {
    /// Everything.
    pub const ALL: Self = Self {
        asks: true,
        questions: true,
        rerun: true,
        request_policy: true,
        continues_waiting: true,
        compacts: true,
        steers: true,
        enquiries: true,
    };
}

/// A place that runs sessions: one supervised process, or one for each turn.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Its name in events: `sdk`, `demo`, `cli`.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Opens a session.
    ///
    /// Bounded by [`OPEN_TIMEOUT`](sdk::runtime::OPEN_TIMEOUT). Cancel safe: dropping
    /// the future leaves at most an empty session behind.
    ///
    /// # Errors
    /// `SessionGone` when the session to resume does not exist, `SessionCorrupt` when it
    /// cannot be read,
    /// `RuntimeDied` when the process is gone, `Auth` when nobody is signed in.
    async fn open(
        &self,
        spec: &SessionSpec,
        opening: &Opening,
    ) -> Result<Arc<dyn Session>, Failure>;

    /// The account's models; `Auth` when nobody is signed in.
    async fn models(&self) -> Result<Vec<Model>, Failure>;

    /// The ids that the Copilot CLI knows without an account.
    async fn catalogue(&self) -> Result<Vec<String>, Failure>;

    /// Whether somebody is signed in.
    async fn auth(&self) -> Result<Auth, Failure>;
}

/// One conversation. It takes one turn at a time: the pool sees to that.
#[async_trait]
pub trait Session: Send + Sync {
    /// Its id, as the Copilot CLI names it.
    fn id(&self) -> &str;

    /// The name of the backend that runs it.
    fn backend(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Whether the process behind it is still there.
    fn alive(&self) -> bool;

    /// Does ahead of time what the first turn would have to do. Only ever a matter of speed.
    async fn warm(&self);

    /// A run works in the session from now on, by these rules. Before each turn.
    fn begin(&self, errand: Errand);

    /// Makes the conversation smaller, by a summary of it. Bounded by the time that a turn
    /// may take to open; costs a model call.
    ///
    /// # Errors
    /// When there is nothing to be made smaller, or the model fails.
    async fn compact(&self) -> Result<(), Failure>;

    /// Sends a prompt and returns the message id that answers will name.
    ///
    /// # Errors
    /// `RuntimeDied` when the process is gone: whether the prompt arrived is then only
    /// known from the transcript. Not cancel safe for the same reason.
    async fn send(&self, prompt: &str) -> Result<String, Failure>;

    /// Says something more in the turn under way: the agent hears it before its next step, and
    /// [`Signal::Prompted`] tells when. Where the turn has just ended, another round begins,
    /// and [`Signal::Idle`] comes once more.
    ///
    /// # Errors
    /// `Unknown` from a backend without [`Capabilities::steers`], naming it. Not cancel safe.
    async fn steer(&self, text: &str) -> Result<(), Failure>;

    /// What users said after the prompt that comes after `before` others, in order.
    async fn said(&self, before: u64) -> Result<Vec<String>, Failure>;

    /// Runs a turn over the history as it is, without a new prompt.
    ///
    /// # Errors
    /// `Unknown` from a backend without [`Capabilities::rerun`], naming it.
    async fn rerun(&self) -> Result<(), Failure>;

    /// The next signal. Cancel safe: a dropped call loses nothing. After
    /// [`Signal::Closed`] it never resolves again. For one listener at a time.
    async fn next(&self) -> Signal;

    /// How many user messages the transcript holds.
    async fn user_messages(&self) -> Result<u64, Failure>;

    /// What the transcript has of the turn that came after `before` user messages, with
    /// the permission requests of it that still wait. Prompts that are among `steers` belong
    /// to it.
    async fn look(&self, before: u64, steers: &[String]) -> Result<Found, Failure>;

    /// Decides about a tool.
    async fn decide(&self, request: &str, decision: &Decision) -> Result<(), Failure>;

    /// Answers a question of the agent; `None` when nobody did.
    fn reply(&self, request: &str, text: Option<String>);

    /// Stops the present turn. [`Signal::Idle`] follows within milliseconds.
    async fn abort(&self) -> Result<(), Failure>;

    /// Lets go of the session; its transcript stays and can be resumed.
    async fn close(&self);

    /// Lets go of a session that nobody spoke in, and removes what it left on the disk.
    async fn discard(&self);
}
