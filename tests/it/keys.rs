//! A provider's key that only the client has: the daemon dies, and with it what it was told.

use copex_tests::cli::CopilotCli;
use copex_tests::ctl::Ctl;
use copex_tests::daemon::DaemonBuilder;
use copex_tests::model::{API_KEY, ModelServer, RecordedRequest, Reply};
use copex_tests::rpc::Rpc;
use serde_json::{Value, json};

use crate::product::{Product, follow, of_type, types};
use crate::{council, plan};

const NAME: &str = "COPILOT_PROVIDER_API_KEY";

/// A daemon that does not have the key.
fn product() -> Product {
    Product::with(|builder| builder.env(NAME, ""))
}

/// A client that has it.
fn owner(product: &Product) -> Ctl {
    product.ctl().with(|launch| launch.env(NAME, API_KEY))
}

fn detail(rpc: &mut Rpc, run: &str) -> Value {
    rpc.call("run.get", &json!({"run": run}))
}

/// Kills the daemon while the model is asked for the `count`th time, and waits until the run
/// is parked after the restart.
fn parked(product: &mut Product, args: &[&str], count: usize) -> String {
    let run = owner(product).run(args.iter().copied().chain(["--detach"])).ok().trim().to_owned();
    let asked = product.model.wait_for_requests(count);
    assert!(
        asked
            .iter()
            .all(|it| it.headers.get("authorization").is_some_and(|it| it.ends_with(API_KEY)))
    );
    restart(product, &run);
    run
}

fn restart(product: &mut Product, run: &str) {
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let mut rpc = product.rpc();
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    let told = rpc.events_until(&watched, "parked").pop().unwrap();
    assert_eq!(told["needs_key"], NAME, "{told}");
    assert!(told["reason"].as_str().unwrap().contains(NAME), "{told}");
}

/// The key is nowhere but in memory.
fn assert_secret(product: &Product) {
    let mut folders = vec![product.daemon.sandbox().path("")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files += 1;
                let bytes = std::fs::read(entry.path()).unwrap_or_default();
                let found = bytes.windows(API_KEY.len()).any(|it| it == API_KEY.as_bytes());
                assert!(!found, "the key is in {}", entry.path().display());
            }
        }
    }
    assert!(files > 3, "nothing was looked at");
    assert!(!product.daemon.log().contains(API_KEY), "the key is in the log");
}

fn goes_on(
    args: &[&str],
    count: usize,
    before: impl Fn(&RecordedRequest) -> Reply + Send + Sync + 'static,
    after: impl Fn(&RecordedRequest) -> Reply + Send + Sync + 'static,
) -> Vec<Value> {
    let mut product = product();
    product.model.respond(before);
    let run = parked(&mut product, args, count);
    let asked = product.model.requests().len();
    product.model.respond(after);
    // Who does not have it is told so, and nothing is asked without it.
    let told = product.runs(["resume", &run]).expect_code(77);
    assert!(told.stderr.contains(NAME) && told.stderr.contains("runs resume"), "{told:?}");
    assert_eq!(product.model.requests().len(), asked, "nobody is asked without a key");
    let resumed = owner(&product).run(["runs", "resume", &run, "-q"]).expect_code(0);
    assert!(!resumed.stdout.is_empty(), "{resumed:?}");
    let mut rpc = product.rpc();
    let detail = detail(&mut rpc, &run);
    assert_eq!(detail["summary"]["state"], "done", "the same run: {detail}");
    assert_eq!(detail["summary"]["needs_key"], Value::Null, "{detail}");
    let events = follow(&mut rpc, &run);
    assert_secret(&product);
    events
}

