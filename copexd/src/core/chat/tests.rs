//! The chat machine, effect by effect. No IO, no async.

use super::*;

mod questions;
mod steering;
mod trouble;
use crate::core::approval::Mode;
use crate::core::budget::Budget;
use crate::core::failure::{Scope, Watchdog};
use crate::core::machine::{Decision, Reply, Resolution};
use crate::core::policy::{Level, Next, Policy, Ways};
use crate::core::signal::{CallUsage, Signal, Wish};

const NOW: Moment = Moment { now_ms: 10_000, chance: 0.5 };

/// A chat whose failures are judged at once, by the real policy.
struct Rig {
    chat: Chat,
    policy: Policy,
    ways: Ways,
}

impl std::ops::Deref for Rig {
    type Target = Chat;

    fn deref(&self) -> &Chat {
        &self.chat
    }
}

impl Rig {
    fn of(chat: Chat) -> Self {
        Self { chat, policy: Policy::default(), ways: Ways::default() }
    }

    fn handle(&mut self, input: Input, moment: Moment) -> Vec<Effect> {
        let mut effects = self.chat.handle(input, moment);
        while let Some(at) = effects.iter().position(|it| matches!(it, Effect::Judge(_))) {
            let Effect::Judge(trouble) = effects.remove(at) else { unreachable!() };
            let mut budget = Budget::full(moment.now_ms);
            let next = self.policy.next(Level::Turn, &trouble, self.ways, &mut budget, moment);
            effects.extend(self.chat.handle(Input::Judged(next), moment));
        }
        effects
    }
}

fn chat() -> Rig {
    Rig::of(Chat::new(spec(Mode::Workspace)))
}

fn restored(progress: &Progress) -> Rig {
    Rig::of(Chat::restored(spec(Mode::Workspace), progress.clone()))
}

fn choice(model: &str) -> Choice {
    Choice { model: Some(model.to_owned()), label: model.to_owned(), ..Choice::default() }
}

fn spec(mode: Mode) -> ChatSpec {
    ChatSpec {
        run: "r".to_owned(),
        asks: "r".to_owned(),
        prompt: "hi".to_owned(),
        compact: false,
        policy: super::Policy::try_new(mode, &[], &[], "/repo").unwrap(),
        choices: vec![choice("m"), choice("n")],
        strict_model: false,
        idle_ms: 300_000,
        ask_timeout_ms: 1_000,
        patient: false,
        max_duration_ms: None,
        on_lost_session: OnLostSession::Ask,
        warnings: Vec::new(),
    }
}

fn opened(found: Found) -> Input {
    Input::Opened(Opened {
        session: "s".to_owned(),
        user_messages: 2,
        backend: "sdk".to_owned(),
        found,
        candidate: 0,
        reason: None,
        can_rerun: true,
        can_steer: true,
        said: Vec::new(),
        repaired: None,
    })
}

fn working() -> Rig {
    let mut chat = chat();
    chat.handle(Input::Start, NOW);
    chat.handle(opened(Found::Nothing), NOW);
    chat.handle(Input::Sent("m1".to_owned()), NOW);
    chat
}

fn message(text: &str) -> Input {
    Input::Signal(Signal::Message { text: text.to_owned(), answers: Some("m1".to_owned()) })
}

fn died() -> Input {
    Input::Signal(Signal::Closed(Failure::new(FailureClass::RuntimeDied, "died")))
}

fn count(effects: &[Effect], wanted: &Effect) -> usize {
    effects.iter().filter(|effect| *effect == wanted).count()
}

fn send() -> Effect {
    Effect::Send("hi".to_owned())
}

fn end(effects: &[Effect]) -> Option<&End> {
    effects
        .iter()
        .find_map(|effect| if let Effect::Finish(end) = effect { Some(end) } else { None })
}

#[test]
fn the_checkpoint_comes_before_the_prompt_leaves() {
    let mut chat = chat();
    assert_eq!(chat.handle(Input::Start, NOW).last(), Some(&Effect::Open));
    let effects = chat.handle(opened(Found::Nothing), NOW);
    let checkpoint = effects.iter().position(|effect| *effect == Effect::Checkpoint);
    let send = effects.iter().position(|effect| *effect == send());
    assert!(checkpoint < send && send.is_some(), "{effects:?}");
    assert_eq!(chat.progress.user_messages, 2);
}

#[test]
fn an_answer_ends_the_run_at_idle_and_not_before() {
    let mut chat = working();
    assert!(end(&chat.handle(message("hi"), NOW)).is_none());
    let effects = chat.handle(Input::Signal(Signal::Idle), NOW);
    let end = end(&effects).unwrap();
    assert_eq!((end.verdict.clone(), end.outcome.content.as_str()), (Verdict::Done, "hi"));
    assert!(effects.contains(&Effect::Release { poisoned: false }));
}

