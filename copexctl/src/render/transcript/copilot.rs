//! Events of the Copilot CLI as those of a run: of `--output-format json`, and of the
//! `events.jsonl` of its sessions.

use std::collections::BTreeMap;

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::event::{Ending, EventBody, Outcome, ToolEnd, ToolStart, Usage};
use serde_json::Value;

use super::{Body, Entry};
use crate::render::markdown::code::is_diff;

/// Tools whose begin is remembered; a log whose ends are missing must not grow without end.
const MOST: usize = 1_024;

/// What earlier lines said.
#[derive(Debug, Default)]
pub(crate) struct Copilot {
    /// When each tool at work began, and its name.
    tools: BTreeMap<String, (Option<u64>, String)>,
    /// Whether the reasoning since the last message came in pieces.
    pieces: bool,
    outcome: Outcome,
}

impl Copilot {
    /// What an event means.
    pub(crate) fn entry(&mut self, kind: &str, event: &Value) -> Entry {
        let at = event.get("timestamp").and_then(Value::as_str);
        let at = at.and_then(|at| at.parse::<jiff::Timestamp>().ok());
        let at = at.and_then(|at| u64::try_from(at.as_millisecond()).ok());
        // The words of agents below the first are their own business; its tools are shown.
        let below = event.get("agentId").is_some_and(Value::is_string);
        let nothing = Value::Null;
        let data = event.get("data").unwrap_or(&nothing);
        let body = if below && kind.starts_with("assistant.") {
            Body::Silent
        } else {
            self.body(kind, event, data, at)
        };
        Entry { at, path: None, body }
    }

    fn body(&mut self, kind: &str, event: &Value, data: &Value, at: Option<u64>) -> Body {
        let text =
            |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let body = match kind {
            "user.message" => return Body::User(text("content")),
            "assistant.message_delta" => EventBody::MessageDelta { text: text("deltaContent") },
            "assistant.message" => {
                self.pieces = false;
                if let Some(model) = data.get("model").and_then(Value::as_str) {
                    self.outcome.model = Some(model.to_owned());
                }
                let text = text("content");
                if text.is_empty() {
                    return Body::Silent;
                }
                EventBody::Message { text }
            }
            "assistant.reasoning_delta" => {
                self.pieces = true;
                EventBody::ReasoningDelta { text: text("deltaContent") }
            }
            "assistant.reasoning" if !self.pieces => {
                EventBody::ReasoningDelta { text: text("content") + "\n" }
            }
            "tool.execution_start" => self.tool_start(data, at),
            "tool.execution_complete" => self.tool_end(data, at),
            "assistant.usage" => {
                self.usage(data);
                return Body::Silent;
            }
            "session.usage_record" => {
                self.usage(data.get("usage").unwrap_or(data));
                return Body::Silent;
            }
            "assistant.turn_retry" => {
                self.outcome.retries += 1;
                EventBody::Restarted { reason: text("reason") }
            }
            "session.error" => {
                EventBody::Warning { code: text("errorType"), message: text("message") }
            }
            "session.warning" => {
                EventBody::Warning { code: text("warningType"), message: text("message") }
            }
            "result" => return self.result(event),
            _ => return Body::Silent,
        };
        Body::Event(Box::new(body))
    }

    fn tool_start(&mut self, data: &Value, at: Option<u64>) -> EventBody {
        let text =
            |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (call, name) = (text("toolCallId"), text("toolName"));
        if self.tools.len() < MOST {
            self.tools.insert(call.clone(), (at, name.clone()));
        }
        self.outcome.tools += 1;
        let arguments = data.get("arguments").cloned().unwrap_or_default();
        EventBody::ToolStart(ToolStart { call, name, arguments })
    }

    fn tool_end(&mut self, data: &Value, at: Option<u64>) -> EventBody {
        let at_pointer = |path: &str| data.pointer(path).and_then(Value::as_str);
        let call = at_pointer("/toolCallId").unwrap_or_default().to_owned();
        let (began, name) = self.tools.remove(&call).unwrap_or_default();
        let change =
            at_pointer("/result/detailedContent").filter(|text| is_diff(text.trim_start()));
        let result = change.or(at_pointer("/result/content")).or(at_pointer("/error/message"));
        let took = at.zip(began).map(|(at, began)| at.saturating_sub(began));
        EventBody::ToolEnd(ToolEnd {
            call,
            name: if name.is_empty() { "tool".to_owned() } else { name },
            success: data.get("success").and_then(Value::as_bool).unwrap_or(false),
            result: result.unwrap_or_default().trim_start_matches('\n').to_owned(),
            duration_ms: took.unwrap_or(0),
        })
    }

    fn usage(&mut self, data: &Value) {
        let count = |name: &str| data.get(name).and_then(Value::as_u64).unwrap_or(0);
        self.outcome.usage.add(&Usage {
            calls: 1,
            input_tokens: count("inputTokens"),
            output_tokens: count("outputTokens"),
            cached_tokens: count("cacheReadTokens"),
            premium_requests: data.get("cost").and_then(Value::as_f64).unwrap_or(0.0),
            ..Usage::default()
        });
    }

    fn result(&mut self, event: &Value) -> Body {
        let number = |path: &str| event.pointer(path).and_then(Value::as_f64).unwrap_or(0.0);
        let mut outcome = std::mem::take(&mut self.outcome);
        outcome.usage.premium_requests = number("/usage/premiumRequests");
        outcome.duration_ms =
            event.pointer("/usage/sessionDurationMs").and_then(Value::as_u64).unwrap_or(0);
        match event.get("exitCode").and_then(Value::as_i64) {
            Some(0) | None => Body::Event(Box::new(EventBody::Done(outcome))),
            Some(code) => {
                let error = ErrorInfo::new(ErrorClass::Unknown, format!("exit code {code}"));
                Body::Event(Box::new(EventBody::Failed(Ending { error, outcome })))
            }
        }
    }
}
