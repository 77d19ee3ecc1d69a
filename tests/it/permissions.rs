//! Who may do what: the policy, the questions, their answers, and what outlives a crash.

use copex_tests::model::{Gate, ModelServer, Reply};
use copex_tests::rpc::{Rpc, Subscription};
use serde_json::{Value, json};

use crate::product::{Product, follow, of_type, shell, types};

/// A run under way, with the connection that follows it.
struct Asked {
    rpc: Rpc,
    watched: Subscription,
    ask: Value,
}

impl Asked {
    /// The model wants one tool; the run asks for it.
    fn about(product: &Product, tool: &str, arguments: &Value, more: Value) -> Self {
        product.model.push(Reply::tool(tool, arguments));
        product.model.respond(|_| Reply::text("the end"));
        let mut rpc = product.rpc();
        let params = json!({"request": product.request("go", more)});
        let watched = rpc.subscribe("run.start", &params);
        let ask = rpc.events_until(&watched, "ask").pop().unwrap();
        Self { rpc, watched, ask }
    }

    fn answer(&mut self, answer: &Value) -> Value {
        self.rpc.call("run.answer", &json!({"ask": self.ask["ask"], "answer": answer}))
    }

    fn rest(&mut self) -> Vec<Value> {
        self.rpc.events_to_end(&self.watched)
    }
}

/// What the agent was told of its last tool.
fn told(model: &ModelServer) -> String {
    let request = model.requests().pop().unwrap();
    request.tool_results().pop().unwrap_or_else(|| panic!("no result in {:#?}", request.messages()))
}

/// Runs one tool call to the run's end; the events.
fn call(product: &Product, tool: &str, arguments: &Value, args: &[&str]) -> Vec<Value> {
    product.model.push(Reply::tool(tool, arguments));
    product.model.push(Reply::text("the end"));
    let output = product.ctl().run(["chat", "go", "--jsonl"].iter().chain(args));
    output.expect_code(0).json_lines()
}

#[test]
fn work_inside_the_folder_needs_nobody() {
    let product = Product::start();
    let work = product.daemon.sandbox().work();
    let (made, note) = (work.join("made.txt"), work.join("note.txt"));
    let events = call(&product, "bash", &shell("echo made > made.txt && cat made.txt"), &[]);
    assert_eq!(of_type(&events, "ask").len(), 0, "{events:#?}");
    assert_eq!(std::fs::read_to_string(&made).unwrap(), "made\n");
    let events = call(&product, "create", &json!({"path": note, "file_text": "a note"}), &[]);
    assert_eq!(of_type(&events, "ask").len(), 0, "{events:#?}");
    assert_eq!(std::fs::read_to_string(&note).unwrap(), "a note");
    let events = call(&product, "view", &json!({"path": note}), &[]);
    assert_eq!(of_type(&events, "ask").len(), 0, "{events:#?}");
    assert!(told(&product.model).contains("a note"));
}

#[test]
fn what_reaches_outside_asks_and_a_no_reaches_the_agent() {
    let product = Product::start();
    let outside = product.daemon.sandbox().write("home/secret.txt", "do not tell");
    let target = product.daemon.sandbox().path("home/new.txt");
    let table = [
        ("view", json!({"path": outside}), "secret.txt"),
        ("create", json!({"path": target, "file_text": "x"}), "new.txt"),
        ("bash", shell("sudo true"), "sudo true"),
        ("bash", shell("echo x; git push origin main"), "git push"),
    ];
    for (tool, arguments, about) in table {
        let mut asked = Asked::about(&product, tool, &arguments, json!({}));
        let shown = format!("{} {}", asked.ask["title"], asked.ask["detail"]);
        assert!(shown.contains(about), "{tool}: {}", asked.ask);
        assert_eq!(asked.ask["kind"], "permission", "{tool}");
        assert!(asked.ask["expires_at"].is_u64(), "{tool}");
        let answer = asked.answer(&json!({"kind": "deny", "feedback": "stay at home"}));
        assert_eq!((&answer["accepted"], &answer["by"]), (&json!(true), &json!("client")));
        let rest = asked.rest();
        assert_eq!(of_type(&rest, "answered")[0]["answer"]["feedback"], "stay at home");
        assert_eq!(rest.last().unwrap()["content"], "the end", "{tool}");
        let told = told(&product.model);
        assert!(told.contains("stay at home") && !told.contains("do not tell"), "{tool}: {told}");
    }
    assert!(!target.exists());
}

