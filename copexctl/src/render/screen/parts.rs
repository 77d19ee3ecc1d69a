//! The parts of the screen, and what is left of it at the end. Pure.

use copex_proto::event::{Step, StepState};
use copex_proto::run::RunState;

use super::crew::Crew;
use super::line::piece;
use super::model::{Gate, Model, Round};
use super::rows;
use super::work::{Doing, Work};
use crate::render::styled::{Line, Role, Style};
use crate::render::{brief, cost, countdown, duration, wrap};

/// Before what belongs to the line above.
const INDENT: &str = "  ";

/// Iterations that the summary names; those before are counted.
const ROUNDS: usize = 20;

/// Characters of a command in a line beside other things.
const COMMAND: usize = 60;

/// A span of time in whole seconds: what changes each second must not change its form.
pub(super) fn span(ms: u64) -> String {
    if ms < 60_000 { format!("{} s", ms / 1_000) } else { duration(ms) }
}

/// Who, how far, and for how long.
pub(crate) fn head(model: &Model, now_ms: u64, columns: usize) -> Line {
    let mode = model.mode.map_or("run", copex_proto::run::Mode::as_str);
    let mut line = piece(Style::BOLD, mode);
    for text in progress(model) {
        line = line.with(Role::Text, " · ").with(Style::BOLD, &text);
    }
    let took = piece(Role::Text, &span(now_ms.saturating_sub(model.accepted_at)));
    let id = piece(Role::Dim, &format!(" · {}", model.run));
    // A part of it names nothing.
    if line.width() + id.width() + took.width() < columns {
        line.spans.extend(id.spans);
    }
    line.with_right(took, columns)
}

fn progress(model: &Model) -> Vec<String> {
    if let Some(crew) = &model.crew {
        return rows::counts(crew);
    }
    let mut parts = Vec::new();
    if let Some(step) = model.present_step() {
        parts.push(format!("step {} of {}", step.number, total(model)));
    }
    if let Some((number, max)) = model.iteration {
        parts.push(format!("iteration {number} of {max}"));
    }
    parts
}

fn total(model: &Model) -> u32 {
    let told = model.steps.iter().map(|step| step.total.max(step.number)).max();
    told.unwrap_or_default()
}

/// What it is about.
pub(crate) fn title(model: &Model) -> Vec<Line> {
    let title = model.present_step().map_or(&model.title, |step| &step.title);
    if title.is_empty() { Vec::new() } else { vec![piece(Role::Dim, title)] }
}

/// What it took, and how long the rest will take.
pub(crate) fn spend(model: &Model, columns: usize) -> Line {
    let usage = &model.usage;
    let mut parts: Vec<String> = match &model.crew {
        Some(crew) => rows::width(crew).into_iter().collect(),
        None => model.asked.iter().cloned().collect(),
    };
    parts.push(format!("{} in, {} out tokens", usage.input_tokens, usage.output_tokens));
    parts.extend(cost(usage));
    let line = piece(Role::Dim, &parts.join(" · "));
    match model.left_ms {
        Some(left) => {
            let left = format!("about {} left", span(left));
            line.with_right(piece(Role::Dim, &left), columns)
        }
        None => line,
    }
}

/// What is being done, and since when. Where several work, each has a row for it, and only a
/// question is everybody's.
pub(crate) fn now(model: &Model, now_ms: u64, columns: usize) -> Vec<Line> {
    let parked = |crew: &Crew| crew.count(&[RunState::Parked]) > 0;
    let work = match &model.crew {
        Some(crew) if parked(crew) && crew.parked.is_parked() => &crew.parked,
        Some(_) if model.asks.is_empty() => return Vec::new(),
        None | Some(_) => &model.work,
    };
    let line = match model.asks.first() {
        Some(_) if model.question.is_some() => piece(Role::Busy, "? waits for your answer"),
        Some(ask) => piece(Role::Busy, "? waits for an answer: ")
            .with(Role::Text, &format!("copexctl runs answer {} · {}", ask.ask, ask.title)),
        None => {
            let (what, with) = doing(work, now_ms);
            let mark = if work.is_parked() { '‖' } else { '▸' };
            let line = piece(Role::Busy, &format!("{mark} {what}"));
            if work.is_parked() { line } else { line.with(Role::Text, &with) }
        }
    };
    let since = if model.asks.is_empty() { work.since } else { model.work.since };
    let line = match since {
        0 => line,
        at => line.with_right(piece(Role::Dim, &span(now_ms.saturating_sub(at))), columns),
    };
    if model.asks.is_empty() && work.is_parked() {
        let (_, why) = doing(work, now_ms);
        let why = piece(Role::Text, &format!("  {}", why.trim_start_matches([':', ' '])));
        return vec![line, why, piece(Role::Dim, &format!("  {}", countdown::way_on(&model.run)))];
    }
    vec![line]
}

/// What an agent is doing, and with what.
pub(super) fn doing(work: &Work, now_ms: u64) -> (String, String) {
    let of = |what: &str, with: String| (what.to_owned(), with);
    let until = |at: u64| span(at.saturating_sub(now_ms));
    match &work.doing {
        Doing::Starting => of("starting", String::new()),
        Doing::Asked => of("waits for the model", String::new()),
        Doing::Answering => of("the model answers", String::new()),
        Doing::Tool { name, argument } => of(name, format!("  {argument}")),
        Doing::Gate { command } => of("check", format!("  {command}")),
        Doing::Between => of("between two iterations", String::new()),
        Doing::Retrying { until: at, why, held_back } => {
            // Others who wait for the same may be before it then.
            let words = match (held_back, *at > now_ms) {
                (Some(what), true) => format!("waits {} for {what}", until(*at)),
                (Some(what), false) => format!("waits for {what}"),
                (None, true) => format!("tries again in {}", until(*at)),
                (None, false) => "tries again".to_owned(),
            };
            (words, format!(": {why}"))
        }
        Doing::Parked { until: None, why } => of("parked", format!(": {why}")),
        Doing::Parked { until: Some(at), why } => {
            (format!("parked, goes on in {}", until(*at)), format!(": {why}"))
        }
    }
}

