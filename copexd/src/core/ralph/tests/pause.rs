//! A loop that waits for a person between its iterations.

use super::*;

fn paused() -> RalphSpec {
    RalphSpec { pause: true, ..spec() }
}

fn question(rig: &Rig) -> Option<String> {
    rig.effects.iter().rev().find_map(|effect| match effect {
        Effect::Emit(Fact::Ask(question)) => Some(question.ask.clone()),
        _ => None,
    })
}

fn say(rig: &mut Rig, answer: Reply, by_client: bool) {
    let ask = question(rig).expect("a question");
    rig.hear(Input::Answered(Resolution { ask, answer, by_client }));
}

#[test]
fn the_next_iteration_waits_for_a_word_and_has_it() {
    let mut rig = Rig::start(paused());
    assert_eq!(question(&rig), None, "nothing to look at yet");
    rig.answer("no");
    assert_eq!(rig.iterations(), 1);
    say(&mut rig, Reply::Text("use tabs".to_owned()), true);
    rig.answer("no");
    assert!(rig.prompts[1].contains("A person says: use tabs\n"), "{}", rig.prompts[1]);
    say(&mut rig, Reply::Text("go on".to_owned()), true);
    rig.answer(KEPT);
    assert_eq!(rig.verdict(), &Verdict::Done);
    assert!(!rig.prompts[2].contains("use tabs"));
}

#[test]
fn a_stop_ends_the_loop_and_it_can_be_taken_up() {
    let mut rig = Rig::start(paused());
    rig.answer("no");
    say(&mut rig, Reply::Text("stop".to_owned()), true);
    assert!(matches!(rig.verdict(), Verdict::Cancelled(_)));
    let next = crashes::taken_up(&rig, paused());
    assert_eq!(next.ralph.progress.iteration, 2);
}

#[test]
fn a_question_that_nobody_answers_blocks_and_a_crash_does_not_ask_again() {
    let mut rig = Rig::start(paused());
    rig.answer("no");
    let ask = question(&rig).unwrap();
    let mut next = crashes::crashed(&rig, paused());
    assert_eq!(next.effects, [Effect::Wait(Timer::Ask(ask.clone()), 1_000)]);
    next.hear(Input::Timer(Timer::Ask(ask)));
    assert!(matches!(next.verdict(), Verdict::Blocked(_)));
}

#[test]
fn the_last_iteration_is_followed_by_no_question() {
    let mut rig = Rig::start(RalphSpec { max_iterations: 1, ..paused() });
    rig.answer("no");
    assert!(rig.exhausted().contains("1 iteration is over"));
    assert_eq!(question(&rig), None);
}
