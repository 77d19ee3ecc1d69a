//! How wide text is on a terminal, and where a line of it is broken.

use unicode_width::UnicodeWidthChar as _;

use super::styled::{Line, Span};

/// Asks for the coloured form of the character before it.
const EMOJI_FORM: char = '\u{fe0f}';

/// Joins two characters to one.
const JOINER: char = '\u{200d}';

/// Columns of a text: never less than a terminal takes, which differ about joined emoji.
pub(crate) fn width(text: &str) -> usize {
    clusters(text).map(|(_, width)| width).sum()
}

/// Characters with all that belongs to each, and their columns.
pub(crate) fn clusters(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (mut end, mut columns, mut joined) = (0, 0, false);
        for (at, char) in rest.char_indices() {
            let wide = char.width().unwrap_or(0);
            // A space is alone: what comes behind it may come after the line was broken.
            let alone = char == ' ' || rest.starts_with(' ');
            if at > 0 && (alone || wide > 0 && !joined) {
                break;
            }
            // Terminals that know the form show it on two columns.
            columns = if char == EMOJI_FORM { columns.max(2) } else { columns + wide };
            joined = char == JOINER;
            end = at + char.len_utf8();
        }
        let (cluster, after) = rest.split_at(end);
        rest = after;
        (end > 0).then_some((cluster, columns))
    })
}

/// Where a text in pieces may end, in bytes, so that no longer text breaks a word of it
/// otherwise: behind its last space, or between two wide characters.
pub(crate) fn settled<'a>(pieces: impl IntoIterator<Item = &'a str>) -> usize {
    let (mut settled, mut at, mut before) = (0, 0, 0);
    for (cluster, columns) in pieces.into_iter().flat_map(clusters) {
        if at > 0 && (columns >= 2 || before >= 2) {
            settled = at;
        }
        at += cluster.len();
        before = columns;
        if cluster == " " {
            settled = at;
        }
    }
    settled
}

/// Before the lines that a note is broken to.
const HANG: &str = "  ";

/// Breaks a note to lines of `most` columns, at spaces alone. What may be copied stays in one
/// piece, however long: any word, what stands between backticks, and a command of ours.
pub(crate) fn note(text: &str, most: usize) -> String {
    let mut broken = String::with_capacity(text.len() + 8);
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            broken.push('\n');
        }
        let (mut rest, mut column, mut edge) = (line, 0, 0);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(whole(rest));
            let columns = width(piece);
            if column > edge && column + columns > most {
                let piece = piece.trim_start_matches(' ');
                broken.extend(["\n", HANG, piece]);
                edge = HANG.len();
                column = edge + width(piece);
            } else {
                broken.push_str(piece);
                column += columns;
            }
            rest = after;
        }
    }
    broken
}

/// Breaks a line of parts with `·` between them, and no part.
pub(crate) fn parts(text: &str, most: usize) -> String {
    const STAYS: &str = "\u{a0}";
    let whole = text.replace(' ', STAYS).replace("\u{a0}·\u{a0}", "\u{a0}· ");
    note(&whole, most).replace(STAYS, " ")
}

/// Bytes up to where a note may be broken next: its spaces, and what stays whole behind them.
fn whole(text: &str) -> usize {
    let word = text.len() - text.trim_start_matches(' ').len();
    let from = &text[word..];
    if from.starts_with("copexctl ") {
        let end = from.find(['`', ';', ',', '·', '…']).unwrap_or(from.len());
        return word + end + from[end..].find(' ').unwrap_or(from.len() - end);
    }
    let mut quoted = false;
    let end = from.find(|char| {
        quoted ^= char == '`';
        char == ' ' && !quoted
    });
    word + end.unwrap_or(from.len())
}

/// What stands before a line: once, and before the lines that it is broken to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Margin<'a> {
    /// Before the first line.
    pub(crate) first: &'a Line,
    /// Before the others.
    pub(crate) rest: &'a Line,
}

/// Breaks words to lines of `most` columns. Words that are longer than a line are broken
/// anywhere, other ones at spaces and between wide characters.
pub(crate) fn words(spans: &[Span], margin: Margin<'_>, most: usize) -> Vec<Line> {
    let mut broken = Broken::new(margin, most);
    for span in spans {
        for (text, columns) in clusters(&span.text) {
            broken.cluster(span, text, columns);
        }
    }
    broken.end()
}

/// Breaks code to lines of `most` columns, at the edge alone.
pub(crate) fn code(spans: &[Span], margin: Margin<'_>, most: usize) -> Vec<Line> {
    let mut broken = Broken::new(margin, most);
    for span in spans {
        for (text, columns) in clusters(&span.text) {
            broken.hard(span, text, columns);
        }
    }
    broken.end()
}

/// A line that is being filled.
struct Broken<'a> {
    margin: Margin<'a>,
    most: usize,
    lines: Vec<Line>,
    line: Line,
    column: usize,
    /// Columns of what stands before the present line.
    edge: usize,
    spaces: Vec<(&'a Span, &'a str, usize)>,
    word: Vec<(&'a Span, &'a str, usize)>,
}

impl<'a> Broken<'a> {
    fn new(margin: Margin<'a>, most: usize) -> Self {
        let edge = margin.first.width();
        Self {
            margin,
            most,
            lines: Vec::new(),
            line: margin.first.clone(),
            column: edge,
            edge,
            spaces: Vec::new(),
            word: Vec::new(),
        }
    }

