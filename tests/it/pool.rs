//! The warm pool: what it keeps, what it lets go, and that nobody notices when it does.

use std::time::Duration;

use copex_tests::clock::{Deadline, PATIENCE};
use copex_tests::model::{Gate, Reply};
use copex_tests::rpc::Rpc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::product::{Product, follow};

mod endurance;

/// A product whose pool has these settings, and looks after itself all the time.
fn product(pool: &str) -> Product {
    let config = format!("[pool]\nprobe_interval = 0.05\n{pool}\n");
    Product::with(|builder| builder.config(&config))
}

fn status(rpc: &mut Rpc) -> Value {
    rpc.call("pool.status", &json!({}))
}

/// Asks for the pool's status until `enough` of it is true.
fn await_pool(rpc: &mut Rpc, what: &str, enough: impl Fn(&Value) -> bool) -> Value {
    let deadline = Deadline::after(PATIENCE);
    loop {
        let pool = status(rpc);
        if enough(&pool) {
            return pool;
        }
        assert!(deadline.left().is_some(), "{what}: {pool:#}");
        std::thread::yield_now();
    }
}

fn runtimes(pool: &Value) -> &[Value] {
    pool["runtimes"].as_array().map_or(&[], Vec::as_slice)
}

/// The sum of a count over all runtimes.
fn sum(pool: &Value, field: &str) -> u64 {
    runtimes(pool).iter().filter_map(|runtime| runtime[field].as_u64()).sum()
}

fn pids(pool: &Value) -> Vec<i64> {
    runtimes(pool).iter().filter_map(|runtime| runtime["pid"].as_i64()).collect()
}

fn recycled(pool: &Value, reason: &str) -> u64 {
    let all = pool["recycled"].as_array().cloned().unwrap_or_default();
    let found = all.iter().find(|entry| entry["reason"] == reason);
    found.and_then(|entry| entry["count"].as_u64()).unwrap_or(0)
}

fn resume(session: &Value) -> Value {
    json!({"session": {"resume": session}})
}

/// A run to its end; gives its session.
fn chat(product: &Product, rpc: &mut Rpc, prompt: &str, more: Value) -> Value {
    let run = product.submit(rpc, prompt, more);
    let events = follow(rpc, &run);
    let last = events.last().expect("a terminal event");
    assert_eq!(last["type"], "done", "{last}");
    last["session"].clone()
}

#[test]
fn every_key_of_the_pool_is_shown() {
    let product = product("spares = 2\nprewarm = 1\nmax_sessions = 7\nmax_runtime_age = 99.0");
    let pool = product.rpc().call("config.get", &json!({}))["pool"].take();
    let expected = json!({
        "max_runtimes": 4, "max_sessions": 7, "max_idle_time": 300.0, "start_timeout": 30.0,
        "spares": 2, "prewarm": 1, "max_runtime_rss": 1_073_741_824_u64,
        "max_runtime_age": 99.0, "probe_interval": 0.05, "probe_timeout": 10.0,
    });
    assert_eq!(pool, expected);
}

#[test]
fn twenty_idle_sessions_share_a_runtime() {
    let (product, gate) = (product("max_sessions = 20"), Gate::new());
    let held = gate.clone();
    product.model.respond(move |_| Reply::text("here").wait_before_head(&held));
    let mut rpc = product.rpc();
    let runs: Vec<_> =
        (0..20).map(|number| product.submit(&mut rpc, &format!("{number}"), json!({}))).collect();
    gate.wait_reached(20);
    gate.open();
    for run in &runs {
        assert_eq!(follow(&mut rpc, run).last().unwrap()["type"], "done");
    }
    let warm = |pool: &Value| sum(pool, "idle_sessions") == 20 && sum(pool, "spare_sessions") == 1;
    let pool = await_pool(&mut rpc, "20 idle and a spare", warm);
    assert_eq!(runtimes(&pool).len(), 1, "{pool}");
    let runtime = &runtimes(&pool)[0];
    let rss = runtime["rss_bytes"].as_u64().unwrap();
    assert!(rss < 600 << 20, "20 sessions weigh {rss}");
    assert!(runtime["tree"]["rss_bytes"].as_u64().unwrap() >= rss, "{pool}");
    let daemon = rpc.call("daemon.status", &json!({}))["rss_bytes"].as_u64().unwrap();
    assert!(daemon < 200 << 20, "the daemon with 20 sessions weighs {daemon}");
    println!("20 sessions: runtime {} MB, daemon {} MB", rss >> 20, daemon >> 20);
}

