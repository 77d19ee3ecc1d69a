//! Reading an event stream just far enough to know whether it answers.

use serde_json::Value;

/// What a stream has said so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing of an answer yet.
    Nothing,
    /// A piece of the answer, or its end: the head may go back.
    Answer,
    /// An error instead: its code, where it has one, and its words.
    Error(Option<String>, String),
}

/// Reads what has arrived. Pieces of the wire end anywhere, so only whole lines count.
pub(super) fn read(buffer: &[u8]) -> Said {
    let end = buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    for line in buffer[..end].split(|byte| *byte == b'\n') {
        let Some(data) = line.strip_prefix(b"data:") else { continue };
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            return Said::Answer;
        }
        let Ok(event) = serde_json::from_slice::<Value>(data) else { continue };
        match judge(&event) {
            Said::Nothing => {}
            said => return said,
        }
    }
    Said::Nothing
}

/// What an answer ends with, in any of the dialects: who has seen one has seen it whole.
const ENDS: [&[u8]; 6] = [
    b"\"finish_reason\":\"",
    b"\"finish_reason\": \"",
    b"[DONE]",
    b"response.completed",
    b"response.incomplete",
    b"message_stop",
];

/// What nothing follows: who has read one does not wait for the end of the connection.
const LAST: [&[u8]; 4] =
    [b"[DONE]", b"response.completed", b"response.incomplete", b"message_stop"];

/// The longest of them, less one: what may be missing of it at a piece's end.
const TAIL: usize = 20;

/// Notices the end of an answer, however its bytes are cut.
#[derive(Debug)]
pub(super) struct End {
    ends: &'static [&'static [u8]],
    seen: bool,
    tail: Vec<u8>,
}

impl Default for End {
    fn default() -> Self {
        Self { ends: &ENDS, seen: false, tail: Vec::new() }
    }
}

impl End {
    /// Notices the last event alone.
    pub(super) fn last() -> Self {
        Self { ends: &LAST, ..Self::default() }
    }

    pub(super) fn feed(&mut self, piece: &[u8]) {
        if self.seen || piece.is_empty() {
            return;
        }
        self.tail.extend_from_slice(piece);
        self.seen = self.ends.iter().any(|end| self.tail.windows(end.len()).any(|at| at == *end));
        let keep = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..keep);
    }

    pub(super) fn seen(&self) -> bool {
        self.seen
    }
}

/// The event that ends a broken stream in the dialect of its URL. It begins on a line of its
/// own: the break may be in the middle of one.
pub(super) fn error_event(url: &str, message: &str) -> String {
    let path = url.split('?').next().unwrap_or(url);
    let event = if path.ends_with("/responses") {
        let error = serde_json::json!({ "type": "error", "code": "stream", "message": message });
        format!("event: error\ndata: {error}")
    } else if path.ends_with("/messages") {
        let error = serde_json::json!({ "type": "api_error", "message": message });
        let error = serde_json::json!({ "type": "error", "error": error });
        format!("event: error\ndata: {error}")
    } else {
        let error = serde_json::json!({ "message": message, "code": "stream", "type": "stream" });
        format!("data: {}", serde_json::json!({ "error": error }))
    };
    format!("\n\n{event}\n\n")
}

fn judge(event: &Value) -> Said {
    let error = [&event["error"], &event["response"]["error"]];
    if let Some(error) = error.into_iter().find(|error| error.is_object()) {
        let code = ["code", "type"].iter().find_map(|name| error[*name].as_str());
        let words = error["message"].as_str().unwrap_or("the stream carries an error");
        return Said::Error(code.map(str::to_owned), words.to_owned());
    }
    let choices = event["choices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let speaks = |choice: &Value| {
        let delta = &choice["delta"];
        let text = ["content", "reasoning_content", "reasoning", "refusal"];
        text.iter().any(|name| delta[*name].as_str().is_some_and(|text| !text.is_empty()))
            || delta["tool_calls"].as_array().is_some_and(|calls| !calls.is_empty())
            || choice["finish_reason"].is_string()
    };
    // The dialects of `responses` and of Anthropic name their events.
    let named = event["type"].as_str().is_some_and(|name| {
        ["delta", "output_item", "content_block", "completed", "incomplete", "message_stop"]
            .iter()
            .any(|part| name.contains(part))
    });
    if named || choices.iter().any(speaks) { Said::Answer } else { Said::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_alone_is_no_answer_yet() {
        let role =
            b"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
        assert_eq!(read(role), Said::Nothing);
        assert_eq!(read(b": comment\n\n"), Said::Nothing);
    }

    #[test]
    fn text_tools_reasoning_and_the_end_are_answers() {
        for line in [
            r#"data: {"choices":[{"delta":{"content":"a"}}]}"#,
            r#"data:{"choices":[{"delta":{"tool_calls":[{}]}}]}"#,
            r#"data: {"choices":[{"delta":{"reasoning_content":"a"}}]}"#,
            r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            r#"data: {"type":"response.output_text.delta"}"#,
            r#"data: {"type":"content_block_start"}"#,
            "data: [DONE]",
        ] {
            assert_eq!(read(format!("{line}\n\n").as_bytes()), Said::Answer, "{line}");
        }
    }

    #[test]
    fn the_end_is_noticed_however_it_is_cut() {
        for whole in [
            &b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"[..],
            b"data: [DONE]\n\n",
            b"event: response.completed\ndata: {}\n\n",
            b"data: {\"type\":\"message_stop\"}\n\n",
        ] {
            for size in 1..whole.len() {
                let mut end = End::default();
                end.feed(b"data: {\"choices\":[{\"finish_reason\":null}]}\n\n");
                assert!(!end.seen());
                whole.chunks(size).for_each(|piece| end.feed(piece));
                assert!(end.seen(), "{size}: {}", String::from_utf8_lossy(whole));
            }
        }
    }

    #[test]
    fn a_broken_stream_is_ended_in_its_own_dialect() {
        let of = |path: &str| error_event(&format!("http://x/v1/{path}?a=b"), "cut");
        assert!(of("chat/completions").starts_with("\n\ndata: {\"error\":{"));
        assert!(of("responses").starts_with("\n\nevent: error\ndata: {"));
        assert!(of("messages").contains("\"type\":\"api_error\""));
    }

    #[test]
    fn half_a_line_is_not_read() {
        assert_eq!(read(br#"data: {"choices":[{"delta":{"content":"a"}}]}"#), Said::Nothing);
    }

    #[test]
    fn an_error_in_the_stream_keeps_its_code_and_words() {
        let line = b"data: {\"error\":{\"code\":\"overloaded\",\"message\":\"busy\"}}\n";
        assert_eq!(read(line), Said::Error(Some("overloaded".into()), "busy".into()));
    }
}
