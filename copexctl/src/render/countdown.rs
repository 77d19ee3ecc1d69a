//! How long a parked run still waits, and a tool works, or something is written that is shown
//! when it is whole: the words, and a line on a terminal that counts.

use std::io::{self, Write};
use std::time::Duration;

use copex_proto::event::{EventBody, RunEvent};
use copex_proto::id::AskId;

use crate::clock;
use crate::follow::View;
use crate::render::brief;
use crate::render::styled::Line;
use crate::render::tools::cut;
use crate::render::words::tool_start;
use crate::when;

/// Columns of the line that is redrawn: one that wraps cannot be.
const COLUMNS: usize = 79;

/// A tool that is done by then needs no line of its own, nor does a table, in milliseconds.
const QUICK_MS: u64 = 300;

/// Tools at work that are shown one after the other; of more, the last ones.
const TOOLS: usize = 64;

/// "parked until 14:05, 00:59:12 left: reason", for a run that goes on at `until` (Unix
/// milliseconds, as `now`).
pub(crate) fn parked(reason: &str, until: u64, now: u64) -> String {
    let (at, left) = (when::soon(until, now), left(until.saturating_sub(now)));
    format!("parked until {at}, {left} left: {}", reason.trim())
}

/// Hours, minutes and seconds, rounded up: it is over when nothing is left.
fn left(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3_600, rest % 3_600 / 60, rest % 60);
    if days > 0 { format!("{days} d {clock}") } else { clock }
}

/// How a parked run is made to go on, in words.
pub(crate) fn way_on(run: &str) -> String {
    format!("to go on now: copexctl runs resume --now {run}")
}

/// A view with one more line below it while the run is parked, a tool works, or the model writes
/// what cannot be shown yet, redrawn each second in place.
/// For a terminal alone.
///
/// Invariant: the line is taken away before anything else is shown, and at the end.
pub(crate) struct Countdown<V, E: Write> {
    inner: V,
    err: E,
    park: Option<(String, u64)>,
    /// Tools at work: the call, what is said of it, since when.
    tools: Vec<(String, String, u64)>,
    /// Since when the model writes something of which nothing is seen.
    unseen: Option<u64>,
    /// Questions that wait: what is typed stands where the line would.
    asked: Vec<AskId>,
    /// Whether the cursor may stand behind a text of somebody else.
    inside_line: bool,
    drawn: bool,
}

impl<V: View, E: Write> Countdown<V, E> {
    /// Over `inner`; the line is drawn on `err`.
    pub(crate) fn new(inner: V, err: E) -> Self {
        Self {
            inner,
            err,
            park: None,
            tools: Vec::new(),
            unseen: None,
            asked: Vec::new(),
            inside_line: false,
            drawn: false,
        }
    }

    /// Draws the line as of `now`; when it changes next.
    fn draw(&mut self, now: u64) -> Option<Duration> {
        if let Some((reason, until)) = &self.park {
            let (line, until) = (parked(reason, *until, now), *until);
            self.line(&line);
            // Once the time is over, the daemon says what comes; there is nothing to count.
            let left = until.saturating_sub(now).checked_sub(1)?;
            return Some(Duration::from_millis(left % 1_000 + 1));
        }
        if !self.asked.is_empty() {
            return None;
        }
        let tool = self.tools.last().filter(|_| !self.inside_line);
        let (words, since) = match (tool, self.unseen, self.inner.unseen()) {
            (Some((_, words, since)), ..) => {
                let others = self.tools.len() - 1;
                let more = if others > 0 { format!(" and {others} more") } else { String::new() };
                (format!("{}{more}", brief(words, COLUMNS - 30)), *since)
            }
            (None, Some(since), Some(what)) => (format!("· writing {what}"), since),
            _ => return None,
        };
        let passed = now.saturating_sub(since);
        if passed < QUICK_MS {
            return Some(Duration::from_millis(QUICK_MS - passed));
        }
        self.line(&format!("{words}  {} s", passed / 1_000));
        Some(Duration::from_millis(1_000 - passed % 1_000))
    }

    fn line(&mut self, line: &str) {
        // In one write, and wiped behind its end and not before: nothing flickers.
        let line = format!("\r{}\x1b[K", cut(&brief(line, COLUMNS), COLUMNS));
        let _ = self.err.write_all(line.as_bytes());
        let _ = self.err.flush();
        self.drawn = true;
    }

