//! A plan file, read strictly: what is not understood is an error with its line.

use std::ops::Range;

use super::print::{INDENT, block};
use super::{MOST_BYTES, Mark, Plan, PlanError, PlanStep, check};

/// What a line at the left edge is.
pub(super) enum Line<'a> {
    /// It begins a step.
    Step(Head<'a>),
    /// It has a box that cannot be read as a step's.
    Broken(String),
    /// Anything else.
    Other,
}

/// The first line of a step.
pub(super) struct Head<'a> {
    /// Where the sign in its box is.
    pub(super) sign: Range<usize>,
    pub(super) mark: Mark,
    /// Absent where a person did not number it.
    pub(super) number: Option<u32>,
    pub(super) title: &'a str,
}

/// Reads a line.
pub(super) fn line(line: &str) -> Line<'_> {
    let Some(rest) = ["- [", "* [", "+ ["].iter().find_map(|begin| line.strip_prefix(begin)) else {
        return Line::Other;
    };
    let mut chars = rest.chars();
    let (sign, end) = (chars.next(), chars.next());
    if sign == Some(']') {
        return Line::Broken("the box is empty; it is `[ ]`, with a space".to_owned());
    }
    let (Some(sign), Some(']')) = (sign, end) else {
        return Line::Other;
    };
    let Some(mark) = Mark::of(sign) else {
        let reason = format!("`[{sign}]` is no box: it is `[ ]`, `[x]`, `[-]` or `[!]`");
        return Line::Broken(reason);
    };
    let begin = line.len() - rest.len();
    let after = chars.as_str();
    if !after.starts_with([' ', '\t']) && !after.is_empty() {
        // `- [x](link)` and the like.
        return Line::Other;
    }
    let text = after.trim();
    let text = text.strip_prefix("**").and_then(|it| it.strip_suffix("**")).unwrap_or(text).trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &text[digits..];
    let numbered = rest.strip_prefix(['.', ')', ':']).filter(|_| digits > 0);
    let (number, title) = match numbered {
        Some(title) => match text[..digits].parse() {
            Ok(number) => (Some(number), title.trim()),
            Err(_) => return Line::Broken(format!("the number {} is too big", &text[..digits])),
        },
        None => (None, text),
    };
    Line::Step(Head { sign: begin..begin + sign.len_utf8(), mark, number, title })
}

/// Whether a line of the task must be quoted to be read as one.
pub(super) fn needs_quote(text: &str) -> bool {
    text.starts_with('>') || text.starts_with('#') || !matches!(line(text), Line::Other)
}

/// A step that is being read.
struct Open {
    step: PlanStep,
    line: usize,
    /// Whether lines may still be about the step and not of its detail.
    head: bool,
    detail: Vec<String>,
}

/// Reads the file.
pub(super) fn plan(text: &str) -> Result<Plan, PlanError> {
    if text.len() > MOST_BYTES {
        return Err(PlanError::new(format!("it is longer than {MOST_BYTES} bytes")));
    }
    let mut task: Vec<&str> = Vec::new();
    let mut steps: Vec<Open> = Vec::new();
    for (index, raw) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let number = index + 1;
        match line(raw) {
            Line::Broken(reason) => return Err(PlanError::at(number, reason)),
            Line::Step(head) => steps.push(open(&head, number)?),
            Line::Other => match steps.last_mut() {
                Some(step) => add(step, raw, number)?,
                None if task.is_empty() && raw.starts_with("# ") => {}
                None => task.push(unquoted(raw)),
            },
        }
    }
    let lines: Vec<usize> = steps.iter().map(|step| step.line).collect();
    let mut next = 1;
    let mut read = Vec::with_capacity(steps.len());
    for Open { mut step, detail, .. } in steps {
        if step.number == 0 {
            step.number = next;
        }
        next = step.number.saturating_add(1);
        step.detail = block(&detail.join("\n"));
        step.depends_on.sort_unstable();
        step.depends_on.dedup();
        read.push(step);
    }
    check::check(&read, |index| lines.get(index).copied())?;
    Ok(Plan { task: block(&task.join("\n")), steps: read })
}

/// A line of the task; one that was quoted so as not to be taken for another thing is not
/// quoted any more.
fn unquoted(raw: &str) -> &str {
    match raw.strip_prefix("> ") {
        Some(rest) if needs_quote(rest) => rest,
        _ => raw,
    }
}

fn open(head: &Head<'_>, line: usize) -> Result<Open, PlanError> {
    if head.title.is_empty() {
        return Err(PlanError::at(line, "the step has no title"));
    }
    if head.number == Some(0) {
        return Err(PlanError::at(line, "a step has the number 0; they begin with 1"));
    }
    let step = PlanStep {
        number: head.number.unwrap_or_default(),
        title: head.title.split_whitespace().collect::<Vec<_>>().join(" "),
        mark: head.mark,
        ..PlanStep::default()
    };
    Ok(Open { step, line, head: true, detail: Vec::new() })
}

fn add(open: &mut Open, raw: &str, line: usize) -> Result<(), PlanError> {
    if raw.trim().is_empty() {
        open.head = false;
        open.detail.push(String::new());
        return Ok(());
    }
    if open.head {
        let text = raw.trim().trim_start_matches(['-', '*']).trim_start();
        match text.split_once(':').map(|(key, value)| (key.trim(), value.trim())) {
            Some(("depends_on" | "depends on" | "needs", value)) => {
                let numbers = numbers(value).map_err(|reason| PlanError::at(line, reason))?;
                open.step.depends_on.extend(numbers);
                return Ok(());
            }
            Some(("verify", command)) => {
                let code = command.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
                let command = code.unwrap_or(command).trim();
                if command.is_empty() {
                    return Err(PlanError::at(line, "verify has no command"));
                }
                open.step.verify.push(command.to_owned());
                return Ok(());
            }
            _ => open.head = false,
        }
    }
    // Text at the left edge belongs to the step too: an editor may have undone the indent.
    open.detail.push(raw.strip_prefix(INDENT).unwrap_or(raw).to_owned());
    Ok(())
}

fn numbers(value: &str) -> Result<Vec<u32>, String> {
    let value = value.trim_matches(['[', ']']);
    if value.is_empty() || value.eq_ignore_ascii_case("none") || value == "-" {
        return Ok(Vec::new());
    }
    let number = |text: &str| {
        let text = text.trim();
        let bare = text.trim_start_matches("step").trim_start_matches("Step").trim();
        let bare = bare.trim_start_matches('#');
        bare.parse().map_err(|_| format!("`{text}` is not the number of a step"))
    };
    value.split(',').map(number).collect()
}
