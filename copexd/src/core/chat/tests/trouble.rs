//! What a chat does when something failed.

use super::*;

#[test]
fn a_turn_that_broke_off_is_run_again_in_its_session_without_a_prompt() {
    let mut chat = working();
    chat.handle(Input::Signal(Signal::MessageDelta("Hel".to_owned())), NOW);
    let effects = fail(&mut chat, Failure::new(FailureClass::Network, "cut"));
    assert!(effects.contains(&Effect::Emit(Fact::Restarted("cut".to_owned()))));
    assert!(!effects.iter().any(|it| matches!(it, Effect::Release { .. })), "{effects:?}");
    let effects = chat.handle(Input::Timer(Timer::Backoff), NOW);
    assert_eq!((count(&effects, &Effect::Rerun), count(&effects, &send())), (1, 0));
    assert!(effects.iter().any(|it| matches!(it, Effect::Emit(Fact::Attempt { number: 2, .. }))));
    chat.handle(message("Hello"), NOW);
    let effects = chat.handle(Input::Signal(Signal::Idle), NOW);
    assert_eq!(end(&effects).unwrap().outcome.content, "Hello");
}

#[test]
fn what_was_tried_below_counts_and_a_success_begins_anew() {
    let spent = |tries, in_class| crate::core::failure::Spent { tries, in_class };
    let failure = Failure::new(FailureClass::Server, "503").with_spent(spent(6, 6));
    assert!(end(&fail(&mut working(), failure)).is_some(), "nothing is left to try");
    let mut chat = working();
    for _ in 0..10 {
        let cut = Failure::new(FailureClass::Network, "cut").with_spent(spent(1, 1));
        assert!(end(&fail(&mut chat, cut)).is_none());
        chat.handle(Input::Timer(Timer::Backoff), NOW);
        chat.handle(message("half of it"), NOW);
    }
    assert_eq!(chat.progress.streak, Streak::default());
}

#[test]
fn an_answer_without_a_word_is_no_success() {
    let mut chat = working();
    let mut asked = 1;
    loop {
        let usage = CallUsage { calls: 1, ..CallUsage::default() };
        chat.handle(Input::Signal(Signal::Usage(usage)), NOW);
        let effects = chat.handle(Input::Signal(Signal::Idle), NOW);
        if let Some(end) = end(&effects) {
            assert!(matches!(end.verdict, Verdict::Failed(_)));
            break;
        }
        chat.handle(Input::Timer(Timer::Backoff), NOW);
        asked += 1;
    }
    assert_eq!(asked, 3);
}

#[test]
fn a_turn_is_not_run_again_for_ever_however_much_succeeds_between() {
    let mut chat = working();
    let mut reruns = 0;
    loop {
        let effects = fail(&mut chat, Failure::new(FailureClass::Network, "cut"));
        if let Some(end) = end(&effects) {
            assert!(matches!(end.verdict, Verdict::Failed(_)));
            break;
        }
        chat.handle(Input::Timer(Timer::Backoff), NOW);
        chat.handle(message("half of it"), NOW);
        reruns += 1;
        assert!(reruns <= MOST_RERUNS);
    }
    assert_eq!(reruns, MOST_RERUNS);
}

#[test]
fn another_model_goes_on_with_the_same_turn() {
    let mut chat = working();
    chat.ways.other = Some(1);
    let effects = fail(&mut chat, limited(Scope::Model, 3_600_000));
    let told = effects.iter().find_map(|effect| match effect {
        Effect::Emit(Fact::Fallback { from, to, .. }) => Some((from.as_str(), to.as_str())),
        _ => None,
    });
    assert_eq!(told, Some(("m", "n")));
    assert_eq!(effects.last(), Some(&Effect::Open));
    assert_eq!((chat.progress.candidate, chat.progress.excluded.as_slice()), (1, &[0][..]));
    let Input::Opened(on) = opened(Found::Unfinished { waiting: Vec::new() }) else { panic!() };
    let effects = chat.handle(Input::Opened(Opened { candidate: 1, ..on }), NOW);
    assert_eq!((count(&effects, &Effect::Rerun), count(&effects, &send())), (1, 0));
    chat.handle(message("done"), NOW);
    let usage = CallUsage { model: Some("n".to_owned()), calls: 1, ..CallUsage::default() };
    let effects = chat.handle(Input::Signal(Signal::Usage(usage)), NOW);
    assert!(!effects.iter().any(|it| matches!(it, Effect::Emit(Fact::Warning { .. }))));
    let effects = chat.handle(Input::Signal(Signal::Idle), NOW);
    let outcome = &end(&effects).unwrap().outcome;
    assert_eq!(outcome.fallbacks, 1);
    assert_eq!(
        (outcome.requested_model.as_deref(), outcome.model.as_deref()),
        (Some("m"), Some("n"))
    );
}

