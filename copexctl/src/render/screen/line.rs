//! Lines of the screen: styled text, cut to what a row of a terminal holds.

use crate::render::styled::{Line, Role, Span, Style};
use crate::render::tools;
use crate::render::wrap::{self, Margin, clusters, width};

/// A line of one piece, whatever characters it has.
pub(crate) fn piece(style: impl Into<Style>, text: &str) -> Line {
    Line::default().with(style, text)
}

impl Line {
    /// One piece more, as it can stand in one line of a terminal.
    pub(crate) fn with(self, style: impl Into<Style>, text: &str) -> Self {
        self.and(flat(text), style)
    }

    /// Cut to so many columns.
    pub(crate) fn fit(mut self, columns: usize) -> Self {
        if self.width() <= columns {
            return self;
        }
        let (mut left, mut cut) = (columns, Self::default());
        for span in self.spans.drain(..) {
            let wide = width(&span.text);
            // The mark needs a column, also where this piece alone would fit.
            if wide < left {
                cut.push(&span);
                left -= wide;
                continue;
            }
            let text = tools::cut(&format!("{} ", span.text), left.max(wide.min(left)));
            let text = text.trim_end_matches('…').to_owned();
            cut.push(&Span { text, ..span });
            break;
        }
        if columns > 0 { cut.and("…", Role::Dim) } else { Self::default() }
    }

    /// With another line at the right edge, as far as there is room: the left one is cut first.
    pub(crate) fn with_right(self, right: Self, columns: usize) -> Self {
        let room = columns.saturating_sub(right.width() + 1);
        if room < columns / 2 {
            return self.fit(columns);
        }
        let mut line = self.fit(room);
        let gap = columns - line.width() - right.width();
        line = line.and(" ".repeat(gap), Role::Text);
        line.spans.extend(right.spans);
        line
    }

    /// Broken at words into lines of so many columns.
    pub(crate) fn broken(&self, columns: usize) -> Vec<Self> {
        let nothing = Self::default();
        wrap::words(&self.spans, Margin { first: &nothing, rest: &nothing }, columns)
    }
}

/// Text as it can stand in one line of a terminal.
fn flat(text: &str) -> String {
    let one = |c: char| if c.is_whitespace() { ' ' } else { c };
    text.chars().map(one).filter(|c| crate::render::is_harmless(*c)).collect()
}

/// The end of a line that fits into so many columns.
pub(crate) fn cut_left(text: &str, columns: usize) -> String {
    let text = flat(text);
    let mut over = width(&text).saturating_sub(columns);
    if over == 0 {
        return text;
    }
    over += 1;
    let mut from = 0;
    for (cluster, wide) in clusters(&text) {
        if over == 0 {
            break;
        }
        over = over.saturating_sub(wide);
        from += cluster.len();
    }
    format!("…{}", &text[from..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_by_what_a_terminal_shows() {
        let line = piece(Role::Text, "ab").with(Role::Good, "日本\u{1b}[2J語");
        assert_eq!(line.width(), 2 + 4 + 3 + 2);
        for columns in 0..12 {
            let fit = line.clone().fit(columns);
            assert!(fit.width() <= columns, "{columns}: {}", fit.plain());
        }
        assert_eq!(line.clone().fit(6).plain(), "ab日…");
        assert_eq!(piece(Role::Text, "abc").with(Role::Good, "def").fit(3).plain(), "ab…");
        assert_eq!(piece(Role::Text, "a\nb\tc").plain(), "a b c");
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
        let (left, right) = (piece(Role::Text, "left side"), piece(Role::Dim, "12 s"));
        let wide = left.clone().with_right(right.clone(), 20);
        assert_eq!(wide.plain(), "left side       12 s");
        assert_eq!(left.clone().with_right(right.clone(), 12).plain(), "left s… 12 s");
        assert_eq!(left.with_right(right, 6).plain(), "left …");
    }
}
