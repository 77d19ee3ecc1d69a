//! The action table, row by row, and what holds for all of it.

use proptest::prelude::*;

use super::*;

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

fn at(now_ms: u64, chance: f64) -> Moment {
    Moment { now_ms, chance }
}

fn next(level: Level, trouble: &Trouble, ways: Ways) -> Next {
    Policy::default().next(level, trouble, ways, &mut Budget::full(0), at(0, 0.5))
}

fn request(trouble: &Trouble) -> Next {
    next(Level::Request, trouble, Ways::default())
}

fn turn(trouble: &Trouble) -> Next {
    next(Level::Turn, trouble, Ways::default())
}

const OTHER: Ways = Ways { other: Some(1), reset: None };

#[test]
fn what_asking_again_cannot_help_costs_one_attempt() {
    for class in [
        FailureClass::Auth,
        FailureClass::Client,
        FailureClass::Quota,
        FailureClass::ContextLimit,
        FailureClass::ContentFilter,
        FailureClass::RateLimit(Scope::Weekly),
        FailureClass::RateLimit(Scope::Integration),
    ] {
        let next = request(&trouble(class, 1));
        assert!(!matches!(next, Next::Retry { .. }), "{class:?}: {next:?}");
    }
}

#[test]
fn each_class_has_its_own_patience() {
    let table = [
        (FailureClass::Server, 5, true),
        (FailureClass::Server, 6, false),
        (FailureClass::Network, 5, true),
        (FailureClass::RateLimit(Scope::Account), 5, true),
        (FailureClass::RateLimit(Scope::Model), 5, true),
        (FailureClass::Timeout(Watchdog::FirstEvent), 1, true),
        (FailureClass::Timeout(Watchdog::FirstEvent), 2, false),
        (FailureClass::Timeout(Watchdog::Idle), 1, true),
        (FailureClass::Timeout(Watchdog::Idle), 2, false),
        (FailureClass::Timeout(Watchdog::Total), 1, false),
        (FailureClass::Unknown, 2, true),
        (FailureClass::Unknown, 3, false),
    ];
    for (class, number, again) in table {
        let retried = matches!(request(&trouble(class, number)), Next::Retry { .. });
        assert_eq!(retried, again, "{class:?} {number}");
        let resumed = matches!(turn(&trouble(class, number)), Next::Resume { .. });
        assert_eq!(resumed, again, "turn: {class:?} {number}");
    }
}

#[test]
fn nothing_left_ends_as_the_table_says() {
    let ends = |class| match turn(&trouble(class, 99)) {
        Next::GiveUp { otherwise, .. } => otherwise,
        Next::Park { .. } => Otherwise::Park,
        next => panic!("{class:?}: {next:?}"),
    };
    for class in FailureClass::ALL {
        assert_eq!(ends(class), rule(class).otherwise, "{class:?}");
    }
    assert_eq!(ends(FailureClass::Auth), Otherwise::Block);
    assert_eq!(ends(FailureClass::Quota), Otherwise::Block);
    assert_eq!(ends(FailureClass::RateLimit(Scope::Weekly)), Otherwise::Park);
    assert_eq!(ends(FailureClass::Limit), Otherwise::Exhaust);
    assert_eq!(ends(FailureClass::Server), Otherwise::Fail);
}