#[test]
fn a_chat_says_what_it_waits_for_and_goes_on_where_it_was() {
    let mut product = product();
    product.model.respond(|_| Reply::stream().say("half an ").hang());
    let run = parked(&mut product, &["chat", "tell me"], 1);
    let list = product.runs(["list"]).ok();
    assert!(list.contains("needs_key"), "{list}");
    let why = product.runs(["explain", &run]).ok();
    assert!(why.contains(NAME) && why.contains(&format!("copexctl runs resume {run}")), "{why}");
    let mut rpc = product.rpc();
    let told = rpc.call("run.explain", &json!({"run": run}));
    assert_eq!(told["waits"][0]["kind"], "needs_key", "{told}");
    let shown = detail(&mut rpc, &run);
    assert_eq!(
        (&shown["summary"]["state"], &shown["summary"]["needs_key"]),
        (&json!("parked"), &json!(NAME))
    );
    assert_eq!(shown["secrets"], json!([NAME]), "{shown}");
    let show = product.runs(["show", &run]).ok();
    assert!(show.contains("needs_key") && show.contains("where the key is set"), "{show}");

    // It is in the journal.
    let before = follow_so_far(&mut rpc, &run);
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let mut rpc = product.rpc();
    assert_eq!(detail(&mut rpc, &run)["summary"]["needs_key"], NAME);
    assert_eq!(follow_so_far(&mut rpc, &run).len(), before.len(), "it is not told twice");
    // A key of another name is nobody's, and one that is empty is none.
    for secrets in [json!({"OTHER": "x"}), json!({NAME: ""}), json!({})] {
        let taken = rpc.call("run.offer", &json!({"run": run, "secrets": secrets}));
        assert_eq!(taken["taken"], false, "{taken}");
    }
    assert_eq!(product.model.requests().len(), 1, "nobody is asked without a key");

    // Who follows it and has the key hands it over.
    product.model.respond(|_| Reply::text("a whole answer"));
    let attached = owner(&product).run(["runs", "attach", &run, "-q"]).ok();
    assert_eq!(attached, "a whole answer\n");
    let request = product.last_request();
    assert_eq!(request.user_messages(), ["tell me"], "said once");
    assert!(request.headers.get("authorization").is_some_and(|it| it.ends_with(API_KEY)));
    let events = follow(&mut rpc, &run);
    assert_eq!(of_type(&events, "parked").len(), 1, "{:?}", types(&events));
    let late = rpc.call("run.offer", &json!({"run": run, "secrets": {NAME: API_KEY}}));
    assert_eq!(late["taken"], false, "it is over");
    assert_secret(&product);
}

fn follow_so_far(rpc: &mut Rpc, run: &str) -> Vec<Value> {
    let page = rpc.call("run.events", &json!({"run": run, "after": 0, "limit": 1000}));
    page["events"].as_array().unwrap().clone()
}

#[test]
fn a_client_that_looks_on_hands_it_over_by_itself() {
    let mut product = product();
    product.model.respond(|_| Reply::stream().say("half an ").hang());
    // Who looks on leaves the daemon to us.
    product.daemon.sandbox().write_config("auto_start = false\n");
    let chat = owner(&product).start(["chat", "tell me", "--json"]);
    product.model.wait_for_requests(1);
    let _killed = product.daemon.kill9();
    product.model.respond(|_| Reply::text("a whole answer"));
    product.daemon.restart();
    let output = chat.wait().expect_code(0);
    assert_eq!(output.json()["content"], "a whole answer", "{output:?}");
}

#[test]
fn a_loop_goes_on_in_its_iteration() {
    let second = |request: &RecordedRequest| request.prompt().contains("[Iteration 2 ");
    let events = goes_on(
        &["ralph", "fix it", "-p", "All good", "--verify", "true"],
        2,
        move |request| if second(request) { Reply::hang_before_head() } else { Reply::text("no") },
        |_| Reply::text("<promise>ALL GOOD</promise>"),
    );
    let numbers: Vec<&Value> =
        of_type(&events, "iteration").iter().map(|it| &it["number"]).collect();
    assert_eq!(json!(numbers), json!([1, 2]));
}

