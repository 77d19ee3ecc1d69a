use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::core::latency::WINDOW;

const LIMITS: Limits = Limits {
    max_runtimes: 4,
    max_sessions: 5,
    idle_ms: 300_000,
    spares: 1,
    max_rss: 1_000,
    max_age_ms: 10_000,
};

fn serving(busy: u32, used_at_ms: u64) -> Serving {
    Serving { busy, used_at_ms, started_at_ms: 0, rss: 1, latency: Latency::default() }
}

fn idle(runtime: u32, since_ms: u64, turns: u32) -> Idle {
    Idle { runtime, since_ms, turns }
}

#[test]
fn a_runtime_is_replaced_for_memory_age_and_drift() {
    let young = serving(1, 0);
    assert_eq!(replace(&young, &LIMITS, 9_999), None);
    assert_eq!(replace(&young, &LIMITS, 10_000), Some(Reason::Age));
    let grown = Serving { rss: 1_000, ..young.clone() };
    assert_eq!(replace(&grown, &LIMITS, 0), Some(Reason::Memory));
    let mut slow = young.clone();
    (0..WINDOW).for_each(|_| slow.latency.record(1_000));
    assert_eq!(replace(&slow, &LIMITS, 0), None);
    (0..WINDOW).for_each(|_| slow.latency.record(1_000_000));
    assert_eq!(replace(&slow, &LIMITS, 0), Some(Reason::Latency));
    // A clock that was set back makes nobody old.
    assert_eq!(replace(&Serving { started_at_ms: 50_000, ..young }, &LIMITS, 0), None);
}

#[test]
fn of_each_runtime_the_sessions_used_last_stay() {
    let limits = Limits { max_sessions: 2, ..LIMITS };
    let sessions = [idle(1, 10, 1), idle(1, 30, 1), idle(2, 5, 1), idle(1, 20, 1)];
    assert_eq!(evict(&sessions, &limits, 40), [0], "the oldest of the first runtime");
    let none = Limits { max_sessions: 0, ..LIMITS };
    assert_eq!(evict(&sessions, &none, 40).len(), 4);
}

#[test]
fn a_session_goes_for_its_turns_and_for_its_idle_time() {
    let sessions = [idle(1, 1_000, MOST_TURNS), idle(1, 1_000, MOST_TURNS - 1), idle(1, 0, 1)];
    assert_eq!(evict(&sessions, &LIMITS, 1_000), [0]);
    assert_eq!(evict(&sessions, &LIMITS, 300_000), [0, 2]);
}

#[test]
fn the_kinds_used_last_are_remembered() {
    let mut kinds = Kinds::default();
    for key in ["a", "b", "c", "d"] {
        assert_eq!(kinds.used(key, key), None);
    }
    assert_eq!(kinds.used("a", "again"), None, "it is known");
    assert_eq!(kinds.used("e", "e").as_deref(), Some("b"), "used longest ago");
    assert_eq!((kinds.recipe("a"), kinds.recipe("b")), (Some(&"again"), None));
}

#[test]
fn spares_are_opened_up_to_their_number() {
    let two = Limits { spares: 2, ..LIMITS };
    assert_eq!(
        [(0, 0), (1, 0), (0, 2), (3, 1)].map(|(r, o)| spares_wanted(&two, r, o)),
        [2, 1, 0, 0]
    );
    assert_eq!(spares_wanted(&Limits { spares: 0, ..LIMITS }, 0, 0), 0);
}

fn runtimes() -> impl Strategy<Value = Vec<Serving>> {
    let one = (0_u32..3, 0_u64..50).prop_map(|(busy, used)| serving(busy, used));
    proptest::collection::vec(one, 0..12)
}

fn sessions() -> impl Strategy<Value = Vec<Idle>> {
    let one = (0_u32..3, 0_u64..500_000, 0_u32..60);
    proptest::collection::vec(one.prop_map(|(r, since, turns)| idle(r, since, turns)), 0..40)
}

