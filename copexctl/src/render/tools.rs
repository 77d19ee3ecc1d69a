//! What a tool did, in a few lines: what it was given, how it ended, what came of it.

use std::collections::VecDeque;

use copex_proto::config::Density;
use copex_proto::event::{ToolEnd, ToolStart};

use super::markdown::code::{diff, is_diff};
use super::styled::{Line, Role, Style};
use super::theme::Look;
use super::wrap::{Margin, code, width};
use super::{brief, clean, duration, telling};

/// Lines of a result that are shown.
const RESULT: usize = 5;

/// Lines of a change that are shown.
pub(crate) const CHANGE: usize = 20;

/// Tools at work that are remembered: those of a log whose ends are missing are forgotten.
const MOST: usize = 256;

/// The tools that are at work.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    running: VecDeque<ToolStart>,
}

impl Tools {
    /// One begins.
    pub(crate) fn start(&mut self, tool: &ToolStart) {
        if self.running.len() == MOST {
            self.running.pop_front();
        }
        self.running.push_back(tool.clone());
    }

    /// One has ended: the lines that say so. `whole`: all of its result.
    pub(crate) fn end(
        &mut self,
        tool: &ToolEnd,
        look: &Look,
        columns: usize,
        whole: bool,
    ) -> Vec<Line> {
        let at = self.running.iter().position(|start| start.call == tool.call);
        let start = at.and_then(|at| self.running.remove(at));
        let mut lines = vec![head(tool, start.as_ref(), look.ui.screen_reader, columns)];
        if look.ui.density == Density::Compact && !whole {
            return lines;
        }
        let most = |most| if whole { usize::MAX } else { most };
        let change = start.as_ref().and_then(change).filter(|_| tool.success);
        match change {
            Some(change) => lines.extend(changed(&change, most(CHANGE), columns)),
            None if is_diff(&tool.result) => {
                lines.extend(changed(&tool.result, most(CHANGE), columns));
            }
            None => {
                let dim = |line: &str| Line::of(line, Role::Dim);
                let result = if whole { &tool.result } else { printed(tool) };
                let failed = !tool.success || exit_code(tool).is_some_and(|code| code != 0);
                if failed && !whole {
                    lines.extend(last(result, RESULT, columns, dim));
                } else {
                    lines.extend(first(result, most(RESULT), columns, dim));
                }
            }
        }
        lines
    }
}

/// That a tool has ended, in a line. `aloud`: in words alone.
pub(super) fn head(tool: &ToolEnd, start: Option<&ToolStart>, aloud: bool, columns: usize) -> Line {
    let red = exit_code(tool).filter(|code| *code != 0);
    let (mark, role) = match (tool.success, aloud) {
        (true, false) if red.is_some() => ("! ", Role::Bad),
        (true, false) => ("✓ ", Role::Good),
        (false, false) => ("✗ ", Role::Bad),
        (true, true) => ("done: ", Role::Good),
        (false, true) => ("failed: ", Role::Bad),
    };
    let name = clean(&tool.name);
    let red = red.map(|code| format!("  exit {code}")).unwrap_or_default();
    let took = duration(tool.duration_ms);
    let room = columns.saturating_sub(width(mark) + width(&name) + width(&red) + width(&took) + 4);
    let about = start.and_then(telling).map(|text| cut(&brief(text, 500), room));
    let mut line = Line::of(mark, role).and(name, Style::BOLD);
    if let Some(about) = about.filter(|about| !about.is_empty()) {
        line = line.and(format!("  {about}"), Role::Text);
    }
    line.and(red, Role::Bad).and(format!("  {took}"), Role::Dim)
}

/// What a command of a tool exited with: the Copilot CLI calls the tool a success whatever it
/// is, and says it in the last line of the result, `<… exit code 1>`.
pub(crate) fn exit_code(tool: &ToolEnd) -> Option<i32> {
    let last = tool.result.trim_end().lines().next_back()?;
    let inside = last.strip_prefix('<')?.strip_suffix('>')?;
    inside.rsplit_once("exit code ")?.1.parse().ok()
}

/// What a tool printed, without the line that [`exit_code`] reads.
fn printed(tool: &ToolEnd) -> &str {
    let text = tool.result.trim_end();
    match exit_code(tool) {
        Some(_) => text.rsplit_once('\n').map_or("", |(text, _)| text),
        None => text,
    }
}

/// As much of a text as so many columns hold.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let (mut kept, mut left) = (String::new(), columns.saturating_sub(1));
    for (cluster, wide) in super::wrap::clusters(text) {
        if wide > left {
            break;
        }
        left -= wide;
        kept.push_str(cluster);
    }
    kept + "…"
}

/// The change that a tool was given, as lines of a diff: by the arguments that tools which
/// write files use.
pub(crate) fn change(tool: &ToolStart) -> Option<String> {
    let argument =
        |names: &[&str]| names.iter().find_map(|name| tool.arguments.get(name)?.as_str());
    let marked = |mark: &str, text: &str| -> String {
        text.lines().flat_map(|line| [mark, line, "\n"]).collect()
    };
    let new = argument(&["new_str", "new_string", "file_text", "insert_line_text"]);
    let old = argument(&["old_str", "old_string"]);
    if old.is_some() || new.is_some() {
        return Some(marked("-", old.unwrap_or_default()) + &marked("+", new.unwrap_or_default()));
    }
    let patch = tool.arguments.as_str().or_else(|| argument(&["patch", "input", "diff"]))?;
    is_diff(patch).then(|| patch.to_owned())
}

/// The first `most` lines of a change, coloured as a diff is.
pub(crate) fn changed(text: &str, most: usize, columns: usize) -> Vec<Line> {
    first(text, most, columns, diff)
}

