//! The fake CLI is one that the official SDK believes, and its faults are what they say.

use std::process::Stdio;
use std::time::Duration;

use copex_tests::fake_copilot::{FakeCopilot, Fault};
use copex_tests::process::Launch;
use copex_tests::sandbox::Sandbox;
use github_copilot_sdk::{Client, types::SessionConfig};

fn install(sandbox: &Sandbox, fault: Fault) -> FakeCopilot {
    let binary = env!("CARGO_BIN_EXE_fake_copilot");
    FakeCopilot::install(binary.as_ref(), sandbox.path("fake"), fault)
}

/// The SDK on a new process of the fake CLI.
#[expect(clippy::disallowed_methods, reason = "the SDK wants asynchronous pipes")]
fn client(sandbox: &Sandbox, fake: &FakeCopilot) -> (tokio::process::Child, Client) {
    let mut child = tokio::process::Command::new(fake.program())
        .args(["--server", "--stdio"])
        .env_clear()
        .envs(sandbox.env())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (stdout, stdin) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    (child, Client::from_streams(stdout, stdin, sandbox.work()).unwrap())
}

/// The types of a turn's events, as the SDK delivers them, and the answer's text.
async fn turn(client: &Client, prompt: &str) -> (Vec<String>, String) {
    let config = SessionConfig::default().with_streaming(true);
    let session = client.create_session(config).await.unwrap();
    let mut events = session.subscribe();
    session.send(prompt).await.unwrap();
    let (mut types, mut text) = (Vec::new(), String::new());
    while let Ok(event) = events.recv().await {
        if event.event_type == "assistant.message_delta" {
            text.push_str(event.data["deltaContent"].as_str().unwrap_or_default());
        }
        types.push(event.event_type.clone());
        if event.event_type == "session.idle" {
            break;
        }
    }
    (types, text)
}

#[tokio::test]
async fn the_sdk_believes_it() {
    let sandbox = Sandbox::new();
    let fake = install(&sandbox, Fault::None);
    let (_child, client) = client(&sandbox, &fake);
    client.verify_protocol_version().await.unwrap();
    let (types, text) = turn(&client, "hello").await;
    assert_eq!(text, "echo: hello");
    assert_eq!(types.last().map(String::as_str), Some("session.idle"));
    let calls = fake.calls();
    assert_eq!(calls.first().map(String::as_str), Some("connect"), "{calls:?}");
    assert!(calls.contains(&"session.send".to_owned()), "{calls:?}");
}

#[tokio::test]
async fn the_handshake_can_go_wrong() {
    let sandbox = Sandbox::new();
    let fake = install(&sandbox, Fault::WrongProtocol);
    let (_child, wrong) = client(&sandbox, &fake);
    let error = wrong.verify_protocol_version().await.unwrap_err();
    assert!(error.to_string().contains("99"), "{error}");

    fake.set_fault(Fault::ExitAtStart);
    let (mut child, dead) = client(&sandbox, &fake);
    assert!(dead.verify_protocol_version().await.is_err());
    assert_eq!(child.wait().await.unwrap().code(), Some(1));

    fake.set_fault(Fault::OldVersion);
    let (_child, old) = client(&sandbox, &fake);
    old.verify_protocol_version().await.unwrap();
    assert_eq!(fake.calls().last().map(String::as_str), Some("ping"));

    fake.set_fault(Fault::NoHandshake);
    let (_child, silent) = client(&sandbox, &fake);
    let silence = Duration::from_millis(300);
    assert!(tokio::time::timeout(silence, silent.verify_protocol_version()).await.is_err());
}

#[tokio::test]
async fn a_turn_can_go_wrong() {
    let sandbox = Sandbox::new();
    let fake = install(&sandbox, Fault::DuplicateEvents);
    let (_child, double) = client(&sandbox, &fake);
    let (types, text) = turn(&double, "hi").await;
    assert_eq!(text, "echo:echo: hi hi");
    assert_eq!(types.iter().filter(|kind| *kind == "assistant.message").count(), 2);

    fake.set_fault(Fault::RateLimited);
    let (_child, limited) = client(&sandbox, &fake);
    let (types, _) = turn(&limited, "hi").await;
    assert!(types.contains(&"session.error".to_owned()), "{types:?}");

    for fault in [Fault::ExitMidTurn, Fault::ExitMidFrame, Fault::Garbage] {
        fake.set_fault(fault);
        let (_child, dying) = client(&sandbox, &fake);
        let (types, text) = turn(&dying, "hi").await;
        // The SDK may drop what it has read but not delivered when the line breaks.
        assert!("echo:".starts_with(&text), "{fault:?}: {text}");
        assert!(!types.contains(&"session.idle".to_owned()), "{fault:?}: {types:?}");
    }
}

#[test]
fn its_command_line_is_that_of_a_cli() {
    let sandbox = Sandbox::new();
    let fake = install(&sandbox, Fault::None);
    let run = |args: &[&str]| Launch::inside(&sandbox, fake.program()).args(args).run();
    assert_eq!(run(&["--version"]).ok(), "GitHub Copilot CLI 1.0.102.\n");
    let lines = run(&["-p", "hi", "--output-format", "json"]).expect_code(0).json_lines();
    assert_eq!(lines.last().unwrap()["type"], "result");

    fake.set_fault(Fault::OldVersion);
    assert!(run(&["--version"]).ok().contains("0.0.300"));
    fake.set_fault(Fault::ExitAtStart);
    let output = run(&["--version"]).expect_code(1);
    assert!(output.stderr.contains("cannot start"));
    fake.set_fault(Fault::ExitMidTurn);
    let _output = run(&["-p", "hi"]).expect_code(9);
}

#[test]
fn every_fault_has_a_name_of_its_own() {
    for (fault, name) in Fault::ALL {
        assert_eq!(fault.as_str(), name);
    }
}
