//! Colours: what a piece of the screen means, and how each theme shows it.

use ratatui::style::{Color, Modifier, Style};

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

/// A set of colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "lowercase")]
pub(crate) enum Theme {
    /// The terminal's own colours.
    #[default]
    Default,
    /// Blue and violet.
    Midnight,
    /// No colours: bold, faint and reversed text alone.
    Mono,
    /// Orange and red.
    Sunset,
    /// Pink and cyan.
    Tokyo,
}

const THEMES: [Theme; 5] =
    [Theme::Default, Theme::Midnight, Theme::Mono, Theme::Sunset, Theme::Tokyo];

/// Colours of a theme: good, bad, busy, wants, accent.
const COLOURS: [[Color; 5]; 5] = [
    [Color::Green, Color::Red, Color::Cyan, Color::Yellow, Color::Blue],
    indexed([78, 203, 75, 221, 141]),
    [Color::Reset; 5],
    indexed([150, 196, 215, 220, 209]),
    indexed([114, 204, 80, 222, 176]),
];

const fn indexed(colours: [u8; 5]) -> [Color; 5] {
    let mut all = [Color::Reset; 5];
    let mut place = 0;
    while place < all.len() {
        all[place] = Color::Indexed(colours[place]);
        place += 1;
    }
    all
}

impl Theme {
    /// The next one.
    pub(crate) fn next(self) -> Self {
        THEMES[(self.place() + 1) % THEMES.len()]
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        ["default", "midnight", "mono", "sunset", "tokyo"][self.place()]
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        THEMES.into_iter().find(|theme| theme.name() == name)
    }

    fn place(self) -> usize {
        THEMES.iter().position(|theme| *theme == self).unwrap_or(0)
    }

    /// How a tone looks.
    pub(crate) fn style(self, tone: Tone) -> Style {
        let [good, bad, busy, wants, accent] = COLOURS[self.place()];
        let plain = Style::new();
        let (colour, mono) = match tone {
            Tone::Plain => return plain,
            Tone::Strong => return plain.add_modifier(Modifier::BOLD),
            Tone::Faint => return plain.add_modifier(Modifier::DIM),
            Tone::Good => (good, Modifier::empty()),
            Tone::Bad => (bad, Modifier::BOLD),
            Tone::Busy => (busy, Modifier::empty()),
            Tone::Wants => (wants, Modifier::BOLD),
            Tone::Accent => (accent, Modifier::BOLD),
        };
        if self == Self::Mono { plain.add_modifier(mono) } else { plain.fg(colour) }
    }
}

/// The row that is looked at, in every theme.
pub(crate) const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);
