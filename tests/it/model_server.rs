//! The scripted model, proven against the real Copilot CLI.

use copex_tests::cli::CopilotCli;
use copex_tests::model::{Account, Cut, Gate, MODEL, ModelServer, Reply, Usage};
use copex_tests::process::{Launch, Output};
use copex_tests::sandbox::Sandbox;
use serde_json::{Value, json};

/// `copilot -p PROMPT` against `server`, in `sandbox`.
fn ask(sandbox: &Sandbox, server: &ModelServer, prompt: &str) -> Launch {
    CopilotCli::install().launch(sandbox, server.provider_env()).args([
        "-p",
        prompt,
        "--output-format",
        "json",
    ])
}

/// The data of the events of one type.
fn events(output: &Output, kind: &str) -> Vec<Value> {
    let lines = output.json_lines().into_iter();
    lines.filter(|event| event["type"] == kind).map(|event| event["data"].clone()).collect()
}

#[test]
fn a_plain_answer_streams_through_the_real_cli() {
    let (sandbox, server) = (Sandbox::new(), ModelServer::start());
    server.push(Reply::chunks(["Hello ", "from ", "loopback"]).usage(Usage {
        input: 40,
        output: 3,
        ..Usage::default()
    }));
    let output = ask(&sandbox, &server, "What is <b>2+2</b>?\nsecond line").run().expect_code(0);

    let deltas = events(&output, "assistant.message_delta");
    let deltas: Vec<_> = deltas.iter().filter_map(|data| data["deltaContent"].as_str()).collect();
    assert_eq!(deltas, ["Hello ", "from ", "loopback"]);
    assert_eq!(events(&output, "assistant.message")[0]["content"], "Hello from loopback");

    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].prompt(), "What is <b>2+2</b>?\nsecond line");
    assert_eq!(requests[0].model(), MODEL);
    assert!(requests[0].wants_stream());
    assert!(requests[0].tools().contains(&"bash"));
    assert_eq!(server.user_messages(0), ["What is <b>2+2</b>?\nsecond line"]);
    assert_eq!(server.last_model().as_deref(), Some(MODEL));
}

#[test]
fn the_default_answer_echoes_the_users_own_words() {
    let (sandbox, server) = (Sandbox::new(), ModelServer::start());
    let output = ask(&sandbox, &server, "say it again").run().expect_code(0);
    assert_eq!(events(&output, "assistant.message")[0]["content"], "echo: say it again");
}

#[test]
fn tool_calls_run_and_their_results_come_back() {
    let (sandbox, server) = (Sandbox::new(), ModelServer::start());
    let run = |command: &str| json!({"command": command, "description": "a test"});
    server.push(
        Reply::stream()
            .think("let me look")
            .call("bash", &run("echo made > one.txt; echo first-$((40 + 2))"))
            .call("bash", &run("echo second")),
    );
    server.push(Reply::text("both ran"));
    let output = ask(&sandbox, &server, "go").args(["--allow-all-tools"]).run().expect_code(0);

    assert_eq!(std::fs::read_to_string(sandbox.work().join("one.txt")).unwrap(), "made\n");
    assert_eq!(events(&output, "tool.execution_complete").len(), 2);
    let results = server.requests()[1].tool_results();
    assert_eq!(results.len(), 2);
    assert!(results[0].contains("first-42"), "{results:?}");
    assert!(results[1].contains("second"), "{results:?}");
    assert!(output.stdout.contains("both ran"));
}

#[test]
fn refusals_arrive_with_their_status() {
    let (sandbox, server) = (Sandbox::new(), ModelServer::start());
    server.push(Reply::error(401, "invalid_api_key", "no such key").no_cli_retry());
    let output = ask(&sandbox, &server, "go").run().expect_code(1);
    let errors = events(&output, "session.error");
    assert_eq!(errors[0]["statusCode"], 401, "{errors:?}");
    assert_eq!(errors[0]["errorType"], "authentication", "{errors:?}");
    assert_eq!(server.requests().len(), 1, "the header ends the CLI's own retries");
}

