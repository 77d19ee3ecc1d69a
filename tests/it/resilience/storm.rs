//! Many who fail at once: retries come out of one purse.

use copex_tests::clock;
use copex_tests::model::Reply;
use serde_json::json;

use super::background;
use crate::product::{Product, follow};

#[test]
fn fifty_runs_that_fail_at_once_share_one_budget_of_retries() {
    const RUNS: usize = 50;
    let product = Product::start();
    let _warm = product.chat(["hi", "-q"]).ok();
    let before = product.model.requests().len();
    product.model.respond(|_| Reply::rate_limited("slow_down", None));
    let mut rpc = product.rpc();
    let began = clock::now();
    let request = background(json!({"no_park": true}));
    let runs: Vec<String> = (0..RUNS)
        .map(|number| product.submit(&mut rpc, &format!("prompt {number}"), request.clone()))
        .collect();
    for run in &runs {
        let end = follow(&mut rpc, run).pop().unwrap();
        assert_eq!(
            (&end["type"], &end["error"]["class"]),
            (&json!("failed"), &json!("rate_limit"))
        );
    }
    let took = began.elapsed().as_millis();
    let asked = product.model.requests().len() - before;
    // Saved up, earned by first attempts, and earned by time; without a budget it were 300.
    let most = 50 + 30 + 50 / 5 + 3 * took / 1_000;
    println!("{asked} requests in {took} ms, {most} at most");
    assert!(asked > RUNS, "some are asked again: {asked}");
    assert!(asked as u128 <= most, "{asked} requests in {took} ms are more than {most}");
}