/// The first `most` lines of a text, indented, each as `of` makes it; all of them broken to so
/// many columns where there is no end to `most`.
pub(super) fn first(
    text: &str,
    most: usize,
    columns: usize,
    mut of: impl FnMut(&str) -> Line,
) -> Vec<Line> {
    let text = text.trim_start_matches('\n').trim_end();
    let margin = Line::of("  ", Role::Text);
    let margin = Margin { first: &margin, rest: &margin };
    let mut lines = Vec::new();
    for line in text.lines().take(most) {
        let line = clean(line).replace('\t', "    ");
        let mut broken = code(&of(&line).spans, margin, columns);
        if most < usize::MAX {
            // What does not fit is left out: it is a glance and not the text.
            broken.truncate(1);
        }
        lines.extend(broken);
    }
    let more = text.lines().count().saturating_sub(most);
    if more > 0 {
        let words = if more == 1 { "line" } else { "lines" };
        lines.push(Line::of(format!("  … {more} more {words}"), Role::Dim));
    }
    lines
}

/// The last `most` lines of a text: where something failed, they say why.
fn last(text: &str, most: usize, columns: usize, of: impl FnMut(&str) -> Line) -> Vec<Line> {
    let text = text.trim_end();
    let before = text.lines().count().saturating_sub(most);
    let words = if before == 1 { "line" } else { "lines" };
    let mark = (before > 0).then(|| Line::of(format!("  … {before} {words} before"), Role::Dim));
    let rest: String = text.lines().skip(before).flat_map(|line| [line, "\n"]).collect();
    mark.into_iter().chain(first(&rest, most, columns, of)).collect()
}

#[cfg(test)]
mod tests {
    use copex_proto::config::Ui;
    use serde_json::json;

    use super::*;

    fn shown(arguments: serde_json::Value, result: &str, ui: Ui, whole: bool) -> String {
        let mut tools = Tools::default();
        let (call, name) = ("c".to_owned(), "bash".to_owned());
        tools.start(&ToolStart { call: call.clone(), name: name.clone(), arguments });
        let result = result.to_owned();
        let end = ToolEnd { call, name, success: true, result, duration_ms: 3_200 };
        let lines = tools.end(&end, &Look::plain(ui), 40, whole);
        lines.iter().map(|line| line.plain() + "\n").collect()
    }

    #[test]
    fn a_tool_is_a_line_and_the_first_lines_of_its_result() {
        let (extended, compact) =
            (Ui::default(), Ui { density: Density::Compact, ..Ui::default() });
        let command = json!({ "command": "npm test" });
        let result = "1\n2\n3\n4\n5\n6\n7\n";
        let head = "✓ bash  npm test  3.2 s\n";
        assert_eq!(shown(command.clone(), result, compact, false), head);
        let wanted = format!("{head}  1\n  2\n  3\n  4\n  5\n  … 2 more lines\n");
        assert_eq!(shown(command.clone(), result, extended, false), wanted);
        let whole = format!("{head}  1\n  2\n  3\n  4\n  5\n  6\n  7\n");
        assert_eq!(shown(command, result, compact, true), whole);
        let long = json!({ "command": "x".repeat(100) });
        assert_eq!(width(shown(long, "", extended, false).trim_end()), 40);
        let reader = Ui { screen_reader: true, ..extended };
        assert_eq!(shown(json!({}), "", reader, false), "done: bash  3.2 s\n");
    }

    #[test]
    fn a_command_that_failed_is_no_success() {
        let command = json!({ "command": "npm test" });
        let red = "1 failed\n<shellId: 0 completed with exit code 1>";
        let (ui, head) = (Ui::default(), "! bash  npm test  exit 1  3.2 s\n");
        assert_eq!(shown(command.clone(), red, ui, false), format!("{head}  1 failed\n"));
        let whole = shown(command.clone(), red, ui, true);
        assert!(whole.contains("exit code 1"), "{whole}");
        let many = "1\n2\n3\n4\n5\n6\n7\n<exited with exit code 2>";
        let head = "! bash  npm test  exit 2  3.2 s\n";
        let wanted = format!("{head}  … 2 lines before\n  3\n  4\n  5\n  6\n  7\n");
        assert_eq!(shown(command.clone(), many, ui, false), wanted);
        let green = "<shellId: 0 completed with exit code 0>";
        assert_eq!(shown(command.clone(), green, ui, false), "✓ bash  npm test  3.2 s\n");
        for other in ["exit code 1", "<exit code 1", "<exit code x>", "<exit code 1>\nmore", ""] {
            let head = "✓ bash  npm test  3.2 s\n";
            assert!(shown(command.clone(), other, ui, false).starts_with(head), "{other}");
        }
    }

    #[test]
    fn a_change_is_shown_as_one() {
        let edit = json!({ "path": "a.rs", "old_str": "a\nb", "new_str": "a\nc" });
        let wanted = "✓ bash  a.rs  3.2 s\n  -a\n  -b\n  +a\n  +c\n";
        assert_eq!(shown(edit, "File a.rs updated.", Ui::default(), false), wanted);
        let mut tools = Tools::default();
        let end = ToolEnd {
            call: "c".to_owned(),
            name: "git".to_owned(),
            success: false,
            result: "@@ -1 +1 @@\n-a\n+b".to_owned(),
            duration_ms: 1,
        };
        let lines = tools.end(&end, &Look::plain(Ui::default()), 40, false);
        let roles: Vec<_> =
            lines.iter().map(|line| line.spans.last().unwrap().style.role).collect();
        assert_eq!(roles, [Role::Dim, Role::Hunk, Role::Removed, Role::Added]);
    }
}
