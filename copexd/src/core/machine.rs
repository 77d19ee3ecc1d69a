//! The vocabulary between a run's machine and the engine that drives it.
//!
//! Every mode is a machine: [`Input`] in, [`Effect`]s out. The engine journals the
//! facts and the checkpoint among the effects first, in one commit, and only then
//! performs the others. So what the world can notice is always in the journal already.

mod fact;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::chat::Progress;
use super::commits::{Baseline, Made, Order};
use super::council::Report;
use super::effort::Effort;
use super::failure::Failure;
use super::fleet;
use super::moment::Moment;
use super::plan::{Mark, Outline};
use super::policy::{Next, Trouble};
use super::signal::{CallUsage, Signal};
use super::spend::{Caps, Spent};
pub use fact::{Fact, MemberFact, MemberState, Question, StepFact, StepState, TaskFact, TaskState};

/// Which of a run's conversations: each has a session, timers and operations of its own. A
/// plan's steps have their numbers, a fleet's tasks their places from 1; what is not of a part
/// is of [`MAIN`].
pub type Lane = u32;

/// The run's own conversation.
pub const MAIN: Lane = 0;

/// What a machine is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Something that is of this lane alone; never of [`MAIN`], never nested.
    Of(Lane, Box<Input>),
    /// The run begins.
    Start,
    /// The run goes on after the daemon was away; the log's tail says what clients saw last.
    Recover(Tail),
    /// The session is open, and this is what its transcript has of the present turn.
    Opened(Opened),
    /// The session could not be opened, or the prompt not be sent.
    Refused(Failure),
    /// The backend accepted the prompt under this message id.
    Sent(String),
    /// The backend said something.
    Signal(Signal),
    /// A question was answered, or its time ran out.
    Answered(Resolution),
    /// A timer fired.
    Timer(Timer),
    /// What the policy says about a failure.
    Judged(Next),
    /// The conversation was made smaller, or not.
    Compacted(Result<(), Failure>),
    /// A gate command ran.
    Gated(GateResult),
    /// What the run's folder holds, as a fingerprint; none where that cannot be told.
    Sensed(Option<String>),
    /// An answer was read as a plan; else why it is none.
    Drafted(Result<Outline, String>),
    /// The plan's file was read, perhaps after it was changed; else why it cannot be.
    Loaded(Result<Outline, String>),
    /// The repository as it was before the run, or why nothing can be committed.
    Based(Result<Baseline, String>),
    /// What became of a commit, or why there is none.
    Committed(Result<Made, String>),
    /// What became of something about worktrees.
    Tree(Box<fleet::Told>),
    /// A person says something more to the turn under way.
    Steer(String),
    /// The backend took such words, or did not.
    Steered(Result<(), Failure>),
    /// Somebody wants a parked run to go on now.
    Wake,
    /// Somebody wants the run to end.
    Cancel,
}

/// How a gate command ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateResult {
    /// Which of the run's gates, from 0.
    pub index: usize,
    /// Its exit status; none when it was killed or could not be started.
    pub exit_code: Option<i32>,
    /// What it printed, its middle left out when long.
    pub output: String,
    /// How long it ran.
    pub duration_ms: u64,
}

impl GateResult {
    /// Whether the gate lets the run pass.
    pub fn green(&self) -> bool {
        self.exit_code == Some(0)
    }
}

