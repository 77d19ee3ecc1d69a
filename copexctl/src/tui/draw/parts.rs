//! The parts of a run: a fleet's tasks and who waits for whom, a plan's steps with their
//! checks, a council's members and their ballots, a loop's iterations.

use copex_proto::council::CouncilReport;
use copex_proto::event::{Step, StepState, Task};
use copex_proto::run::{Mode, RunState};
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::look::{SELECTED, Tone};
use super::prose::prose;
use super::text::cell;
use super::{Canvas, age, graph, runs, short};
use crate::render::{brief, duration};
use crate::tui::model::hits::Hit;
use crate::tui::model::run::{Member, Round, RunView};

/// Columns from which on the graph stands beside the table.
const WIDE: u16 = 130;

/// Columns of the graph beside the table.
const GRAPH: u16 = 50;

impl Canvas<'_> {
    pub(super) fn parts(&mut self, open: &RunView, area: Rect) {
        let (rows, below) = match open.summary.mode {
            Mode::Fleet | Mode::Plan => return self.with_graph(open, area),
            Mode::Council => (self.members(open, area.width), self.ballots(open, area.width)),
            Mode::Ralph => (self.rounds(open), Vec::new()),
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
        for (y, part) in (area.y..area.bottom()).zip(top..top + shown) {
            self.model.hits.add(Rect { y, height: 1, ..area }, Hit::Part(part));
        }
        self.lines(Rect { height: u16::try_from(shown).unwrap_or(0), ..area }, rows, top);
        if let Some(row) = open.part.checked_sub(top).filter(|row| *row < shown) {
            let y = area.y + u16::try_from(row).unwrap_or(0);
            let row = Rect { y, height: 1, ..area };
            self.buffer.set_style(row, SELECTED);
        }
        let used = u16::try_from(shown).unwrap_or(0);
        let rest = Rect { y: area.y + used, height: area.height - used, ..area };
        self.lines(rest, below, 0);
        let hidden = below.len().saturating_sub(rest.height.into());
        if hidden > 0 && rest.height > 0 {
            let words = self.span(Tone::Wants, format!("{hidden} more in a larger window"));
            self.right(rest, rest.bottom() - 1, words);
        }
        if rows.is_empty() {
            let words = match open.summary.mode {
                _ if open.summary.state.is_terminal() => " it ended before there was one",
                Mode::Plan => " the plan is being made; its steps come here",
                Mode::Council => " the members come here as they are asked",
                Mode::Fleet => " the tasks come here as soon as the fleet is set up",
                _ => " the iterations come here as they begin",
            };
            let words = Line::from(self.span(Tone::Faint, words));
            self.put(area.x, area.y, area.width, &words);
        }
    }

    /// Tasks or steps, with who waits for whom.
    fn with_graph(&mut self, open: &RunView, area: Rect) {
        let graph = self.graph(open);
        let beside = area.width >= WIDE && !graph.is_empty();
        let width = if beside { area.width - GRAPH - 2 } else { area.width };
        let table = Rect { width, ..area };
        let rows = match open.summary.mode {
            Mode::Fleet => self.tasks(open, width),
            _ => self.steps(open, width),
        };
        self.table(open, table, &rows, if beside { &[] } else { &graph });
        if beside {
            self.lines(Rect { x: table.right() + 2, width: GRAPH, ..area }, &graph, 0);
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

    /// Who waits for whom, and how each stands.
    fn graph(&self, open: &RunView) -> Vec<Line<'static>> {
        let of_task = |task: &Task| (task.id.clone(), task.depends_on.clone());
        let of_step = |step: &Step| {
            (step.number.to_string(), step.depends_on.iter().map(u32::to_string).collect())
        };
        let fleet = open.summary.mode == Mode::Fleet;
        let parts: Vec<(String, Vec<String>)> = if fleet {
            open.tasks.iter().map(of_task).collect()
        } else {
            open.steps.iter().map(of_step).collect()
        };
        let rows = graph::rows(&parts);
        if rows.is_empty() {
            return Vec::new();
        }
        let head = Line::from(self.span(Tone::Strong, " who waits for whom"));
        let row = |graph::Row { branch, part, also }| {
            let (tone, sign) = match open.steps.get(part).filter(|_| !fleet) {
                Some(step) => of_step_state(step.state),
                None => open.tasks.get(part).map_or((Tone::Faint, " "), |it| runs::sign(it.state)),
            };
            let name = match open.steps.get(part).filter(|_| !fleet) {
                Some(step) => format!("{} {}", step.number, brief(&step.title, 40)),
                None => parts[part].0.clone(),
            };
            let also =
                if also.is_empty() { also } else { vec![format!(" ← {}", also.join(", "))] };
            let sign = if sign == " " { "·" } else { sign };
            Line::from(vec![
                self.span(Tone::Faint, format!(" {branch}")),
                self.span(tone, format!("{sign} ")),
                Span::raw(name),
                self.span(Tone::Faint, also.concat()),
            ])
        };
        std::iter::once(head).chain(rows.into_iter().map(row)).collect()
    }

    fn steps(&self, open: &RunView, width: u16) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        for step in &open.steps {
            let (tone, sign) = of_step_state(step.state);
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
            let needed: Vec<_> = step.depends_on.iter().map(u32::to_string).collect();
            let waits = step.state == StepState::Pending && !needed.is_empty();
            let waits = waits.then(|| format!("after {}", needed.join(", ")));
            let note = step.note.clone().or(waits).unwrap_or_default();
            let mut spans = vec![
                self.span(tone, format!("  [{sign}] ")),
                Span::raw(format!("{:>2} ", step.number)),
                Span::raw(cell(&step.title, left) + " "),
                self.span(Tone::Faint, cell(&count, 14)),
            ];
            spans.extend(gates);
            spans.push(self.span(tone, note));
            lines.push(Line::from(spans));
        }
        lines
    }

    fn gates(&self, round: &Round) -> Vec<Span<'static>> {
        let gate = |(command, code): &(String, Option<i32>)| {
            let (tone, sign) =
                if *code == Some(0) { (Tone::Good, "✓") } else { (Tone::Bad, "✗") };
            self.span(tone, format!("{sign} {}  ", brief(command, 40)))
        };
        let checks = round.checks.as_ref();
        let checks = checks.map(|it| self.span(Tone::Busy, format!("▸ {}  ", brief(it, 40))));
        round.gates.iter().map(gate).chain(checks).collect()
    }

    fn rounds(&self, open: &RunView) -> Vec<Line<'static>> {
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
            Line::from(spans)
        };
        open.rounds.iter().enumerate().map(row).collect()
    }

    fn members(&self, open: &RunView, width: u16) -> Vec<Line<'static>> {
        let named = (usize::from(width) / 3).min(40);
        let row = |member: &Member| {
            let (tone, sign) = runs::sign(member.state);
            Line::from(vec![
                self.span(tone, format!("  {sign} ")),
                Span::raw(cell(&member.name, named) + " "),
                self.span(Tone::Accent, cell(&member.stage, 10)),
                self.span(tone, cell(&crate::commands::runs::state_name(member.state), 11)),
                self.span(Tone::Accent, ballot(member)),
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

    /// Each ballot, with the names that stood behind the letters.
    fn reviews(&self, report: &CouncilReport) -> Vec<Line<'static>> {
        let name = |label: &String| {
            let member = report.members.iter().find(|member| member.label.as_ref() == Some(label));
            member.map_or_else(|| label.clone(), |member| member.name.clone())
        };
        let ballot = |member: &copex_proto::council::MemberReport| {
            let review = member.review.as_ref()?;
            let agrees = if review.agree { "all agree" } else { "they differ" };
            let ranking: Vec<String> = review.ranking.iter().map(name).collect();
            Some(Line::from(vec![
                Span::raw(format!("  {}: ", member.name)),
                self.span(Tone::Accent, ranking.join(" > ")),
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

/// A ballot while the names behind its letters are not told.
fn ballot(member: &Member) -> String {
    let ballot = member.ballot.as_ref();
    ballot.map(|(ranking, _)| format!("ranks {}  ", ranking.join(" > "))).unwrap_or_default()
}

fn of_step_state(state: StepState) -> (Tone, &'static str) {
    match state {
        StepState::Pending => (Tone::Faint, " "),
        StepState::Running => (Tone::Busy, "●"),
        StepState::Done => (Tone::Good, "✓"),
        StepState::Failed => (Tone::Bad, "✗"),
        StepState::Skipped => (Tone::Faint, "-"),
        StepState::Blocked => (Tone::Bad, "!"),
    }
}
