//! `sessions list|show|resume|fork|rm`, with the real Copilot CLI's sessions.

use std::path::{Path, PathBuf};

use copex_tests::daemon::TestDaemon;
use copex_tests::model::{Gate, Reply};
use copex_tests::process::Output;
use serde_json::{Value, json};

use crate::product::{Product, shell};

pub(super) fn sessions<const N: usize>(product: &Product, args: [&str; N]) -> Output {
    product.ctl().run(["sessions"].into_iter().chain(args))
}

/// A session in which one prompt was said.
pub(super) fn session(product: &Product, prompt: &str) -> String {
    let chat = product.chat([prompt, "--json"]).expect_code(0).json();
    chat["session"].as_str().unwrap().to_owned()
}

pub(super) fn folder(product: &Product, id: &str) -> PathBuf {
    product.daemon.sandbox().path(format!("copilot/session-state/{id}"))
}

pub(super) fn events(product: &Product, id: &str) -> PathBuf {
    folder(product, id).join("events.jsonl")
}

/// A second daemon over the same `COPILOT_HOME`, with a session open in its runtime.
pub(super) fn elsewhere(product: &Product, id: &str) -> TestDaemon {
    let home = product.daemon.sandbox().path("copilot");
    let other = TestDaemon::builder(copex_tests::bins!()).model(&product.model);
    let other = other.env("COPILOT_HOME", home).start();
    let _held = other.ctl().run(["chat", "from elsewhere", "--resume", id]).expect_code(0);
    other
}

#[test]
fn sessions_are_listed_newest_first_with_what_is_known_of_them() {
    let product = Product::start();
    let run = product.chat(["first\nof all", "--json"]).expect_code(0).json();
    let first = run["session"].as_str().unwrap();
    let here = product.daemon.sandbox().path("work/here");
    std::fs::create_dir(&here).unwrap();
    let there = product.ctl().with(|launch| launch.cwd(&here));
    let second = there.run(["chat", "second", "--json"]).expect_code(0).json();
    let _again = product.chat(["more", "--resume", first]).expect_code(0);

    let list = sessions(&product, ["list", "--json"]).expect_code(0).json();
    assert_eq!(list["more"], false, "spares are not shown: {list}");
    let known = list["sessions"].as_array().unwrap();
    assert_eq!(known.len(), 2, "{list}");
    assert_eq!(known[0]["session"], first);
    assert_eq!(known[0]["title"], "first of all");
    assert_eq!(known[0]["turns"], 2);
    assert_eq!(known[0]["cwd"], json!(product.daemon.sandbox().work()));
    assert_ne!(known[0]["run"], run["run"], "the run that used it last");
    assert_eq!(known[0]["held_by"]["ours"], true, "{list}");
    assert!(known[0]["size_bytes"].as_u64().unwrap() > 1_000);
    assert_eq!(known[1]["session"], second["session"]);

    let one = sessions(&product, ["list", "-n", "1", "--json"]).expect_code(0).json();
    assert_eq!((&one["more"], one["sessions"].as_array().unwrap().len()), (&json!(true), 1));
    for args in [&["--here"][..], &["--cwd", "."]] {
        let list = there.run(["sessions", "list", "--json"].iter().chain(args)).expect_code(0);
        let list = list.json();
        assert_eq!(list["sessions"].as_array().unwrap().len(), 1, "{list}");
        assert_eq!(list["sessions"][0]["session"], second["session"]);
    }
    let text = sessions(&product, ["list"]).ok();
    assert!(text.starts_with(first) && text.contains("2 turns"), "{text}");
}

#[test]
fn a_long_transcript_is_listed_without_being_read() {
    let product = Product::start();
    let id = session(&product, "hello");
    // Nothing but a length: 8 GB that no list could read in time.
    let file = std::fs::OpenOptions::new().append(true).open(events(&product, &id)).unwrap();
    file.set_len(8 << 30).unwrap();
    let list = sessions(&product, ["list", "--json"]).expect_code(0).json();
    let seen = &list["sessions"][0];
    assert_eq!((&seen["title"], seen.get("turns")), (&json!("hello"), None), "{list}");
    // Neither does a look at its end, and the doctor says what it does not read.
    assert!(sessions(&product, ["show", &id]).ok().contains("hello"));
    let told = sessions(&product, ["doctor", &id]).expect_code(1);
    assert!(told.stdout.contains("longer than"), "{told:?}");
}

