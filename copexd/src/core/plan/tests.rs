//! What the plan's machine does, in a world of its own.

use proptest::prelude::*;

use super::*;
use crate::core::machine::StepState;
use crate::core::stored::Stored;
use world::{Rig, World, outline, spec, step};

mod world;

#[test]
fn steps_are_done_in_order_and_ticked() {
    let rig = Rig::run(spec(), World::default());
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(rig.world.prompts, [1, 2, 3, 4, 5]);
    assert_eq!(rig.marks(), [Mark::Done; 5]);
    assert_eq!(rig.states(2), [StepState::Pending, StepState::Running, StepState::Done]);
    let outcome = rig.end.unwrap().outcome;
    assert_eq!((outcome.content.as_str(), outcome.iterations), ("the plan", Some(5)));
    let told = rig.world.sessions.last().unwrap()[0].0.clone();
    assert!(told.contains("4. t4 (done)") && told.contains("Step 4: did 4"), "{told}");
}

#[test]
fn a_plan_alone_is_written_and_nothing_else() {
    let rig = Rig::run(PlanSpec { execute: false, ..spec() }, World::default());
    assert!(rig.done());
    assert_eq!((rig.world.prompts.len(), rig.marks()), (0, vec![Mark::Open; 5]));
    assert_eq!(rig.end.unwrap().outcome.iterations, None);
}

#[test]
fn steps_that_do_not_need_each_other_run_side_by_side() {
    let mut rig = Rig::start(PlanSpec { parallel: 3, ..spec() }, World::default());
    // Everybody has begun before anybody ends.
    let mut late = Vec::new();
    while let Some((lane, effect)) = rig.queue.pop_front() {
        match effect {
            Effect::Send(_) if lane != MAIN => late.push((lane, effect)),
            effect => rig.perform(lane, effect),
        }
        if rig.queue.is_empty() {
            rig.queue.extend(late.drain(..));
            if let Some((lane, effect)) = rig.queue.pop_front() {
                rig.perform(lane, effect);
            }
        }
    }
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(rig.world.wide, 3, "1 and 5, and as 1 ends first, 5 with 2 and 3");
    assert_eq!(rig.world.prompts.len(), 5);
}

#[test]
fn an_answer_that_is_no_plan_is_asked_for_again_but_not_for_ever() {
    let rig = Rig::run(spec(), World { nonsense: 2, ..World::default() });
    assert!(rig.done());
    assert!(rig.world.sessions[0][1].0.contains("it is nonsense"), "in the same session");
    let rig = Rig::run(spec(), World { nonsense: 3, ..World::default() });
    let Verdict::Failed(failure) = rig.end.unwrap().verdict else { panic!() };
    assert!(failure.message.contains("3 answers"), "{failure}");
}

#[test]
fn a_failed_step_stops_those_that_need_it_and_no_other() {
    let mut rig = Rig::run(spec(), World { bad: vec![2], ..World::default() });
    assert_eq!(rig.end, None, "a person is asked");
    assert_eq!(rig.marks(), [Mark::Done, Mark::Failed, Mark::Done, Mark::Open, Mark::Done]);
    assert_eq!(rig.states(4), [StepState::Pending, StepState::Blocked]);
    assert_eq!(rig.world.tried[&2], 2, "two iterations");
    rig.world.bad.clear();
    rig.say("retry with more care");
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!((rig.world.tried[&2], rig.world.tried[&1]), (3, 1));
    let heard = |session: &Vec<(String, String)>| {
        session.iter().any(|(prompt, _)| prompt.contains("says: with more care"))
    };
    assert!(rig.world.sessions.iter().any(heard), "what the person said is passed on");
}

#[test]
fn a_person_may_skip_or_edit_or_stop() {
    let failed = || Rig::run(spec(), World { bad: vec![2], ..World::default() });
    let mut rig = failed();
    rig.say("skip");
    assert!(rig.done());
    assert_eq!(rig.marks()[1], Mark::Skipped);

    let mut rig = failed();
    let Some(Ok(outline)) = &mut rig.world.file else { panic!() };
    outline.steps.remove(1);
    outline.steps[2].depends_on = vec![3];
    outline.steps.push(step(6, &[4]));
    rig.say("edit the plan, then go on");
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(rig.world.prompts.last(), Some(&6), "what was added is done too");

    let mut rig = failed();
    rig.reply(Reply::Deny(None));
    assert!(matches!(rig.end.unwrap().verdict, Verdict::Exhausted(_)), "as the step ended");
    let rig = Rig::run(
        PlanSpec { on_failure: OnFailure::Stop, ..spec() },
        World { bad: vec![2], ..World::default() },
    );
    assert!(matches!(rig.end.unwrap().verdict, Verdict::Exhausted(_)));
}

#[test]
fn a_broken_edit_stops_the_plan_until_it_is_mended() {
    let mut rig = Rig::start(spec(), World::default());
    while rig.world.prompts.is_empty() {
        let (lane, effect) = rig.queue.pop_front().unwrap();
        rig.perform(lane, effect);
    }
    rig.world.file = Some(Err("line 3: no".to_owned()));
    rig.go_on();
    assert_eq!(rig.end, None);
    assert_eq!(rig.world.prompts, [1], "no step is begun on a plan that nobody can read");
    rig.say("read again");
    assert_eq!(rig.questions.len(), 2, "it is asked again");
    rig.say("restore");
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(rig.world.prompts, [1, 2, 3, 4, 5], "step 1 is done, though the file lost it");
}

