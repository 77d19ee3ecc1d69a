//! What the agent is given: tools, skills, MCP servers, words, effort, a model.

use copex_tests::model::{ModelServer, Reply};
use serde_json::json;

use crate::product::{Product, follow, of_type, shell};

#[test]
fn a_tool_is_told_with_its_arguments_result_and_time() {
    let product = Product::start();
    product.model.push(Reply::stream().say("let me look").call("bash", &shell("echo 6 times 7")));
    product.model.push(Reply::tool("bash", &shell("cat absent.txt")));
    product.model.push(Reply::text("the end"));
    let events = product.chat(["go", "--jsonl"]).expect_code(0).json_lines();
    let (starts, ends) = (of_type(&events, "tool_start"), of_type(&events, "tool_end"));
    assert_eq!((starts.len(), ends.len()), (2, 2), "{events:#?}");
    assert_eq!(starts[0]["name"], "bash");
    assert_eq!(starts[0]["arguments"]["command"], "echo 6 times 7");
    assert_eq!((&ends[0]["call"], &ends[0]["name"]), (&starts[0]["call"], &json!("bash")));
    assert_eq!(ends[0]["success"], true);
    assert!(ends[0]["result"].as_str().unwrap().contains("6 times 7"), "{}", ends[0]);
    assert!(ends[0]["duration_ms"].is_u64());
    assert!(ends[1]["result"].as_str().unwrap().contains("absent.txt"), "{}", ends[1]);
    assert_eq!(events.last().unwrap()["tools"], 2);
    assert_eq!(of_type(&events, "message")[0]["text"], "let me look");
}

#[test]
fn a_long_result_is_clipped_for_clients_and_whole_for_the_agent() {
    let product = Product::start();
    let command = "i=0; while [ $i -lt 600 ]; do echo line $i of many; i=$((i+1)); done";
    product.model.push(Reply::tool("bash", &shell(command)));
    product.model.push(Reply::text("the end"));
    let events = product.chat(["go", "--jsonl"]).expect_code(0).json_lines();
    let result = of_type(&events, "tool_end")[0]["result"].as_str().unwrap();
    assert!(result.len() < 10_000 && result.contains("left out"), "{}", result.len());
    let told = product.last_request().tool_results().pop().unwrap();
    assert!(told.contains("line 300 of many"), "{}", told.len());
}

#[test]
fn only_the_tools_asked_for_are_offered() {
    let product = Product::start();
    let offered = |args: &[&str]| {
        let output = product.ctl().run(["chat", "go"].iter().chain(args));
        let _answer = output.expect_code(0);
        let request = product.last_request();
        request.tools().iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()
    };
    let all = offered(&[]);
    assert!(all.contains(&"bash".to_owned()) && all.contains(&"view".to_owned()), "{all:?}");
    let mut two = offered(&["--available-tools", "bash,view"]);
    two.sort();
    assert_eq!(two, ["bash", "view"]);
    let without = offered(&["--excluded-tools", "bash"]);
    assert!(!without.contains(&"bash".to_owned()), "{without:?}");
    assert!(without.contains(&"view".to_owned()), "{without:?}");
    let one = offered(&["--available-tools", "bash,view", "--excluded-tools", "bash"]);
    assert_eq!(one, ["view"], "excluded wins");
}

#[test]
fn skills_reach_the_model_unless_they_are_disabled() {
    let product = Product::start();
    let sandbox = product.daemon.sandbox();
    let skill = |folder: &str, name: &str| {
        let head = format!("---\nname: {name}\ndescription: Knows the {name} by heart.\n---\n");
        sandbox.write(format!("{folder}/{name}/SKILL.md"), &format!("{head}The {name}.\n"));
    };
    skill("elsewhere", "tide-tables");
    skill("work/.github/skills", "star-charts");
    let folder = sandbox.path("elsewhere").display().to_string();
    let said = |args: &[&str]| {
        let _answer = product.ctl().run(["chat", "go"].iter().chain(args)).expect_code(0);
        product.last_request().body.to_string()
    };
    let both = said(&["-S", &folder]);
    for name in ["tide-tables", "star-charts"] {
        assert!(both.contains(&format!("Knows the {name} by heart")), "{name}");
    }
    let one = said(&["-S", &folder, "--disable-skill", "tide-tables"]);
    assert!(!one.contains("Knows the tide-tables") && one.contains("Knows the star-charts"));
}

