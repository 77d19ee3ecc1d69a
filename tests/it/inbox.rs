//! The inbox: questions of all runs, listed, shown, answered, and over a restart.

use copex_tests::model::{RecordedRequest, Reply};
use serde_json::{Value, json};

use crate::product::{Product, follow, of_type, shell};

fn colour() -> Value {
    json!({"question": "Which colour?", "choices": ["red", "blue"]})
}

/// Three runs that wait, in this order: for a permission, for a choice, and a loop for words.
/// The first is the only one that is waited for under its own name.
fn three(product: &Product) -> [(String, String); 3] {
    product.model.respond(|request| {
        let told = request.tool_results();
        let prompt = request.prompt();
        if prompt.contains("A person answers") {
            return Reply::text("<promise>DONE</promise>");
        }
        match (prompt.split(' ').next(), told.last()) {
            (Some("push"), None) => Reply::tool("bash", &shell("git push origin main")),
            (Some("paint"), None) => Reply::tool("ask_user", &colour()),
            (Some("push" | "paint"), Some(_)) => Reply::text("the end"),
            _ => Reply::text("<needs-human>Which port?</needs-human>"),
        }
    });
    let chat = |prompt: &str| format!("chat {prompt} --detach");
    let lines =
        [chat("push"), chat("paint"), "ralph serve --promise DONE --verify true --detach".into()];
    lines.map(|line| {
        let run = product.ctl().run(line.split(' ')).ok().trim().to_owned();
        let mut rpc = product.rpc();
        let watched = rpc.subscribe("run.watch", &json!({"run": run}));
        let ask = rpc.events_until(&watched, "ask").pop().unwrap();
        (run, ask["ask"].as_str().unwrap().to_owned())
    })
}

fn inbox<const N: usize>(product: &Product, args: [&str; N]) -> copex_tests::process::Output {
    product.ctl().run(["inbox"].into_iter().chain(args))
}

fn end(product: &Product, run: &str) -> Value {
    follow(&mut product.rpc(), run).pop().unwrap()
}

