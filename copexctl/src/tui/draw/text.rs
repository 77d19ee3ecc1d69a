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
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        wrap_line(line.trim_end(), width, &mut lines);
    }
    lines
}

fn wrap_line(line: &str, width: usize, lines: &mut Vec<String>) {
    let mut rest = line;
    while rest.width() > width {
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

/// A text in exactly so many columns: cut, or filled with blanks.
pub(crate) fn cell(text: &str, columns: usize) -> String {
    let text = crate::render::clean(text).replace(['\n', '\t'], " ");
    let mut out = String::with_capacity(columns);
    let mut left = columns;
    let cut = text.width() > columns;
    let room = if cut { columns.saturating_sub(1) } else { columns };
    let mut used = 0;
    for c in text.chars() {
        let width = c.width().unwrap_or(0);
        if used + width > room {
            break;
        }
        used += width;
        out.push(c);
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
    fn a_cell_has_its_width() {
        assert_eq!(cell("abc", 5), "abc  ");
        assert_eq!(cell("abcdef", 4), "abc…");
        assert_eq!(cell("漢字漢", 4), "漢… ");
        assert_eq!(cell("abc", 0), "");
    }
}
