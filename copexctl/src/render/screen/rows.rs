//! A row for each of those who work side by side. Pure.
//!
//! Whoever needs somebody comes first, then who is at work, who did not make it, and who waits,
//! with the reason. What is done is counted: of many tasks that are most of them, and nobody
//! looks at them. The same holds for rows that do not fit.

use copex_proto::run::{Mode, RunState};

use super::crew::{Crew, Hand};
use super::line::piece;
use super::parts::{doing, span};
use super::words;
use super::work::Doing;
use crate::render::cost;
use crate::render::styled::{Line, Role, Style};
use unicode_width::UnicodeWidthStr as _;

/// Columns of a name, at least and at most.
const LEAST_NAME: usize = 4;
const MOST_NAME: usize = 24;

/// Columns from which on a row says which model it has and what it cost.
const WIDE: usize = 120;

/// Tasks that a waiting one names; those after them are counted.
const NAMED: usize = 3;

/// Those who are over and not done.
const BAD: [RunState; 4] =
    [RunState::Failed, RunState::Exhausted, RunState::Blocked, RunState::Cancelled];

/// Those who have begun and are not over, but for those that wait for the end of a limit.
const AT_WORK: [RunState; 2] = [RunState::Running, RunState::Asking];

/// How many are how far.
pub(super) fn counts(crew: &Crew) -> Vec<String> {
    let count = |states: &[RunState]| crew.count(states);
    let mut parts = Vec::new();
    match crew.mode {
        Mode::Council if crew.stage.is_empty() => {}
        Mode::Council => parts.push(crew.stage.clone()),
        _ => parts.push(format!("{} of {} done", count(&[RunState::Done]), crew.hands.len())),
    }
    let counted = [
        (count(&AT_WORK), "at work"),
        (count(&[RunState::Parked]), "parked"),
        (count(&[RunState::Queued]), "waiting"),
        (count(&BAD), if crew.mode == Mode::Council { "missing" } else { "not done" }),
    ];
    for (count, what) in counted.into_iter().filter(|(count, _)| *count > 0) {
        parts.push(format!("{count} {what}"));
    }
    parts
}

/// How many may be at work at once.
pub(super) fn width(crew: &Crew) -> Option<String> {
    match (crew.at_once, crew.widest) {
        (0, _) => None,
        (now, widest) if now < widest => Some(format!("{now} of {widest} at once, throttled")),
        (now, _) => Some(format!("{now} at once")),
    }
}

/// Where a row stands: the lower, the higher up.
fn group(hand: &Hand) -> u8 {
    match hand.state {
        _ if hand.asked() => 0,
        RunState::Asking | RunState::Running => 1,
        RunState::Parked => 2,
        RunState::Queued => 4,
        RunState::Done => 6,
        // One that never began says less.
        _ if hand.began_at == 0 => 5,
        _ => 3,
    }
}

/// The rows, as many as there are to fill.
pub(super) fn table(crew: &Crew, now_ms: u64, (columns, rows): (usize, usize)) -> Vec<Line> {
    // A council has few, and what each has done is the point.
    let folds = |hand: &Hand| crew.mode == Mode::Fleet && hand.state == RunState::Done;
    let mut shown: Vec<&Hand> = crew.hands.iter().filter(|hand| !folds(hand)).collect();
    if crew.mode == Mode::Fleet {
        shown.sort_by_key(|hand| (group(hand), hand.number));
    }
    let done = crew.hands.len() - shown.len();
    let room = rows.saturating_sub(usize::from(done > 0));
    let fits = if shown.len() > room { room.saturating_sub(1) } else { shown.len() };
    let hidden = shown.split_off(fits);
    let name = shown.iter().map(|hand| piece(Role::Text, &hand.name).width()).max();
    let most = (columns / 4).clamp(LEAST_NAME, MOST_NAME);
    let name = name.unwrap_or_default().clamp(LEAST_NAME, most);
    let row = |hand: &&Hand| row(crew, hand, now_ms, (columns, name));
    let mut lines: Vec<Line> = shown.iter().map(row).collect();
    if !hidden.is_empty() {
        lines.push(more(&hidden));
    }
    if done > 0 {
        lines.push(piece(Role::Good, "✓ ").with(Role::Dim, &format!("{done} done")));
    }
    // Without room for the one row and the other.
    lines.truncate(rows);
    // What follows stays in its place.
    lines.resize(rows, Line::default());
    lines
}

/// Those for whom there is no row.
fn more(hidden: &[&Hand]) -> Line {
    let count = |states: &[RunState]| hidden.iter().filter(|it| states.contains(&it.state)).count();
    let counted = [
        (count(&AT_WORK), "at work"),
        (count(&[RunState::Parked]), "parked"),
        (count(&BAD), "not done"),
        (count(&[RunState::Queued]), "waiting"),
        (count(&[RunState::Done]), "done"),
    ];
    let parts: Vec<String> = counted
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    piece(Role::Dim, &format!("… {} more: {}", hidden.len(), parts.join(", ")))
}

