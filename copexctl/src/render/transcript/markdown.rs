//! A log as a Markdown document.

use std::fmt::Write as _;

use super::fold::Block;
use crate::render::markdown::code::is_diff;
use crate::render::tools::exit_code;
use crate::render::{brief, duration, telling};

/// A block, with an empty line behind it.
pub(crate) fn block(block: &Block) -> String {
    match block {
        Block::User(text) => format!("## User\n\n{}\n\n", text.trim_end()),
        Block::Answer(text) => format!("## Copilot\n\n{}\n\n", text.trim_end()),
        Block::Reasoning(text) => {
            let quoted: Vec<_> = text.trim().lines().map(|line| format!("> {line}")).collect();
            format!("{}\n\n", quoted.join("\n"))
        }
        Block::Note(text) => format!("*{}*\n\n", escaped(text)),
        Block::Tool(start, end) => {
            let red = exit_code(end).filter(|code| *code != 0);
            let mark = match (end.success, red) {
                (true, None) => '✓',
                (true, Some(_)) => '!',
                (false, _) => '✗',
            };
            let mut text = format!("{mark} **{}**", escaped(&end.name));
            if let Some(about) = start.as_ref().and_then(telling) {
                let about = brief(about, 200);
                let ticks = fence(&about, 1);
                let _ = write!(text, " {ticks} {about} {ticks}");
            }
            if let Some(code) = red {
                let _ = write!(text, " exit {code}");
            }
            let _ = write!(text, " ({})\n\n", duration(end.duration_ms));
            let result = end.result.trim_end();
            if !result.is_empty() {
                let ticks = fence(result, 3);
                let info = if is_diff(result) { "diff" } else { "" };
                let _ = write!(text, "{ticks}{info}\n{result}\n{ticks}\n\n");
            }
            text
        }
    }
}

/// More backticks than stand together anywhere in the text.
fn fence(text: &str, least: usize) -> String {
    let (mut most, mut run) = (0, 0);
    for char in text.chars() {
        run = if char == '`' { run + 1 } else { 0 };
        most = most.max(run);
    }
    "`".repeat(least.max(most + 1))
}

fn escaped(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for char in text.chars() {
        if "\\`*_[]<>&#|~".contains(char) {
            kept.push('\\');
        }
        kept.push(if char == '\n' { ' ' } else { char });
    }
    kept
}

#[cfg(test)]
mod tests {
    use copex_proto::event::ToolEnd;

    use super::*;

    #[test]
    fn what_a_tool_gave_stays_in_its_fence() {
        let end = ToolEnd {
            call: String::new(),
            name: "a_b".to_owned(),
            success: true,
            result: "x\n```\ny\n".to_owned(),
            duration_ms: 5,
        };
        let text = block(&Block::Tool(None, end));
        assert_eq!(text, "✓ **a\\_b** (5 ms)\n\n````\nx\n```\ny\n````\n\n");
        assert_eq!(block(&Block::Note("a *b*".to_owned())), "*a \\*b\\**\n\n");
        assert_eq!(block(&Block::User("hi\n".to_owned())), "## User\n\nhi\n\n");
    }
}
