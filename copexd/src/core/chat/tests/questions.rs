//! Questions: asked once, answered once, whatever happens between.

use super::*;

#[test]
fn a_question_stops_the_idle_watchdog_and_its_answer_reaches_the_backend() {
    let mut chat = working();
    let effects = chat.handle(wants("p"), NOW);
    assert!(effects.contains(&Effect::Unwait(Timer::Idle)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Emit(Fact::Ask(_)))));
    let effects = chat.handle(answer(Reply::AllowAlways), NOW);
    let decide = Effect::Decide { request: "p".to_owned(), decision: Decision::Allow };
    assert_eq!(count(&effects, &decide), 1);
    // The same wish again is not asked again.
    let effects = chat.handle(wants("q"), NOW);
    let decide = Effect::Decide { request: "q".to_owned(), decision: Decision::Allow };
    assert_eq!(effects[0], decide);
}

#[test]
fn an_unanswered_question_counts_as_denied() {
    let mut chat = working();
    chat.handle(wants("p"), NOW);
    let effects = chat.handle(Input::Timer(Timer::Ask("r-1".to_owned())), NOW);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Decide { decision: Decision::Deny(_), .. }))
    );
}

#[test]
fn a_question_keeps_its_name_and_its_answer_over_a_restart() {
    let mut first = working();
    first.handle(wants("p"), NOW);
    let mut chat = restored(&first.progress);
    chat.handle(Input::Recover(Tail::default()), NOW);
    // Answered while the session is not open yet: recorded, and used when it asks again.
    let effects = chat.handle(answer(Reply::Allow), NOW);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Decide { .. })));
    let waiting = vec![("p2".to_owned(), url())];
    let effects = chat.handle(opened(Found::Unfinished { waiting }), NOW);
    let decide = Effect::Decide { request: "p2".to_owned(), decision: Decision::Allow };
    assert_eq!(count(&effects, &decide), 1);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Emit(Fact::Ask(_)))));
}

#[test]
fn a_question_that_died_with_its_attempt_is_closed() {
    let mut first = working();
    first.handle(wants("p"), NOW);
    let request = "q".to_owned();
    let question = "which?".to_owned();
    first.handle(Input::Signal(Signal::Question { request, question, choices: vec![] }), NOW);
    let closed = |waiting: Vec<(String, Wish)>| {
        let mut chat = restored(&first.progress);
        chat.handle(Input::Recover(Tail::default()), NOW);
        let effects = chat.handle(opened(Found::Unfinished { waiting }), NOW);
        let asks = effects.into_iter().filter_map(|effect| match effect {
            Effect::Emit(Fact::Answered(resolution)) => Some(resolution.ask),
            _ => None,
        });
        asks.collect::<Vec<_>>()
    };
    assert_eq!(closed(Vec::new()), ["r-1", "r-2"]);
    assert_eq!(closed(vec![("p2".to_owned(), url())]), ["r-2"], "the other one still waits");
}

#[test]
fn an_answer_that_came_too_late_for_the_agent_is_told() {
    for answered in [false, true] {
        let mut first = working();
        first.handle(wants("p"), NOW);
        let mut chat = restored(&first.progress);
        chat.handle(Input::Recover(Tail::default()), NOW);
        if answered {
            chat.handle(answer(Reply::Allow), NOW);
        }
        let messages = vec!["done without it".to_owned()];
        let effects = chat.handle(opened(Found::Finished { messages }), NOW);
        let told = effects.iter().any(|effect| {
            matches!(effect, Effect::Emit(Fact::Warning { code, .. }) if code == "answer_lost")
        });
        assert!(told, "{effects:?}");
        let closed = |it: &&Effect| matches!(it, Effect::Emit(Fact::Answered(_)));
        assert_eq!(effects.iter().filter(closed).count(), usize::from(!answered));
        assert_eq!(end(&effects).unwrap().verdict, Verdict::Done);
    }
}