fn row(crew: &Crew, hand: &Hand, now_ms: u64, (columns, name): (usize, usize)) -> Line {
    let (tone, mark) = if hand.asked() { (Role::Busy, '?') } else { mark(hand.state) };
    let title = if hand.at_work() { Style::BOLD } else { Style::default() };
    let title = piece(title, &hand.name).fit(name);
    let gap = " ".repeat((name + 2).saturating_sub(title.width()));
    let mut line = piece(tone, &format!("{mark} "));
    line.spans.extend(title.spans);
    line = line.with(Role::Text, &gap);
    for (stage, state) in &hand.stages {
        let (tone, mark) = self::mark(*state);
        line = line.with(Role::Dim, &format!("{stage} ")).with(tone, &format!("{mark} "));
    }
    let right = right(hand, now_ms, columns);
    let room = columns.saturating_sub(line.width() + right.width() + 1);
    let (tone, what, with) = says(crew, hand, (now_ms, room));
    line = line.with(tone, &what).with(Role::Text, &with);
    if right.is_empty() {
        return line.fit(columns);
    }
    line.with_right(piece(Role::Dim, &right), columns)
}

fn mark(state: RunState) -> (Role, char) {
    match state {
        RunState::Queued => (Role::Dim, '·'),
        RunState::Running => (Role::Busy, '▸'),
        RunState::Asking => (Role::Busy, '?'),
        RunState::Parked => (Role::Busy, '‖'),
        RunState::Done => (Role::Good, '✓'),
        RunState::Failed | RunState::Exhausted => (Role::Bad, '✗'),
        RunState::Blocked => (Role::Bad, '!'),
        RunState::Cancelled => (Role::Dim, '-'),
    }
}

/// What somebody is doing, or why not: what it is, and with what or why.
fn says(crew: &Crew, hand: &Hand, (now_ms, columns): (u64, usize)) -> (Role, String, String) {
    let note = hand.note.clone().unwrap_or_default();
    match hand.state {
        _ if hand.asked() => (Role::Busy, "waits for an answer".to_owned(), String::new()),
        RunState::Queued => (Role::Dim, waits(crew, hand), String::new()),
        RunState::Done => (Role::Text, note, String::new()),
        RunState::Running | RunState::Asking | RunState::Parked => {
            if hand.work.doing == Doing::Answering {
                let said = words::line(crew.mode, &hand.work, columns);
                let said = said.unwrap_or_else(|| "the model answers".to_owned());
                return (Role::Text, said, String::new());
            }
            if hand.work.is_parked() && hand.work.doing == crew.parked.doing {
                // Until when and why stands above all of them.
                return (Role::Busy, "parked".to_owned(), String::new());
            }
            let (what, with) = doing(&hand.work, now_ms);
            (Role::Busy, what, with)
        }
        _ => {
            let why = if note.is_empty() { note } else { format!(": {note}") };
            (Role::Bad, crate::commands::runs::state_name(hand.state), why)
        }
    }
}

/// Why a task has not begun.
fn waits(crew: &Crew, hand: &Hand) -> String {
    let over = |name: &str| {
        let state = crew.find(name).map(|hand| hand.state);
        state.is_some_and(RunState::is_terminal)
    };
    let open: Vec<&str> =
        hand.depends_on.iter().map(String::as_str).filter(|name| !over(name)).collect();
    if open.is_empty() {
        let width = width(crew).map(|width| format!(": {width}")).unwrap_or_default();
        return format!("waits for a free place{width}");
    }
    let named = open.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = open.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("after {named}{more}")
}

/// Tries, what it took, and for how long.
fn right(hand: &Hand, now_ms: u64, columns: usize) -> String {
    let mut parts = Vec::new();
    match hand.iteration {
        Some((number, most)) if hand.at_work() => parts.push(format!("iteration {number}/{most}")),
        _ if hand.tries > 1 => parts.push(format!("try {}", hand.tries)),
        _ => {}
    }
    if columns >= WIDE {
        parts.extend(hand.model.clone());
        parts.extend(cost(&hand.usage));
    }
    let tokens = hand.usage.input_tokens + hand.usage.output_tokens;
    if tokens > 0 {
        parts.push(format!("{} tok", short(tokens)));
    }
    match hand.took_ms {
        Some(took) => parts.push(span(took)),
        None if hand.at_work() && hand.began_at > 0 => {
            parts.push(span(now_ms.saturating_sub(hand.began_at)));
        }
        None => {}
    }
    parts.join(" · ")
}

/// A number of tokens in few characters.
fn short(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{} k", count / 1_000),
        _ => format!("{}.{} M", count / 1_000_000, count % 1_000_000 / 100_000),
    }
}

/// What is left of it at the end in so many columns, beside the table of a fleet's tasks.
pub(super) fn left(crew: &Crew, columns: usize) -> Vec<Line> {
    if crew.mode == Mode::Fleet {
        return vec![piece(Role::Text, &counts(crew).join(" · "))];
    }
    let name = |hand: &Hand| piece(Role::Text, &hand.name).width();
    let name = crew.hands.iter().map(name).max().unwrap_or_default().min(MOST_NAME);
    let columns = columns.min(WIDE);
    // Who is not over has no time yet.
    crew.hands.iter().map(|hand| row(crew, hand, hand.began_at, (columns, name))).collect()
}

#[cfg(test)]
mod tests;
