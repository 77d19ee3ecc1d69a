//! A transcript as a conversation: who said what, and which tools ran.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::Value;

use super::peek::is_said;

/// Entries of a conversation that are kept: its end is what people look for.
pub const MOST_ENTRIES: usize = 500;

/// Characters of one text. The whole of it is in the transcript.
pub const MOST_TEXT: usize = 4_000;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The user.
    User,
    /// The agent.
    Assistant,
    /// A tool.
    Tool,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who speaks.
    pub by: Speaker,
    /// When, in Unix milliseconds.
    pub at: Option<u64>,
    /// What was said, or what the tool was called with.
    pub text: String,
    /// The tool's name.
    pub tool: Option<String>,
    /// What the tool gave back.
    pub result: Option<String>,
    /// Whether it succeeded.
    pub success: Option<bool>,
    /// Whether a text was cut.
    pub clipped: bool,
}

/// Makes a conversation of lines.
#[derive(Debug, Default)]
pub struct Talk {
    entries: VecDeque<(Option<String>, Entry)>,
    more: bool,
}

impl Talk {
    /// Takes the next line. What is no record of a conversation is passed over.
    pub fn line(&mut self, line: &[u8]) {
        let Ok(value) = serde_json::from_slice::<Value>(line) else { return };
        if value["agentId"].is_string() {
            return;
        }
        let data = &value["data"];
        let at = value["timestamp"].as_str().and_then(unix_ms);
        let call = data["toolCallId"].as_str().map(str::to_owned);
        match value["type"].as_str() {
            Some("user.message") if is_said(&value) => self.say(Speaker::User, at, data),
            Some("assistant.message") if data["content"] != "" => {
                self.say(Speaker::Assistant, at, data);
            }
            Some("tool.execution_start") => {
                let (text, clipped) = clip(&data["arguments"].to_string());
                let tool = data["toolName"].as_str().map(str::to_owned);
                let by = Speaker::Tool;
                let entry = Entry { by, at, text, tool, result: None, success: None, clipped };
                self.push(call, entry);
            }
            Some("tool.execution_complete") => self.end(call.as_deref(), data),
            _ => {}
        }
    }

    /// The entries, oldest first, and whether earlier ones were left out.
    pub fn finish(self) -> (Vec<Entry>, bool) {
        (self.entries.into_iter().map(|(_, entry)| entry).collect(), self.more)
    }

    fn say(&mut self, by: Speaker, at: Option<u64>, data: &Value) {
        let (text, clipped) = clip(data["content"].as_str().unwrap_or_default());
        let entry = Entry { by, at, text, tool: None, result: None, success: None, clipped };
        self.push(None, entry);
    }

    fn end(&mut self, call: Option<&str>, data: &Value) {
        let begun =
            self.entries.iter_mut().rev().find(|(id, _)| call.is_some() && id.as_deref() == call);
        let Some((_, entry)) = begun else { return };
        let content = &data["result"]["content"];
        let words = content.as_str().or_else(|| data["error"]["message"].as_str());
        let (text, clipped) = clip(words.unwrap_or_default());
        entry.result = Some(text);
        entry.success = data["success"].as_bool();
        entry.clipped |= clipped;
    }

    fn push(&mut self, call: Option<String>, entry: Entry) {
        if self.entries.len() == MOST_ENTRIES {
            self.entries.pop_front();
            self.more = true;
        }
        self.entries.push_back((call, entry));
    }
}

/// A moment as the CLI writes it, in Unix milliseconds.
pub fn unix_ms(text: &str) -> Option<u64> {
    let moment = text.parse::<Timestamp>().ok()?;
    u64::try_from(moment.as_millisecond()).ok()
}

fn clip(text: &str) -> (String, bool) {
    match text.char_indices().nth(MOST_TEXT) {
        Some((end, _)) => (text[..end].to_owned(), true),
        None => (text.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn talk(lines: &[Value]) -> (Vec<Entry>, bool) {
        let mut talk = Talk::default();
        for line in lines {
            talk.line(line.to_string().as_bytes());
        }
        talk.finish()
    }

    #[test]
    fn a_tool_is_one_entry_with_its_result() {
        let (entries, more) = talk(&[
            json!({"type": "user.message", "timestamp": "1970-01-01T00:00:01Z", "data": {"content": "hi"}}),
            json!({"type": "assistant.message", "data": {"content": ""}}),
            json!({"type": "tool.execution_start", "data": {"toolCallId": "c", "toolName": "bash", "arguments": {"command": "ls"}}}),
            json!({"type": "tool.execution_complete", "data": {"toolCallId": "c", "success": true, "result": {"content": "x"}}}),
            json!({"type": "assistant.message", "agentId": "other", "data": {"content": "to another agent"}}),
            json!({"type": "assistant.message", "data": {"content": "done"}}),
        ]);
        assert!(!more);
        assert_eq!(
            entries.iter().map(|it| it.by).collect::<Vec<_>>(),
            [Speaker::User, Speaker::Tool, Speaker::Assistant]
        );
        assert_eq!(entries[0].at, Some(1_000));
        assert_eq!((entries[1].result.as_deref(), entries[1].success), (Some("x"), Some(true)));
    }

    #[test]
    fn long_texts_and_long_conversations_are_cut() {
        let long = json!({"type": "user.message", "data": {"content": "ä".repeat(MOST_TEXT + 1)}});
        let (entries, _) = talk(std::slice::from_ref(&long));
        assert!(entries[0].clipped && entries[0].text.chars().count() == MOST_TEXT);
        let (entries, more) = talk(&vec![long; MOST_ENTRIES + 1]);
        assert!(more && entries.len() == MOST_ENTRIES);
    }
}
