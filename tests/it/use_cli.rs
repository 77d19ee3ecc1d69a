//! `--use-cli`: one Copilot CLI process per turn, as a user meets it.

use copex_tests::model::{Gate, ModelServer, Reply};
use copex_tests::process::marked;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::product::{Product, follow, of_type, shell, types};

/// The processes of a turn.
fn processes(product: &Product) -> Vec<Pid> {
    let all = marked(product.daemon.sandbox().marker());
    let mine = all.into_iter().filter(|(_, line)| line.contains("--usage-output-file"));
    mine.map(|(pid, _)| pid).collect()
}

/// A pipe that says when a tool is at work: reading it waits for a line.
fn begun(product: &Product) -> std::path::PathBuf {
    let path = product.daemon.sandbox().work().join("begun");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    path
}

fn codes(events: &[Value]) -> Vec<&str> {
    of_type(events, "warning").iter().filter_map(|event| event["code"].as_str()).collect()
}

#[test]
fn a_chat_is_answered_without_any_runtime_and_tells_what_it_cost() {
    let product = Product::start();
    product.model.push(Reply::chunks(["the ", "answer"]));
    let object = product.chat(["go", "--use-cli", "--json"]).expect_code(0).json();
    assert_eq!(object["content"], "the answer", "{object}");
    assert_eq!(object["usage"]["input_tokens"], 11, "{object}");
    assert_eq!(object["usage"]["output_tokens"], 7, "{object}");
    assert_eq!(object["model"], "scripted-1", "{object}");
    assert!(object["session"].is_string() && object["run"].is_string(), "{object}");
    assert_eq!(object["warnings"][0]["code"], "asks_denied", "{object}");
    let pool = product.rpc().call("pool.status", &json!({}));
    assert_eq!(pool["runtimes"], json!([]), "nothing is kept warm for it");
    assert_eq!(processes(&product), [], "nothing of it runs between two turns");

    // The same by the settings; and the pieces are told while they come.
    product.daemon.sandbox().write_config("use_cli = true\n");
    product.model.push(Reply::chunks(["one ", "two ", "three"]));
    let events = product.chat(["go", "--jsonl"]).expect_code(0).json_lines();
    assert_eq!(of_type(&events, "attempt")[0]["backend"], "cli", "{events:#?}");
    assert!(types(&events).contains(&"message_delta"), "{:?}", types(&events));
    product.model.push(Reply::text("plain"));
    assert_eq!(product.chat(["go", "--no-stream"]).ok(), "plain\n");
}

#[test]
fn a_prompt_of_two_megabytes_arrives_whole() {
    let product = Product::start();
    let prompt = "word ".repeat(420_000);
    let ctl = product.ctl().stdin(prompt.as_bytes());
    // As long as the CLI knows that the model takes it.
    let args = ["chat", "--use-cli", "-q", "--context-budget", "2000000"];
    product.model.push(Reply::text("read"));
    assert_eq!(ctl.run(args).ok(), "read\n");
    let heard = product.last_request().prompt();
    assert_eq!(heard.trim().len(), prompt.trim().len());
    assert_eq!(product.model.requests().len(), 1);
}

#[test]
fn a_conversation_goes_on_whichever_way_it_is_run() {
    let product = Product::start();
    let session = |args: &[&str]| {
        let output = product.ctl().run(["chat", "--json"].iter().chain(args)).expect_code(0);
        output.json()["session"].as_str().unwrap().to_owned()
    };
    let first = session(&["one", "--use-cli"]);
    assert_eq!(session(&["two", "--use-cli", "--continue"]), first);
    assert_eq!(session(&["three", "--resume", &first]), first);
    assert_eq!(session(&["four", "--use-cli", "--resume", &first]), first);
    assert_eq!(product.last_request().user_messages(), ["one", "two", "three", "four"]);
    assert_eq!(product.model.requests().len(), 4);

    let unknown = "01234567-89ab-4cde-8f01-23456789abcd";
    let output = product.chat(["go", "--use-cli", "--resume", unknown]).expect_code(1);
    assert!(output.stderr.contains(unknown), "{}", output.stderr);
}

