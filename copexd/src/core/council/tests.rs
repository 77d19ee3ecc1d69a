//! What the council's machine does, in a world of its own.

use proptest::prelude::*;

use super::*;
use crate::core::signal::Signal;
use world::{NOW, Rig, Way, World, escalating, spec};

mod world;

fn ways(ways: &[(Lane, Way, usize)]) -> World {
    let ways = ways.iter().map(|(lane, way, from)| (*lane, (*way, *from))).collect();
    World { ways, ..World::default() }
}

fn missing(rig: &Rig) -> Vec<(String, String)> {
    rig.missing()
}

fn named(name: &str, stage: &str) -> (String, String) {
    (name.to_owned(), stage.to_owned())
}

#[test]
fn the_chair_decides_after_opinions_and_reviews() {
    let rig = Rig::run(spec(), World::default());
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!([rig.count("opinion"), rig.count("review"), rig.count("decision")], [3, 3, 1]);
    let report = rig.report();
    assert_eq!(report.decision.unwrap().decision, "decided in lane 4");
    assert_eq!((report.agreed, report.rounds, report.missing.len()), (Some(true), 0, 0));
    let mut letters: Vec<_> = report.members.iter().filter_map(|it| it.label.clone()).collect();
    letters.sort();
    assert_eq!(letters, ["A", "B", "C"]);
    assert_eq!(report.chair, "model-chair");
}

#[test]
fn nobody_learns_whose_an_opinion_is() {
    let rig = Rig::run(
        CouncilSpec { debate: 1, ..escalating() },
        World { disputes: 3, confidence: 0.2, ..World::default() },
    );
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(rig.count("revision"), 3);
    for (lane, wanted, prompt) in &rig.world.asked {
        let told = prompt.to_lowercase();
        for name in ["model-one", "model-two", "model-three", "model-chair"] {
            assert!(!told.contains(name), "{name} in what lane {lane} is told: {prompt}");
        }
        if *wanted == "review" {
            let own = format!("say {lane}");
            assert!(!prompt.contains(&own), "its own opinion is not judged: {prompt}");
        }
    }
}

#[test]
fn no_more_are_at_work_than_there_may_be() {
    let rig = Rig::run(CouncilSpec { max_concurrent: 1, ..spec() }, World::default());
    assert!(rig.done());
    assert_eq!(rig.wide, 1);
    let told = rig.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::Member(it) if it.stage == "opinion" => Some((it.name.as_str(), it.state)),
        _ => None,
    });
    let told: Vec<_> = told.take(spec().members.len()).collect();
    assert_eq!(told[0].1, MemberState::Running);
    assert!(told[1..].iter().all(|(_, state)| *state == MemberState::Queued), "{told:?}");
}

#[test]
fn who_fails_hangs_or_babbles_is_named_and_the_decision_comes() {
    let rig = Rig::run(spec(), ways(&[(1, Way::Fails, 0), (2, Way::Babbles, 1)]));
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(missing(&rig), [named("model-one", "opinion"), named("model-two", "review")]);
    let rig = Rig::run(spec(), ways(&[(3, Way::Hangs, 0)]));
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(missing(&rig), [named("model-three", "opinion")]);
    let rig = Rig::run(spec(), ways(&[(3, Way::Hangs, 1)]));
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(missing(&rig), [named("model-three", "review")]);
    assert_eq!(rig.report().ranking.len(), 3, "its opinion counts");
}

#[test]
fn who_is_silent_before_the_quorum_is_there_holds_nobody() {
    // All others have answered, or failed, or one of them has.
    let quorum = |quorum, ways: World| Rig::run(CouncilSpec { quorum, ..spec() }, ways);
    let no_quorum = |rig: &Rig, names: &[&str]| {
        let Some(End { verdict: Verdict::Failed(failure), .. }) = &rig.end else { panic!() };
        assert!(failure.message.starts_with("no quorum: "), "{failure}");
        for name in names {
            let words = format!("{name}: nothing was heard of it for 1 s");
            assert!(failure.message.contains(&words), "{failure}");
        }
        assert_eq!(rig.count("decision"), 0);
    };
    no_quorum(&quorum(3, ways(&[(2, Way::Hangs, 0)])), &["model-two"]);
    let two = [(2, Way::Hangs, 0), (3, Way::Hangs, 0)];
    no_quorum(&quorum(2, ways(&two)), &["model-two", "model-three"]);
    let failed = [(1, Way::Fails, 0), (2, Way::Fails, 0), (3, Way::Hangs, 0)];
    no_quorum(&quorum(1, ways(&failed)), &["model-three"]);
    // The review of one of two.
    let spec = CouncilSpec { quorum: 2, members: spec().members[..2].to_vec(), ..spec() };
    let rig = Rig::run(spec, ways(&[(2, Way::Hangs, 1)]));
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(missing(&rig), [named("model-two", "review")]);
}

