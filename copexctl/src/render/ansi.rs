//! Lines on a terminal: the words between the codes of a theme.

use std::fmt::Write as _;

use super::styled::Line;
use super::theme::{Colour, Look, Paint};

/// The line with its codes, without an end.
pub(crate) fn line(line: &Line, look: &Look) -> String {
    let mut text = String::new();
    for span in &line.spans {
        let codes = codes(look.paint(span.style));
        let link = span.link.as_deref().filter(|_| look.links);
        if let Some(link) = link {
            let _ = write!(text, "\u{1b}]8;;{}\u{1b}\\", target(link));
        }
        if codes.is_empty() {
            text.push_str(&span.text);
        } else {
            let _ = write!(text, "\u{1b}[{codes}m{}\u{1b}[0m", span.text);
        }
        if link.is_some() {
            text.push_str("\u{1b}]8;;\u{1b}\\");
        }
    }
    text
}

/// An address as a terminal takes it: printable ASCII alone.
fn target(link: &str) -> String {
    let mut text = String::with_capacity(link.len());
    for byte in link.bytes() {
        if byte.is_ascii_graphic() {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn codes(paint: Paint) -> String {
    let mut codes = String::new();
    let mut add = |code: &str| {
        if !codes.is_empty() {
            codes.push(';');
        }
        codes.push_str(code);
    };
    let marks = [
        (paint.bold, "1"),
        (paint.faint, "2"),
        (paint.italic, "3"),
        (paint.underline, "4"),
        (paint.strike, "9"),
    ];
    marks.iter().filter(|(on, _)| *on).for_each(|(_, code)| add(code));
    match paint.colour {
        None => {}
        Some(Colour::Ansi(number @ 0..8)) => add(&format!("3{number}")),
        Some(Colour::Ansi(number)) => add(&format!("9{}", number.saturating_sub(8))),
        Some(Colour::Cube(number)) => add(&format!("38;5;{number}")),
        Some(Colour::Rgb(red, green, blue)) => add(&format!("38;2;{red};{green};{blue}")),
    }
    codes
}