#[test]
fn the_first_answer_counts_and_a_second_gets_it() {
    let product = Product::start();
    let outside = product.daemon.sandbox().write("home/secret.txt", "told after all");
    let arguments = json!({"path": outside});
    let mut asked = Asked::about(&product, "view", &arguments, json!({}));
    let run = asked.ask["run"].clone();
    let state = product.rpc().call("run.get", &json!({"run": run}));
    assert_eq!(state["summary"]["state"], "asking", "{state}");
    assert_eq!(state["asks"][0], asked.ask["ask"], "{state}");

    let ask = asked.ask["ask"].as_str().unwrap().to_owned();
    let answered = product.runs(["answer", &ask, "allow"]).ok();
    assert_eq!(answered, format!("{ask} answered\n"));
    let second = asked.answer(&json!({"kind": "deny"}));
    assert_eq!(second["accepted"], false, "{second}");
    assert_eq!(second["answer"]["kind"], "allow", "{second}");
    let late = product.runs(["answer", &ask, "deny"]).expect_code(1);
    assert!(late.stderr.contains("answered before"), "{}", late.stderr);
    let events = asked.rest();
    assert_eq!(of_type(&events, "answered").len(), 1, "{events:?}");
    assert!(told(&product.model).contains("told after all"));
    let detail = product.rpc().call("run.get", &json!({"run": run}));
    assert!(detail.get("asks").is_none(), "{detail}");
    let unknown = json!({"ask": "no-such-ask", "answer": {"kind": "allow"}});
    assert_eq!(product.rpc().call_err("run.answer", &unknown)["data"]["class"], "not_found");
}

#[test]
fn a_question_that_nobody_answers_counts_as_denied() {
    let product = Product::start();
    let more = json!({"approval": {"mode": "ask", "ask_timeout_s": 1}});
    let mut asked = Asked::about(&product, "bash", &shell("echo x > made.txt"), more);
    let rest = asked.rest();
    let answered = of_type(&rest, "answered")[0];
    assert_eq!((&answered["by"], &answered["answer"]["kind"]), (&json!("timeout"), &json!("deny")));
    assert_eq!(rest.last().unwrap()["type"], "done", "the agent goes on without it");
    assert!(told(&product.model).contains("nobody answered"), "{}", told(&product.model));
    assert!(!product.daemon.sandbox().work().join("made.txt").exists());
}

#[test]
fn modes_and_patterns_decide_and_deny_wins() {
    let product = Product::start();
    let made = product.daemon.sandbox().work().join("made.txt");
    let touch = shell("touch made.txt");
    let table: [(&[&str], bool); 8] = [
        (&["--approval", "auto"], true),
        (&["--auto-approve"], true),
        (&["--approval", "deny"], false),
        (&["--dry-run"], false),
        (&["--approval", "ask", "--allow-tool", "shell(touch)"], true),
        (&["--approval", "deny", "--allow-tool", "shell(touch:*)"], true),
        (&["--allow-tool", "shell", "--deny-tool", "shell(touch)"], false),
        (&["--approval", "auto", "--deny-tool", "shell"], false),
    ];
    for (args, allowed) in table {
        let _absent = std::fs::remove_file(&made);
        let events = call(&product, "bash", &touch, args);
        assert_eq!(made.exists(), allowed, "{args:?}: {events:#?}");
        assert_eq!(of_type(&events, "ask").len(), 0, "{args:?}");
        let warned = of_type(&events, "warning").iter().any(|it| it["code"] == "tool_denied");
        assert_eq!(warned, !allowed, "{args:?}: {events:#?}");
    }
    // `auto` goes outside as well.
    let outside = product.daemon.sandbox().path("home/new.txt");
    let arguments = json!({"path": outside, "file_text": "x"});
    let events = call(&product, "create", &arguments, &["--allow-all"]);
    assert!(outside.exists(), "{events:#?}");
    let bad = product.chat(["go", "--deny-tool", "shell(touch"]).expect_code(2);
    assert!(bad.stderr.contains("shell(touch"), "{}", bad.stderr);
}

