//! Health that is shared: what one run learns, all know.

use super::*;
use crate::core::breaker::PROBE_LEASE_MS;
use crate::core::failure::Scope;

fn target(endpoint: &str, model: &str) -> Target {
    Target { backend: "sdk".into(), endpoint: endpoint.into(), model: model.into() }
}

fn candidate(endpoint: &str, model: &str) -> Candidate {
    Candidate { target: target(endpoint, model), context_tokens: None }
}

/// A request that passes, and what becomes of it.
fn ask(governor: &mut Governor, target: &Target, report: &Report<'_>, now: u64) {
    let Admission::Go(ticket) = governor.admit(target, false, now) else { panic!("shut") };
    if *report == Report::Answered {
        governor.report(target, ticket, &Report::Begun, now);
    }
    governor.report(target, ticket, report, now);
}

fn goes(governor: &mut Governor, target: &Target, now: u64) -> bool {
    matches!(governor.admit(target, false, now), Admission::Go(_))
}

fn governor() -> Governor {
    Governor::new(Setup::default(), Memory::default(), 0)
}

fn trouble(class: FailureClass, number: u32) -> Trouble {
    Trouble {
        failure: Failure::new(class, "x"),
        tries: number,
        in_class: number,
        elapsed_ms: 0,
        parks: 0,
        filtered: false,
        can_rerun: true,
        patient: true,
    }
}

fn at(now_ms: u64) -> Moment {
    Moment { now_ms, chance: 0.5 }
}

fn break_down(governor: &mut Governor, target: &Target) {
    let failure = Failure::new(FailureClass::Server, "503");
    for _ in 0..5 {
        ask(governor, target, &Report::Failed(&failure), 0);
    }
}

#[test]
fn an_open_breaker_is_shut_for_everybody_and_admits_one_probe_of_fifty() {
    let mut governor = governor();
    let (bad, good) = (target("github", "a"), target("github", "b"));
    break_down(&mut governor, &bad);
    let Admission::Shut(failure) = governor.admit(&bad, false, 1_000) else { panic!() };
    assert!(failure.unasked && failure.retry_after_ms == Some(59_000), "{failure:?}");
    assert!(goes(&mut governor, &good, 1_000));
    let through = (0..50).filter(|_| goes(&mut governor, &bad, 60_000)).count();
    assert_eq!(through, 1);
    let again = goes(&mut governor, &bad, 60_000 + PROBE_LEASE_MS);
    assert!(again, "a lost probe is followed by another");
    assert_eq!(governor.take_changes().len(), 3, "opened, probed, probed");
}

#[test]
fn only_failures_that_speak_of_health_count() {
    let mut governor = governor();
    let target = target("github", "a");
    for class in FailureClass::ALL.into_iter().filter(|class| !policy::rule(*class).counted) {
        for _ in 0..10 {
            ask(&mut governor, &target, &Report::Failed(&Failure::new(class, "x")), 0);
        }
        assert!(goes(&mut governor, &target, 1), "{class:?}");
    }
}

#[test]
fn what_is_remembered_survives_and_is_written_only_when_it_changed() {
    let mut first = governor();
    let target = target("github", "a");
    break_down(&mut first, &target);
    let limited = Failure::new(FailureClass::RateLimit(Scope::Weekly), "week")
        .with_retry_after(Some(600_000));
    first.report(&target, Ticket::default(), &Report::Failed(&limited), 0);
    let memory = first.take_memory().unwrap();
    assert!(first.take_memory().is_none());
    let text = serde_json::to_string(&memory).unwrap();
    let memory = serde_json::from_str(&text).unwrap();
    let mut second = Governor::new(Setup::default(), memory, 0);
    assert!(matches!(second.admit(&target, false, 500_000), Admission::Shut(_)), "the limit");
    second.reset(|_, model| model.is_none(), 0);
    assert!(matches!(second.admit(&target, false, 50_000), Admission::Shut(_)), "the breaker");
    assert_eq!(second.reset(|_, _| true, 0), 1);
    assert!(goes(&mut second, &target, 50_000));
}

#[test]
fn a_turn_goes_to_the_first_that_may_be_asked_and_says_why() {
    let mut governor = governor();
    let chain = [candidate("github", "a"), candidate("github", "b"), candidate("github", "c")];
    let route = governor.route(&chain, &[], 0, 0).unwrap();
    assert_eq!(route, Route { candidate: 0, reason: None, forced: false });
    break_down(&mut governor, &chain[0].target);
    let route = governor.route(&chain, &[], 0, 1).unwrap();
    assert_eq!(route.candidate, 1);
    assert!(route.reason.unwrap().contains("a at github failed too often"));
    assert_eq!(governor.route(&chain, &[1], 0, 1).unwrap().candidate, 2);
    break_down(&mut governor, &chain[1].target);
    break_down(&mut governor, &chain[2].target);
    let failure = governor.route(&chain, &[], 0, 10_000).unwrap_err();
    assert_eq!((failure.unasked, failure.retry_after_ms), (true, Some(50_000)));
    for model in ["a", "b", "c"] {
        assert!(failure.message.contains(&format!("{model} at github")), "{failure}");
    }
    // It returns to the first when that one's cooldown is over.
    assert_eq!(governor.route(&chain, &[], 0, 60_000).unwrap().candidate, 0);
}

