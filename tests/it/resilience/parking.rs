//! Limits that are longer than a wait in place: parked durably, woken, ended.

use copex_tests::model::Reply;
use copex_tests::rpc::Rpc;
use serde_json::{Value, json};

use super::{FIRST, background, chat, merged, quick};
use crate::product::{Product, follow, of_type};

/// A run that is parked, and the event that says so.
fn parked(product: &Product, more: Value) -> (String, Value) {
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "the prompt", background(more));
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    let event = rpc.events_until(&watched, "parked").pop().unwrap();
    (run, event)
}

fn state(rpc: &mut Rpc, run: &str) -> Value {
    rpc.call("run.get", &json!({"run": run}))["summary"]["state"].take()
}

fn limited(code: &'static str, after_s: Option<u64>) -> Product {
    let product = Product::start();
    product.model.respond(move |_| Reply::rate_limited(code, after_s));
    product
}

#[test]
fn a_parked_run_outlives_its_daemon_and_is_woken_in_place() {
    let mut product = limited("user_global_rate_limited", Some(65));
    let (run, event) = parked(&product, json!({}));
    let (until, at) = (event["until"].as_u64().unwrap(), event["at"].as_u64().unwrap());
    let limits = product.rpc().call("breaker.list", &json!({}))["limits"].take();
    let reset = limits[0]["until"].as_u64().unwrap();
    assert_eq!((&limits[0]["scope"], &limits[0]["told"]), (&json!("account"), &json!(true)));
    assert!(reset <= until + 1_000 && until <= at + 65_000 * 11 / 10, "{event} {limits}");
    assert!(until >= at + 64_000, "{event}");

    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let mut rpc = product.rpc();
    assert_eq!(state(&mut rpc, &run), "parked");
    let why = rpc.call("run.explain", &json!({"run": run}));
    assert_eq!(why["waits"][0]["kind"], "park", "{why}");
    assert_eq!(why["waits"][0]["until"], json!(until), "{why}");
    let explained = product.runs(["explain", &run]).ok();
    assert!(explained.contains(&format!("copexctl runs resume --now {run}")), "{explained}");

    product.model.respond(|_| Reply::text("at last"));
    let resumed = product.runs(["resume", &run, "-q"]).ok();
    assert_eq!(resumed, "at last\n");
    let events = follow(&mut rpc, &run);
    assert_eq!(events.last().unwrap()["content"], "at last", "in place");
    assert_eq!(of_type(&events, "parked").len(), 1, "{events:#?}");
    assert_eq!(product.last_request().user_messages(), ["the prompt"]);
    assert_eq!(product.model.requests().len(), 2);
}

#[test]
fn limits_of_every_scope_park_and_a_wait_that_nobody_told_is_assumed() {
    let table = [
        ("user_model_rate_limited", Some(90), "model", 90),
        ("user_global_rate_limited", Some(90), "account", 90),
        ("user_weekly_rate_limited", Some(200), "weekly", 200),
        ("user_weekly_rate_limited", None, "weekly", 300),
        ("integration_rate_limited", Some(100), "integration", 100),
        ("integration_rate_limited", None, "integration", 300),
    ];
    let product = Product::start();
    for (code, after_s, scope, wait_s) in table {
        product.model.respond(move |_| Reply::rate_limited(code, after_s));
        let before = product.model.requests().len();
        let (run, event) = parked(&product, json!({}));
        assert_eq!(product.model.requests().len(), before + 1, "{scope}: asked once");
        let waits = event["until"].as_u64().unwrap() - event["at"].as_u64().unwrap();
        let most = wait_s * 1_100;
        assert!((wait_s * 1_000 - 1_000..=most).contains(&waits), "{scope}: {waits} ms");
        let mut rpc = product.rpc();
        let limits = rpc.call("breaker.list", &json!({}))["limits"].take();
        assert_eq!(limits[0]["scope"], scope, "{limits}");
        assert_eq!(limits[0]["told"], json!(after_s.is_some()), "{limits}");
        assert_eq!(limits[0]["model"], json!((scope == "model").then_some(FIRST)), "{limits}");

        let _cancelled = product.runs(["cancel", &run]).expect_code(0);
        let end = follow(&mut rpc, &run).pop().unwrap();
        assert_eq!(end["type"], "cancelled", "{end}");
        let _count = rpc.call("breaker.reset", &json!({}));
    }
}

