//! A run as text: the answer on stdout as it streams, everything else on stderr.
//!
//! Invariant: two answers are never spliced. Text that was withdrawn cannot be taken back
//! from a pipe; it is ended with a line end, the restart is named on stderr, and the answer
//! begins anew on a line of its own.

use std::io::{self, Write};

use copex_proto::event::{
    EventBody, Outcome, Retrying, RunEvent, Step, StepState, ToolEnd, ToolStart,
};
use copex_proto::plan::{Drawing, Plan};
use copex_proto::run::{Mode, RunState};

use crate::follow::View;
use crate::render::commits::Commits;
use crate::render::tally::{self, Tally};
use crate::render::{answer, brief, clean, countdown, duration, telling};

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// When the answer is printed.
    pub(crate) answer: AnswerStyle,
    /// Tools and retries.
    pub(crate) progress: Shown,
    /// The line at the end.
    pub(crate) summary: Shown,
    /// The model's reasoning.
    pub(crate) reasoning: Shown,
    /// Warnings and notes.
    pub(crate) notes: Shown,
    /// Whether stdout is a terminal.
    pub(crate) terminal: Shown,
    /// Dimmed words on stderr.
    pub(crate) color: Shown,
    /// How a plan is drawn; in its own words when absent.
    pub(crate) drawing: Option<Drawing>,
    /// A council's opinions and reviews.
    pub(crate) whole: Shown,
}

/// When the answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerStyle {
    /// As it comes.
    Stream,
    /// Whole, at the end.
    AtTheEnd,
}

/// Whether something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// It is.
    Yes,
    /// It is not.
    No,
}

impl From<bool> for Shown {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// The state of the output.
pub(crate) struct Text<O, E> {
    out: O,
    err: E,
    style: Style,
    /// The pieces since the last whole message or tool.
    open: String,
    /// The last whole message shown.
    last: Option<String>,
    out_line: Line,
    err_line: Line,
    /// Whether a text stands before on stdout that must not touch the next.
    separate: Shown,
    /// Whether several work at once, so that lines say whose they are.
    several: Shown,
    commits: Commits,
    /// The tasks, where the run is a fleet.
    tally: Option<Tally>,
    /// The part of the run that is spoken of.
    part: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Start,
    Middle,
}

impl<O: Write, E: Write> Text<O, E> {
    /// Nothing shown yet.
    pub(crate) fn new(out: O, err: E, style: Style) -> Self {
        Self {
            out,
            err,
            style,
            open: String::new(),
            last: None,
            out_line: Line::Start,
            err_line: Line::Start,
            separate: Shown::No,
            several: Shown::No,
            commits: Commits::default(),
            tally: None,
            part: None,
        }
    }

    fn answer(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.end_err_line();
        if self.separate == Shown::Yes {
            self.end_out_line()?;
            self.separate = Shown::No;
        }
        if self.style.terminal == Shown::Yes {
            self.out.write_all(clean(text).as_bytes())?;
        } else {
            self.out.write_all(text.as_bytes())?;
        }
        self.out_line = if text.ends_with('\n') { Line::Start } else { Line::Middle };
        self.out.flush()
    }

    fn end_out_line(&mut self) -> io::Result<()> {
        if self.out_line == Line::Middle {
            self.out.write_all(b"\n")?;
            self.out.flush()?;
            self.out_line = Line::Start;
        }
        Ok(())
    }

    // A stderr that is gone is no reason to lose the answer.
    fn end_err_line(&mut self) {
        if self.err_line == Line::Middle {
            let _ = self.err.write_all(b"\n");
            self.err_line = Line::Start;
        }
    }

    fn aside(&mut self, text: &str) -> io::Result<()> {
        if self.style.terminal == Shown::Yes {
            self.end_out_line()?;
        }
        self.end_err_line();
        let text = clean(text);
        let _ = match self.style.color {
            Shown::Yes => writeln!(self.err, "\u{1b}[2m{text}\u{1b}[0m"),
            Shown::No => writeln!(self.err, "{text}"),
        };
        Ok(())
    }

    fn progress(&mut self, text: &str) -> io::Result<()> {
        if self.style.progress == Shown::No {
            return Ok(());
        }
        match self.part.clone() {
            Some(part) => self.aside(&format!("[{part}] {text}")),
            None => self.aside(text),
        }
    }

    fn tell(&mut self, text: &str) -> io::Result<()> {
        if self.style.notes == Shown::Yes {
            self.aside(&format!("copexctl: {text}"))
        } else {
            Ok(())
        }
    }

    fn delta(&mut self, text: &str) -> io::Result<()> {
        if self.style.answer == AnswerStyle::AtTheEnd {
            return Ok(());
        }
        self.open.push_str(text);
        self.answer(text)
    }

    /// A whole text takes the place of the pieces: print what they lack, or all of it on a
    /// new line when they were of another answer.
    fn whole(&mut self, text: &str) -> io::Result<()> {
        let open = std::mem::take(&mut self.open);
        if let Some(rest) = text.strip_prefix(open.as_str()) {
            self.answer(rest)?;
        } else {
            self.end_out_line()?;
            self.tell("the answer changed; here it is again")?;
            self.answer(text)?;
        }
        self.last = Some(text.to_owned());
        self.separate = Shown::Yes;
        Ok(())
    }