#[test]
fn in_panic_the_least_bad_is_asked() {
    let mut governor =
        Governor::new(Setup { panic: true, ..Setup::default() }, Memory::default(), 0);
    let chain = [candidate("github", "a"), candidate("github", "b")];
    break_down(&mut governor, &chain[0].target);
    let failure = Failure::new(FailureClass::Server, "503");
    ask(&mut governor, &chain[1].target, &Report::Answered, 0);
    for _ in 0..4 {
        ask(&mut governor, &chain[1].target, &Report::Failed(&failure), 0);
    }
    let route = governor.route(&chain, &[], 0, 1).unwrap();
    assert_eq!((route.candidate, route.forced), (1, true));
    assert!(matches!(governor.admit(&chain[1].target, true, 1), Admission::Go(_)));
}

#[test]
fn models_in_the_same_limited_scope_are_not_tried() {
    let mut governor = governor();
    let chain = [candidate("github", "a"), candidate("github", "b"), candidate("http://x", "c")];
    let policy = Policy::default();
    let mut judge = |scope, chain: &[Candidate]| {
        let mut trouble = trouble(FailureClass::RateLimit(scope), 1);
        trouble.failure.retry_after_ms = Some(600_000);
        governor.judge(&policy, &trouble, (chain, 0, &[]), at(0))
    };
    assert_eq!(judge(Scope::Model, &chain), Next::Fallback { to: 1 });
    for scope in [Scope::Account, Scope::Weekly, Scope::Integration] {
        assert_eq!(judge(scope, &chain), Next::Fallback { to: 2 }, "{scope:?}");
        assert_eq!(judge(scope, &chain[..2]), Next::Park { until: Some(600_000) }, "{scope:?}");
    }
}

#[test]
fn a_limit_without_a_time_is_assumed_for_everybody_once_somebody_parks() {
    let mut governor = governor();
    let chain = [candidate("github", "a")];
    let limited = FailureClass::RateLimit(Scope::Account);
    let slow = Failure::new(limited, "slow down");
    ask(&mut governor, &chain[0].target, &Report::Failed(&slow), 0);
    let Admission::Go(ticket) = governor.admit(&chain[0].target, false, 1) else { panic!() };
    let policy = Policy::default();
    let next = governor.judge(&policy, &trouble(limited, 6), (&chain, 0, &[]), at(0));
    assert_eq!(next, Next::Park { until: Some(5 * 60_000) });
    let Admission::Shut(failure) = governor.admit(&chain[0].target, false, 1) else { panic!() };
    assert!(failure.message.contains("limited for 5 min"), "{failure}");
    let before = Ticket { since: 0, ..ticket };
    assert!(!goes(&mut governor, &chain[0].target, 2));
    governor.report(&chain[0].target, Ticket { since: 1, ..before }, &Report::Begun, 2);
    assert!(goes(&mut governor, &chain[0].target, 3));
}

#[test]
fn a_larger_model_is_one_that_is_known_to_be_or_not_known() {
    let governor = governor();
    let sized =
        |model: &str, tokens| Candidate { context_tokens: tokens, ..candidate("github", model) };
    let chain = [sized("a", Some(100)), sized("b", Some(50)), sized("c", Some(200))];
    let other = |chain: &[Candidate]| governor.other(Others::Larger, &chain[0], (chain, &[]), 0);
    assert_eq!(other(&chain), Some(2));
    assert_eq!(other(&chain[..2]), None);
    assert_eq!(other(&[sized("a", None), sized("b", Some(1))]), Some(1));
}

#[test]
fn targets_are_bounded() {
    let mut governor = governor();
    for number in 0..1_000 {
        governor.admit(&target("github", &number.to_string()), false, number);
    }
    assert_eq!(governor.breakers().count(), MOST_TARGETS);
}

#[test]
fn a_park_ends_with_the_first_limit_of_the_chain() {
    let mut governor = governor();
    let chain = [candidate("github", "a"), candidate("github", "b")];
    let model = FailureClass::RateLimit(Scope::Model);
    let limited = |wait| Failure::new(model, "x").with_retry_after(Some(wait));
    ask(&mut governor, &chain[0].target, &Report::Failed(&limited(600_000)), 0);
    ask(&mut governor, &chain[1].target, &Report::Failed(&limited(9_000_000)), 0);
    let mut trouble = trouble(model, 1);
    trouble.failure.retry_after_ms = Some(9_000_000);
    let next = governor.judge(&Policy::default(), &trouble, (&chain, 1, &[0]), at(0));
    assert_eq!(next, Next::Park { until: Some(600_000) });
}
