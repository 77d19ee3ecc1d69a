//! Colours: what a terminal can show, and how each role looks in each theme.

use copex_proto::config::{Background, Theme, Ui};

use super::styled::{Role, Style};
use crate::env::Env;

/// How many colours a terminal shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Depth {
    /// None, and no heavy or faint text either: nothing but the words.
    #[default]
    None,
    /// The sixteen of old.
    Ansi,
    /// 256.
    Cube,
    /// All.
    True,
}

/// How everything looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Theme, density and the rest of what the user chose.
    pub(crate) ui: Ui,
    /// Colours that can be shown.
    pub(crate) depth: Depth,
    /// Whether the text stands on a light ground.
    pub(crate) light: bool,
    /// Whether words can lead somewhere.
    pub(crate) links: bool,
    /// How wide it is; absent: as the terminal says, which may change.
    pub(crate) columns: Option<usize>,
}

impl Look {
    /// Nothing but words.
    #[cfg(test)]
    pub(crate) const fn plain(ui: Ui) -> Self {
        Self { ui, depth: Depth::None, light: false, links: false, columns: None }
    }

    /// What this terminal can show of what the user chose. Without a `terminal` there are
    /// colours only where somebody insists.
    pub(crate) fn of(env: &Env, ui: Ui, terminal: bool) -> Self {
        let light = match ui.background {
            Background::Light => true,
            Background::Dark => false,
            Background::Auto => env.get("COLORFGBG").is_some_and(light),
        };
        // What is read aloud has no looks.
        let depth = if ui.screen_reader { Depth::None } else { depth(env, terminal) };
        let links = depth != Depth::None && terminal && links(env);
        Self { ui, depth, light, links, columns: None }
    }

    /// How a style is painted.
    pub(crate) fn paint(&self, style: Style) -> Paint {
        let mut paint = match (self.depth, self.ui.theme) {
            (Depth::None, _) => return Paint::default(),
            (_, Theme::Mono) => mono(style.role),
            (_, Theme::Default) => default(style.role, self.light),
            (_, theme) => colourful(style.role, tones(theme), self.light),
        };
        paint.bold |= style.bold;
        paint.italic |= style.italic;
        paint.strike |= style.strike;
        paint.colour = paint.colour.map(|colour| colour.reduced(self.depth));
        paint
    }
}

/// `15;0` and the like: the ground is the last number.
fn light(colours: &str) -> bool {
    let ground = colours.rsplit(';').next().and_then(|ground| ground.parse::<u8>().ok());
    ground.is_some_and(|ground| ground == 7 || (9..=15).contains(&ground))
}

fn depth(env: &Env, terminal: bool) -> Depth {
    let term = env.get("TERM").unwrap_or_default();
    let forced = env.get("CLICOLOR_FORCE").is_some_and(|force| force != "0");
    let dull = !terminal || term.is_empty() || term == "dumb" || env.get("CLICOLOR") == Some("0");
    if env.get("NO_COLOR").is_some() || (dull && !forced) {
        return Depth::None;
    }
    let colours = env.get("COLORTERM").unwrap_or_default();
    if ["truecolor", "24bit"].contains(&colours) || term.ends_with("-direct") {
        return Depth::True;
    }
    let modern = ["256color", "kitty", "alacritty", "ghostty", "wezterm", "foot"];
    if modern.iter().any(|name| term.contains(name)) { Depth::Cube } else { Depth::Ansi }
}

/// Terminals that are known to show links. A multiplexer between us and it may not.
fn links(env: &Env) -> bool {
    if let Some(forced) = env.get("FORCE_HYPERLINK") {
        return forced != "0";
    }
    let term = env.get("TERM").unwrap_or_default();
    if env.get("TMUX").is_some() || term.starts_with("screen") || term.starts_with("tmux") {
        return false;
    }
    let at_least = |name, version: u32| {
        env.get(name).and_then(|text| text.parse().ok()).is_some_and(|it: u32| it >= version)
    };
    let program = env.get("TERM_PROGRAM").unwrap_or_default();
    ["kitty", "alacritty", "ghostty", "wezterm", "foot"].iter().any(|name| term.contains(name))
        || ["iTerm.app", "WezTerm", "ghostty", "vscode"].contains(&program)
        || env.get("WT_SESSION").is_some()
        || at_least("VTE_VERSION", 5_000)
        || at_least("KONSOLE_VERSION", 201_200)
}

