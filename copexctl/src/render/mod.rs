//! The only printing: answers to stdout, everything else to stderr.

mod ansi;
pub(crate) mod bell;
pub(crate) mod commits;
pub(crate) mod countdown;
pub(crate) mod expand;
pub(crate) mod json;
pub(crate) mod keep;
pub(crate) mod markdown;
pub(crate) mod printer;
pub(crate) mod prometheus;
mod rows;
pub(crate) mod said;
pub(crate) mod screen;
pub(crate) mod styled;
pub(crate) mod tally;
pub(crate) mod text;
pub(crate) mod theme;
pub(crate) mod tools;
pub(crate) mod transcript;
pub(crate) mod words;
pub(crate) mod wrap;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use copex_proto::error::ErrorInfo;
use copex_proto::event::{Outcome, ToolStart, Usage};

pub(crate) use rows::table;
pub(crate) use words::held_back;

/// Whether what is told is read aloud.
static ALOUD: AtomicBool = AtomicBool::new(false);

/// From now on everything is read aloud: lines stay whole.
pub(crate) fn read_aloud() {
    ALOUD.store(true, Ordering::Relaxed);
}

/// Columns that a note is broken to: those of the terminal where it is seen, if it is.
pub(crate) fn note_columns() -> Option<usize> {
    let (columns, _) = terminal_size::terminal_size_of(io::stderr())?;
    Some(usize::from(columns.0)).filter(|it| *it > 0 && !ALOUD.load(Ordering::Relaxed))
}

/// A note as it is shown.
fn fitted(text: &str) -> String {
    note_columns().map_or_else(|| text.to_owned(), |most| wrap::note(text, most))
}

/// The answer of a run; that of a council with opinions and reviews where the `whole` is wanted.
pub(crate) fn answer(outcome: &Outcome, whole: bool) -> String {
    match &outcome.council {
        Some(report) if whole => report.print(true),
        _ => outcome.content.clone(),
    }
}

/// Prints a line on stdout.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Prints text on stdout as it is, for output that ends its own lines.
pub(crate) fn text(text: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text)?;
    out.flush()
}

/// Prints a JSON value on stdout, on one line, or over several on a terminal.
pub(crate) fn value(value: &impl serde::Serialize) -> io::Result<()> {
    let text = if io::stdout().is_terminal() {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    line(&text.map_err(io::Error::from)?)
}

/// Prints words for a person on stderr. A stderr that is gone is no reason to stop.
pub(crate) fn note(text: &str) {
    // In one write, so that nothing of another program comes between.
    let text = fitted(&format!("copexctl: {text}\n"));
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Prints an error and the way out on stderr.
pub(crate) fn error(info: &ErrorInfo) {
    let mut err = io::stderr().lock();
    let mut text = format!("copexctl: error: {}\n", clean(&info.message));
    if let Some(hint) = &info.hint {
        text.push_str("hint: ");
        text.push_str(&clean(hint));
        text.push('\n');
    }
    // Nowhere left to tell it.
    let _ = err.write_all(fitted(&text).as_bytes());
}

/// The text without control characters other than line ends and tabs: what a model or a
/// daemon says must not move the cursor, change the title of a terminal or turn words around.
pub(crate) fn clean(text: &str) -> String {
    text.chars().filter(|char| is_harmless(*char)).collect()
}

/// Whether a character does nothing to a terminal but stand there, begin a line, or go to the
/// next tab stop.
pub(crate) fn is_harmless(char: char) -> bool {
    let turns = matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !turns && (!char.is_control() || matches!(char, '\n' | '\t'))
}

/// The first line, cut to `most` characters.
pub(crate) fn brief(text: &str, most: usize) -> String {
    let line = clean(text.trim().lines().next().unwrap_or_default());
    if line.chars().count() <= most {
        return line;
    }
    let mut cut: String = line.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// The argument of a tool that says most, by the names that the Copilot CLI's tools use.
pub(crate) fn telling(tool: &ToolStart) -> Option<&str> {
    const TELLING: [&str; 6] = ["command", "path", "url", "query", "pattern", "description"];
    TELLING.iter().find_map(|name| tool.arguments.get(name)?.as_str())
}

/// A duration for people.
pub(crate) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds}.{} s", ms % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// What usage cost, for people; nothing when it cost nothing.
pub(crate) fn cost(usage: &Usage) -> Option<String> {
    let mut parts = Vec::new();
    if usage.premium_requests > 0.0 {
        parts.push(format!("{} premium requests", amount(usage.premium_requests)));
    }
    if let Some(credits) = usage.ai_credits.filter(|credits| *credits > 0.0) {
        parts.push(format!("{} AI credits", amount(credits)));
    }
    if let Some(cost) = usage.estimated_cost {
        parts.push(format!("≈ {} by [prices]", amount(cost)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// A number for people: four places at most, without trailing zeros.
pub(crate) fn amount(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    // What is there is never shown as nothing.
    if text == "0" && value > 0.0 { format!("{value:.1e}") } else { text.to_owned() }
}

/// Bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    match count >> 20 {
        0 => format!("{} kB", count >> 10),
        mega => format!("{mega} MB"),
    }
}
