//! A line of a log: copexd's own, or the Copilot CLI's.

use copex_proto::event::{EventBody, RunEvent};
use serde_json::Value;

use super::copilot::Copilot;
use super::{Body, Entry};

/// Reads the lines of one log, in order.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    copilot: Copilot,
}

impl Reader {
    /// The entry in a line.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn line(&mut self, line: &str) -> Result<Entry, String> {
        let value: Value =
            serde_json::from_str(line).map_err(|error| format!("no JSON: {error}"))?;
        if !value.is_object() {
            return Err("no event: an object is needed".to_owned());
        }
        let kind = value.get("type").and_then(Value::as_str);
        let kind = kind.ok_or("no event: it has no `type`")?.to_owned();
        if value.get("run").is_some() && value.get("seq").is_some() {
            let event: RunEvent =
                serde_json::from_value(value).map_err(|error| format!("`{kind}`: {error}"))?;
            let body = match event.body {
                EventBody::Unknown => Body::Silent,
                body => Body::Event(Box::new(body)),
            };
            return Ok(Entry { at: Some(event.at), path: event.path, body });
        }
        Ok(self.copilot.entry(&kind, &value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::transcript::fold::Fold;
    use crate::render::transcript::markdown;

    /// A log as a document.
    fn document(log: &str) -> String {
        let (mut reader, mut fold) = (Reader::default(), Fold::default());
        let entries = log.lines().map(|line| reader.line(line).unwrap());
        let mut blocks: Vec<_> = entries.flat_map(|entry| fold.entry(&entry)).collect();
        blocks.extend(fold.end());
        blocks.iter().map(markdown::block).collect()
    }

    #[test]
    fn the_same_work_is_the_same_document_whoever_logged_it() {
        const TOLD: &str = "I look at the files first: **two** tools.\n\n";
        const END: &str = "## Copilot\n\nThe files are there. `seq` gave **12** lines.\n\n";
        let logs = [
            (include_str!("samples/copex.jsonl"), "tools", "gpt-5 · "),
            (include_str!("samples/cli.jsonl"), "tools please", "gpt-5 · "),
            (include_str!("samples/session.jsonl"), "tools please", ""),
        ];
        for (log, prompt, summary) in logs {
            let text = document(log);
            let begin = format!(
                "## User\n\n{prompt}\n\n## Copilot\n\n{TOLD}✓ **create** ` /src/new.txt ` ("
            );
            assert!(text.starts_with(&begin), "{text}");
            for tool in [
                "! **bash** ` exit 3 ` exit 3 (",
                "✓ **bash** ` sleep 2; seq 1 12 ` (2.0 s)\n\n```\n1\n2\n",
            ] {
                assert!(text.contains(tool), "{tool}: {text}");
            }
            let (_, end) = text.split_once(END).unwrap();
            assert_eq!(end.is_empty(), summary.is_empty(), "{end}");
            assert!(
                end.is_empty()
                    || end.starts_with(&format!("*{summary}")) && end.contains("3 tools"),
                "{end}"
            );
        }
        let text = document(include_str!("samples/session.jsonl"));
        assert!(text.contains("```diff\ndiff --git a/src/new.txt"), "{text}");
    }

    #[test]
    fn a_line_that_is_no_event_says_why() {
        let mut reader = Reader::default();
        let cases = [
            ("{", "no JSON: "),
            ("[]", "an object is needed"),
            ("{}", "it has no `type`"),
            (r#"{"run":"x","seq":1,"at":1,"type":"message"}"#, "`message`: "),
        ];
        for (line, words) in cases {
            assert!(reader.line(line).unwrap_err().contains(words), "{line}");
        }
        let later = r#"{"type":"session.hologram","data":{}}"#;
        assert_eq!(reader.line(later).unwrap().body, Body::Silent);
    }
}
