//! Large pastes: a word stands for them while a line is edited.
//!
//! A line that is longer than the screen can neither be seen nor edited; its text is kept
//! beside it, and put in its place when the line is sent.

use std::sync::{Arc, Mutex, PoisonError};

/// Lines and bytes from which a paste is large.
const LINES: usize = 12;
const BYTES: usize = 2_000;

/// Pastes that are remembered: more than anybody has in one line.
const MOST: usize = 64;

/// The pastes of one terminal, shared by whoever reads its keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pastes {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    last: usize,
    texts: Vec<(String, String)>,
}

impl Pastes {
    /// What is to stand in the line for this paste: itself, or a word.
    pub(crate) fn word(&self, text: &str) -> String {
        // Terminals send the line ends of a paste as Enter does.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let lines = text.lines().count();
        if lines < LINES && text.len() < BYTES {
            return text;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        let word = format!("[paste {}: {lines} lines]", kept.last);
        if kept.texts.len() == MOST {
            kept.texts.remove(0);
        }
        kept.texts.push((word.clone(), text));
        word
    }

    /// The line with the pastes themselves.
    pub(crate) fn expand(&self, line: &str) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = line.to_owned();
        for (word, paste) in &kept.texts {
            if text.contains(word.as_str()) {
                text = text.replacen(word.as_str(), paste, 1);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_paste_is_a_word_until_it_is_sent() {
        let pastes = Pastes::default();
        assert_eq!(pastes.word("one\r\ntwo"), "one\ntwo");
        let lines: Vec<_> = (0..5_000).map(|n| format!("line {n}\r")).collect();
        let large = lines.concat();
        let word = pastes.word(&large);
        assert_eq!(word, "[paste 1: 5000 lines]");
        let sent = pastes.expand(&format!("look at {word}!"));
        assert_eq!(sent.lines().count(), 5_001);
        assert!(sent.starts_with("look at line 0\nline 1\n") && sent.ends_with("line 4999\n!"));
        assert_eq!(pastes.word(&"x".repeat(BYTES)), "[paste 2: 1 lines]");
    }
}
