//! From the CLI's session events to signals.
//!
//! Under backlog the CLI delivers events twice, old ones mixed among new: a repeated
//! `event.id` is dropped here. Types and fields that are not known are skipped.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use github_copilot_sdk::SessionEvent;
use serde_json::Value;

use super::classify;
use super::seam::Link;
use crate::core::redact::Redactor;
use crate::core::signal::{CallUsage, Signal, Wish};

/// Event ids remembered for the test on repetition. Repeats were measured among backlogs
/// of 10,000 to 30,000 events; 36-byte ids make this 3 MB at most, per session at work.
const REMEMBERED_IDS: usize = 32_768;

/// Nano AI units per AI credit.
const NANO: f64 = 1e9;

/// Turns one session's events into signals.
#[derive(Default)]
pub struct Converter {
    link: Option<Link>,
    redactor: Arc<Redactor>,
    seen: HashSet<u128>,
    order: VecDeque<u128>,
    last_call_failure: Option<Value>,
}

impl Converter {
    /// A converter for a session whose model requests pass the seam.
    pub fn new(link: Link) -> Self {
        Self { redactor: link.redactor.clone(), link: Some(link), ..Self::default() }
    }

    /// A converter for a session with these secrets whose requests do not pass us.
    pub fn knowing(redactor: Arc<Redactor>) -> Self {
        Self { redactor, ..Self::default() }
    }

    /// The signals of one event; none when it repeats an earlier one or says nothing of use.
    pub fn convert(&mut self, event: &SessionEvent) -> Vec<Signal> {
        if self.repeats(&event.id) {
            return Vec::new();
        }
        let data = &event.data;
        // A sub-agent's words are not the answer; its cost, its tools and its asks are ours.
        let own = event.agent_id.is_none();
        match event.event_type.as_str() {
            "assistant.message_delta" if own => {
                one(Signal::MessageDelta(text(data, "deltaContent")))
            }
            "assistant.message" if own => one(Signal::Message {
                text: text(data, "content"),
                answers: data["originatingMessageId"].as_str().map(str::to_owned),
            }),
            "assistant.reasoning_delta" if own => {
                one(Signal::ReasoningDelta(text(data, "deltaContent")))
            }
            "tool.execution_start" => one(Signal::ToolStart {
                call: text(data, "toolCallId"),
                name: text(data, "toolName"),
                arguments: data["arguments"].clone(),
            }),
            "tool.execution_complete" => one(tool_end(data)),
            "assistant.usage" => one(Signal::Usage(usage(data))),
            "session.compaction_complete" => {
                compaction(data).into_iter().chain(self.compacting(false)).collect()
            }
            "model.call_start" => one(Signal::Requesting(true)),
            "model.call_finished" => one(Signal::Requesting(false)),
            "model.call_failure" => {
                self.last_call_failure = Some(data.clone());
                // One that the seam gave up is told by the error that follows.
                let told = self.link.as_ref().is_some_and(Link::gave_up);
                if told { Vec::new() } else { one(call_failure(data, &self.redactor)) }
            }
            "assistant.turn_retry" if own => {
                let reason = data["reason"].as_str().unwrap_or("the model call broke off");
                one(Signal::Restarting(reason.to_owned()))
            }
            "user.message" if own => one(Signal::Prompted {
                text: text(data, "content"),
                message: data["messageId"].as_str().map(str::to_owned),
            }),
            "permission.requested" => permission(data).map_or_else(Vec::new, one),
            "session.warning" => {
                one(notice("copilot_warning", self.redactor.said(&text(data, "message"))))
            }
            "session.compaction_start" => {
                let told = notice("compaction", "the conversation is being compacted".to_owned());
                [told].into_iter().chain(self.compacting(true)).collect()
            }
            "session.error" => {
                let last = self.last_call_failure.take();
                let mut failure = classify::session_error(data, last.as_ref());
                failure.message = self.redactor.said(&failure.message);
                let seen = self.link.as_ref().and_then(Link::take_given_up);
                one(Signal::Failed(classify::with_seen(failure, seen)))
            }
            "session.idle" => {
                self.last_call_failure = None;
                one(Signal::Idle)
            }
            _ => Vec::new(),
        }
    }

    /// A process per turn has ended its compaction, or given it up, when the turn is over.
    fn compacting(&self, begins: bool) -> Option<Signal> {
        self.link.is_some().then_some(Signal::Compacting(begins))
    }