#[test]
fn silence_is_a_failure_and_never_an_empty_success() {
    let mut chat = working();
    for _ in 0..2 {
        let effects = chat.handle(Input::Signal(Signal::Idle), NOW);
        assert!(end(&effects).is_none(), "{effects:?}");
        chat.handle(Input::Timer(Timer::Backoff), NOW);
    }
    let effects = chat.handle(Input::Signal(Signal::Idle), NOW);
    assert!(matches!(end(&effects).unwrap().verdict, Verdict::Failed(_)));
}

#[test]
fn a_dead_runtime_is_followed_by_a_rerun_and_never_by_a_second_prompt() {
    let mut chat = working();
    chat.handle(Input::Signal(Signal::MessageDelta("Hel".to_owned())), NOW);
    let effects = chat.handle(died(), NOW);
    assert!(effects.contains(&Effect::Emit(Fact::Restarted("died".to_owned()))));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Wait(Timer::Backoff, _))));
    assert_eq!(chat.handle(Input::Timer(Timer::Backoff), NOW), vec![Effect::Open]);
    let effects = chat.handle(opened(Found::Unfinished { waiting: Vec::new() }), NOW);
    assert_eq!(count(&effects, &Effect::Rerun), 1);
    assert_eq!(count(&effects, &send()), 0);
    chat.handle(message("Hello"), NOW);
    let effects = chat.handle(Input::Signal(Signal::Idle), NOW);
    assert_eq!(end(&effects).unwrap().outcome.retries, 1);
}

#[test]
fn a_try_that_opens_no_session_counts() {
    let mut chat = chat();
    chat.handle(Input::Start, NOW);
    for number in 2..=4 {
        let failure = Failure::new(FailureClass::RuntimeDied, "died");
        let effects = chat.handle(Input::Refused(failure), NOW);
        let told = effects.iter().find_map(|effect| match effect {
            Effect::Emit(Fact::Retrying { attempt, .. }) => Some(*attempt),
            _ => None,
        });
        assert_eq!(told, Some(number));
        chat.handle(Input::Timer(Timer::Backoff), NOW);
    }
    let effects = chat.handle(opened(Found::Nothing), NOW);
    assert!(effects.iter().any(|it| matches!(it, Effect::Emit(Fact::Attempt { number: 4, .. }))));
}

#[test]
fn a_resumed_run_finishes_the_turn_and_counts_for_itself() {
    let mut ended = working();
    ended.handle(Input::Cancel, NOW);
    ended.handle(Input::Signal(Signal::Idle), NOW);
    let mut chat = restored(&ended.progress.clone().taken_up());
    assert_eq!(chat.handle(Input::Start, NOW).last(), Some(&Effect::Open));
    let effects = chat.handle(opened(Found::Unfinished { waiting: Vec::new() }), NOW);
    assert_eq!((count(&effects, &Effect::Rerun), count(&effects, &send())), (1, 0));
    assert!(effects.iter().any(|it| matches!(it, Effect::Emit(Fact::Attempt { number: 1, .. }))));
    chat.handle(Input::Signal(Signal::Message { text: "yes".to_owned(), answers: None }), NOW);
    let effects = chat.handle(Input::Signal(Signal::Idle), NOW);
    assert_eq!(end(&effects).unwrap().verdict, Verdict::Done);
}

#[test]
fn a_turn_that_ended_while_we_were_away_is_taken_from_the_transcript() {
    let mut chat = restored(&working().progress);
    let tail = Tail { unconfirmed_text: true, ..Tail::default() };
    let effects = chat.handle(Input::Recover(tail), NOW);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Emit(Fact::Restarted(_)))));
    let found = Found::Finished { messages: vec!["one".to_owned(), "two".to_owned()] };
    let effects = chat.handle(opened(found), NOW);
    assert_eq!(count(&effects, &Effect::Rerun) + count(&effects, &send()), 0);
    assert_eq!(end(&effects).unwrap().outcome.content, "two");
}

#[test]
fn what_was_told_before_the_restart_is_not_told_again_and_still_counts() {
    let mut chat = restored(&working().progress);
    let usage = CallUsage { calls: 2, output_tokens: 9, ..CallUsage::default() };
    let messages = vec!["one".to_owned(), "lost".to_owned()];
    let tail = Tail { messages, usage, tools: 1, ..Tail::default() };
    chat.handle(Input::Recover(tail), NOW);
    let messages = ["one", "two", "two"].map(str::to_owned).to_vec();
    let effects = chat.handle(opened(Found::Finished { messages }), NOW);
    let told = |text: &str| count(&effects, &Effect::Emit(Fact::Message(text.to_owned())));
    assert_eq!((told("one"), told("two")), (0, 2));
    let outcome = &end(&effects).unwrap().outcome;
    assert_eq!((outcome.content.as_str(), outcome.usage.calls, outcome.tools), ("two", 2, 1));
}

