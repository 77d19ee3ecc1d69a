//! The cases.

use copexd::backend::{Opening, Session};
use copexd::core::failure::{FailureClass, Scope};
use copexd::core::machine::{Decision, Found};
use copexd::core::signal::Signal;

use super::rig::{Heard, Rig, hear, turn};

const ALLOW: Decision = Decision::Allow;

async fn say(session: &dyn Session, prompt: &str) -> Heard {
    turn(session, prompt, &ALLOW).await
}

pub(super) async fn a_prompt_is_answered_in_pieces_and_as_a_whole(rig: &Rig) {
    rig.will_answer("the whole answer");
    let session = rig.open_new().await;
    assert_eq!(session.backend(), rig.backend.name());
    assert_eq!(session.capabilities(), rig.backend.capabilities());
    assert_eq!(session.user_messages().await, Ok(0));
    let heard = say(&*session, "go").await;
    let (mut pieces, mut usage, mut requesting) = (String::new(), Vec::new(), Vec::new());
    for signal in &heard.signals {
        match signal {
            Signal::MessageDelta(piece) => pieces.push_str(piece),
            Signal::Usage(call) => usage.push(call.clone()),
            Signal::Requesting(now) => requesting.push(*now),
            Signal::Message { text, answers } if !text.is_empty() => {
                assert_eq!(answers.as_deref(), Some(heard.message.as_str()), "whose answer");
                assert_eq!(pieces, "the whole answer", "the pieces come before the whole");
            }
            _ => {}
        }
    }
    assert_eq!(heard.answer(), "the whole answer");
    assert_eq!(heard.failure(), None);
    assert_eq!(requesting.first(), Some(&true), "{:?}", heard.signals);
    assert_eq!(requesting.last(), Some(&false), "{:?}", heard.signals);
    let calls: Vec<_> =
        usage.iter().map(|call| (call.calls, call.input_tokens, call.output_tokens)).collect();
    assert_eq!(calls, [(1, 11, 7)]);
    assert!(matches!(heard.signals.last(), Some(Signal::Idle)));
    assert_eq!(session.user_messages().await, Ok(1));
    let messages = vec!["the whole answer".to_owned()];
    assert_eq!(session.look(0, &[]).await, Ok(Found::Finished { messages }));
    assert_eq!(session.look(1, &[]).await, Ok(Found::Nothing));
    session.close().await;
}

pub(super) async fn a_turn_ends_in_idle_and_the_next_one_remembers_it(rig: &Rig) {
    let session = rig.open_new().await;
    let mut ids = Vec::new();
    for number in 1..=3 {
        let (prompt, answer) = (format!("prompt {number}"), format!("answer {number}"));
        rig.will_answer(&answer);
        let heard = say(&*session, &prompt).await;
        assert_eq!(heard.answer(), answer);
        let calls = heard.signals.iter().filter(|signal| matches!(signal, Signal::Usage(_)));
        assert_eq!(calls.count(), 1, "each turn has its own cost");
        ids.push(heard.message);
    }
    ids.dedup();
    assert_eq!(ids.len(), 3, "every prompt has a message id of its own");
    assert_eq!(session.user_messages().await, Ok(3));
    let messages = vec!["answer 2".to_owned()];
    assert_eq!(session.look(1, &[]).await, Ok(Found::Finished { messages }));
    if let Some(told) = rig.told() {
        assert_eq!(told, ["prompt 1", "prompt 2", "prompt 3"], "each once");
    }
    session.close().await;
}

pub(super) async fn a_session_is_resumed_by_its_id_with_its_memory(rig: &Rig) {
    rig.will_answer("noted");
    let session = rig.open_new().await;
    let id = session.id().to_owned();
    say(&*session, "remember 17").await;
    session.close().await;
    drop(session);
    let again = rig.open(Opening::Resume(id.clone())).await;
    assert_eq!((again.id(), again.user_messages().await), (id.as_str(), Ok(1)));
    rig.will_answer("it was 17");
    assert_eq!(say(&*again, "which?").await.answer(), "it was 17");
    if let Some(told) = rig.told() {
        assert_eq!(told, ["remember 17", "which?"]);
    }
    again.close().await;
}

pub(super) async fn an_unknown_session_is_gone(rig: &Rig) {
    let id = "01234567-89ab-4cde-8f01-23456789abcd";
    let Err(failure) = rig.backend.open(&rig.spec, &Opening::Resume(id.to_owned())).await else {
        panic!("a session that is not there was opened");
    };
    assert_eq!(failure.class, FailureClass::SessionGone, "{failure}");
    assert!(failure.message.contains(id), "{failure}");
}

pub(super) async fn a_stopped_turn_ends_in_idle_and_the_session_stays_usable(rig: &Rig) {
    let session = rig.open_new().await;
    rig.will_hang();
    session.send("go").await.unwrap();
    while !matches!(session.next().await, Signal::MessageDelta(_)) {}
    session.abort().await.unwrap();
    let signals = hear(&*session, &ALLOW).await;
    assert!(matches!(signals.last(), Some(Signal::Idle)), "{signals:?}");
    assert!(session.alive());
    assert_eq!(session.look(0, &[]).await, Ok(Found::Unfinished { waiting: Vec::new() }));
    rig.will_answer("here again");
    assert_eq!(say(&*session, "and now?").await.answer(), "here again");
    assert_eq!(session.abort().await, Ok(()), "nothing to stop is no error");
    session.close().await;
}