#[test]
fn a_session_is_shown_by_the_beginning_of_its_id() {
    let product = Product::start();
    product.model.push(Reply::tool("bash", &shell("echo tool-ran")));
    product.model.push(Reply::text("it ran"));
    let id = session(&product, "run it");
    let detail = sessions(&product, ["show", &id[..8], "--json"]).expect_code(0).json();
    assert_eq!(detail["summary"]["session"], json!(id));
    assert_eq!(detail["copilot_version"], copex_tests::cli::VERSION);
    let by: Vec<_> = detail["entries"].as_array().unwrap().iter().map(|it| &it["by"]).collect();
    assert_eq!(by, ["user", "tool", "assistant"], "{detail}");
    assert_eq!(detail["entries"][1]["success"], true);
    assert!(detail["entries"][1]["result"].as_str().unwrap().contains("tool-ran"), "{detail}");
    let text = sessions(&product, ["show", &id]).ok();
    assert!(text.contains("> run it\n") && text.contains("[bash] "), "{text}");
    assert!(text.trim_end().ends_with("it ran"), "{text}");
}

#[test]
fn ids_that_lead_outside_name_no_session() {
    let product = Product::start();
    let id = session(&product, "hello");
    let state = product.daemon.sandbox().path("copilot/session-state");
    let outside = product.daemon.sandbox().path("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("events.jsonl"), "precious").unwrap();
    std::os::unix::fs::symlink(&outside, state.join("link")).unwrap();
    for wrong in ["link", "../../outside", "..", ".", "/", "nobody", &format!("{id}/../link")] {
        for verb in ["show", "fork", "doctor"] {
            let output = sessions(&product, [verb, wrong]).expect_code(1);
            assert!(output.stderr.contains("there is no session"), "{}", output.stderr);
            assert!(output.stderr.contains("hint: "), "{}", output.stderr);
        }
        let _refused = sessions(&product, ["rm", "--yes", wrong]).expect_code(1);
        let _refused = sessions(&product, ["doctor", "--fix", wrong]).expect_code(1);
    }
    assert_eq!(std::fs::read_to_string(outside.join("events.jsonl")).unwrap(), "precious");
}

#[test]
fn resuming_is_a_chat_in_the_session() {
    let product = Product::start();
    let id = session(&product, "one");
    let resumed = sessions(&product, ["resume", &id[..9], "two", "--json"]).expect_code(0).json();
    assert_eq!(resumed["session"], json!(id));
    let piped = product.ctl().stdin("three");
    let piped = piped.run(["sessions", "resume", &id, "-q"]).expect_code(0);
    assert_eq!(piped.stdout, "echo: three\n");
    assert_eq!(product.last_request().user_messages(), ["one", "two", "three"]);
    let _twice = sessions(&product, ["resume", &id, "x", "--continue"]).expect_code(2);
}

#[test]
fn a_session_that_copex_did_not_make_is_resumed_by_the_beginning_of_its_id() {
    let mut product = Product::start();
    let id = session(&product, "one");
    let _ended = product.daemon.stop();
    // A store that knows nothing of it.
    std::fs::remove_dir_all(product.daemon.sandbox().path("state")).unwrap();
    std::fs::create_dir(product.daemon.sandbox().path("state")).unwrap();
    product.daemon.restart();
    let resumed = product.chat(["two", "--json", "--resume", &id[..8]]).expect_code(0).json();
    assert_eq!(resumed["session"], json!(id));
    assert_eq!(product.last_request().user_messages(), ["one", "two"]);
}

#[test]
fn a_fork_has_the_history_and_the_original_stays_as_it_is() {
    let product = Product::start();
    let id = session(&product, "one");
    let before = std::fs::read(events(&product, &id)).unwrap();
    let forked = sessions(&product, ["fork", &id[..8], "--json"]).expect_code(0).json();
    assert_eq!((&forked["from"], &forked["by"]), (&json!(id), &json!("copilot")));
    let fork = forked["session"].as_str().unwrap();
    assert_ne!(fork, id);
    assert!(std::fs::read(events(&product, &id)).unwrap().starts_with(&before));

    let _in_it = sessions(&product, ["resume", fork, "two"]).expect_code(0);
    assert_eq!(product.last_request().user_messages(), ["one", "two"]);
    let _original = sessions(&product, ["resume", &id, "three"]).expect_code(0);
    assert_eq!(product.last_request().user_messages(), ["one", "three"]);

    let line = sessions(&product, ["fork", &id]).ok();
    assert!(Path::new(&folder(&product, line.trim())).is_dir(), "the id alone: {line}");
}

#[test]
fn a_session_that_is_open_elsewhere_is_forked_and_never_removed_or_shared() {
    let product = Product::start();
    let id = session(&product, "one");
    let mut product = product;
    product.daemon.restart();
    let other = elsewhere(&product, &id);
    let list = sessions(&product, ["list", "--json"]).expect_code(0).json();
    let seen = list["sessions"].as_array().unwrap().iter().find(|it| it["session"] == json!(id));
    assert_eq!(seen.unwrap()["held_by"]["ours"], false, "{list}");

    let refused = sessions(&product, ["rm", "--yes", &id]).expect_code(1);
    assert!(refused.stderr.contains("open in another process"), "{}", refused.stderr);
    assert!(refused.stderr.contains("copexctl sessions fork"), "{}", refused.stderr);
    let refused = sessions(&product, ["resume", &id, "mine"]);
    assert_ne!(refused.code(), 0);
    assert!(refused.stderr.contains("copexctl sessions fork"), "{}", refused.stderr);
    let fork = sessions(&product, ["fork", &id]).ok();
    let _in_it = sessions(&product, ["resume", fork.trim(), "mine"]).expect_code(0);
    assert_eq!(product.last_request().user_messages(), ["one", "from elsewhere", "mine"]);

    let _goes_on = other.ctl().run(["sessions", "resume", &id, "still here"]).expect_code(0);
    assert_eq!(product.last_request().user_messages(), ["one", "from elsewhere", "still here"]);
    let _left = other.stop();
    let _gone = sessions(&product, ["rm", "--yes", &id]).expect_code(0);
}

#[test]
fn sessions_are_removed_when_nobody_has_them() {
    let (product, gate) = (Product::start(), Gate::new());
    let (id, other) = (session(&product, "one"), session(&product, "other"));
    let asked = sessions(&product, ["rm", &id]).expect_code(2);
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);

    product.model.push(Reply::text("wait").wait_before_head(&gate));
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "two", json!({"session": {"resume": id}}));
    gate.wait_reached(1);
    let refused = sessions(&product, ["rm", "--yes", &id]).expect_code(1);
    assert!(refused.stderr.contains(&run), "{}", refused.stderr);
    assert!(refused.stderr.contains(&format!("copexctl runs cancel {run}")), "{}", refused.stderr);
    gate.open();
    let _ended = crate::product::follow(&mut rpc, &run);

    // One that is not there costs the others nothing.
    let gone = sessions(&product, ["rm", "--yes", &id, "nobody", &other]).expect_code(1);
    assert!(gone.stdout.contains(&id) && gone.stdout.contains(&other), "{gone:?}");
    assert!(!folder(&product, &id).exists() && !folder(&product, &other).exists());
    let list = sessions(&product, ["list", "--json"]).expect_code(0).json();
    assert_eq!(list["sessions"], json!([]), "{list}");
    let _unknown = product.chat(["three", "--resume", &id]).expect_code(1);
    let none = product.chat(["three", "--continue"]).expect_code(1);
    assert!(none.stderr.contains("no session to continue"), "{}", none.stderr);
}

#[test]
fn a_person_is_asked_before_a_session_is_removed() {
    let product = Product::start();
    let id = session(&product, "precious");
    for (answer, stays) in [("n\n", true), ("\n", true), ("y\n", false)] {
        let mut running = product.ctl().start_on_one_terminal(["sessions", "rm", &id[..8]]);
        running.wait_stdout("precious");
        running.type_in(answer);
        let _output = running.wait().expect_code(0);
        assert_eq!(folder(&product, &id).exists(), stays, "{answer:?}");
    }
}

#[test]
fn the_socket_says_the_same() {
    let product = Product::start();
    let id = session(&product, "one");
    let mut rpc = product.rpc();
    let list = rpc.call("session.list", &json!({}));
    assert_eq!(list["sessions"][0]["session"], json!(id), "the daemon's own COPILOT_HOME");
    let unknown = rpc.call_err("session.get", &json!({"session": "nobody"}));
    assert_eq!(unknown["code"], -32002, "{unknown}");
    let report: Value = rpc.call("session.doctor", &json!({}));
    assert!(report["checked"].as_u64().unwrap() >= 1, "{report}");
}