/// A colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// One of the sixteen of the terminal's own.
    Ansi(u8),
    /// One of 256.
    Cube(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

impl Colour {
    /// The nearest that can be shown.
    fn reduced(self, depth: Depth) -> Self {
        let Self::Rgb(red, green, blue) = self else { return self };
        match depth {
            Depth::True | Depth::None => self,
            Depth::Cube => Self::Cube(cube([red, green, blue])),
            Depth::Ansi => Self::Ansi(ansi([red, green, blue])),
        }
    }
}

fn far(one: [u8; 3], other: [u8; 3]) -> u32 {
    one.iter().zip(other).map(|(one, other)| u32::from(one.abs_diff(other)).pow(2)).sum()
}

fn cube(rgb: [u8; 3]) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let step = |value: u8| (0..6u8).min_by_key(|it| STEPS[usize::from(*it)].abs_diff(value));
    let [red, green, blue] = rgb.map(|value| step(value).unwrap_or(0));
    let mean = (u16::from(rgb[0]) + u16::from(rgb[1]) + u16::from(rgb[2])) / 3;
    let grey = u8::try_from(mean.saturating_sub(3) / 10).unwrap_or(0).min(23);
    let level = 8 + 10 * grey;
    let colour = [red, green, blue].map(|step| STEPS[usize::from(step)]);
    if far([level; 3], rgb) < far(colour, rgb) {
        return 232 + grey;
    }
    16 + 36 * red + 6 * green + blue
}

fn ansi(rgb: [u8; 3]) -> u8 {
    const USUAL: [[u8; 3]; 16] = [
        [0, 0, 0],
        [205, 0, 0],
        [0, 205, 0],
        [205, 205, 0],
        [0, 0, 238],
        [205, 0, 205],
        [0, 205, 205],
        [229, 229, 229],
        [127, 127, 127],
        [255, 0, 0],
        [0, 255, 0],
        [255, 255, 0],
        [92, 92, 255],
        [255, 0, 255],
        [0, 255, 255],
        [255, 255, 255],
    ];
    (0..16u8).min_by_key(|it| far(USUAL[usize::from(*it)], rgb)).unwrap_or(7)
}

/// What the terminal is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Paint {
    /// The colour of the text.
    pub(crate) colour: Option<Colour>,
    /// Heavy.
    pub(crate) bold: bool,
    /// Faint.
    pub(crate) faint: bool,
    /// Slanted.
    pub(crate) italic: bool,
    /// Underlined.
    pub(crate) underline: bool,
    /// Struck through.
    pub(crate) strike: bool,
}

impl Paint {
    fn of(colour: Colour) -> Self {
        Self { colour: Some(colour), ..Self::default() }
    }

    fn faint() -> Self {
        Self { faint: true, ..Self::default() }
    }
}

fn mono(role: Role) -> Paint {
    let plain = Paint::default();
    match role {
        Role::Heading | Role::Link => Paint { underline: true, ..plain },
        Role::Code | Role::Keyword | Role::Bad | Role::Added | Role::Wants => {
            Paint { bold: true, ..plain }
        }
        Role::Dim | Role::Comment | Role::Quote | Role::Removed | Role::Hunk => Paint::faint(),
        _ => plain,
    }
}

fn default(role: Role, light: bool) -> Paint {
    let ansi = |number| Paint::of(Colour::Ansi(number));
    match role {
        Role::Text => Paint::default(),
        Role::Dim | Role::Comment | Role::Quote => Paint::faint(),
        Role::Heading | Role::Hunk | Role::Marker | Role::Type | Role::Busy => ansi(6),
        Role::Link => Paint { underline: true, ..ansi(4) },
        // Yellow cannot be read on white.
        Role::Code | Role::Number | Role::Wants => ansi(if light { 5 } else { 3 }),
        Role::Good | Role::Added | Role::Literal => ansi(2),
        Role::Bad | Role::Removed => ansi(1),
        Role::Keyword => ansi(if light { 4 } else { 5 }),
        Role::Function => ansi(4),
    }
}

/// The colours of a theme on a dark ground: heading, code, link, keyword, literal, number, type.
fn tones(theme: Theme) -> [u32; 7] {
    match theme {
        Theme::Sunset => [
            0x00ff_9e64,
            0x00f6_c177,
            0x00ea_9a97,
            0x00ff_6e6e,
            0x00e0_c07a,
            0x00ff_b86c,
            0x00f0_8ab0,
        ],
        Theme::Tokyo => [
            0x007a_a2f7,
            0x00ff_9e64,
            0x007d_cfff,
            0x00bb_9af7,
            0x009e_ce6a,
            0x00ff_9e64,
            0x002a_c3de,
        ],
        _ => [
            0x008a_adf4,
            0x00b7_bdf8,
            0x007d_c4e4,
            0x00c6_a0f6,
            0x008b_d5ca,
            0x00f5_a97f,
            0x0091_d7e3,
        ],
    }
}