#[test]
fn ask_mode_asks_for_a_command_and_an_always_holds_for_the_run() {
    let product = Product::start();
    product.model.push(Reply::tool("bash", &shell("echo one >> made.txt")));
    let more = json!({"approval": {"mode": "ask"}});
    let mut asked = Asked::about(&product, "bash", &shell("echo one >> made.txt"), more.clone());
    asked.answer(&json!({"kind": "allow_always"}));
    let rest = asked.rest();
    assert_eq!(of_type(&rest, "ask").len(), 0, "the second needs nobody: {rest:#?}");
    let made = product.daemon.sandbox().work().join("made.txt");
    assert_eq!(std::fs::read_to_string(&made).unwrap(), "one\none\n");
    // Another run has not been told.
    let mut asked = Asked::about(&product, "bash", &shell("echo one >> made.txt"), more);
    asked.answer(&json!({"kind": "deny"}));
    asked.rest();
    assert_eq!(std::fs::read_to_string(&made).unwrap(), "one\none\n");
}

#[test]
fn a_person_at_a_terminal_is_asked_there() {
    let product = Product::start();
    let made = product.daemon.sandbox().work().join("made.txt");
    let again = shell("echo one >> made.txt");
    for (keys, lines) in [("n not now\n", 0), ("maybe\ny\n", 1), ("a\n", 3)] {
        // With `a` the second call of the turn is not asked for.
        let calls = if keys == "a\n" { 2 } else { 1 };
        for _ in 0..calls {
            product.model.push(Reply::tool("bash", &again));
        }
        product.model.push(Reply::text("the end"));
        let args = ["chat", "go", "--approval", "ask"];
        let mut running = product.ctl().start_on_one_terminal(args);
        running.wait_stdout("[y]es / [n]o / [a]lways");
        running.type_in(keys);
        let output = running.wait().expect_code(0);
        assert!(output.stdout.contains("the end"), "{keys}: {}", output.stdout);
        let text = std::fs::read_to_string(&made).unwrap_or_default();
        assert_eq!(text, "one\n".repeat(lines), "{keys}");
        if lines == 0 {
            assert!(told(&product.model).contains("not now"), "{}", told(&product.model));
        }
    }
}

#[test]
fn a_change_that_is_asked_about_is_coloured_where_there_are_colours() {
    let product = Product::start();
    let made = product.daemon.sandbox().write("work/made.txt", "one\n");
    let arguments = json!({ "path": made, "old_str": "one", "new_str": "two" });
    let coloured = "\x1b[31m-one\x1b[0m\r\n\x1b[32m+two\x1b[0m";
    for (flag, env) in [("--bell", None), ("--screen-reader", None), ("--bell", Some("NO_COLOR"))] {
        product.model.push(Reply::tool("edit", &arguments));
        product.model.push(Reply::text("the end"));
        let ctl = product.ctl().with(|launch| match env {
            Some(name) => launch.env(name, "1"),
            None => launch,
        });
        let args = ["chat", "go", "--approval", "ask", flag];
        let mut running = ctl.start_on_one_terminal(args);
        let asked = running.wait_stdout("[y]es / [n]o / [a]lways");
        let wanted = flag == "--bell" && env.is_none();
        assert_eq!(asked.contains(coloured), wanted, "{flag} {env:?}: {asked:?}");
        assert_eq!(asked.contains("\n-one\r\n+two\r\n"), !wanted, "{flag} {env:?}: {asked:?}");
        running.type_in("n\n");
        let _ended = running.wait().expect_code(0);
    }
}