#[test]
fn a_reviewed_plan_is_read_as_the_person_left_it() {
    let reviewed = PlanSpec { review: true, trust: false, ..spec() };
    let mut rig = Rig::run(reviewed.clone(), World::default());
    assert_eq!(rig.world.prompts, [0_u32; 0], "nothing runs before it is approved");
    rig.say("3: with care");
    let prompt = &rig.world.sessions[0][1].0;
    assert!(prompt.contains("says: with care") && prompt.contains("Change step 3"), "{prompt}");
    let Some(Ok(outline)) = &mut rig.world.file else { panic!() };
    outline.steps.truncate(1);
    outline.steps[0].verify = vec!["true".to_owned()];
    rig.reply(Reply::Allow);
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(rig.world.prompts, [1]);
    assert!(rig.facts.iter().any(|fact| matches!(fact, Fact::Gate { .. })), "its gate may run");

    let mut rig = Rig::run(reviewed, World::default());
    rig.reply(Reply::Deny(Some("too long".to_owned())));
    let Verdict::Blocked(failure) = rig.end.unwrap().verdict else { panic!() };
    assert!(failure.message.contains("too long"), "{failure}");
}

#[test]
fn gates_that_nobody_approved_do_not_run() {
    let mut plan = outline();
    plan.steps[0].verify = vec!["rm -rf /".to_owned()];
    let given = || Given::Plan(plan.clone());
    let rig = Rig::run(PlanSpec { given: given(), trust: false, ..spec() }, World::default());
    assert!(rig.done());
    assert!(!rig.facts.iter().any(|fact| matches!(fact, Fact::Gate { .. })));
    let told = |code: &str| {
        rig.facts.iter().any(|fact| matches!(fact, Fact::Warning { code: it, .. } if it == code))
    };
    assert!(told("gates_not_run"));
    let rig =
        Rig::run(PlanSpec { given: given(), ..spec() }, World { bad: vec![1], ..World::default() });
    assert_eq!(rig.end, None, "a red gate is no end of a step");
}

#[test]
fn it_begins_where_it_is_told_to() {
    let mut plan = outline();
    plan.mark(4, Mark::Done);
    let given = Given::Plan(plan);
    let rig = Rig::run(PlanSpec { given, from_step: 3, ..spec() }, World::default());
    assert!(rig.done());
    assert_eq!(rig.world.prompts, [3, 5], "1 and 2 are taken for done, 4 is");
}

#[test]
fn a_cancelled_plan_ends_when_its_steps_have() {
    let mut rig = Rig::start(PlanSpec { parallel: 2, ..spec() }, World::default());
    while rig.plan.running.len() < 2 {
        let (lane, effect) = rig.queue.pop_front().unwrap();
        rig.perform(lane, effect);
    }
    rig.hear(Input::Cancel);
    rig.go_on();
    assert!(matches!(rig.end, Some(End { verdict: Verdict::Cancelled(_), .. })), "{:?}", rig.end);
    let Some(Stored::Plan(progress)) = Stored::read(&rig.stored) else { panic!() };
    let mut next = Rig::start(spec(), World::default());
    next.queue.clear();
    next.world = rig.world;
    next.plan = Plan::restored(spec(), progress.taken_up());
    next.hear(Input::Start);
    next.go_on();
    assert!(next.done(), "a run that goes on with it does what is left: {:?}", next.end);
}

#[test]
fn left_time_is_told_once_two_steps_are_done() {
    let rig = Rig::run(spec(), World::default());
    let left: Vec<bool> = rig
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Step(step) if step.state == StepState::Done => Some(step.left_ms.is_some()),
            _ => None,
        })
        .collect();
    assert_eq!(left, [false, true, true, true, false]);
}

proptest! {
    #[test]
    fn no_crash_repeats_a_step_or_loses_one(
        after in prop::collection::vec(1..80_usize, 1..4),
        parallel in 1..4_usize,
        review in any::<bool>(),
        commits in any::<bool>(),
        nonsense in 0..3_usize,
        bad in prop::option::of(1..6_u32),
    ) {
        let world = World { nonsense, bad: bad.into_iter().collect(), ..World::default() };
        let mut rig = Rig::start(
            PlanSpec {
                review,
                parallel,
                commit: commits.then(|| "copex/plan/r".to_owned()),
                ..spec()
            },
            world,
        );
        for after in after {
            rig.crash_after = Some(rig.commits + after);
            rig.go_on();
            if rig.end.is_none() && review && rig.world.prompts.is_empty() {
                rig.reply(Reply::Allow);
            }
            if rig.end.is_none() && !rig.world.bad.is_empty() && rig.queue.is_empty() {
                rig.world.bad.clear();
                rig.say("retry");
            }
        }
        rig.crash_after = None;
        rig.crash();
        rig.go_on();
        for _ in 0..4 {
            if rig.end.is_none() && !rig.questions.is_empty() {
                rig.world.bad.clear();
                rig.reply(Reply::Allow);
            }
        }
        prop_assert!(rig.done(), "{:?} {:?}", rig.end, rig.plan.progress);
        prop_assert_eq!(rig.marks(), vec![Mark::Done; 5]);
        for (number, tried) in &rig.world.tried {
            let most = if bad == Some(*number) { 5 } else { 1 };
            prop_assert!(*tried <= most, "step {} had {} prompts", number, tried);
        }
        let done = rig.facts.iter().filter(
            |fact| matches!(fact, Fact::Step(step) if step.state == StepState::Done),
        );
        prop_assert_eq!(done.count(), 5);
        prop_assert_eq!(rig.world.commits.len(), if commits { 5 } else { 0 });
    }
}
