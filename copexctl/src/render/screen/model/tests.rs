//! A run as a person sees it, event by event.

use copex_proto::error::ErrorClass;
use copex_proto::event::{Accepted, Answer, AnsweredBy, AskKind, Attempt, Outcome, StepState};
use copex_proto::event::{ToolEnd, ToolStart};
use copex_proto::id::{AskId, RunId, SessionId};

use super::super::work::WORDS;
use super::*;
use crate::render::words::tests::wait;

pub(crate) const AT: u64 = 1_000_000;

/// The model after these events, a second between them.
pub(crate) fn fold(bodies: Vec<EventBody>) -> Model {
    let mut model = Model::default();
    for (index, body) in bodies.into_iter().enumerate() {
        let seq = index as u64 + 1;
        let event = RunEvent {
            run: RunId::new(1, 1),
            seq,
            at: AT + index as u64 * 1_000,
            path: None,
            body,
        };
        model.apply(&event);
    }
    model
}

pub(crate) fn accepted(mode: Mode) -> EventBody {
    EventBody::Accepted(Accepted {
        mode,
        title: "make it work".to_owned(),
        cwd: "/repo".to_owned(),
        model: Some("m1".to_owned()),
        resumed_from: None,
    })
}

pub(crate) fn gate(command: &str, code: i32, output: &str) -> EventBody {
    let (command, output) = (command.to_owned(), output.to_owned());
    EventBody::Gate { command, exit_code: Some(code), output, duration_ms: 1_500 }
}

pub(crate) fn step(number: u32, title: &str, state: StepState) -> EventBody {
    let (title, total) = (title.to_owned(), 3);
    EventBody::Step(Step {
        number,
        total,
        title,
        state,
        depends_on: Vec::new(),
        note: None,
        left_ms: None,
    })
}

pub(crate) fn ask(id: &str) -> EventBody {
    EventBody::Ask(Ask {
        ask: AskId(id.to_owned()),
        kind: AskKind::Permission,
        title: "shell: rm".to_owned(),
        detail: String::new(),
        choices: Vec::new(),
        always: None,
        expires_at: None,
    })
}

pub(crate) fn tool() -> EventBody {
    let arguments = serde_json::json!({ "command": "cargo test" });
    EventBody::ToolStart(ToolStart { call: "c".to_owned(), name: "bash".to_owned(), arguments })
}

pub(crate) fn says(text: &str) -> EventBody {
    EventBody::MessageDelta { text: text.to_owned() }
}

#[test]
fn what_is_being_done_follows_the_events() {
    let attempt = Attempt {
        number: 1,
        model: Some("m2".to_owned()),
        effort: None,
        backend: "sdk".to_owned(),
        session: SessionId("s".to_owned()),
    };
    let ended = ToolEnd {
        call: "c".to_owned(),
        name: "bash".to_owned(),
        success: true,
        result: String::new(),
        duration_ms: 1,
    };
    let (name, argument) = ("bash".to_owned(), "cargo test".to_owned());
    let command = "check".to_owned();
    let parked =
        EventBody::Parked { reason: "slow down".to_owned(), until: Some(9), needs_key: None };
    let limit = wait(ErrorClass::RateLimit);
    let (why, held_back) = (limit.error.message.clone(), Some("the rate limit"));
    let held = Doing::Retrying { until: AT + 13_400, why, held_back };
    let script = [
        (accepted(Mode::Ralph), Doing::Starting),
        (EventBody::State { state: RunState::Running }, Doing::Starting),
        (EventBody::Iteration { number: 1, max: 3 }, Doing::Asked),
        (EventBody::Attempt(attempt), Doing::Asked),
        (says("hm"), Doing::Answering),
        (tool(), Doing::Tool { name, argument }),
        (EventBody::ToolEnd(ended), Doing::Asked),
        (EventBody::GateStart { command: command.clone() }, Doing::Gate { command }),
        (gate("check", 0, ""), Doing::Between),
        (EventBody::Retrying(limit), held),
        (parked, Doing::Parked { until: Some(9), why: "slow down".to_owned() }),
        (EventBody::State { state: RunState::Running }, Doing::Asked),
    ];
    for count in 1..=script.len() {
        let bodies = script[..count].iter().map(|(body, _)| body.clone()).collect();
        let model = fold(bodies);
        assert_eq!(model.work.doing, script[count - 1].1, "{:?}", script[count - 1].0);
    }
    let model = fold(script[..4].iter().map(|(body, _)| body.clone()).collect());
    assert_eq!((model.asked.as_deref(), model.iteration), (Some("m2"), Some((1, 3))));
    assert_eq!(model.work.since, AT + 2_000, "it waits for the model since the iteration began");
}