#[test]
fn who_is_heard_of_is_waited_for_until_the_quorum_is_there() {
    let mut rig = Rig::start(CouncilSpec { quorum: 3, ..spec() }, ways(&[(2, Way::Hangs, 0)]));
    rig.perform_all();
    let delta = || Input::Signal(Signal::MessageDelta("hm".to_owned()));
    rig.now.now_ms += 500;
    rig.of(2, delta());
    rig.now.now_ms -= 500;
    assert!(rig.expire(&Timer::Straggler), "1 s has passed, and it spoke in between");
    assert_eq!(rig.end, None);
    assert_eq!(rig.council.progress.members[1].part, Part::Working);
    let left = NOW.now_ms + 500 + 1_000;
    assert_eq!(rig.council.progress.late_at, Some(left), "from its last word on");
    rig.go_on();
    assert!(matches!(rig.end.unwrap().verdict, Verdict::Failed(_)), "now it is silent");
}

#[test]
fn while_nobody_has_answered_a_model_has_the_time_to_its_first_word() {
    let all = [(1, Way::Hangs, 0), (2, Way::Hangs, 0), (3, Way::Hangs, 0)];
    let mut rig = Rig::start(spec(), ways(&all));
    rig.perform_all();
    assert_eq!(rig.council.progress.late_at, Some(NOW.now_ms + 5_000));
    rig.now.now_ms += 4_000;
    assert!(rig.expire(&Timer::Straggler));
    rig.go_on();
    let Some(End { verdict: Verdict::Failed(failure), .. }) = &rig.end else { panic!() };
    assert!(failure.message.contains("model-one: nothing was heard of it for 5 s"), "{failure}");
}

#[test]
fn who_is_at_work_may_finish_when_the_quorum_is_out_of_reach_and_nobody_else_begins() {
    let begins = |max_concurrent| {
        let spec = CouncilSpec { quorum: 3, max_concurrent, ..spec() };
        let mut rig = Rig::start(spec, ways(&[(1, Way::Fails, 0)]));
        rig.go_on();
        let Some(End { verdict: Verdict::Failed(_), .. }) = &rig.end else { panic!() };
        rig
    };
    let mut rig = begins(3);
    assert_eq!(missing(&rig), [named("model-one", "opinion")], "the two others have answered");
    rig.world.ways.clear();
    rig.resume();
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(rig.count("opinion"), 4, "only the one that failed is asked again");
    let rig = begins(1);
    assert_eq!(rig.count("opinion"), 1, "nobody else was asked");
    let told = &rig.report().missing[1];
    assert!(told.reason.contains("the quorum was out of reach"), "{told:?}");
    // One that hangs does not hold the end.
    let world = ways(&[(1, Way::Fails, 0), (2, Way::Hangs, 0)]);
    let rig = Rig::run(CouncilSpec { quorum: 3, ..spec() }, world);
    assert_eq!(missing(&rig), [named("model-one", "opinion"), named("model-two", "opinion")]);
}

#[test]
fn who_waits_behind_one_that_hangs_still_gets_a_turn() {
    let spec = CouncilSpec { max_concurrent: 1, quorum: 1, ..spec() };
    let rig = Rig::run(spec, ways(&[(2, Way::Hangs, 0)]));
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(missing(&rig), [named("model-two", "opinion")]);
    assert_eq!(rig.count("opinion"), 3);
}

#[test]
fn without_a_quorum_nothing_is_decided() {
    let rig = Rig::run(spec(), ways(&[(1, Way::Fails, 0), (3, Way::Fails, 0)]));
    let Some(End { verdict: Verdict::Failed(failure), .. }) = &rig.end else { panic!() };
    assert!(failure.message.contains("2 of 3 opinions are needed"), "{failure}");
    assert!(failure.message.contains("model-three: it cannot"), "{failure}");
    assert_eq!(rig.count("decision"), 0);
    let mut rig = rig;
    rig.world.ways.clear();
    rig.resume();
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(rig.world.asked.iter().filter(|(lane, ..)| *lane == 2).count(), 2);
    assert_eq!(missing(&rig), []);
}

#[test]
fn they_debate_only_while_they_disagree_and_not_for_ever() {
    let run = |disputes| {
        let world = World { disputes, ..World::default() };
        Rig::run(CouncilSpec { debate: 2, ..spec() }, world)
    };
    for (disputes, rounds) in [(0, 0), (3, 1), (6, 2), (100, 2)] {
        let rig = run(disputes);
        assert!(rig.done(), "{:?}", rig.end);
        assert_eq!(rig.report().rounds, rounds, "{disputes}");
        assert_eq!(rig.count("revision"), 3 * rounds as usize);
    }
    assert_eq!(run(100).report().agreed, Some(false));
}

#[test]
fn only_a_chair_that_is_not_sure_is_asked_again() {
    let run = |confidence| Rig::run(escalating(), World { confidence, ..World::default() });
    let sure = run(0.7);
    assert_eq!((sure.count("decision"), sure.report().escalated), (1, false));
    let unsure = run(0.69);
    assert_eq!((unsure.count("decision"), unsure.report().escalated), (2, true));
    assert_eq!(unsure.report().decision.unwrap().decision, "decided in lane 5");
    let world = World { confidence: 0.1, ..ways(&[(5, Way::Fails, 0)]) };
    let failed = Rig::run(escalating(), world);
    assert!(failed.done(), "{:?}", failed.end);
    assert_eq!(failed.report().decision.unwrap().decision, "decided in lane 4", "it stays");
}