#[test]
fn an_answer_that_was_told_before_its_runtime_died_is_told_once() {
    let mut chat = working();
    chat.handle(message("Hello"), NOW);
    chat.handle(died(), NOW);
    chat.handle(Input::Timer(Timer::Backoff), NOW);
    let found = Found::Finished { messages: vec!["Hello".to_owned()] };
    let effects = chat.handle(opened(found), NOW);
    assert_eq!(count(&effects, &Effect::Emit(Fact::Message("Hello".to_owned()))), 0);
    assert_eq!(end(&effects).unwrap().outcome.content, "Hello");
}

#[test]
fn text_that_comes_before_the_prompt_is_confirmed_does_not_stop_the_watchdog() {
    let mut chat = chat();
    chat.handle(Input::Start, NOW);
    chat.handle(opened(Found::Nothing), NOW);
    let effects = chat.handle(Input::Signal(Signal::MessageDelta("Hel".to_owned())), NOW);
    assert_eq!(count(&effects, &Effect::Wait(Timer::Idle, 300_000)), 1, "{effects:?}");
}

#[test]
fn four_deaths_are_the_turns_own_fault() {
    let mut chat = working();
    for _ in 0..3 {
        assert!(end(&chat.handle(died(), NOW)).is_none());
        chat.handle(Input::Timer(Timer::Backoff), NOW);
        chat.handle(opened(Found::Unfinished { waiting: Vec::new() }), NOW);
    }
    assert!(matches!(end(&chat.handle(died(), NOW)).unwrap().verdict, Verdict::Failed(_)));
}

#[test]
fn a_caller_may_want_fewer_retries() {
    let mut chat = chat();
    chat.policy.attempts = 1;
    chat.handle(Input::Start, NOW);
    chat.handle(opened(Found::Nothing), NOW);
    assert!(matches!(end(&chat.handle(died(), NOW)).unwrap().verdict, Verdict::Failed(_)));
}

fn url() -> Wish {
    Wish::Url { url: "https://example.org".to_owned() }
}

fn wants(request: &str) -> Input {
    Input::Signal(Signal::Permission { request: request.to_owned(), wish: url() })
}

fn answer(reply: Reply) -> Input {
    Input::Answered(Resolution { ask: "r-1".to_owned(), answer: reply, by_client: true })
}

#[test]
fn cancel_ends_every_phase_and_only_once() {
    let mut fresh = chat();
    fresh.handle(Input::Start, NOW);
    assert!(matches!(
        end(&fresh.handle(Input::Cancel, NOW)).unwrap().verdict,
        Verdict::Cancelled(_)
    ));
    assert_eq!(fresh.handle(Input::Cancel, NOW), vec![]);

    let mut chat = working();
    let effects = chat.handle(Input::Cancel, NOW);
    assert!(effects.contains(&Effect::Abort));
    let effects = chat.handle(Input::Signal(Signal::Idle), NOW);
    assert!(matches!(end(&effects).unwrap().verdict, Verdict::Cancelled(_)));
    assert!(effects.contains(&Effect::Release { poisoned: true }));
}

#[test]
fn a_turn_that_is_over_withdraws_nothing() {
    let mut chat = working();
    chat.handle(Input::Signal(Signal::MessageDelta("Hel".to_owned())), NOW);
    chat.handle(Input::Cancel, NOW);
    let effects = chat.handle(Input::Signal(Signal::Idle), NOW);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Emit(Fact::Restarted(_)))));
}

#[test]
fn a_backend_that_ignores_the_abort_does_not_hold_the_run() {
    let mut chat = working();
    chat.handle(Input::Cancel, NOW);
    assert!(end(&chat.handle(Input::Timer(Timer::Grace), NOW)).is_some());
}

#[test]
fn the_idle_watchdog_fires_only_on_a_silent_request() {
    let mut chat = working();
    for last in [false, true] {
        let effects = chat.handle(Input::Timer(Timer::Idle), NOW);
        assert!(effects.contains(&Effect::Abort));
        let effects = chat.handle(Input::Signal(Signal::Idle), NOW);
        if last {
            let Verdict::Failed(failure) = &end(&effects).unwrap().verdict else { panic!() };
            assert_eq!(failure.class, FailureClass::Timeout(Watchdog::Idle));
        } else {
            assert!(end(&effects).is_none(), "once more: {effects:?}");
            let effects = chat.handle(Input::Timer(Timer::Backoff), NOW);
            assert_eq!(count(&effects, &Effect::Rerun), 1);
        }
    }
}

