//! An answer on a terminal: Markdown as styled lines that are only ever added to.
//!
//! Nothing that stands there is printed again or moved, so that it does not flicker, survives
//! another size of the terminal and can be scrolled back to. Words come as soon as their place
//! is sure; a table when it is whole.

use std::io;

use super::ansi;
use super::markdown::{Shape, Stream};
use super::styled::Line;
use super::theme::Look;

/// Columns of a terminal that does not say.
const USUAL: usize = 80;

/// Columns of the terminal that shows the answer.
pub(crate) fn columns() -> usize {
    let size = terminal_size::terminal_size_of(io::stdout());
    let size = size.or_else(|| terminal_size::terminal_size_of(io::stderr()));
    size.map_or(USUAL, |(columns, _)| usize::from(columns.0))
}

/// An answer that is being printed.
#[derive(Debug)]
pub(crate) struct Printer {
    look: Look,
    stream: Stream,
    /// Bytes of the present line that stand there.
    begun: usize,
    /// Whether something else ended the present line.
    cut: bool,
}

impl Printer {
    /// Nothing is printed yet.
    pub(crate) fn new(look: Look) -> Self {
        Self { look, stream: Stream::default(), begun: 0, cut: false }
    }

    /// What is to be written for a further piece.
    pub(crate) fn push(&mut self, text: &str) -> String {
        let mut lines = Vec::new();
        let look = self.look;
        self.stream.push(text, &|| shape(&look), &mut lines);
        let mut written = self.lines(&lines);
        if let Some(partial) = self.stream.partial() {
            let partial = partial.clone();
            let bytes = partial.plain().len();
            if bytes > self.begun {
                written.push_str(&self.rest(&partial));
                self.begun = bytes;
            }
        }
        written
    }

    /// What is left to be written at the end; the next piece begins another text.
    pub(crate) fn finish(&mut self) -> String {
        let mut lines = Vec::new();
        let look = self.look;
        self.stream.finish(&|| shape(&look), &mut lines);
        let written = self.lines(&lines);
        (self.begun, self.cut) = (0, false);
        written
    }

    /// What was not written yet is withdrawn.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.look);
    }

    /// Something else ended the line: what is left of it comes on a line of its own.
    pub(crate) fn line_ended(&mut self) {
        self.cut |= self.begun > 0;
    }

    /// Whether the cursor stands behind the begin of a line.
    pub(crate) fn is_inside_line(&self) -> bool {
        self.begun > 0 && !self.cut
    }

    /// What is being written, where the cursor stands before it and nothing of it is there.
    pub(crate) fn unseen(&self) -> Option<&'static str> {
        self.stream.unseen().filter(|_| !self.is_inside_line())
    }

    fn lines(&mut self, lines: &[Line]) -> String {
        let mut written = String::new();
        for line in lines {
            written.push_str(&self.rest(line));
            written.push('\n');
            self.begun = 0;
        }
        written
    }

    /// What of the present line is not written.
    fn rest(&mut self, line: &Line) -> String {
        let mut rest = line.after(self.begun);
        if std::mem::take(&mut self.cut)
            && let Some(first) = rest.spans.first_mut()
        {
            first.text = first.text.trim_start().to_owned();
        }
        ansi::line(&rest, &self.look)
    }
}

fn shape(look: &Look) -> Shape {
    Shape::new(look, look.columns.unwrap_or_else(columns))
}

#[cfg(test)]
mod tests {
    use copex_proto::config::{Density, Theme, Ui};

    use super::*;
    use crate::render::theme::Depth;

    fn look(theme: Theme, depth: Depth) -> Look {
        let ui = Ui { theme, density: Density::Extended, ..Ui::default() };
        Look { depth, links: true, columns: Some(24), ..Look::plain(ui) }
    }

    fn printed(look: Look, text: &str) -> String {
        let mut printer = Printer::new(look);
        let mut written = printer.push(text);
        written.push_str(&printer.finish());
        written.replace('\u{1b}', "^")
    }

    const SAMPLE: &str = "# Title\n\nSome **bold** `code` [here](http://a.b).\n\n```rust\nlet x = \"a\"; // b\n```\n\
        ```diff\n-a\n+b\n```\n> q\n";

    #[test]
    fn a_theme_is_written_as_codes_of_its_depth() {
        let cases = [
            (
                look(Theme::Default, Depth::Ansi),
                "^[1;36mTitle^[0m\n\nSome ^[1mbold^[0m ^[33mcode^[0m ^]8;;http://a.b^\\^[4;34mhere^[0m^]8;;^\\.\n\n\
                 \u{20} ^[35mlet^[0m x = ^[32m\"a\"^[0m; ^[2m// b^[0m\n  ^[31m-a^[0m\n  ^[32m+b^[0m\n^[2m│ ^[0mq\n",
            ),
            (
                look(Theme::Mono, Depth::True),
                "^[1;4mTitle^[0m\n\nSome ^[1mbold^[0m ^[1mcode^[0m ^]8;;http://a.b^\\^[4mhere^[0m^]8;;^\\.\n\n\
                 \u{20} ^[1mlet^[0m x = \"a\"; ^[2m// b^[0m\n  ^[2m-a^[0m\n  ^[1m+b^[0m\n^[2m│ ^[0mq\n",
            ),
        ];
        for (look, wanted) in cases {
            assert_eq!(printed(look, SAMPLE), wanted);
        }
        let of = |depth| printed(look(Theme::Tokyo, depth), "# T");
        assert_eq!(of(Depth::True), "^[1;38;2;122;162;247mT^[0m\n");
        assert_eq!(of(Depth::Cube), "^[1;38;5;111mT^[0m\n");
        assert_eq!(of(Depth::None), "# T\n");
    }

    #[test]
    fn what_is_written_in_pieces_is_what_is_written_at_once() {
        let look = look(Theme::Default, Depth::Ansi);
        let plain = |text: &str| {
            let mut kept = text.to_owned();
            while let Some(at) = kept.find("^[") {
                let end = kept[at..].find('m').unwrap();
                kept.replace_range(at..=at + end, "");
            }
            kept
        };
        let mut printer = Printer::new(look);
        let pieces: String = SAMPLE.chars().map(|it| printer.push(&it.to_string())).collect();
        let pieces = (pieces + &printer.finish()).replace('\u{1b}', "^");
        assert_eq!(plain(&pieces), plain(&printed(look, SAMPLE)));
    }

    #[test]
    fn a_line_that_was_cut_goes_on_without_its_begin() {
        let mut printer = Printer::new(look(Theme::Default, Depth::None));
        assert_eq!(printer.push("one two thr"), "one two");
        assert!(printer.is_inside_line());
        printer.line_ended();
        assert!(!printer.is_inside_line());
        assert_eq!(printer.push("ee four"), "three");
        assert_eq!(printer.push("\nnext wo"), " four\nnext");
        assert_eq!(printer.finish(), " wo\n");
    }
}
