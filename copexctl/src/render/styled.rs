//! Lines of styled text: what is shown, apart from how it is written.
//!
//! A style names a role and not a colour, so that a theme, a page and a full screen each paint
//! the same lines in their own way. Text here holds no control characters.

use super::wrap::width;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// Plain words.
    #[default]
    Text,
    /// A heading.
    Heading,
    /// Code inside of words.
    Code,
    /// The mark before quoted words.
    Quote,
    /// The mark before an item of a list.
    Marker,
    /// Words that lead somewhere.
    Link,
    /// What is there to be looked up.
    Dim,
    /// It went well.
    Good,
    /// It did not.
    Bad,
    /// It is being done.
    Busy,
    /// It wants something of a person.
    Wants,
    /// A line that was added.
    Added,
    /// A line that was removed.
    Removed,
    /// The place of a change.
    Hunk,
    /// A word of a programming language.
    Keyword,
    /// Text in code.
    Literal,
    /// A number in code.
    Number,
    /// A comment in code.
    Comment,
    /// What is called.
    Function,
    /// A type.
    Type,
}

/// How a piece of text looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// What it is.
    pub(crate) role: Role,
    /// Heavy.
    pub(crate) bold: bool,
    /// Slanted.
    pub(crate) italic: bool,
    /// Struck through.
    pub(crate) strike: bool,
}

impl Style {
    /// Heavy words.
    pub(crate) const BOLD: Self =
        Self { role: Role::Text, bold: true, italic: false, strike: false };
}

impl From<Role> for Style {
    fn from(role: Role) -> Self {
        Self { role, bold: role == Role::Heading, ..Self::default() }
    }
}

/// A piece of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// What it says.
    pub(crate) text: String,
    /// How it looks.
    pub(crate) style: Style,
    /// Where it leads.
    pub(crate) link: Option<String>,
}

impl Span {
    /// A piece that leads nowhere.
    pub(crate) fn new(text: impl Into<String>, style: impl Into<Style>) -> Self {
        Self { text: text.into(), style: style.into(), link: None }
    }
}

/// A line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its pieces, from the left.
    pub(crate) spans: Vec<Span>,
}

impl Line {
    /// One piece.
    pub(crate) fn of(text: impl Into<String>, style: impl Into<Style>) -> Self {
        Self::default().and(text, style)
    }

    /// One piece more.
    pub(crate) fn and(mut self, text: impl Into<String>, style: impl Into<Style>) -> Self {
        self.push(&Span::new(text, style));
        self
    }

    /// One piece more, in one with the last where they look the same.
    pub(crate) fn push(&mut self, span: &Span) {
        if span.text.is_empty() {
            return;
        }
        match self.spans.last_mut() {
            Some(last) if last.style == span.style && last.link == span.link => {
                last.text.push_str(&span.text);
            }
            _ => self.spans.push(span.clone()),
        }
    }

    /// Columns that it takes.
    pub(crate) fn width(&self) -> usize {
        self.spans.iter().map(|span| width(&span.text)).sum()
    }

    /// Its text alone.
    pub(crate) fn plain(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }

    /// Without the first `bytes` of its text, which end between two characters.
    pub(crate) fn after(&self, bytes: usize) -> Self {
        let (mut left, mut rest) = (bytes, Self::default());
        for span in &self.spans {
            match span.text.get(left..) {
                Some(text) => {
                    rest.push(&Span { text: text.to_owned(), ..span.clone() });
                    left = 0;
                }
                None => left -= span.text.len(),
            }
        }
        rest
    }

    /// Without spaces at its end.
    pub(crate) fn trimmed(mut self) -> Self {
        while let Some(last) = self.spans.last_mut() {
            last.text.truncate(last.text.trim_end_matches(' ').len());
            if !last.text.is_empty() {
                break;
            }
            self.spans.pop();
        }
        self
    }
}