#[test]
fn idle_sessions_used_longest_ago_are_closed_first() {
    let product = product("max_sessions = 2\nspares = 0");
    let mut rpc = product.rpc();
    let sessions: Vec<Value> =
        ["a", "b", "c"].map(|name| chat(&product, &mut rpc, name, json!({}))).into();
    await_pool(&mut rpc, "two stay", |pool| sum(pool, "idle_sessions") == 2);
    chat(&product, &mut rpc, "b again", resume(&sessions[1]));
    chat(&product, &mut rpc, "c again", resume(&sessions[2]));
    let pool = await_pool(&mut rpc, "two stay", |pool| sum(pool, "idle_sessions") == 2);
    assert_eq!(pool["warm"]["idle_hits"], 2, "b and c were open: {pool}");
    chat(&product, &mut rpc, "a again", resume(&sessions[0]));
    assert_eq!(product.last_request().user_messages(), ["a", "a again"]);
    let pool = await_pool(&mut rpc, "two stay", |pool| sum(pool, "idle_sessions") == 2);
    assert_eq!(pool["warm"]["idle_misses"], 1, "a was not: {pool}");
    assert_eq!(pool["warm"]["spare_misses"], 3, "{pool}");
}

#[test]
fn an_idle_session_is_closed_after_its_time() {
    let product = product("max_idle_time = 1.0");
    let mut rpc = product.rpc();
    let session = chat(&product, &mut rpc, "hello", json!({}));
    let empty = |pool: &Value| sum(pool, "idle_sessions") == 0 && sum(pool, "spare_sessions") == 0;
    await_pool(&mut rpc, "a session and a spare", |pool| {
        sum(pool, "idle_sessions") == 1 && sum(pool, "spare_sessions") == 1
    });
    let pool = await_pool(&mut rpc, "nothing stays", empty);
    assert_eq!(runtimes(&pool).len(), 1, "the runtime does: {pool}");
    chat(&product, &mut rpc, "again", resume(&session));
    assert_eq!(product.last_request().user_messages(), ["hello", "again"]);
}

#[test]
fn spares_are_kept_for_the_last_four_kinds() {
    let product = product("spares = 2");
    let mut rpc = product.rpc();
    for kind in 0..5_u64 {
        let folder = product.daemon.sandbox().path(format!("work/{kind}"));
        std::fs::create_dir(&folder).unwrap();
        chat(&product, &mut rpc, "hello", json!({"cwd": folder}));
        let wanted = 2 * (kind + 1).min(4);
        await_pool(&mut rpc, "two spares a kind", |pool| sum(pool, "spare_sessions") == wanted);
    }
    let folder = |kind: u32| json!({"cwd": product.daemon.sandbox().path(format!("work/{kind}"))});
    chat(&product, &mut rpc, "the first kind is forgotten", folder(0));
    chat(&product, &mut rpc, "the last one is not", folder(4));
    let pool = await_pool(&mut rpc, "all there", |pool| sum(pool, "spare_sessions") == 8);
    let warm = &pool["warm"];
    assert_eq!((&warm["spare_hits"], &warm["spare_misses"]), (&json!(1), &json!(6)), "{pool}");
}

#[test]
fn no_spares_are_kept_where_none_are_wanted() {
    let product = product("spares = 0");
    let mut rpc = product.rpc();
    for _ in 0..2 {
        chat(&product, &mut rpc, "hello", json!({}));
    }
    let pool = await_pool(&mut rpc, "both rest", |pool| sum(pool, "idle_sessions") == 2);
    assert_eq!((sum(&pool, "spare_sessions"), &pool["warm"]["spare_hits"]), (0, &json!(0)));
}