#[test]
fn a_first_model_that_may_not_be_asked_is_passed_over_with_its_reason() {
    let mut chat = chat();
    chat.handle(Input::Start, NOW);
    let Input::Opened(on) = opened(Found::Nothing) else { panic!() };
    let reason = Some("m failed too often".to_owned());
    let effects = chat.handle(Input::Opened(Opened { candidate: 1, reason, ..on }), NOW);
    let fallback =
        Fact::Fallback { from: "m".into(), to: "n".into(), reason: "m failed too often".into() };
    assert_eq!(effects[0], Effect::Emit(fallback));
    assert_eq!(count(&effects, &send()), 1);
}

#[test]
fn a_long_limit_parks_and_the_turn_goes_on_when_it_ends() {
    let mut chat = working();
    let effects = fail(&mut chat, limited(Scope::Account, 3_600_000));
    let until = chat.progress.parked.unwrap();
    assert!((3_610_000..3_970_001).contains(&until), "reset and up to a tenth: {until}");
    assert!(effects.contains(&Effect::Release { poisoned: false }));
    assert!(effects.iter().any(|it| matches!(it, Effect::Wait(Timer::Park, _))));
    // A restart of the daemon does not end it, and says nothing new.
    let mut again = restored(&chat.progress);
    let later = Moment { now_ms: until - 1_000, ..NOW };
    let effects = again.handle(Input::Recover(Tail::default()), later);
    assert_eq!(effects, vec![Effect::Wait(Timer::Park, 1_000)]);
    for (wakes, input) in [(true, Input::Timer(Timer::Park)), (true, Input::Wake)] {
        let mut chat = restored(&chat.progress);
        chat.handle(Input::Recover(Tail::default()), later);
        assert_eq!(chat.handle(input, later).last() == Some(&Effect::Open), wakes);
        let effects = chat.handle(opened(Found::Unfinished { waiting: Vec::new() }), later);
        assert_eq!((count(&effects, &Effect::Rerun), count(&effects, &send())), (1, 0));
    }
}

#[test]
fn a_run_that_is_not_to_park_fails_with_its_limit() {
    let mut chat = working();
    chat.policy.most_parks = 0;
    let effects = fail(&mut chat, limited(Scope::Account, 3_600_000));
    let Verdict::Failed(failure) = &end(&effects).unwrap().verdict else { panic!() };
    assert_eq!(failure.retry_after_ms, Some(3_600_000));
}

#[test]
fn what_needs_a_person_or_is_at_its_limit_ends_as_that() {
    let ends = |class| {
        let mut chat = working();
        end(&fail(&mut chat, Failure::new(class, "x"))).unwrap().verdict.clone()
    };
    for class in [FailureClass::Auth, FailureClass::Quota, FailureClass::SessionCorrupt] {
        assert!(matches!(ends(class), Verdict::Blocked(_)), "{class:?}");
    }
    assert!(matches!(ends(FailureClass::Limit), Verdict::Exhausted(_)));
    assert!(matches!(ends(FailureClass::Client), Verdict::Failed(_)));
}