#[test]
fn the_last_words_are_those_of_the_present_message() {
    let message = EventBody::Message { text: "one two".to_owned() };
    let restarted = || EventBody::Restarted { reason: "cut".to_owned() };
    let words = |bodies| fold(bodies).work.words;
    assert_eq!(words(vec![says("one "), says("two"), message.clone()]), "one two");
    assert_eq!(words(vec![message.clone(), says("th"), says("ree")]), "three");
    assert_eq!(words(vec![says("one"), tool()]), "one", "it stands while the tool runs");
    assert_eq!(words(vec![says("one"), tool(), says("two")]), "two");
    assert_eq!(words(vec![says("one"), restarted()]), "");
    let long = words(vec![says(&"日本語".repeat(WORDS))]);
    assert!(long.len() <= WORDS && long.ends_with('語'));
}

#[test]
fn checks_stay_until_those_of_the_next_iteration_come() {
    let iteration = |number| EventBody::Iteration { number, max: 3 };
    let mut bodies =
        vec![iteration(1), gate("a", 0, ""), gate("b", 1, "x\nbroken\n"), iteration(2)];
    let model = fold(bodies.clone());
    assert_eq!(model.gates.iter().map(|it| it.last.as_str()).collect::<Vec<_>>(), ["", "broken"]);
    bodies.push(gate("a", 0, ""));
    let model = fold(bodies);
    assert_eq!(model.gates.len(), 1);
    assert_eq!(model.rounds.len(), 2);
    assert_eq!(model.rounds[0].red.as_ref().map(|it| it.command.as_str()), Some("b"));
    assert_eq!((model.rounds[1].gates, &model.rounds[1].red), (1, &None));
}

#[test]
fn steps_are_in_order_and_know_their_last_state() {
    let model = fold(vec![
        step(2, "two", StepState::Pending),
        step(1, "one", StepState::Running),
        step(1, "one", StepState::Done),
        step(2, "two", StepState::Running),
    ]);
    let states: Vec<_> = model.steps.iter().map(|step| (step.number, step.state)).collect();
    assert_eq!(states, [(1, StepState::Done), (2, StepState::Running)]);
    assert_eq!(model.present_step().unwrap().number, 2);
}

#[test]
fn steps_side_by_side_do_not_speak_into_each_other() {
    let mut model = fold(vec![
        step(1, "one", StepState::Running),
        gate("old", 0, ""),
        step(2, "two", StepState::Running),
    ]);
    assert!(model.gates.is_empty(), "a check of another step says nothing of this one");
    let mut told = |path: &str, body| {
        let (run, path) = (RunId::new(1, 1), Some(path.to_owned()));
        model.apply(&RunEvent { run, seq: 9, at: AT + 9_000, path, body });
        (model.work.words.clone(), model.iteration)
    };
    let iteration = |number| EventBody::Iteration { number, max: 5 };
    told("2/1", iteration(1));
    told("1/3", iteration(3));
    told("2/1", says("I am "));
    told("1/3", says("I was "));
    let second = told("2/1", says("two"));
    assert_eq!(second, ("I am two".to_owned(), Some((1, 5))));
    told("1/3", says("one"));
    let first = told("2", step(2, "two", StepState::Done));
    assert_eq!(first, ("I was one".to_owned(), Some((3, 5))), "it is still at work");
    told("1", step(1, "one", StepState::Done));
    let third = told("3", step(3, "three", StepState::Running));
    assert_eq!(third, (String::new(), None), "it has said nothing yet");
}

#[test]
fn a_question_is_gone_once_all_are_answered() {
    let answered = |id: &str| EventBody::Answered {
        ask: AskId(id.to_owned()),
        answer: Answer::Allow,
        by: AnsweredBy::Client,
    };
    let mut model = fold(vec![ask("1"), ask("2"), answered("1")]);
    model.question = Some(Vec::new());
    let event = |body| RunEvent { run: RunId::new(1, 1), seq: 9, at: AT, path: None, body };
    model.apply(&event(answered("2")));
    assert!(model.asks.is_empty() && model.question.is_none());
    model.apply(&event(EventBody::Done(Outcome::default())));
    assert_eq!(model.end, Some(RunState::Done));
}