proptest! {
    #[test]
    fn only_idle_runtimes_go_and_no_more_than_needed(all in runtimes(), most in 1_usize..6) {
        let gone: BTreeSet<usize> = surplus(&all, most).into_iter().collect();
        prop_assert!(gone.iter().all(|at| all[*at].busy == 0));
        let (left, busy) = (all.len() - gone.len(), all.iter().filter(|it| it.busy > 0).count());
        prop_assert_eq!(left, all.len().min(most.max(busy)));
        for at in &gone {
            let kept = (0..all.len()).filter(|it| all[*it].busy == 0 && !gone.contains(it));
            prop_assert!(kept.into_iter().all(|it| all[it].used_at_ms >= all[*at].used_at_ms));
        }
    }

    #[test]
    fn what_stays_idle_is_within_every_bound(
        all in sessions(), max in 0_usize..6, now in 0_u64..600_000,
    ) {
        let limits = Limits { max_sessions: max, ..LIMITS };
        let gone: BTreeSet<usize> = evict(&all, &limits, now).into_iter().collect();
        let kept: Vec<&Idle> =
            (0..all.len()).filter(|at| !gone.contains(at)).map(|at| &all[at]).collect();
        for runtime in 0..3 {
            prop_assert!(kept.iter().filter(|it| it.runtime == runtime).count() <= max);
        }
        let fresh = |it: &Idle| it.turns < MOST_TURNS && !is_stale(it.since_ms, &limits, now);
        prop_assert!(kept.iter().all(|it| fresh(it)));
        for at in gone.iter().filter(|at| fresh(&all[**at])) {
            // It had to make room, and for sessions used later than it only.
            let rivals = kept.iter().filter(|it| it.runtime == all[*at].runtime);
            let rivals: Vec<_> = rivals.collect();
            prop_assert_eq!(rivals.len(), max);
            prop_assert!(rivals.iter().all(|it| it.since_ms >= all[*at].since_ms));
        }
    }

    #[test]
    fn a_leaving_runtime_takes_nobody_in_and_ends_when_it_is_empty(
        steps in proptest::collection::vec(0_u8..3, 0..60),
    ) {
        let mut occupancy = Occupancy::default();
        let (mut inside, mut leaving) = (0_u32, None);
        for step in steps {
            match step {
                0 => {
                    let entered = occupancy.enter();
                    prop_assert_eq!(entered, leaving.is_none());
                    inside += u32::from(entered);
                }
                1 if inside > 0 => {
                    occupancy.exit();
                    inside -= 1;
                }
                1 => {}
                _ => {
                    let reason = if inside % 2 == 0 { Reason::Age } else { Reason::Memory };
                    prop_assert_eq!(occupancy.leave(reason), leaving.is_none());
                    leaving.get_or_insert(reason);
                }
            }
            prop_assert_eq!((occupancy.busy(), occupancy.leaving()), (inside, leaving));
            prop_assert_eq!(occupancy.over(), leaving.is_some() && inside == 0);
        }
    }

    #[test]
    fn the_kinds_are_the_last_ones_used(keys in proptest::collection::vec(0_u8..8, 0..60)) {
        let mut kinds = Kinds::default();
        let mut forgotten = BTreeSet::new();
        for key in &keys {
            forgotten.remove(&key.to_string());
            forgotten.extend(kinds.used(&key.to_string(), *key));
        }
        let mut last = Vec::new();
        for key in keys.iter().rev().filter(|key| !forgotten.contains(&key.to_string())) {
            if !last.contains(key) {
                last.push(*key);
            }
        }
        prop_assert!(last.len() <= MOST_KINDS);
        prop_assert!(last.iter().all(|key| kinds.recipe(&key.to_string()) == Some(key)));
        let all: BTreeSet<_> = keys.iter().collect();
        prop_assert_eq!(last.len(), all.len().min(MOST_KINDS));
    }
}
