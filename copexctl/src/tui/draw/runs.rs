//! The list of all runs.

use copex_proto::run::{RunState, RunSummary};
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::look::{SELECTED, Tone};
use super::text::cell;
use super::{Canvas, age, since};
use crate::tui::model::hits::Hit;
use crate::tui::model::runs::Group;
use crate::tui::model::{Link, Model};

/// Columns from which on the folder and the model are shown as well.
const WIDE: u16 = 120;

/// What stands in the list.
enum Row<'a> {
    Head(Group, usize),
    Run(&'a RunSummary),
}

/// How a state is shown.
pub(super) fn sign(state: RunState) -> (Tone, &'static str) {
    match state {
        RunState::Queued => (Tone::Faint, "…"),
        RunState::Running => (Tone::Busy, "●"),
        RunState::Asking => (Tone::Wants, "?"),
        RunState::Parked => (Tone::Faint, "z"),
        RunState::Done => (Tone::Good, "✓"),
        RunState::Failed => (Tone::Bad, "✗"),
        RunState::Blocked => (Tone::Bad, "!"),
        RunState::Exhausted => (Tone::Bad, "$"),
        RunState::Cancelled => (Tone::Faint, "-"),
    }
}

fn rows(model: &Model) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let mut last = None;
    for run in model.runs.shown() {
        let group = Group::of(run.state);
        if last != Some(group) {
            rows.push(Row::Head(group, model.runs.count(group)));
            last = Some(group);
        }
        rows.push(Row::Run(run));
    }
    rows
}

impl Canvas<'_> {
    pub(super) fn runs(&mut self, area: Rect) {
        let model = self.model;
        let rows = rows(model);
        if rows.is_empty() {
            return self.nothing(area);
        }
        let is_selected = |row: &Row<'_>| match row {
            Row::Run(run) => Some(run.run) == model.runs.selected,
            Row::Head(..) => false,
        };
        let at = rows.iter().position(is_selected).unwrap_or(0);
        let height = usize::from(area.height);
        // The row that is looked at stays in the middle; its group's name is seen with it.
        let top = at.saturating_sub(height / 2).min(rows.len().saturating_sub(height));
        for (y, row) in (area.y..area.bottom()).zip(&rows[top..]) {
            let line = match row {
                Row::Head(group, count) => {
                    let tone = if *group == Group::Needs { Tone::Wants } else { Tone::Strong };
                    Line::from(vec![
                        self.span(tone, format!(" {}", group.name())),
                        self.span(Tone::Faint, format!(" {count}")),
                    ])
                }
                Row::Run(run) => {
                    model.hits.add(Rect { y, height: 1, ..area }, Hit::Run(run.run));
                    self.row(run, area.width)
                }
            };
            self.put(area.x, y, area.width, &line);
            if is_selected(row) {
                let row = Rect { y, height: 1, ..area };
                self.buffer.set_style(row, SELECTED);
            }
        }
    }

    /// A list without runs says what to do.
    fn nothing(&mut self, area: Rect) {
        let words = match (&self.model.link, self.model.runs.find.is_empty()) {
            (_, false) => "no run has these letters; Esc shows all",
            (Link::Up, _) if self.model.runs.told => "no runs yet; n starts one",
            (Link::Lost { .. }, _) => "waiting for the daemon",
            _ => "reading the runs",
        };
        let line = Line::from(self.span(Tone::Faint, format!("  {words}")));
        self.put(area.x, area.y + 1, area.width, &line);
    }

    fn row(&self, run: &RunSummary, width: u16) -> Line<'static> {
        let model = self.model;
        let over = run.state.is_terminal();
        let (tone, sign) = sign(run.state);
        let doing = model.runs.doing.get(&run.run).filter(|_| !over);
        let progress = doing.and_then(super::super::model::doing::Doing::progress);
        let time = match run.ended_at {
            Some(at) => format!("{} ago", since(model.now.saturating_sub(at))),
            None => age(model.now.saturating_sub(run.accepted_at)),
        };
        let what = match (doing, run.state) {
            (Some(doing), _) if !doing.what.is_empty() => doing.what.clone(),
            (_, RunState::Done) => String::new(),
            (_, state) => crate::commands::runs::state_name(state),
        };
        let marker = if Some(run.run) == model.runs.selected { ">" } else { " " };
        let mut spans = vec![
            Span::raw(format!("{marker} ")),
            self.span(tone, format!("{sign} ")),
            self.span(Tone::Accent, cell(run.mode.as_str(), 8)),
        ];
        let mut left = usize::from(width).saturating_sub(12 + 7 + 14);
        if width >= WIDE {
            let (folder, named) = (26, 18);
            left = left.saturating_sub(folder + named);
            let title = left * 2 / 5;
            spans.push(Span::raw(cell(&run.title, title) + " "));
            spans.push(self.span(Tone::Faint, cell(tail(&run.cwd, folder - 1), folder)));
            let model = run.model.as_deref().unwrap_or_default();
            spans.push(self.span(Tone::Faint, cell(model, named)));
            left -= title + 1;
        } else {
            let title = if what.is_empty() { left.saturating_sub(1) } else { left / 2 };
            spans.push(Span::raw(cell(&run.title, title) + " "));
            left = left.saturating_sub(title + 1);
        }
        spans.push(self.span(Tone::Strong, cell(&progress.unwrap_or_default(), 7)));
        spans.push(self.span(if over { Tone::Faint } else { tone }, cell(&what, left) + " "));
        spans.push(self.span(Tone::Faint, format!("{time:>13}")));
        Line::from(spans)
    }
}

/// The end of a path, at most so long.
fn tail(path: &str, most: usize) -> &str {
    let count = path.chars().count();
    path.char_indices().nth(count.saturating_sub(most)).map_or(path, |(at, _)| &path[at..])
}
