//! The one place where the core's facts become wire events.

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::event::{
    Answer, AnsweredBy, Ask, AskKind, Attempt, Ending, EventBody, Outcome, Retrying, Step,
    StepState, Task, ToolEnd, ToolStart, Usage,
};
use copex_proto::id::{AskId, SessionId};
use copex_proto::run::{Effort, RunState};

use super::council;
use crate::core::effort;
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::{
    self, End, Fact, Question, Reply, Resolution, StepFact, TaskFact, TaskState, Verdict,
};
use crate::core::signal::CallUsage;

/// Bytes of one merged delta. A delta event stays small enough to be shown at once.
const MERGED_BYTES: usize = 4 * 1024;

/// Facts as events, each where it was. Deltas that follow each other in one place become one,
/// up to 4 KiB.
pub fn bodies(facts: Vec<(Option<String>, Fact)>) -> Vec<(Option<String>, EventBody)> {
    let mut bodies: Vec<(Option<String>, EventBody)> = Vec::with_capacity(facts.len());
    for (path, fact) in facts {
        let body = body(fact);
        let last = bodies.last_mut().filter(|(before, _)| *before == path);
        match (last.map(|(_, last)| last), &body) {
            (
                Some(EventBody::MessageDelta { text: last }),
                EventBody::MessageDelta { text: next },
            )
            | (
                Some(EventBody::ReasoningDelta { text: last }),
                EventBody::ReasoningDelta { text: next },
            ) if last.len() + next.len() <= MERGED_BYTES => last.push_str(next),
            _ => bodies.push((path, body)),
        }
    }
    bodies
}

fn body(fact: Fact) -> EventBody {
    match fact {
        Fact::Running => EventBody::State { state: RunState::Running },
        Fact::Asking => EventBody::State { state: RunState::Asking },
        Fact::Attempt { number, backend, session, model, effort } => EventBody::Attempt(Attempt {
            number,
            model,
            effort: effort.map(wire_effort),
            backend,
            session: SessionId(session),
        }),
        Fact::Fallback { from, to, reason } => EventBody::Fallback { from, to, reason },
        Fact::Parked { reason, until, needs_key } => {
            EventBody::Parked { reason, until: Some(until), needs_key }
        }
        Fact::Steered(text) => EventBody::Steered { text },
        Fact::MessageDelta(text) => EventBody::MessageDelta { text },
        Fact::Message(text) => EventBody::Message { text },
        Fact::ReasoningDelta(text) => EventBody::ReasoningDelta { text },
        Fact::ToolStart { call, name, arguments } => {
            EventBody::ToolStart(ToolStart { call, name, arguments })
        }
        Fact::ToolEnd { call, name, success, result, duration_ms } => {
            EventBody::ToolEnd(ToolEnd { call, name, success, result, duration_ms })
        }
        Fact::Usage(usage) => EventBody::Usage(wire_usage(&usage)),
        Fact::Retrying { attempt, failure, delay_ms } => {
            let (error, unasked) = (error_info(&failure), failure.unasked);
            EventBody::Retrying(Retrying { attempt, error, delay_ms, unasked })
        }
        Fact::Restarted(reason) => EventBody::Restarted { reason },
        Fact::Ask(question) => EventBody::Ask(wire_ask(question)),
        Fact::Answered(resolution) => answered(resolution),
        Fact::Iteration { number, max } => EventBody::Iteration { number, max },
        Fact::GateStart { command } => EventBody::GateStart { command },
        Fact::Gate { command, result } => EventBody::Gate {
            command,
            exit_code: result.exit_code,
            output: result.output,
            duration_ms: result.duration_ms,
        },
        Fact::Step(step) => EventBody::Step(wire_step(step)),
        Fact::Member(member) => council::wire_member(member),
        Fact::Task(task) => EventBody::Task(wire_task(task)),
        Fact::Artifact { file, kind } => EventBody::Artifact { file, kind },
        Fact::Warning { code, message } => EventBody::Warning { code, message },
    }
}

/// The terminal event of a run that took so many milliseconds.
pub fn terminal(end: End, took_ms: u64) -> EventBody {
    let outcome = wire_outcome(end.outcome, took_ms);
    let ending = |failure: &Failure, outcome| Ending { error: error_info(failure), outcome };
    match &end.verdict {
        Verdict::Done => EventBody::Done(outcome),
        Verdict::Failed(failure) => EventBody::Failed(ending(failure, outcome)),
        Verdict::Blocked(failure) => EventBody::Blocked(ending(failure, outcome)),
        Verdict::Exhausted(failure) => EventBody::Exhausted(ending(failure, outcome)),
        Verdict::Cancelled(failure) => EventBody::Cancelled(ending(failure, outcome)),
    }
}