#[test]
fn tools_are_allowed_by_the_runs_rules_and_what_would_ask_is_denied() {
    let product = Product::start();
    let outside = product.daemon.sandbox().path("home/outside.txt");
    let outside = format!("touch {}", outside.display());
    let done = |command: &str, args: &[&str]| {
        product.model.push(Reply::tool("bash", &shell(command)));
        product.model.push(Reply::text("the end"));
        let base = ["chat", "go", "--use-cli", "--jsonl"];
        let events = product.ctl().run(base.iter().chain(args)).expect_code(0).json_lines();
        let ends = of_type(&events, "tool_end");
        assert_eq!(ends.len(), 1, "{events:#?}");
        assert!(!types(&events).contains(&"ask"), "{:?}", types(&events));
        ends[0]["success"].as_bool().unwrap()
    };
    let table: [(&str, &[&str], bool); 12] = [
        ("touch inside.txt", &[], true),
        (&outside, &[], false),
        ("git push --dry-run", &[], false),
        ("true && sudo -n true", &[], false),
        ("touch inside.txt", &["--deny-tool", "shell(touch)"], false),
        ("touch inside.txt", &["--approval", "ask"], false),
        ("touch inside.txt", &["--approval", "ask", "--allow-tool", "shell(touch)"], true),
        ("ls", &["--approval", "ask"], false),
        ("touch a.txt && rm a.txt", &["--approval", "ask", "--allow-tool", "shell(touch)"], false),
        ("touch inside.txt", &["--approval", "deny"], false),
        (&outside, &["--approval", "auto"], true),
        (&outside, &["--approval", "auto", "--deny-tool", "shell(touch)"], false),
    ];
    for (command, args, expected) in table {
        assert_eq!(done(command, args), expected, "{command} {args:?}");
    }

    // A path that is denied denies its kind, aloud.
    let arguments = json!({"path": product.daemon.sandbox().work().join("x"), "file_text": "x"});
    product.model.push(Reply::tool("create", &arguments));
    product.model.push(Reply::text("the end"));
    let args = ["go", "--use-cli", "--jsonl", "--deny-tool", "write(secrets)"];
    let events = product.chat(args).expect_code(0).json_lines();
    assert_eq!(codes(&events), ["asks_denied", "deny_widened"], "{events:#?}");
    assert_eq!(of_type(&events, "tool_end")[0]["success"], false);
}

#[test]
fn an_environment_that_allows_everything_does_not_count() {
    let product = Product::with(|builder| builder.env("COPILOT_ALLOW_ALL", "true"));
    product.model.push(Reply::tool("bash", &shell("touch inside.txt")));
    product.model.push(Reply::text("the end"));
    let args = ["go", "--use-cli", "--jsonl", "--approval", "ask"];
    let events = product.chat(args).expect_code(0).json_lines();
    assert_eq!(of_type(&events, "tool_end")[0]["success"], false, "{events:#?}");
}

#[test]
fn failures_have_the_class_and_the_exit_code_of_any_other_run() {
    let product = Product::start();
    let table = [(400, "client", 1), (401, "auth", 77), (429, "rate_limit", 5), (503, "server", 1)];
    for (status, class, code) in table {
        product.model.push(Reply::error(status, "scripted", "no").no_cli_retry());
        let object = product.chat(["go", "--use-cli", "--json"]).expect_code(code).json();
        assert_eq!(object["error"]["class"], class, "{status}: {object}");
    }
    assert_eq!(product.model.requests().len(), table.len(), "each is asked once");
    let object = product.chat(["go", "--use-cli", "--json", "--demo"]).expect_code(2).json();
    assert_eq!(object["error"]["class"], "usage", "{object}");
}