    fn repeats(&mut self, id: &str) -> bool {
        if id.is_empty() {
            return false;
        }
        // Ids are UUIDs in every version so far; any other name tells events apart as well.
        let id = uuid::Uuid::parse_str(id).map_or_else(|_| named(id), |id| id.as_u128());
        if !self.seen.insert(id) {
            return true;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        false
    }
}

/// A name's digest, to remember it by.
fn named(id: &str) -> u128 {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(id).iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

fn one(signal: Signal) -> Vec<Signal> {
    vec![signal]
}

fn text(data: &Value, name: &str) -> String {
    data[name].as_str().unwrap_or_default().to_owned()
}

fn list(data: &Value, name: &str, field: Option<&str>) -> Vec<String> {
    let Some(items) = data[name].as_array() else { return Vec::new() };
    let item = |item: &Value| field.map_or(item, |field| &item[field]).as_str().map(str::to_owned);
    items.iter().filter_map(item).collect()
}

fn notice(code: &'static str, message: String) -> Signal {
    Signal::Notice { code, message }
}

fn call_failure(data: &Value, redactor: &Redactor) -> Signal {
    let status =
        data["statusCode"].as_u64().map(|status| format!(" ({status})")).unwrap_or_default();
    let words = redactor.said(data["errorMessage"].as_str().unwrap_or("no reason given"));
    notice("model_call_failed", format!("a model call failed{status}: {words}"))
}

fn tool_end(data: &Value) -> Signal {
    let result = data["result"]["content"].as_str().or_else(|| data["error"]["message"].as_str());
    Signal::ToolEnd {
        call: text(data, "toolCallId"),
        success: data["success"].as_bool().unwrap_or(false),
        result: result.unwrap_or_default().to_owned(),
    }
}

/// One model call as the CLI accounts for it.
pub fn usage(data: &Value) -> CallUsage {
    let tokens = |name: &str| data[name].as_u64().unwrap_or(0);
    CallUsage {
        model: data["model"].as_str().map(str::to_owned),
        calls: 1,
        input_tokens: tokens("inputTokens"),
        output_tokens: tokens("outputTokens"),
        cached_tokens: tokens("cacheReadTokens"),
        reasoning_tokens: tokens("reasoningTokens"),
        premium_requests: data["cost"].as_f64().unwrap_or(0.0),
        ai_credits: data["copilotUsage"]["totalNanoAiu"].as_f64().map(|nano| nano / NANO),
        estimated_cost: None,
    }
}

/// The calls that a compaction made: they have no event of their own.
fn compaction(data: &Value) -> Option<Signal> {
    let used = Some(&data["compactionTokensUsed"]).filter(|used| used.is_object())?;
    let calls = used["requestCount"].as_u64().unwrap_or(1);
    let model = used["model"].as_str().or_else(|| data["model"].as_str()).map(str::to_owned);
    Some(Signal::Usage(CallUsage { model, calls, ..usage(used) }))
}

/// The wish in a permission event, or in an entry of the list of pending requests.
pub fn permission(data: &Value) -> Option<Signal> {
    let request = data["requestId"].as_str()?.to_owned();
    let inner = ["permissionRequest", "request"].iter().map(|name| &data[*name]);
    let wish = wish(inner.into_iter().find(|value| value.is_object()).unwrap_or(data));
    Some(Signal::Permission { request, wish })
}

fn wish(request: &Value) -> Wish {
    let resolved = |plain: &str| {
        let path = request["resolvedPath"].as_str().or_else(|| request[plain].as_str());
        path.unwrap_or_default().to_owned()
    };
    match request["kind"].as_str().unwrap_or("unknown") {
        "shell" => Wish::Shell {
            command: text(request, "fullCommandText"),
            segments: list(request, "commandSegments", Some("fullCommandText")),
            paths: list(request, "possiblePaths", None),
            urls: list(request, "possibleUrls", Some("url")),
        },
        "write" => Wish::Write { path: resolved("fileName"), diff: text(request, "diff") },
        "read" => Wish::Read { path: resolved("path") },
        "url" => Wish::Url { url: text(request, "url") },
        "mcp" => {
            let (server, offered) = (text(request, "serverName"), text(request, "toolName"));
            // The CLI offers a tool as `SERVER-TOOL`; patterns and people name the tool.
            let tool = offered.strip_prefix(&server).and_then(|rest| rest.strip_prefix('-'));
            let tool = tool.unwrap_or(&offered).to_owned();
            Wish::Mcp { server, tool, arguments: request["args"].to_string() }
        }
        kind => Wish::Other { kind: kind.to_owned(), detail: request.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[expect(clippy::needless_pass_by_value, reason = "json! stands in the calls")]
    fn event(id: u128, kind: &str, data: Value) -> SessionEvent {
        let id = uuid::Uuid::from_u128(id).to_string();
        let event =
            json!({"id": id, "timestamp": "", "parentId": null, "type": kind, "data": data});
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn what_a_compaction_took_is_told_by_its_end() {
        let mut converter = Converter::default();
        let used = json!({"inputTokens": 7, "outputTokens": 3, "cacheReadTokens": 2, "model": "m"});
        let end = |id, data| event(id, "session.compaction_complete", data);
        let told =
            converter.convert(&end(1, json!({"success": true, "compactionTokensUsed": used})));
        let [Signal::Usage(usage)] = &told[..] else { panic!("{told:?}") };
        assert_eq!((usage.calls, usage.input_tokens, usage.output_tokens), (1, 7, 3));
        assert_eq!((usage.cached_tokens, usage.model.as_deref()), (2, Some("m")));
        assert_eq!(converter.convert(&end(2, json!({"success": false}))), vec![]);
    }

    #[test]
    fn an_event_that_comes_twice_counts_once() {
        let mut converter = Converter::default();
        let delta = event(1, "assistant.message_delta", json!({"deltaContent": "x"}));
        assert_eq!(converter.convert(&delta), vec![Signal::MessageDelta("x".to_owned())]);
        assert_eq!(converter.convert(&delta), vec![]);
    }

    #[test]
    fn an_id_that_is_no_uuid_tells_events_apart_and_an_empty_one_does_not() {
        let mut converter = Converter::default();
        let mut delta = event(1, "assistant.message_delta", json!({"deltaContent": "x"}));
        for (id, signals) in [("event-1", 1), ("event-2", 1), ("event-1", 0), ("", 1), ("", 1)] {
            id.clone_into(&mut delta.id);
            assert_eq!(converter.convert(&delta).len(), signals, "{id}");
        }
    }

    #[test]
    fn memory_of_ids_is_bounded() {
        let mut converter = Converter::default();
        for id in 0..(REMEMBERED_IDS as u128 + 100) {
            converter.convert(&event(id, "x", Value::Null));
        }
        assert_eq!(converter.seen.len(), REMEMBERED_IDS);
        assert_eq!(converter.order.len(), REMEMBERED_IDS);
    }

    #[test]
    fn a_sub_agents_words_are_not_the_answer_but_its_cost_counts() {
        let mut converter = Converter::default();
        let mut message = event(1, "assistant.message", json!({"content": "inner"}));
        message.agent_id = Some("a".to_owned());
        assert_eq!(converter.convert(&message), vec![]);
        let mut usage = event(2, "assistant.usage", json!({"inputTokens": 5}));
        usage.agent_id = Some("a".to_owned());
        assert!(
            matches!(&converter.convert(&usage)[..], [Signal::Usage(u)] if u.input_tokens == 5)
        );
    }

    #[test]
    fn a_tool_of_an_mcp_server_is_named_without_its_server() {
        let tool = |offered: &str| {
            let data = json!({"requestId": "r", "permissionRequest": {
                "kind": "mcp", "serverName": "adder", "toolName": offered, "args": {}}});
            match permission(&data) {
                Some(Signal::Permission { wish: Wish::Mcp { tool, .. }, .. }) => tool,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((tool("adder-add"), tool("add")), ("add".to_owned(), "add".to_owned()));
    }

    #[test]
    fn a_shell_request_is_taken_apart() {
        let data = json!({"requestId": "r", "permissionRequest": {
            "kind": "shell", "fullCommandText": "a && b",
            "commandSegments": [{"fullCommandText": "a"}, {"fullCommandText": "b"}],
            "possiblePaths": ["/etc"], "possibleUrls": [{"url": "https://x"}]}});
        let expected = Wish::Shell {
            command: "a && b".to_owned(),
            segments: vec!["a".to_owned(), "b".to_owned()],
            paths: vec!["/etc".to_owned()],
            urls: vec!["https://x".to_owned()],
        };
        let Some(Signal::Permission { request, wish }) = permission(&data) else { panic!() };
        assert_eq!((request.as_str(), wish), ("r", expected));
    }
}