    /// Takes note of tools that begin and end.
    fn tools(&mut self, event: &RunEvent) {
        match &event.body {
            EventBody::ToolStart(tool) => {
                if self.tools.len() == TOOLS {
                    self.tools.remove(0);
                }
                self.tools.push((tool.call.clone(), tool_start(tool), clock::unix_ms()));
                self.inside_line = false;
            }
            EventBody::ToolEnd(tool) => {
                self.tools.retain(|(call, ..)| *call != tool.call);
                self.inside_line = false;
            }
            EventBody::MessageDelta { .. } | EventBody::ReasoningDelta { .. } => {
                self.inside_line = true;
            }
            EventBody::Ask(ask) => self.asked.push(ask.ask.clone()),
            EventBody::Answered { ask, .. } => self.asked.retain(|it| it != ask),
            // Whatever was at work is not any more.
            EventBody::Attempt(_) => self.tools.clear(),
            body if body.is_terminal() => self.tools.clear(),
            _ => {}
        }
    }
}

impl<V, E: Write> Countdown<V, E> {
    fn wipe(&mut self) {
        if std::mem::take(&mut self.drawn) {
            // A stderr that is gone is no reason to lose the answer.
            let _ = self.err.write_all(b"\r\x1b[K");
            let _ = self.err.flush();
        }
    }
}

impl<V: View, E: Write> View for Countdown<V, E> {
    fn event(&mut self, event: &RunEvent, raw: &str) -> io::Result<()> {
        self.wipe();
        self.tools(event);
        if let EventBody::Parked { reason, until: Some(until), .. } = &event.body {
            self.park = Some((reason.clone(), *until));
            let run = event.run.as_str();
            return self.inner.note(&format!("the run is parked; {}", way_on(run)));
        }
        // Words for the agent end no wait.
        if !matches!(
            event.body,
            EventBody::Warning { .. } | EventBody::Steered { .. } | EventBody::Unknown
        ) {
            self.park = None;
        }
        self.inner.event(event, raw)?;
        let unseen = self.inner.unseen().map(|_| self.unseen.unwrap_or_else(clock::unix_ms));
        self.unseen = unseen;
        Ok(())
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.wipe();
        self.inner.note(text)
    }

    fn question(&mut self, lines: &[Line]) -> io::Result<()> {
        self.wipe();
        self.inner.question(lines)
    }

    fn show(&mut self, lines: &[Line]) -> io::Result<()> {
        self.wipe();
        self.inner.show(lines)
    }

    fn rest(&mut self) -> io::Result<Option<Duration>> {
        Ok(self.draw(clock::unix_ms()))
    }

    fn suspend(&mut self) {
        self.wipe();
    }

    fn close(&mut self) {
        self.wipe();
    }
}

impl<V, E: Write> Drop for Countdown<V, E> {
    fn drop(&mut self) {
        self.wipe();
    }
}

#[cfg(test)]
mod tests {
    use copex_proto::id::RunId;
    use copex_proto::run::RunState;

    use super::*;

    /// Notes and events as lines.
    #[derive(Default)]
    struct Lines(Vec<String>);

    impl View for &mut Lines {
        fn event(&mut self, event: &RunEvent, _raw: &str) -> io::Result<()> {
            self.0.push(format!("event {}", event.seq));
            Ok(())
        }

        fn note(&mut self, text: &str) -> io::Result<()> {
            self.0.push(text.to_owned());
            Ok(())
        }
    }

    fn event(seq: u64, body: EventBody) -> RunEvent {
        RunEvent { run: RunId::new(1, 1), seq, at: 0, path: None, body }
    }

    #[test]
    fn what_is_left_is_counted_to_the_second() {
        let cases = [
            (0, "00:00:00"),
            (1, "00:00:01"),
            (1_000, "00:00:01"),
            (3_552_000, "00:59:12"),
            (86_400_000 * 2 + 3_600_000, "2 d 01:00:00"),
        ];
        for (ms, words) in cases {
            assert_eq!(left(ms), words);
        }
        let text = parked("too many requests\n", 3_600_000, 48_000);
        assert!(text.ends_with(", 00:59:12 left: too many requests"), "{text}");
    }