fn colourful(role: Role, tones: [u32; 7], light: bool) -> Paint {
    let [heading, code, link, keyword, literal, number, kind] = tones;
    let of = |tone: u32| {
        let [_, red, green, blue] = tone.to_be_bytes();
        // The same hue, dark enough for a light ground.
        let dim = |value: u8| if light { value / 2 } else { value };
        Paint::of(Colour::Rgb(dim(red), dim(green), dim(blue)))
    };
    match role {
        Role::Text => Paint::default(),
        Role::Dim | Role::Comment | Role::Quote => Paint::faint(),
        Role::Heading | Role::Marker | Role::Hunk => of(heading),
        Role::Code | Role::Wants => of(code),
        Role::Link => Paint { underline: true, ..of(link) },
        Role::Keyword => of(keyword),
        Role::Literal => of(literal),
        Role::Number => of(number),
        Role::Type | Role::Busy => of(kind),
        Role::Function => of(link),
        Role::Good | Role::Added => of(0x008c_d06e),
        Role::Bad | Role::Removed => of(0x00f2_6d78),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)], terminal: bool) -> Look {
        Look::of(&Env::of(variables), Ui::default(), terminal)
    }

    #[test]
    fn a_terminal_is_taken_at_its_word() {
        type Variables = &'static [(&'static str, &'static str)];
        let cases: [(Variables, bool, Depth); 11] = [
            (&[("TERM", "xterm")], true, Depth::Ansi),
            (&[("TERM", "xterm-256color")], true, Depth::Cube),
            (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], true, Depth::True),
            (&[("TERM", "xterm-256color"), ("NO_COLOR", "1")], true, Depth::None),
            (&[("TERM", "xterm"), ("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], true, Depth::None),
            (&[("TERM", "xterm"), ("CLICOLOR", "0")], true, Depth::None),
            (&[("TERM", "dumb")], true, Depth::None),
            (&[], true, Depth::None),
            (&[("TERM", "xterm")], false, Depth::None),
            (&[("TERM", "xterm"), ("CLICOLOR_FORCE", "1")], false, Depth::Ansi),
            (&[("TERM", "xterm"), ("CLICOLOR_FORCE", "0")], false, Depth::None),
        ];
        for (variables, terminal, depth) in cases {
            assert_eq!(of(variables, terminal).depth, depth, "{variables:?}");
        }
        for (ground, light) in
            [("15;0", false), ("0;15", true), ("0;default;7", true), ("x", false)]
        {
            assert_eq!(of(&[("COLORFGBG", ground)], true).light, light, "{ground}");
        }
    }

    #[test]
    fn links_are_for_terminals_that_show_them() {
        let kitty = ("TERM", "xterm-kitty");
        assert!(of(&[kitty], true).links);
        assert!(!of(&[kitty, ("TMUX", "x")], true).links);
        assert!(!of(&[kitty, ("NO_COLOR", "1")], true).links, "nothing but the words");
        assert!(of(&[("TERM", "xterm"), ("VTE_VERSION", "7600")], true).links);
        assert!(!of(&[("TERM", "xterm")], true).links);
        assert!(of(&[("TERM", "xterm"), ("FORCE_HYPERLINK", "1")], true).links);
    }

    #[test]
    fn colours_are_reduced_to_the_nearest() {
        let grey = Colour::Rgb(128, 128, 128);
        assert_eq!(grey.reduced(Depth::Cube), Colour::Cube(244));
        assert_eq!(grey.reduced(Depth::Ansi), Colour::Ansi(8));
        assert_eq!(Colour::Rgb(255, 0, 0).reduced(Depth::Cube), Colour::Cube(196));
        assert_eq!(Colour::Rgb(250, 10, 0).reduced(Depth::Ansi), Colour::Ansi(9));
        assert_eq!(grey.reduced(Depth::True), grey);
    }

    #[test]
    fn every_role_of_every_theme_is_dark_enough_on_a_light_ground() {
        let themes = [Theme::Midnight, Theme::Sunset, Theme::Tokyo];
        for (theme, role) in themes.into_iter().flat_map(|theme| {
            [Role::Heading, Role::Code, Role::Link, Role::Literal, Role::Added]
                .map(|it| (theme, it))
        }) {
            let ui = Ui { theme, ..Ui::default() };
            let look = Look { depth: Depth::True, light: true, ..Look::plain(ui) };
            let Some(Colour::Rgb(red, green, blue)) = look.paint(role.into()).colour else {
                panic!()
            };
            let bright =
                (u32::from(red) * 299 + u32::from(green) * 587 + u32::from(blue) * 114) / 1_000;
            assert!(bright < 128, "{theme:?} {role:?}");
        }
    }
}
