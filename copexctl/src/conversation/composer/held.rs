//! Notes that wait for the end of a paragraph: in the middle of one they would tear it.

use std::io;

use copex_proto::event::{EventBody, RunEvent};

use super::Composer;
use crate::clock;

/// Notes that wait, at most: more are told where they are.
const MOST: usize = 8;

/// Where the agent's words stand, and the notes that wait.
#[derive(Debug, Default)]
pub(super) struct Held {
    notes: Vec<String>,
    /// Line ends that the words so far end with, up to two; none while a paragraph is open.
    ends: usize,
    open: bool,
}

impl Held {
    /// Keeps a note for later, where words stand half written; else it is to be told now.
    pub(super) fn keep(&mut self, note: &str) -> bool {
        let kept = self.open && self.notes.len() < MOST;
        if kept {
            self.notes.push(note.to_owned());
        }
        kept
    }

    /// More words came. Up to which byte of them the paragraph goes on, where notes wait for
    /// its end and it is there.
    pub(super) fn words(&mut self, text: &str) -> Option<usize> {
        let mut end = None;
        for (at, char) in text.char_indices() {
            match char {
                '\n' => self.ends += 1,
                ' ' | '\t' | '\r' => {}
                _ => self.ends = 0,
            }
            self.open = self.ends < 2;
            if !self.open && end.is_none() {
                end = Some(at + 1);
            }
        }
        end.filter(|_| !self.notes.is_empty())
    }

    /// Words of the agent are over, or their paragraph is: the notes to be told now.
    pub(super) fn over(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Something else stands below the words.
    pub(super) fn ended(&mut self) -> Vec<String> {
        (self.open, self.ends) = (false, 0);
        self.over()
    }
}

impl Composer<'_> {
    /// Tells of something, where it tears no words of the agent; at once in the bar.
    pub(super) fn tell(&mut self, note: &str) -> io::Result<()> {
        if !self.held.keep(note) {
            return self.inner.note(note);
        }
        self.held_last = Some((note.to_owned(), clock::unix_ms()));
        Ok(())
    }

    pub(super) fn tell_all(&mut self, notes: &[String]) -> io::Result<()> {
        self.held_last = None;
        notes.iter().try_for_each(|note| self.inner.note(note))
    }

    /// Words of the agent, with the notes that waited at the end of their paragraph.
    pub(super) fn agent(&mut self, event: &RunEvent, text: &str, raw: &str) -> io::Result<()> {
        let Some(end) = self.held.words(text) else { return self.inner.event(event, raw) };
        let (before, after) = text.split_at(end);
        let part = |text: &str| RunEvent {
            body: EventBody::MessageDelta { text: text.to_owned() },
            ..event.clone()
        };
        self.inner.event(&part(before), raw)?;
        let notes = self.held.over();
        self.tell_all(&notes)?;
        self.inner.event(&part(after), raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_waits_for_the_end_of_a_paragraph() {
        let mut held = Held::default();
        assert!(!held.keep("at once"), "nothing is written");
        assert_eq!(held.words("half a se"), None);
        assert!(held.keep("later"));
        assert_eq!(held.words("ntence.\n"), None);
        assert_eq!(held.words("\nThe next"), Some(1), "over two pieces");
        assert_eq!(held.over(), ["later"]);
        assert_eq!(held.words(" one.\n\nA third"), None, "nobody waits");
        assert!(held.keep("again"), "the third is open");
        assert_eq!(held.words(" one.\n  \n\nx"), Some(9));
        assert_eq!(held.ended(), ["again"]);
        assert!(!held.keep("at once"), "the words are over");
        let _ = held.words("x");
        assert!((0..MOST).all(|_| held.keep("n")) && !held.keep("n"), "bounded");
    }
}
