//! A plan as a file, and a box that is ticked in one.

use std::fmt::Write as _;

use super::read::{self, Line};
use super::{Mark, Plan, PlanStep};

/// What stands before everything that belongs to a step.
pub(super) const INDENT: &str = "  ";

/// The file.
pub(super) fn plan(plan: &Plan) -> String {
    let mut text = String::from("# Plan\n");
    if !plan.task.is_empty() {
        text.push('\n');
        for line in plan.task.lines() {
            // A line that could be read as a step, or as quoted already.
            let quote = if read::needs_quote(line) { "> " } else { "" };
            text.push_str(format!("{quote}{line}").trim_end());
            text.push('\n');
        }
    }
    for each in &plan.steps {
        text.push('\n');
        step(&mut text, each);
    }
    text
}

fn step(text: &mut String, step: &PlanStep) {
    let PlanStep { number, title, detail, depends_on, verify, mark } = step;
    let _ = writeln!(text, "- [{}] **{number}. {title}**", mark.sign());
    if !depends_on.is_empty() {
        let numbers: Vec<String> = depends_on.iter().map(u32::to_string).collect();
        let _ = writeln!(text, "{INDENT}- depends_on: {}", numbers.join(", "));
    }
    for command in verify {
        let _ = writeln!(text, "{INDENT}- verify: `{command}`");
    }
    if !detail.is_empty() {
        text.push('\n');
        for line in detail.lines() {
            text.push_str(format!("{INDENT}{line}").trim_end());
            text.push('\n');
        }
    }
}

/// Text without empty lines around it and without space at the ends of lines, so that it can
/// be read as it was written. What stands before its first line stays.
pub(super) fn block(text: &str) -> String {
    let clean = |line: &str| {
        // What a terminal or an editor would show as another line or not at all.
        let line: String = line.chars().filter(|it| *it == '\t' || !it.is_control()).collect();
        line.trim_end().to_owned()
    };
    let lines: Vec<String> = text.lines().map(clean).collect();
    let first = lines.iter().position(|line| !line.is_empty());
    let last = lines.iter().rposition(|line| !line.is_empty());
    match (first, last) {
        (Some(first), Some(last)) => lines[first..=last].join("\n"),
        _ => String::new(),
    }
}

/// The same file with another sign in the box of one step, and nothing else changed; nothing
/// where the step is not in it.
pub fn mark(text: &str, number: u32, mark: Mark) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let (mut found, mut next) = (false, 1);
    for raw in text.split_inclusive('\n') {
        let line = raw.trim_end_matches(['\n', '\r']);
        let Line::Step(head) = read::line(line) else {
            out.push_str(raw);
            continue;
        };
        // One that a person did not number follows the one before it.
        let here = head.number.unwrap_or(next);
        next = here.saturating_add(1);
        if here != number || found {
            out.push_str(raw);
            continue;
        }
        found = true;
        out.push_str(&raw[..head.sign.start]);
        out.push(mark.sign());
        out.push_str(&raw[head.sign.end..]);
    }
    found.then_some(out)
}