#[test]
fn who_does_not_want_to_be_parked_is_told_at_once() {
    let product = limited("user_global_rate_limited", Some(90));
    let refused = product.chat(["hi", "-m", FIRST, "--no-park", "--json"]).expect_code(5).json();
    assert_eq!(refused["error"]["class"], "rate_limit", "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("too many requests"));
    // The second does not even ask.
    let refused = product.chat(["hi", "-m", FIRST, "--no-park", "--json"]).expect_code(5).json();
    assert!(refused["error"]["message"].as_str().unwrap().contains("limited for"), "{refused}");
    assert!(refused["error"]["retry_after_ms"].as_u64().unwrap() > 80_000, "{refused}");
    assert_eq!(product.model.requests().len(), 1);
}

#[test]
fn a_draining_daemon_leaves_its_parked_runs_to_the_next() {
    let mut product = limited("user_global_rate_limited", Some(90));
    let (run, event) = parked(&product, json!({}));
    let _drained = product.rpc().call("daemon.drain", &json!({}));
    let _ended = product.daemon.process().wait().expect_code(0);
    product.daemon.restart();
    let mut rpc = product.rpc();
    assert_eq!(state(&mut rpc, &run), "parked");
    let events = rpc.call("run.explain", &json!({"run": run}));
    assert_eq!(events["waits"][0]["until"], event["until"], "{events}");
    let _cancelled = product.runs(["cancel", &run]).expect_code(0);
    assert_eq!(follow(&mut rpc, &run).pop().unwrap()["type"], "cancelled");
}

#[test]
fn a_limit_is_never_asked_again_before_its_time() {
    let product = limited("slow_down", Some(2));
    let more = merged(quick(), json!({"no_park": true, "max_retries": 2}));
    let seen = chat(&product, "hi", more);
    assert_eq!(seen.end()["error"]["class"], "rate_limit");
    let requests = product.model.requests();
    assert_eq!(requests.len(), 3);
    let times: Vec<_> =
        requests.iter().map(|request| product.model.times(request.index).unwrap()).collect();
    for pair in times.windows(2) {
        let waited = pair[1].0.duration_since(pair[0].1);
        assert!(waited.as_millis() >= 2_000, "asked again after {waited:?}");
        assert!(waited.as_millis() < 4_000, "asked again after {waited:?}");
    }
}

#[test]
fn a_limit_that_is_waited_for_in_place_can_be_forgotten() {
    let product = limited("user_model_rate_limited", Some(40));
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "the prompt", background(json!({})));
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    let retrying = rpc.events_until(&watched, "retrying").pop().unwrap();
    assert!(retrying["delay_ms"].as_u64().unwrap() >= 40_000, "{retrying}");
    let why = rpc.call("run.explain", &json!({"run": run}));
    assert_eq!(why["waits"][0]["kind"], "limit", "{why}");
    assert_eq!(why["waits"][0]["unblock"], "copexctl breakers reset", "{why}");
    // Who comes now asks nobody: that is a wait, and no retry.
    let other = product.submit(&mut rpc, "another prompt", background(json!({})));
    let others = rpc.subscribe("run.watch", &json!({"run": other}));
    let waits = rpc.events_until(&others, "retrying").pop().unwrap();
    assert_eq!((&waits["attempt"], &waits["unasked"]), (&json!(1), &json!(true)), "{waits}");
    assert!(retrying.get("unasked").is_none(), "{retrying}");
    product.model.respond(|_| Reply::text("at last"));
    assert_eq!(rpc.call("breaker.reset", &json!({}))["reset"], 1);
    let told = product.runs(["attach", &other]).expect_code(0).stderr;
    assert!(told.contains("waits ") && told.contains(" for the rate limit: "), "{told}");
    assert!(!told.contains("retry 0"), "{told}");
    let end = rpc.events_to_end(&watched).pop().unwrap();
    assert_eq!(end["content"], "at last", "{end}");
    assert!(end["duration_ms"].as_u64().unwrap() < 30_000, "before the limit's end: {end}");
}

