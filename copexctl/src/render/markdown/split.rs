//! What a line of Markdown begins, at the top level of a text.
//!
//! A text is cut to its blocks here, so that each is read on its own as soon as it ends. What
//! this costs: a name for a link that is defined in another block is not looked up, and the
//! words of a heading that is underlined are plain: else the first line of each paragraph could
//! not be shown before the line after it.

use super::refer::may_be_definition;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    Blank,
    /// Words.
    Text,
    /// A heading.
    Heading,
    /// A line across.
    Rule,
    /// The begin or end of a block of code: its character, how often, and where it stands.
    Fence {
        /// A backtick or a tilde.
        mark: char,
        /// How many of them.
        count: usize,
        /// Spaces before them.
        indent: usize,
    },
    /// Quoted words.
    Quote,
    /// An item of a list.
    Item {
        /// Where its words begin.
        offset: usize,
        /// Its number.
        number: Option<u64>,
        /// Whether it has no words on this line.
        empty: bool,
    },
    /// A row of a table.
    Row,
    /// HTML.
    Html,
    /// Code by its indentation, or what belongs to an item.
    Indented,
}

/// Spaces before a text; a tab goes to the next fourth column.
pub(super) fn indent(line: &str) -> usize {
    let mut column = 0;
    for char in line.chars() {
        match char {
            ' ' => column += 1,
            '\t' => column += 4 - column % 4,
            _ => break,
        }
    }
    column
}

/// Without spaces and tabs around it: other spaces are text.
pub(super) fn trim(line: &str) -> &str {
    line.trim_matches([' ', '\t'])
}

/// What this line is.
pub(super) fn kind(line: &str) -> Kind {
    let text = trim(line);
    let indent = indent(line);
    let Some(first) = text.chars().next() else { return Kind::Blank };
    if indent >= 4 {
        return Kind::Indented;
    }
    match first {
        '#' if heading(text) => Kind::Heading,
        '*' | '-' | '_' if rule(text, first) => Kind::Rule,
        '`' | '~' => fence(text, first, indent),
        '>' => Kind::Quote,
        '|' => Kind::Row,
        '<' if text[1..].starts_with(|it: char| it.is_ascii_alphabetic() || "/!?".contains(it)) => {
            Kind::Html
        }
        _ => item(text, indent).unwrap_or(Kind::Text),
    }
}

fn heading(text: &str) -> bool {
    let rest = text.trim_start_matches('#');
    text.len() - rest.len() <= 6 && (rest.is_empty() || rest.starts_with([' ', '\t']))
}

fn rule(text: &str, first: char) -> bool {
    let marks = text.chars().filter(|it| *it == first).count();
    marks >= 3 && text.chars().all(|it| it == first || it == ' ' || it == '\t')
}

fn fence(text: &str, mark: char, indent: usize) -> Kind {
    let rest = text.trim_start_matches(mark);
    let count = text.len() - rest.len();
    if count < 3 || (mark == '`' && rest.contains('`')) {
        return Kind::Text;
    }
    Kind::Fence { mark, count, indent }
}

fn item(text: &str, indent: usize) -> Option<Kind> {
    let digits = text.len() - text.trim_start_matches(|it: char| it.is_ascii_digit()).len();
    let (marker, number) = match text.as_bytes().get(digits)? {
        b'-' | b'+' | b'*' if digits == 0 => (1, None),
        b'.' | b')' if (1..=9).contains(&digits) => {
            (digits + 1, Some(text[..digits].parse().ok()?))
        }
        _ => return None,
    };
    let words = &text[marker..];
    let spaces = self::indent(words);
    let empty = trim(words).is_empty();
    if spaces == 0 && !empty {
        return None;
    }
    let spaces = if empty || spaces > 4 { 1 } else { spaces };
    Some(Kind::Item { offset: indent + marker + spaces, number, empty })
}

/// Whether more characters cannot make this line another kind of line.
pub(super) fn is_decided(line: &str) -> bool {
    const UNCLEAR: &str = "*-_=+#`~<>|.) \t\n0123456789";
    !may_be_definition(line) && line.chars().any(|it| !UNCLEAR.contains(it))
}

/// Whether a paragraph before this line becomes a heading by it.
pub(super) fn underlines(line: &str) -> bool {
    let text = trim(line);
    let all = |mark| text.chars().all(|it| it == mark);
    indent(line) < 4 && !text.is_empty() && (all('-') || all('='))
}

/// Whether a line can stand between the head of a table and its rows.
pub(super) fn delimits(line: &str) -> bool {
    indent(line) < 4
        && line.contains('|')
        && line.contains('-')
        && line.chars().all(|it| "|:- \t".contains(it))
}

/// Where the first bar stands of a line that may yet be the head of a table: the line behind it
/// is not known, or looks as one that [`delimits`]. Only the last lines of a paragraph can be so.
pub(super) fn held(paragraph: &str) -> Option<usize> {
    let begin = |end: usize| paragraph[..end].rfind('\n').map_or(0, |at| at + 1);
    let last = begin(paragraph.len());
    let bar = |from: usize, to: usize| paragraph[from..to].find('|').map(|bar| from + bar);
    // A mark of a quote may stand before it.
    let may_delimit = last > 0 && paragraph[last..].chars().all(|it| "|:->  \t".contains(it));
    let head = may_delimit.then(|| bar(begin(last - 1), last)).flatten();
    head.or_else(|| bar(last, paragraph.len()))
}

/// Whether this line ends a block of code that began with so many of these marks.
pub(super) fn closes(line: &str, mark: char, count: usize) -> bool {
    let text = trim(line);
    indent(line) < 4 && text.len() >= count && text.chars().all(|it| it == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_commonmark_says() {
        let item = |offset, number| Kind::Item { offset, number, empty: false };
        let cases = [
            ("", Kind::Blank),
            ("words", Kind::Text),
            ("## A", Kind::Heading),
            ("##A", Kind::Text),
            ("- - -", Kind::Rule),
            ("---", Kind::Rule),
            ("- a", item(2, None)),
            ("  *   a", item(6, None)),
            ("12) a", item(4, Some(12))),
            ("-a", Kind::Text),
            ("1.5 times", Kind::Text),
            ("**bold**", Kind::Text),
            ("```rs", Kind::Fence { mark: '`', count: 3, indent: 0 }),
            ("```a`", Kind::Text),
            ("~~a~~", Kind::Text),
            ("> a", Kind::Quote),
            ("| a |", Kind::Row),
            ("<div>", Kind::Html),
            ("< 3", Kind::Text),
            ("    a", Kind::Indented),
            ("\ta", Kind::Indented),
        ];
        for (line, wanted) in cases {
            assert_eq!(kind(line), wanted, "{line}");
        }
    }

    #[test]
    fn a_decided_line_stays_what_it_is() {
        for line in ["1. a", "- a", "words and more", "**b** c", "> q", "1.5 times", "-a b"] {
            let decided = (0..line.len()).filter(|end| is_decided(&line[..*end]));
            for end in decided {
                let part = kind(&line[..end]);
                let whole = kind(line);
                assert_eq!(std::mem::discriminant(&part), std::mem::discriminant(&whole), "{line}");
            }
        }
    }
}