#[test]
fn nobody_signed_in_is_blocked() {
    let model = ModelServer::start();
    let mut builder = copex_tests::daemon::TestDaemon::builder(copex_tests::bins!()).model(&model);
    for (name, _) in model.provider_env() {
        builder = builder.env(&name, "");
    }
    // As when there is no network: whatever it tries, it is refused at once.
    builder = builder.env("COPILOT_DEBUG_GITHUB_API_URL", "http://127.0.0.1:1");
    let daemon = builder.start();
    let output = daemon.ctl().run(["chat", "go", "--use-cli", "--json"]).expect_code(77);
    assert_eq!(output.json()["error"]["class"], "auth", "{output:?}");
    assert!(output.json()["error"]["hint"].as_str().unwrap().contains("copexctl login"));
}

#[test]
fn the_agent_is_given_the_same_tools_skills_words_and_effort() {
    let config = "[provider]\nreasoning_efforts = [\"low\", \"medium\"]\n";
    let product = Product::with(|builder| builder.config(config));
    let sandbox = product.daemon.sandbox();
    let head = "---\nname: tide-tables\ndescription: Knows the tide by heart.\n---\n";
    sandbox.write("elsewhere/tide-tables/SKILL.md", &format!("{head}The tide.\n"));
    let folder = sandbox.path("elsewhere").display().to_string();
    let asked = |args: &[&str]| {
        let base = ["chat", "go", "--use-cli"];
        let _answer = product.ctl().run(base.iter().chain(args)).expect_code(0);
        product.last_request()
    };
    let request = asked(&["-r", "medium", "-S", &folder, "--system", "Answer in verse."]);
    assert_eq!(request.reasoning_effort(), Some("medium"));
    assert!(request.body.to_string().contains("Knows the tide by heart"));
    assert!(request.system_message().contains("Answer in verse."));
    let request = asked(&["--available-tools", "bash,view", "--excluded-tools", "bash"]);
    assert_eq!(request.tools(), ["view"], "excluded wins");

    let calls = sandbox.path("calls.txt");
    let script = sandbox.write("mcp_server.py", include_str!("mcp_server.py"));
    let server = json!({"command": "python3", "args": [script, calls]});
    let config = json!({"mcpServers": {"adder": server}}).to_string();
    let call = |args: &[&str]| {
        product.model.push(Reply::tool("adder-add", &json!({"a": 20, "b": 22})));
        product.model.push(Reply::text("the end"));
        let _told = asked(&[&["--mcp-config", &config], args].concat());
        std::fs::read_to_string(&calls).unwrap_or_default().lines().count()
    };
    assert_eq!(call(&[]), 0, "nobody allowed it, and nobody can be asked");
    assert_eq!(call(&["--allow-tool", "adder(add)"]), 1);
}

#[test]
fn a_cancelled_turn_leaves_no_process_and_a_session_that_goes_on() {
    let product = Product::start();
    let begun = begun(&product);
    product.model.push(Reply::tool("bash", &shell("echo > begun; sleep 600")));
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "go", json!({"use_cli": true}));
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    let begins = rpc.events_until(&watched, "tool_start");
    let session = of_type(&begins, "attempt")[0]["session"].as_str().unwrap().to_owned();
    // The tool is at work: it wrote into its pipe.
    let _line = std::fs::read(begun).unwrap();
    let _cancelled = rpc.call("run.cancel", &json!({"run": run}));
    let events = rpc.events_to_end(&watched);
    assert_eq!(types(&events).last(), Some(&"cancelled"), "{events:#?}");
    product.model.push(Reply::text("here again"));
    let args = ["and now?", "--use-cli", "--resume", &session];
    assert_eq!(product.chat(args).ok(), "here again\n");
    let left = marked(product.daemon.sandbox().marker());
    assert!(!left.iter().any(|(_, line)| line.contains("sleep 600")), "{left:?}");
    assert_eq!(processes(&product), []);
}

