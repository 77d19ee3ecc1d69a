//! The line that is typed while the agent works, and what keys do to it. Pure: what was typed
//! before and what can stand there are asked of [`Aid`].

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use reedline::LineBuffer;

use crate::conversation::complete::Candidate;

/// What a line's keys ask for.
pub(crate) trait Aid {
    /// What was typed before and begins so, the newest first.
    fn past(&self, begun: &str) -> Vec<String>;
    /// What can stand at the cursor.
    fn candidates(&self, line: &str, cursor: usize) -> Vec<Candidate>;
}

/// A walk through what was typed before.
#[derive(Debug)]
struct Walk {
    /// The line as it was when it began.
    begun: String,
    past: Vec<String>,
    /// How many lines back; at least one.
    back: usize,
}

/// A completion that has several ends.
#[derive(Debug)]
struct Choice {
    found: Vec<Candidate>,
    /// Which one stands in the line.
    at: Option<usize>,
}

/// The line.
#[derive(Debug, Default)]
pub(super) struct Entry {
    line: LineBuffer,
    walk: Option<Walk>,
    choice: Option<Choice>,
}

impl Entry {
    /// What is in it, and where the cursor is.
    pub(super) fn shown(&self) -> (&str, usize) {
        (self.line.get_buffer(), self.line.insertion_point())
    }

    /// Whether it is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Puts a text where the cursor is.
    pub(super) fn insert(&mut self, text: &str) {
        (self.walk, self.choice) = (None, None);
        self.line.insert_str(text);
    }