#[test]
fn an_mcp_server_is_offered_asked_for_and_called() {
    let product = Product::start();
    let sandbox = product.daemon.sandbox();
    let calls = sandbox.path("calls.txt");
    let script = sandbox.write("mcp_server.py", include_str!("mcp_server.py"));
    let server = json!({"command": "python3", "args": [script, calls]});
    let config = json!({"mcpServers": {"adder": server}}).to_string();
    product.model.push(Reply::tool("adder-add", &json!({"a": 20, "b": 22})));
    product.model.push(Reply::text("the end"));
    let args = ["go", "--jsonl", "--mcp-config", &config, "--allow-tool", "adder(add)"];
    let events = product.chat(args).expect_code(0).json_lines();
    let first = &product.model.requests()[0];
    assert!(first.tools().contains(&"adder-add"), "{:?}", first.tools());
    let ended = of_type(&events, "tool_end")[0];
    assert!(ended["result"].as_str().unwrap().contains("the sum is 42"), "{ended}");
    assert_eq!(std::fs::read_to_string(&calls).unwrap(), "{\"a\": 20, \"b\": 22}\n");

    // Nobody allowed it: it asks, and says what it is about.
    product.model.push(Reply::tool("adder-add", &json!({"a": 1, "b": 2})));
    product.model.push(Reply::text("the end"));
    let mut rpc = product.rpc();
    let more = json!({"mcp_servers": {"adder": server}, "approval": {"ask_timeout_s": 1}});
    let run = product.submit(&mut rpc, "go", more);
    let events = follow(&mut rpc, &run);
    let ask = of_type(&events, "ask")[0];
    assert!(ask["title"].as_str().unwrap().contains("adder"), "{ask}");
    assert_eq!(std::fs::read_to_string(&calls).unwrap().lines().count(), 1);

    let broken = r#"{"adder": {"args": []}}"#;
    let output = product.chat(["go", "--mcp-config", broken]).expect_code(2);
    assert!(output.stderr.contains("adder") && output.stderr.contains("command"), "{output:?}");
}

#[test]
fn words_for_the_system_message_come_from_the_settings_or_the_flag() {
    let config = "instructions = \"Always answer in Frisian.\"\n";
    let product = Product::with(|builder| builder.config(config));
    let _answer = product.chat(["go"]).expect_code(0);
    let system = product.last_request().system_message();
    assert!(system.contains("Always answer in Frisian."), "{system}");
    assert!(system.len() > 1_000, "the CLI's own words stay");
    let _answer = product.chat(["go", "--system", "Answer in verse."]).expect_code(0);
    let system = product.last_request().system_message();
    assert!(system.contains("Answer in verse.") && !system.contains("Frisian"), "{system}");

    let more = json!({"system_message": {"mode": "replace", "text": "You are a parrot."}});
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "go", more);
    follow(&mut rpc, &run);
    let system = product.last_request().system_message();
    assert!(system.contains("You are a parrot.") && system.len() < 1_000, "{system}");
}

#[test]
fn the_effort_reaches_the_model_and_is_lowered_aloud() {
    let config = "[provider]\nreasoning_efforts = [\"low\", \"medium\"]\n";
    let product = Product::with(|builder| builder.config(config));
    let object = product.chat(["go", "--json", "-r", "medium"]).expect_code(0).json();
    assert_eq!(product.last_request().reasoning_effort(), Some("medium"));
    assert_eq!((&object["reasoning_effort"], &object["warnings"]), (&json!("medium"), &json!([])));

    let object = product.chat(["go", "--json", "-r", "high"]).expect_code(0).json();
    assert_eq!(product.last_request().reasoning_effort(), Some("medium"));
    assert_eq!(object["reasoning_effort"], "medium", "{object}");
    let warning = &object["warnings"][0];
    assert_eq!(warning["code"], "effort_lowered", "{object}");
    let words = warning["message"].as_str().unwrap();
    assert!(words.contains("high") && words.contains("medium"), "{words}");
}

/// A daemon with the CLI of the tests, but no provider.
fn without_provider(
    model: &ModelServer,
    vars: Vec<(String, String)>,
) -> copex_tests::daemon::TestDaemon {
    let mut builder = copex_tests::daemon::TestDaemon::builder(copex_tests::bins!()).model(model);
    for (name, _) in model.provider_env() {
        builder = builder.env(&name, "");
    }
    for (name, value) in vars {
        builder = builder.env(&name, value);
    }
    builder.start()
}

