//! What the agent is told in each iteration.

use std::fmt::Write as _;

use super::promise::{QUESTION, REASON};
use super::{Context, RalphSpec};
use crate::core::machine::GateResult;
use crate::core::turn::clip;

/// Bytes of the outputs of all red gates together that the agent gets, of each its head and
/// its tail. Failures stand at the end; more costs tokens in every later turn of the session.
const FEEDBACK_BYTES: usize = 16 * 1024;

/// The prompt of an iteration.
pub(super) fn iteration(spec: &RalphSpec, (number, max): (u32, u32), feedback: &str) -> String {
    let mut text = format!("[Iteration {number} of at most {max}]\n\n");
    let where_ = match spec.context {
        Context::Same => "in this conversation and in the working folder",
        Context::Fresh | Context::FreshEvery(_) => "in the working folder",
    };
    let _ = writeln!(
        text,
        "You work in a loop: the task below is given to you in every iteration. What you did \
         before is {where_}: look at it and go on from there."
    );
    if let Some(promise) = &spec.promise {
        let _ = writeln!(
            text,
            "Once the task is done, and only if that is really true, end your answer with a \
             line of its own that says <promise>{promise}</promise> and with nothing after it."
        );
    }
    if !spec.gates.is_empty() {
        let gates: Vec<_> = spec.gates.iter().map(|gate| format!("`{gate}`")).collect();
        let _ = writeln!(
            text,
            "After each answer copex runs in the working folder: {}. The loop ends only when \
             all of that exits 0.",
            gates.join(", ")
        );
    }
    let _ = writeln!(
        text,
        "If nothing you can do would help, say why in <blocked>{REASON}</blocked>. If only a \
         person can decide how to go on, ask in <needs-human>{QUESTION}</needs-human>."
    );
    if !feedback.is_empty() {
        let _ = write!(text, "\nAbout the iteration before:\n{feedback}\n");
    }
    let _ = write!(text, "\n---\n\n{}", spec.task);
    text
}

/// What the gates and the missing promise mean for the next iteration.
pub(super) fn not_done(spec: &RalphSpec, gates: &[GateResult], promised: bool) -> String {
    let mut text = String::new();
    let red: Vec<_> = gates.iter().filter(|gate| !gate.green()).collect();
    if !red.is_empty() && promised {
        text.push_str("You promised that the task is done, but it is not: a check failed.\n");
    }
    let share = FEEDBACK_BYTES / red.len().max(1);
    for gate in red {
        let command = spec.gates.get(gate.index).map_or("", String::as_str);
        let ended = match gate.exit_code {
            Some(code) => format!("exited with {code}"),
            None => "did not end by itself".to_owned(),
        };
        let output = clip(gate.output.trim_end(), share);
        let _ = write!(text, "`{command}` {ended}. It printed:\n{output}\n");
    }
    let green = text.is_empty() && !gates.is_empty();
    if let Some(promise) = spec.promise.as_ref().filter(|_| green && !promised) {
        let _ = writeln!(
            text,
            "All checks passed, but the promise is missing. If the task is really done, end \
             your answer with the line <promise>{promise}</promise>."
        );
    }
    text
}

/// What a loop that gets nowhere is told.
pub(super) const PIVOT: &str = "The last iterations changed nothing: the files, the checks and \
     your answers stayed the same. Do not repeat what you did. Find out what is in the way, \
     and try something quite different; if nothing is left, say that you are blocked.\n";

/// What follows a turn that failed.
pub(super) fn failed(why: &str) -> String {
    format!("It broke off: {why}. Look at what is there already before you go on.\n")
}

/// What a person said to a question.
pub(super) fn answered(question: &str, answer: &str) -> String {
    format!("You asked: {question}\nA person answers: {answer}\n")
}

/// What a person has to say between two iterations.
pub(super) fn told(words: &str) -> String {
    format!("A person says: {words}\n")
}
