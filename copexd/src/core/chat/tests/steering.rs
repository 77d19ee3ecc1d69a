//! Words that a person adds to a turn.

use super::*;

fn steer(text: &str) -> Input {
    Input::Steer(text.to_owned())
}

fn handed(effects: &[Effect]) -> Vec<&str> {
    fn words(effect: &Effect) -> Option<&str> {
        if let Effect::Steer(text) = effect { Some(text) } else { None }
    }
    effects.iter().filter_map(words).collect()
}

fn prompted(text: &str, message: &str) -> Input {
    let (text, message) = (text.to_owned(), Some(message.to_owned()));
    Input::Signal(Signal::Prompted { text, message })
}

fn answer(text: &str, to: &str) -> Input {
    Input::Signal(Signal::Message { text: text.to_owned(), answers: Some(to.to_owned()) })
}

fn lost(effects: &[Effect]) -> usize {
    let warns = |it: &&Effect| matches!(it, Effect::Emit(Fact::Warning { code, .. }) if code == "steer_lost");
    effects.iter().filter(warns).count()
}

const IDLE: Input = Input::Signal(Signal::Idle);

#[test]
fn words_are_journaled_and_handed_over_one_after_the_other() {
    let mut chat = working();
    let effects = chat.handle(steer("a"), NOW);
    assert_eq!(effects[..2], [Effect::Emit(Fact::Steered("a".to_owned())), Effect::Checkpoint]);
    assert_eq!(handed(&effects), ["a"]);
    assert_eq!(handed(&chat.handle(steer("b"), NOW)), Vec::<&str>::new());
    assert_eq!(handed(&chat.handle(Input::Steered(Ok(())), NOW)), ["b"]);
    assert_eq!(chat.progress().steers, ["a", "b"]);
}

#[test]
fn words_before_the_prompt_is_out_wait_for_it() {
    let mut chat = chat();
    chat.handle(Input::Start, NOW);
    assert_eq!(handed(&chat.handle(steer("a"), NOW)), Vec::<&str>::new());
    assert_eq!(handed(&chat.handle(opened(Found::Nothing), NOW)), Vec::<&str>::new());
    assert_eq!(handed(&chat.handle(Input::Sent("m1".to_owned()), NOW)), ["a"]);
}

#[test]
fn a_turn_with_words_on_their_way_ends_with_their_answer() {
    let mut chat = working();
    chat.handle(steer("more"), NOW);
    chat.handle(Input::Steered(Ok(())), NOW);
    chat.handle(answer("first", "m1"), NOW);
    let effects = chat.handle(IDLE, NOW);
    assert!(end(&effects).is_none(), "another round comes");
    assert!(effects.contains(&Effect::Wait(Timer::Grace, STEER_GRACE_MS)));
    let effects = chat.handle(prompted("more", "m2"), NOW);
    assert!(effects.contains(&Effect::Unwait(Timer::Grace)));
    let effects = chat.handle(answer("second", "m2"), NOW);
    assert!(effects.contains(&Effect::Emit(Fact::Message("second".to_owned()))), "{effects:?}");
    let effects = chat.handle(IDLE, NOW);
    assert_eq!(end(&effects).unwrap().outcome.content, "second");
}

#[test]
fn words_that_nobody_heard_are_told_and_the_answer_stays() {
    let mut chat = working();
    chat.handle(steer("more"), NOW);
    chat.handle(Input::Steered(Ok(())), NOW);
    chat.handle(answer("first", "m1"), NOW);
    chat.handle(IDLE, NOW);
    let effects = chat.handle(Input::Timer(Timer::Grace), NOW);
    assert_eq!(lost(&effects), 1, "{effects:?}");
    let end = end(&effects).unwrap();
    assert_eq!((end.verdict.clone(), end.outcome.content.as_str()), (Verdict::Done, "first"));

    let mut chat = working();
    chat.handle(steer("more"), NOW);
    let failure = Failure::new(FailureClass::Unknown, "no");
    assert_eq!(lost(&chat.handle(Input::Steered(Err(failure)), NOW)), 1);
    chat.handle(answer("first", "m1"), NOW);
    assert!(super::end(&chat.handle(IDLE, NOW)).is_some());
}

#[test]
fn after_a_crash_only_what_the_transcript_lacks_is_handed_over() {
    let mut before = working();
    for text in ["a", "a", "b"] {
        before.handle(steer(text), NOW);
    }
    let resumed = |found, said: &[&str]| {
        let mut chat = restored(&before.progress());
        chat.handle(Input::Recover(Tail::default()), NOW);
        let Input::Opened(mut it) = opened(found) else { unreachable!() };
        it.said = said.iter().map(|text| (*text).to_owned()).collect();
        let mut effects = chat.handle(Input::Opened(it), NOW);
        effects.extend(chat.handle(Input::Sent(String::new()), NOW));
        let mut all: Vec<String> = handed(&effects).into_iter().map(str::to_owned).collect();
        for _ in 0..3 {
            let effects = chat.handle(Input::Steered(Ok(())), NOW);
            all.extend(handed(&effects).into_iter().map(str::to_owned));
        }
        (all, end(&effects).is_some())
    };
    let unfinished = || Found::Unfinished { waiting: Vec::new() };
    assert_eq!(resumed(unfinished(), &["a"]).0, ["a", "b"]);
    assert_eq!(resumed(unfinished(), &["a", "b", "a"]).0, Vec::<String>::new());
    let finished = || Found::Finished { messages: vec!["x".to_owned()] };
    assert_eq!(resumed(finished(), &["a", "b", "a"]), (Vec::new(), true));
    assert_eq!(resumed(finished(), &["a", "a"]), (vec!["b".to_owned()], false));
}

#[test]
fn who_takes_no_words_says_so() {
    let mut chat = working();
    assert_eq!(chat.steerable(), Ok(()));
    for _ in 0..MOST_STEERS {
        chat.handle(steer("x"), NOW);
    }
    assert!(chat.steerable().is_err());
    chat.handle(steer("one more"), NOW);
    assert_eq!(chat.progress().steers.len(), MOST_STEERS);

    let mut chat = super::chat();
    chat.handle(Input::Start, NOW);
    chat.handle(steer("early"), NOW);
    let Input::Opened(mut it) = opened(Found::Nothing) else { unreachable!() };
    it.can_steer = false;
    assert_eq!(lost(&chat.handle(Input::Opened(it), NOW)), 1);
    assert!(chat.steerable().is_err());
    let mut ended = working();
    ended.handle(Input::Cancel, NOW);
    assert!(ended.steerable().is_err());
}

#[test]
fn a_conversation_that_is_only_made_smaller_hears_no_prompt() {
    let spec = ChatSpec { compact: true, prompt: String::new(), ..spec(Mode::Workspace) };
    let begin = || {
        let mut chat = Rig::of(Chat::new(spec.clone()));
        chat.handle(Input::Start, NOW);
        let effects = chat.handle(opened(Found::Nothing), NOW);
        assert!(effects.ends_with(&[Effect::Checkpoint, Effect::Compact]), "{effects:?}");
        chat
    };
    let effects = begin().handle(Input::Compacted(Ok(())), NOW);
    let ended = end(&effects).unwrap();
    assert!(ended.verdict == Verdict::Done && !ended.outcome.content.is_empty());
    let failure = Failure::new(FailureClass::Unknown, "nothing to compact");
    let effects = begin().handle(Input::Compacted(Err(failure)), NOW);
    assert!(matches!(end(&effects).unwrap().verdict, Verdict::Failed(_)), "and is not tried again");
}