#[test]
fn a_parked_run_goes_on_by_itself_once_the_limit_has_ended() {
    let mut product = limited("user_weekly_rate_limited", Some(2));
    let (run, event) = parked(&product, json!({}));
    let _killed = product.daemon.kill9();
    product.model.respond(|_| Reply::text("at last"));
    product.daemon.restart();
    let events = follow(&mut product.rpc(), &run);
    let end = events.last().unwrap();
    assert_eq!(end["content"], "at last", "{end}");
    assert!(end["at"].as_u64() > event["until"].as_u64(), "{event} {end}");
    assert_eq!(of_type(&events, "parked").len(), 1, "{events:#?}");
    assert_eq!(product.last_request().user_messages(), ["the prompt"]);
    assert_eq!(product.model.requests().len(), 2);
}

#[test]
fn a_run_is_parked_no_more_often_than_it_may() {
    let product = limited("user_weekly_rate_limited", Some(1));
    let seen = chat(&product, "hi", background(json!({"max_parks": 2})));
    assert_eq!((seen.count("parked"), product.model.requests().len()), (2, 3));
    assert_eq!(seen.end()["error"]["class"], "rate_limit", "{}", seen.end());
    assert_eq!(seen.output.code(), 5);
    assert!(product.model.requests().iter().all(|request| request.user_messages() == ["hi"]));
}

#[test]
fn a_parked_run_counts_down_on_a_terminal_and_goes_on_when_told() {
    let product = limited("user_global_rate_limited", Some(90));
    let (run, _) = parked(&product, json!({}));
    let watching = product.ctl().start_on_one_terminal(["runs", "attach", &run]);
    let seen = watching.wait_stdout(" left: ");
    assert!(seen.contains(&format!("copexctl runs resume --now {run}")), "{seen}");
    assert!(seen.contains("\rparked until ") && seen.contains(", 00:01:"), "{seen}");
    let piped = product.ctl().start(["runs", "attach", &run]);
    piped.wait_stderr("parked until ");
    let shown = product.runs(["show", &run]).ok();
    assert!(shown.contains(&format!("copexctl runs resume --now {run}")), "{shown}");

    product.model.respond(|_| Reply::text("at last"));
    for wrong in [vec!["--now", "more"], vec!["--now", "--max-cost", "3"]] {
        let args = ["runs", "resume", &run].into_iter().chain(wrong);
        let _refused = product.ctl().run(args).expect_code(2);
    }
    let resumed = product.runs(["resume", "--now", &run, "--detach"]).ok();
    assert_eq!(resumed, format!("{run}\n"), "in place");
    let seen = watching.wait().expect_code(0).stdout;
    let (before, after) = seen.rsplit_once(" left: ").unwrap();
    assert!(before.contains("\rparked until ") && after.contains("at last"), "{seen:?}");
    assert!(after.contains("\r\u{1b}[K"), "the line is gone: {seen:?}");
    let piped = piped.wait().expect_code(0);
    assert_eq!(piped.stdout, "at last\n");
    assert_eq!(piped.stderr.matches("parked until ").count(), 1, "{}", piped.stderr);
    assert!(!piped.stderr.contains('\r') && !piped.stderr.contains('\u{1b}'), "{}", piped.stderr);

    let late = product.runs(["resume", "--now", &run]).expect_code(1);
    assert!(late.stderr.contains("is not parked: it is done"), "{}", late.stderr);
    assert!(late.stderr.contains(&format!("`copexctl runs resume {run}`")), "{}", late.stderr);
    let unknown = product.runs(["resume", "--now", "0000000000000"]).expect_code(1);
    assert!(unknown.stderr.contains("0000000000000"), "{}", unknown.stderr);
}

#[test]
fn the_session_of_a_parked_run_is_free_after_a_restart_too() {
    let mut product = limited("user_global_rate_limited", Some(90));
    let (run, _) = parked(&product, json!({}));
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let mut rpc = product.rpc();
    let session = rpc.call("run.get", &json!({"run": run}))["summary"]["session"].take();
    product.model.respond(|_| Reply::text("meanwhile"));
    let _count = rpc.call("breaker.reset", &json!({}));
    let spoken = product.chat(["hi", "--resume", session.as_str().unwrap(), "-q"]).ok();
    assert_eq!(spoken, "meanwhile\n");
    assert_eq!(state(&mut rpc, &run), "parked");
    let _cancelled = product.runs(["cancel", &run]).expect_code(0);
}
