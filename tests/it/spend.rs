//! What runs spend: the ledger, prices, limits and warnings, in the whole product.

use copex_tests::daemon::TestDaemon;
use copex_tests::model::github::AccountModel;
use copex_tests::model::reply::Usage;
use copex_tests::model::{Account, Gate, MODEL, ModelServer, RecordedRequest, Reply};
use copex_tests::rpc::Rpc;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::product::{Product, follow, of_type, shell};

const PRICES: &str = "[prices.\"scripted-1\"]\ninput = 10\noutput = 1000\ncached = 1\n";

/// What a call costs by [`PRICES`]: 100 fresh and 100 cached tokens in, 50 out.
const USAGE: Usage = Usage { input: 200, output: 50, cached: 100, reasoning: 10 };
const PRICE: f64 = (100.0 * 10.0 + 100.0 + 50.0 * 1000.0) / 1_000_000.0;

fn spend(rpc: &mut Rpc, by: &str) -> Value {
    rpc.call("spend.get", &json!({"by": by}))
}

/// The lines of a report by name.
fn line<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rows = report["rows"].as_array().unwrap();
    let found = rows.iter().find(|row| row["name"] == name);
    found.unwrap_or_else(|| panic!("no line for {name}: {report}"))
}

fn close(value: &Value, wanted: f64) {
    let value = value.as_f64().unwrap_or(f64::NAN);
    assert!((value - wanted).abs() < 1e-9, "{value}, not {wanted}");
}

/// A turn of three model calls: two tools and the answer.
fn three_calls(model: &ModelServer) {
    for command in ["true", "echo two"] {
        model.push(Reply::tool("bash", &shell(command)).usage(USAGE));
    }
    model.push(Reply::text("done").usage(USAGE));
}

#[test]
fn calls_are_summed_by_run_day_repository_and_model_and_survive_a_kill() {
    let mut product = Product::with(|builder| builder.config(PRICES));
    let work = product.daemon.sandbox().work();
    std::fs::create_dir_all(work.join(".git")).unwrap();
    std::fs::create_dir_all(work.join("deep")).unwrap();
    three_calls(&product.model);
    let first = product.chat(["go", "--approval", "auto", "--json", "--cwd", "deep"]);
    let object = first.expect_code(0).json();
    close(&object["cost"]["estimated_cost"], 3.0 * PRICE);
    assert_eq!(object["cost"]["estimate"], true, "{object}");
    product.model.push(Reply::text("again").usage(USAGE));
    let second = product.chat(["once more", "-m", "scripted-2", "--json"]).expect_code(0).json();
    assert_eq!(second["cost"]["estimated_cost"], Value::Null, "no price, no estimate: {second}");
    assert_eq!(second["cost"]["estimate"], false, "{second}");

    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let mut rpc = product.rpc();
    let models = spend(&mut rpc, "model");
    let usage = &line(&models, MODEL)["usage"];
    let sums = ["calls", "input_tokens", "output_tokens", "cached_tokens"].map(|it| &usage[it]);
    assert_eq!(sums, [3, 600, 150, 300], "{models}");
    close(&usage["estimated_cost"], 3.0 * PRICE);
    close(&line(&models, MODEL)["cost"], 3.0 * PRICE);
    let other = line(&models, "scripted-2");
    assert_eq!(
        (&other["usage"]["calls"], &other["usage"]["input_tokens"]),
        (&json!(1), &json!(200))
    );
    let runs = spend(&mut rpc, "run");
    assert_eq!(line(&runs, object["run"].as_str().unwrap())["usage"]["calls"], 3, "{runs}");
    assert_eq!(line(&runs, second["run"].as_str().unwrap())["usage"]["calls"], 1, "{runs}");
    let repositories = spend(&mut rpc, "repository");
    let work = work.canonicalize().unwrap().display().to_string();
    assert_eq!(line(&repositories, &work)["usage"]["calls"], 4, "{repositories}");
    let days = spend(&mut rpc, "day");
    let calls = days["rows"].as_array().unwrap().iter().map(|row| &row["usage"]["calls"]);
    assert_eq!(calls.filter_map(Value::as_u64).sum::<u64>(), 4, "{days}");
    assert_eq!(days["total"]["usage"]["input_tokens"], 800, "{days}");

    let status = product.ctl().run(["status"]).expect_code(0);
    let today = status.stdout.lines().find(|line| line.starts_with("spend today")).unwrap();
    assert!(today.contains("≈ ") && today.contains("4 calls"), "{today}");
    let people = product.ctl().run(["metrics", "--by", "run"]).expect_code(0);
    assert!(people.stdout.contains(object["run"].as_str().unwrap()), "{}", people.stdout);
    let later = product.ctl().run(["metrics", "--since", "2999-01-01", "--json"]).expect_code(0);
    let later = later.json();
    assert_eq!(later["spend"]["by"], "model", "{later}");
    assert_eq!(later["spend"]["since"].as_u64().unwrap() % 86_400_000, 0, "{later}");
}