#[test]
fn a_decision_that_cannot_be_read_is_asked_for_once_more() {
    let rig = Rig::run(spec(), World { nonsense: 1, ..World::default() });
    assert!(rig.done());
    assert_eq!(rig.count("decision"), 2);
    let mut rig = Rig::run(spec(), World { nonsense: 2, ..World::default() });
    let Some(End { verdict: Verdict::Failed(failure), .. }) = &rig.end else { panic!() };
    assert!(failure.message.contains("twice"), "{failure}");
    assert_eq!(rig.report().decision, None, "no member speaks in its place");
    rig.resume();
    assert!(rig.done());
    assert_eq!([rig.count("opinion"), rig.count("review"), rig.count("decision")], [3, 3, 3]);
}

#[test]
fn the_run_is_parked_when_everybody_who_is_left_is() {
    let mut rig = Rig::start(spec(), ways(&[(1, Way::Parks, 0), (2, Way::Hangs, 0)]));
    rig.perform_all();
    assert!(rig.expire(&Timer::Idle));
    rig.go_on();
    let states: Vec<bool> = rig
        .facts
        .iter()
        .filter_map(|(_, fact)| match fact {
            Fact::Running => Some(false),
            Fact::Parked { .. } => Some(true),
            _ => None,
        })
        .collect();
    assert_eq!(rig.end, None);
    assert_eq!(states, [false, true, false, true], "not while others work");
    rig.world.ways.clear();
    rig.hear(Input::Wake);
    rig.go_on();
    assert!(rig.done(), "{:?}", rig.end);
}

#[test]
fn a_cancel_stops_everybody() {
    let mut rig = Rig::start(CouncilSpec { quorum: 3, ..spec() }, ways(&[(2, Way::Hangs, 0)]));
    rig.perform_all();
    assert_eq!(rig.end, None);
    rig.hear(Input::Cancel);
    rig.go_on();
    assert!(matches!(rig.end.as_ref().unwrap().verdict, Verdict::Cancelled(_)));
    rig.world.ways.clear();
    rig.resume();
    assert!(rig.done(), "{:?}", rig.end);
    assert_eq!(rig.count("opinion"), 4, "two of the three are not asked again");
}

#[test]
fn time_for_the_whole_run_ends_it_at_a_limit() {
    let mut spec = CouncilSpec { quorum: 3, ..spec() };
    spec.chat.max_duration_ms = Some(60_000);
    let mut rig = Rig::start(spec, ways(&[(2, Way::Hangs, 0)]));
    rig.perform_all();
    assert!(rig.expire(&Timer::Total));
    rig.go_on();
    assert!(matches!(rig.end.unwrap().verdict, Verdict::Exhausted(_)));
}

fn way() -> impl Strategy<Value = (Lane, Way, usize)> {
    let way = prop_oneof![Just(Way::Fails), Just(Way::Hangs), Just(Way::Babbles)];
    (1..4_u32, way, 0..3_usize)
}

proptest! {
    #[test]
    fn no_crash_asks_again_or_decides_twice(
        after in prop::collection::vec(1..60_usize, 1..5),
        max_concurrent in 1..4_usize,
        debate in 0..3_u32,
        disputes in 0..8_usize,
        bad in prop::option::of(way()),
        nonsense in 0..2_usize,
        confidence in 0.0..1.0_f64,
        seed in any::<u64>(),
    ) {
        let bad: Vec<_> = bad.into_iter().collect();
        let world = World { disputes, confidence, nonsense, ..ways(&bad) };
        let spec = CouncilSpec { max_concurrent, debate, seed, ..escalating() };
        let mut rig = Rig::start(spec, world);
        rig.watched = true;
        for after in after {
            rig.crash_after = Some(rig.commits + after);
            rig.go_on();
        }
        rig.crash_after = None;
        rig.crash();
        rig.go_on();
        prop_assert!(rig.done(), "{:?} {:?}", rig.end, rig.council.progress);
        let report = rig.report();
        prop_assert!(report.decision.unwrap().decision.starts_with("decided in lane"));
        prop_assert_eq!(rig.count("decision"), 1 + nonsense + usize::from(report.escalated));
        let rounds = report.rounds as usize;
        for lane in 1..4 {
            if bad.iter().any(|(known, ..)| *known == lane) {
                continue;
            }
            let of = |wanted: &str| {
                rig.world.asked.iter().filter(|(it, known, _)| *it == lane && *known == wanted).count()
            };
            prop_assert_eq!([of("opinion"), of("review"), of("revision")], [1, 1 + rounds, rounds]);
        }
        let named: Vec<_> = report.missing.iter().map(|it| it.name.clone()).collect();
        let allowed: Vec<_> = bad
            .iter()
            .map(|(lane, ..)| rig.council.spec.members[*lane as usize - 1].name.clone())
            .collect();
        prop_assert!(named.iter().all(|name| allowed.contains(name)), "{named:?}");
    }
}
