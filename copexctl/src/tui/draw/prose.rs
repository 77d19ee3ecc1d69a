//! What the agent says: Markdown as lines of the screen, also while it arrives.

use std::cell::RefCell;
use std::rc::Rc;

use ratatui::text::Line;

use super::look;
use crate::render::markdown::{self, Shape, Stream};
use crate::render::styled;
use crate::render::theme::Look;

/// The lines of a text that grows. What was laid out stays: each frame costs what is new.
#[derive(Debug, Default)]
pub(crate) struct Prose {
    kept: RefCell<Option<Box<Kept>>>,
}

#[derive(Debug)]
struct Kept {
    look: Look,
    width: usize,
    stream: Stream,
    /// Bytes of the text that were read.
    read: usize,
    whole: bool,
    lines: Rc<Vec<Line<'static>>>,
    /// Lines that may still change: of the block that is open, and the blank behind all.
    loose: usize,
}

impl Prose {
    /// The lines between two blank ones, `place` before them where there is one. A `whole`
    /// text gets nothing more. A text may grow and not change: else [`Self::forget`].
    pub(crate) fn at(
        &self,
        look: &Look,
        width: usize,
        (text, whole): (&str, bool),
        place: Option<&str>,
    ) -> Rc<Vec<Line<'static>>> {
        let mut kept = self.kept.borrow_mut();
        let usable = kept.take().filter(|kept| {
            let grown = kept.read <= text.len() && (!kept.whole || kept.read == text.len());
            kept.look == *look && kept.width == width && grown
        });
        let mut now = usable.unwrap_or_else(|| Box::new(Kept::new(look, width, place)));
        now.take_in(text, whole);
        let lines = Rc::clone(&now.lines);
        *kept = Some(now);
        lines
    }

    /// The text is another.
    pub(crate) fn forget(&mut self) {
        *self.kept.get_mut() = None;
    }
}

impl Kept {
    fn new(look: &Look, width: usize, place: Option<&str>) -> Self {
        let mut lines = vec![Line::default()];
        let faint =
            |place: &str| Line::styled(place.to_owned(), look::style(look, look::Tone::Faint));
        lines.extend(place.map(faint));
        Self {
            look: *look,
            width,
            stream: Stream::default(),
            read: 0,
            whole: false,
            lines: Rc::new(lines),
            loose: 0,
        }
    }

    fn take_in(&mut self, text: &str, whole: bool) {
        let ends = whole && !self.whole;
        if self.read == text.len() && !ends {
            return;
        }
        let (mut out, shape) = (Vec::new(), Shape::new(&self.look, self.width));
        self.stream.push(text.get(self.read..).unwrap_or_default(), &|| shape, &mut out);
        if ends {
            self.stream.finish(&|| shape, &mut out);
        }
        (self.read, self.whole) = (text.len(), whole);
        let rest = self.stream.rest(&|| shape);
        // Nobody else has them between two drawings, so that nothing is copied.
        let lines = Rc::make_mut(&mut self.lines);
        lines.truncate(lines.len() - self.loose);
        self.loose = rest.len() + 1;
        lines.extend(out.into_iter().chain(rest).map(|line| look::line(&self.look, line)));
        lines.push(Line::default());
    }
}

/// A whole text as lines.
pub(crate) fn prose(look: &Look, text: &str, width: usize) -> Vec<Line<'static>> {
    let lines = markdown::lines(text, Shape::new(look, width));
    lines.into_iter().map(|line: styled::Line| look::line(look, line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::theme::Depth;

    const TEXT: &str = "# Head\n\nSome *words* and `code`.\n\n- one\n- two\n\n```rust\nlet a = \
                        \"b\";\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nthe end";

    fn look() -> Look {
        Look { depth: Depth::Ansi, ..Look::default() }
    }

    #[test]
    fn a_text_in_pieces_always_looks_as_if_it_ended_there() {
        let whole = Prose::default().at(&look(), 30, (TEXT, true), None);
        for step in [1, 7, 50] {
            let prose = Prose::default();
            for end in (1..TEXT.len()).step_by(step) {
                let lines = prose.at(&look(), 30, (&TEXT[..end], false), None);
                let ended = Prose::default().at(&look(), 30, (&TEXT[..end], true), None);
                assert_eq!(lines, ended, "all that was said is seen");
            }
            assert_eq!(prose.at(&look(), 30, (TEXT, true), None), whole, "{step}");
        }
        let words = prose(&look(), TEXT, 30);
        assert_eq!(words, whole[1..whole.len() - 1]);
    }

    #[test]
    fn what_was_laid_out_stays_until_something_else_is_asked() {
        let prose = Prose::default();
        let text = "word ".repeat(10) + "\n\n";
        let first = prose.at(&look(), 20, (&text, false), Some("[a] "));
        assert_eq!(first[1].to_string(), "[a] ");
        assert!(Rc::ptr_eq(&first, &prose.at(&look(), 20, (&text, false), Some("[a] "))));
        let place = Rc::as_ptr(&first);
        drop(first);
        let more = text.clone() + "more\n\n";
        let grown = prose.at(&look(), 20, (&more, false), Some("[a] "));
        assert_eq!(Rc::as_ptr(&grown), place, "it grows where it is");
        let narrow = prose.at(&look(), 18, (&more, false), Some("[a] "));
        assert!(narrow.len() > grown.len() && narrow.iter().all(|line| line.width() <= 18));
        let shorter = prose.at(&look(), 18, (&text, false), Some("[a] "));
        assert!(shorter.len() < narrow.len(), "a text that is another is read anew");
    }

    #[test]
    fn nothing_moves_the_cursor() {
        let lines = prose(&look(), "a\u{1b}[2Jb\u{7}\u{202e}c `\u{1b}]0;evil`", 40);
        let text: String = lines.iter().map(ToString::to_string).collect();
        assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
    }
}
