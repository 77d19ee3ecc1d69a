//! Chat as scripts see it: exit codes, Ctrl-C, runs that go on without their client.

use copex_tests::model::{API_KEY, Gate, MODEL, Reply};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::product::{Product, follow, of_type, shell, types};

#[test]
fn a_refusal_ends_with_its_code_and_the_servers_words() {
    let product = Product::start();
    let refused = |status, words: &str| Reply::error(status, "refused", words).no_cli_retry();

    let place = product.model.base_url();
    let place = place.trim_start_matches("http://");
    let table = [
        (401, "no such key", 77, "copexctl status"),
        (403, "not for you", 77, "copexctl status"),
        (400, "the field is odd", 1, "copexctl models"),
        (404, "nobody of that name", 1, "base_url"),
        (422, "that is too much", 1, "copexctl models"),
    ];
    for (status, words, code, way) in table {
        // Some servers repeat the key.
        product.model.push(refused(status, &format!("{words} ({API_KEY})")));
        let output = product.chat(["go"]).expect_code(code);
        let told = format!(
            "error: {words} ([redacted]) ({status} from {MODEL} at {place}/chat/completions)\n\
             hint: "
        );
        assert!(output.stderr.contains(&told), "{told} {}", output.stderr);
        let (_, hint) = output.stderr.split_once("hint: ").unwrap();
        assert!(hint.contains(way) && !hint.contains("login"), "{status}: {hint}");
        assert_eq!(output.stdout, "", "{status}");
    }
    assert_eq!(product.model.requests().len(), table.len(), "nobody is asked twice");

    // Without words of its own, and asked by an address that has a secret in it.
    product.model.push(Reply::status(422, "{}"));
    let address = format!("{}?key=hidden", product.model.base_url());
    let address = address.replace("http://", "http://somebody:hidden@");
    let ctl = product.ctl().with(|launch| launch.env("COPILOT_PROVIDER_BASE_URL", address));
    let output = ctl.run(["chat", "go"]).expect_code(1);
    assert!(output.stderr.contains(&format!("{MODEL} at {place}")), "{}", output.stderr);
    assert!(output.stderr.contains("answered 422\n"), "{}", output.stderr);
    assert!(!output.stderr.contains("hidden"), "{}", output.stderr);

    // Nothing is no refusal: it is asked again, twice, and then no success either.
    for _ in 0..3 {
        product.model.push(Reply::stream());
    }
    let output = product.chat(["go"]).expect_code(1);
    assert!(output.stderr.contains("error: "), "{}", output.stderr);
    assert_eq!(product.model.requests().len(), table.len() + 4);
}

#[test]
fn ctrl_c_once_cancels_the_run() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::stream().say("begun ").wait(&gate).hang());
    let running = product.ctl().start(["chat", "go", "--jsonl"]);
    running.wait_stdout("begun ");
    running.signal(Signal::SIGINT);
    let output = running.wait().expect_code(130);
    assert!(output.stderr.contains("cancelling"), "{}", output.stderr);
    let events = output.json_lines();
    assert_eq!(events.last().unwrap()["type"], "cancelled", "{events:?}");
    product.model.wait_for_abandoned(1);

    let run = events[0]["run"].as_str().unwrap();
    let again = product.rpc().call("run.cancel", &json!({"run": run}));
    assert_eq!(again["state"], "cancelled");
    let _same = product.runs(["attach", run]).expect_code(130);
}

#[test]
fn an_interrupted_run_is_one_object_for_programs() {
    let product = Product::start();
    product.model.push(Reply::stream().say("begun ").hang());
    let running = product.ctl().start(["chat", "go", "--json"]);
    product.model.wait_for_requests(1);
    running.signal(Signal::SIGINT);
    let object = running.wait().expect_code(130).json();
    assert_eq!(object["error"]["class"], "cancelled", "{object}");
    assert!(object["run"].is_string(), "{object}");
}