#[test]
fn a_compaction_is_in_the_books() {
    let product = Product::with(|builder| builder.config(PRICES));
    product.model.push(Reply::text("a story").usage(USAGE));
    let first = product.chat(["tell me a story", "--json"]).expect_code(0).json();
    product.model.push(Reply::text("a summary of it all").usage(USAGE));
    let mut rpc = product.rpc();
    let more = json!({
        "session": {"resume": first["session"]},
        "compact": true,
        "prices": {"scripted-1": {"input": 10.0, "output": 1000.0, "cached": 1.0}},
    });
    let run = product.submit(&mut rpc, "", more);
    let events = follow(&mut rpc, &run);
    let told = of_type(&events, "usage");
    assert_eq!(told.len(), 1, "{events:#?}");
    assert_eq!(events.last().unwrap()["usage"]["output_tokens"], 50, "{events:#?}");
    let runs = spend(&mut rpc, "run");
    let usage = &line(&runs, &run)["usage"];
    let sums = ["calls", "input_tokens", "output_tokens", "cached_tokens"].map(|it| &usage[it]);
    assert_eq!(sums, [1, 200, 50, 100], "{runs}");
    close(&usage["estimated_cost"], PRICE);
    let models = spend(&mut rpc, "model");
    assert_eq!(line(&models, MODEL)["usage"]["calls"], 2, "{models}");
}

/// The CLI compacts by itself when a conversation gets near its limit, beside the turn.
#[test]
fn a_compaction_in_the_middle_of_a_turn_is_in_the_books() {
    let product = Product::with(|builder| builder.config(PRICES));
    let is_compaction = |request: &RecordedRequest| {
        request.header("x-interaction-type") == Some("conversation-compaction")
    };
    let mut rpc = product.rpc();
    // One is there while tools still run, the other comes after the answer.
    for late in [false, true] {
        let gate = Gate::new();
        let (held, begun) = (gate.clone(), AtomicBool::new(false));
        product.model.respond(move |request| {
            let summary = Reply::text("<summary>much was done</summary>").usage(USAGE);
            if is_compaction(request) {
                begun.store(true, Ordering::SeqCst);
                return if late { summary.wait_before_head(&held) } else { summary };
            }
            let over = request.prompt().contains("summarized");
            if over || (late && begun.load(Ordering::SeqCst)) {
                return Reply::text("done").usage(USAGE);
            }
            Reply::tool("bash", &shell("seq 1 800")).usage(USAGE)
        });
        let before = product.model.requests().len();
        let more = json!({
            "context_budget": 40_000, "approval": {"mode": "auto"},
            "prices": {"scripted-1": {"input": 10.0, "output": 1000.0, "cached": 1.0}},
        });
        let run = product.submit(&mut rpc, "go", more);
        if late {
            gate.wait_reached(1);
            let watched = rpc.subscribe("run.watch", &json!({"run": run}));
            let said = |events: &[Value]| events.iter().any(|event| event["text"] == "done");
            while !said(&rpc.events_until(&watched, "message")) {}
            gate.open();
        }
        let events = follow(&mut rpc, &run);
        let requests = product.model.requests().split_off(before);
        let told = format!("{late}: {:?}", events.iter().map(|it| &it["type"]).collect::<Vec<_>>());
        assert_eq!(events.last().unwrap()["content"], "done", "{told}");
        assert!(requests.iter().any(is_compaction), "it compacts: {told}");
        let calls = requests.len();
        assert_eq!(of_type(&events, "usage").len(), calls, "each call is told: {told}");
        assert_eq!(events.last().unwrap()["usage"]["calls"], calls, "{told}");
        let runs = spend(&mut rpc, "run");
        let usage = &line(&runs, &run)["usage"];
        assert_eq!(usage["output_tokens"], calls * 50, "{runs}");
        close(&usage["estimated_cost"], f64::from(u32::try_from(calls).unwrap()) * PRICE);
    }
}