#[test]
fn what_was_typed_before_a_question_does_not_answer_it() {
    let (product, gate) = (Product::start(), Gate::new());
    let tool = ("bash", shell("echo one >> made.txt"));
    product.model.push(Reply::stream().say("begun and ").wait(&gate).call(tool.0, &tool.1));
    product.model.push(Reply::text("the end"));
    let args = ["chat", "go", "--approval", "ask"];
    let mut running = product.ctl().start_on_one_terminal(args);
    running.wait_stdout("begun");
    running.type_in("yes\n");
    gate.open();
    running.wait_stdout("[y]es / [n]o / [a]lways");
    running.type_in("no, not that\n");
    assert!(running.wait().ok().contains("the end"));
    assert!(told(&product.model).contains("not that"), "{}", told(&product.model));
    assert!(!product.daemon.sandbox().work().join("made.txt").exists());
}

#[test]
fn an_answer_elsewhere_is_seen_by_everybody_who_watches() {
    let product = Product::start();
    product.model.push(Reply::tool("bash", &shell("echo one >> made.txt")));
    product.model.push(Reply::text("the end"));
    let args = ["chat", "go", "--approval", "ask"];
    let person = product.ctl().start_on_one_terminal(args);
    person.wait_stdout("[y]es / [n]o / [a]lways");
    let list = product.runs(["list", "--state", "asking", "--json"]).expect_code(0).json();
    let run = list["runs"][0]["run"].as_str().unwrap();
    let watcher = product.ctl().start(["runs", "attach", run]);
    let noted = watcher.wait_stderr("copexctl inbox answer ");
    let ask = noted.split("inbox answer ").nth(1).unwrap().split(' ').next().unwrap();
    let _answered = product.runs(["answer", ask, "allow"]).expect_code(0);
    person.wait_stdout("answered elsewhere");
    assert!(person.wait().ok().contains("the end"));
    assert_eq!(watcher.wait().ok(), "the end\n");
}

#[test]
fn a_question_outlives_a_killed_daemon_and_its_tool_runs_once() {
    let mut product = Product::start();
    let more = json!({"approval": {"mode": "ask"}});
    let asked = Asked::about(&product, "bash", &shell("echo once >> made.txt"), more);
    // Where the session had not reached the disk yet, its turn begins anew.
    product.model.respond(|request| {
        if request.tool_results().is_empty() {
            return Reply::tool("bash", &shell("echo once >> made.txt"));
        }
        Reply::text("the end")
    });
    let (run, ask) = (asked.ask["run"].clone(), asked.ask["ask"].clone());
    let _killed = product.daemon.kill9();
    product.daemon.restart();

    let mut rpc = product.rpc();
    let detail = rpc.call("run.get", &json!({"run": run}));
    assert_eq!(detail["asks"], json!([ask]), "{detail}");
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    let before = rpc.events_until(&watched, "ask");
    assert_eq!(before.last().unwrap()["ask"], ask, "{before:#?}");
    let answer = rpc.call("run.answer", &json!({"ask": ask, "answer": {"kind": "allow"}}));
    assert_eq!(answer["accepted"], true, "{answer}");
    let rest = rpc.events_to_end(&watched);
    assert_eq!(rest.last().unwrap()["content"], "the end", "{rest:#?}");
    assert_eq!(of_type(&rest, "ask").len(), 0, "nobody is asked again: {:?}", types(&rest));
    let made = product.daemon.sandbox().work().join("made.txt");
    let text = std::fs::read_to_string(made).unwrap_or_default();
    assert_eq!(text, "once\n", "{rest:#?}\n{}", product.daemon.log());
    assert_eq!(product.last_request().user_messages(), ["go"]);
    assert_eq!(follow(&mut rpc, run.as_str().unwrap()).len(), before.len() + rest.len());
}
