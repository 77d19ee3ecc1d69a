//! What happens in a run.

use copex_proto::council::{CouncilReport, Decision, MemberReport, Missing, Ranked, Review};
use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::event::{
    Accepted, Answer, AnsweredBy, Ask, AskKind, Attempt, Ending, EventBody, Outcome, Retrying,
    RunEvent, Step, StepState, Task, ToolEnd, ToolStart, Usage,
};
use copex_proto::id::{AskId, SessionId};
use copex_proto::run::{Effort, Mode, RunState};
use serde_json::json;

use super::{Frame, frame, run, text};

pub(super) fn error() -> ErrorInfo {
    ErrorInfo::new(ErrorClass::RateLimit, "the endpoint answered 429")
        .retry_after(2000)
        .with_hint("wait, or choose another model")
}

pub(super) fn usage() -> Usage {
    Usage {
        model: Some(text("gpt-5.4")),
        calls: 2,
        input_tokens: 1000,
        output_tokens: 200,
        cached_tokens: 800,
        reasoning_tokens: 50,
        premium_requests: 1.5,
        ai_credits: Some(0.25),
        estimated_cost: Some(0.0125),
    }
}

/// A task as daemons of before tell it.
fn task() -> Task {
    Task {
        id: text("build"),
        state: RunState::Queued,
        number: 0,
        total: 0,
        at_once: 0,
        depends_on: Vec::new(),
        note: None,
        attempts: 0,
        duration_ms: None,
        usage: None,
        folder: None,
    }
}

/// A task that is over.
fn whole_task() -> Task {
    Task {
        id: text("build"),
        state: RunState::Failed,
        number: 1,
        total: 3,
        at_once: 0,
        depends_on: vec![text("fetch")],
        note: Some(text("the endpoint answered 500")),
        attempts: 6,
        duration_ms: Some(90_000),
        usage: Some(usage()),
        folder: Some(text("/home/ada/app")),
    }
}

pub(super) fn outcome() -> Outcome {
    Outcome {
        content: text("Because of Rayleigh scattering."),
        model: Some(text("gpt-5.4")),
        requested_model: Some(text("gpt-5.5")),
        effort: Some(Effort::High),
        usage: usage(),
        retries: 1,
        fallbacks: 1,
        tools: 3,
        session: Some(SessionId(text("0198c7f2"))),
        iterations: None,
        council: None,
        duration_ms: 4200,
    }
}

fn report() -> CouncilReport {
    CouncilReport {
        decision: Some(Decision {
            decision: text("Take the first."),
            reasons: vec![text("It is simple")],
            confidence: 0.75,
            dissent: vec![text("B would wait")],
            next_steps: vec![text("Write it down")],
        }),
        chair: text("claude-opus-5"),
        escalated: true,
        rounds: 1,
        agreed: Some(false),
        ranking: vec![Ranked { rank: 1, label: text("A"), name: text("gpt-5.4:high"), score: 1.5 }],
        members: vec![MemberReport {
            name: text("gpt-5.4:high"),
            label: Some(text("A")),
            opinion: Some(text("Take the first.")),
            review: Some(Review {
                ranking: vec![text("B")],
                agree: false,
                comments: [(text("B"), text("It is late"))].into(),
            }),
        }],
        missing: vec![Missing {
            name: text("gemini-3-pro"),
            stage: text("opinion"),
            reason: text("it failed"),
        }],
    }
}

fn ending() -> Ending {
    Ending { error: error(), outcome: outcome() }
}