#[test]
fn a_killed_daemon_counts_no_call_twice_and_none_is_lost() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::tool("bash", &shell("true")).usage(USAGE));
    product.model.push(Reply::stream().say("half").wait(&gate));
    product.model.push(Reply::text("whole").usage(USAGE));
    let mut daemon = product.daemon;
    let run = daemon.ctl().run(["chat", "go", "--approval", "auto", "--detach"]).ok();
    gate.wait_reached(1);
    let _killed = daemon.kill9();
    daemon.restart();
    let attached = daemon.ctl().run(["runs", "attach", run.trim(), "--json"]).expect_code(0);
    let usage = attached.json()["usage"].clone();
    let mut rpc = daemon.rpc();
    let runs = spend(&mut rpc, "run");
    let booked = &line(&runs, run.trim())["usage"];
    assert_eq!(booked["calls"], usage["calls"], "{runs}");
    assert_eq!(booked["input_tokens"], usage["input_tokens"], "{runs}");
    assert_eq!(usage["calls"], 2, "{usage}");
}

/// A daemon whose user is signed in to an account of these models.
fn signed_in(config: &str, multiplier: f64) -> (TestDaemon, ModelServer) {
    let model = ModelServer::start();
    let models = vec![AccountModel { multiplier, ..AccountModel::new("gpt-5.4") }];
    model.set_account(Account { models, ..Account::default() });
    let mut builder = TestDaemon::builder(copex_tests::bins!()).model(&model).config(config);
    for (name, _) in model.provider_env() {
        builder = builder.env(&name, "");
    }
    for (name, value) in model.signed_in_env() {
        builder = builder.env(&name, value);
    }
    (builder.start(), model)
}

