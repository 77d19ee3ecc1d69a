//! What a piece of the screen means, in the roles and colours of everything that is shown.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use crate::render::styled::{self, Role};
use crate::render::theme::{Colour, Look, Paint};

/// What a piece means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As everything.
    #[default]
    Plain,
    /// What to look at first.
    Strong,
    /// What is there to be looked up.
    Faint,
    /// It went well.
    Good,
    /// It did not.
    Bad,
    /// It is being done.
    Busy,
    /// It wants something of a person.
    Wants,
    /// Names of things to choose.
    Accent,
}

impl From<Tone> for styled::Style {
    fn from(tone: Tone) -> Self {
        match tone {
            Tone::Plain => Self::default(),
            Tone::Strong => Self { bold: true, ..Self::default() },
            Tone::Faint => Role::Dim.into(),
            Tone::Good => Role::Good.into(),
            Tone::Bad => Role::Bad.into(),
            Tone::Busy => Role::Busy.into(),
            Tone::Wants => Role::Wants.into(),
            Tone::Accent => Role::Function.into(),
        }
    }
}

/// How a style looks on cells.
pub(crate) fn style(look: &Look, style: impl Into<styled::Style>) -> Style {
    let Paint { colour, bold, faint, italic, underline, strike } = look.paint(style.into());
    let mut cells = Style::new();
    cells.fg = colour.map(color);
    let modifiers = [
        (bold, Modifier::BOLD),
        (faint, Modifier::DIM),
        (italic, Modifier::ITALIC),
        (underline, Modifier::UNDERLINED),
        (strike, Modifier::CROSSED_OUT),
    ];
    let wanted = modifiers.into_iter().filter(|(is, _)| *is);
    wanted.fold(cells, |cells, (_, modifier)| cells.add_modifier(modifier))
}

fn color(colour: Colour) -> Color {
    const OF_OLD: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    match colour {
        Colour::Ansi(number) => {
            OF_OLD.get(usize::from(number)).copied().unwrap_or(Color::Indexed(number))
        }
        Colour::Cube(number) => Color::Indexed(number),
        Colour::Rgb(red, green, blue) => Color::Rgb(red, green, blue),
    }
}

/// A styled line on cells.
pub(crate) fn line(look: &Look, line: styled::Line) -> Line<'static> {
    let spans = line.spans.into_iter().map(|span| {
        let cells = style(look, span.style);
        Span::styled(span.text, cells)
    });
    Line::from(spans.collect::<Vec<_>>())
}

/// The row that is looked at, in every theme.
pub(crate) const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);
