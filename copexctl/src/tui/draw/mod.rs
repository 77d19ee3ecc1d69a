//! From the state to cells. Pure: nothing here writes to a terminal.

mod graph;
mod hints;
mod house;
mod inbox;
mod log;
pub(crate) mod look;
mod over;
mod parts;
pub(crate) mod prose;
mod run;
mod runs;
pub(crate) mod text;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use self::look::{SELECTED, Tone};
use super::model::hits::Hit;
use super::model::runs::Group;
use super::model::{Link, Model, Screen};

/// Rows and columns below which nothing sensible can be drawn.
const LEAST: (u16, u16) = (40, 10);

/// Rows of a note, at most.
const NOTE: usize = 4;

/// Where lines are put.
pub(super) struct Canvas<'a> {
    model: &'a Model,
    buffer: &'a mut Buffer,
    /// Where a person types.
    cursor: Option<(u16, u16)>,
}

/// Draws everything; gives the place of the cursor, where one is to be seen.
pub(crate) fn draw(model: &Model, buffer: &mut Buffer) -> Option<(u16, u16)> {
    let area = buffer.area;
    buffer.reset();
    model.hits.clear();
    let mut canvas = Canvas { model, buffer, cursor: None };
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let (columns, rows) = LEAST;
        let words = [
            "too small a window".to_owned(),
            format!("{}×{} now", area.width, area.height),
            format!("{columns}×{rows} at least"),
        ];
        canvas.lines(area, &words.map(Line::from), 0);
        return None;
    }
    let body = Rect { y: area.y + 2, height: area.height - 5, ..area };
    canvas.head(area);
    canvas.rule(area, area.y + 1);
    match model.screen {
        Screen::Runs => canvas.runs(body),
        Screen::Run => canvas.run(body),
        Screen::Inbox => canvas.inbox(body),
        Screen::Spend => canvas.spend(body),
        Screen::Pool => canvas.pool(body),
    }
    canvas.rule(area, area.bottom() - 3);
    canvas.status(area, area.bottom() - 2);
    canvas.hints(area, area.bottom() - 1);
    canvas.over(area);
    canvas.cursor
}