/// The state that an event puts its run into, if it does.
pub fn state_after(body: &EventBody) -> Option<RunState> {
    match body {
        EventBody::State { state } => Some(*state),
        EventBody::Parked { .. } => Some(RunState::Parked),
        EventBody::Done(_) => Some(RunState::Done),
        EventBody::Failed(_) => Some(RunState::Failed),
        EventBody::Blocked(_) => Some(RunState::Blocked),
        EventBody::Exhausted(_) => Some(RunState::Exhausted),
        EventBody::Cancelled(_) => Some(RunState::Cancelled),
        _ => None,
    }
}

/// Whether what lists show of a run is another after this event: its state, its session, or
/// how many questions wait.
pub fn shown_in_lists(body: &EventBody) -> bool {
    let question = matches!(body, EventBody::Ask(_) | EventBody::Answered { .. });
    question || matches!(body, EventBody::Attempt(_)) || state_after(body).is_some()
}

/// Whether an event promises something that must outlast a power cut.
pub fn promises(body: &EventBody) -> bool {
    body.is_terminal()
        || matches!(
            body,
            EventBody::Accepted(_)
                | EventBody::Ask(_)
                | EventBody::Answered { .. }
                | EventBody::Parked { .. }
                | EventBody::Gate { .. }
        )
}

fn answered(resolution: Resolution) -> EventBody {
    let ask = AskId(resolution.ask.clone());
    let (answer, by) = wire_resolution(resolution);
    EventBody::Answered { ask, answer, by }
}

/// The answer that counts and who gave it, on the wire.
pub fn wire_resolution(resolution: Resolution) -> (Answer, AnsweredBy) {
    let by = if resolution.by_client { AnsweredBy::Client } else { AnsweredBy::Timeout };
    (wire_answer(resolution.answer), by)
}

fn wire_answer(reply: Reply) -> Answer {
    match reply {
        Reply::Allow => Answer::Allow,
        Reply::AllowAlways => Answer::AllowAlways,
        Reply::Deny(feedback) => Answer::Deny { feedback },
        Reply::Text(text) => Answer::Text { text },
    }
}

/// An answer for the core.
pub fn core_reply(answer: Answer) -> Reply {
    match answer {
        Answer::Allow => Reply::Allow,
        Answer::AllowAlways => Reply::AllowAlways,
        Answer::Deny { feedback } => Reply::Deny(feedback),
        Answer::Text { text } => Reply::Text(text),
    }
}

fn wire_step(step: StepFact) -> Step {
    let StepFact { number, total, title, state, depends_on, note, left_ms } = step;
    let state = match state {
        machine::StepState::Pending => StepState::Pending,
        machine::StepState::Running => StepState::Running,
        machine::StepState::Done => StepState::Done,
        machine::StepState::Failed => StepState::Failed,
        machine::StepState::Skipped => StepState::Skipped,
        machine::StepState::Blocked => StepState::Blocked,
    };
    Step { number, total, title, state, depends_on, note, left_ms }
}

fn wire_task(task: TaskFact) -> Task {
    Task {
        id: task.id,
        state: match task.state {
            TaskState::Queued => RunState::Queued,
            TaskState::Running => RunState::Running,
            TaskState::Asking => RunState::Asking,
            TaskState::Parked => RunState::Parked,
            TaskState::Done => RunState::Done,
            TaskState::Failed => RunState::Failed,
            TaskState::Blocked => RunState::Blocked,
            TaskState::Exhausted => RunState::Exhausted,
            TaskState::Cancelled => RunState::Cancelled,
        },
        number: task.number,
        total: task.total,
        at_once: task.at_once,
        depends_on: task.depends_on,
        note: task.note,
        attempts: task.attempts,
        duration_ms: task.duration_ms,
        usage: task.usage.as_ref().map(wire_usage),
        folder: task.folder,
    }
}

/// A question on the wire.
pub fn wire_ask(question: Question) -> Ask {
    Ask {
        ask: AskId(question.ask),
        kind: match question {
            Question { permission: true, .. } => AskKind::Permission,
            Question { approval: true, .. } => AskKind::PlanApproval,
            _ => AskKind::UserInput,
        },
        title: question.title,
        detail: question.detail,
        choices: question.choices,
        always: question.always,
        expires_at: Some(question.expires_at),
    }
}

/// Usage on the wire.
pub fn wire_usage(usage: &CallUsage) -> Usage {
    Usage {
        model: usage.model.clone(),
        calls: usage.calls,
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cached_tokens: usage.cached_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        premium_requests: usage.premium_requests,
        ai_credits: usage.ai_credits,
        estimated_cost: usage.estimated_cost,
    }
}