#[test]
fn a_process_that_dies_in_a_tool_fails_its_run_and_the_tool_is_not_run_again() {
    let product = Product::start();
    let begun = begun(&product);
    let command = "echo ran >> ran.txt; echo > begun; sleep 600";
    product.model.push(Reply::tool("bash", &shell(command)));
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "go", json!({"use_cli": true}));
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    rpc.events_until(&watched, "tool_start");
    let _line = std::fs::read(begun).unwrap();
    let ran = product.daemon.sandbox().work().join("ran.txt");
    for pid in processes(&product) {
        kill(pid, Signal::SIGKILL).unwrap();
    }
    let events = rpc.events_to_end(&watched);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "failed", "{events:#?}");
    let words = last["error"]["message"].as_str().unwrap();
    assert!(words.contains("in the middle of the turn"), "{last}");
    assert_eq!(std::fs::read_to_string(&ran).unwrap(), "ran\n");
    assert_eq!(product.model.requests().len(), 1, "nothing is asked twice");
    let left = marked(product.daemon.sandbox().marker());
    assert!(!left.iter().any(|(_, line)| line.contains("sleep 600")), "{left:?}");
}

#[test]
fn an_answer_that_came_while_the_daemon_was_dead_is_taken() {
    let (mut product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::stream().say("half ").wait(&gate).say("an answer"));
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "go", json!({"use_cli": true}));
    gate.wait_reached(1);
    let _killed = product.daemon.kill9();
    gate.open();
    product.model.wait_for_completed(1);
    product.daemon.restart();
    let events = follow(&mut product.rpc(), &run);
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["content"]), (&json!("done"), &json!("half an answer")));
    assert_eq!(product.model.requests().len(), 1, "the prompt is sent once");
}

#[test]
fn a_turn_that_died_with_the_daemon_says_that_it_cannot_be_finished() {
    let (mut product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::stream().say("half ").wait(&gate));
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "go", json!({"use_cli": true}));
    gate.wait_reached(1);
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let events = follow(&mut product.rpc(), &run);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "failed", "{events:#?}");
    assert!(last["error"]["message"].as_str().unwrap().contains("use_cli"), "{last}");
    assert_eq!(processes(&product), []);
    assert_eq!(product.model.requests().len(), 1);
}

#[test]
fn files_of_a_turn_are_the_daemons_own_and_do_not_outlive_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let (mut product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::stream().say("half ").wait(&gate));
    let mut rpc = product.rpc();
    product.submit(&mut rpc, "go", json!({"use_cli": true}));
    gate.wait_reached(1);
    let runtime = product.daemon.sandbox().path("run/copex");
    let others = runtime.join("turns-of-another/turn-1");
    std::fs::create_dir_all(&others).unwrap();
    let under = |folder: &std::path::Path| -> Vec<std::path::PathBuf> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let own: Vec<_> =
        under(&runtime).into_iter().filter(|it| it.is_dir() && !others.starts_with(it)).collect();
    let [folder] = own.as_slice() else { panic!("{own:?}") };
    for private in [folder.clone()].iter().chain(&under(folder)) {
        assert_eq!(private.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{private:?}");
    }
    assert_eq!(under(folder).len(), 1);
    let (turn, old) = (processes(&product), under(folder).remove(0));
    let _killed = product.daemon.kill9();
    for pid in turn {
        // It may have seen that its daemon is gone.
        let _ = kill(pid, Signal::SIGKILL);
    }
    assert!(old.exists(), "nobody was left to remove it");
    product.daemon.restart();
    product.model.push(Reply::text("ready"));
    product.chat(["go", "--use-cli"]).ok();
    assert!(!old.exists());
    let _stopped = product.daemon.stop();
    assert_eq!(under(folder), Vec::<std::path::PathBuf>::new());
    assert!(others.exists(), "another daemon's");
}