#[test]
fn a_run_that_waits_for_its_session_can_be_cancelled() {
    let (product, gate) = (Product::start(), Gate::new());
    let first = product.chat(["first", "--json"]).expect_code(0).json();
    product.model.push(Reply::stream().say("one ").wait(&gate).say("two"));
    let session = json!({"session": {"resume": first["session"]}});
    let mut rpc = product.rpc();
    let holds = product.submit(&mut rpc, "holds", session.clone());
    gate.wait_reached(1);
    let waits = product.submit(&mut rpc, "waits", session.clone());
    let follows = product.submit(&mut rpc, "follows", session);
    let cancelled = rpc.call("run.cancel", &json!({"run": waits}));
    assert_eq!(cancelled["state"], "cancelled");
    gate.release();
    assert_eq!(follow(&mut rpc, &holds).last().unwrap()["content"], "one two");
    assert_eq!(follow(&mut rpc, &follows).last().unwrap()["content"], "echo: follows");
    assert_eq!(product.last_request().user_messages(), ["first", "holds", "follows"]);
}

#[test]
fn ctrl_c_twice_leaves_at_once_and_loses_nothing() {
    let product = Product::start();
    product.model.push(Reply::stream().say("begun ").hang());
    let running = product.ctl().start(["chat", "go", "--jsonl"]);
    let begun = running.wait_stdout("begun ");
    // A daemon that does not answer must not keep anybody.
    product.daemon.process().signal(Signal::SIGSTOP);
    running.signal(Signal::SIGINT);
    running.wait_stderr("cancelling");
    running.signal(Signal::SIGINT);
    let output = running.wait().expect_code(130);
    assert!(output.stdout.contains("runs resume"), "{}", output.stdout);
    product.daemon.process().signal(Signal::SIGCONT);

    let first: serde_json::Value = serde_json::from_str(begun.lines().next().unwrap()).unwrap();
    let run = first["run"].as_str().unwrap();
    let output = product.runs(["attach", run]).expect_code(130);
    assert!(output.stdout.starts_with("begun "), "{}", output.stdout);
    product.model.push(Reply::text("finished"));
    let output = product.runs(["resume", run]).expect_code(0);
    assert_eq!(output.stdout, "finished\n");
    assert_eq!(product.model.user_messages(1), ["go"], "the prompt is not said twice");
}

#[test]
fn a_detached_run_is_attached_to_with_the_same_output_and_code() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::tool("bash", &shell("echo made")));
    product.model.push(Reply::stream().say("one ").wait(&gate).say("two"));
    let output = product.chat(["go", "--detach"]).expect_code(0);
    let run = output.stdout.trim().to_owned();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), (&*format!("{run}\n"), ""));
    gate.wait_reached(1);
    let attached = product.ctl().start(["runs", "attach", &run]);
    attached.wait_stdout("one ");
    gate.release();
    let attached = attached.wait().expect_code(0);

    product.model.push(Reply::tool("bash", &shell("echo made")));
    product.model.push(Reply::chunks(["one ", "two"]));
    let foreground = product.chat(["go"]).expect_code(0);
    assert_eq!((attached.stdout, attached.stderr), (foreground.stdout, foreground.stderr));

    // From the first event, however often, and with the same ending.
    let events = product.runs(["attach", &run, "--jsonl"]).expect_code(0).json_lines();
    assert_eq!((&events[0]["seq"], &events[0]["type"]), (&json!(1), &json!("accepted")));
    assert_eq!(product.runs(["attach", &run[..8], "-q"]).ok(), "one two\n");
    product.model.push(Reply::error(401, "refused", "no").no_cli_retry());
    let failing = product.chat(["go", "--detach"]).ok();
    let failed = product.runs(["attach", failing.trim()]).expect_code(77);
    assert!(failed.stderr.contains("hint: "), "{}", failed.stderr);
}