    /// What is in it; it is empty then.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(self).line.get_buffer().to_owned()
    }

    /// What can stand there, the chosen one in brackets; nothing when nothing is completed.
    pub(super) fn choices(&self) -> Option<String> {
        let choice = self.choice.as_ref()?;
        let one = |(at, it): (usize, &Candidate)| {
            if choice.at == Some(at) { format!("[{}]", it.text) } else { it.text.clone() }
        };
        // The chosen one is always in sight.
        let from = choice.at.unwrap_or(0);
        let texts: Vec<_> = choice.found.iter().enumerate().skip(from).map(one).collect();
        Some(texts.join("  "))
    }

    /// Edits it by a key.
    pub(super) fn edit(&mut self, key: KeyEvent, aid: &impl Aid) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Tab => return self.complete(aid, true),
            KeyCode::BackTab => return self.complete(aid, false),
            KeyCode::Up => return self.walk(aid, true),
            KeyCode::Char('p') if control => return self.walk(aid, true),
            KeyCode::Down => return self.walk(aid, false),
            KeyCode::Char('n') if control => return self.walk(aid, false),
            _ => (self.walk, self.choice) = (None, None),
        }
        let line = &mut self.line;
        match key.code {
            KeyCode::Enter => line.insert_newline(),
            KeyCode::Left if control || alt => line.set_insertion_point(word_left(line)),
            KeyCode::Right if control || alt => line.set_insertion_point(word_right(line)),
            KeyCode::Backspace if control || alt => line.delete_word_left(),
            KeyCode::Delete if control || alt => line.delete_word_right(),
            KeyCode::Char('b') if alt => line.set_insertion_point(word_left(line)),
            KeyCode::Char('f') if alt => line.set_insertion_point(word_right(line)),
            KeyCode::Char('d') if alt => line.delete_word_right(),
            KeyCode::Char(_) if alt && !control => {}
            KeyCode::Char('d') if control => line.delete_right_grapheme(),
            KeyCode::Char('j') if control => line.insert_newline(),
            KeyCode::Char('u') if control => line.clear_to_insertion_point(),
            KeyCode::Char('k') if control => line.clear_to_line_end(),
            KeyCode::Char('w') if control => line.delete_word_left(),
            KeyCode::Char('a') if control => line.move_to_start(),
            KeyCode::Char('e') if control => line.move_to_end(),
            KeyCode::Char('b') if control => line.move_left(),
            KeyCode::Char('f') if control => line.move_right(),
            KeyCode::Char('h') if control => line.delete_left_grapheme(),
            KeyCode::Char(_) if control => {}
            KeyCode::Char(char) => line.insert_char(char),
            KeyCode::Backspace => line.delete_left_grapheme(),
            KeyCode::Delete => line.delete_right_grapheme(),
            KeyCode::Left => line.move_left(),
            KeyCode::Right => line.move_right(),
            KeyCode::Home => line.move_to_start(),
            KeyCode::End => line.move_to_end(),
            _ => {}
        }
    }

    /// Goes back in what was typed before, or forth again to what was begun.
    fn walk(&mut self, aid: &impl Aid, back: bool) {
        self.choice = None;
        if self.walk.is_none() && back {
            let begun = self.line.get_buffer().to_owned();
            self.walk = Some(Walk { past: aid.past(&begun), begun, back: 0 });
        }
        let Some(walk) = &mut self.walk else { return };
        walk.back =
            if back { (walk.back + 1).min(walk.past.len()) } else { walk.back.saturating_sub(1) };
        let text = walk.back.checked_sub(1).map_or(&walk.begun, |at| &walk.past[at]);
        self.line.set_buffer(text.clone());
        if walk.back == 0 {
            self.walk = None;
        }
    }

    /// Puts in what can stand there: all of it where that is one thing, else what the things
    /// have in common, then one after the other.
    fn complete(&mut self, aid: &impl Aid, forth: bool) {
        self.walk = None;
        if let Some(choice) = &mut self.choice {
            let count = choice.found.len();
            let at = match (choice.at, forth) {
                (None, true) => 0,
                (None, false) => count - 1,
                (Some(at), true) => (at + 1) % count,
                (Some(at), false) => (at + count - 1) % count,
            };
            choice.at = Some(at);
            let chosen = choice.found[at].clone();
            return self.put(chosen.from, &chosen.text);
        }
        let (text, cursor) = self.shown();
        let found = aid.candidates(text, cursor);
        let Some(first) = found.first() else { return };
        let from = first.from;
        if found.len() == 1 {
            let text = format!("{} ", first.text);
            return self.put(from, &text);
        }
        let same = found.iter().skip(1).fold(first.text.as_str(), |same, it| {
            let ends = same.char_indices().zip(it.text.chars());
            let differs = ends.clone().find(|((_, a), b)| a != b).map(|((at, _), _)| at);
            let shared = ends.last().map_or(0, |((at, a), _)| at + a.len_utf8());
            &same[..differs.unwrap_or(shared)]
        });
        if text.get(from..cursor).is_some_and(|typed| same.starts_with(typed)) {
            let same = same.to_owned();
            self.put(from, &same);
        }
        self.choice = Some(Choice { found, at: None });
    }

    fn put(&mut self, from: usize, text: &str) {
        self.line.replace_range(from..self.line.insertion_point(), text);
        self.line.set_insertion_point(from + text.len());
    }
}

/// Where the word before the cursor begins.
fn word_left(line: &LineBuffer) -> usize {
    let before = &line.get_buffer()[..line.insertion_point()];
    let before = before.trim_end_matches(|it: char| !it.is_alphanumeric());
    before.trim_end_matches(char::is_alphanumeric).len()
}

