//! Another model takes over: with the whole conversation, and everybody is told.

use copex_tests::cli::CopilotCli;
use copex_tests::daemon::TestDaemon;
use copex_tests::model::{ModelServer, RecordedRequest, Reply};
use copex_tests::sandbox::Sandbox;
use serde_json::{Value, json};

use super::{FIRST, SECOND, chat, merged, provider, quick, requests_to};
use crate::product::{Product, of_type, shell};

const QUICK: &str = "[retry]\nbase_delay = 0.1\nmax_delay = 1.0\n";

/// A model that calls a tool, then fails whenever the first is asked; the second answers.
fn fails_after_a_tool(model: &ModelServer) {
    model.respond(|request| match (request.model(), request.tool_results().len()) {
        (FIRST, 0) => Reply::tool("bash", &shell("echo once | tee -a tool.txt")),
        (FIRST, _) => Reply::error(503, "overloaded", "out of order"),
        _ => Reply::text("the end"),
    });
}

#[test]
fn a_model_that_fails_in_mid_turn_hands_the_conversation_over() {
    let product = Product::with(|builder| builder.config(QUICK));
    fails_after_a_tool(&product.model);
    let args = ["go", "-m", FIRST, "--fallback", SECOND, "--auto-approve", "--json"];
    let object = product.chat(args).expect_code(0).json();
    assert_eq!(object["content"], "the end", "{object}");
    assert_eq!((&object["model"], &object["requested_model"]), (&json!(SECOND), &json!(FIRST)));
    assert_eq!((&object["fallbacks"], &object["tools"]), (&json!(1), &json!(1)), "{object}");

    let asked: Vec<String> =
        product.model.requests().iter().map(|request| request.model().to_owned()).collect();
    assert_eq!(asked, [FIRST, FIRST, FIRST, FIRST, SECOND], "three failures, then the next");
    let last = product.last_request();
    assert_eq!(last.user_messages(), ["go"], "no second prompt");
    let [result] = &last.tool_results()[..] else { panic!("one result: {last:#?}") };
    assert!(result.contains("once"), "{result}");
    let lines = std::fs::read_to_string(product.daemon.sandbox().work().join("tool.txt"));
    assert_eq!(lines.unwrap(), "once\n", "the tool ran once");

    let run = object["run"].as_str().unwrap();
    let events = product.runs(["logs", run, "--jsonl"]).expect_code(0).json_lines();
    let [change] = of_type(&events, "fallback")[..] else { panic!("one change: {events:#?}") };
    assert_eq!((&change["from"], &change["to"]), (&json!(FIRST), &json!(SECOND)), "{change}");
    assert!(change["reason"].as_str().unwrap().contains("out of order"), "{change}");

    // The next turn is the first one's again: its breaker did not open.
    product.model.respond(|request| Reply::text(request.model()));
    let next = product.chat(["and?", "-m", FIRST, "--fallback", SECOND, "--continue", "-q"]);
    assert_eq!(next.ok(), format!("{FIRST}\n"));
    assert_eq!(product.last_request().user_messages(), ["go", "and?"]);
}

#[test]
fn a_model_that_may_not_be_asked_is_passed_over_until_it_may() {
    let product = Product::start();
    product.model.respond(|request| match request.model() {
        FIRST => Reply::rate_limited("user_model_rate_limited", Some(600)),
        other => Reply::text(other),
    });
    let chain = merged(quick(), json!({"fallback_chain": ["second", "third"]}));
    let models = |product: &Product| -> Vec<String> {
        product.model.requests().iter().map(|request| request.model().to_owned()).collect()
    };
    let seen = chat(&product, "one", chain.clone());
    assert_eq!((&seen.end()["content"], seen.count("fallback")), (&json!(SECOND), 1));
    assert_eq!(models(&product), [FIRST, SECOND]);
    // The limit is known: nobody asks the first one again, in any session.
    let goes_on = merged(chain.clone(), json!({"session": "continue"}));
    for more in [chain, goes_on.clone()] {
        let seen = chat(&product, "two", more);
        assert_eq!(seen.end()["content"], SECOND);
        let change = of_type(&seen.events, "fallback")[0];
        assert!(change["reason"].as_str().unwrap().contains("is limited for"), "{change}");
    }
    assert_eq!(models(&product), [FIRST, SECOND, SECOND, SECOND]);
    let explained = product.runs(["explain", seen.end()["run"].as_str().unwrap()]).ok();
    assert!(explained.contains("limited"), "{explained}");

    let _count = product.rpc().call("breaker.reset", &json!({}));
    product.model.respond(|request| Reply::text(request.model()));
    let seen = chat(&product, "three", goes_on);
    assert_eq!((&seen.end()["content"], seen.count("fallback")), (&json!(FIRST), 0));
    assert_eq!(product.last_request().user_messages(), ["two", "two", "three"]);
}