    #[test]
    fn a_tool_that_takes_its_time_has_a_line_until_it_ends() {
        let (mut lines, mut err) = (Lines::default(), Vec::new());
        let mut view = Countdown::new(&mut lines, &mut err);
        let tool = |call: &str| {
            let arguments = serde_json::json!({ "command": "npm test" });
            let (call, name) = (call.to_owned(), "bash".to_owned());
            EventBody::ToolStart(copex_proto::event::ToolStart { call, name, arguments })
        };
        view.event(&event(1, tool("a")), "").unwrap();
        let since = view.tools[0].2;
        assert_eq!(view.draw(since), Some(Duration::from_millis(QUICK_MS)));
        assert_eq!(view.draw(since + 3_200), Some(Duration::from_millis(800)));
        view.event(&event(2, tool("b")), "").unwrap();
        let since = view.tools[1].2;
        assert!(view.draw(since + 1_000).is_some());
        view.event(&event(3, EventBody::MessageDelta { text: "x".to_owned() }), "").unwrap();
        assert_eq!(view.draw(since + 1_000), None, "a line is being written");
        let end = copex_proto::event::ToolEnd {
            call: "b".to_owned(),
            name: "bash".to_owned(),
            success: true,
            result: String::new(),
            duration_ms: 1,
        };
        view.event(&event(4, EventBody::ToolEnd(end)), "").unwrap();
        assert!(view.draw(since + 2_000).is_some());
        let ask = copex_proto::event::Ask {
            ask: AskId("q".to_owned()),
            kind: copex_proto::event::AskKind::Permission,
            title: "shell".to_owned(),
            detail: String::new(),
            choices: Vec::new(),
            always: None,
            expires_at: None,
        };
        view.event(&event(5, EventBody::Ask(ask)), "").unwrap();
        assert_eq!(view.draw(since + 3_000), None, "an answer is being typed");
        drop(view);
        let drawn = String::from_utf8(err).unwrap();
        let first = "\r· bash npm test  3 s\u{1b}[K\r\u{1b}[K";
        assert!(drawn.starts_with(first) && drawn.ends_with("\r\u{1b}[K"), "{drawn:?}");
        assert!(drawn.contains("· bash npm test and 1 more  1 s"), "{drawn:?}");
    }

    #[test]
    fn a_table_on_its_way_has_a_line_until_it_is_there() {
        use crate::render::text::{AnswerStyle, Shown, Style, Text};
        use crate::render::theme::Look;
        let look = Look { columns: Some(40), ..Look::plain(copex_proto::config::Ui::default()) };
        let (shown, not) = (Shown::Yes, Shown::No);
        let style = Style {
            answer: AnswerStyle::Stream,
            progress: shown,
            summary: not,
            reasoning: not,
            notes: shown,
            terminal: shown,
            color: not,
            drawing: None,
            whole: not,
            look: Some(look),
            asides: Some(look),
            results: not,
        };
        let (mut out, mut err, mut drawn) = (Vec::new(), Vec::new(), Vec::new());
        let mut view = Countdown::new(Text::new(&mut out, &mut err, style), &mut drawn);
        let mut say = |seq, text: &str| {
            view.event(&event(seq, EventBody::MessageDelta { text: text.to_owned() }), "").unwrap();
            view.unseen.map(|since| view.draw(since + 2_000))
        };
        assert_eq!(say(1, "Look at these "), None, "it stands there");
        assert_eq!(say(2, "words:\n\n"), None);
        let next = Some(Duration::from_secs(1));
        assert_eq!(say(3, "| a | b |\n|---|"), Some(next));
        assert_eq!(say(4, "---|\n| 1 |"), Some(next), "since it began");
        assert_eq!(say(5, " 2 |\n\nAnd so"), None);
        assert_eq!(say(6, " on.\n\n```\nlet a"), Some(next));
        assert_eq!(say(7, " = 1;\n"), None);
        drop(view);
        let drawn = String::from_utf8(drawn).unwrap();
        let line = |what: &str| format!("\r· writing {what}  2 s\u{1b}[K\r\u{1b}[K");
        let [table, code] = ["a table", "code"].map(line);
        assert_eq!(drawn, format!("{table}{table}{code}"));
    }

    #[test]
    fn the_line_is_redrawn_in_place_and_gone_before_anything_else() {
        let (mut lines, mut err) = (Lines::default(), Vec::new());
        let mut view = Countdown::new(&mut lines, &mut err);
        assert_eq!(view.draw(1_000), None, "nothing is drawn before there is a park");
        let body =
            EventBody::Parked { reason: "x".repeat(200), until: Some(10_500), needs_key: None };
        view.event(&event(1, body), "").unwrap();
        assert_eq!(view.draw(1_000), Some(Duration::from_millis(500)));
        assert_eq!(view.draw(1_500), Some(Duration::from_secs(1)));
        view.note("a note").unwrap();
        view.event(&event(2, EventBody::Steered { text: "words".to_owned() }), "").unwrap();
        assert_eq!(view.draw(10_499), Some(Duration::from_millis(1)));
        assert_eq!(view.draw(10_500), None);
        view.event(&event(3, EventBody::State { state: RunState::Running }), "").unwrap();
        assert_eq!(view.draw(10_600), None);
        drop(view);
        assert!(lines.0[0].contains("copexctl runs resume --now"), "{:?}", lines.0);
        assert_eq!(&lines.0[1..], ["a note", "event 2", "event 3"]);
        let drawn = String::from_utf8(err).unwrap();
        assert!(!drawn.contains('\n') && drawn.ends_with("\r\u{1b}[K"), "{drawn:?}");
        assert_eq!(drawn.matches("parked until").count(), 4, "{drawn:?}");
        for line in drawn.split('\r').filter(|line| line.contains("parked")) {
            let line = line.trim_end_matches("\u{1b}[K");
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
    }
}