/// Where the word behind the cursor ends.
fn word_right(line: &LineBuffer) -> usize {
    let after = &line.get_buffer()[line.insertion_point()..];
    let after = after.trim_start_matches(|it: char| !it.is_alphanumeric());
    line.len() - after.trim_start_matches(char::is_alphanumeric).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known;

    impl Aid for Known {
        fn past(&self, begun: &str) -> Vec<String> {
            let lines = ["new one", "old one", "news"];
            lines.iter().filter(|it| it.starts_with(begun)).map(|it| (*it).to_owned()).collect()
        }

        fn candidates(&self, line: &str, cursor: usize) -> Vec<Candidate> {
            let names = ["/model", "/models", "/mcp", "/é", "/è"];
            let fits = names.iter().filter(|it| it.starts_with(&line[..cursor]));
            let one =
                |it: &&str| Candidate { from: 0, text: (*it).to_owned(), about: String::new() };
            fits.map(one).collect()
        }
    }

    /// Presses keys: letters, and names in `<>` with `C-` and `A-` before them.
    fn after(keys: &str) -> (String, usize, Option<String>) {
        let mut entry = Entry::default();
        let mut rest = keys;
        while let Some(first) = rest.chars().next() {
            let (code, modifiers, length) = match rest.strip_prefix('<') {
                None => (KeyCode::Char(first), KeyModifiers::NONE, first.len_utf8()),
                Some(inner) => {
                    let end = inner.find('>').unwrap();
                    let (modifiers, name) = match inner[..end].split_once('-') {
                        Some(("C", name)) => (KeyModifiers::CONTROL, name),
                        Some((_, name)) => (KeyModifiers::ALT, name),
                        None => (KeyModifiers::NONE, &inner[..end]),
                    };
                    let code = match name {
                        "Up" => KeyCode::Up,
                        "Down" => KeyCode::Down,
                        "Tab" => KeyCode::Tab,
                        "BackTab" => KeyCode::BackTab,
                        "Home" => KeyCode::Home,
                        "End" => KeyCode::End,
                        "Left" => KeyCode::Left,
                        "Del" => KeyCode::Delete,
                        one => KeyCode::Char(one.chars().next().unwrap()),
                    };
                    (code, modifiers, end + 2)
                }
            };
            rest = &rest[length..];
            entry.edit(KeyEvent::new(code, modifiers), &Known);
        }
        let (text, cursor) = entry.shown();
        (text.to_owned(), cursor, entry.choices())
    }

    fn line(keys: &str) -> String {
        after(keys).0
    }

    #[test]
    fn keys_move_and_cut_as_in_shells() {
        for (keys, wanted, at) in [
            ("one two<C-w>", "one ", 4),
            ("one two<A-b>X", "one Xtwo", 5),
            ("one two<C-a><A-f>X", "oneX two", 4),
            ("one two<C-a><A-d>", " two", 0),
            ("one two<A-Left><C-k>", "one ", 4),
            ("one two<A-b><C-u>", "two", 0),
            ("one<Home>X<End>Y", "XoneY", 5),
            ("one<C-b><C-d>", "on", 2),
            ("one<Home><Del>", "ne", 0),
            ("one<A-x><C-x>", "one", 3),
        ] {
            let (text, cursor, _) = after(keys);
            assert_eq!((text.as_str(), cursor), (wanted, at), "{keys}");
        }
    }

    #[test]
    fn arrows_walk_through_what_begins_so_and_back() {
        assert_eq!(line("<Up>"), "new one");
        assert_eq!(line("<Up><Up>"), "old one");
        assert_eq!(line("<Up><Up><Up><Up><Down>"), "old one");
        assert_eq!(line("ne<Up><Up>"), "news");
        assert_eq!(line("ne<Up><C-p><Down><C-n><Down>"), "ne");
        assert_eq!(line("x<Up>y"), "xy", "nothing begins so");
        assert_eq!(line("<Up>!<Up>"), "new one!", "another line begins another walk");
    }

    #[test]
    fn tab_completes_and_goes_through_the_choices() {
        assert_eq!(after("/mc<Tab>"), ("/mcp ".to_owned(), 5, None));
        let (text, _, choices) = after("/mo<Tab>");
        assert_eq!((text.as_str(), choices.as_deref()), ("/model", Some("/model  /models")));
        let (text, _, choices) = after("/mo<Tab><Tab><Tab>");
        assert_eq!((text.as_str(), choices.as_deref()), ("/models", Some("[/models]")));
        assert_eq!(line("/mo<Tab><BackTab>"), "/models");
        assert_eq!(line("/mo<Tab><Tab><Tab><Tab>"), "/model", "round about");
        assert_eq!(after("/mo<Tab>s"), ("/models".to_owned(), 7, None));
        assert_eq!(line("x<Tab>"), "x");
        assert_eq!(line("/<Tab>"), "/");
    }
}
