//! Lines of the screen: pieces of text in a few tones, as wide as a terminal shows them.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// How a piece of text looks. Without colours they are all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As everything.
    #[default]
    Plain,
    /// What to look at first.
    Strong,
    /// What is there to be looked up.
    Faint,
    /// It went well.
    Good,
    /// It did not.
    Bad,
    /// It is being done, or wants something.
    Busy,
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    /// How it looks.
    pub(crate) tone: Tone,
    /// What it says: no control characters.
    pub(crate) text: String,
}

/// A line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its pieces, from the left.
    pub(crate) spans: Vec<Span>,
}

impl Line {
    /// One piece.
    pub(crate) fn of(tone: Tone, text: &str) -> Self {
        Self::default().and(tone, text)
    }

    /// One piece more.
    pub(crate) fn and(mut self, tone: Tone, text: &str) -> Self {
        let text = shown(text);
        if !text.is_empty() {
            self.spans.push(Span { tone, text });
        }
        self
    }

    /// Columns that it takes.
    pub(crate) fn width(&self) -> usize {
        self.spans.iter().map(|span| span.text.width()).sum()
    }

    /// Cut to so many columns.
    pub(crate) fn fit(mut self, columns: usize) -> Self {
        if self.width() <= columns {
            return self;
        }
        let mut left = columns.saturating_sub(1);
        for span in &mut self.spans {
            span.text = cut(&span.text, left).to_owned();
            left -= span.text.width();
        }
        self.spans.retain(|span| !span.text.is_empty());
        if columns > 0 {
            self.spans.push(Span { tone: Tone::Faint, text: "…".to_owned() });
        }
        self
    }

    /// With another line at the right edge, as far as there is room: the left one is cut first.
    pub(crate) fn with_right(self, right: Self, columns: usize) -> Self {
        let room = columns.saturating_sub(right.width() + 1);
        if room < columns / 2 {
            return self.fit(columns);
        }
        let mut line = self.fit(room);
        let gap = columns - line.width() - right.width();
        line.spans.push(Span { tone: Tone::Plain, text: " ".repeat(gap) });
        line.spans.extend(right.spans);
        line
    }

    /// The text without tones.
    #[cfg(test)]
    pub(crate) fn text(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }
}

/// Text as it can stand in one line of a terminal.
fn shown(text: &str) -> String {
    let one = |c: char| if c.is_whitespace() { ' ' } else { c };
    text.chars().map(one).filter(|c| !c.is_control()).collect()
}

/// The beginning of a text that fits into so many columns.
fn cut(text: &str, columns: usize) -> &str {
    let mut left = columns;
    for (at, c) in text.char_indices() {
        let width = c.width().unwrap_or(0);
        if width > left {
            return &text[..at];
        }
        left -= width;
    }
    text
}

/// The end of a line that fits into so many columns.
pub(crate) fn cut_left(text: &str, columns: usize) -> String {
    let text = shown(text);
    if text.width() <= columns {
        return text;
    }
    let mut left = columns.saturating_sub(1);
    let mut from = text.len();
    for (at, c) in text.char_indices().rev() {
        let width = c.width().unwrap_or(0);
        if width > left {
            break;
        }
        left -= width;
        from = at;
    }
    format!("…{}", &text[from..])
}

/// The last lines of a text, wrapped at words into so many columns.
pub(crate) fn wrap_last(text: &str, columns: usize, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.trim_end().lines().rev() {
        if lines.len() >= most {
            break;
        }
        let mut wrapped = wrap(&shown(line), columns);
        wrapped.reverse();
        lines.append(&mut wrapped);
    }
    lines.truncate(most);
    lines.reverse();
    lines
}

/// One line of text in lines of so many columns.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for mut word in text.split_inclusive(' ') {
        loop {
            let room = columns.saturating_sub(line.width());
            if word.trim_end().width() <= room {
                line.push_str(if word.width() <= room { word } else { word.trim_end() });
                break;
            }
            if line.is_empty() {
                // A word that is wider than the screen; no character is wider than two columns.
                let part = cut(word, columns.max(2));
                line.push_str(part);
                word = &word[part.len()..];
            }
            lines.push(std::mem::take(&mut line));
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_by_what_a_terminal_shows() {
        let line = Line::of(Tone::Plain, "ab").and(Tone::Good, "日本\u{1b}[2J語");
        assert_eq!(line.width(), 2 + 4 + 3 + 2);
        for columns in 0..12 {
            let fit = line.clone().fit(columns);
            assert!(fit.width() <= columns, "{columns}: {}", fit.text());
        }
        assert_eq!(line.clone().fit(6).text(), "ab日…");
        assert_eq!(Line::of(Tone::Plain, "a\nb\tc").text(), "a b c");
    }

    #[test]
    fn the_end_of_a_line_is_kept() {
        assert_eq!(cut_left("one two", 7), "one two");
        assert_eq!(cut_left("one two", 5), "… two");
        assert_eq!(cut_left("日本語", 4), "…語");
        assert_eq!(cut_left("日本語", 0), "…");
    }

    #[test]
    fn the_right_end_stays_where_there_is_room() {
        let (left, right) = (Line::of(Tone::Plain, "left side"), Line::of(Tone::Faint, "12 s"));
        let wide = left.clone().with_right(right.clone(), 20);
        assert_eq!(wide.text(), "left side       12 s");
        assert_eq!(left.clone().with_right(right.clone(), 12).text(), "left s… 12 s");
        assert_eq!(left.with_right(right, 6).text(), "left …");
    }

    #[test]
    fn text_is_wrapped_at_words_and_its_end_is_kept() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap_last("a\nb b b b\n\n", 3, 2), ["b b", "b b"]);
        assert!(wrap("日本語 x", 1).iter().all(|line| !line.is_empty()));
    }
}