#[test]
fn a_plan_goes_on_in_its_steps() {
    const STEPS: &[(&[usize], &str)] = &[(&[], "true"), (&[], "true")];
    let events = goes_on(
        &["plan", "Build it", "-e", "--trust-plan", "--parallel", "2"],
        3,
        |request| match plan::step(request) {
            None => plan::answer(STEPS),
            Some(_) => Reply::hang_before_head(),
        },
        |request| plan::work(request, plan::step(request).unwrap()),
    );
    let done = of_type(&events, "step").into_iter().filter(|step| step["state"] == "done").count();
    assert_eq!(done, 2, "{events:#?}");
}

#[test]
fn a_fleet_goes_on_with_its_tasks() {
    let events = goes_on(
        &["fleet", "Write the docs", "Write the tests"],
        2,
        |_| Reply::hang_before_head(),
        |_| Reply::text("written"),
    );
    let done = of_type(&events, "task").into_iter().filter(|task| task["state"] == "done").count();
    assert_eq!(done, 2, "{events:#?}");
    let words = |event: &&Value| event["code"] == "throttled";
    assert!(!of_type(&events, "warning").iter().any(words), "no model throttled");
}

#[test]
fn a_council_goes_on_with_its_members() {
    let args = council::words(&["a", "b"], ["Which?"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let events = goes_on(&args, 2, |_| Reply::hang_before_head(), council::usual);
    let last = events.last().unwrap();
    assert_eq!(last["council"]["missing"], json!([]), "{last}");
}

#[test]
fn it_is_not_waited_for_for_ever_and_a_cancel_ends_the_wait() {
    let mut product = product();
    product.model.respond(|_| Reply::hang_before_head());
    let run = parked(&mut product, &["chat", "tell me"], 1);
    let _cancelled = product.runs(["cancel", &run]).expect_code(0);
    assert_eq!(detail(&mut product.rpc(), &run)["summary"]["state"], "cancelled");

    let request = product.request(
        "tell me",
        json!({
            "approval": {"ask_timeout_s": 1}, "secrets": {NAME: API_KEY}
        }),
    );
    let mut rpc = product.rpc();
    let run = rpc.call("run.submit", &json!({"request": request}))["run"].take();
    let run = run.as_str().unwrap().to_owned();
    product.model.wait_for_requests(2);
    restart(&mut product, &run);
    let end = follow(&mut product.rpc(), &run).pop().unwrap();
    assert_eq!(
        (&end["type"], &end["error"]["class"]),
        (&json!("blocked"), &json!("auth")),
        "{end}"
    );
    assert!(end["error"]["message"].as_str().unwrap().contains(NAME), "{end}");
    let _blocked = product.runs(["attach", &run, "-q"]).expect_code(77);

    // What it ended with is no reason to be without the key when it is resumed.
    product.model.respond(|_| Reply::text("at last"));
    let resumed = owner(&product).run(["runs", "resume", &run, "-q"]).ok();
    assert_eq!(resumed, "at last\n");
    assert_secret(&product);
}

#[test]
fn secrets_of_servers_are_waited_for_one_after_the_other() {
    let mut product = product();
    product.model.respond(|_| Reply::hang_before_head());
    let server = json!({"command": copex_tests::cli::mcp_everything(),
        "env": {"A": "${env:FIRST_TOKEN}"}});
    let config = json!({"mcpServers": {"everything": server}}).to_string();
    let args = ["chat", "tell me", "--mcp-config", &config, "--detach"];
    let whole = owner(&product).with(|launch| launch.env("FIRST_TOKEN", "sesame-0123456789"));
    let run = whole.run(args).ok().trim().to_owned();
    product.model.wait_for_requests(1);
    restart(&mut product, &run);
    product.model.respond(|_| Reply::text("at last"));
    let mut rpc = product.rpc();
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    let _key = rpc.events_until(&watched, "parked");
    let taken = rpc.call("run.offer", &json!({"run": run, "secrets": {NAME: API_KEY}}));
    assert_eq!(taken["taken"], true, "{taken}");
    let told = rpc.events_until(&watched, "parked").pop().unwrap();
    assert_eq!(told["needs_key"], "FIRST_TOKEN", "{told}");
    assert_eq!(whole.run(["runs", "attach", &run, "-q"]).ok(), "at last\n");
}

#[test]
fn a_run_that_never_had_it_does_not_wait() {
    let product = product();
    let request = product.request("tell me", json!({}));
    let mut rpc = product.rpc();
    let run = rpc.call("run.submit", &json!({"request": request}))["run"].take();
    let end = follow(&mut rpc, run.as_str().unwrap()).pop().unwrap();
    assert_eq!(
        (&end["type"], &end["error"]["class"]),
        (&json!("blocked"), &json!("auth")),
        "{end}"
    );
}

#[test]
fn a_daemon_that_has_it_when_it_starts_next_goes_on() {
    let mut product = product();
    product.model.respond(|_| Reply::hang_before_head());
    let run = parked(&mut product, &["chat", "tell me"], 1);
    product.model.respond(|_| Reply::text("at last"));
    product.daemon.sandbox_mut().set(NAME, API_KEY);
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let end = follow(&mut product.rpc(), &run).pop().unwrap();
    assert_eq!(end["content"], "at last", "{end}");
}

#[test]
fn two_who_bring_it_at_once_are_both_heard_and_the_turn_goes_on_once() {
    let mut product = product();
    product.model.respond(|_| Reply::hang_before_head());
    let run = parked(&mut product, &["chat", "tell me"], 1);
    product.model.respond(|_| Reply::text("at last"));
    let offer = json!({"run": run, "secrets": {NAME: API_KEY}});
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| product.rpc().call("run.offer", &offer));
        }
    });
    let events = follow(&mut product.rpc(), &run);
    assert_eq!(events.last().unwrap()["content"], "at last", "{events:#?}");
    assert_eq!(product.model.requests().len(), 2, "one that broke off, and one");
    assert_eq!(of_type(&events, "parked").len(), 1, "{:?}", types(&events));
}