#[test]
fn each_model_of_the_chain_has_its_turn_and_the_last_ones_words_are_told() {
    let product = Product::start();
    product.model.respond(|request| {
        Reply::error(500, "internal", &format!("{} is out of order", request.model()))
    });
    let chain = merged(quick(), json!({"fallback_chain": ["second", "third"]}));
    let seen = chat(&product, "hi", chain);
    assert_eq!(seen.count("fallback"), 2, "{:#?}", seen.events);
    let message = seen.end()["error"]["message"].as_str().unwrap();
    assert!(message.contains("third is out of order"), "{message}");
    let counts = [FIRST, SECOND, "third"].map(|model| {
        product.model.requests().iter().filter(|request| request.model() == model).count()
    });
    assert_eq!(counts[..2], [3, 3], "{counts:?}");
    assert!((3..=5).contains(&counts[2]), "{counts:?}");
    assert!(product.model.requests().iter().all(|request| request.user_messages() == ["hi"]));
}

#[test]
fn the_effort_is_fitted_to_the_model_that_takes_over() {
    let product = Product::start();
    product.model.respond(|request| match request.model() {
        "gpt-5.2" => Reply::rate_limited("user_model_rate_limited", Some(600)),
        _ => Reply::text("fitted"),
    });
    let more = json!({
        "model": "gpt-5.2",
        "fallback_chain": ["gpt-5.1"],
        "reasoning_effort": "xhigh",
    });
    let seen = chat(&product, "think", merged(quick(), more));
    assert_eq!(seen.end()["content"], "fitted");
    let efforts: Vec<Option<String>> = product
        .model
        .requests()
        .iter()
        .map(|request| request.reasoning_effort().map(str::to_owned))
        .collect();
    assert_eq!(efforts, [Some("xhigh".to_owned()), Some("high".to_owned())]);
    let warnings = of_type(&seen.events, "warning");
    let lowered: Vec<&&Value> =
        warnings.iter().filter(|warning| warning["code"] == "effort_lowered").collect();
    assert_eq!(lowered.len(), 1, "{warnings:#?}");
    assert!(lowered[0]["message"].as_str().unwrap().contains("gpt-5.1"), "{warnings:#?}");
}

#[test]
fn what_a_filter_withheld_is_asked_elsewhere_only_where_that_is_allowed() {
    let product = Product::start();
    product.model.respond(|request| match request.model() {
        "third" => Reply::text("an answer"),
        _ => Reply::error(400, "content_filter", "withheld"),
    });
    let chain = |allowed: bool, chain: Value| {
        let more = json!({"fallback_chain": chain, "on_content_filter": allowed});
        merged(quick(), more)
    };
    let seen = chat(&product, "hi", chain(true, json!(["third"])));
    assert_eq!((&seen.end()["content"], seen.count("fallback")), (&json!("an answer"), 1));
    let seen = chat(&product, "hi", chain(false, json!(["third"])));
    assert_eq!(seen.end()["error"]["class"], "content_filter", "{}", seen.end());
    // Once: a second filter has the last word.
    let seen = chat(&product, "hi", chain(true, json!(["second", "third"])));
    assert_eq!(seen.end()["error"]["class"], "content_filter", "{}", seen.end());
    assert_eq!(seen.count("fallback"), 1);
}

