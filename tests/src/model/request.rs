//! A request as the model server got it, and how to find the user's words in it.

use std::collections::BTreeMap;

use serde_json::Value;

/// Blocks that the Copilot CLI puts around the user's words, seen in its traffic and
/// among its strings.
const CONTEXT_TAGS: [&str; 13] = [
    "current_datetime",
    "system_reminder",
    "system_notification",
    "system_notifications",
    "reminder",
    "todo_status",
    "session_limits_status",
    "session_context",
    "session_search_context",
    "environment_context",
    "conversation_context",
    "context_window",
    "context_window_reminder",
];

/// One request, as it arrived.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// Its place among all requests of the server, from 0.
    pub index: usize,
    /// The HTTP method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Headers by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body; a text where it was not JSON, null where there was none.
    pub body: Value,
}

impl RecordedRequest {
    /// Whether it asks the model for an answer.
    pub fn is_completion(&self) -> bool {
        self.method == "POST" && self.path.ends_with("/chat/completions")
    }

    /// Whether it came over the signed-in path instead of a provider's `/v1`.
    pub fn is_signed_in(&self) -> bool {
        self.is_completion() && !self.path.starts_with("/v1/")
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    /// The model asked for.
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// The reasoning effort asked for.
    pub fn reasoning_effort(&self) -> Option<&str> {
        self.body["reasoning_effort"].as_str()
    }

    /// Whether the answer is to be streamed.
    pub fn wants_stream(&self) -> bool {
        self.body["stream"].as_bool().unwrap_or(false)
    }

    /// The conversation so far.
    pub fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// The system message's text.
    pub fn system_message(&self) -> String {
        self.texts("system").into_iter().next().unwrap_or_default()
    }

    /// What the user said, oldest first, without the CLI's context blocks.
    pub fn user_messages(&self) -> Vec<String> {
        self.texts("user").iter().map(|text| own_words(text).to_owned()).collect()
    }

    /// The newest thing the user said.
    pub fn prompt(&self) -> String {
        self.user_messages().pop().unwrap_or_default()
    }

    /// Results of tools, oldest first.
    pub fn tool_results(&self) -> Vec<String> {
        self.texts("tool")
    }

    /// Names of the tools on offer.
    pub fn tools(&self) -> Vec<&str> {
        let tools = self.body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
        tools.iter().filter_map(|tool| tool["function"]["name"].as_str()).collect()
    }

    fn texts(&self, role: &str) -> Vec<String> {
        let of_role = self.messages().iter().filter(|message| message["role"] == role);
        of_role.map(|message| content(&message["content"])).collect()
    }
}

/// A message's text, whether it came as a text or as parts.
fn content(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join("")
        }
        _ => String::new(),
    }
}

/// The user's own words in a message: leading and trailing context blocks are taken off,
/// whatever the user wrote between them stays, tags of the same names included.
pub fn own_words(message: &str) -> &str {
    let mut rest = message.trim();
    loop {
        let before = rest.len();
        for tag in CONTEXT_TAGS {
            rest = without_leading(rest, tag).unwrap_or(rest);
            rest = without_trailing(rest, tag).unwrap_or(rest);
        }
        if rest.len() == before {
            return rest;
        }
    }
}

fn without_leading<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let inner = text.strip_prefix('<')?.strip_prefix(tag)?.strip_prefix('>')?;
    let end = format!("</{tag}>");
    let (_, rest) = inner.split_once(&end)?;
    Some(rest.trim_start())
}

fn without_trailing<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let inner = text.strip_suffix('>')?.strip_suffix(tag)?.strip_suffix("</")?;
    let start = inner.rfind(&format!("<{tag}>"))?;
    Some(text[..start].trim_end())
}

#[cfg(test)]
mod tests {
    use super::own_words;

    #[test]
    fn context_blocks_around_the_prompt_are_taken_off() {
        let message = "<current_datetime>2026</current_datetime>\n\nWhat is <b>2</b>?\nline\n\n\
                       <system_reminder>\n<todo_status>x</todo_status>\n</system_reminder>\n";
        assert_eq!(own_words(message), "What is <b>2</b>?\nline");
    }

    #[test]
    fn what_the_user_wrote_in_between_stays() {
        let message = "<current_datetime>t</current_datetime>\n\na <reminder>b</reminder> c";
        assert_eq!(own_words(message), "a <reminder>b</reminder> c");
        assert_eq!(own_words("plain"), "plain");
        assert_eq!(own_words("<reminder> open"), "<reminder> open");
    }
}
