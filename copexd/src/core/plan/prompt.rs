//! What the agent is told: when it plans, and in each step.

use std::fmt::Write as _;

use super::outline::{Mark, Outline, Step};
use super::progress::Progress;
use crate::core::turn::clip;

/// Bytes of what the steps before left that a step is told, all together. More would crowd
/// out the step itself.
const BEFORE_BYTES: usize = 16 * 1024;

/// Bytes of one step's answer that the steps after it are told.
pub(super) const ANSWER_BYTES: usize = 2 * 1024;

/// How an answer has to look.
const FORM: &str = r#"Answer with one JSON object in a ```json block, and with nothing after it:

```json
{"steps": [{"title": "…", "detail": "…", "depends_on": [], "verify": "…"}]}
```

- `title`: what is done in the step, in one line.
- `detail`: what whoever does it has to know: files, interfaces, decisions. They see the titles of the other steps, and not how you came to the plan.
- `depends_on`: numbers of the steps that must be done before, counted from 1. Name only those that are really needed: steps that do not need each other may be done side by side.
- `verify`: a shell command that exits 0 only once the step is really done; it is run in the working folder. Leave it out where nothing can be checked."#;

/// The first prompt of planning.
pub(super) fn draft(task: &str) -> String {
    format!(
        "Make a plan for the task below. Look at the working folder as far as you need to, and \
         change nothing: that comes later, step by step. 3 to 10 steps are usual; each is a \
         piece of work that can be done and checked by itself.\n\n{FORM}\n\n---\n\n{task}"
    )
}

/// What follows an answer that is no plan.
pub(super) fn again(reason: &str) -> String {
    format!("Your answer cannot be read as a plan: {reason}.\n\n{FORM}")
}

/// What follows a person's words on the plan.
pub(super) fn revise(outline: &Outline, words: &str, only: Option<u32>) -> String {
    let what = match only {
        Some(number) => format!(
            "Change step {number} accordingly, and give all steps again with the others as they are."
        ),
        None => "Change the plan accordingly, and give all of it again.".to_owned(),
    };
    format!(
        "This is the plan now; the file may have been edited since you made it:\n\n{}\n\n\
         The person you make it for says: {words}\n\n{what} Steps are counted from 1 in the \
         order of your list.\n\n{FORM}",
        outline.text
    )
}

/// The promise of a step, as Python copex has it.
pub(super) fn promise(number: u32) -> String {
    format!("Step {number} complete")
}

/// The task of a step.
pub(super) fn step(progress: &Progress, step: &Step) -> String {
    let Step { number, title, detail, .. } = step;
    let outline = &progress.outline;
    let mut text = format!("{}\n\nThere is a plan for this:\n", outline.task.trim());
    for each in &outline.steps {
        let state = match each.mark {
            Mark::Done => "done",
            Mark::Skipped => "left out",
            Mark::Open | Mark::Failed if each.number == *number => "YOURS",
            Mark::Open | Mark::Failed => "to be done by others",
        };
        let _ = writeln!(text, "{}. {} ({state})", each.number, each.title);
    }
    let before = before(progress);
    if !before.is_empty() {
        let _ = write!(text, "\nWhat those say who did the steps before:\n{before}");
    }
    let _ = write!(
        text,
        "\nDo step {number} now, and nothing of the other steps:\n\n{number}. {title}\n"
    );
    if !detail.is_empty() {
        let _ = write!(text, "\n{detail}\n");
    }
    text
}

fn before(progress: &Progress) -> String {
    let done = progress.outline.steps.iter().filter(|step| step.mark == Mark::Done);
    let told: Vec<(u32, &str)> = done
        .filter_map(|step| Some((step.number, progress.steps.get(&step.number)?.answer.trim())))
        .filter(|(_, answer)| !answer.is_empty())
        .collect();
    let share = (BEFORE_BYTES / told.len().max(1)).min(ANSWER_BYTES);
    let mut text = String::new();
    for (number, answer) in told {
        let _ = writeln!(text, "Step {number}: {}", clip(answer, share));
    }
    text
}

/// What a person says to a step that is tried again.
pub(super) fn advice(words: &str) -> String {
    format!("It is tried again. A person says: {words}\n")
}