#[test]
fn questions_of_all_runs_are_listed_and_answered() {
    let product = Product::start();
    assert_eq!(inbox(&product, []).expect_code(0).stdout, "");
    let [(push, may), (paint, which), (serve, port)] = three(&product);

    let list = inbox(&product, ["--json"]).expect_code(0).json();
    let asks = list["asks"].as_array().unwrap();
    let field = |name: &str| -> Vec<&Value> { asks.iter().map(|ask| &ask[name]).collect() };
    assert_eq!(field("ask"), [&may, &which, &port], "{list}");
    assert_eq!(field("run"), [&push, &paint, &serve]);
    assert_eq!(field("mode"), ["chat", "chat", "ralph"]);
    assert_eq!(field("kind"), ["permission", "user_input", "user_input"]);
    assert_eq!(field("run_title"), ["push", "paint", "serve"]);
    assert_eq!(asks[1]["choices"], json!(["red", "blue"]));
    assert_eq!(list["waiting"], 3);
    for ask in asks {
        assert!(ask["expires_at"].as_u64() > ask["asked_at"].as_u64(), "{ask}");
    }

    let text = inbox(&product, []).ok();
    for words in [may.as_str(), "permission", "git push origin main", "1. red", "Which port?"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let told = "3 questions wait for an answer: copexctl inbox";
    assert!(product.runs(["list"]).stderr.contains(told));
    assert!(product.ctl().run(["status"]).ok().contains(told));
    assert_eq!(product.ctl().run(["status", "--json"]).json()["asks_waiting"], 3);
    let shown = inbox(&product, ["show", &which]).ok();
    assert!(shown.contains(&format!("copexctl inbox answer {which} 1|2")), "{shown}");

    // What is no answer is told with what would be one, and nothing happens.
    for (words, hint) in [
        (vec!["answer", may.as_str(), "perhaps"], "yes|always|no"),
        (vec!["answer", &may, "--text", "do it"], "yes|always|no"),
        (vec!["answer", &which, "3"], "1|2"),
    ] {
        let refused = product.ctl().run(["inbox"].iter().chain(&words)).expect_code(2);
        assert!(refused.stderr.contains(hint), "{}", refused.stderr);
    }

    let answered = inbox(&product, ["answer", &may, "no", "not", "today"]).expect_code(0);
    assert_eq!(answered.stdout, format!("{may} answered\n"));
    assert!(answered.stderr.contains(&format!("copexctl runs attach {push}")));
    assert_eq!(end(&product, &push)["content"], "the end");
    inbox(&product, ["answer", &which[..which.len() - 1], "2"]).ok();
    assert_eq!(end(&product, &paint)["content"], "the end");
    inbox(&product, ["answer", &serve, "8080"]).ok();
    assert_eq!(end(&product, &serve)["type"], "done");
    let results: Vec<String> =
        product.model.requests().iter().flat_map(RecordedRequest::tool_results).collect();
    assert!(results.iter().any(|told| told.contains("not today")), "{results:?}");
    assert!(results.iter().any(|told| told.contains("blue")), "{results:?}");

    assert_eq!(inbox(&product, ["--json"]).json()["asks"], json!([]));
    let closed = inbox(&product, ["--closed", "--json"]).json();
    assert_eq!(closed["asks"].as_array().unwrap().len(), 3, "{closed}");
    assert_eq!((&closed["asks"][0]["ask"], &closed["waiting"]), (&json!(port), &json!(0)));
    assert_eq!(closed["asks"][0]["closed"]["answer"]["text"], "8080", "{closed}");
}

#[test]
fn a_second_answer_is_told_the_first_and_an_unknown_question_is_said() {
    let product = Product::start();
    let [(push, may), ..] = three(&product);
    inbox(&product, ["answer", &may, "yes"]).ok();
    for id in [may.as_str(), &push] {
        let late = inbox(&product, ["answer", id, "no"]).expect_code(1);
        assert!(late.stderr.contains("was answered before: yes"), "{}", late.stderr);
    }
    let never = format!("{push}-7");
    for unknown in ["nothing-1", &never, "0000000000000-1"] {
        let refused = inbox(&product, ["answer", unknown, "yes"]).expect_code(1);
        assert!(refused.stderr.contains(unknown), "{}", refused.stderr);
        assert!(refused.stderr.contains("hint: copexctl inbox"), "{}", refused.stderr);
    }
    // Both open ones begin alike: the time is the beginning of an id.
    let unclear = inbox(&product, ["show", &may[..4]]).expect_code(2);
    assert!(unclear.stderr.contains("more than one question"), "{}", unclear.stderr);
    assert!(inbox(&product, ["show", "abc"]).expect_code(2).stderr.contains("too short"));
}

#[test]
fn questions_outlive_a_killed_daemon_and_are_answered_after_it() {
    let mut product = Product::start();
    let [(push, may), _, (serve, port)] = three(&product);
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let list = inbox(&product, ["--json"]).json();
    let names: Vec<_> = list["asks"].as_array().unwrap().iter().map(|ask| &ask["ask"]).collect();
    assert!(names.contains(&&json!(may)) && names.contains(&&json!(port)), "{list}");
    inbox(&product, ["answer", &port, "8080"]).ok();
    inbox(&product, ["answer", &may, "no"]).ok();
    assert_eq!(end(&product, &serve)["type"], "done");
    let events = follow(&mut product.rpc(), &push);
    assert_eq!(events.last().unwrap()["content"], "the end", "{events:#?}");
    assert_eq!(of_type(&events, "ask").len(), 1, "{events:#?}");
}

#[test]
fn what_waits_when_its_run_ends_is_dropped() {
    let product = Product::start();
    let [(push, may), (paint, which), _] = three(&product);
    let mut rpc = product.rpc();
    let all = rpc.call("ask.list", &json!({"limit": 1}));
    assert_eq!((&all["asks"][0]["ask"], &all["waiting"]), (&json!(may), &json!(3)), "{all}");
    assert_eq!(all["more"], true, "{all}");
    let one = rpc.call("ask.list", &json!({"filter": {"run": paint}}));
    assert_eq!((&one["asks"][0]["ask"], &one["waiting"]), (&json!(which), &json!(1)), "{one}");
    let _cancelled = product.runs(["cancel", &push]).expect_code(0);
    let one = rpc.call("ask.list", &json!({"filter": {"run": push, "closed": true}}));
    assert_eq!(one["waiting"], 0, "{one}");
    assert!(one["asks"][0]["closed"]["at"].is_u64(), "{one}");
    assert!(one["asks"][0]["closed"]["answer"].is_null(), "{one}");
    let late = inbox(&product, ["answer", &may, "yes"]).expect_code(1);
    assert!(late.stderr.contains("its run ended"), "{}", late.stderr);
    let unknown = json!({"filter": {"run": "0000000000000"}});
    assert_eq!(rpc.call_err("ask.list", &unknown)["data"]["class"], "not_found");
}