#[test]
fn a_conversation_that_does_not_fit_is_compacted_once() {
    let mut chat = working();
    let too_long = || Failure::new(FailureClass::ContextLimit, "too long");
    assert_eq!(fail(&mut chat, too_long()).last(), Some(&Effect::Compact));
    let effects = chat.handle(Input::Compacted(Ok(())), NOW);
    assert_eq!(count(&effects, &Effect::Rerun), 1);
    let effects = fail(&mut chat, too_long());
    assert!(matches!(end(&effects).unwrap().verdict, Verdict::Failed(_)));

    let mut chat = working();
    fail(&mut chat, too_long());
    let broken = Failure::new(FailureClass::Unknown, "no summary");
    let effects = chat.handle(Input::Compacted(Err(broken)), NOW);
    let Verdict::Failed(failure) = &end(&effects).unwrap().verdict else { panic!("{effects:?}") };
    assert_eq!(failure.class, FailureClass::ContextLimit);
    assert!(failure.message.contains("no summary"), "{failure}");
}

#[test]
fn a_run_that_takes_too_long_is_exhausted_wherever_it_is() {
    let rig = || {
        let spec = ChatSpec { max_duration_ms: Some(60_000), ..spec(Mode::Workspace) };
        let mut chat = Rig::of(Chat::new(spec));
        let effects = chat.handle(Input::Start, NOW);
        assert!(effects.contains(&Effect::Wait(Timer::Total, 60_000)));
        chat
    };
    let effects = rig().handle(Input::Timer(Timer::Total), NOW);
    assert!(matches!(end(&effects).unwrap().verdict, Verdict::Exhausted(_)));
    let mut chat = rig();
    chat.handle(opened(Found::Nothing), NOW);
    chat.handle(Input::Sent("m1".to_owned()), NOW);
    assert!(chat.handle(Input::Timer(Timer::Total), NOW).contains(&Effect::Abort));
    let effects = chat.handle(Input::Signal(Signal::Idle), NOW);
    assert!(matches!(end(&effects).unwrap().verdict, Verdict::Exhausted(_)));
}

#[test]
fn a_lost_session_in_which_tools_ran_is_for_a_person_to_decide() {
    let lost = |on_lost_session| {
        let spec = ChatSpec { on_lost_session, ..spec(Mode::Workspace) };
        let progress = Progress { tools: 1, effects: 1, ..working().progress.clone() };
        let mut chat = Rig::of(Chat::restored(spec, progress));
        chat.handle(Input::Recover(Tail { tools: 1, effects: 1, ..Tail::default() }), NOW);
        let gone = Failure::new(FailureClass::SessionGone, "gone");
        let effects = chat.handle(Input::Refused(gone), NOW);
        (chat, effects)
    };
    let (mut chat, effects) = lost(OnLostSession::Ask);
    assert!(effects.iter().any(|it| matches!(it, Effect::Emit(Fact::Ask(_)))), "{effects:?}");
    let effects = chat.handle(answer(Reply::Text("start over".to_owned())), NOW);
    assert_eq!(effects.last(), Some(&Effect::Open));
    assert!(!chat.progress.sent && chat.progress.session.is_none());
    let (mut chat, _) = lost(OnLostSession::Ask);
    let effects = chat.handle(answer(Reply::Text("stop".to_owned())), NOW);
    assert!(matches!(end(&effects).unwrap().verdict, Verdict::Blocked(_)));
    let (_, effects) = lost(OnLostSession::Fail);
    assert!(matches!(end(&effects).unwrap().verdict, Verdict::Blocked(_)));
    let (_, effects) = lost(OnLostSession::Restart);
    assert_eq!(effects.last(), Some(&Effect::Open));
}

#[test]
fn a_repair_of_the_session_is_told() {
    let mut chat = chat();
    chat.handle(Input::Start, NOW);
    let Input::Opened(as_it_was) = opened(Found::Nothing) else { panic!() };
    let repaired = Some("it was repaired".to_owned());
    let effects = chat.handle(Input::Opened(Opened { repaired, ..as_it_was }), NOW);
    let (code, message) = ("session_repaired".to_owned(), "it was repaired".to_owned());
    assert_eq!(effects[0], Effect::Emit(Fact::Warning { code, message }));
}
