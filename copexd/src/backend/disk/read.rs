//! The end of a session's conversation.

use std::io::{self, Seek as _, SeekFrom};

use super::Folder;
use super::lines::Lines;
use crate::core::transcript::talk::{Entry, Talk};

/// Bytes of a transcript that are read for a conversation, from its end.
const TAIL: u64 = 4 << 20;

/// A conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conversation {
    /// Its entries, oldest first.
    pub entries: Vec<Entry>,
    /// Whether it began earlier.
    pub more: bool,
}

/// The end of a session's conversation; empty where there is no transcript.
///
/// # Errors
/// When the transcript cannot be read.
pub fn conversation(folder: &Folder) -> io::Result<Conversation> {
    let mut file = match folder.open_events() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Conversation::default()),
        file => file?,
    };
    let skipped = file.metadata()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(skipped))?;
    let (mut lines, mut talk) = (Lines::of(file), Talk::default());
    if skipped > 0 {
        // Most likely the rest of one.
        lines.next()?;
    }
    while let Some((line, _)) = lines.next()? {
        talk.line(line);
    }
    let (entries, more) = talk.finish();
    Ok(Conversation { entries, more: more || skipped > 0 })
}