/// What a machine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Something in this lane; never in [`MAIN`], never nested.
    Of(Lane, Box<Effect>),
    /// Record this fact, for everybody to see.
    Emit(Fact),
    /// Record the machine's own state.
    Checkpoint,
    /// Open the session (again) on a model that may be asked, and say what it has of the
    /// present turn.
    Open,
    /// Ask the policy what to do about a failure.
    Judge(Box<Trouble>),
    /// Make the conversation smaller.
    Compact,
    /// Send this prompt, for the first time.
    Send(String),
    /// Say something more in the turn under way.
    Steer(String),
    /// Run the turn again over the history, without a new prompt.
    Rerun,
    /// Tell the backend what was decided about a tool.
    Decide {
        /// The backend's request.
        request: String,
        /// Yes or no.
        decision: Decision,
    },
    /// Give the backend the user's answer.
    Reply {
        /// The backend's request.
        request: String,
        /// The text; none when nobody answered.
        text: Option<String>,
    },
    /// Run a gate command in the run's folder.
    Gate {
        /// Which of the run's gates, from 0.
        index: usize,
        /// The command, for the shell.
        command: String,
        /// How long it may run, in milliseconds.
        timeout_ms: u64,
    },
    /// Say what the run's folder holds.
    Sense,
    /// Read an answer as a plan.
    ReadPlan {
        /// What was to be planned.
        task: String,
        /// The answer.
        answer: String,
    },
    /// Write a plan to its file, and read it.
    WritePlan {
        /// Its absolute path.
        file: String,
        /// The plan.
        outline: Outline,
    },
    /// Read a plan's file.
    LoadPlan {
        /// Its absolute path.
        file: String,
    },
    /// Put a sign into the box of a step in the plan's file, and read it.
    MarkPlan {
        /// Its absolute path.
        file: String,
        /// The step. One that is not in there any more is no error.
        number: u32,
        /// The sign.
        mark: Mark,
    },
    /// Look up what was in the run's repository before it.
    Baseline {
        /// What a run that is taken up found there.
        known: Option<Baseline>,
    },
    /// Commit what the run changed since its baseline.
    Commit(Box<Order>),
    /// Do something about worktrees.
    Tree(Box<fleet::Wish>),
    /// Stop what the backend is doing.
    Abort,
    /// Give the session back; `poisoned` when it must not be used warm again.
    Release {
        /// Whether the turn ended midway.
        poisoned: bool,
    },
    /// Fire a timer after so many milliseconds; set again, it starts anew.
    Wait(Timer, u64),
    /// Forget a timer.
    Unwait(Timer),
    /// Record the terminal fact. Nothing follows.
    Finish(End),
}

/// Timers by purpose.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Timer {
    /// The wait before another try.
    Backoff,
    /// A model request shows no sign of life.
    Idle,
    /// What was on its way must be there by now: the end after an abort, the answer to more
    /// words, the end of a compaction.
    Grace,
    /// A park is over.
    Park,
    /// The whole run took longer than it may.
    Total,
    /// The wait before the next iteration.
    Pause,
    /// Those of a council who are still at work are late.
    Straggler,
    /// A question counts as denied.
    Ask(String),
}

/// A decision about a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No, with words for the agent.
    Deny(String),
}

/// What an opened session has of the present turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// The session's id.
    pub session: String,
    /// User messages in the transcript before the present turn's.
    pub user_messages: u64,
    /// Which backend.
    pub backend: String,
    /// The transcript's word on the present turn.
    pub found: Found,
    /// Which of the run's models is asked.
    pub candidate: usize,
    /// Why it is not the one that was wanted.
    pub reason: Option<String>,
    /// Whether a turn can be run again there over its history.
    pub can_rerun: bool,
    /// Whether something more can be said there in a turn under way.
    pub can_steer: bool,
    /// What users said in the transcript after the present turn's prompt.
    pub said: Vec<String>,
    /// What had to be repaired before it could be opened, in words.
    pub repaired: Option<String>,
}

/// The transcript's word on the present turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Our prompt is not there: send it for the first time.
    Nothing,
    /// Our prompt is there and the turn has not ended.
    Unfinished {
        /// Permission requests that wait, with what they want.
        waiting: Vec<(String, super::signal::Wish)>,
    },
    /// The turn has ended with these messages.
    Finished {
        /// The agent's messages, in order.
        messages: Vec<String>,
    },
}