impl Canvas<'_> {
    fn style(&self, tone: Tone) -> Style {
        look::style(&self.model.look, tone)
    }

    fn span(&self, tone: Tone, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.style(tone))
    }

    /// Puts a line somewhere, at most so wide.
    fn put(&mut self, x: u16, y: u16, width: u16, line: &Line<'_>) {
        if y < self.buffer.area.bottom() {
            self.part(x, y);
            self.buffer.set_line(x, y, line, width);
            if width > 0 && line.width() > width.into() {
                let style = line.spans.last().map_or(line.style, |span| span.style);
                self.part(x + width - 1, y);
                self.buffer.set_string(x + width - 1, y, "…", style);
            }
        }
    }

    /// What is put here may cover the second half of a wide character: no terminal shows the
    /// first half alone, and the whole would lie over what is put.
    fn part(&mut self, x: u16, y: u16) {
        let before = x.checked_sub(1).and_then(|x| self.buffer.cell_mut((x, y)));
        if let Some(cell) = before.filter(|cell| cell.symbol().width() > 1) {
            cell.set_symbol(" ");
        }
    }

    /// Puts lines below each other, from `top` on, and gives how many rows were free.
    fn lines(&mut self, area: Rect, lines: &[Line<'_>], top: usize) {
        for (row, line) in (area.y..area.bottom()).zip(lines.iter().skip(top)) {
            self.put(area.x, row, area.width, line);
        }
    }

    fn rule(&mut self, area: Rect, y: u16) {
        let line = Line::from(self.span(Tone::Faint, "─".repeat(area.width.into())));
        self.put(area.x, y, area.width, &line);
    }

    /// The screens, and how many runs are at work.
    fn head(&mut self, area: Rect) {
        let model = self.model;
        let waiting = model.runs.waiting;
        let inbox = if waiting > 0 { format!("2 Inbox {waiting}") } else { "2 Inbox".to_owned() };
        let screens = [
            (Screen::Runs, "1 Runs".to_owned()),
            (Screen::Inbox, inbox),
            (Screen::Spend, "3 Spend".to_owned()),
            (Screen::Pool, "4 Pool".to_owned()),
        ];
        let here = if model.screen == Screen::Run { Screen::Runs } else { model.screen };
        let mut spans = vec![self.span(Tone::Strong, " copex  ")];
        let mut x = area.x + 8;
        for (screen, name) in screens {
            let width = u16::try_from(name.width()).unwrap_or(0) + 2;
            model.hits.add(Rect { x, y: area.y, width, height: 1 }, Hit::Screen(screen));
            x += width + 1;
            let wants = screen == Screen::Inbox && waiting > 0;
            let tone = if wants { Tone::Wants } else { Tone::Plain };
            let style = self.style(tone);
            let style = if screen == here { style.patch(SELECTED) } else { style };
            spans.push(Span::styled(format!(" {name} "), style));
            spans.push(Span::raw(" "));
        }
        self.put(area.x, area.y, area.width, &Line::from(spans));
        let right = match &model.link {
            Link::Up => {
                let counts = [(Group::Needs, "need you"), (Group::Working, "at work")];
                let words: Vec<String> = counts
                    .into_iter()
                    .map(|(group, words)| (model.runs.count(group), words))
                    .filter(|(count, _)| *count > 0)
                    .map(|(count, words)| format!("{count} {words}"))
                    .collect();
                self.span(Tone::Faint, words.join(" · "))
            }
            Link::Connecting => self.span(Tone::Faint, "connecting"),
            Link::Lost { .. } => self.span(Tone::Bad, "no daemon"),
        };
        self.right(area, area.y, right);
    }

    /// Puts something at the right edge.
    fn right(&mut self, area: Rect, y: u16, span: Span<'static>) {
        let width = u16::try_from(span.content.width()).unwrap_or(area.width).min(area.width);
        let x = area.right().saturating_sub(width + 1).max(area.x);
        self.put(x, y, width, &Line::from(span));
    }

    /// What was just said, or what the daemon is.
    fn status(&mut self, area: Rect, y: u16) {
        let model = self.model;
        let line = if let Some(note) = &model.note {
            return self.note(area, y, &note.text, if note.bad { Tone::Bad } else { Tone::Busy });
        } else if let Link::Lost { why } = &model.link {
            self.span(Tone::Bad, format!(" {why}"))
        } else if model.screen == Screen::Runs && (model.finding || !model.runs.find.is_empty()) {
            if model.finding {
                let column = 2 + u16::try_from(model.runs.find.width()).unwrap_or(0);
                self.cursor = Some((area.x + column.min(area.width - 1), y));
            }
            self.span(Tone::Accent, format!(" /{}", model.runs.find))
        } else {
            return self.now(area, y);
        };
        let text = text::cell(&line.content, area.width.into());
        self.put(area.x, y, area.width, &Line::from(Span::styled(text, line.style)));
    }

    /// What was just said: all of it, over the last lines of the screen where it is long.
    fn note(&mut self, area: Rect, y: u16, text: &str, tone: Tone) {
        let lines = text::plain(text, usize::from(area.width) - 2, self.style(tone));
        let rows = lines.len().min(NOTE);
        let first = y - u16::try_from(rows - 1).unwrap_or(0);
        if rows > 1 {
            self.rule(area, first - 1);
        }
        for (y, line) in (first..=y).zip(lines) {
            let blank = Line::from(" ".repeat(area.width.into()));
            self.put(area.x, y, area.width, &blank);
            self.put(area.x + 1, y, area.width - 1, &line);
        }
    }

    /// What the run that is looked at does, and for how long: that is never cut away.
    fn now(&mut self, area: Rect, y: u16) {
        let model = self.model;
        let open = model.open.as_ref().filter(|_| model.screen == Screen::Run);
        let (state, doing) = match (open, model.screen) {
            (Some(open), _) => (Some(open.summary.state), Some(&open.doing)),
            (None, Screen::Runs) => {
                let run = model.runs.selected();
                (run.map(|run| run.state), run.and_then(|run| model.runs.doing.get(&run.run)))
            }
            _ => (None, None),
        };
        let (Some(state), Some(doing)) = (state, doing) else { return };
        if state.is_terminal() || doing.what.is_empty() {
            return;
        }
        let wait = doing.until.map(|until| until.saturating_sub(model.now));
        let time = match wait.filter(|wait| *wait > 0) {
            Some(wait) => format!(" · {} left", age(wait)),
            None => format!(" · {}", age(model.now.saturating_sub(doing.since))),
        };
        let room = usize::from(area.width).saturating_sub(time.width() + 2);
        let what = text::cell(&doing.what, room);
        let line = self.span(Tone::Busy, format!(" {}{time}", what.trim_end()));
        self.put(area.x, y, area.width, &Line::from(line));
    }
}

/// A duration in a few columns.
pub(super) fn age(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}:{:02} h", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long ago something was, as people say it.
pub(super) fn since(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A number in a few columns.
pub(super) fn short(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{}.{}k", number / 1_000, number % 1_000 / 100),
        _ => format!("{}.{}M", number / 1_000_000, number % 1_000_000 / 100_000),
    }
}