#[test]
fn an_account_that_is_limited_is_left_with_all_its_models() {
    let product = Product::start();
    let elsewhere = json!({"provider": provider(&product.model, "elsewhere")});
    product.model.respond(|request| {
        if request.path.starts_with("/v1/elsewhere/") {
            return Reply::text("elsewhere");
        }
        Reply::rate_limited("user_global_rate_limited", Some(600))
    });
    let more = merged(quick(), json!({"fallback_chain": [SECOND], "no_park": true}));
    let seen = chat(&product, "hi", more.clone());
    assert_eq!(seen.end()["error"]["class"], "rate_limit");
    assert_eq!((seen.output.code(), product.model.requests().len()), (5, 1));
    // Whatever model is named, nobody of this account is asked again; others are.
    for model in [FIRST, SECOND, "third"] {
        let seen = chat(&product, "hi", merged(more.clone(), json!({"model": model})));
        assert_eq!((seen.end()["type"].clone(), seen.output.code()), (json!("failed"), 5));
    }
    assert_eq!(product.model.requests().len(), 1);
    let seen = chat(&product, "hi", merged(more, elsewhere));
    assert_eq!(seen.end()["content"], "elsewhere");
    assert_eq!(requests_to(&product, "elsewhere").len(), 1);
}

#[test]
fn a_chain_may_lead_from_a_provider_to_github() {
    let model = ModelServer::start();
    let cli = CopilotCli::install();
    let mut builder = TestDaemon::builder(copex_tests::bins!()).sandbox(Sandbox::with_cli(cli));
    for (name, value) in model.signed_in_env() {
        builder = builder.env(&name, value);
    }
    let config = format!(
        "[provider]\nbase_url = \"{}\"\nmodel = \"{FIRST}\"\nkey_env = \"FIRST_KEY\"\n{QUICK}",
        model.base_url()
    );
    let daemon = builder.config(&config).env("FIRST_KEY", "a-key-of-the-provider").start();
    model.respond(|request| match (request.is_signed_in(), request.tool_results().len()) {
        (false, 0) => Reply::tool("bash", &shell("echo once >> tool.txt")),
        (false, _) => Reply::error(401, "invalid_api_key", "no such key"),
        (true, _) => Reply::text("from github"),
    });
    let args = ["chat", "go", "--fallback", "second,github:gpt-5.4", "--auto-approve", "--json"];
    let object = daemon.ctl().run(args).expect_code(0).json();
    assert_eq!(object["content"], "from github", "{object}");
    assert_eq!((&object["model"], &object["fallbacks"]), (&json!("gpt-5.4"), &json!(1)));
    let requests = model.requests();
    let asked: Vec<&str> = requests.iter().map(RecordedRequest::model).collect();
    assert_eq!(asked, [FIRST, FIRST, "gpt-5.4"], "no other model has that key");
    let last = requests.last().unwrap();
    assert_eq!((last.user_messages(), last.tool_results().len()), (vec!["go".to_owned()], 1));
    for request in &requests[..2] {
        assert_eq!(request.header("authorization"), Some("Bearer a-key-of-the-provider"));
    }
    let secret = last.header("authorization").unwrap_or_default();
    assert!(!secret.contains("provider"), "each endpoint has its own key: {secret}");
    let lines = std::fs::read_to_string(daemon.sandbox().work().join("tool.txt"));
    assert_eq!(lines.unwrap(), "once\n");

    // A limit of the week holds for every model there, and for nobody elsewhere.
    model.respond(|request| {
        if request.is_signed_in() {
            Reply::text("from github again")
        } else {
            Reply::rate_limited("user_weekly_rate_limited", Some(600))
        }
    });
    for asked_before in [1, 0] {
        let before = model.requests().len();
        let object = daemon.ctl().run(args).expect_code(0).json();
        assert_eq!(object["content"], "from github again", "{object}");
        assert_eq!(model.requests().len() - before, asked_before + 1, "learned once");
    }
}