    fn reasoning(&mut self, text: &str) -> io::Result<()> {
        if self.style.reasoning == Shown::No {
            return Ok(());
        }
        if self.err_line == Line::Start && self.style.terminal == Shown::Yes {
            self.end_out_line()?;
        }
        let text = clean(text);
        let _ = match self.style.color {
            Shown::Yes => write!(self.err, "\u{1b}[2m{text}\u{1b}[0m"),
            Shown::No => write!(self.err, "{text}"),
        };
        let _ = self.err.flush();
        self.err_line = if text.ends_with('\n') { Line::Start } else { Line::Middle };
        Ok(())
    }

    fn close_open(&mut self) {
        if !self.open.is_empty() {
            self.last = Some(std::mem::take(&mut self.open));
            self.separate = Shown::Yes;
        }
    }

    fn restarted(&mut self, reason: &str) -> io::Result<()> {
        let shown = !std::mem::take(&mut self.open).is_empty();
        if shown {
            self.end_out_line()?;
            self.aside(&format!("— starting again: {} —", brief(reason, 100)))?;
        }
        Ok(())
    }

    fn done(&mut self, outcome: &Outcome) -> io::Result<()> {
        let drawing = self.style.drawing;
        let drawn = drawing.and_then(|it| Some(Plan::read(&outcome.content).ok()?.draw(it)));
        let content = drawn.unwrap_or_else(|| answer(outcome, self.style.whole == Shown::Yes));
        let content = content.as_str();
        match self.style.answer {
            // In one write, so that several clients may share an output.
            AnswerStyle::AtTheEnd if content.ends_with('\n') => self.answer(content)?,
            AnswerStyle::AtTheEnd => self.answer(&format!("{content}\n"))?,
            AnswerStyle::Stream if !self.open.is_empty() => self.whole(content)?,
            AnswerStyle::Stream => {
                let shown = self
                    .last
                    .as_ref()
                    .is_some_and(|last| content.trim_end().ends_with(last.trim_end()));
                if !shown {
                    self.answer(content)?;
                }
            }
        }
        self.end_out_line()?;
        if self.style.summary == Shown::Yes {
            self.aside(&summary(outcome))?;
        }
        self.tell_commits()
    }

    /// The table of a fleet that has ended, and before it the report of one that failed.
    fn end_fleet(&mut self, event: &RunEvent) -> io::Result<()> {
        let Some(tally) = self.tally.take() else { return Ok(()) };
        let outcome = event.body.ending().map(|ending| &ending.outcome);
        if let Some(outcome) = outcome.filter(|outcome| !outcome.content.is_empty()) {
            self.answer(&outcome.content)?;
            self.end_out_line()?;
        }
        self.progress(tally.table().trim_end())
    }