#[test]
fn a_runtime_makes_room_for_another_environment() {
    let product = product("max_runtimes = 1");
    let mut rpc = product.rpc();
    let env = |name: &str| {
        let vars: serde_json::Map<String, Value> = product
            .daemon
            .sandbox()
            .env()
            .into_iter()
            .map(|(name, value)| (name.into_string().unwrap(), json!(value.to_str().unwrap())))
            .chain([("WHO".to_owned(), json!(name))])
            .collect();
        json!({"env": vars})
    };
    let session = chat(&product, &mut rpc, "hello", env("one"));
    let first = pids(&await_pool(&mut rpc, "at rest", |pool| sum(pool, "idle_sessions") == 1));
    chat(&product, &mut rpc, "who are you?", env("two"));
    let one = |pool: &Value| runtimes(pool).len() == 1 && !pids(pool).contains(&first[0]);
    let pool = await_pool(&mut rpc, "one runtime, the second", one);
    assert_eq!(recycled(&pool, "place"), 1, "{pool}");
    let mut more = env("one");
    more["session"] = json!({"resume": session});
    chat(&product, &mut rpc, "and again", more);
    assert_eq!(product.last_request().user_messages(), ["hello", "and again"]);
}

/// A run that is at work until its gate opens, with a session that has a past.
fn replaced_while_at_work(pool: &str, reason: &str) {
    let (product, gate) = (product(pool), Gate::new());
    let mut rpc = product.rpc();
    let session = chat(&product, &mut rpc, "remember me", json!({}));
    let old = pids(&await_pool(&mut rpc, "served", |pool| !runtimes(pool).is_empty()))[0];
    let held = gate.clone();
    product.model.respond(move |request| {
        if request.prompt() == "think" {
            Reply::stream().say("half ").wait(&held).say("whole")
        } else {
            Reply::text("quick")
        }
    });
    let long = product.submit(&mut rpc, "think", json!({}));
    let watched = rpc.subscribe("run.watch", &json!({"run": long}));
    rpc.events_until(&watched, "message_delta");
    let host =
        |pool: &Value| runtimes(pool).iter().find(|runtime| runtime["busy_sessions"] == 1).cloned();
    let mut other = product.rpc();
    let beside = await_pool(&mut other, "leaving, with its run at work", |pool| {
        host(pool).is_some_and(|host| host["leaving"] == reason)
    });
    let host = host(&beside).unwrap()["pid"].as_i64().unwrap();
    // Others go on elsewhere, with all they had said, while it is still at work.
    chat(&product, &mut other, "do you?", resume(&session));
    let said = product.model.requests().pop().unwrap();
    assert_eq!(said.user_messages(), ["remember me", "do you?"]);
    assert!(pids(&status(&mut other)).contains(&host), "it has not ended");
    gate.release();
    let end = rpc.events_to_end(&watched);
    let kinds: Vec<_> = end.iter().filter_map(|event| event["type"].as_str()).collect();
    assert!(!kinds.contains(&"restarted"), "nobody noticed: {kinds:?}");
    let last = end.last().unwrap();
    assert_eq!((&last["type"], &last["content"]), (&json!("done"), &json!("half whole")));
    let over = |pool: &Value| !pids(pool).contains(&host) && !pids(pool).contains(&old);
    let pool = await_pool(&mut other, "the old ones end when they are empty", over);
    assert!(recycled(&pool, reason) >= 1, "{pool}");
    chat(&product, &mut other, "what was it?", resume(&last["session"]));
    assert_eq!(product.last_request().user_messages(), ["think", "what was it?"]);
}

#[test]
fn a_runtime_that_has_grown_is_replaced_and_its_runs_go_on() {
    // Every runtime with a session weighs more than that.
    replaced_while_at_work("max_runtime_rss = 67108864", "memory");
}

#[test]
fn a_runtime_that_is_old_is_replaced_and_its_runs_go_on() {
    replaced_while_at_work("max_runtime_age = 1.0", "age");
}

fn stop(pid: i64) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGSTOP).unwrap();
}

#[test]
fn an_idle_runtime_that_stopped_answering_is_replaced() {
    let product = product("probe_timeout = 0.5");
    let mut rpc = product.rpc();
    let session = chat(&product, &mut rpc, "hello", json!({}));
    let warm = |pool: &Value| {
        sum(pool, "idle_sessions") == 1
            && sum(pool, "spare_sessions") == 1
            && runtimes(pool)[0]["latency"]["latest_us"].is_u64()
    };
    let old = pids(&await_pool(&mut rpc, "pinged", warm))[0];
    stop(old);
    let pool = await_pool(&mut rpc, "another one with a spare", |pool| {
        !pids(pool).contains(&old) && sum(pool, "spare_sessions") == 1
    });
    assert_eq!(recycled(&pool, "unresponsive"), 1, "{pool}");
    chat(&product, &mut rpc, "still there?", resume(&session));
    assert_eq!(product.last_request().user_messages(), ["hello", "still there?"]);
}

