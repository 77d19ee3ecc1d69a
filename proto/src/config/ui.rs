//! How runs look on a terminal.

use serde::Deserialize;

/// The colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// The terminal's own colours.
    #[default]
    Default,
    /// Blue and violet.
    Midnight,
    /// No colours: heavy, faint and underlined text.
    Mono,
    /// Red and gold.
    Sunset,
    /// Those of the night of a big town.
    Tokyo,
}

impl Theme {
    /// All, in the order in which they are chosen.
    pub const ALL: [Self; 5] =
        [Self::Default, Self::Midnight, Self::Mono, Self::Sunset, Self::Tokyo];

    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Midnight => "midnight",
            Self::Mono => "mono",
            Self::Sunset => "sunset",
            Self::Tokyo => "tokyo",
        }
    }

    /// The one after it; the first after the last.
    #[must_use]
    pub fn next(self) -> Self {
        let place = Self::ALL.iter().position(|theme| *theme == self).unwrap_or(0);
        Self::ALL[(place + 1) % Self::ALL.len()]
    }
}

/// How much is shown of a tool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Density {
    /// One line.
    Compact,
    /// The first lines of its result as well.
    #[default]
    Extended,
}

/// What the text stands on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Background {
    /// As the terminal says, else dark.
    #[default]
    Auto,
    /// Dark.
    Dark,
    /// Light.
    Light,
}

/// All of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ui {
    /// The colours.
    pub theme: Theme,
    /// How much is shown of a tool.
    pub density: Density,
    /// What the text stands on.
    pub background: Background,
    /// Whether everything is a plain line: no drawing, nothing redrawn.
    pub screen_reader: bool,
    /// Whether the terminal's bell rings when a run that is looked at ends or asks.
    pub bell: bool,
}
