//! A run as text: the answer on stdout as it streams, everything else on stderr.
//!
//! Invariant: two answers are never spliced. Text that was withdrawn cannot be taken back
//! from a pipe; it is ended with a line end, the restart is named on stderr, and the answer
//! begins anew on a line of its own.

mod style;

use std::io::{self, Write};

use copex_proto::event::{EventBody, Outcome, RunEvent, StepState, ToolEnd, ToolStart};
use copex_proto::plan::Plan;
use copex_proto::run::{Mode, RunState};

use crate::follow::View;
use crate::render::ansi;
use crate::render::commits::{self, Commits};
use crate::render::printer::{self, Printer};
use crate::render::styled::{self, Role};
use crate::render::tally::{self, Tally};
use crate::render::theme::Look;
use crate::render::tools::Tools;
use crate::render::words::{
    gate, member_line, retry_line, step_line, summary, told, tool_failed, tool_start,
};
use crate::render::{answer, brief, clean, countdown, note_columns, wrap};

pub(crate) use style::{AnswerStyle, Shown, Style};

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
    /// The answer as Markdown.
    printer: Option<Printer>,
    tools: Tools,
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
            printer: style.look.map(Printer::new),
            tools: Tools::default(),
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
        if let Some(printer) = &mut self.printer {
            self.out.write_all(printer.push(text).as_bytes())?;
            self.out_line = if printer.is_inside_line() { Line::Middle } else { Line::Start };
            return self.out.flush();
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
            self.printer.iter_mut().for_each(Printer::line_ended);
        }
        Ok(())
    }

    /// The text is whole: what is held back of it comes.
    fn end_text(&mut self) -> io::Result<()> {
        let Some(printer) = &mut self.printer else { return Ok(()) };
        let rest = printer.finish();
        if rest.is_empty() {
            return Ok(());
        }
        self.out_line = Line::Start;
        self.end_err_line();
        self.out.write_all(rest.as_bytes())?;
        self.out.flush()
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
        let part = self.part.as_ref().map(|part| format!("[{part}] ")).unwrap_or_default();
        self.aside(&format!("{part}{}", told(text, self.style.asides)))
    }

    fn tell(&mut self, text: &str) -> io::Result<()> {
        if self.style.notes == Shown::Yes { self.aside(&self.told(text)) } else { Ok(()) }
    }

    /// A note, broken at words where it is seen.
    fn told(&self, text: &str) -> String {
        let text = format!("copexctl: {text}");
        self.columns().map_or_else(|| text.clone(), |most| wrap::note(&text, most))
    }

    /// Where lines of ours are broken, if they are.
    fn columns(&self) -> Option<usize> {
        let look = self.style.asides.filter(|look| !look.ui.screen_reader)?;
        look.columns.or_else(note_columns)
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
            self.end_text()?;
            self.end_out_line()?;
            self.tell("the answer changed; here it is again")?;
            self.answer(text)?;
        }
        self.end_text()?;
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

    fn close_open(&mut self) -> io::Result<()> {
        if !self.open.is_empty() {
            self.end_text()?;
            self.last = Some(std::mem::take(&mut self.open));
            self.separate = Shown::Yes;
        }
        Ok(())
    }

    fn restarted(&mut self, reason: &str) -> io::Result<()> {
        let shown = !std::mem::take(&mut self.open).is_empty();
        if shown {
            self.end_out_line()?;
            self.printer.iter_mut().for_each(Printer::forget);
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
        self.end_text()?;
        self.end_out_line()?;
        self.table()?;
        if self.style.summary == Shown::Yes {
            let text = summary(outcome);
            let broken = self.columns().map(|most| wrap::parts(&text, most));
            self.aside(&broken.unwrap_or(text))?;
        }
        self.tell_commits()
    }

    /// The table of a fleet that has ended: below its report, which may be long.
    fn table(&mut self) -> io::Result<()> {
        let table = self.tally.take().map(|tally| tally.table()).unwrap_or_default();
        match table.trim_end() {
            "" => Ok(()),
            table => self.progress(&format!("\n{table}")),
        }
    }

    /// What there is of a run that did not end well.
    fn ended(&mut self, event: &RunEvent) -> io::Result<()> {
        self.end_text()?;
        self.end_err_line();
        self.end_out_line()?;
        let outcome = event.body.ending().map(|ending| &ending.outcome);
        // Else it stands there already, or a program reads what went well alone.
        let late = self.style.answer == AnswerStyle::AtTheEnd
            && self.style.terminal == Shown::Yes
            && self.style.notes == Shown::Yes;
        let report = outcome.map_or("", |it| it.content.trim_end());
        if (late || self.tally.is_some()) && !report.is_empty() {
            self.answer(report)?;
            self.end_text()?;
            self.end_out_line()?;
        }
        self.table()?;
        self.tell_commits()
    }

    /// Words of a person, between those of the agent.
    pub(crate) fn user(&mut self, text: &str) -> io::Result<()> {
        self.close_open()?;
        self.end_out_line()?;
        for line in text.trim().lines() {
            let line = styled::Line::of("› ", Role::Marker).and(clean(line), styled::Style::BOLD);
            match &self.style.look {
                Some(look) => writeln!(self.out, "{}", ansi::line(&line, look))?,
                None => writeln!(self.out, "{}", line.plain())?,
            }
        }
        self.separate = Shown::No;
        self.out.flush()
    }

    /// Words beside the run, as those of its progress.
    pub(crate) fn say(&mut self, text: &str) -> io::Result<()> {
        self.close_open()?;
        self.progress(text)
    }

    /// Nothing more comes, though the run has not ended.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.close_open()?;
        self.end_out_line()?;
        self.end_err_line();
        self.out.flush()
    }

    fn tool_start(&mut self, tool: &ToolStart) -> io::Result<()> {
        self.close_open()?;
        self.tools.start(tool);
        match self.style.asides {
            // It is shown with what came of it; until then it stands on the line that is redrawn.
            Some(look) if !look.ui.screen_reader => Ok(()),
            _ => self.progress(&tool_start(tool)),
        }
    }

    fn tool_end(&mut self, tool: &ToolEnd) -> io::Result<()> {
        let (Some(look), Shown::Yes) = (self.style.asides, self.style.progress) else {
            return if tool.success { Ok(()) } else { self.progress(&tool_failed(tool)) };
        };
        let columns = look.columns.unwrap_or_else(printer::columns);
        let whole = self.style.results == Shown::Yes;
        let lines = self.tools.end(tool, &look, columns, whole);
        let part = self.part.as_ref().map(|part| format!("[{part}] ")).unwrap_or_default();
        self.lines(&part, &lines, look)
    }

    /// Lines beside the answer.
    fn lines(&mut self, before: &str, lines: &[styled::Line], look: Look) -> io::Result<()> {
        if self.style.terminal == Shown::Yes {
            self.end_out_line()?;
        }
        self.end_err_line();
        for line in lines {
            // A stderr that is gone is no reason to lose the answer.
            let _ = writeln!(self.err, "{before}{}", ansi::line(line, &look));
        }
        Ok(())
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
                self.close_open()?;
                tally::line(task).map_or(Ok(()), |line| self.progress(&line))
            }
            EventBody::MessageDelta { text } => self.delta(text),
            EventBody::Message { text } if self.style.answer == AnswerStyle::Stream => {
                self.whole(text)
            }
            EventBody::ReasoningDelta { text } => self.reasoning(text),
            EventBody::ToolStart(tool) => self.tool_start(tool),
            EventBody::ToolEnd(tool) => self.tool_end(tool),
            EventBody::Retrying(retry) => self.progress(&retry_line(retry)),
            EventBody::Restarted { reason } => self.restarted(reason),
            EventBody::Fallback { from, to, reason } => {
                self.tell(&format!("{to} takes over from {from}: {}", brief(reason, 100)))
            }
            EventBody::Parked { reason, until, .. } => {
                let way_on = countdown::way_on(event.run.as_str());
                let until = until.unwrap_or(event.at);
                let words = countdown::parked(reason, until, crate::clock::unix_ms());
                self.tell(&format!("{words}; {way_on}"))
            }
            EventBody::Iteration { number, max } => {
                self.close_open()?;
                self.progress(&format!("── iteration {number} of {max} ──"))
            }
            // What is to be done stands in the plan.
            EventBody::Step(step) if step.state == StepState::Pending => Ok(()),
            EventBody::Step(step) => {
                self.close_open()?;
                self.progress(&step_line(step))
            }
            EventBody::Gate { command, exit_code, output, duration_ms } => {
                self.close_open()?;
                self.progress(&gate(command, *exit_code, output, *duration_ms))
            }
            // Who waits is in the count of a screen.
            EventBody::Member { state: RunState::Queued, .. } => Ok(()),
            EventBody::Member { name, state, stage, note } => {
                let stage = stage.as_deref().unwrap_or("part");
                self.close_open()?;
                self.progress(&member_line(name, *state, stage, note.as_deref()))
            }
            // What will be run is news, and nothing to be warned of.
            EventBody::Warning { code, message } if code == "gates" => self.tell(message),
            EventBody::Warning { message, .. } => self.tell(&format!("warning: {message}")),
            EventBody::Artifact { file, kind } => {
                let line = self.commits.note(kind, file).or_else(|| commits::other(kind, file));
                line.map_or(Ok(()), |line| self.progress(&line))
            }
            EventBody::Done(outcome) => self.done(outcome),
            body if body.is_terminal() => self.ended(event),
            _ => Ok(()),
        }
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        if self.style.terminal == Shown::Yes {
            self.end_out_line()?;
        }
        self.end_err_line();
        let _ = writeln!(self.err, "{}", self.told(text));
        Ok(())
    }

    fn unseen(&self) -> Option<&'static str> {
        let free = self.out_line == Line::Start && self.err_line == Line::Start;
        self.printer.as_ref().filter(|_| free)?.unseen()
    }

    fn show(&mut self, lines: &[styled::Line]) -> io::Result<()> {
        let look = self.style.asides.filter(|look| !look.ui.screen_reader);
        self.lines("", lines, look.unwrap_or_default())
    }

    fn question(&mut self, lines: &[styled::Line]) -> io::Result<()> {
        let mut lines = lines.to_vec();
        if let Some(first) = lines.first_mut() {
            first.spans.insert(0, styled::Span::new("copexctl: ", Role::Text));
        }
        self.show(&lines)
    }
}

#[cfg(test)]
mod tests;