#[test]
fn each_dialect_lists_its_models_with_its_own_key() {
    let model = ModelServer::start();
    let daemon = without_provider(&model, Vec::new());
    for (kind, base, header, value) in [
        ("openai", model.base_url(), "authorization", "Bearer a-key-0123456789"),
        ("azure", model.base_url(), "api-key", "a-key-0123456789"),
        ("anthropic", model.origin(), "x-api-key", "a-key-0123456789"),
    ] {
        daemon.sandbox().write_config(&format!(
            "[provider]\ntype = \"{kind}\"\nbase_url = \"{base}\"\nkey_command = \"echo a-key-0123456789\"\n\
             [provider.headers]\nx-team = \"blue\"\n"
        ));
        let list = daemon.ctl().run(["models", "--json"]).expect_code(0).json();
        assert_eq!(list["models"][0]["source"], "provider", "{kind}: {list}");
        let asked = model.all_requests().pop().unwrap();
        assert_eq!(asked.path, "/v1/models", "{kind}");
        let headers = &asked.headers;
        assert_eq!(headers.get(header).map(String::as_str), Some(value), "{kind}: {headers:?}");
        assert_eq!(headers["x-team"], "blue", "{kind}");
        assert_eq!(headers.contains_key("authorization"), kind == "openai", "{kind}");
        assert_eq!(headers.contains_key("anthropic-version"), kind == "anthropic", "{kind}");
    }
}

#[test]
fn a_signed_in_account_answers_without_a_provider() {
    let model = ModelServer::start();
    let daemon = without_provider(&model, model.signed_in_env());
    let mut rpc = daemon.rpc();
    let auth = rpc.call("auth.status", &json!({}));
    assert_eq!((&auth["authenticated"], &auth["login"]), (&json!(true), &json!("tester")));
    let quota = auth["quota"].as_array().unwrap();
    let premium = quota.iter().find(|it| it["kind"] == "premium_interactions").unwrap();
    assert_eq!((&premium["entitlement"], &premium["unlimited"]), (&json!(300), &json!(false)));
    let status = daemon.ctl().run(["status"]).ok();
    for words in ["tester on ", "$COPILOT_GITHUB_TOKEN", "premium interactions: ", " of 300 used"] {
        assert!(status.contains(words), "{words}: {status}");
    }
    for (_, secret) in model.signed_in_env().iter().filter(|(name, _)| name.ends_with("TOKEN")) {
        assert!(!status.contains(secret.as_str()), "{status}");
    }
    let list = daemon.ctl().run(["models", "--json"]).expect_code(0).json();
    let models = list["models"].as_array().unwrap();
    let of = |id: &str| models.iter().find(|model| model["id"] == id).cloned().unwrap_or_default();
    assert_eq!(of("gpt-5.4")["source"], "account", "{list}");
    assert_eq!(of("gpt-5.4")["multiplier"], 1.0, "{list}");
    assert_eq!(of("claude-sonnet-4.6")["context_tokens"], 128_000, "{list}");

    let output = daemon.ctl().run(["chat", "who am I", "-m", "gpt-5.4", "--json"]).expect_code(0);
    let object = output.json();
    assert_eq!(object["content"], "echo: who am I", "{object}");
    assert_eq!(object["cost"]["premium_requests"], 1.0, "{object}");
    assert!(object["cost"]["ai_credits"].as_f64().unwrap() > 0.0, "{object}");
    let request = model.requests().pop().unwrap();
    assert!(request.is_signed_in(), "{}", request.path);
    assert_eq!(request.model(), "gpt-5.4");
}

#[test]
fn another_model_than_the_one_asked_for_is_told_or_refused() {
    let model = ModelServer::start();
    let daemon = without_provider(&model, model.signed_in_env());
    let chat =
        |args: &[&str]| daemon.ctl().run(["chat", "go", "-m", "gpt-no-such"].iter().chain(args));
    let object = chat(&["--json"]).expect_code(0).json();
    assert_eq!(object["requested_model"], "gpt-no-such", "{object}");
    assert_eq!(object["model"], model.requests()[0].model(), "{object}");
    assert_eq!(object["warnings"][0]["code"], "model_replaced", "{object}");

    let output = chat(&["--strict-model"]).expect_code(1);
    assert!(output.stderr.contains("gpt-no-such"), "{}", output.stderr);
    assert!(output.stderr.contains("hint: "), "{}", output.stderr);
}