#[test]
fn a_limit_is_retried_by_the_cli_unless_forbidden() {
    let (sandbox, server) = (Sandbox::new(), ModelServer::start());
    server.push(Reply::rate_limited("rate_limited", Some(1)));
    let output = ask(&sandbox, &server, "go").run().expect_code(0);
    assert_eq!(server.requests().len(), 2);
    assert!(output.stdout.contains("echo: go"));

    server.push(Reply::rate_limited("rate_limited", Some(1)).no_cli_retry());
    let output = ask(&sandbox, &server, "go").run().expect_code(1);
    assert_eq!(server.requests().len(), 3);
    assert_eq!(events(&output, "session.error")[0]["errorType"], "rate_limit");
}

#[test]
fn a_cut_stream_is_asked_for_again() {
    for cut in [Cut::Fin, Cut::Reset] {
        let (sandbox, server, gate) = (Sandbox::new(), ModelServer::start(), Gate::new());
        server.push(Reply::stream().say("Hel").wait(&gate).cut(cut));
        server.push(Reply::text("Hello"));
        let running = ask(&sandbox, &server, "go").start();
        running.wait_stdout("\"deltaContent\":\"Hel\"");
        gate.release();
        let output = running.wait().expect_code(0);
        assert_eq!(server.requests().len(), 2, "{cut:?}");
        assert_eq!(events(&output, "assistant.turn_retry").len(), 1, "{cut:?}");
        assert_eq!(events(&output, "assistant.message")[0]["content"], "Hello");
    }
}

#[test]
fn a_gate_holds_the_answer_and_a_kill_is_noticed() {
    let (sandbox, server, gate) = (Sandbox::new(), ModelServer::start(), Gate::new());
    server.push(Reply::stream().say("one ").wait(&gate).say("two").hang());
    let running = ask(&sandbox, &server, "go").start();
    gate.wait_reached(1);
    assert!(running.wait_stdout("one ").contains("one "));
    assert!(!running.stdout().contains("two"));
    gate.release();
    running.wait_stdout("two");
    drop(running);
    // The launcher is gone; the CLI itself, its child, is ended with the sandbox.
    drop(sandbox);
    server.wait_for_abandoned(1);
    assert_eq!(server.queued(), 0);
}

#[test]
fn an_empty_answer_is_an_error_and_garbage_is_asked_for_again() {
    let (sandbox, server) = (Sandbox::new(), ModelServer::start());
    server.push(Reply::stream());
    let output = ask(&sandbox, &server, "go").run().expect_code(1);
    // The CLI reports an empty message and then the error: no message is no proof of an answer.
    assert_eq!(events(&output, "assistant.message")[0]["content"], "");
    assert_eq!(events(&output, "session.error")[0]["errorType"], "query");

    server.push(Reply::garbage());
    server.push(Reply::text("recovered"));
    let output = ask(&sandbox, &server, "go").run();
    assert_eq!(server.requests().len(), 3, "{}", output.stdout);
    assert!(output.expect_code(0).stdout.contains("recovered"));
}

#[test]
fn a_signed_in_cli_believes_the_server_to_be_github() {
    let (sandbox, server) = (Sandbox::new(), ModelServer::start());
    server.set_account(Account { premium_left: 42.0, ..Account::default() });
    let usage = sandbox.path("usage.json");
    let output = CopilotCli::install()
        .launch(&sandbox, server.signed_in_env())
        .args(["-p", "who am I", "--model", "gpt-5.4", "--output-format", "json"])
        .args(["--usage-output-file".as_ref(), usage.as_os_str()])
        .run()
        .expect_code(0);
    assert!(output.stdout.contains("echo: who am I"), "{}", output.stdout);
    let request = server.requests().pop().unwrap();
    assert!(request.is_signed_in(), "{}", request.path);
    assert_eq!(request.model(), "gpt-5.4");
    let paths: Vec<_> = server.all_requests().into_iter().map(|request| request.path).collect();
    assert!(paths.iter().any(|path| path == "/models"), "{paths:?}");
    let usage: Value = serde_json::from_slice(&std::fs::read(usage).unwrap()).unwrap();
    assert_eq!(usage["totalNanoAiu"], 123_456_789, "{usage}");
}
