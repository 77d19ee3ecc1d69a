//! Events in a line each.

use copex_proto::error::ErrorClass;
use copex_proto::event::{Outcome, Retrying, Step, StepState, ToolEnd, ToolStart};
use copex_proto::run::RunState;

use crate::render::theme::Look;
use crate::render::{brief, cost, duration, telling};

/// A line as it is told: without rules where it is read aloud, since they are for the eye.
pub(super) fn told(text: &str, look: Option<Look>) -> &str {
    let aloud = look.is_some_and(|look| look.ui.screen_reader);
    if aloud { text.trim_matches(['─', ' ']) } else { text }
}

/// A retry in a line, or a wait before anybody is asked.
pub(super) fn retry_line(retry: &Retrying) -> String {
    let (wait, why) = (duration(retry.delay_ms), brief(&retry.error.message, 100));
    match held_back(retry) {
        Some(what) => format!("waits {wait} for {what}: {why}"),
        None => format!("retry {} in {wait}: {why}", retry.attempt.saturating_sub(1)),
    }
}

/// What is waited for, where nobody was asked and so nothing failed.
pub(crate) fn held_back(retry: &Retrying) -> Option<&'static str> {
    let limit = retry.error.class == ErrorClass::RateLimit;
    retry.unasked.then_some(if limit { "the rate limit" } else { "the model's breaker" })
}

/// A step's new state in a line.
pub(super) fn step_line(step: &Step) -> String {
    let Step { number, total, title, state, note, left_ms, .. } = step;
    let state = match state {
        StepState::Pending => "is to be done",
        StepState::Running => "begins",
        StepState::Done => "is done",
        StepState::Failed => "failed",
        StepState::Skipped => "is skipped",
        StepState::Blocked => "is blocked",
    };
    let note = note.as_ref().map(|note| format!(": {}", brief(note, 200))).unwrap_or_default();
    let left = left_ms.map(|ms| format!(" (about {} left)", duration(ms))).unwrap_or_default();
    format!("── step {number} of {total} {state}: {}{note}{left} ──", brief(title, 80))
}

/// What a council's member does now, in a line.
pub(super) fn member_line(name: &str, state: RunState, stage: &str, note: Option<&str>) -> String {
    let state = match state {
        RunState::Running => "begins",
        RunState::Done => "is there",
        _ => "is missing",
    };
    let note = note.map(|note| format!(": {}", brief(note, 200))).unwrap_or_default();
    format!("── {name}: {stage} {state}{note} ──")
}

/// A tool begins.
pub(super) fn tool_start(tool: &ToolStart) -> String {
    match telling(tool) {
        Some(text) => format!("· {} {}", tool.name, brief(text, 90)),
        None => format!("· {}", tool.name),
    }
}

/// A tool failed.
pub(super) fn tool_failed(tool: &ToolEnd) -> String {
    format!("· {} failed: {}", tool.name, brief(&tool.result, 90))
}

/// What became of a check, with its last line where it failed.
pub(super) fn gate(
    command: &str,
    exit_code: Option<i32>,
    output: &str,
    duration_ms: u64,
) -> String {
    let (mark, ended) = match exit_code {
        Some(0) => ('✓', String::new()),
        Some(code) => ('✗', format!(" exit {code}")),
        None => ('✗', " killed".to_owned()),
    };
    let took = duration(duration_ms);
    let line = format!("{mark} {}{ended} ({took})", brief(command, 90));
    let last = output.trim_end().lines().next_back().filter(|_| exit_code != Some(0));
    match last {
        Some(last) if !last.trim().is_empty() => format!("{line}: {}", brief(last, 90)),
        _ => line,
    }
}

/// What came of a run, in a line.
pub(super) fn summary(outcome: &Outcome) -> String {
    let usage = &outcome.usage;
    let mut parts = Vec::new();
    parts.extend(outcome.model.clone());
    parts.extend(outcome.effort.map(|effort| format!("effort {}", effort.as_str())));
    parts.push(duration(outcome.duration_ms));
    // A log of another may not say.
    if usage.input_tokens + usage.output_tokens > 0 {
        parts.push(format!("{} in, {} out tokens", usage.input_tokens, usage.output_tokens));
    }
    parts.extend(cost(usage));
    let counted = [
        (outcome.iterations.unwrap_or_default(), "iteration", "iterations"),
        (outcome.tools, "tool", "tools"),
        (outcome.retries, "retry", "retries"),
        (outcome.fallbacks, "fallback", "fallbacks"),
    ];
    for (count, one, many) in counted {
        if count > 0 {
            parts.push(format!("{count} {}", if count == 1 { one } else { many }));
        }
    }
    parts.join(" · ")
}

#[cfg(test)]
pub(crate) mod tests {
    use copex_proto::error::ErrorInfo;

    use super::*;

    /// A wait before anybody was asked, for this class of failure.
    pub(crate) fn wait(class: ErrorClass) -> Retrying {
        let error = ErrorInfo::new(class, "m1 is limited for 5 s");
        Retrying { attempt: 1, error, delay_ms: 4_400, unasked: true }
    }

    #[test]
    fn who_was_not_asked_is_not_asked_again() {
        let held = wait(ErrorClass::RateLimit);
        assert_eq!(retry_line(&held), "waits 4.4 s for the rate limit: m1 is limited for 5 s");
        let shut = retry_line(&wait(ErrorClass::Server));
        assert!(shut.starts_with("waits 4.4 s for the model's breaker: "), "{shut}");
        let asked = Retrying { attempt: 3, unasked: false, ..held };
        assert!(retry_line(&asked).starts_with("retry 2 in 4.4 s: "));
    }
}
