//! Text that a person types: one or more lines and a cursor.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Bytes that a field holds at most: prompts carry files by name, and what is pasted is not
/// the place for more.
const MOST: usize = 1024 * 1024;

/// A text with a cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Field {
    text: String,
    /// In bytes, at the beginning of a character.
    cursor: usize,
}

impl Field {
    /// With this text, the cursor at its end.
    pub(crate) fn of(text: &str) -> Self {
        let mut field = Self::default();
        field.insert(text);
        field
    }

    /// What was typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where the cursor is, in bytes.
    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }

    /// Puts text where the cursor is. Control characters other than line ends are left out.
    pub(crate) fn insert(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let kept: String = text
            .chars()
            .map(|c| if c == '\t' { ' ' } else { c })
            .filter(|c| *c == '\n' || !c.is_control())
            .collect();
        if self.text.len() + kept.len() <= MOST {
            self.text.insert_str(self.cursor, &kept);
            self.cursor += kept.len();
        }
    }

    /// Takes a key; whether it was one for a field.
    pub(crate) fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('j') if control => self.insert("\n"),
            KeyCode::Enter if alt => self.insert("\n"),
            KeyCode::Char('u') if control => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            KeyCode::Char('k') if control => self.text.truncate(self.cursor),
            KeyCode::Char('w') if control => self.cut(self.word()),
            KeyCode::Char('a') if control => self.cursor = self.line_start(),
            KeyCode::Char('e') if control => self.cursor = self.line_end(),
            KeyCode::Char(c) if !control && !alt => self.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace if alt => self.cut(self.word()),
            KeyCode::Backspace => self.cut(self.before()),
            KeyCode::Delete => {
                let end = self.after();
                self.text.drain(self.cursor..end);
            }
            KeyCode::Left => self.cursor = self.before(),
            KeyCode::Right => self.cursor = self.after(),
            KeyCode::Home => self.cursor = self.line_start(),
            KeyCode::End => self.cursor = self.line_end(),
            KeyCode::Up => return self.up(),
            KeyCode::Down => return self.down(),
            _ => return false,
        }
        true
    }

    fn cut(&mut self, from: usize) {
        self.text.drain(from..self.cursor);
        self.cursor = from;
    }

    fn before(&self) -> usize {
        self.text[..self.cursor].char_indices().next_back().map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        self.text[self.cursor..].chars().next().map_or(self.cursor, |c| self.cursor + c.len_utf8())
    }

    fn word(&self) -> usize {
        let head = self.text[..self.cursor].trim_end();
        head.rfind(char::is_whitespace).map_or(0, |at| at + 1)
    }

    fn line_start(&self) -> usize {
        self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        self.text[self.cursor..].find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }

    /// The line above, at the same character; false where there is none.
    fn up(&mut self) -> bool {
        let start = self.line_start();
        if start == 0 {
            return false;
        }
        let column = self.text[start..self.cursor].chars().count();
        let above = self.text[..start - 1].rfind('\n').map_or(0, |at| at + 1);
        self.cursor = self.at_column(above, column);
        true
    }

    fn down(&mut self) -> bool {
        let end = self.line_end();
        if end == self.text.len() {
            return false;
        }
        let column = self.text[self.line_start()..self.cursor].chars().count();
        self.cursor = self.at_column(end + 1, column);
        true
    }

    fn at_column(&self, start: usize, column: usize) -> usize {
        let line = self.text[start..].split('\n').next().unwrap_or_default();
        start + line.char_indices().nth(column).map_or(line.len(), |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(field: &mut Field, code: KeyCode, modifiers: KeyModifiers) {
        field.key(KeyEvent::new(code, modifiers));
    }

    #[test]
    fn what_is_typed_is_there_and_can_be_changed() {
        let (none, control) = (KeyModifiers::NONE, KeyModifiers::CONTROL);
        let mut field = Field::of("grün tee");
        press(&mut field, KeyCode::Char('w'), control);
        assert_eq!(field.text(), "grün ");
        for code in [KeyCode::Backspace, KeyCode::Backspace, KeyCode::Backspace] {
            press(&mut field, code, none);
        }
        assert_eq!(field.text(), "gr");
        press(&mut field, KeyCode::Char('j'), control);
        field.insert("zwei\u{1b}[2J\r\ndrei");
        assert_eq!(field.text(), "gr\nzwei[2J\ndrei", "escapes are no text");
        press(&mut field, KeyCode::Up, none);
        press(&mut field, KeyCode::Up, none);
        press(&mut field, KeyCode::Char('!'), none);
        assert_eq!(field.text(), "gr!\nzwei[2J\ndrei");
        assert!(!field.key(KeyEvent::new(KeyCode::Up, none)), "there is no line above");
        press(&mut field, KeyCode::Char('u'), control);
        assert_eq!((field.text(), field.cursor()), ("\nzwei[2J\ndrei", 0));
    }
}
