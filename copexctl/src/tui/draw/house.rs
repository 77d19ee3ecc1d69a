//! Money, runtimes, breakers, limits.

use copex_proto::breaker::{BreakerList, BreakerState};
use copex_proto::health::{DaemonStatus, PoolStatus};
use copex_proto::spend::Spending;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::look::Tone;
use super::text::{cell, wrap};
use super::{Canvas, age, short};
use crate::render::{amount, bytes};

impl Canvas<'_> {
    pub(super) fn spend(&mut self, area: Rect) {
        let Some(spend) = &self.model.house.spend else { return self.reading(area) };
        let mut lines = vec![self.title("today")];
        lines.push(self.spending("", &spend.today, area.width));
        match spend.max_cost_per_day.filter(|most| *most > 0.0) {
            Some(most) => lines.push(self.bar(spend.today.cost / most, &amount(most))),
            None => lines.push(self.faint("no limit of a day: [limits] max_cost_per_day")),
        }
        lines.push(Line::default());
        lines.push(self.title("all that is kept, by model"));
        for row in &spend.rows {
            lines.push(self.spending(&row.name, &row.spending, area.width));
        }
        if spend.left_out > 0 {
            let words = format!("and {} more: copexctl metrics --by model", spend.left_out);
            lines.push(self.faint(&words));
        }
        if spend.rows.is_empty() {
            lines.push(self.faint("nothing yet; n starts a run"));
        } else {
            lines.push(self.spending("in all", &spend.total, area.width));
        }
        self.scrolled(area, &lines);
    }

    fn faint(&self, words: &str) -> Line<'static> {
        Line::from(self.span(Tone::Faint, format!("  {words}")))
    }

    fn spending(&self, name: &str, spending: &Spending, width: u16) -> Line<'static> {
        let usage = &spending.usage;
        // What it cost stands last and is never cut: the name is, before it.
        let mut cost = crate::render::cost(usage).unwrap_or_default();
        if width < 120 {
            cost = cost.replace(" by [prices]", "");
        }
        let tokens =
            format!("{} in, {} out", short(usage.input_tokens), short(usage.output_tokens));
        let rest = 2 + 13 + 20 + cost.width();
        let named = usize::from(width).saturating_sub(rest).clamp(10, 36);
        let named = if width < 120 { named.min(22) } else { named };
        Line::from(vec![
            Span::raw(format!("  {}", cell(name, named))),
            self.span(Tone::Faint, format!("{:>5} calls  ", usage.calls)),
            Span::raw(cell(&tokens, 20)),
            self.span(Tone::Strong, cost),
        ])
    }

    /// How much of a limit is used.
    fn bar(&self, part: f64, most: &str) -> Line<'static> {
        const CELLS: f64 = 30.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was clamped to 0..=30"
        )]
        let full = (part * CELLS).clamp(0.0, CELLS).round() as usize;
        let tone = match part {
            part if part >= 1.0 => Tone::Bad,
            part if part >= 0.8 => Tone::Wants,
            _ => Tone::Good,
        };
        let percent = part * 100.0;
        Line::from(vec![
            Span::raw("  ["),
            self.span(tone, "#".repeat(full)),
            Span::raw(".".repeat(30 - full)),
            Span::raw(format!("] {percent:.0} % of {most} a day")),
        ])
    }

    pub(super) fn pool(&mut self, area: Rect) {
        let house = &self.model.house;
        let mut lines = Vec::new();
        lines.extend(
            house.status.as_ref().map(|it| self.daemon(it, area.width)).unwrap_or_default(),
        );
        lines.extend(
            house.pool.as_ref().map(|it| self.runtimes(it, area.width)).unwrap_or_default(),
        );
        lines.extend(
            house.breakers.as_ref().map(|it| self.health(it, area.width)).unwrap_or_default(),
        );
        if lines.is_empty() {
            return self.reading(area);
        }
        self.scrolled(area, &lines);
    }

    fn daemon(&self, status: &DaemonStatus, width: u16) -> Vec<Line<'static>> {
        let since = age(self.model.now.saturating_sub(status.started_at));
        let runs = if status.active_runs == 1 { "run" } else { "runs" };
        let text = format!(
            "  copexd {} · pid {} · {since} · {} · {} {runs} not over",
            status.version,
            status.pid,
            bytes(status.rss_bytes),
            status.active_runs,
        );
        let mut lines = vec![self.title("daemon"), Line::from(text)];
        for note in &status.notes {
            let head = vec![self.span(Tone::Wants, "  ! ")];
            lines.extend(self.hanging(head, note, width));
        }
        lines
    }

    fn runtimes(&self, pool: &PoolStatus, width: u16) -> Vec<Line<'static>> {
        let mut lines = vec![Line::default(), self.title("runtimes")];
        for runtime in &pool.runtimes {
            let busy = runtime.busy_sessions;
            let tone = if busy > 0 { Tone::Busy } else { Tone::Plain };
            let since = age(self.model.now.saturating_sub(runtime.started_at));
            let latency = runtime.latency.as_ref();
            let ping = latency.map(|it| format!(" · ping {:.1} ms", per_thousand(it.latest_us)));
            let leaving = runtime.leaving.as_ref().map(|why| format!(" · leaves: {why}"));
            let rest = format!(
                " · {} idle · {} spare · {} · {since}{}{}",
                runtime.idle_sessions,
                runtime.spare_sessions,
                bytes(runtime.tree.as_ref().map_or(runtime.rss_bytes, |tree| tree.rss_bytes)),
                ping.unwrap_or_default(),
                leaving.unwrap_or_default(),
            );
            let head = vec![
                Span::raw(format!("  {} {} ", runtime.program, runtime.pid)),
                self.span(tone, format!("{busy} at work")),
            ];
            lines.extend(self.hanging(head, &rest, width));
        }
        if pool.runtimes.is_empty() {
            lines.push(Line::from(self.span(Tone::Faint, "  none; the next run starts one")));
        }
        if let Some(problem) = &pool.problem {
            let head = vec![self.span(Tone::Bad, "  ! ")];
            lines.extend(self.hanging(head, &problem.message, width));
        }
        if let Some(warm) = &pool.warm {
            let all = |hits: u64, misses: u64| format!("{hits} of {}", hits + misses);
            let text = format!(
                "  warm: {} new sessions, {} resumed ones",
                all(warm.spare_hits, warm.spare_misses),
                all(warm.idle_hits, warm.idle_misses),
            );
            lines.push(Line::from(self.span(Tone::Faint, text)));
        }
        lines
    }

    fn health(&self, list: &BreakerList, width: u16) -> Vec<Line<'static>> {
        let now = self.model.now;
        let mut lines = vec![Line::default(), self.title("breakers")];
        // What is not asked stands first.
        let mut breakers: Vec<_> = list.breakers.iter().collect();
        breakers.sort_by_key(|breaker| match breaker.state {
            BreakerState::Open => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Closed => 2,
        });
        for breaker in breakers {
            let (tone, state) = match breaker.state {
                BreakerState::Closed => (Tone::Good, "closed"),
                BreakerState::Open => (Tone::Bad, "open"),
                BreakerState::HalfOpen => (Tone::Wants, "half-open"),
            };
            let until = breaker.until.map(|until| age(until.saturating_sub(now)));
            let until = until.map(|left| format!(", {left} left")).unwrap_or_default();
            let model = if breaker.model.is_empty() { "default model" } else { &breaker.model };
            let head = vec![self.span(tone, format!("  {state:<10}")), Span::raw(model.to_owned())];
            let rest = format!(
                " at {}: {} of {} failed{until}",
                breaker.endpoint, breaker.failures, breaker.samples
            );
            lines.extend(self.hanging(head, &rest, width));
        }
        if list.breakers.iter().any(|breaker| breaker.state != BreakerState::Closed) {
            lines.push(self.faint("Ctrl+P, close all breakers: they are asked again at once"));
        }
        if list.breakers.is_empty() {
            lines.push(Line::from(self.span(Tone::Faint, "  none: no model was asked yet")));
        }
        lines.push(Line::default());
        lines.push(self.title("limits"));
        for limit in &list.limits {
            let left = age(limit.until.saturating_sub(now));
            let what = limit.model.clone().unwrap_or_else(|| limit.scope.clone());
            let head =
                vec![self.span(Tone::Bad, format!("  {what} at {}: {left} left.", limit.endpoint))];
            lines.extend(self.hanging(head, &format!(" {}", limit.message), width));
        }
        if list.limits.is_empty() {
            lines.push(Line::from(self.span(Tone::Faint, "  none")));
        }
        for gate in &list.gates {
            let text = format!(
                "  {}: {} of {} places in use, {} wait",
                gate.endpoint, gate.in_use, gate.limit, gate.waiting
            );
            lines.push(Line::from(self.span(Tone::Faint, text)));
        }
        let text = format!("  {} retries left in the budget of all runs", list.retry_budget);
        lines.push(Line::from(self.span(Tone::Faint, text)));
        lines
    }

    /// Something with more behind it, which goes on below where there is no room.
    fn hanging(&self, mut head: Vec<Span<'static>>, rest: &str, width: u16) -> Vec<Line<'static>> {
        let used: usize = head.iter().map(Span::width).sum();
        let width = usize::from(width);
        if used + rest.width() <= width {
            head.push(self.span(Tone::Faint, rest.to_owned()));
            return vec![Line::from(head)];
        }
        let rest = rest.trim_start_matches([' ', '·']);
        let rest = wrap(rest, width.saturating_sub(6));
        let rest = rest.into_iter().map(|line| self.faint(&format!("  {line}")));
        std::iter::once(Line::from(head)).chain(rest).collect()
    }

    fn title(&self, text: &str) -> Line<'static> {
        Line::from(self.span(Tone::Strong, format!(" {text}")))
    }

    fn reading(&mut self, area: Rect) {
        let line = Line::from(self.span(Tone::Faint, "  asking the daemon"));
        self.put(area.x, area.y + 1, area.width, &line);
    }

    fn scrolled(&mut self, area: Rect, lines: &[Line<'static>]) {
        let last = lines.len().saturating_sub(area.height.into());
        self.model.house.last.set(last);
        let top = self.model.house.top.min(last);
        self.lines(area, lines, top);
        if top < last {
            let words = self.span(Tone::Wants, format!("{} more ↓", last - top));
            self.right(area, area.bottom() - 1, words);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ping takes no centuries")]
fn per_thousand(us: u64) -> f64 {
    us as f64 / 1_000.0
}
