//! What cannot be served says why: the store, and a daemon of another version.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use copex_tests::ctl::Ctl;
use copex_tests::daemon::TestDaemon;
use copex_tests::model::ModelServer;
use copex_tests::process::{Launch, Output};
use copex_tests::rpc::Rpc;
use copex_tests::sandbox::Sandbox;
use serde_json::{Value, json};

use super::{answer, chat, daemon};

/// A daemon that is expected not to start, run to its end.
fn refused(sandbox: &Sandbox, args: &[&str]) -> Output {
    Launch::inside(sandbox, copex_tests::bins!().copexd).args(args).run()
}

fn store(sandbox: &Sandbox) -> PathBuf {
    sandbox.path("state/copex/store")
}

/// Writes another schema's number into the store.
fn raise_schema(sandbox: &Sandbox) {
    let db = sled::open(store(sandbox).join("sled")).unwrap();
    let meta = db.open_tree("meta").unwrap();
    let before = meta.insert("schema", &99_u32.to_be_bytes()).unwrap();
    assert_eq!(before.unwrap().as_ref(), 1_u32.to_be_bytes(), "the store's own layout");
    db.flush().unwrap();
}

/// Makes the engine's snapshots unreadable.
fn scribble(sandbox: &Sandbox) {
    let mut found = 0;
    for file in std::fs::read_dir(store(sandbox).join("sled")).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snap.")) {
            std::fs::write(path, "scribble").unwrap();
            found += 1;
        }
    }
    assert!(found > 0, "there is a snapshot");
}

#[test]
fn a_state_folder_that_cannot_be_used_is_named() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("work/file", "");
    let output = refused(&sandbox, &["--state-dir", file.to_str().unwrap()]).expect_code(69);
    assert!(output.stderr.contains(file.to_str().unwrap()), "{}", output.stderr);
    assert!(output.stderr.contains("Not a directory"), "{}", output.stderr);
    assert!(!sandbox.socket().exists());

    // A file system that takes no files, from root neither.
    let output = refused(&sandbox, &["--state-dir", "/sys/copex"]).expect_code(69);
    assert!(output.stderr.contains("/sys/copex"), "{}", output.stderr);
    assert!(output.stderr.contains("because"), "{}", output.stderr);
}

#[test]
fn copexctl_says_why_the_store_does_not_open() {
    let mut sandbox = Sandbox::new();
    let file = sandbox.write("work/file", "");
    sandbox.set("XDG_STATE_HOME", sandbox.path("run"));
    std::fs::create_dir(sandbox.path("run/copex")).unwrap();
    std::fs::rename(file, sandbox.path("run/copex/store")).unwrap();
    let ctl = Ctl::new(&copex_tests::bins!(), &sandbox);
    let output = ctl.run(["runs", "list"]).expect_code(69);
    assert!(output.stderr.contains("/run/copex/store"), "{}", output.stderr);
    let reason = ["File exists", "Not a directory"];
    assert!(reason.iter().any(|words| output.stderr.contains(words)), "{}", output.stderr);
}

#[test]
fn a_damaged_store_is_salvaged_and_said_so() {
    let server = ModelServer::start();
    let mut daemon = daemon(&server);
    let mut rpc = daemon.rpc();
    let request = chat(&server, &daemon, "remember");
    let started = rpc.subscribe("run.start", &json!({"request": request}));
    let seen = rpc.events_to_end(&started);
    let epoch = rpc.call("hello", &json!({}))["epoch"].clone();
    assert_eq!(daemon.stop().code(), 0);
    // The engine writes its first snapshot when it opens the second time.
    daemon.restart();
    assert_eq!(daemon.stop().code(), 0);
    scribble(daemon.sandbox());
    daemon.restart();
    let mut rpc = daemon.rpc();
    let status = rpc.call("daemon.status", &json!({}));
    let note = status["notes"][0].as_str().unwrap_or_default();
    assert!(note.contains("damaged") && note.contains("quarantine"), "{status}");
    let place = note.split("is at ").nth(1).map(Path::new);
    assert!(place.is_some_and(Path::is_dir), "{note}");
    assert_ne!(rpc.call("hello", &json!({}))["epoch"], epoch, "old numbers are void");
    let shown = daemon.ctl().run(["status"]).ok();
    assert!(shown.contains("damaged"), "{shown}");

    // What was kept can be read; nothing is left of the note at the next start.
    let watched = rpc.subscribe("run.watch", &json!({"run": seen[0]["run"]}));
    assert_eq!(answer(&rpc.events_to_end(&watched)), "echo: remember");
    assert_eq!(daemon.stop().code(), 0);
    daemon.restart();
    assert_eq!(daemon.rpc().call("daemon.status", &json!({})).get("notes"), None);
}