#[test]
fn a_runtime_that_stopped_in_a_turn_is_replaced_and_the_turn_goes_on() {
    let (product, gate) = (product("probe_timeout = 0.5"), Gate::new());
    product.model.push(Reply::stream().say("half an ").wait(&gate).say("answer"));
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "tell me", json!({}));
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    rpc.events_until(&watched, "message_delta");
    product.model.push(Reply::text("a whole answer"));
    stop(pids(&status(&mut product.rpc()))[0]);
    let events = rpc.events_to_end(&watched);
    let last = events.last().unwrap();
    assert_eq!(last["content"], "a whole answer", "{last}");
    let said = product.model.requests();
    assert!(said.iter().all(|request| request.user_messages() == ["tell me"]));
    assert_eq!(recycled(&status(&mut rpc), "unresponsive"), 1);
}

#[test]
fn a_daemon_opens_spares_at_its_start_when_it_is_told_to() {
    let mut product = product("prewarm = 1");
    assert_eq!(runtimes(&status(&mut product.rpc())).len(), 0, "nothing was ever run");
    let session = chat(&product, &mut product.rpc(), "hello", json!({}));
    product.daemon.restart();
    let mut rpc = product.rpc();
    await_pool(&mut rpc, "a spare", |pool| sum(pool, "spare_sessions") == 1);
    chat(&product, &mut rpc, "at once", json!({}));
    let pool = status(&mut rpc);
    assert_eq!(pool["warm"]["spare_hits"], 1, "of the very kind: {pool}");
    chat(&product, &mut rpc, "again", resume(&session));
    assert_eq!(product.last_request().user_messages(), ["hello", "again"]);
}

#[test]
fn the_tree_of_a_runtime_is_counted_and_status_shows_it() {
    let product = product("");
    let sleeping = json!({"command": "sleep 350 & echo started", "description": "x"});
    product.model.push(Reply::tool("bash", &sleeping));
    product.model.push(Reply::text("done"));
    let mut rpc = product.rpc();
    chat(&product, &mut rpc, "start it", json!({"approval": {"mode": "auto"}}));
    let pool = await_pool(&mut rpc, "pinged, with a process more", |pool| {
        let runtime = &runtimes(pool)[0];
        runtime["tree"]["processes"].as_u64() > Some(1) && runtime["latency"]["latest_us"].is_u64()
    });
    let runtime = &runtimes(&pool)[0];
    assert!(runtime["tree"]["rss_bytes"].as_u64() > runtime["rss_bytes"].as_u64(), "{pool}");
    assert!(runtime["tree"]["cpu_ms"].as_u64() > Some(0), "{pool}");
    assert!(pool["open_files"].as_u64() > Some(3), "{pool}");
    let text = product.ctl().run(["status"]).ok();
    for word in ["up ", " idle, ", " processes)", "answers in ", "sessions were warm"] {
        assert!(text.contains(word), "no `{word}` in\n{text}");
    }
    let json = product.ctl().run(["status", "--json"]).ok();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["pool"]["runtimes"][0]["pid"], runtime["pid"]);
    assert!(json["pool"]["runtimes"][0]["tree"]["processes"].is_u64(), "{json}");
}

/// How long a burst may take to arrive, in a build without optimisation.
const BURST_PATIENCE: Duration = Duration::from_secs(40);

#[test]
fn nothing_of_a_burst_is_lost() {
    let product = product("");
    let words: Vec<String> = (0..6_000).map(|number| format!("{number} ")).collect();
    let whole = words.concat();
    product.model.push(Reply::chunks(words));
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "count", json!({}));
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    let deadline = Deadline::after(BURST_PATIENCE);
    let mut text = String::new();
    loop {
        let event = rpc.next_event(&watched);
        match event["type"].as_str() {
            Some("message_delta") => text.push_str(event["text"].as_str().unwrap()),
            Some("warning") => panic!("{event}"),
            Some("done") => {
                assert_eq!(event["content"].as_str().unwrap().trim(), whole.trim());
                break;
            }
            _ => assert!(deadline.left().is_some(), "still at {event}"),
        }
    }
    assert_eq!(text.trim(), whole.trim());
}