#[test]
fn another_model_is_asked_when_the_table_says() {
    let with = |trouble: &Trouble| next(Level::Turn, trouble, OTHER);
    let moves = |class, number| with(&trouble(class, number)) == Next::Fallback { to: 1 };
    let table = [
        (FailureClass::Server, 2, false),
        (FailureClass::Server, 3, true),
        (FailureClass::Network, 3, true),
        (FailureClass::Timeout(Watchdog::Idle), 1, false),
        (FailureClass::Timeout(Watchdog::Idle), 2, true),
        (FailureClass::Unknown, 1, false),
        (FailureClass::Unknown, 2, true),
        (FailureClass::RateLimit(Scope::Model), 1, true),
        (FailureClass::Client, 1, false),
        (FailureClass::ContextLimit, 1, false),
        (FailureClass::ContextLimit, 2, true),
        (FailureClass::ContentFilter, 1, false),
        (FailureClass::Auth, 1, true),
        (FailureClass::Timeout(Watchdog::Total), 1, false),
        (FailureClass::Limit, 1, false),
    ];
    for (class, number, moved) in table {
        assert_eq!(moves(class, number), moved, "{class:?} {number}");
    }
    let soon = |ms| {
        let mut limited = trouble(FailureClass::RateLimit(Scope::Model), 1);
        limited.failure.retry_after_ms = Some(ms);
        limited
    };
    assert!(matches!(with(&soon(2_000)), Next::Resume { .. }), "a short wait is waited for");
    assert_eq!(with(&soon(20_000)), Next::Fallback { to: 1 });
    let policy = Policy { on_content_filter: true, ..Policy::default() };
    let mut filtered = trouble(FailureClass::ContentFilter, 1);
    let mut budget = Budget::full(0);
    let first = policy.next(Level::Turn, &filtered, OTHER, &mut budget, at(0, 0.5));
    assert_eq!(first, Next::Fallback { to: 1 });
    filtered.filtered = true;
    let second = policy.next(Level::Turn, &filtered, OTHER, &mut budget, at(0, 0.5));
    assert!(matches!(second, Next::GiveUp { .. }), "once");
}

#[test]
fn the_servers_wait_is_the_floor_and_a_long_one_parks() {
    let wait = |ms| {
        let mut limited = trouble(FailureClass::RateLimit(Scope::Account), 1);
        limited.failure.retry_after_ms = Some(ms);
        limited
    };
    let Next::Retry { at } = request(&wait(2_000)) else { panic!() };
    assert!((2_000..2_500).contains(&at), "{at}");
    assert_eq!(turn(&wait(61_000)), Next::Park { until: Some(61_000) });
    assert_eq!(turn(&wait(u64::MAX)), Next::Park { until: Some(MOST_TOLD_MS) }, "a broken header");
    let reset = Ways { other: None, reset: Some(90_000) };
    let mut spent = trouble(FailureClass::RateLimit(Scope::Account), 6);
    assert_eq!(next(Level::Turn, &spent, reset), Next::Park { until: Some(90_000) });
    spent.failure.retry_after_ms = Some(2_000);
    assert_eq!(turn(&spent), Next::Park { until: None }, "2 s did not help six times");
    spent.failure.retry_after_ms = None;
    spent.parks = MOST_PARKS;
    assert!(matches!(turn(&spent), Next::GiveUp { otherwise: Otherwise::Fail, .. }));
}

#[test]
fn a_cap_of_the_users_holds_for_every_class() {
    let policy = Policy { floor_ms: 100, cap_ms: Some(1_000), ..Policy::default() };
    for class in [FailureClass::RateLimit(Scope::Account), FailureClass::Server] {
        for number in 1..5 {
            let (trouble, mut budget) = (trouble(class, number), Budget::full(0));
            let (ways, late) = (Ways::default(), at(0, 0.999));
            let next = policy.next(Level::Request, &trouble, ways, &mut budget, late);
            assert!(matches!(next, Next::Retry { at } if at <= 1_000), "{class:?}: {next:?}");
        }
    }
}

#[test]
fn a_shut_breaker_is_waited_for_and_costs_neither_a_try_nor_the_budget() {
    let mut shut = trouble(FailureClass::Server, 0);
    shut.failure = shut.failure.unasked().with_retry_after(Some(50_000));
    let mut empty = Budget::full(0);
    while empty.spend(0) {}
    let policy = Policy::default();
    let next = policy.next(Level::Request, &shut, Ways::default(), &mut empty, at(0, 0.0));
    assert_eq!(next, Next::Retry { at: 50_000 });
    let next = policy.next(Level::Request, &shut, OTHER, &mut empty, at(0, 0.0));
    assert_eq!(next, Next::Fallback { to: 1 });
    shut.patient = false;
    let next = policy.next(Level::Request, &shut, Ways::default(), &mut empty, at(0, 0.0));
    assert!(matches!(next, Next::GiveUp { .. }), "who looks on is told at once");
    shut.patient = true;
    let none = Policy { attempts: 1, ..policy };
    let next = none.next(Level::Request, &shut, Ways::default(), &mut empty, at(0, 0.0));
    assert!(matches!(next, Next::GiveUp { .. }), "who wants no retries does not wait");
}