#[test]
fn a_store_of_a_newer_copexd_is_left_alone() {
    let daemon = TestDaemon::builder(copex_tests::bins!()).start();
    assert_eq!(daemon.stop().code(), 0);
    raise_schema(daemon.sandbox());
    let output = refused(daemon.sandbox(), &[]).expect_code(69);
    let words = "has schema 99, this copexd knows up to 1";
    assert!(output.stderr.contains(words), "{}", output.stderr);
    for args in [&["runs", "list"][..], &["daemon", "start"], &["chat", "hi"]] {
        let output = daemon.ctl().run(args).expect_code(69);
        assert!(output.stderr.contains(words), "{args:?}: {}", output.stderr);
    }
    let names: Vec<_> = std::fs::read_dir(store(daemon.sandbox()))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(!names.iter().any(|name| name.contains("quarantine")), "{names:?}");
}

/// Answers on the sandbox's socket with whatever `reply` makes of a call.
fn stand_in(sandbox: &Sandbox, reply: fn(&Value) -> Value) {
    let folder = sandbox.path("run/copex");
    std::fs::create_dir(&folder).unwrap();
    let listener = UnixListener::bind(sandbox.socket()).unwrap();
    let serve = move |stream: UnixStream| {
        let mut out = stream.try_clone().unwrap();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let call: Value = serde_json::from_str(&line).unwrap();
            let mut answer = reply(&call);
            answer["jsonrpc"] = json!("2.0");
            answer["id"] = call["id"].clone();
            // A client may have heard enough.
            let _gone = writeln!(out, "{answer}");
            if call["method"] == "daemon.stop" {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("another daemon".to_owned())
        .spawn(move || listener.incoming().map_while(Result::ok).for_each(serve))
        .unwrap();
}

/// Every command that needs a daemon says that this one is of another version.
fn assert_of_another_version(sandbox: &Sandbox, words: &str) {
    let ctl = Ctl::new(&copex_tests::bins!(), sandbox);
    for args in [&["status"][..], &["runs", "list"], &["chat", "hi"], &["daemon", "start"]] {
        let output = ctl.run(args).expect_code(69);
        assert!(output.stderr.contains(words), "{args:?}: {}", output.stderr);
        assert!(output.stderr.contains("copexctl daemon restart"), "{args:?}: {}", output.stderr);
        assert_eq!(output.stdout, "", "{args:?}");
    }
    let output = ctl.run(["status", "--json"]).expect_code(69);
    assert_eq!(output.json()["error"]["class"], "unavailable", "{}", output.stdout);
}

#[test]
fn a_daemon_of_another_protocol_is_not_half_understood() {
    let sandbox = Sandbox::new();
    stand_in(&sandbox, |call| match call["method"].as_str() {
        Some("hello") => json!({"result": {
            "version": "9.9.9", "protocol": 99, "min_protocol": 98, "epoch": "",
            "max_message_bytes": 1, "something": "new",
        }}),
        _ => json!({"result": {"all": "different"}}),
    });
    assert_of_another_version(&sandbox, "copexd 9.9.9 speaks protocol 99");
}

#[test]
fn a_daemon_that_does_not_know_hello_is_not_trusted() {
    let sandbox = Sandbox::new();
    let unknown = json!({"error": {"code": -32601, "message": "Method not found"}});
    stand_in(&sandbox, |call| match call["method"].as_str() {
        Some("daemon.stop") => json!({"result": {"active_runs": 0}}),
        _ => json!({"error": {"code": -32601, "message": "Method not found"}}),
    });
    assert_eq!(Rpc::connect(&sandbox.socket()).call_err("x", &json!({})), unknown["error"]);
    assert_of_another_version(&sandbox, "does not know `hello`");
}

#[test]
fn a_client_of_any_protocol_is_told_the_daemons() {
    let daemon = TestDaemon::builder(copex_tests::bins!()).start();
    let mut rpc = daemon.rpc();
    let client = json!({"client": {"name": "x", "version": "0", "protocol": 99}});
    for params in [client, json!({}), json!([]), json!(null)] {
        let hello = rpc.call("hello", &params);
        assert_eq!(hello["protocol"], copex_proto::PROTOCOL_VERSION, "{params}");
        assert_eq!(hello["max_message_bytes"], 32 << 20);
    }
    let error = rpc.call_err("helo", &json!({}));
    assert_eq!((&error["code"], &error["data"]["class"]), (&json!(-32601), &json!("usage")));
    assert_eq!(error["data"]["hint"], "did you mean `hello`?");
}
