//! What the fleet's machine does, in a world of its own.

use proptest::prelude::*;

use super::*;
use crate::core::machine::TaskState;
use crate::core::policy::{Next, Otherwise};
use crate::core::signal::Signal;
use crate::core::worktrees::Problem;
use world::{Rig, World, spec, task};

mod world;

fn failed(rig: &Rig) -> String {
    match &rig.end.as_ref().expect("an end").verdict {
        Verdict::Failed(failure) => failure.message.clone(),
        other => panic!("{other:?}"),
    }
}

/// The way out that the run's failure names.
fn hint(rig: &Rig) -> String {
    match &rig.end.as_ref().expect("an end").verdict {
        Verdict::Failed(failure) => failure.hint.clone().expect("a hint"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tasks_are_done_in_an_order_that_their_dependencies_leave() {
    let rig = Rig::run(spec(), World::default());
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(rig.world.prompts.len(), 5);
    assert_eq!(rig.states(4), [TaskState::Queued, TaskState::Running, TaskState::Done]);
    let prompts: Vec<&str> =
        rig.world.sessions.iter().map(|session| session[0].0.as_str()).collect();
    assert!(prompts.contains(&"do ddid b"), "its template is filled in: {prompts:?}");
    let content = rig.end.unwrap().outcome.content;
    assert!(content.starts_with("# Fleet: 5 of 5 tasks done\n\n## a (is done)\n\ndid a\n"));
}

#[test]
fn as_many_are_at_work_as_may_be_and_the_urgent_come_first() {
    let mut fleet = spec();
    fleet.tasks = ["a", "b", "c", "d"].map(|id| task(id, &[])).to_vec();
    fleet.tasks[3].priority = 1;
    fleet.tasks[0].depth = 1;
    fleet.max_concurrent = 1;
    let rig = Rig::run(fleet.clone(), World::default());
    assert_eq!(rig.world.prompts, [4, 2, 3, 1], "priority, depth, place");
    fleet.max_concurrent = 3;
    let mut rig = Rig::start(fleet, World::default());
    rig.until_at_work(3);
    rig.go_on();
    assert_eq!((rig.done(), rig.world.wide), (true, 3));
}

#[test]
fn a_failed_task_blocks_those_that_need_it_and_no_other() {
    let rig = Rig::run(spec(), World { bad: vec![2], ..World::default() });
    assert_eq!(
        failed(&rig),
        "2 of 5 tasks are not done: b failed: it is bad; d is blocked: it depends on b, which failed"
    );
    assert_eq!(rig.states(3).last(), Some(&TaskState::Done));
    let mut goes_on = spec();
    goes_on.tasks[3].goes_on = true;
    goes_on.tasks[3].prompt.push(Piece::Of(2, Field::Success));
    goes_on.tasks[3].prompt.push(Piece::Of(2, Field::Error));
    let rig = Rig::run(goes_on, World { bad: vec![2], ..World::default() });
    assert_eq!(rig.states(4).last(), Some(&TaskState::Done));
    let last = &rig.world.sessions.last().unwrap()[0].0;
    assert!(last.contains("false") && last.contains("it is bad"), "{last}");
    let rig = Rig::run(spec(), World { bad: vec![5], ..World::default() });
    assert!(failed(&rig).contains("e reached a limit: 2 iterations are over"), "{}", failed(&rig));
}

#[test]
fn the_first_failure_stops_all_where_that_is_wanted() {
    let mut fleet = spec();
    fleet.fail_fast = true;
    fleet.tasks[4].gates.clear();
    let mut rig = Rig::start(fleet, World { bad: vec![5], ..World::default() });
    rig.until_at_work(2);
    rig.queue.make_contiguous().reverse();
    rig.go_on();
    assert!(failed(&rig).starts_with("5 of 5"), "{}", failed(&rig));
    assert_eq!(
        (rig.note(1).as_str(), rig.note(2).as_str()),
        ("stopped: e failed", "not begun: e failed")
    );
}

#[test]
fn a_throttled_model_has_fewer_at_once_and_more_again_later() {
    let mut fleet = spec();
    fleet.tasks = (0..12).map(|number| task(&format!("t{number}"), &[])).collect();
    fleet.max_concurrent = 4;
    let mut rig = Rig::start(fleet, World::default());
    rig.until_at_work(4);
    rig.throttle(1);
    rig.throttle(2);
    assert_eq!(rig.progress().width.now(4), 4, "not stored yet");
    assert_eq!(rig.fleet.progress.width.now(4), 2, "one storm is one cut");
    rig.go_on();
    assert!(rig.done());
    assert_eq!(rig.fleet.progress.width.now(4), 4);
    let warned = rig
        .facts
        .iter()
        .filter(|fact| matches!(fact, Fact::Warning { code, .. } if code == "throttled"));
    assert_eq!(warned.count(), 1);
    let mut told =
        rig.facts.iter().skip_while(|fact| !matches!(fact, Fact::Warning { .. })).skip(1);
    let Some(Fact::Task(first)) = told.next() else { panic!("{:#?}", rig.facts) };
    assert_eq!((first.state, first.at_once), (TaskState::Queued, 2), "it is told at once");
    // Where all have begun it is no news.
    let mut fleet = spec();
    fleet.tasks = ["a", "b"].map(|name| task(name, &[])).to_vec();
    let mut rig = Rig::start(fleet, World::default());
    rig.until_at_work(2);
    rig.throttle(1);
    assert_eq!(rig.fleet.progress.width.cuts(), 1);
    assert!(!rig.facts.iter().any(|fact| matches!(fact, Fact::Warning { .. })));
}

#[test]
fn a_task_has_so_much_time_and_no_more() {
    let mut rig = Rig::start(spec(), World::default());
    rig.until_at_work(2);
    assert!(rig.timers.contains(&(1, Timer::Total)), "{:?}", rig.timers);
    let late = rig.queue.pop_front().unwrap();
    assert_eq!(late.0, 1);
    rig.of(1, Input::Timer(Timer::Total));
    rig.go_on();
    assert_eq!(rig.states(1).last(), Some(&TaskState::Exhausted));
    assert!(rig.note(1).contains("longer than the 60 s"), "{}", rig.note(1));
    assert_eq!(rig.states(5).last(), Some(&TaskState::Done));
}

#[test]
fn a_cancelled_fleet_ends_when_its_tasks_have_and_can_be_gone_on_with() {
    let mut rig = Rig::start(spec(), World::default());
    rig.until_at_work(2);
    let (lane, send) = rig.queue.pop_front().unwrap();
    rig.perform(lane, send);
    rig.hear(Input::Cancel);
    rig.go_on();
    let End { verdict, .. } = rig.end.clone().unwrap();
    assert!(matches!(verdict, Verdict::Cancelled(_)), "{verdict:?}");
    assert_eq!(rig.states(1).last(), Some(&TaskState::Done));
    let before = rig.world.prompts.len();
    let progress = rig.progress().taken_up();
    let mut next = Rig::going_on(spec(), progress, rig.world);
    next.go_on();
    assert!(next.done(), "{:?}", next.end);
    assert!(!next.world.prompts[before..].contains(&1), "what is done is done");
    assert!(next.facts.contains(&Fact::Message("did a".to_owned())), "and told again");
}

#[test]
fn what_ends_one_task_like_all_ends_the_run() {
    let mut rig = Rig::start(spec(), World::default());
    rig.until_at_work(2);
    let failure = Failure::new(FailureClass::Auth, "who are you");
    rig.queue.retain(|(lane, _)| *lane != 1);
    rig.of(1, Input::Signal(Signal::Failed(failure)));
    rig.of(1, Input::Signal(Signal::Idle));
    let give_up = Next::GiveUp { why: "nobody is signed in", otherwise: Otherwise::Block };
    rig.of(1, Input::Judged(give_up));
    rig.go_on();
    let Some(End { verdict: Verdict::Blocked(failure), .. }) = &rig.end else { panic!() };
    assert_eq!(failure.class, FailureClass::Auth);
    assert_eq!(rig.states(5).last(), Some(&TaskState::Cancelled));
}

#[test]
fn tasks_apart_have_worktrees_that_are_merged_in_order() {
    let apart = FleetSpec { isolation: Isolation::Auto, ..spec() };
    let rig = Rig::run(apart.clone(), World::default());
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(rig.world.trees["d"], ["b", "c"], "it starts from what it depends on");
    assert_eq!((rig.world.merged.len(), rig.world.cleaned), (5, 1));
    let mut own = apart.clone();
    own.tasks[4].folder = Some("/elsewhere".to_owned());
    let rig = Rig::run(own, World::default());
    assert!(!rig.world.trees.contains_key("e"), "it has a folder already");
    let rig = Rig::run(apart.clone(), World { unfit: vec![2], ..World::default() });
    assert_eq!(
        rig.note(2),
        "needs review: copex/fleet-task/r/b does not fit copex/fleet/r in f",
        "each name once"
    );
    let hint = hint(&rig);
    assert!(hint.contains("`git merge copex/fleet/r` there"), "where and how: {hint}");
    assert_eq!(rig.states(4).last(), Some(&TaskState::Blocked));
    let progress = rig.progress().taken_up();
    let mut next = Rig::going_on(apart.clone(), progress, World { unfit: vec![], ..rig.world });
    let before = next.world.prompts.len();
    next.go_on();
    assert!(next.done(), "{:?}", next.end);
    assert_eq!(next.world.prompts[before..], [4], "b is merged, and not done again");
    let no_repository = || World { problem: Some(Problem::NoRepository), ..World::default() };
    let rig = Rig::run(apart.clone(), no_repository());
    assert_eq!((rig.done(), rig.world.trees.len()), (true, 0));
    let asked = FleetSpec { isolation: Isolation::Worktree, ..apart };
    let rig = Rig::run(asked, no_repository());
    assert!(failed(&rig).contains("no git repository"));
}

#[test]
fn a_conflict_is_settled_by_a_further_turn_or_waits_for_a_person() {
    let merging = Merging { resolve: true, ..Merging::default() };
    let fleet = FleetSpec { isolation: Isolation::Worktree, merging, ..spec() };
    let rig = Rig::run(fleet.clone(), World { unfit: vec![2], ..World::default() });
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(rig.world.trees["d"], ["b:merge:c", "c"], "it starts from what was settled");
    let prompt = &rig.world.sessions.iter().find(|it| it[0].0.contains("markers")).unwrap()[0].0;
    assert!(prompt.contains("do b"), "{prompt}");
    let content = rig.end.unwrap().outcome.content;
    assert!(content.contains("## b (is done)\n\ndid b\n"), "the task's answer stays: {content}");
    let marked = World { unfit: vec![2], marked: vec![2], ..World::default() };
    let rig = Rig::run(fleet, marked);
    let note = rig.note(2);
    assert!(note.starts_with("needs review: copex/fleet-task/r/b does not fit"), "{note}");
    assert!(note.ends_with("it left conflict markers in f"), "{note}");
    assert_eq!(rig.states(3).last(), Some(&TaskState::Done), "the rest goes on");
}

#[test]
fn tasks_that_failed_begin_anew_where_that_is_wanted() {
    let apart = FleetSpec { isolation: Isolation::Worktree, ..spec() };
    let rig = Rig::run(apart.clone(), World { bad: vec![2], unfit: vec![3], ..World::default() });
    assert!(hint(&rig).contains("settle it in "), "what a person must do comes first");
    let bad = World { bad: vec![2], ..World::default() };
    assert!(hint(&Rig::run(apart.clone(), bad)).contains("--rerun-failed"));
    let mut next = Rig::going_on(
        apart,
        rig.progress().with_failed_anew().taken_up(),
        World { bad: vec![], unfit: vec![], ..rig.world },
    );
    let sessions = next.world.sessions.len();
    let before = next.world.prompts.len();
    next.go_on();
    assert!(next.done(), "{:?}", next.end);
    assert_eq!(next.world.prompts[before..], [2, 4], "what waits for a review is only merged");
    assert_eq!(next.world.sessions.len(), sessions + 2, "not in the session that failed");
    assert_eq!(next.world.trees["d"], ["b:1", "c"]);
}

#[test]
fn what_a_task_may_spend_ends_it_alone() {
    let mut fleet = spec();
    fleet.tasks[0].caps.max_tokens = Some(10);
    let mut rig = Rig::start(fleet, World::default());
    rig.until_at_work(2);
    rig.queue.retain(|(lane, _)| *lane != 1);
    let usage = crate::core::signal::CallUsage { input_tokens: 12, ..Default::default() };
    rig.of(1, Input::Signal(Signal::Usage(usage)));
    let spent = crate::core::spend::Spent { tokens: 12.0, ..Default::default() };
    assert_eq!(rig.fleet.purse(1).unwrap().1, spent);
    assert_eq!(rig.fleet.purse(2), None);
    let failure = Failure { part: true, ..Failure::new(FailureClass::Limit, "it is spent") };
    rig.of(1, Input::Signal(Signal::Failed(failure)));
    rig.of(1, Input::Signal(Signal::Idle));
    rig.of(1, Input::Judged(Next::GiveUp { why: "spent", otherwise: Otherwise::Exhaust }));
    rig.go_on();
    assert_eq!(rig.states(1).last(), Some(&TaskState::Exhausted));
    assert_eq!(rig.states(5).last(), Some(&TaskState::Done), "the others go on");
}

proptest! {
    #[test]
    fn no_crash_repeats_a_task_or_loses_one(
        after in prop::collection::vec(1..60_usize, 1..5),
        wide in 1..5_usize,
        apart in any::<bool>(),
        unfit in prop::option::of(1..6_u32),
        resolve in any::<bool>(),
    ) {
        let isolation = if apart { Isolation::Worktree } else { Isolation::None };
        let merging = Merging { resolve, ..Merging::default() };
        let landing = Some(Landing::default());
        let fleet = FleetSpec { max_concurrent: wide, isolation, merging, landing, ..spec() };
        let unfit: Vec<Lane> = unfit.into_iter().filter(|_| apart).collect();
        // The turn that settles a conflict is one more of its task.
        let more = usize::from(resolve && !unfit.is_empty());
        let fits = unfit.is_empty() || resolve;
        let mut rig = Rig::start(fleet, World { unfit, ..World::default() });
        for after in after {
            rig.crash_after = Some(rig.commits + after);
            rig.go_on();
        }
        rig.crash_after = None;
        rig.crash();
        rig.go_on();
        prop_assert!(rig.end.is_some(), "{:?}", rig.fleet.progress);
        prop_assert_eq!(rig.done(), fits);
        prop_assert!(rig.world.wide <= wide);
        let mut prompts = rig.world.prompts.clone();
        prompts.sort_unstable();
        prompts.dedup();
        prop_assert_eq!(prompts.len() + more, rig.world.prompts.len(), "none is asked twice");
        let landed = rig.facts.iter().filter(|fact| {
            matches!(fact, Fact::Artifact { kind, .. } if kind == "finalized")
        });
        prop_assert_eq!(landed.count(), usize::from(apart || fits));
        for lane in 1..=5 {
            let over = rig.states(lane).iter().filter(|state| state.over()).count();
            prop_assert_eq!(over, 1, "{}", lane);
            let begun = rig.states(lane).iter().filter(|state| **state == TaskState::Running).count();
            prop_assert!(begun <= 1);
        }
        if fits {
            prop_assert_eq!(prompts.len(), 5);
            prop_assert_eq!(rig.world.merged.len(), if apart { 5 } else { 0 });
        }
    }
}