#[test]
fn a_wrong_key_blocks_the_run_and_the_right_one_lets_it_be_resumed() {
    let mut product = product();
    product.model.respond(|_| Reply::hang_before_head());
    let run = parked(&mut product, &["chat", "tell me"], 1);
    product.model.respond(|request| {
        let key = request.headers.get("authorization").cloned().unwrap_or_default();
        if key.ends_with(API_KEY) {
            Reply::text("at last")
        } else {
            Reply::error(401, "invalid_api_key", &format!("no such key: {key}"))
        }
    });
    let wrong = "wrong-0123456789-key";
    let taken = product.rpc().call("run.offer", &json!({"run": run, "secrets": {NAME: wrong}}));
    assert_eq!(taken["taken"], true, "{taken}");
    let end = follow(&mut product.rpc(), &run).pop().unwrap();
    assert_eq!((&end["type"], &end["error"]["class"]), (&json!("blocked"), &json!("auth")));
    assert!(!end.to_string().contains(wrong), "{end}");
    assert!(!product.daemon.log().contains(wrong));
    assert_eq!(owner(&product).run(["runs", "resume", &run, "-q"]).ok(), "at last\n");
}

#[test]
fn a_daemon_that_dies_again_right_after_it_got_it_waits_anew() {
    let mut product = product();
    product.model.respond(|_| Reply::hang_before_head());
    let run = parked(&mut product, &["chat", "tell me"], 1);
    for _ in 0..3 {
        // Who comes while it looks for its key again is not needed.
        product.rpc().call("run.offer", &json!({"run": run, "secrets": {NAME: API_KEY}}));
        restart(&mut product, &run);
    }
    product.model.respond(|_| Reply::text("at last"));
    assert_eq!(owner(&product).run(["runs", "attach", &run, "-q"]).ok(), "at last\n");
    assert_secret(&product);
}

