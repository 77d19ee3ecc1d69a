//! Words with their styles, and how much of them more text cannot change.

use std::ops::Range;

use crate::render::styled::{Line, Role, Span, Style};

/// A piece of a paragraph.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Words.
    Words(Span),
    /// The end of a line.
    Break,
}

/// A paragraph as it is read.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// What there is.
    pub(super) pieces: Vec<Piece>,
    /// Where more text may change it: before this piece, or behind so many bytes of it.
    doubt: Option<(usize, usize)>,
    /// Where each open style or link began: at this piece, with this address.
    open: Vec<(usize, Option<String>)>,
    style: Style,
    depth: [usize; 4],
    /// What it is underlined with, where it is a heading of that kind.
    pub(super) underline: Option<Underline>,
}

/// What a heading is underlined with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Underline {
    /// `===`: the first level.
    Double,
    /// `---`: the second.
    Single,
}

/// What words may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mark {
    /// Heavy.
    Strong = 0,
    /// Slanted.
    Emphasis = 1,
    /// Struck through.
    Strike = 2,
    /// What is looked up by a name.
    Reference = 3,
}

impl Words {
    /// Words of a role of their own.
    pub(super) fn of(style: Style) -> Self {
        Self { style, ..Self::default() }
    }

    /// Whether it is a heading.
    pub(super) fn is_heading(&self) -> bool {
        self.style.role == Role::Heading
    }

    /// More text may change all of it.
    pub(super) fn doubt(&mut self) {
        self.doubt = Some((0, 0));
    }

    /// Whether no more text can change any of it.
    pub(super) fn is_sure(&self) -> bool {
        self.doubt.is_none()
    }

    /// A style begins.
    pub(super) fn begin(&mut self, mark: Mark) {
        self.depth[mark as usize] += 1;
        self.open.push((self.pieces.len(), None));
        self.restyle();
    }

    /// A link begins.
    pub(super) fn begin_link(&mut self, address: &str) {
        self.open.push((self.pieces.len(), Some(address.to_owned())));
    }

    /// A style ends at the end of what is known, or before.
    pub(super) fn end(&mut self, mark: Mark, at_the_end: bool) {
        self.depth[mark as usize] = self.depth[mark as usize].saturating_sub(1);
        self.close(at_the_end);
        self.restyle();
    }

    /// A link ends; its address, when its words do not say it.
    pub(super) fn end_link(&mut self, at_the_end: bool) -> Option<String> {
        let (from, address) = self.close(at_the_end)?;
        let said: String = self.pieces[from..].iter().map(Piece::text).collect();
        address.filter(|address| *address != said && *address != format!("mailto:{said}"))
    }

    fn close(&mut self, at_the_end: bool) -> Option<(usize, Option<String>)> {
        let (from, address) = self.open.pop()?;
        if at_the_end {
            let outermost = self.open.first().map_or(from, |(from, _)| *from);
            self.doubt.get_or_insert((outermost, 0));
        }
        Some((from, address))
    }

    fn restyle(&mut self) {
        let [strong, emphasis, strike, _] = self.depth;
        self.style.bold = strong > 0 || self.style.role == Role::Heading;
        self.style.italic = emphasis > 0;
        self.style.strike = strike > 0;
    }

    /// More words; `doubt` is how many bytes of them are sure where not all are.
    pub(super) fn push(&mut self, text: &str, role: Option<Role>, doubt: Option<usize>) {
        if let Some(sure) = doubt {
            let here = (self.pieces.len(), sure);
            let place = self.open.first().map_or(here, |(from, _)| (*from, 0));
            self.doubt.get_or_insert(place);
        }
        let link = self.open.iter().rev().find_map(|(_, address)| address.clone());
        let mut style = self.style;
        if let Some(role) = role {
            style.role = role;
        } else if (link.is_some() || self.depth[Mark::Reference as usize] > 0)
            && style.role == Role::Text
        {
            style.role = Role::Link;
        }
        self.pieces.push(Piece::Words(Span { text: text.to_owned(), style, link }));
    }

    /// The end of a line.
    pub(super) fn line_break(&mut self) {
        self.pieces.push(Piece::Break);
    }

    /// Its lines before they are wrapped.
    pub(super) fn lines(&self) -> Vec<Vec<Span>> {
        lines(&self.pieces)
    }

    /// The same of what more text cannot change.
    pub(super) fn sure(&self) -> Vec<Vec<Span>> {
        let Some((piece, bytes)) = self.doubt else { return self.lines() };
        let mut pieces = self.pieces.get(..piece).unwrap_or_default().to_vec();
        if let Some(Piece::Words(span)) = self.pieces.get(piece)
            && let Some(text) = span.text.get(..bytes)
        {
            pieces.push(Piece::Words(Span { text: text.to_owned(), ..span.clone() }));
        }
        lines(&pieces)
    }
}

impl Piece {
    fn text(&self) -> &str {
        match self {
            Self::Words(span) => &span.text,
            Self::Break => " ",
        }
    }
}

fn lines(pieces: &[Piece]) -> Vec<Vec<Span>> {
    let line = |pieces: &[Piece]| {
        let mut line = Line::default();
        for piece in pieces {
            if let Piece::Words(span) = piece {
                line.push(span);
            }
        }
        line.spans
    };
    pieces.split(|piece| *piece == Piece::Break).map(line).collect()
}

/// Where in the words at `range` a character stands that more text may give a meaning.
pub(super) fn doubt(source: &str, range: &Range<usize>) -> Option<usize> {
    let text = source.get(range.clone())?;
    let mut before = source[..range.start].chars().next_back();
    for (at, char) in text.char_indices() {
        let from = range.start + at;
        let next = source[from + char.len_utf8()..].chars().next();
        let opens = next.is_none_or(|next| !next.is_whitespace());
        let doubtful = match char {
            '*' | '~' => opens,
            '_' => opens && !before.is_some_and(char::is_alphanumeric),
            '`' => true,
            '<' => next.is_none_or(|next| next.is_ascii_alphabetic() || "/!?".contains(next)),
            '[' => !is_no_link(&source[from..]),
            '&' => source[from + 1..].chars().all(|it| it.is_ascii_alphanumeric() || it == '#'),
            _ => false,
        };
        if doubtful {
            return Some(at);
        }
        before = Some(char);
    }
    None
}

/// Whether the bracket that begins this text is closed, and no address follows.
fn is_no_link(text: &str) -> bool {
    let mut depth = 0;
    for (at, char) in text.char_indices() {
        match char {
            '[' => depth += 1,
            ']' => depth -= 1,
            '\\' | '`' | '<' => return false,
            _ => {}
        }
        if depth == 0 {
            let rest = &text[at + 1..];
            // A name behind it that is whole would have made it a link.
            return match rest.chars().next() {
                Some('[') => rest.contains(']'),
                // The parser takes an escaped bracket for one.
                next => next.is_some_and(|next| !"(:\\".contains(next)),
            };
        }
    }
    false
}
