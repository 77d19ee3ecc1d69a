//! What the model answers: a list of steps, built in the order they happen.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::gate::Gate;

/// How a connection is broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// An orderly end of the connection in the middle of the answer.
    Fin,
    /// A reset.
    Reset,
}

/// One step of an answer.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A piece of the answer, as the `delta` of a chunk.
    Delta(Value),
    /// These bytes, whatever they are.
    Raw(Bytes),
    /// Wait at a gate.
    Wait(Gate),
    /// Wait for time to pass: only where time is the matter of the test.
    Pause(Duration),
    /// Say nothing more until the client goes away.
    Hang,
    /// Break the connection off.
    Cut(Cut),
}

/// One answer of the model. `Reply::text("hi")` is the simplest; the builders say what
/// comes in which order:
///
/// ```
/// use copex_tests::model::{Cut, Gate, Reply};
/// let gate = Gate::new();
/// let reply = Reply::stream().say("one ").wait(&gate).say("two").cut(Cut::Reset);
/// # let _ = reply;
/// ```
///
/// Unless it ends in a cut, a hang or [`Reply::truncated`], the finish reason, the usage
/// and `[DONE]` follow on their own.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(String, String)>,
    pub(super) before_head: Vec<Step>,
    pub(super) steps: Vec<Step>,
    pub(super) finish: Option<String>,
    pub(super) usage: Usage,
    pub(super) model: Option<String>,
    pub(super) ends: bool,
    pub(super) body: Option<Bytes>,
    tool_calls: usize,
}

/// Tokens that an answer claims to have cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// Of the prompt's tokens, those from the cache.
    pub cached: u64,
    /// Of the answer's tokens, those of reasoning.
    pub reasoning: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self { input: 11, output: 7, cached: 0, reasoning: 0 }
    }
}

impl Reply {
    /// An answer without words yet.
    pub fn stream() -> Self {
        Self {
            status: StatusCode::OK,
            headers: Vec::new(),
            before_head: Vec::new(),
            steps: Vec::new(),
            finish: None,
            usage: Usage::default(),
            model: None,
            ends: true,
            body: None,
            tool_calls: 0,
        }
    }

    /// The whole answer in one piece.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::stream().say(text)
    }

    /// The answer in these pieces.
    pub fn chunks<T: AsRef<str>>(chunks: impl IntoIterator<Item = T>) -> Self {
        chunks.into_iter().fold(Self::stream(), Self::say)
    }

    /// The answer in these pieces, with time between them: a slow model.
    pub fn slow<T: AsRef<str>>(chunks: impl IntoIterator<Item = T>, gap: Duration) -> Self {
        chunks.into_iter().fold(Self::stream(), |reply, chunk| reply.say(chunk).pause(gap))
    }

    /// One tool call.
    pub fn tool(name: &str, arguments: &Value) -> Self {
        Self::stream().call(name, arguments)
    }

    /// A refusal, in OpenAI's form: `{"error": {"message", "code"}}`.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let error = json!({"error": {"message": message, "code": code, "type": code}});
        Self::status(status, error.to_string()).header("content-type", "application/json")
    }

    /// 429, with `Retry-After` where a number of seconds is given.
    pub fn rate_limited(code: &str, retry_after_s: Option<u64>) -> Self {
        let reply = Self::error(429, code, "too many requests");
        match retry_after_s {
            Some(seconds) => reply.header("retry-after", &seconds.to_string()),
            None => reply,
        }
    }

    /// Any status with any body.
    pub fn status(status: u16, body: impl Into<Bytes>) -> Self {
        let mut reply = Self::stream();
        reply.status = StatusCode::from_u16(status).expect("an HTTP status");
        reply.body = Some(body.into());
        reply
    }

    /// Never answers, not even with a status line.
    pub fn hang_before_head() -> Self {
        let mut reply = Self::stream();
        reply.before_head.push(Step::Hang);
        reply
    }

    /// Breaks the connection off instead of answering.
    pub fn cut_before_head(cut: Cut) -> Self {
        let mut reply = Self::stream();
        reply.before_head.push(Step::Cut(cut));
        reply
    }

    /// 200 and then bytes that are no event stream.
    pub fn garbage() -> Self {
        Self::stream()
            .raw("data: {\"choices\": [{\"delta\n\n\u{0}\u{1}not a stream\n\n")
            .truncated()
    }

    /// The next piece of the answer.
    pub fn say(self, text: impl AsRef<str>) -> Self {
        self.delta(json!({"content": text.as_ref()}))
    }

    /// The next piece of the reasoning.
    pub fn think(self, text: impl AsRef<str>) -> Self {
        self.delta(json!({"reasoning_content": text.as_ref()}))
    }

    /// A tool call; several in one answer run in parallel.
    pub fn call(mut self, name: &str, arguments: &Value) -> Self {
        let index = self.tool_calls;
        self.tool_calls += 1;
        self.delta(json!({"tool_calls": [{
            "index": index,
            "id": format!("call_{}_{index}", crate::model::serial()),
            "type": "function",
            "function": {"name": name, "arguments": arguments.to_string()},
        }]}))
    }

    /// Any other delta.
    pub fn delta(self, delta: Value) -> Self {
        self.step(Step::Delta(delta))
    }

    /// Bytes as they are, into the stream.
    pub fn raw(self, bytes: impl Into<Bytes>) -> Self {
        self.step(Step::Raw(bytes.into()))
    }

    /// Stops here until the gate is released.
    pub fn wait(self, gate: &Gate) -> Self {
        self.step(Step::Wait(gate.clone()))
    }

    /// Holds the status line back until the gate is released.
    pub fn wait_before_head(mut self, gate: &Gate) -> Self {
        self.before_head.push(Step::Wait(gate.clone()));
        self
    }

    /// Stops here for a time.
    pub fn pause(self, gap: Duration) -> Self {
        self.step(Step::Pause(gap))
    }

    /// Says nothing more, for ever.
    pub fn hang(self) -> Self {
        self.step(Step::Hang)
    }

    /// Breaks the connection off here.
    pub fn cut(self, cut: Cut) -> Self {
        self.step(Step::Cut(cut))
    }

    /// Ends the stream properly, but without finish reason, usage and `[DONE]`.
    pub fn truncated(mut self) -> Self {
        self.ends = false;
        self
    }

    /// The finish reason; by default `stop`, or `tool_calls` after a tool call.
    pub fn finish(mut self, reason: &str) -> Self {
        self.finish = Some(reason.to_owned());
        self
    }

    /// The tokens it claims.
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// The model it claims to be; by default the one asked for.
    pub fn model(mut self, model: &str) -> Self {
        self.model = Some(model.to_owned());
        self
    }

    /// A header of the answer.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Forbids the Copilot CLI its own retries.
    pub fn no_cli_retry(self) -> Self {
        self.header("x-should-retry", "false")
    }

    pub(super) fn finish_reason(&self) -> &str {
        let default = if self.tool_calls > 0 { "tool_calls" } else { "stop" };
        self.finish.as_deref().unwrap_or(default)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl Usage {
    pub(super) fn to_json(self) -> Value {
        json!({
            "prompt_tokens": self.input,
            "completion_tokens": self.output,
            "total_tokens": self.input + self.output,
            "prompt_tokens_details": {"cached_tokens": self.cached},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        })
    }
}