/// Some servers repeat what they were asked with, and answer with a page.
#[test]
fn a_server_that_repeats_the_key_is_not_quoted() {
    let product = product();
    let words = format!("no such key: {API_KEY}. {}", "Read the manual. ".repeat(20_000));
    product.model.respond(move |_| Reply::error(401, "invalid_api_key", &words));
    for way in [&[][..], &["--use-cli"]] {
        let run = owner(&product).run(["chat", "go", "--detach"].iter().chain(way)).ok();
        let events = follow(&mut product.rpc(), run.trim());
        assert_eq!(events.last().unwrap()["type"], "blocked", "{way:?}: {:?}", types(&events));
        for event in events.iter().map(Value::to_string) {
            assert!(!event.contains(API_KEY), "{way:?}: {event}");
            assert!(event.len() < 16 * 1024, "{way:?}: {} bytes: {:.200}", event.len(), event);
        }
        assert!(!product.daemon.log().contains(API_KEY), "{way:?}");
        if way.is_empty() {
            assert_secret(&product);
        }
    }
}

#[test]
fn a_secret_that_is_written_out_is_waited_for_by_its_own_name() {
    let mut product = Product::start();
    product.model.respond(|_| Reply::hang_before_head());
    let server = json!({"command": copex_tests::cli::mcp_everything(),
        "env": {"MY_TOKEN": "sesame-0123456789"}});
    let config = json!({"mcpServers": {"everything": server}}).to_string();
    let args = ["chat", "tell me", "--mcp-config", &config, "--detach"];
    let run = product.ctl().run(args).ok().trim().to_owned();
    product.model.wait_for_requests(1);
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let mut rpc = product.rpc();
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    let told = rpc.events_until(&watched, "parked").pop().unwrap();
    let name = "COPEX_MCP_EVERYTHING_MY_TOKEN";
    assert_eq!(told["needs_key"], name, "{told}");
    product.model.respond(|_| Reply::text("at last"));
    let whole = product.ctl().with(|launch| launch.env(name, "sesame-0123456789"));
    assert_eq!(whole.run(["runs", "resume", &run, "-q"]).ok(), "at last\n");
}

#[test]
fn a_sign_in_that_only_the_client_had_is_waited_for() {
    const TOKEN: &str = "COPILOT_GITHUB_TOKEN";
    let model = ModelServer::start();
    model.respond(|_| Reply::hang_before_head());
    let mut sandbox = copex_tests::sandbox::Sandbox::with_cli(CopilotCli::install());
    let mut token = String::new();
    for (name, value) in model.signed_in_env() {
        if name == TOKEN {
            token = value;
        } else {
            sandbox.set(&name, value);
        }
    }
    let mut daemon = DaemonBuilder::new(copex_tests::bins!()).sandbox(sandbox).start();
    let whole = |daemon: &copex_tests::daemon::TestDaemon| {
        daemon.ctl().with(|launch| launch.env(TOKEN, &token))
    };
    // One that may be answered by the demonstration model was not, and is not now.
    for more in [&[][..], &["--or-demo"]] {
        model.respond(|_| Reply::hang_before_head());
        let asked = model.requests().len();
        let args = ["chat", "tell me", "--detach"].iter().chain(more);
        let run = whole(&daemon).run(args).ok().trim().to_owned();
        model.wait_for_requests(asked + 1);
        let _killed = daemon.kill9();
        daemon.restart();
        let mut rpc = daemon.rpc();
        let watched = rpc.subscribe("run.watch", &json!({"run": run}));
        let told = rpc.events_until(&watched, "parked").pop().unwrap();
        assert_eq!(told["needs_key"], TOKEN, "{told}");
        model.respond(|_| Reply::text("at last"));
        let end = whole(&daemon).run(["runs", "attach", &run, "-q"]).ok();
        assert_eq!(end, "at last\n");
        assert!(!daemon.log().contains(&token));
    }
}
