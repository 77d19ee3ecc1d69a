//! What the beginning of a transcript tells, without the rest of it.

use serde_json::Value;

/// Characters of a title. A list shows fewer; more is no title.
const MOST_TITLE: usize = 200;

/// What the first bytes of a transcript tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beginning {
    /// When the session began, as the CLI wrote it.
    pub started: Option<String>,
    /// The version of the CLI that began it.
    pub version: Option<String>,
    /// Its working folder then.
    pub cwd: Option<String>,
    /// The first words of the user, on one line.
    pub title: Option<String>,
}

/// Reads the beginning of a transcript, which may be cut anywhere.
pub fn beginning(bytes: &[u8]) -> Beginning {
    let mut found = Beginning::default();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Ok(value) = serde_json::from_slice::<Value>(line) else {
            if !line.ends_with(b"\n") {
                found.title = cut_prompt(line).or(found.title);
            }
            continue;
        };
        let data = &value["data"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match value["type"].as_str() {
            Some("session.start") => {
                found.started = text(&data["startTime"]);
                found.version = text(&data["copilotVersion"]);
                found.cwd = text(&data["context"]["cwd"]);
            }
            Some("user.message") if is_said(&value) => {
                found.title = data["content"].as_str().map(title);
                break;
            }
            _ => {}
        }
    }
    found
}

/// Whether a record is something that the user said: what the CLI injects by itself carries a
/// source, and what another agent was told carries that agent.
pub fn is_said(value: &Value) -> bool {
    let source = value["data"]["source"].as_str();
    value["type"] == "user.message"
        && value["agentId"].as_str().is_none()
        && source.is_none_or(|source| source == "user")
}

/// The first words of a prompt, on one line.
fn title(prompt: &str) -> String {
    let mut title = String::new();
    for word in prompt.split_whitespace() {
        if !title.is_empty() {
            title.push(' ');
        }
        title.push_str(word);
        if title.chars().count() > MOST_TITLE {
            break;
        }
    }
    title.chars().take(MOST_TITLE).collect()
}

/// The title of a prompt whose record is longer than what was read.
fn cut_prompt(line: &[u8]) -> Option<String> {
    const BEGINNING: &[u8] = b"{\"type\":\"user.message\",\"data\":{\"content\":";
    let rest = line.strip_prefix(BEGINNING)?;
    // Cut where no escape and no character is cut: at the last space that is written as one.
    let end = rest.iter().rposition(|byte| *byte == b' ')?;
    let text = [&rest[..end], b"\""].concat();
    let prompt: String = serde_json::from_slice(&text).ok()?;
    Some(title(&prompt))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_title_is_the_users_first_words_on_one_line() {
        let lines = [
            json!({"type": "session.start", "data": {"startTime": "t", "copilotVersion": "1", "context": {"cwd": "/x"}}}),
            json!({"type": "user.message", "data": {"content": "injected", "source": "skill-pdf"}}),
            json!({"type": "user.message", "data": {"content": "why\n does  it\nfail?"}}),
            json!({"type": "user.message", "data": {"content": "later"}}),
        ];
        let text = lines.map(|line| line.to_string()).join("\n");
        let found = beginning(text.as_bytes());
        assert_eq!(found.title.as_deref(), Some("why does it fail?"));
        assert_eq!((found.cwd.as_deref(), found.version.as_deref()), (Some("/x"), Some("1")));
        assert_eq!(beginning(b"\0\0\n{half"), Beginning::default());
    }

    #[test]
    fn a_prompt_longer_than_what_was_read_has_a_title_too() {
        let record = r#"{"type":"user.message","data":{"content":"one \"two\" thr"#;
        assert_eq!(beginning(record.as_bytes()).title.as_deref(), Some("one \"two\""));
        let cut_in_an_escape = r#"{"type":"user.message","data":{"content":"one two\u00"#;
        assert_eq!(beginning(cut_in_an_escape.as_bytes()).title.as_deref(), Some("one"));
    }
}
