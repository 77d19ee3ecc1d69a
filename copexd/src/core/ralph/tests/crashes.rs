//! A loop that goes on after a crash, and one that another run takes up.

use super::*;
use crate::core::failure::Scope;
use crate::core::stored::Stored;

/// The same loop as the next daemon has it.
pub(super) fn crashed(rig: &Rig, spec: RalphSpec) -> Rig {
    let bytes = serde_json::to_vec(&rig.ralph.checkpoint()).unwrap();
    let Some(Stored::Ralph(progress)) = Stored::read(&bytes) else { panic!() };
    let mut next = Rig::of(Ralph::restored(spec, *progress));
    next.hear(Input::Recover(Tail::default()));
    next
}

/// The same loop as a run that takes it up has it.
pub(super) fn taken_up(rig: &Rig, spec: RalphSpec) -> Rig {
    let bytes = serde_json::to_vec(&rig.ralph.checkpoint()).unwrap();
    let Some(Stored::Ralph(progress)) = Stored::read(&bytes).map(Stored::taken_up) else {
        panic!()
    };
    let mut next = Rig::of(Ralph::restored(spec, *progress));
    next.hear(Input::Start);
    next
}

fn iteration(rig: &Rig) -> Option<u32> {
    rig.effects.iter().find_map(|effect| match effect {
        Effect::Emit(Fact::Iteration { number, .. }) => Some(*number),
        _ => None,
    })
}

#[test]
fn a_turn_that_was_under_way_is_looked_up_and_its_iteration_is_not_begun_again() {
    let mut rig = Rig::start(spec());
    rig.answer("no");
    rig.open();
    let mut next = crashed(&rig, spec());
    assert_eq!(iteration(&next), None);
    assert!(next.effects.contains(&Effect::Open), "{:?}", next.effects);
    let turn = next.ralph.turn(MAIN);
    assert_eq!((turn.sent, turn.session.as_deref()), (true, Some("s1")));
    let opened = Opened {
        session: "s1".to_owned(),
        user_messages: 1,
        backend: "sdk".to_owned(),
        found: Found::Finished { messages: vec![KEPT.to_owned()] },
        candidate: 0,
        reason: None,
        can_rerun: true,
        can_steer: true,
        said: Vec::new(),
        repaired: None,
    };
    next.hear(Input::Opened(opened));
    assert_eq!(next.verdict(), &Verdict::Done);
    assert_eq!(next.prompts, [""; 0], "nothing is sent");
    assert_eq!(next.end().unwrap().outcome.usage.calls, 1, "of the iteration before");
}

#[test]
fn a_gate_with_a_result_does_not_run_again_and_one_without_does() {
    let mut rig = Rig::start(gated());
    rig.answer(KEPT);
    rig.gate(0, 0);
    let mut next = crashed(&rig, gated());
    let gates: Vec<_> =
        next.effects.iter().filter(|it| matches!(it, Effect::Gate { .. })).collect();
    assert!(matches!(gates[..], [Effect::Gate { index: 1, .. }]), "{gates:?}");
    next.gate(1, 0);
    assert_eq!(next.verdict(), &Verdict::Done);
}

#[test]
fn waits_go_on_where_they_were() {
    let slow = || RalphSpec { delay_ms: 500, ..spec() };
    let mut rig = Rig::start(slow());
    rig.answer("no");
    let mut next = crashed(&rig, slow());
    assert!(next.effects.contains(&Effect::Wait(Timer::Pause, 500)), "{:?}", next.effects);
    next.hear(Input::Timer(Timer::Pause));
    assert_eq!(iteration(&next), Some(2));

    let mut rig = Rig::start(spec());
    rig.answer("<needs-human>Which port?</needs-human>");
    let mut next = crashed(&rig, spec());
    let ask = "r-1".to_owned();
    assert_eq!(next.effects, [Effect::Wait(Timer::Ask(ask.clone()), 1_000)]);
    let answer = Reply::Text("8080".to_owned());
    next.hear(Input::Answered(Resolution { ask, answer, by_client: true }));
    assert_eq!(iteration(&next), Some(2));
}

#[test]
fn a_loop_that_used_up_its_iterations_has_as_many_again() {
    let short = || RalphSpec { max_iterations: 2, ..spec() };
    let mut rig = Rig::start(short());
    rig.answer("no");
    rig.answer("no");
    let mut next = taken_up(&rig, short());
    assert_eq!(iteration(&next), Some(3));
    next.answer("no");
    next.answer("no");
    assert!(next.exhausted().contains("4 iterations"), "{}", next.exhausted());
    assert_eq!(next.end().unwrap().outcome.usage.calls, 2, "only its own");
}

#[test]
fn an_iteration_that_was_cut_off_is_finished_by_the_run_that_takes_it_up() {
    let mut rig = Rig::start(spec());
    rig.answer("no");
    rig.open();
    rig.hear(Input::Cancel);
    rig.hear(Input::Signal(Signal::Idle));
    assert!(matches!(rig.verdict(), Verdict::Cancelled(_)));
    let next = taken_up(&rig, spec());
    assert_eq!(iteration(&next), Some(2));
    assert!(next.ralph.turn(MAIN).sent, "the prompt is in the session already");
}

#[test]
fn gates_run_again_for_a_run_that_takes_a_loop_up() {
    let mut rig = Rig::start(gated());
    rig.answer(KEPT);
    rig.gate(0, 0);
    rig.hear(Input::Cancel);
    let mut next = taken_up(&rig, gated());
    next.gate(0, 0);
    next.gate(1, 0);
    assert_eq!(next.verdict(), &Verdict::Done);
}

#[test]
fn a_park_is_the_turns_own_and_outlasts_a_crash() {
    let mut rig = Rig::start(spec());
    rig.answer("no");
    rig.open();
    let limited = Failure::new(FailureClass::RateLimit(Scope::Account), "slow down");
    let mut effects = rig.ralph.handle(Input::Signal(Signal::Failed(limited)), NOW);
    effects.extend(rig.ralph.handle(Input::Signal(Signal::Idle), NOW));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Judge(_))), "{effects:?}");
    rig.hear(Input::Judged(Next::Park { until: Some(NOW.now_ms + 3_600_000) }));
    let parked = rig.ralph.turn(MAIN).parked.unwrap();
    let mut next = crashed(&rig, spec());
    assert_eq!(next.effects, [Effect::Wait(Timer::Park, parked - NOW.now_ms)]);
    next.hear(Input::Wake);
    assert!(next.effects.contains(&Effect::Open), "{:?}", next.effects);
    assert_eq!(next.ralph.progress.iteration, 2);
}