/// What clients saw last, read off the log at recovery.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tail {
    /// Whether text was shown that no whole message has confirmed.
    pub unconfirmed_text: bool,
    /// Tools that were shown as begun and not as ended: call and name.
    pub open_tools: Vec<(String, String)>,
    /// Whole messages that were shown, in order.
    pub messages: Vec<String>,
    /// What the run cost so far.
    pub usage: CallUsage,
    /// Tools that ran so far.
    pub tools: u32,
    /// Those of them that may have changed something.
    pub effects: u32,
    /// The iteration that was shown last.
    pub iteration: Option<u32>,
    /// The same of the lanes; theirs have none.
    pub lanes: BTreeMap<Lane, Tail>,
}

/// An answer that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// Which question.
    pub ask: String,
    /// The answer.
    pub answer: Reply,
    /// Whether a client gave it; otherwise the time ran out.
    pub by_client: bool,
}

/// What a person can answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Yes, this once.
    Allow,
    /// Yes, for the rest of the run.
    AllowAlways,
    /// No.
    Deny(Option<String>),
    /// The text asked for.
    Text(String),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// The verdict.
    pub verdict: Verdict,
    /// What came of it.
    pub outcome: Outcome,
}

/// The ways to end.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Well.
    Done,
    /// With an error.
    Failed(Failure),
    /// Only a person can go on.
    Blocked(Failure),
    /// A limit was reached.
    Exhausted(Failure),
    /// Somebody cancelled.
    Cancelled(Failure),
}

/// What came of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// The answer.
    pub content: String,
    /// The model that answered.
    pub model: Option<String>,
    /// The model asked for.
    pub requested_model: Option<String>,
    /// The effort used.
    pub effort: Option<Effort>,
    /// Summed over all model calls.
    pub usage: CallUsage,
    /// Tries after the first.
    pub retries: u32,
    /// Changes to another model.
    pub fallbacks: u32,
    /// Tools that ran.
    pub tools: u32,
    /// The session it spoke in.
    pub session: Option<String>,
    /// Rounds of a loop that were begun; none where the run is no loop.
    pub iterations: Option<u32>,
    /// What came of it as a council.
    pub council: Option<Box<Report>>,
}

impl Outcome {
    /// Adds what came of another turn: its answer counts, and what both took.
    pub fn add(&mut self, turn: Self) {
        let before = std::mem::take(self);
        let mut usage = before.usage;
        usage.add(&turn.usage);
        let content = if turn.content.is_empty() { before.content } else { turn.content };
        *self = Self {
            content,
            usage,
            retries: before.retries + turn.retries,
            fallbacks: before.fallbacks + turn.fallbacks,
            tools: before.tools + turn.tools,
            ..turn
        };
    }
}

/// A run's machine. It keeps no clock and does nothing itself.
pub trait Machine: Send {
    /// Takes an input and says what to do. Never fails: an input that does not fit the
    /// present state changes nothing.
    fn handle(&mut self, input: Input, moment: Moment) -> Vec<Effect>;

    /// The state to go on from after a crash, as stored with [`Effect::Checkpoint`].
    fn checkpoint(&self) -> serde_json::Value;

    /// How the present turn of a lane stands.
    fn turn(&self, lane: Lane) -> Progress;

    /// Whether [`Input::Steer`] is taken now; else why not, in words that follow "the run ".
    fn steerable(&self) -> Result<(), &'static str> {
        Err("is no chat: only a chat is told more while it works")
    }

    /// What a lane may spend by itself, where that is limited, and what it spent.
    fn purse(&self, _lane: Lane) -> Option<(Caps, Spent)> {
        None
    }

    /// The absolute folder that a lane works in; the run's own when absent.
    fn folder(&self, _lane: Lane) -> Option<String> {
        None
    }

    /// The name of a lane on events; its number when absent. Without a `/`.
    fn label(&self, _lane: Lane) -> Option<String> {
        None
    }
}