/// The same, read off the log.
pub fn core_usage(usage: Usage) -> CallUsage {
    CallUsage {
        model: usage.model,
        calls: usage.calls,
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cached_tokens: usage.cached_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        premium_requests: usage.premium_requests,
        ai_credits: usage.ai_credits,
        estimated_cost: usage.estimated_cost,
    }
}

fn wire_outcome(outcome: machine::Outcome, duration_ms: u64) -> Outcome {
    let council = outcome.council.map(|report| Box::new(council::wire_report(*report)));
    // A council's answer is its report.
    let content = council.as_ref().map_or(outcome.content, |report| report.print(false));
    Outcome {
        usage: wire_usage(&outcome.usage),
        content,
        council,
        model: outcome.model,
        requested_model: outcome.requested_model,
        effort: outcome.effort.map(wire_effort),
        retries: outcome.retries,
        fallbacks: outcome.fallbacks,
        tools: outcome.tools,
        session: outcome.session.map(SessionId),
        iterations: outcome.iterations,
        duration_ms,
    }
}

/// An effort on the wire.
pub fn wire_effort(level: effort::Effort) -> Effort {
    match level {
        effort::Effort::None => Effort::None,
        effort::Effort::Minimal => Effort::Minimal,
        effort::Effort::Low => Effort::Low,
        effort::Effort::Medium => Effort::Medium,
        effort::Effort::High => Effort::High,
        effort::Effort::Xhigh => Effort::Xhigh,
        effort::Effort::Max => Effort::Max,
    }
}

/// An effort for the core.
pub fn core_effort(level: Effort) -> effort::Effort {
    match level {
        Effort::None => effort::Effort::None,
        Effort::Minimal => effort::Effort::Minimal,
        Effort::Low => effort::Effort::Low,
        Effort::Medium => effort::Effort::Medium,
        Effort::High => effort::Effort::High,
        Effort::Xhigh => effort::Effort::Xhigh,
        Effort::Max => effort::Effort::Max,
    }
}

/// A failure as clients see it.
pub fn error_info(failure: &Failure) -> ErrorInfo {
    let class = match failure.class {
        FailureClass::RateLimit(_) => ErrorClass::RateLimit,
        FailureClass::Quota => ErrorClass::Quota,
        FailureClass::Limit => ErrorClass::Limit,
        FailureClass::Network => ErrorClass::Network,
        FailureClass::Server => ErrorClass::Server,
        FailureClass::Timeout(_) => ErrorClass::Timeout,
        FailureClass::Auth => ErrorClass::Auth,
        FailureClass::Client => ErrorClass::Client,
        FailureClass::ContextLimit => ErrorClass::ContextLimit,
        FailureClass::ContentFilter => ErrorClass::ContentFilter,
        FailureClass::RuntimeDied => ErrorClass::RuntimeDied,
        FailureClass::SessionCorrupt | FailureClass::SessionGone => ErrorClass::SessionCorrupt,
        FailureClass::Cancelled => ErrorClass::Cancelled,
        FailureClass::Unavailable => ErrorClass::Unavailable,
        FailureClass::Usage => ErrorClass::Usage,
        FailureClass::Unknown => ErrorClass::Unknown,
    };
    let mut error = ErrorInfo::new(class, failure.message.clone());
    error.hint.clone_from(&failure.hint);
    error.retry_after_ms = failure.retry_after_ms;
    error.retryable = matches!(
        failure.class,
        FailureClass::RateLimit(_)
            | FailureClass::Network
            | FailureClass::Server
            | FailureClass::Timeout(_)
            | FailureClass::RuntimeDied
    );
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_deltas_become_one_up_to_the_bound() {
        let delta = |text: &str| Fact::MessageDelta(text.to_owned());
        let facts = vec![delta("a"), delta("b"), Fact::ReasoningDelta("r".to_owned()), delta("c")];
        let texts: Vec<String> = bodies(facts.into_iter().map(|fact| (None, fact)).collect())
            .into_iter()
            .map(|(_, body)| match body {
                EventBody::MessageDelta { text } | EventBody::ReasoningDelta { text } => text,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(texts, ["ab", "r", "c"]);
        let big = "x".repeat(MERGED_BYTES);
        assert_eq!(bodies(vec![(None, delta(&big)), (None, delta("y"))]).len(), 2);
        let elsewhere = vec![(None, delta("a")), (Some("2".to_owned()), delta("b"))];
        assert_eq!(bodies(elsewhere).len(), 2, "lanes are not mixed");
    }
}
