use proptest::prelude::*;

use super::*;
use crate::core::failure::{Failure, FailureClass};

const NOW: u64 = 20_000 * DAY_MS;

fn call(premium: f64) -> CallUsage {
    CallUsage { calls: 1, premium_requests: premium, ..CallUsage::default() }
}

fn purse(caps: Caps) -> Purse {
    Purse::new(caps, Prices::default(), Spent::default(), DayTotal::default())
}

fn max_cost(most: f64) -> Caps {
    Caps { max_cost: Some(most), ..Caps::default() }
}

/// One call from its admission to its usage.
fn spend(purse: &Purse, premium: f64) -> Result<(), Exceeded> {
    let reservation = purse.reserve(NOW)?;
    purse.settle(Some(reservation), &call(premium), NOW);
    Ok(())
}

#[test]
fn a_priced_call_costs_its_tokens_and_cached_ones_are_cheaper() {
    let price = Price { input: 2.0, output: 8.0, cached: Some(0.5) };
    let usage = CallUsage {
        input_tokens: 1_000_000,
        cached_tokens: 400_000,
        output_tokens: 500_000,
        reasoning_tokens: 100_000,
        premium_requests: 1.0,
        ai_credits: Some(3.0),
        ..CallUsage::default()
    };
    let cost = cost_of(&usage, Some(&price));
    assert_eq!(cost.estimate, Some(1.2 + 0.2 + 4.0));
    assert_eq!((cost.premium_requests, cost.ai_credits), (1.0, Some(3.0)));
    assert_eq!(cost_of(&usage, None).estimate, None);
    let dear = Price { cached: None, ..price };
    assert_eq!(cost_of(&usage, Some(&dear)).estimate, Some(2.0 + 4.0));
}

#[test]
fn the_cost_of_a_run_is_the_estimate_where_there_is_a_price_else_premium_requests() {
    let prices = Prices::new([("Big".to_owned(), Price { output: 1.0, ..Price::default() })]);
    let purse = Purse::new(Caps::default(), prices, Spent::default(), DayTotal::default());
    for model in ["big", "small"] {
        let mut usage = CallUsage {
            model: Some(model.to_owned()),
            output_tokens: 2_000_000,
            premium_requests: 10.0,
            ..CallUsage::default()
        };
        purse.price(&mut usage);
        purse.settle(None, &usage, NOW);
    }
    assert_eq!(purse.spent(), Spent { cost: 2.0 + 10.0, tokens: 4_000_000.0, ..Spent::default() });
}

#[test]
fn a_cap_stops_the_call_after_the_one_that_reached_it() {
    let purse = purse(max_cost(1.0));
    spend(&purse, 1.0).unwrap();
    let exceeded = spend(&purse, 1.0).unwrap_err();
    assert_eq!((exceeded.cap, exceeded.spent, exceeded.most), (Cap::Cost, 1.0, 1.0));
    let failure = Failure::from(exceeded);
    assert_eq!(failure.class, FailureClass::Limit);
    assert!(failure.message.contains("`max_cost` is 1"), "{failure}");
    assert!(failure.hint.unwrap().contains("--max-cost"));
}

#[test]
fn a_call_that_would_pass_the_cap_is_not_admitted() {
    let purse = purse(max_cost(10.0));
    for _ in 0..3 {
        spend(&purse, 3.0).unwrap();
    }
    let exceeded = spend(&purse, 3.0).unwrap_err();
    assert_eq!((exceeded.spent, exceeded.estimate), (9.0, 3.0));
    assert!(exceeded.to_string().contains("the next call may take 3"), "{exceeded}");
}

#[test]
fn calls_in_flight_count_and_those_that_failed_do_not() {
    let purse = purse(max_cost(4.0));
    spend(&purse, 1.0).unwrap();
    let open: Vec<_> = (0..3).map(|_| purse.reserve(NOW).unwrap()).collect();
    let exceeded = purse.reserve(NOW).unwrap_err();
    assert_eq!((exceeded.spent, exceeded.reserved), (1.0, 3.0));
    purse.release(open[1]);
    purse.release(open[1]);
    purse.reserve(NOW).unwrap();
    purse.reserve(NOW).unwrap_err();
    purse.release_all();
    assert_eq!(Some(purse.day.lock().reserved), Some(0.0));
    purse.reserve(NOW).unwrap();
}

#[test]
fn tokens_and_credits_have_caps_of_their_own() {
    let tokens = purse(Caps { max_tokens: Some(100), ..Caps::default() });
    let usage = CallUsage { input_tokens: 60, output_tokens: 40, ..CallUsage::default() };
    tokens.settle(None, &usage, NOW);
    assert_eq!(tokens.reserve(NOW).unwrap_err().cap, Cap::Tokens);
    let credits = purse(Caps { max_ai_credits: Some(0.5), ..Caps::default() });
    credits.settle(None, &CallUsage { ai_credits: Some(0.5), ..CallUsage::default() }, NOW);
    assert_eq!(credits.reserve(NOW).unwrap_err().cap, Cap::AiCredits);
}

#[test]
fn a_cap_of_nothing_admits_nothing() {
    assert_eq!(purse(max_cost(0.0)).reserve(NOW).unwrap_err().cap, Cap::Cost);
}