fn turn() -> Vec<EventBody> {
    vec![
        EventBody::Accepted(Accepted {
            mode: Mode::Chat,
            title: text("Why is the sky blue?"),
            cwd: text("/home/ada/project"),
            model: Some(text("gpt-5.5")),
            resumed_from: Some(run()),
        }),
        EventBody::State { state: RunState::Running },
        EventBody::Attempt(Attempt {
            number: 2,
            model: Some(text("gpt-5.4")),
            effort: Some(Effort::High),
            backend: text("sdk"),
            session: SessionId(text("0198c7f2")),
        }),
        EventBody::MessageDelta { text: text("Because") },
        EventBody::Message { text: text("Because of Rayleigh scattering.") },
        EventBody::ReasoningDelta { text: text("Light …") },
        EventBody::ToolStart(ToolStart {
            call: text("call_1"),
            name: text("bash"),
            arguments: json!({"command": "ls"}),
        }),
        EventBody::ToolEnd(ToolEnd {
            call: text("call_1"),
            name: text("bash"),
            success: true,
            result: text("README.md"),
            duration_ms: 12,
        }),
        EventBody::Usage(usage()),
        EventBody::Retrying(Retrying {
            attempt: 2,
            error: error(),
            delay_ms: 2000,
            unasked: false,
        }),
        EventBody::Restarted { reason: text("the connection broke") },
        EventBody::Fallback {
            from: text("gpt-5.5"),
            to: text("gpt-5.4"),
            reason: text("its breaker is open"),
        },
        EventBody::Steered { text: text("and look at the tests too") },
        EventBody::Parked {
            reason: text("the limit resets"),
            until: Some(1_760_000_600_000),
            needs_key: None,
        },
        EventBody::Parked {
            reason: text("the key is gone"),
            until: Some(1_760_000_600_000),
            needs_key: Some(text("MY_API_KEY")),
        },
    ]
}

fn people() -> Vec<EventBody> {
    vec![
        EventBody::Ask(Ask {
            ask: AskId(text("ask-1")),
            kind: AskKind::Permission,
            title: text("Run `make deploy`?"),
            detail: text("make deploy"),
            choices: vec![text("allow"), text("deny")],
            always: Some(text("shell(git push)")),
            expires_at: Some(1_760_086_400_000),
        }),
        EventBody::Answered {
            ask: AskId(text("ask-1")),
            answer: Answer::Deny { feedback: Some(text("not today")) },
            by: AnsweredBy::Client,
        },
        EventBody::Artifact { file: text("/home/ada/out.md"), kind: text("answer") },
        EventBody::GateStart { command: text("cargo test") },
        EventBody::Gate {
            command: text("cargo test"),
            exit_code: Some(101),
            output: text("1 failed"),
            duration_ms: 900,
        },
        EventBody::Iteration { number: 3, max: 30 },
        EventBody::Step(Step {
            number: 2,
            total: 3,
            title: text("Add the route"),
            state: StepState::Done,
            depends_on: vec![1],
            note: Some(text("2 iterations")),
            left_ms: Some(90_000),
        }),
        EventBody::Task(task()),
        EventBody::Member {
            name: text("gpt-5.4:high"),
            state: RunState::Asking,
            stage: None,
            note: None,
        },
        EventBody::Warning { code: text("effort_lowered"), message: text("xhigh became high") },
        EventBody::Done(outcome()),
        EventBody::Failed(ending()),
        EventBody::Blocked(ending()),
        EventBody::Exhausted(Ending {
            outcome: Outcome { iterations: Some(30), ..outcome() },
            ..ending()
        }),
        EventBody::Cancelled(ending()),
    ]
}

pub(super) fn all() -> Vec<Frame> {
    let event = |(index, body): (usize, EventBody)| {
        let seq = u64::try_from(index).unwrap() + 1;
        let at = 1_760_000_000_000 + seq;
        let event = RunEvent { run: run(), seq, at, path: Some(text("task/build")), body };
        let tag = serde_json::to_value(&event).unwrap()["type"].as_str().unwrap().to_owned();
        frame(format!("event.{tag}"), &event)
    };
    let mut frames: Vec<_> = turn().into_iter().chain(people()).enumerate().map(event).collect();
    frames.extend([
        frame("task.whole", &whole_task()),
        frame("task.wide", &Task { at_once: 5, ..whole_task() }),
        frame("answer.allow", &Answer::Allow),
        frame("answer.allow_always", &Answer::AllowAlways),
        frame("answer.deny", &Answer::Deny { feedback: None }),
        frame("answer.text", &Answer::Text { text: text("main") }),
        frame("council.report", &report()),
        frame(
            "event.member.late",
            &EventBody::Member {
                name: text("gpt-5.4:high"),
                state: RunState::Failed,
                stage: Some(text("opinion")),
                note: Some(text("it was not ready 180 s after the others")),
            },
        ),
        frame("error", &error()),
        frame("error.least", &ErrorInfo::new(ErrorClass::Unknown, "odd")),
    ]);
    frames
}
