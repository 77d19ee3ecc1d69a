//! The last tool calls of a conversation, to be looked at in full: what each was given, what it
//! changed, what it printed.
//!
//! Nothing that stands on the terminal is printed again: a call that is expanded comes below, as
//! a text of its own.

use std::collections::VecDeque;

use copex_proto::event::{EventBody, RunEvent, ToolEnd, ToolStart};
use copex_proto::id::RunId;
use serde_json::Value;

use super::clean;
use super::markdown::code::{diff, is_diff};
use super::styled::{Line, Role, Style};
use super::tools::{self, change};

/// Calls that are kept: nobody goes back further key by key, and the log has all of them.
const MOST_CALLS: usize = 64;

/// Bytes that are kept of one argument or result. The daemon gives no more of a result either.
const MOST_BYTES: usize = 8 * 1024;

/// Arguments of one call that are kept; with [`MOST_BYTES`] and [`MOST_CALLS`], 16 MB in all at
/// the very most.
const MOST_ARGUMENTS: usize = 32;

/// Rows of one call that are shown: some ten screens, to be scrolled through by hand.
const MOST_ROWS: usize = 400;

/// Arguments that are shown as a change.
const CHANGED: [&str; 9] = [
    "new_str",
    "new_string",
    "file_text",
    "insert_line_text",
    "old_str",
    "old_string",
    "patch",
    "input",
    "diff",
];

/// A call that is kept.
#[derive(Debug)]
struct Kept {
    run: RunId,
    call: String,
    start: Option<ToolStart>,
    end: Option<ToolEnd>,
}

/// The last calls of a conversation, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    calls: VecDeque<Kept>,
    /// The one that was shown last.
    at: Option<usize>,
}

impl Recent {
    /// Takes note of calls. With one that begins or ends, and with a new turn, the last call is
    /// the next to be shown.
    pub(crate) fn event(&mut self, event: &RunEvent) {
        match &event.body {
            EventBody::Accepted(_) => {}
            EventBody::ToolStart(start) => {
                let kept = self.kept(event.run, &start.call);
                kept.start =
                    Some(ToolStart { arguments: bounded(&start.arguments), ..start.clone() });
            }
            EventBody::ToolEnd(end) => {
                let kept = self.kept(event.run, &end.call);
                kept.end = Some(ToolEnd { result: clip(&end.result), ..end.clone() });
            }
            _ => return,
        }
        self.at = None;
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn kept(&mut self, run: RunId, call: &str) -> &mut Kept {
        let place = self.calls.iter().rposition(|it| it.run == run && it.call == call);
        let place = place.unwrap_or_else(|| {
            if self.calls.len() == MOST_CALLS {
                self.calls.pop_front();
            }
            self.calls.push_back(Kept { run, call: call.to_owned(), start: None, end: None });
            self.calls.len() - 1
        });
        &mut self.calls[place]
    }

    /// A call in full, on so many columns: with `which` the one at this place from the end (1 is
    /// the last), else the one before that which was shown last. `aloud`: nothing is drawn.
    ///
    /// # Errors
    /// In words, where there is no such call.
    pub(crate) fn expand(
        &mut self,
        which: Option<usize>,
        aloud: bool,
        columns: usize,
    ) -> Result<Vec<Line>, String> {
        let count = self.calls.len();
        if count == 0 {
            return Err("no tool was called yet".to_owned());
        }
        let place = match which {
            Some(which) => count.checked_sub(which).filter(|place| *place < count),
            None => self.at.unwrap_or(count).checked_sub(1),
        };
        let Some(place) = place else {
            let again = which.is_none();
            self.at = None;
            return Err(if again {
                "no earlier tool call is kept; the next is the last one again".to_owned()
            } else {
                format!("the last {count} tool calls are kept: 1 is the last, {count} the first")
            });
        };
        self.at = Some(place);
        let title = format!("tool call {} of {count}", place + 1);
        Ok(self.calls[place].lines(&title, aloud, columns))
    }
}

impl Kept {
    fn lines(&self, title: &str, aloud: bool, columns: usize) -> Vec<Line> {
        let title = if aloud { format!("{title}:") } else { format!("── {title} ──") };
        let mut lines = vec![Line::of(title, Role::Dim), self.head(aloud, columns)];
        let change = self.start.as_ref().and_then(change);
        if let Some(start) = &self.start {
            lines.extend(arguments(start, change.is_some(), columns));
        }
        if let Some(change) = change {
            lines.push(Line::of("  change:", Role::Dim));
            lines.extend(tools::first(&change, usize::MAX, columns, diff));
        }
        match &self.end {
            Some(end) if end.result.trim().is_empty() => {
                lines.push(Line::of("  no output", Role::Dim));
            }
            Some(end) => {
                lines.push(Line::of("  output:", Role::Dim));
                let plain = |line: &str| Line::of(line, Role::Text);
                let of = if is_diff(&end.result) { diff } else { plain };
                lines.extend(tools::first(&end.result, usize::MAX, columns, of));
            }
            None => lines.push(Line::of("  no output yet", Role::Dim)),
        }
        let more = lines.len().saturating_sub(MOST_ROWS);
        lines.truncate(MOST_ROWS);
        if more > 0 || self.is_cut() {
            let left = match more {
                0 => "  … it was longer".to_owned(),
                1 => "  … 1 more line".to_owned(),
                _ => format!("  … {more} more lines"),
            };
            let run = self.run;
            let way = "copexctl render - --only tool --expand";
            let way = format!("{left}; the log: copexctl runs logs {run} --jsonl | {way}");
            lines.push(Line::of(way, Role::Dim));
        }
        lines
    }

