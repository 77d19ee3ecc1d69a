//! Markdown as lines, while it arrives.
//!
//! A text is cut to blocks ([`split`]), each is parsed on its own ([`block`], [`inline`],
//! [`table`], [`code`], [`refer`]) and laid out ([`lay`]), and [`stream`] gives every line out once, as
//! soon as no further text can change it. How lines are written is not known here.

mod block;
pub(crate) mod code;
mod head;
mod inline;
mod lang;
mod lay;
mod refer;
mod split;
mod stream;
mod table;

pub(crate) use stream::Stream;

use super::theme::{Depth, Look};

/// What decides about the form of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Columns.
    pub(crate) width: usize,
    /// No drawing.
    pub(crate) plain: bool,
    /// Whether words can lead somewhere: else their address stands behind them.
    pub(crate) links: bool,
    /// Whether headings keep their marks, where nothing else shows them.
    pub(crate) marks: bool,
}

impl Shape {
    /// Fewer columns hold no words.
    pub(crate) const NARROWEST: usize = 16;

    /// On so many columns.
    pub(crate) fn new(look: &Look, width: usize) -> Self {
        Self {
            width: width.max(Self::NARROWEST),
            plain: look.ui.screen_reader,
            links: look.links,
            marks: look.depth == Depth::None,
        }
    }
}

/// The lines of a whole text.
pub(crate) fn lines(text: &str, shape: Shape) -> Vec<super::styled::Line> {
    let (mut stream, mut lines) = (Stream::default(), Vec::new());
    stream.push(text, &|| shape, &mut lines);
    stream.finish(&|| shape, &mut lines);
    lines
}

#[cfg(test)]
mod tests;