#[test]
fn one_more_turn_may_follow_when_the_tries_ran_out() {
    let policy = Policy { continues: 1, ..Policy::default() };
    let mut budget = Budget::full(0);
    let spent = trouble(FailureClass::Server, 6);
    let more = policy.next(Level::Turn, &spent, Ways::default(), &mut budget, at(0, 0.5));
    assert!(matches!(more, Next::Resume { .. }));
    let spent = trouble(FailureClass::Server, 7);
    let more = policy.next(Level::Turn, &spent, Ways::default(), &mut budget, at(0, 0.5));
    assert!(matches!(more, Next::GiveUp { .. }));
}

#[test]
fn parks_end_after_the_limit_and_by_a_tenth_at_most() {
    assert_eq!(resume_at(100_000, at(0, 0.0)), 100_000);
    assert_eq!(resume_at(100_000, at(0, 1.0)), 110_000);
}

fn any_class() -> impl Strategy<Value = FailureClass> {
    proptest::sample::select(FailureClass::ALL.to_vec())
}

proptest! {
    #[test]
    fn a_request_ends_within_its_bounds(
        chances in proptest::collection::vec(0.0_f64..1.0, 64),
        waits in proptest::collection::vec(proptest::option::of(0_u64..120_000), 64),
        classes in proptest::collection::vec(any_class(), 64),
    ) {
        let policy = Policy::default();
        let mut budget = Budget::full(0);
        let (mut now, mut number) = (0, 1);
        let mut ended = false;
        for ((chance, retry_after_ms), class) in chances.into_iter().zip(waits).zip(classes) {
            let mut failed = trouble(class, number);
            failed.in_class = 1;
            failed.elapsed_ms = now;
            failed.failure.retry_after_ms = retry_after_ms;
            let at = at(now, chance);
            let next =
                policy.next(Level::Request, &failed, Ways::default(), &mut budget, at);
            let Next::Retry { at } = next else {
                ended = true;
                break;
            };
            prop_assert!(at >= now + retry_after_ms.unwrap_or(0));
            prop_assert!(at <= now + 132_000);
            now = at;
            number += 1;
        }
        prop_assert!(ended && number <= policy.attempts && now <= policy.request_ms);
    }

    #[test]
    fn a_turn_always_moves_at_a_stated_time_or_ends(
        class in any_class(), tries in 0_u32..40, in_class in 0_u32..40, parks in 0_u32..40,
        wait in proptest::option::of(0_u64..10_000_000), unasked in any::<bool>(),
        elapsed_ms in 0_u64..2_000_000, other in proptest::option::of(0_usize..4),
        can_rerun in any::<bool>(), filtered in any::<bool>(), patient in any::<bool>(), chance in 0.0_f64..1.0,
    ) {
        let mut failure = Failure::new(class, "x").with_retry_after(wait);
        failure.unasked = unasked;
        let trouble = Trouble {
            failure, tries, in_class, elapsed_ms, parks, filtered, can_rerun, patient,
        };
        let policy = Policy::default();
        let ways = Ways { other, reset: None };
        let now = 5_000_000;
        match policy.next(Level::Turn, &trouble, ways, &mut Budget::full(now), at(now, chance)) {
            Next::Resume { at } => {
                prop_assert!(can_rerun && tries < policy.attempts);
                prop_assert!(at >= now && at - now <= policy.turn_ms);
            }
            Next::Retry { .. } => prop_assert!(false, "a turn does not make requests"),
            Next::Compact => prop_assert!(can_rerun && in_class < 2),
            Next::Fallback { to } => prop_assert_eq!(Some(to), other),
            Next::Park { until } => {
                prop_assert!(parks < policy.most_parks && until.is_none_or(|until| until >= now));
            }
            Next::GiveUp { why, .. } => prop_assert!(!why.is_empty()),
        }
    }
}