    fn tell_commits(&mut self) -> io::Result<()> {
        match self.commits.way() {
            Some(way) if self.style.progress == Shown::Yes => self.tell(&way),
            _ => Ok(()),
        }
    }
}

impl<O: Write, E: Write> View for Text<O, E> {
    fn event(&mut self, event: &RunEvent, _raw: &str) -> io::Result<()> {
        if self.several == Shown::Yes {
            self.part.clone_from(&event.path);
        }
        if let Some(tally) = &mut self.tally {
            tally.apply(event);
            if event.body.is_terminal() {
                self.end_fleet(event)?;
            }
        }
        match &event.body {
            // Its answer is the plan, the report or the decision; the words of those who work at
            // it are not.
            EventBody::Accepted(accepted)
                if matches!(accepted.mode, Mode::Plan | Mode::Fleet | Mode::Council) =>
            {
                self.style.answer = AnswerStyle::AtTheEnd;
                self.several = Shown::Yes;
                self.tally = (accepted.mode == Mode::Fleet).then(Tally::default);
                Ok(())
            }
            EventBody::Task(task) => {
                self.close_open();
                tally::line(task).map_or(Ok(()), |line| self.progress(&line))
            }
            EventBody::MessageDelta { text } => self.delta(text),
            EventBody::Message { text } if self.style.answer == AnswerStyle::Stream => {
                self.whole(text)
            }
            EventBody::ReasoningDelta { text } => self.reasoning(text),
            EventBody::ToolStart(tool) => {
                self.close_open();
                self.progress(&tool_start(tool))
            }
            EventBody::ToolEnd(tool) if tool.success => Ok(()),
            EventBody::ToolEnd(tool) => self.progress(&tool_failed(tool)),
            EventBody::Retrying(retry) => self.progress(&retry_line(retry)),
            EventBody::Restarted { reason } => self.restarted(reason),
            EventBody::Fallback { from, to, reason } => {
                self.tell(&format!("{to} takes over from {from}: {}", brief(reason, 100)))
            }
            EventBody::Parked { reason, until } => {
                let way_on = countdown::way_on(event.run.as_str());
                let until = until.unwrap_or(event.at);
                let words = countdown::parked(reason, until, crate::clock::unix_ms());
                self.tell(&format!("{words}; {way_on}"))
            }
            EventBody::Iteration { number, max } => {
                self.close_open();
                self.progress(&format!("── iteration {number} of {max} ──"))
            }
            // What is to be done stands in the plan.
            EventBody::Step(step) if step.state == StepState::Pending => Ok(()),
            EventBody::Step(step) => {
                self.close_open();
                self.progress(&step_line(step))
            }
            EventBody::Gate { command, exit_code, output, duration_ms } => {
                self.close_open();
                self.progress(&gate(command, *exit_code, output, *duration_ms))
            }
            EventBody::Member { name, state, stage, note } => {
                let stage = stage.as_deref().unwrap_or("part");
                self.close_open();
                self.progress(&member_line(name, *state, stage, note.as_deref()))
            }
            // What will be run is news, and nothing to be warned of.
            EventBody::Warning { code, message } if code == "gates" => self.tell(message),
            EventBody::Warning { message, .. } => self.tell(&format!("warning: {message}")),
            // For who wants a patch.
            EventBody::Artifact { kind, .. } if kind == "changes" => Ok(()),
            EventBody::Artifact { file, kind } => {
                let line = self.commits.note(kind, file);
                self.progress(&line.unwrap_or_else(|| format!("{kind}: {file}")))
            }
            EventBody::Done(outcome) => self.done(outcome),
            body if body.is_terminal() => {
                self.end_err_line();
                self.end_out_line()?;
                self.tell_commits()
            }
            _ => Ok(()),
        }
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        if self.style.terminal == Shown::Yes {
            self.end_out_line()?;
        }
        self.end_err_line();
        let _ = writeln!(self.err, "copexctl: {text}");
        Ok(())
    }
}

/// A retry in a line.
fn retry_line(retry: &Retrying) -> String {
    format!(
        "retry {} in {}: {}",
        retry.attempt.saturating_sub(1),
        duration(retry.delay_ms),
        brief(&retry.error.message, 100)
    )
}

/// A step's new state in a line.
fn step_line(step: &Step) -> String {
    let Step { number, total, title, state, note, left_ms } = step;
    let state = match state {
        StepState::Pending => "is to be done",
        StepState::Running => "begins",
        StepState::Done => "is done",
        StepState::Failed => "failed",
        StepState::Skipped => "is skipped",
        StepState::Blocked => "is blocked",
    };
    let note = note.as_ref().map(|note| format!(": {}", brief(note, 200))).unwrap_or_default();
    let left = left_ms.map(|ms| format!(" (about {} left)", duration(ms))).unwrap_or_default();
    format!("── step {number} of {total} {state}: {}{note}{left} ──", brief(title, 80))
}

/// What a council's member does now, in a line.
fn member_line(name: &str, state: RunState, stage: &str, note: Option<&str>) -> String {
    let state = match state {
        RunState::Running => "begins",
        RunState::Done => "is there",
        _ => "is missing",
    };
    let note = note.map(|note| format!(": {}", brief(note, 200))).unwrap_or_default();
    format!("── {name}: {stage} {state}{note} ──")
}

fn tool_start(tool: &ToolStart) -> String {
    match telling(tool) {
        Some(text) => format!("· {} {}", tool.name, brief(text, 90)),
        None => format!("· {}", tool.name),
    }
}

fn tool_failed(tool: &ToolEnd) -> String {
    format!("· {} failed: {}", tool.name, brief(&tool.result, 90))
}

/// What became of a check, with its last line where it failed.
fn gate(command: &str, exit_code: Option<i32>, output: &str, duration_ms: u64) -> String {
    let (mark, ended) = match exit_code {
        Some(0) => ('✓', String::new()),
        Some(code) => ('✗', format!(" exit {code}")),
        None => ('✗', " killed".to_owned()),
    };
    let took = duration(duration_ms);
    let line = format!("{mark} {}{ended} ({took})", brief(command, 90));
    let last = output.trim_end().lines().next_back().filter(|_| exit_code != Some(0));
    match last {
        Some(last) if !last.trim().is_empty() => format!("{line}: {}", brief(last, 90)),
        _ => line,
    }
}

fn summary(outcome: &Outcome) -> String {
    let usage = &outcome.usage;
    let mut parts = Vec::new();
    parts.extend(outcome.model.clone());
    parts.push(duration(outcome.duration_ms));
    parts.push(format!("{} in, {} out tokens", usage.input_tokens, usage.output_tokens));
    parts.extend(super::cost(usage));
    let counted = [
        (outcome.iterations.unwrap_or_default(), "iteration", "iterations"),
        (outcome.tools, "tool", "tools"),
        (outcome.retries, "retry", "retries"),
        (outcome.fallbacks, "fallback", "fallbacks"),
    ];
    for (count, one, many) in counted {
        if count > 0 {
            parts.push(format!("{count} {}", if count == 1 { one } else { many }));
        }
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests;
