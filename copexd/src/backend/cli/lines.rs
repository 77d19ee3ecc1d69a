//! What the process writes, line by line, in bounded memory.

use github_copilot_sdk::SessionEvent;
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// One line of the process's output.
#[derive(Debug, Clone)]
pub(super) enum Line {
    /// An event, as a session of the SDK has it.
    Event(Box<SessionEvent>),
    /// The last line: how the process is about to end.
    Result {
        /// Its exit status.
        exit_code: i64,
    },
    /// Anything else.
    Other,
}

/// Takes a line apart.
pub(super) fn parse(line: &[u8]) -> Line {
    let Ok(value) = serde_json::from_slice::<Value>(line) else { return Line::Other };
    if value["type"] == "result" {
        return Line::Result { exit_code: value["exitCode"].as_i64().unwrap_or(1) };
    }
    serde_json::from_value(value).map_or(Line::Other, |event| Line::Event(Box::new(event)))
}

/// Reads the next line into `line`, without what goes beyond `most` bytes. Not cancel safe.
///
/// # Errors
/// When the stream breaks. `Ok(false)` at its end.
pub(super) async fn next(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
    most: usize,
) -> std::io::Result<bool> {
    line.clear();
    loop {
        let piece = reader.fill_buf().await?;
        if piece.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = piece.iter().position(|byte| *byte == b'\n');
        let text = &piece[..end.unwrap_or(piece.len())];
        line.extend_from_slice(&text[..text.len().min(most - line.len())]);
        let taken = end.map_or(piece.len(), |end| end + 1);
        reader.consume(taken);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_the_result_and_talk_are_told_apart() {
        let event =
            br#"{"type":"assistant.idle","data":{},"id":"1","timestamp":"","parentId":null}"#;
        assert!(matches!(parse(event), Line::Event(event) if event.event_type == "assistant.idle"));
        let result = br#"{"type":"result","sessionId":"s","exitCode":1,"usage":{}}"#;
        assert!(matches!(parse(result), Line::Result { exit_code: 1 }));
        for other in [&b"Error: no"[..], b"", b"{\"type\":", b"17"] {
            assert!(matches!(parse(other), Line::Other), "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let mut reader = tokio::io::BufReader::with_capacity(4, &b"0123456789\nab\n\nend"[..]);
        let (mut line, mut read) = (Vec::new(), Vec::new());
        while next(&mut reader, &mut line, 6).await.unwrap() {
            read.push(String::from_utf8(line.clone()).unwrap());
        }
        assert_eq!(read, ["012345", "ab", "", "end"]);
    }
}
