//! Text becomes lines of a width here, and nowhere else: what tools print, what is asked, and
//! by [`super::prose`] what the agent says.

use std::cell::RefCell;
use std::rc::Rc;

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Columns of a tab.
const TAB: usize = 4;

/// Lines that were made of a text, for as long as neither text nor width changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wrapped {
    lines: RefCell<Option<(usize, Rc<Vec<Line<'static>>>)>>,
}

impl Wrapped {
    /// The lines at this width.
    pub(crate) fn at(
        &self,
        width: usize,
        make: impl FnOnce() -> Vec<Line<'static>>,
    ) -> Rc<Vec<Line<'static>>> {
        let mut kept = self.lines.borrow_mut();
        match &*kept {
            Some((known, lines)) if *known == width => Rc::clone(lines),
            _ => {
                let lines = Rc::new(make());
                *kept = Some((width, Rc::clone(&lines)));
                lines
            }
        }
    }

    /// The text is another.
    pub(crate) fn forget(&mut self) {
        *self.lines.get_mut() = None;
    }
}

/// Any text in one style, wrapped at words.
pub(crate) fn plain(text: &str, width: usize, style: Style) -> Vec<Line<'static>> {
    wrap(text, width).into_iter().map(|line| Line::from(Span::styled(line, style))).collect()
}

/// Text without what moves the cursor, wrapped at words into so many columns.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    for line in text.trim_end().split('\n') {
        let line = line.replace('\t', &" ".repeat(TAB));
        let line: String = line.chars().filter(|c| crate::render::is_harmless(*c)).collect();
        wrap_line(line.trim_end(), width, &mut lines);
    }
    lines
}

fn wrap_line(line: &str, width: usize, lines: &mut Vec<String>) {
    let mut rest = line;
    while is_wider(rest, width) {
        let mut room = width;
        let mut end = 0;
        for (at, c) in rest.char_indices() {
            let columns = c.width().unwrap_or(0);
            if columns > room {
                break;
            }
            room -= columns;
            end = at + c.len_utf8();
        }
        // A character that is wider than the line is shown all the same.
        let end = if end == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { end };
        let (head, tail) = rest.split_at(end);
        let at_word = tail.starts_with(' ') || head.ends_with(' ');
        let cut = if at_word { None } else { head.trim_end().rfind(' ') };
        let cut = cut.filter(|cut| !head[..*cut].trim().is_empty());
        let (head, tail) = cut.map_or((head, tail), |cut| rest.split_at(cut));
        lines.push(head.trim_end().to_owned());
        rest = tail.trim_start_matches(' ');
        if rest.is_empty() {
            return;
        }
    }
    lines.push(rest.to_owned());
}

/// Whether a text takes more columns. Of a long one its begin mostly tells: a line of a megabyte is
/// not measured to its end for each that it is broken to.
fn is_wider(text: &str, width: usize) -> bool {
    let begin = text.floor_char_boundary(width.saturating_mul(16));
    text[..begin].width() > width || begin < text.len() && text.width() > width
}

/// A text in exactly so many columns: cut, or filled with blanks.
pub(crate) fn cell(text: &str, columns: usize) -> String {
    let text = crate::render::clean(text).replace(['\n', '\t'], " ");
    let mut out = String::with_capacity(columns);
    let mut left = columns;
    let cut = text.width() > columns;
    let room = if cut { columns.saturating_sub(1) } else { columns };
    let mut used = 0;
    // As the screen counts: characters that are joined to one are one.
    for whole in Span::raw(&text).styled_graphemes(Style::new()) {
        let width = whole.symbol.width();
        if used + width > room {
            break;
        }
        used += width;
        out.push_str(whole.symbol);
    }
    left = left.saturating_sub(used);
    if cut && left > 0 {
        out.push('…');
        left -= 1;
    }
    out.extend(std::iter::repeat_n(' ', left));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_words_and_cut_where_there_are_none() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("a\n\n  b\tc\n", 20), ["a", "", "  b    c"]);
        assert_eq!(wrap("漢字漢字", 5), ["漢字", "漢字"]);
        assert_eq!(wrap("\u{1b}[2Jx", 9), ["[2Jx"], "escapes do not reach the terminal");
        assert_eq!(wrap("", 9), [""]);
        assert_eq!(wrap("漢", 1), ["漢"], "and it ends");
    }

    #[test]
    fn one_long_line_is_wrapped_in_no_time_and_nothing_turns_the_text() {
        let lines = wrap(&"0123456789".repeat(100_000), 75);
        assert_eq!((lines.len(), lines[0].len()), (1_000_000_usize.div_ceil(75), 75));
        assert_eq!(wrap("a\u{202e}b", 9), ["ab"]);
    }

    #[test]
    fn a_cell_is_as_wide_as_the_screen_counts_it() {
        for text in ["❤\u{fe0f} heart", "👩\u{200d}👩\u{200d}👧 family", "e\u{301}x", "漢字"]
        {
            for columns in 0..12 {
                assert_eq!(Span::raw(cell(text, columns)).width(), columns, "{text} {columns}");
            }
        }
    }

    #[test]
    fn a_cell_has_its_width() {
        assert_eq!(cell("abc", 5), "abc  ");
        assert_eq!(cell("abcdef", 4), "abc…");
        assert_eq!(cell("漢字漢", 4), "漢… ");
        assert_eq!(cell("abc", 0), "");
    }
}