#[test]
fn premium_requests_and_credits_of_an_account_are_booked_and_warned_of() {
    let (daemon, model) = signed_in("[limits]\nmax_cost = 4\n", 1.0);
    three_calls(&model);
    let chat = ["chat", "go", "-m", "gpt-5.4", "--approval", "auto", "--json"];
    let object = daemon.ctl().run(chat).expect_code(0).json();
    let premium = object["cost"]["premium_requests"].as_f64().unwrap();
    let credits = object["cost"]["ai_credits"].as_f64().unwrap();
    assert!(premium >= 3.0 && credits > 0.3, "{object}");
    let words: Vec<_> =
        object["warnings"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
    assert_eq!(words, ["spend", "spend"], "2 and 3 of 4: {object}");
    let mut rpc = daemon.rpc();
    let report = spend(&mut rpc, "model");
    let row = line(&report, "gpt-5.4");
    close(&row["usage"]["premium_requests"], premium);
    close(&row["usage"]["ai_credits"], credits);
    close(&row["cost"], premium);
    close(&report["today"]["cost"], premium);
}

#[test]
fn shares_of_a_limit_are_told_once_each() {
    let product = Product::with(|builder| builder.config(PRICES));
    for _ in 0..7 {
        product.model.push(Reply::tool("bash", &shell("true")).usage(USAGE));
    }
    product.model.push(Reply::text("done").usage(USAGE));
    let mut rpc = product.rpc();
    let more = json!({
        "approval": {"mode": "auto"},
        "max_cost": 10.0 * PRICE,
        "prices": {MODEL: {"input": 10.0, "output": 1000.0, "cached": 1.0}},
    });
    let run = product.submit(&mut rpc, "go", more);
    let events = follow(&mut rpc, &run);
    let warnings = of_type(&events, "warning");
    let words: Vec<&str> = warnings
        .iter()
        .filter(|event| event["code"] == "spend")
        .filter_map(|event| event["message"].as_str())
        .collect();
    assert_eq!(words.len(), 2, "{words:?}");
    assert!(words[0].contains("passed 50 %") && words[1].contains("passed 75 %"), "{words:?}");
    assert_eq!(of_type(&events, "usage").len(), 8, "{events:?}");
}

#[test]
fn a_turn_does_not_begin_over_its_limit_and_a_higher_one_goes_on() {
    let product = Product::with(|builder| builder.config(PRICES));
    let object = product.chat(["go", "--max-cost", "0", "--json"]).expect_code(4).json();
    assert_eq!(object["error"]["class"], "limit", "{object}");
    let hint = object["error"]["hint"].as_str().unwrap();
    let way = format!("copexctl runs resume {} --max-cost N", object["run"].as_str().unwrap());
    assert!(hint.contains(&way), "{hint}");
    assert_eq!(product.model.requests().len(), 0, "nothing was asked");
    let run = object["run"].as_str().unwrap();
    let shown = product.runs(["show", run, "--json"]).expect_code(0).json();
    assert_eq!(shown["summary"]["state"], "exhausted", "{shown}");

    let again = product.runs(["resume", run, "--json"]).expect_code(4).json();
    assert_eq!(again["error"]["class"], "limit", "its own limit still holds: {again}");
    product.model.push(Reply::text("the answer").usage(USAGE));
    let more = product.runs(["resume", run, "--max-cost", "1", "--json"]).expect_code(0).json();
    assert_eq!(more["content"], "the answer", "{more}");
    let said = product.model.user_messages(0);
    assert_eq!(said.iter().filter(|said| *said == "go").count(), 1, "{said:?}");
    for wrong in [["--max-cost", "-1"], ["--max-tokens", "0"], ["--max-ai-credits", "1e12"]] {
        let output = product.runs(["resume", run, wrong[0], wrong[1]]).expect_code(2);
        assert!(output.stderr.contains(&format!("{}: ", wrong[0])), "{}", output.stderr);
        let output = product.chat(["go", wrong[0], wrong[1]]).expect_code(2);
        assert!(output.stderr.contains(&format!("{}: ", wrong[0])), "{}", output.stderr);
    }
}

#[test]
fn a_limit_stops_a_turn_before_its_next_call_and_a_higher_one_finishes_it() {
    let product = Product::with(|builder| builder.config(PRICES));
    three_calls(&product.model);
    let limit = (2.0 * PRICE).to_string();
    let chat = ["go", "--approval", "auto", "--max-cost", &limit, "--json"];
    let object = product.chat(chat).expect_code(4).json();
    assert_eq!(object["error"]["class"], "limit", "{object}");
    close(&object["cost"]["estimated_cost"], 2.0 * PRICE);
    assert_eq!(product.model.requests().len(), 2, "the third call is not made");
    let run = object["run"].as_str().unwrap();
    let more = product.runs(["resume", run, "--max-cost", "1", "--json"]).expect_code(0).json();
    assert_eq!(more["content"], "done", "{more}");
    assert_eq!(product.model.requests().len(), 3, "no call is made twice");
    let said = product.model.user_messages(2);
    assert_eq!(said.iter().filter(|said| *said == "go").count(), 1, "{said:?}");
}

#[test]
fn a_limit_of_the_day_holds_for_all_runs_and_over_a_restart() {
    let config = format!("{PRICES}[limits]\nmax_cost_per_day = {PRICE}\n");
    let mut product = Product::with(|builder| builder.config(&config));
    product.model.push(Reply::text("once").usage(USAGE));
    assert_eq!(product.chat(["go"]).ok(), "once\n");
    let output = product.chat(["more"]).expect_code(4);
    assert!(output.stderr.contains("max_cost_per_day"), "{}", output.stderr);
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let output = product.chat(["more"]).expect_code(4);
    assert!(output.stderr.contains("today's cost"), "{}", output.stderr);
    assert_eq!(product.model.requests().len(), 1);
    let status = product.ctl().run(["status", "--json"]).expect_code(0).json();
    close(&status["spend"]["max_cost_per_day"], PRICE);
    close(&status["spend"]["today"]["cost"], PRICE);
}