pub(super) async fn a_failed_model_request_has_its_class(rig: &Rig) {
    let session = rig.open_new().await;
    let table = [
        (400, FailureClass::Client),
        (401, FailureClass::Auth),
        (429, FailureClass::RateLimit(Scope::Account)),
        (503, FailureClass::Server),
    ];
    for (status, class) in table {
        rig.will_fail(status, class);
        let heard = say(&*session, "go").await;
        let failure = heard.failure().unwrap_or_else(|| panic!("{status}: {:?}", heard.signals));
        assert_eq!(failure.class, class, "{status}: {failure}");
        assert_eq!(failure.status, Some(status));
        assert!(matches!(heard.signals.last(), Some(Signal::Idle)), "{status}");
        assert!(session.alive(), "a model's failure is not the backend's");
    }
    rig.will_answer("well again");
    assert_eq!(say(&*session, "go").await.answer(), "well again");
    session.close().await;
}

pub(super) async fn a_tool_that_is_allowed_runs(rig: &Rig) {
    let file = rig.work().join("made.txt");
    rig.will_make(&file, "made it");
    let session = rig.open_new().await;
    let heard = turn(&*session, "go", &Decision::Allow).await;
    assert_eq!(tool(&heard), ("bash".to_owned(), true), "{:?}", heard.signals);
    assert_eq!(heard.answer(), "made it");
    assert!(file.exists());
    let asked = heard.signals.iter().any(|signal| matches!(signal, Signal::Permission { .. }));
    assert_eq!(asked, session.capabilities().asks);
    session.close().await;
}

pub(super) async fn a_tool_that_is_denied_does_not_run(rig: &Rig) {
    let mut spec = rig.spec.clone();
    if let Some(cli) = &mut spec.cli {
        cli.deny = vec!["shell(echo)".to_owned()];
    }
    let file = rig.work().join("made.txt");
    rig.will_make(&file, "could not");
    let session = rig.backend.open(&spec, &Opening::New).await.unwrap();
    let heard = turn(&*session, "go", &Decision::Deny("no".to_owned())).await;
    assert_eq!(tool(&heard), ("bash".to_owned(), false), "{:?}", heard.signals);
    assert_eq!(heard.answer(), "could not");
    assert!(!rig.is_real() || !file.exists());
    session.close().await;
}

/// The one tool of the turn and whether it succeeded.
fn tool(heard: &Heard) -> (String, bool) {
    let mut names = Vec::new();
    let mut ends = Vec::new();
    for signal in &heard.signals {
        match signal {
            Signal::ToolStart { call, name, .. } => names.push((call.clone(), name.clone())),
            Signal::ToolEnd { call, success, .. } => ends.push((call.clone(), *success)),
            _ => {}
        }
    }
    let ([(begun, name)], [(ended, success)]) = (&names[..], &ends[..]) else {
        panic!("not one tool: {names:?} {ends:?}");
    };
    assert_eq!(begun, ended);
    (name.clone(), *success)
}

pub(super) async fn what_is_not_there_cannot_be_decided(rig: &Rig) {
    let session = rig.open_new().await;
    if session.capabilities().asks {
        // A runtime may shrug at it; the strict backend's panic is tested by itself.
        session.close().await;
        return;
    }
    let failure = session.decide("nothing", &Decision::Allow).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Unknown);
    assert!(failure.message.contains("decision about a tool"), "{failure}");
    session.reply("nothing", None);
    let failure = session.compact().await.unwrap_err();
    assert!(failure.message.contains("smaller"), "{failure}");
    session.close().await;
}

pub(super) async fn a_broken_off_turn_is_finished_or_refused_by_name(rig: &Rig) {
    let session = rig.open_new().await;
    rig.will_fail(400, FailureClass::Client);
    say(&*session, "go").await;
    assert_eq!(session.look(0, &[]).await, Ok(Found::Unfinished { waiting: Vec::new() }));
    if session.capabilities().rerun {
        rig.will_answer("at last");
        session.rerun().await.unwrap();
        let signals = hear(&*session, &ALLOW).await;
        let heard = Heard { message: String::new(), signals };
        assert_eq!(heard.answer(), "at last");
        assert_eq!(session.user_messages().await, Ok(1), "no second prompt");
    } else {
        let failure = session.rerun().await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Unknown);
        assert!(failure.message.contains("finish a turn"), "{failure}");
        assert!(failure.hint.is_some());
    }
    session.close().await;
}

pub(super) async fn a_closed_session_can_be_opened_again(rig: &Rig) {
    let session = rig.open_new().await;
    let id = session.id().to_owned();
    rig.will_answer("first");
    say(&*session, "go").await;
    rig.will_hang();
    session.send("hang").await.unwrap();
    while !matches!(session.next().await, Signal::MessageDelta(_)) {}
    // In the middle of a turn: what it started is gone when this returns.
    session.close().await;
    drop(session);
    let again = rig.open(Opening::Resume(id)).await;
    assert_eq!(again.user_messages().await, Ok(2));
    assert_eq!(again.look(1, &[]).await, Ok(Found::Unfinished { waiting: Vec::new() }));
    again.close().await;
}