#[test]
fn all_runs_share_the_cap_of_the_day_and_a_new_day_begins_with_nothing() {
    let day = DayTotal::new(NOW, 1.0, Some(3.0));
    let new = || Purse::new(Caps::default(), Prices::default(), Spent::default(), day.clone());
    let (one, two) = (new(), new());
    one.settle(None, &call(1.0), NOW);
    let held = one.reserve(NOW).unwrap();
    let exceeded = two.reserve(NOW).unwrap_err();
    assert_eq!((exceeded.cap, exceeded.spent, exceeded.reserved), (Cap::CostPerDay, 2.0, 1.0));
    one.release(held);
    two.reserve(NOW).unwrap();
    one.settle(None, &call(1.0), NOW);
    two.reserve(NOW).unwrap_err();
    two.reserve(NOW + DAY_MS).unwrap();
    assert_eq!(day.spent(NOW + DAY_MS), (0.0, Some(3.0)));
}

#[test]
fn shares_of_a_cap_are_told_once_and_a_leap_tells_the_highest() {
    let purse = purse(max_cost(10.0));
    let mut told = Vec::new();
    for _ in 0..10 {
        purse.settle(None, &call(1.0), NOW);
        told.extend(purse.warnings().into_iter().map(|it| (it.percent, it.spent)));
    }
    assert_eq!(told, [(50, 5.0), (75, 8.0), (90, 9.0)]);
    let leap = Purse::new(max_cost(10.0), Prices::default(), Spent::default(), DayTotal::default());
    leap.settle(None, &call(9.5), NOW);
    assert_eq!(leap.warnings().iter().map(|it| it.percent).collect::<Vec<_>>(), [90]);
}

#[test]
fn a_run_that_goes_on_knows_what_it_spent_and_told() {
    let spent = Spent { cost: 8.0, ..Spent::default() };
    let purse = Purse::new(max_cost(10.0), Prices::default(), spent, DayTotal::default());
    purse.settle(None, &call(0.5), NOW);
    assert_eq!(purse.warnings(), []);
    purse.settle(None, &call(0.5), NOW);
    assert_eq!(purse.warnings()[0].percent, 90);
}

#[test]
fn amounts_are_short_and_never_nothing_when_there_is_something() {
    let shown = [0.0, 1.0, 0.25, 12.34567, 0.000_01].map(amount);
    assert_eq!(shown, ["0", "1", "0.25", "12.3457", "1.0e-5"]);
}

#[derive(Debug, Clone)]
enum Step {
    Reserve,
    Settle(u8),
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Reserve),
        2 => (0_u8..40).prop_map(Step::Settle),
        1 => Just(Step::Release),
    ]
}

proptest! {
    #[test]
    fn a_cap_is_passed_by_calls_in_flight_only(
        most in 1_u8..200,
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let most = f64::from(most);
        let day = DayTotal::new(NOW, 0.0, Some(most));
        let purse = Purse::new(max_cost(most), Prices::default(), Spent::default(), day.clone());
        let mut open = VecDeque::new();
        let mut told = Vec::new();
        for step in steps {
            match step {
                Step::Reserve => {
                    let before = (purse.spent().cost, purse.lock().reserved().cost);
                    match purse.reserve(NOW) {
                        Ok(reservation) => {
                            // Admitted only below the cap, and its own share fits too.
                            prop_assert!(before.0 + before.1 < most);
                            prop_assert!(before.0 + purse.lock().reserved().cost <= most);
                            open.push_back(reservation);
                        }
                        Err(exceeded) => {
                            prop_assert!(before.0 + before.1 + exceeded.estimate >= most);
                        }
                    }
                }
                Step::Settle(cost) => {
                    let Some(reservation) = open.pop_front() else { continue };
                    purse.settle(Some(reservation), &call(f64::from(cost)), NOW);
                }
                Step::Release => {
                    if let Some(reservation) = open.pop_back() {
                        purse.release(reservation);
                    }
                }
            }
            told.extend(purse.warnings().into_iter().map(|it| (it.cap, it.percent)));
            let reserved = purse.lock().reserved().cost;
            prop_assert!((day.lock().reserved - reserved).abs() < 1e-6);
            prop_assert!((day.spent(NOW).0 - purse.spent().cost).abs() < 1e-6);
        }
        for cap in [Cap::Cost, Cap::CostPerDay] {
            let shares: Vec<u32> =
                told.iter().filter(|(of, _)| *of == cap).map(|(_, percent)| *percent).collect();
            prop_assert!(shares.windows(2).all(|pair| pair[0] < pair[1]), "{shares:?}");
        }
    }
}

#[test]
fn a_part_is_held_by_its_own_caps_and_by_those_of_the_whole() {
    let caps = |tokens| Caps { max_tokens: Some(tokens), ..Caps::default() };
    let prices = Prices::default();
    let whole = Purse::new(caps(100), prices, Spent::default(), DayTotal::default());
    let part = whole.part(caps(20), Spent { tokens: 5.0, ..Spent::default() });
    let usage = CallUsage { input_tokens: 15, ..CallUsage::default() };
    let held = part.reserve(NOW).unwrap();
    whole.settle(None, &usage, NOW);
    part.settle(Some(held), &usage, NOW);
    let refused = part.reserve(NOW).unwrap_err();
    assert!(
        refused.part && refused.to_string().starts_with("the task's tokens is 20"),
        "{refused}"
    );
    let failure = Failure::from(refused);
    assert!(failure.part && failure.hint.unwrap().contains("as much again"));
    let open = whole.reserve(NOW).unwrap();
    whole.release(open);
    let other = whole.part(caps(1_000), Spent::default());
    let _first = other.reserve(NOW).unwrap();
    other.release_all();
    whole.settle(None, &CallUsage { input_tokens: 85, ..CallUsage::default() }, NOW);
    let refused = other.reserve(NOW).unwrap_err();
    assert!(!refused.part && refused.to_string().starts_with("the run's tokens"), "{refused}");
}
