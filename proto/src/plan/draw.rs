//! A plan as a picture in text.

use std::fmt::Write as _;
use std::str::FromStr;

use super::{Mark, Plan, PlanStep, waves};

/// The kinds of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawing {
    /// Boxes, group after group.
    Ascii,
    /// Each step with what it needs.
    Tree,
    /// A graph for Mermaid.
    Mermaid,
    /// A graph for Graphviz.
    Dot,
}

impl FromStr for Drawing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ascii" => Ok(Self::Ascii),
            "tree" => Ok(Self::Tree),
            "mermaid" | "dag" => Ok(Self::Mermaid),
            "dot" => Ok(Self::Dot),
            _ => Err("it is ascii, tree, mermaid or dot".to_owned()),
        }
    }
}

/// Characters of a title in a picture.
const TITLE_CHARS: usize = 60;

/// Draws it.
pub(super) fn plan(plan: &Plan, drawing: Drawing) -> String {
    match drawing {
        Drawing::Ascii => ascii(plan),
        Drawing::Tree => tree(plan),
        Drawing::Mermaid => mermaid(plan),
        Drawing::Dot => dot(plan),
    }
}

fn short(title: &str) -> String {
    match title.char_indices().nth(TITLE_CHARS) {
        Some((end, _)) => format!("{}…", title[..end].trim_end()),
        None => title.to_owned(),
    }
}

fn needs(step: &PlanStep) -> String {
    if step.depends_on.is_empty() {
        return String::new();
    }
    let numbers: Vec<String> = step.depends_on.iter().map(u32::to_string).collect();
    format!(" (after {})", numbers.join(", "))
}

fn ascii(plan: &Plan) -> String {
    let mut text = String::new();
    for (index, wave) in waves(&plan.steps).iter().enumerate() {
        if index > 0 {
            text.push_str("       |\n       v\n");
        }
        let lines: Vec<String> = wave
            .iter()
            .filter_map(|number| plan.step(*number))
            .map(|step| {
                let PlanStep { number, title, mark, .. } = step;
                format!("[{}] {number}. {}{}", mark.sign(), short(title), needs(step))
            })
            .collect();
        let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
        let edge = format!("+{}+\n", "-".repeat(width + 2));
        text.push_str(&edge);
        for line in lines {
            let _ = writeln!(text, "| {line}{} |", " ".repeat(width - line.chars().count()));
        }
        text.push_str(&edge);
    }
    text
}

fn tree(plan: &Plan) -> String {
    let mut text = format!("{}\n", short(plan.task.lines().next().unwrap_or("Plan")));
    for (index, step) in plan.steps.iter().enumerate() {
        let last = index + 1 == plan.steps.len();
        let (branch, bar) = if last { ("└─", "  ") } else { ("├─", "│ ") };
        let PlanStep { number, title, mark, verify, .. } = step;
        let _ =
            writeln!(text, "{branch} [{}] {number}. {}{}", mark.sign(), short(title), needs(step));
        for (index, command) in verify.iter().enumerate() {
            let branch = if index + 1 == verify.len() { "└─" } else { "├─" };
            let _ = writeln!(text, "{bar}   {branch} verify: {command}");
        }
    }
    text
}

/// A text inside quotes of a graph language.
fn quoted(text: &str) -> String {
    text.replace('\\', "/").replace('"', "'")
}

fn mermaid(plan: &Plan) -> String {
    let mut text = String::from("graph TD\n");
    for PlanStep { number, title, mark, .. } in &plan.steps {
        let class = match mark {
            Mark::Open => "",
            Mark::Done => ":::done",
            Mark::Failed => ":::failed",
            Mark::Skipped => ":::skipped",
        };
        let _ = writeln!(text, "    S{number}[\"{number}. {}\"]{class}", quoted(&short(title)));
    }
    for step in &plan.steps {
        for needed in &step.depends_on {
            let _ = writeln!(text, "    S{needed} --> S{}", step.number);
        }
    }
    text.push_str(
        "    classDef done fill:#cfc,stroke:#393\n    classDef failed fill:#fcc,stroke:#933\n    \
         classDef skipped fill:#eee,stroke:#999\n",
    );
    text
}

fn dot(plan: &Plan) -> String {
    let mut text = String::from("digraph plan {\n    node [shape=box];\n");
    for PlanStep { number, title, mark, .. } in &plan.steps {
        let color = match mark {
            Mark::Open => "white",
            Mark::Done => "palegreen",
            Mark::Failed => "mistyrose",
            Mark::Skipped => "lightgrey",
        };
        let _ = writeln!(
            text,
            "    {number} [label=\"{number}. {}\", style=filled, fillcolor={color}];",
            quoted(&short(title))
        );
    }
    for step in &plan.steps {
        for needed in &step.depends_on {
            let _ = writeln!(text, "    {needed} -> {};", step.number);
        }
    }
    text.push_str("}\n");
    text
}