    fn cluster(&mut self, span: &'a Span, text: &'a str, columns: usize) {
        if text == " " {
            self.end_word();
            self.spaces.push((span, text, columns));
            return;
        }
        let wide = |piece: Option<&(&Span, &str, usize)>| piece.is_some_and(|piece| piece.2 >= 2);
        if columns >= 2 || wide(self.word.last()) {
            self.end_word();
        }
        self.word.push((span, text, columns));
    }

    fn end_word(&mut self) {
        let sum = |pieces: &[(&Span, &str, usize)]| pieces.iter().map(|it| it.2).sum::<usize>();
        if self.word.is_empty() {
            return;
        }
        let (word, spaces) = (std::mem::take(&mut self.word), std::mem::take(&mut self.spaces));
        if self.column + sum(&spaces) + sum(&word) > self.most && self.column > self.edge {
            self.next_line();
        } else {
            for (span, text, columns) in spaces {
                self.hard(span, text, columns);
            }
        }
        for (span, text, columns) in word {
            self.hard(span, text, columns);
        }
    }

    fn hard(&mut self, span: &Span, text: &str, columns: usize) {
        if self.column + columns > self.most && self.column > self.edge {
            self.next_line();
        }
        self.column += columns;
        match self.line.spans.last_mut() {
            Some(last) if last.style == span.style && last.link == span.link => {
                last.text.push_str(text);
            }
            _ => self.line.spans.push(Span { text: text.to_owned(), ..span.clone() }),
        }
    }

    fn next_line(&mut self) {
        let next = self.margin.rest.clone();
        self.edge = next.width();
        self.column = self.edge;
        self.lines.push(std::mem::replace(&mut self.line, next).trimmed());
    }

    fn end(mut self) -> Vec<Line> {
        self.end_word();
        self.lines.push(self.line.trimmed());
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::styled::Role;

    fn broken(text: &str, most: usize) -> Vec<String> {
        let nothing = Line::default();
        let margin = Margin { first: &nothing, rest: &nothing };
        let lines = words(&[Span::new(text, Role::Text)], margin, most);
        lines.iter().map(Line::plain).collect()
    }

    #[test]
    fn emoji_and_marks_stay_whole() {
        let cases = [
            ("é", 1, 1),
            ("e\u{301}x", 2, 2),
            ("日本", 4, 2),
            ("❤\u{fe0f}", 2, 1),
            ("👩\u{200d}👩\u{200d}👧", 6, 1),
            ("\u{200d}a", 1, 1),
        ];
        for (text, columns, count) in cases {
            assert_eq!((width(text), clusters(text).count()), (columns, count), "{text}");
        }
    }

    #[test]
    fn lines_break_at_spaces_and_between_wide_characters() {
        assert_eq!(broken("one two  three", 8), ["one two", "three"]);
        assert_eq!(broken("a 日本語です b", 6), ["a 日本", "語です", "b"]);
        assert_eq!(broken("to internationalization", 8), ["to", "internat", "ionaliza", "tion"]);
        assert_eq!(broken("", 8), [""]);
    }

    #[test]
    fn a_note_breaks_at_spaces_and_what_is_copied_stays_whole() {
        let note = |text: &str, most| note(text, most);
        assert_eq!(note("one two three", 7), "one two\n  three");
        assert_eq!(note("one two  three four\nfive", 12), "one two\n  three four\nfive");
        assert_eq!(
            note("at /a/long/path/of/it.rs: gone", 10),
            "at\n  /a/long/path/of/it.rs:\n  gone"
        );
        let told = "go on with: copexctl interactive --continue; or do not";
        assert_eq!(note(told, 20), "go on with:\n  copexctl interactive --continue;\n  or do not");
        let told = "copexctl: none; `copexctl help skills` says where, \"a b\"";
        assert_eq!(
            note(told, 24),
            "copexctl: none;\n  `copexctl help skills`\n  says where, \"a b\""
        );
        assert_eq!(note("日本語 日本語", 8), "日本語\n  日本語");
        assert_eq!(note("  indented  ", 80), "  indented  ");
        assert_eq!(note("it's ` open", 5), "it's\n  ` open", "a sign that is never closed");
        for most in 1..60 {
            let text = "copexctl: warning: some `words of it` and a/path/here to be broken";
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(words(&note(text, most)), text);
        }
    }

    #[test]
    fn parts_stay_whole() {
        let text = "gpt-5 · 30.8 s · 800 in, 400 out tokens · 6 retries";
        assert_eq!(parts(text, 80), text);
        let broken = "gpt-5 · 30.8 s ·\n  800 in, 400 out tokens ·\n  6 retries";
        assert_eq!(parts(text, 28), broken);
    }

    #[test]
    fn what_is_settled_does_not_move_when_more_comes() {
        let text = "some wörds and 日本語 with e\u{301}, then 👩\u{200d}👧 internationalization";
        for most in 4..30 {
            let whole = broken(text, most);
            for (at, _) in text.char_indices() {
                let lines = broken(&text[..settled([&text[..at]])], most);
                let (last, before) = lines.split_last().unwrap();
                assert_eq!(before, &whole[..before.len()]);
                assert!(whole[before.len()].starts_with(last.as_str()), "{most} {at} {last}");
            }
        }
    }
}