/// The checks that ran last, those that failed first.
pub(crate) fn gates(model: &Model) -> Vec<Line> {
    let (red, green): (Vec<_>, Vec<_>) = model.gates.iter().partition(|gate| !gate.green());
    red.into_iter().chain(green).map(gate).collect()
}

fn gate(gate: &Gate) -> Line {
    let took = duration(gate.duration_ms);
    if gate.green() {
        return piece(Role::Good, "✓ ")
            .with(Role::Text, &gate.command)
            .with(Role::Dim, &format!(" ({took})"));
    }
    piece(Role::Bad, "✗ ")
        .with(Role::Text, &brief(&gate.command, COMMAND))
        .with(Role::Dim, &format!(" {} ({took})", exit(gate)))
        .with(Role::Text, &said(gate))
}

fn exit(gate: &Gate) -> String {
    gate.exit_code.map_or_else(|| "killed".to_owned(), |code| format!("exit {code}"))
}

fn said(gate: &Gate) -> String {
    let last = gate.last.trim();
    if last.is_empty() { String::new() } else { format!(": {last}") }
}

/// The steps of a plan, and the row of the present one.
pub(crate) fn steps(model: &Model) -> (Vec<Line>, usize) {
    let present = model.present_step().map(|step| step.number);
    let row = model.steps.iter().position(|step| Some(step.number) == present);
    (model.steps.iter().map(step).collect(), row.unwrap_or_default())
}

fn step(step: &Step) -> Line {
    let (tone, mark) = match step.state {
        StepState::Pending => (Role::Dim, '·'),
        StepState::Running => (Role::Busy, '▸'),
        StepState::Done => (Role::Good, '✓'),
        StepState::Failed => (Role::Bad, '✗'),
        StepState::Skipped => (Role::Dim, '-'),
        StepState::Blocked => (Role::Bad, '!'),
    };
    let text = match step.state {
        StepState::Pending | StepState::Skipped => Role::Dim.into(),
        StepState::Running => Style::BOLD,
        StepState::Done | StepState::Failed | StepState::Blocked => Style::default(),
    };
    let line = piece(tone, &format!("{mark} {:>2} ", step.number)).with(text, &step.title);
    match &step.note {
        Some(note) => line.with(Role::Dim, &format!(": {note}")),
        None => line,
    }
}

/// What a person was told.
pub(crate) fn notes(model: &Model) -> Vec<Line> {
    model.notes.iter().map(|note| piece(Role::Dim, note)).collect()
}

/// What is left of the screen when it is gone.
pub(crate) fn summary(model: &Model, columns: usize) -> Vec<Line> {
    let mode = model.mode.map_or("run", copex_proto::run::Mode::as_str);
    let (tone, state) = match model.end {
        None => (Role::Dim, "at work"),
        Some(RunState::Done) => (Role::Good, "done"),
        Some(RunState::Blocked) => (Role::Bad, "blocked"),
        Some(RunState::Exhausted) => (Role::Bad, "at a limit"),
        Some(RunState::Cancelled) => (Role::Dim, "cancelled"),
        Some(_) => (Role::Bad, "failed"),
    };
    let head = piece(Style::BOLD, &format!("{mode} {} ", model.run)).with(tone, state);
    let mut lines = vec![head.with(Role::Text, &format!(": {}", model.title))];
    lines.extend(model.steps.iter().map(|it| indented(step(it))));
    if let Some(crew) = &model.crew {
        let columns = columns.saturating_sub(INDENT.len());
        lines.extend(rows::left(crew, columns).into_iter().map(indented));
    } else if model.steps.is_empty() {
        let before = model.rounds.len().saturating_sub(ROUNDS);
        if before > 0 {
            lines.push(indented(piece(Role::Dim, &format!("… {before} before"))));
        }
        lines.extend(model.rounds.iter().skip(before).map(|it| indented(round(it))));
    }
    for note in &model.notes {
        let note = wrap::note(&format!("copexctl: {note}"), columns);
        lines.extend(note.lines().map(|line| piece(Role::Dim, line)));
    }
    lines
}

fn indented(line: Line) -> Line {
    let mut indented = piece(Role::Text, INDENT);
    indented.spans.extend(line.spans);
    indented
}

fn round(round: &Round) -> Line {
    let named =
        |tone, mark| piece(tone, mark).with(Role::Text, &format!(" iteration {}", round.number));
    match &round.red {
        Some(red) => named(Role::Bad, "✗").with(
            Role::Dim,
            &format!(": {} {}{}", brief(&red.command, COMMAND), exit(red), brief(&said(red), 90)),
        ),
        None if round.gates > 0 => named(Role::Good, "✓"),
        None => named(Role::Dim, "·"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_counts_down_to_nothing() {
        let at = |held_back, now_ms| {
            let doing_now = Doing::Retrying { until: 5_000, why: "busy".to_owned(), held_back };
            doing(&Work { doing: doing_now, ..Work::default() }, now_ms).0
        };
        let limit = Some("the rate limit");
        assert_eq!(at(limit, 1_000), "waits 4 s for the rate limit");
        assert_eq!(at(limit, 5_000), "waits for the rate limit");
        assert_eq!(at(None, 1_000), "tries again in 4 s");
        assert_eq!(at(None, 9_000), "tries again");
    }
}
