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
    fn half_a_line_is_not_read() {
        assert_eq!(read(br#"data: {"choices":[{"delta":{"content":"a"}}]}"#), Said::Nothing);
    }

    #[test]
    fn an_error_in_the_stream_keeps_its_code_and_words() {
        let line = b"data: {\"error\":{\"code\":\"overloaded\",\"message\":\"busy\"}}\n";
        assert_eq!(read(line), Said::Error(Some("overloaded".into()), "busy".into()));
    }
}
