//! What a backend says while a turn runs: the union that every adapter speaks.

use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// One thing that happened in a turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// A piece of the answer.
    MessageDelta(String),
    /// A whole message of the agent.
    Message {
        /// The text; empty when the message only calls tools.
        text: String,
        /// The prompt's message id that it answers, where the backend told.
        answers: Option<String>,
    },
    /// A piece of the reasoning.
    ReasoningDelta(String),
    /// A tool begins.
    ToolStart {
        /// Names the call.
        call: String,
        /// The tool.
        name: String,
        /// What it was called with.
        arguments: serde_json::Value,
    },
    /// A tool ended.
    ToolEnd {
        /// The call.
        call: String,
        /// Whether it succeeded.
        success: bool,
        /// What it gave back.
        result: String,
    },
    /// One model call was paid for.
    Usage(CallUsage),
    /// A model request is in flight (`true`) or not (`false`): the idle watchdog counts only then.
    Requesting(bool),
    /// The backend tries the model call again by itself: text since the last message is void.
    Restarting(String),
    /// A tool waits for permission.
    Permission {
        /// Names the request, for the decision.
        request: String,
        /// What wants to happen.
        wish: Wish,
    },
    /// The agent asks the user something.
    Question {
        /// Names the request, for the answer.
        request: String,
        /// The question.
        question: String,
        /// Answers to pick from.
        choices: Vec<String>,
    },
    /// A model request failed before anything of its answer was shown, and is asked again.
    Waiting {
        /// The try that comes.
        attempt: u32,
        /// What failed.
        failure: Failure,
        /// The wait before it.
        delay_ms: u64,
    },
    /// Something the user should know.
    Notice {
        /// A stable name.
        code: &'static str,
        /// The words.
        message: String,
    },
    /// The conversation is made smaller beside the turn, or that is over.
    Compacting(bool),
    /// A user's words reached the agent: the prompt, or what was said after it.
    Prompted {
        /// The words.
        text: String,
        /// The message's id, which answers to it name.
        message: Option<String>,
    },
    /// The turn failed; [`Signal::Idle`] follows.
    Failed(Failure),
    /// The turn is over: nothing of it is still under way.
    Idle,
    /// The backend is gone; nothing follows.
    Closed(Failure),
}

/// Tokens and money of one model call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallUsage {
    /// The model that answered.
    pub model: Option<String>,
    /// Model calls: 1, or more once summed.
    pub calls: u64,
    /// Tokens sent.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Tokens sent that the endpoint had cached.
    pub cached_tokens: u64,
    /// Tokens received that were reasoning.
    pub reasoning_tokens: u64,
    /// Premium requests.
    pub premium_requests: f64,
    /// AI credits, where told.
    pub ai_credits: Option<f64>,
    /// What it cost by the price table: an estimate, for models that have a price.
    pub estimated_cost: Option<f64>,
}

impl CallUsage {
    /// Adds another call; the newest model name stays.
    pub fn add(&mut self, other: &Self) {
        if other.model.is_some() {
            self.model.clone_from(&other.model);
        }
        self.calls += other.calls;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cached_tokens += other.cached_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
        self.premium_requests += other.premium_requests;
        if let Some(credits) = other.ai_credits {
            *self.ai_credits.get_or_insert(0.0) += credits;
        }
        if let Some(cost) = other.estimated_cost {
            *self.estimated_cost.get_or_insert(0.0) += cost;
        }
    }
}

/// What a tool wants to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Wish {
    /// Run a command line.
    Shell {
        /// The whole command line.
        command: String,
        /// Its single commands, where the backend took it apart.
        segments: Vec<String>,
        /// Folders and files it seems to touch.
        paths: Vec<String>,
        /// URLs it seems to reach.
        urls: Vec<String>,
    },
    /// Write a file.
    Write {
        /// The file, absolute where the backend resolved it.
        path: String,
        /// The change, for people.
        diff: String,
    },
    /// Read a file or folder.
    Read {
        /// The path, absolute where the backend resolved it.
        path: String,
    },
    /// Fetch a URL.
    Url {
        /// The URL.
        url: String,
    },
    /// Call a tool of an MCP server.
    Mcp {
        /// The server.
        server: String,
        /// The tool.
        tool: String,
        /// What it is called with.
        arguments: String,
    },
    /// Anything else, by its name.
    Other {
        /// The kind.
        kind: String,
        /// What there is to know of it.
        detail: String,
    },
}