    fn head(&self, aloud: bool, columns: usize) -> Line {
        let start = self.start.as_ref();
        if let Some(end) = &self.end {
            return tools::head(end, start, aloud, columns);
        }
        let (name, mark) = (start.map_or("", |it| &it.name), if aloud { "" } else { "· " });
        let line = Line::of(mark, Role::Busy).and(clean(name), Style::BOLD);
        line.and("  at work", Role::Dim)
    }

    fn is_cut(&self) -> bool {
        let cut = |text: &str| text.ends_with(CUT);
        let given = self.start.as_ref().and_then(|it| it.arguments.as_object());
        given.is_some_and(|given| given.values().filter_map(Value::as_str).any(cut))
            || self.end.as_ref().is_some_and(|end| cut(&end.result))
    }
}

/// What a tool was given: an argument per line, those that say what it changes apart.
fn arguments(start: &ToolStart, changes: bool, columns: usize) -> Vec<Line> {
    let Some(given) = start.arguments.as_object() else {
        let text = start.arguments.as_str().unwrap_or_default();
        let text = if changes { "" } else { text };
        return tools::first(text, usize::MAX, columns, |line| Line::of(line, Role::Text));
    };
    let mut lines = Vec::new();
    for (name, value) in given {
        if changes && CHANGED.contains(&name.as_str()) {
            continue;
        }
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let text = format!("{}: {}", clean(name).replace('\n', " "), text.trim_end());
        let head = clean(name).len() + 1;
        let mut first = true;
        lines.extend(tools::first(&text.replace('\n', "\n  "), usize::MAX, columns, |line| {
            match line.split_at_checked(head) {
                Some((name, rest)) if std::mem::take(&mut first) => {
                    Line::of(name, Role::Dim).and(rest, Role::Text)
                }
                _ => Line::of(line, Role::Text),
            }
        }));
    }
    lines
}

/// Stands at the end of a text that was cut.
const CUT: &str = "… (cut)";

fn clip(text: &str) -> String {
    if text.len() <= MOST_BYTES {
        return text.to_owned();
    }
    format!("{}{CUT}", &text[..text.floor_char_boundary(MOST_BYTES)])
}

/// Arguments of a bounded size.
fn bounded(value: &Value) -> Value {
    let one = |value: &Value| match value {
        Value::String(text) => Value::String(clip(text)),
        Value::Array(_) | Value::Object(_) => {
            let text = value.to_string();
            if text.len() > MOST_BYTES { Value::String(clip(&text)) } else { value.clone() }
        }
        value => value.clone(),
    };
    match value {
        Value::Object(given) => {
            let kept = given.iter().take(MOST_ARGUMENTS);
            kept.map(|(name, value)| (name.clone(), one(value))).collect()
        }
        value => one(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(body: EventBody) -> RunEvent {
        RunEvent { run: RunId::new(1, 1), seq: 1, at: 0, path: None, body }
    }

    fn begin(recent: &mut Recent, call: &str, arguments: Value) {
        let (call, name) = (call.to_owned(), "bash".to_owned());
        recent.event(&event(EventBody::ToolStart(ToolStart { call, name, arguments })));
    }

    fn end(recent: &mut Recent, call: &str, result: &str) {
        let (call, name, result) = (call.to_owned(), "bash".to_owned(), result.to_owned());
        let end = ToolEnd { call, name, success: true, result, duration_ms: 1_000 };
        recent.event(&event(EventBody::ToolEnd(end)));
    }

    fn shown(recent: &mut Recent, which: Option<usize>) -> String {
        match recent.expand(which, false, 60) {
            Ok(lines) => lines.iter().map(|line| line.plain() + "\n").collect(),
            Err(words) => words,
        }
    }

    #[test]
    fn the_last_call_comes_first_and_then_the_one_before() {
        let mut recent = Recent::default();
        assert_eq!(shown(&mut recent, None), "no tool was called yet");
        for call in ["a", "b"] {
            begin(&mut recent, call, json!({ "command": format!("run {call}\nnow"), "n": 1 }));
            end(&mut recent, call, &format!("out {call}\n"));
        }
        let b = "── tool call 2 of 2 ──\n✓ bash  run b  1.0 s\n  command: run b\n    now\n  n: 1\n  output:\n  out b\n";
        assert_eq!(shown(&mut recent, None), b);
        assert!(shown(&mut recent, None).contains("out a"));
        assert!(shown(&mut recent, None).starts_with("no earlier tool call"));
        assert_eq!(shown(&mut recent, None), b);
        assert!(shown(&mut recent, Some(2)).contains("out a"));
        assert!(shown(&mut recent, Some(1)).contains("out b"));
        assert!(shown(&mut recent, None).contains("out a"), "the one before it");
        for none in [0, 3] {
            assert!(shown(&mut recent, Some(none)).starts_with("the last 2 tool calls are kept"));
        }
        begin(&mut recent, "c", json!({ "command": "sleep" }));
        let running = shown(&mut recent, None);
        assert!(
            running.contains("· bash  at work\n  command: sleep\n  no output yet"),
            "{running}"
        );
        assert!(shown(&mut recent, None).contains("out b"));
        end(&mut recent, "c", "");
        assert!(shown(&mut recent, None).contains("  no output\n"), "what ends is next again");
    }

    #[test]
    fn a_change_is_a_diff_and_stands_once() {
        let mut recent = Recent::default();
        begin(&mut recent, "a", json!({ "path": "x.rs", "old_str": "a", "new_str": "b" }));
        end(&mut recent, "a", "done");
        let lines = recent.expand(None, true, 60).unwrap();
        let text: String = lines.iter().map(|line| line.plain() + "\n").collect();
        let wanted = "tool call 1 of 1:\ndone: bash  x.rs  1.0 s\n  path: x.rs\n  change:\n  -a\n  +b\n  output:\n  done\n";
        assert_eq!(text, wanted);
        let role = |words: &str| {
            let line = lines.iter().find(|line| line.plain() == words).unwrap();
            line.spans.last().unwrap().style.role
        };
        assert_eq!((role("  -a"), role("  +b")), (Role::Removed, Role::Added));
    }

    #[test]
    fn what_is_kept_and_what_is_shown_is_bounded_and_says_so() {
        let mut recent = Recent::default();
        for call in 0..3 * MOST_CALLS {
            begin(&mut recent, &call.to_string(), json!({ "command": "é".repeat(1_000_000) }));
            end(&mut recent, &call.to_string(), &"x\n".repeat(1_000_000));
        }
        assert_eq!(recent.calls.len(), MOST_CALLS);
        let bytes = |it: &Kept| it.start.as_ref().unwrap().arguments.to_string().len();
        assert!(recent.calls.iter().all(|it| bytes(it) < MOST_BYTES + 100));
        let lines = recent.expand(None, false, 60).unwrap();
        assert_eq!(lines.len(), MOST_ROWS + 1);
        let last = lines.last().unwrap().plain();
        assert!(last.contains("more lines; the log: copexctl runs logs"), "{last}");
        begin(&mut recent, "z", json!({ "command": "é".repeat(MOST_BYTES) }));
        end(&mut recent, "z", "out");
        let lines = recent.expand(None, false, 60).unwrap();
        assert!(lines.last().unwrap().plain().contains("it was longer; the log:"));
    }
}
