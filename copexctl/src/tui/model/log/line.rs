//! What an event says, where it is a line of its own.

use copex_proto::event::{AnsweredBy, EventBody, StepState};
use copex_proto::run::RunState;

use super::{LINE, Mark};
use crate::answer;
use crate::render::tally::standing;
use crate::render::{brief, duration, held_back};

/// Events that are a line of their own.
pub(super) fn line(body: &EventBody) -> Option<(Mark, String)> {
    let some = |mark, text: String| Some((mark, text));
    match body {
        EventBody::Accepted(accepted) => some(Mark::Said, accepted.title.clone()),
        EventBody::Steered { text } => some(Mark::Said, text.clone()),
        EventBody::Iteration { number, max } => {
            some(Mark::Head, format!("iteration {number} of {max}"))
        }
        EventBody::Step(step) => {
            let words = match step.state {
                StepState::Pending => return None,
                StepState::Running => "begins",
                StepState::Done => "is done",
                StepState::Failed => "failed",
                StepState::Skipped => "is left out",
                StepState::Blocked => "is blocked",
            };
            let mark = match step.state {
                StepState::Done => Mark::Good,
                StepState::Failed | StepState::Blocked => Mark::Bad,
                _ => Mark::Head,
            };
            some(
                mark,
                format!("step {}: {} {words}{}", step.number, step.title, why(step.note.as_ref())),
            )
        }
        EventBody::Task(task) if task.state != RunState::Queued => {
            let took = task.duration_ms.map(|ms| format!(" after {}", duration(ms)));
            let words = format!("{} {}", task.id, standing(task.state));
            let took = took.unwrap_or_default();
            some(of_state(task.state), format!("{words}{took}{}", why(task.note.as_ref())))
        }
        EventBody::Member { name, state, stage, note } if *state != RunState::Queued => {
            let stage = stage.as_ref().map(|stage| format!("{stage} of ")).unwrap_or_default();
            let words = format!("{stage}{name} {}{}", standing(*state), why(note.as_ref()));
            some(of_state(*state), words)
        }
        EventBody::Retrying(retry) => {
            let wait = duration(retry.delay_ms);
            let words = match held_back(retry) {
                Some(what) => format!("waits {wait} for {what}"),
                None => format!("try {} in {wait}", retry.attempt),
            };
            some(Mark::Note, format!("{words}: {}", retry.error.message))
        }
        EventBody::Fallback { from, to, reason } => {
            some(Mark::Note, format!("{to} takes over from {from}: {reason}"))
        }
        EventBody::Parked { reason, .. } => some(Mark::Note, format!("parked: {reason}")),
        EventBody::Ask(ask) => some(Mark::Asks, answer::about(ask)),
        EventBody::Answered { answer, by, .. } => {
            let who = match by {
                AnsweredBy::Client => "answered",
                AnsweredBy::Timeout => "nobody answered in time",
            };
            some(Mark::Said, format!("{who}: {}", answer::words(answer, LINE)))
        }
        EventBody::Artifact { file, kind } => some(Mark::Note, format!("{kind}: {file}")),
        EventBody::Warning { message, .. } => some(Mark::Note, format!("warning: {message}")),
        EventBody::Done(outcome) => {
            some(Mark::Good, format!("done after {}", duration(outcome.duration_ms)))
        }
        body => {
            let ending = body.ending()?;
            let hint = ending.error.hint.as_ref().map(|hint| format!("\n{hint}"));
            some(Mark::Bad, format!("{}{}", ending.error.message, hint.unwrap_or_default()))
        }
    }
}

fn why(note: Option<&String>) -> String {
    note.map(|note| format!(": {}", brief(note, LINE))).unwrap_or_default()
}

fn of_state(state: RunState) -> Mark {
    match state {
        RunState::Done => Mark::Good,
        RunState::Failed | RunState::Blocked | RunState::Exhausted | RunState::Cancelled => {
            Mark::Bad
        }
        RunState::Asking => Mark::Asks,
        _ => Mark::Head,
    }
}