#[test]
fn fetching_a_url_asks_first() {
    let model = ModelServer::start();
    let daemon = without_provider(&model, model.signed_in_env());
    let url = format!("{}/page", model.origin());
    model.push(Reply::tool("web_fetch", &json!({"url": url})));
    model.push(Reply::text("the end"));
    let running = daemon.ctl().start(["chat", "go", "-m", "gpt-5.4"]);
    let noted = running.wait_stderr("copexctl inbox answer ");
    assert!(noted.contains(&url), "{noted}");
    let ask = noted.split("inbox answer ").nth(1).unwrap().split(' ').next().unwrap();
    let _answered = daemon.ctl().run(["runs", "answer", ask, "deny", "stay here"]).expect_code(0);
    assert_eq!(running.wait().ok(), "the end\n");
    let told = model.requests().pop().unwrap().tool_results().pop().unwrap();
    assert!(told.contains("stay here"), "{told}");
    assert!(model.all_requests().iter().all(|request| request.path != "/page"));
}

#[test]
fn nobody_signed_in_is_said_with_the_ways_out() {
    let model = ModelServer::start();
    let daemon = without_provider(&model, Vec::new());
    let output = daemon.ctl().run(["chat", "go"]).expect_code(77);
    for way in ["copexctl login", "[provider]"] {
        assert!(output.stderr.contains(way), "{way}: {}", output.stderr);
    }
    let object = daemon.ctl().run(["chat", "go", "--json"]).expect_code(77).json();
    assert_eq!(object["error"]["class"], "auth", "{object}");
    assert_eq!(daemon.rpc().call("auth.status", &json!({}))["authenticated"], false);
    let status = daemon.ctl().run(["status"]).ok();
    assert!(status.contains("not signed in: sign in with `copexctl login`"), "{status}");
    let models = daemon.ctl().run(["models"]).expect_code(0);
    assert!(models.stdout.contains("catalogue"), "{}", models.stdout);
    assert!(models.stderr.contains("not signed in"), "{}", models.stderr);

    for flag in ["--demo", "--or-demo"] {
        let output = daemon.ctl().run(["chat", "hello there", flag]).expect_code(0);
        assert!(!output.stdout.trim().is_empty(), "{flag}");
        for words in ["demonstration", "copexctl login", "[provider]"] {
            assert!(output.stderr.contains(words), "{flag}, {words}: {}", output.stderr);
        }
    }
    assert_eq!(model.all_requests().len(), 0, "nobody outside is asked");
}

#[test]
fn a_provider_has_models_of_its_own_and_needs_no_sign_in() {
    let product = Product::start();
    let list = product.ctl().run(["models", "--json"]).expect_code(0).json();
    let models = list["models"].as_array().unwrap();
    assert!(!models.is_empty(), "{list}");
    assert!(models.iter().all(|model| model["source"] == "provider"), "{list}");
    assert!(list.get("notes").is_none(), "{list}");
    let told = product.ctl().run(["models"]).expect_code(0);
    assert!(told.stdout.contains("asked by default ($COPILOT_MODEL)"), "{}", told.stdout);
    assert!(!told.stderr.contains("not signed in"), "{}", told.stderr);
    assert!(told.stderr.contains("$COPILOT_PROVIDER_BASE_URL"), "{}", told.stderr);
    // One that lists nothing has the model that is asked of it all the same.
    let nobody = ("COPILOT_PROVIDER_BASE_URL", "http://user:hidden@127.0.0.1:9/v1?key=hidden");
    let ctl = product.ctl().with(|launch| launch.env(nobody.0, nobody.1));
    let told = ctl.run(["models"]).expect_code(0);
    assert!(told.stdout.contains("configured"), "{}", told.stdout);
    assert!(told.stderr.contains("127.0.0.1:9/v1 lists no models: "), "{}", told.stderr);
    assert!(!told.stderr.contains("hidden"), "{}", told.stderr);
    // A provider that answers is asked, whatever may stand in instead.
    let answer = product.chat(["go", "--or-demo"]).expect_code(0);
    assert_eq!(answer.stdout, "echo: go\n");
}