#[test]
fn runs_are_listed_shown_logged_and_cancelled() {
    let product = Product::start();
    let done = product.chat(["first of all", "--json"]).expect_code(0).json();
    let done = done["run"].as_str().unwrap().to_owned();
    product.model.push(Reply::stream().say("begun").hang());
    let hanging = product.chat(["second", "--detach"]).ok().trim().to_owned();
    product.model.wait_for_requests(2);

    let list = product.runs(["list", "--json"]).expect_code(0).json();
    let listed: Vec<_> = list["runs"].as_array().unwrap().iter().collect();
    let brief = |index: usize| (&listed[index]["run"], &listed[index]["title"]);
    assert_eq!(brief(0), (&json!(hanging), &json!("second")));
    assert_eq!(brief(1), (&json!(done), &json!("first of all")));
    let active = product.runs(["list", "--active"]).ok();
    assert!(active.contains(&hanging) && !active.contains(&done), "{active}");

    let cancelled = product.runs(["cancel", &hanging]).ok();
    assert_eq!(cancelled, format!("{hanging} cancelled\n"));
    assert_eq!(product.runs(["cancel", &hanging]).ok(), cancelled);
    product.model.wait_for_abandoned(1);

    let shown = product.runs(["show", &done]).ok();
    for words in [&done, "done", "first of all", "echo: first of all"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let logs = product.runs(["logs", &done]).ok();
    assert!(logs.lines().count() >= 4 && logs.contains("accepted"), "{logs}");
    let unknown = product.runs(["show", "zzzz9999"]).expect_code(1);
    assert!(unknown.stderr.contains("runs list"), "{}", unknown.stderr);
}

#[test]
fn a_resumed_run_is_a_new_one_in_the_same_session() {
    let product = Product::start();
    let object = product.chat(["remember 7", "--json"]).expect_code(0).json();
    let run = object["run"].as_str().unwrap();
    let output = product.runs(["resume", run, "which number?", "--json"]).expect_code(0);
    let resumed = output.json();
    assert_eq!(resumed["content"], "echo: which number?");
    assert_eq!(resumed["session"], object["session"]);
    assert_ne!(resumed["run"], object["run"]);
    let detail = product.rpc().call("run.get", &json!({"run": resumed["run"]}));
    assert_eq!(detail["summary"]["resumed_from"], object["run"]);
    assert_eq!(product.model.user_messages(1), ["remember 7", "which number?"]);
    let before = product.rpc().call("run.get", &json!({"run": run}));
    assert_eq!(before["summary"]["state"], "done");
}

#[test]
fn a_client_that_dies_ends_its_foreground_run_and_no_other() {
    let product = Product::start();
    product.model.push(Reply::stream().say("begun ").hang());
    product.model.push(Reply::stream().say("begun ").hang());
    let detached = product.chat(["stays", "--detach"]).ok().trim().to_owned();
    product.model.wait_for_requests(1);
    let running = product.ctl().start(["chat", "goes", "--jsonl"]);
    let begun = running.wait_stdout("begun ");
    let first: serde_json::Value = serde_json::from_str(begun.lines().next().unwrap()).unwrap();
    drop(running);
    let events = follow_quietly(&product, first["run"].as_str().unwrap());
    assert_eq!(types(&events).last(), Some(&"cancelled"));
    let detail = product.rpc().call("run.get", &json!({"run": detached}));
    assert_eq!(detail["summary"]["state"], "running");
}

/// Reads a run's events by long poll: a subscription would count as its client.
fn follow_quietly(product: &Product, run: &str) -> Vec<serde_json::Value> {
    let (mut rpc, mut events, mut after) = (product.rpc(), Vec::new(), json!(0));
    loop {
        let params = json!({"run": run, "after": after, "wait_ms": 60_000});
        let page = rpc.call("run.events", &params);
        events.extend(page["events"].as_array().unwrap().iter().cloned());
        if page["ended"] == true {
            return events;
        }
        after = page["next_after"].clone();
    }
}

#[test]
fn watchers_see_the_same_numbers() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::stream().say("one ").wait(&gate).say("two"));
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "go", json!({}));
    gate.wait_reached(1);
    let mut early = product.rpc();
    let watched = early.subscribe("run.watch", &json!({"run": run}));
    gate.release();
    let seen = early.events_to_end(&watched);
    assert_eq!(seen, follow(&mut rpc, &run));
    assert_eq!(of_type(&seen, "done")[0]["content"], "one two");
}
