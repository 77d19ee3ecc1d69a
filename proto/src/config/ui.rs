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