fn failed(failure: Failure) -> Input {
    Input::Signal(Signal::Failed(failure))
}

/// The turn ends with this failure.
fn fail(chat: &mut Rig, failure: Failure) -> Vec<Effect> {
    chat.handle(failed(failure), NOW);
    chat.handle(Input::Signal(Signal::Idle), NOW)
}

fn limited(scope: Scope, wait_ms: u64) -> Failure {
    Failure::new(FailureClass::RateLimit(scope), "slow down").with_retry_after(Some(wait_ms))
}

#[test]
fn another_model_is_told_once_and_refused_when_strict() {
    let usage = || {
        Input::Signal(Signal::Usage(CallUsage {
            model: Some("other".to_owned()),
            calls: 1,
            ..CallUsage::default()
        }))
    };
    let mut chat = working();
    let warned = |effects: &[Effect]| {
        effects.iter().any(|effect| {
            matches!(effect, Effect::Emit(Fact::Warning { code, .. }) if code == "model_replaced")
        })
    };
    assert!(warned(&chat.handle(usage(), NOW)));
    assert!(!warned(&chat.handle(usage(), NOW)));

    let mut strict = Rig::of(Chat::new(ChatSpec { strict_model: true, ..spec(Mode::Workspace) }));
    strict.handle(Input::Start, NOW);
    strict.handle(opened(Found::Nothing), NOW);
    strict.handle(Input::Sent("m1".to_owned()), NOW);
    assert!(strict.handle(usage(), NOW).contains(&Effect::Abort));
    let effects = strict.handle(Input::Signal(Signal::Idle), NOW);
    assert!(matches!(end(&effects).unwrap().verdict, Verdict::Failed(_)));
}

#[test]
fn every_input_in_every_phase_is_harmless_and_never_ends_twice() {
    let inputs = || {
        vec![
            Input::Start,
            Input::Recover(Tail::default()),
            opened(Found::Nothing),
            opened(Found::Unfinished { waiting: Vec::new() }),
            opened(Found::Finished { messages: vec!["x".to_owned()] }),
            Input::Refused(Failure::new(FailureClass::RuntimeDied, "no")),
            Input::Sent("m1".to_owned()),
            message("x"),
            Input::Signal(Signal::Idle),
            died(),
            wants("p"),
            answer(Reply::Allow),
            Input::Timer(Timer::Backoff),
            Input::Timer(Timer::Idle),
            Input::Timer(Timer::Park),
            Input::Wake,
            Input::Compacted(Ok(())),
            Input::Judged(Next::Resume { at: 0 }),
            failed(limited(Scope::Weekly, 1_000)),
            failed(Failure::new(FailureClass::ContextLimit, "x")),
            Input::Timer(Timer::Grace),
            Input::Cancel,
        ]
    };
    let count = inputs().len();
    for first in 0..count {
        for second in 0..count {
            for start in [chat, working] {
                let mut chat = start();
                let mut ends = 0;
                for index in [first, second, first, count - 1, count - 2] {
                    let input = inputs().swap_remove(index);
                    ends += usize::from(end(&chat.handle(input, NOW)).is_some());
                }
                assert_eq!(ends, 1, "inputs {first} and {second}");
            }
        }
    }
}

/// What it took is told by its end, so the run does not end before; but not for ever.
#[test]
fn a_turn_that_is_over_waits_for_a_compaction_beside_it() {
    let compacting = |begins| Input::Signal(Signal::Compacting(begins));
    let at_work = || {
        let mut chat = working();
        chat.handle(compacting(true), NOW);
        chat.handle(message("done"), NOW);
        let effects = chat.handle(Input::Signal(Signal::Idle), NOW);
        let waits = |it: &Effect| matches!(it, Effect::Wait(Timer::Grace, _));
        assert!(end(&effects).is_none() && effects.iter().any(waits), "{effects:?}");
        chat
    };
    let mut told = at_work();
    let usage = CallUsage { calls: 1, ..CallUsage::default() };
    assert!(end(&told.handle(Input::Signal(Signal::Usage(usage)), NOW)).is_none());
    let effects = told.handle(compacting(false), NOW);
    assert_eq!(end(&effects).map(|end| end.outcome.usage.calls), Some(1), "{effects:?}");
    let effects = at_work().handle(Input::Timer(Timer::Grace), NOW);
    assert_eq!(end(&effects).map(|end| &end.verdict), Some(&Verdict::Done), "{effects:?}");
    // One that ended before the turn did holds nothing up.
    let mut chat = working();
    for input in [compacting(true), compacting(false), message("done")] {
        chat.handle(input, NOW);
    }
    assert!(end(&chat.handle(Input::Signal(Signal::Idle), NOW)).is_some());
}
