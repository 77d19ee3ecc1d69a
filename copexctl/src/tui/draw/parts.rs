//! The parts of a run: a fleet's tasks and who waits for whom, a plan's steps with their
//! checks, a council's members and their ballots, a loop's iterations.

use copex_proto::council::CouncilReport;
use copex_proto::event::{StepState, Task};
use copex_proto::run::{FleetTask, Mode, RunState};
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::look::{SELECTED, Tone};
use super::prose::prose;
use super::text::cell;
use super::{Canvas, age, runs, short};
use crate::render::duration;
use crate::tui::model::run::{Round, RunView};

/// Columns from which on the graph stands beside the table.
const WIDE: u16 = 130;

/// Columns of the graph beside the table.
const GRAPH: u16 = 50;

impl Canvas<'_> {
    pub(super) fn parts(&mut self, open: &RunView, area: Rect) {
        let (rows, below) = match open.summary.mode {
            Mode::Fleet => return self.fleet(open, area),
            Mode::Plan => (self.steps(open, area.width), Vec::new()),
            Mode::Council => (self.members(open, area.width), self.ballots(open, area.width)),
            Mode::Ralph => (self.rounds(open, area.width), Vec::new()),
            Mode::Chat => return,
        };
        self.table(open, area, &rows, &below);
    }

    /// Rows of which one is looked at, and what stands below them.
    fn table(
        &mut self,
        open: &RunView,
        area: Rect,
        rows: &[Line<'static>],
        below: &[Line<'static>],
    ) {
        let height = usize::from(area.height);
        open.seen.set((rows.len(), height));
        let room = height.saturating_sub(below.len().min(height / 2));
        let top = open.part.saturating_sub(room / 2).min(rows.len().saturating_sub(room));
        let shown = rows.len().min(room);
        self.lines(Rect { height: u16::try_from(shown).unwrap_or(0), ..area }, rows, top);
        if let Some(row) = open.part.checked_sub(top).filter(|row| *row < shown) {
            let y = area.y + u16::try_from(row).unwrap_or(0);
            let row = Rect { y, height: 1, ..area };
            self.buffer.set_style(row, SELECTED);
        }
        let used = u16::try_from(shown).unwrap_or(0);
        let rest = Rect { y: area.y + used, height: area.height - used, ..area };
        self.lines(rest, below, 0);
        if rows.is_empty() {
            let words = Line::from(self.span(Tone::Faint, " nothing was told yet"));
            self.put(area.x, area.y, area.width, &words);
        }
    }

    fn fleet(&mut self, open: &RunView, area: Rect) {
        let graph = self.graph(&open.tasks);
        if area.width >= WIDE {
            let table = Rect { width: area.width - GRAPH - 2, ..area };
            let rows = self.tasks(open, table.width);
            self.table(open, table, &rows, &[]);
            let x = table.right() + 2;
            self.lines(Rect { x, width: GRAPH, ..area }, &graph, 0);
        } else {
            let rows = self.tasks(open, area.width);
            self.table(open, area, &rows, &graph);
        }
    }

    fn tasks(&self, open: &RunView, width: u16) -> Vec<Line<'static>> {
        let row = |task: &Task| {
            let (tone, sign) = runs::sign(task.state);
            let usage = task.usage.as_ref();
            let tokens = usage.map(|it| it.input_tokens + it.output_tokens).map(short);
            let took = task.duration_ms.map(duration).unwrap_or_default();
            let named = usize::from(width) / 4;
            let note = task.note.clone().unwrap_or_else(|| match task.depends_on.as_slice() {
                [] => String::new(),
                needed if task.state == RunState::Queued => format!("after {}", needed.join(", ")),
                _ => String::new(),
            });
            let left = usize::from(width).saturating_sub(4 + named + 11 + 10 + 14);
            Line::from(vec![
                self.span(tone, format!("  {sign} ")),
                Span::raw(cell(&task.id, named)),
                self.span(tone, cell(&crate::commands::runs::state_name(task.state), 11)),
                self.span(Tone::Faint, cell(&note, left)),
                self.span(Tone::Faint, format!("{:>9}", tokens.unwrap_or_default())),
                self.span(Tone::Faint, format!("{took:>14}")),
            ])
        };
        open.tasks.iter().map(row).collect()
    }

    /// Who waits for whom: wave by wave, each with those that it needs.
    fn graph(&self, tasks: &[Task]) -> Vec<Line<'static>> {
        if tasks.iter().all(|task| task.depends_on.is_empty()) {
            return Vec::new();
        }
        let plain: Vec<FleetTask> = tasks
            .iter()
            .map(|task| FleetTask {
                id: task.id.clone(),
                depends_on: task.depends_on.clone(),
                ..FleetTask::default()
            })
            .collect();
        let mut lines = vec![Line::from(self.span(Tone::Strong, " who waits for whom"))];
        for (depth, wave) in copex_proto::fleet::waves(&plain).into_iter().enumerate() {
            for (place, index) in wave.into_iter().enumerate() {
                let task = &tasks[index];
                let (tone, sign) = runs::sign(task.state);
                let indent = "   ".repeat(depth);
                let branch = if depth == 0 {
                    ""
                } else if place == 0 {
                    "└─ "
                } else {
                    "   "
                };
                let needs = match task.depends_on.as_slice() {
                    [] => String::new(),
                    needed => format!(" ← {}", needed.join(", ")),
                };
                lines.push(Line::from(vec![
                    Span::raw(format!(" {indent}{branch}")),
                    self.span(tone, format!("{sign} ")),
                    Span::raw(task.id.clone()),
                    self.span(Tone::Faint, needs),
                ]));
            }
        }
        lines
    }

    fn steps(&self, open: &RunView, width: u16) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        for step in &open.steps {
            let (tone, sign) = match step.state {
                StepState::Pending => (Tone::Faint, " "),
                StepState::Running => (Tone::Busy, "●"),
                StepState::Done => (Tone::Good, "✓"),
                StepState::Failed => (Tone::Bad, "✗"),
                StepState::Skipped => (Tone::Faint, "-"),
                StepState::Blocked => (Tone::Bad, "!"),
            };
            let here = |round: &&Round| {
                round.path.split('/').next() == Some(step.number.to_string().as_str())
            };
            let rounds: Vec<&Round> = open.rounds.iter().filter(here).collect();
            let gates = rounds.last().map(|round| self.gates(round)).unwrap_or_default();
            let count = match rounds.len() {
                0 => String::new(),
                1 => "1 iteration".to_owned(),
                count => format!("{count} iterations"),
            };
            let left = usize::from(width).saturating_sub(10 + 15) / 2;
            let note = step.note.clone().unwrap_or_default();
            let mut spans = vec![
                self.span(tone, format!("  [{sign}] ")),
                Span::raw(format!("{:>2} ", step.number)),
                Span::raw(cell(&step.title, left) + " "),
                self.span(Tone::Faint, cell(&count, 14)),
            ];
            if note.is_empty() {
                spans.extend(gates);
            } else {
                spans.push(self.span(tone, note));
            }
            lines.push(Line::from(spans));
        }
        lines
    }

    fn gates(&self, round: &Round) -> Vec<Span<'static>> {
        let gate = |(command, code): &(String, Option<i32>)| {
            let (tone, sign) =
                if *code == Some(0) { (Tone::Good, "✓") } else { (Tone::Bad, "✗") };
            self.span(tone, format!("{sign} {}  ", crate::render::brief(command, 40)))
        };
        round.gates.iter().map(gate).collect()
    }

    fn rounds(&self, open: &RunView, width: u16) -> Vec<Line<'static>> {
        let row = |(at, round): (usize, &Round)| {
            let last = open.rounds.get(at + 1).is_none();
            let over = open.summary.state.is_terminal();
            let end = match open.rounds.get(at + 1) {
                Some(next) => next.since,
                None => open.summary.ended_at.unwrap_or(self.model.now),
            };
            let red = round.gates.iter().any(|(_, code)| *code != Some(0));
            let (tone, sign) = match (last && !over, red, round.gates.is_empty()) {
                (true, _, _) => (Tone::Busy, "●"),
                (false, true, _) => (Tone::Bad, "✗"),
                (false, false, true) => (Tone::Faint, "·"),
                (false, false, false) => (Tone::Good, "✓"),
            };
            let mut spans = vec![
                self.span(tone, format!("  {sign} ")),
                Span::raw(format!("iteration {:<4}", round.number)),
                self.span(Tone::Faint, format!("{:>12}   ", age(end.saturating_sub(round.since)))),
            ];
            spans.extend(self.gates(round));
            let _ = width;
            Line::from(spans)
        };
        open.rounds.iter().enumerate().map(row).collect()
    }

    fn members(&self, open: &RunView, width: u16) -> Vec<Line<'static>> {
        let named = (usize::from(width) / 3).min(40);
        let row = |member: &crate::tui::model::run::Member| {
            let (tone, sign) = runs::sign(member.state);
            Line::from(vec![
                self.span(tone, format!("  {sign} ")),
                Span::raw(cell(&member.name, named) + " "),
                self.span(Tone::Accent, cell(&member.stage, 10)),
                self.span(tone, cell(&crate::commands::runs::state_name(member.state), 11)),
                self.span(Tone::Faint, member.note.clone()),
            ])
        };
        open.members.iter().map(row).collect()
    }

    /// How the members ranked each other, and what the chair decided.
    fn ballots(&self, open: &RunView, width: u16) -> Vec<Line<'static>> {
        let report = open.outcome.as_ref().and_then(|outcome| outcome.council.as_ref());
        let Some(report) = report else { return Vec::new() };
        let mut lines = vec![Line::default()];
        let head = |text: &str| Line::from(self.span(Tone::Strong, format!(" {text}")));
        if !report.ranking.is_empty() {
            lines.push(head("ranking"));
            for row in &report.ranking {
                lines.push(Line::from(vec![
                    self.span(Tone::Accent, format!("  {}. ", row.rank)),
                    Span::raw(format!("{} ", row.name)),
                    self.span(Tone::Faint, format!("(opinion {}): {:.2}", row.label, row.score)),
                ]));
            }
        }
        lines.extend(self.reviews(report));
        if let Some(decision) = &report.decision {
            lines.push(head(&format!(
                "decision of {}, confidence {:.2}",
                report.chair, decision.confidence
            )));
            let text = prose(&self.model.look, &decision.decision, usize::from(width) - 3);
            lines.extend(text.into_iter().map(|mut line| {
                line.spans.insert(0, Span::raw("  "));
                line
            }));
        }
        lines
    }

    fn reviews(&self, report: &CouncilReport) -> Vec<Line<'static>> {
        let ballot = |member: &copex_proto::council::MemberReport| {
            let review = member.review.as_ref()?;
            let agrees = if review.agree { "all agree" } else { "they differ" };
            Some(Line::from(vec![
                Span::raw(format!("  {}: ", member.name)),
                self.span(Tone::Accent, review.ranking.join(" > ")),
                self.span(Tone::Faint, format!("  {agrees}")),
            ]))
        };
        let ballots: Vec<_> = report.members.iter().filter_map(ballot).collect();
        if ballots.is_empty() {
            return ballots;
        }
        let mut lines = vec![Line::from(self.span(Tone::Strong, " ballots"))];
        lines.extend(ballots);
        lines
    }
}
