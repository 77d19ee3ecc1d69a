//! `sessions doctor`: sessions broken in every way that disks and crashes know, the real
//! Copilot CLI's word on each, and the repair.

use std::path::{Path, PathBuf};

use copex_tests::model::{Gate, Reply};
use serde_json::{Value, json};

use super::disk::{elsewhere, events, folder, session, sessions};
use crate::product::{Product, follow, of_type};

/// A way to break a transcript: its lines in, its bytes out.
type Break = fn(&[String]) -> Vec<u8>;

fn joined(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
}

fn torn_end(lines: &[String]) -> Vec<u8> {
    let mut bytes = joined(lines);
    bytes.extend_from_slice(br#"{"type":"user.message","data":{"cont"#);
    bytes
}

fn nuls(lines: &[String]) -> Vec<u8> {
    let mut bytes = joined(lines);
    bytes.extend_from_slice(&[0; 4096]);
    bytes
}

fn no_json(lines: &[String]) -> Vec<u8> {
    let mut lines = lines.to_vec();
    lines.insert(3, "{\"type\":\"assistant.mess".to_owned());
    joined(&lines)
}

fn misfit(lines: &[String]) -> Vec<u8> {
    let mut lines = lines.to_vec();
    let end = lines.iter().position(|line| line.contains("assistant.turn_end")).unwrap();
    lines[end] = lines[end].replace("turnId", "turn");
    joined(&lines)
}

fn no_start(lines: &[String]) -> Vec<u8> {
    let mut lines = lines.to_vec();
    lines.remove(0);
    joined(&lines)
}

fn half_a_start(lines: &[String]) -> Vec<u8> {
    let mut lines = lines.to_vec();
    lines[0].truncate(30);
    joined(&lines)
}

/// What the doctor calls it, whether the CLI opens it by itself, and how it is made.
const FAULTS: [(&str, bool, Break); 6] = [
    ("torn_end", true, torn_end),
    ("nul_bytes", true, nuls),
    ("unreadable_line", true, no_json),
    ("misfit_event", false, misfit),
    ("no_start", false, no_start),
    ("no_start", false, half_a_start),
];

fn break_it(path: &Path, how: Break) -> Vec<u8> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let broken = how(&lines);
    std::fs::write(path, &broken).unwrap();
    broken
}

/// A product with one session that no runtime has open.
fn with_session(prompt: &str) -> (Product, String) {
    let mut product = Product::start();
    let id = session(&product, prompt);
    product.daemon.restart();
    (product, id)
}

fn health(report: &Value) -> &Value {
    let sessions = report["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 1, "{report}");
    &sessions[0]
}

fn faults(report: &Value) -> Vec<String> {
    let findings = health(report)["findings"].as_array().cloned().unwrap_or_default();
    let name = |finding: &Value| finding["fault"].as_str().unwrap().to_owned();
    findings.iter().map(name).collect()
}

#[test]
fn broken_transcripts_are_told_repaired_and_opened_with_their_history() {
    let (mut product, id) = with_session("one");
    let path = events(&product, &id);
    let mut said = vec!["one".to_owned()];
    for (number, (fault, _, how)) in FAULTS.into_iter().enumerate() {
        let broken = break_it(&path, how);
        let told = sessions(&product, ["doctor", &id, "--json"]).expect_code(1).json();
        assert_eq!(health(&told)["state"], "broken", "{fault}: {told}");
        assert!(faults(&told).contains(&fault.to_owned()), "{fault}: {told}");
        assert_eq!(std::fs::read(&path).unwrap(), broken, "a look changes nothing");

        let fixed = sessions(&product, ["doctor", "--fix", &id, "--json"]).expect_code(0).json();
        assert_eq!(health(&fixed)["state"], "repaired", "{fault}: {fixed}");
        let backup = PathBuf::from(health(&fixed)["backups"][0].as_str().unwrap());
        assert_eq!(std::fs::read(&backup).unwrap(), broken, "{fault}: the backup is what was");
        let sound = sessions(&product, ["doctor", &id, "--json"]).expect_code(0).json();
        assert_eq!(health(&sound)["state"], "sound", "{fault}: {sound}");

        let prompt = format!("after {fault} {number}");
        let chat = product.chat([&prompt, "--json", "--resume", &id]).expect_code(0).json();
        said.push(prompt);
        assert_eq!(chat["session"], json!(id), "{fault}");
        assert_eq!(product.last_request().user_messages(), said, "{fault}");
        product.daemon.restart();
    }
    let kept = std::fs::read_dir(folder(&product, &id)).unwrap().flatten();
    let kept = kept.filter(|it| it.file_name().to_string_lossy().contains("before-repair"));
    assert_eq!(kept.count(), FAULTS.len(), "no backup is ever written over");
}

#[test]
fn a_run_repairs_what_the_cli_does_not_open_and_says_so() {
    let (mut product, id) = with_session("one");
    let path = events(&product, &id);
    let mut said = vec!["one".to_owned()];
    for (number, (fault, opens, how)) in FAULTS.into_iter().enumerate() {
        let broken = break_it(&path, how);
        let mut rpc = product.rpc();
        let prompt = format!("after {fault} {number}");
        let run = product.submit(&mut rpc, &prompt, json!({"session": {"resume": id}}));
        said.push(prompt);
        let events = follow(&mut rpc, &run);
        assert_eq!(events.last().unwrap()["type"], "done", "{fault}: {events:?}");
        assert_eq!(product.last_request().user_messages(), said, "{fault}");
        let warnings = of_type(&events, "warning");
        let repaired: Vec<_> =
            warnings.iter().filter(|it| it["code"] == "session_repaired").collect();
        assert_eq!(repaired.is_empty(), opens, "{fault}: {events:?}");
        if let Some(warning) = repaired.first() {
            let words = warning["message"].as_str().unwrap();
            let backup = words.split(' ').next_back().unwrap();
            assert_eq!(std::fs::read(backup).unwrap(), broken, "{fault}: {words}");
        }
        product.daemon.restart();
    }
}

#[test]
fn a_description_that_cannot_be_read_is_put_aside() {
    let (product, id) = with_session("one");
    let path = folder(&product, &id).join("workspace.yaml");
    for garbage in [&[0; 200][..], b"", b"id: \"unclosed\n"] {
        std::fs::write(&path, garbage).unwrap();
        let told = sessions(&product, ["doctor", &id, "--json"]).expect_code(1).json();
        assert_eq!(faults(&told)[0], "workspace_unreadable");
        let fixed = sessions(&product, ["doctor", "--fix", &id, "--json"]).expect_code(0).json();
        let backup = PathBuf::from(health(&fixed)["backups"][0].as_str().unwrap());
        assert_eq!(std::fs::read(&backup).unwrap(), garbage);
        // Missing, it is made anew by the CLI.
        let told = sessions(&product, ["doctor", &id, "--json"]).expect_code(0).json();
        assert_eq!(faults(&told), ["workspace_missing"]);
    }
    // A run does the same by itself.
    std::fs::write(&path, [0; 200]).unwrap();
    let opens = product.chat(["two", "--resume", &id]).expect_code(0);
    assert!(opens.stderr.contains("workspace.yaml.before-repair-"), "{}", opens.stderr);
    assert_eq!(product.last_request().user_messages(), ["one", "two"]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(&id), "{text}");
}

#[test]
fn a_session_without_a_record_is_lost_and_can_be_removed() {
    let (product, id) = with_session("one");
    let path = events(&product, &id);
    for lost in [Some(&b""[..]), Some(&[0; 512]), None] {
        match lost {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        for args in [&["doctor", &id, "--json"][..], &["doctor", "--fix", &id, "--json"]] {
            let run = product.ctl().run(["sessions"].iter().chain(args)).expect_code(1).json();
            assert_eq!(health(&run)["state"], "lost", "{run}");
            assert!(health(&run)["hint"].as_str().unwrap().contains("sessions rm"), "{run}");
        }
        let fork = sessions(&product, ["fork", &id]).expect_code(1);
        assert!(fork.stderr.contains("nothing of session"), "{}", fork.stderr);
    }
    let _gone = sessions(&product, ["rm", "--yes", &id]).expect_code(0);
    assert!(!folder(&product, &id).exists());
}

#[test]
fn what_the_cli_looks_after_is_no_fault() {
    let (product, id) = with_session("one");
    let path = events(&product, &id);
    let lines = std::fs::read_to_string(&path).unwrap();
    let tool = json!({"toolCallId": "c", "toolName": "bash", "arguments": {}});
    let tool = format!(
        r#"{{"type":"tool.execution_start","data":{tool},"id":"00000000-0000-4000-8000-000000000001","timestamp":"2026-01-31T10:00:00.000Z","parentId":null}}"#
    );
    std::fs::write(&path, format!("{lines}{tool}\n")).unwrap();
    let locks = ["inuse.4194304.lock", "inuse.4194304.hold", "inuse.1.lock"];
    for lock in locks {
        std::fs::write(folder(&product, &id).join(lock), "").unwrap();
    }
    let told = sessions(&product, ["doctor", &id, "--json"]).expect_code(0).json();
    assert_eq!(health(&told)["state"], "sound", "{told}");
    assert_eq!(faults(&told), ["open_tool", "dead_lock"]);
    let fixed = sessions(&product, ["doctor", "--fix", "--json"]).expect_code(0).json();
    assert_eq!(health(&fixed)["state"], "sound", "all of them: {fixed}");
    for lock in locks {
        assert!(!folder(&product, &id).join(lock).exists(), "{lock}");
    }
    let _opens = product.chat(["two", "--resume", &id]).expect_code(0);
}

#[test]
fn a_broken_session_that_is_open_elsewhere_stays_and_is_forked() {
    let (product, id) = with_session("one");
    let other = elsewhere(&product, &id);
    let broken = break_it(&events(&product, &id), no_json);
    let fixed = sessions(&product, ["doctor", "--fix", &id, "--json"]).expect_code(1).json();
    assert_eq!(health(&fixed)["state"], "forked", "{fixed}");
    assert_eq!(std::fs::read(events(&product, &id)).unwrap(), broken);
    let fork = health(&fixed)["fork"].as_str().unwrap().to_owned();
    let _opens = product.chat(["mine", "--resume", &fork]).expect_code(0);
    assert_eq!(product.last_request().user_messages(), ["one", "from elsewhere", "mine"]);
    drop(other);
}

#[test]
fn a_broken_session_is_forked_from_what_can_be_read() {
    let (product, id) = with_session("one");
    std::fs::write(folder(&product, &id).join("plan.md"), "a plan").unwrap();
    for (fault, _, how) in FAULTS {
        let sound = std::fs::read(events(&product, &id)).unwrap();
        let broken = break_it(&events(&product, &id), how);
        let forked = sessions(&product, ["fork", &id, "--json"]).expect_code(0).json();
        assert_eq!(forked["by"], "copex", "{fault}: {forked}");
        assert_eq!(std::fs::read(events(&product, &id)).unwrap(), broken, "{fault}");
        let fork = forked["session"].as_str().unwrap();
        let plan = std::fs::read_to_string(folder(&product, fork).join("plan.md")).unwrap();
        assert_eq!(plan, "a plan");
        let chat = product.chat(["two", "--json", "--resume", fork]).expect_code(0).json();
        assert_eq!(chat["session"], json!(fork), "{fault}");
        assert_eq!(product.last_request().user_messages(), ["one", "two"], "{fault}");
        std::fs::write(events(&product, &id), sound).unwrap();
    }
}

#[test]
fn all_is_well_is_exit_0() {
    // The daemon was killed: its spares, in which nobody has spoken, are still there.
    let (product, id) = with_session("one");
    let report = sessions(&product, ["doctor", "--json"]).expect_code(0).json();
    let seen = report["sessions"].as_array().unwrap();
    assert!(seen.iter().all(|it| it["state"] == "sound"), "{report}");
    let list = sessions(&product, ["list", "--json"]).expect_code(0).json();
    assert_eq!(list["sessions"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["sessions"][0]["session"], json!(id));
    assert!(sessions(&product, ["doctor"]).ok().ends_with("looked at, 0 broken\n"));
    let empty = Product::start();
    let _nothing = sessions(&empty, ["doctor"]).expect_code(0);
}

/// A run whose daemon died while the model answered, in a session that is broken then.
fn interrupted(how: Break) -> (Product, Vec<Value>) {
    let (mut product, gate) = (Product::start(), Gate::new());
    let id = session(&product, "one");
    product.model.push(Reply::stream().say("half an").wait(&gate).hang());
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "two", json!({"session": {"resume": id}}));
    gate.wait_reached(1);
    let _killed = product.daemon.kill9();
    for (pid, _) in copex_tests::process::marked(product.daemon.sandbox().marker()) {
        // Its runtime, which would write on.
        let _gone = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
    break_it(&events(&product, &id), how);
    product.daemon.restart();
    let events = follow(&mut product.rpc(), &run);
    (product, events)
}

#[test]
fn a_turn_goes_on_in_a_session_that_was_repaired() {
    let (product, events) = interrupted(no_start);
    assert_eq!(events.last().unwrap()["type"], "done", "{events:?}");
    let warnings = of_type(&events, "warning");
    assert!(warnings.iter().any(|it| it["code"] == "session_repaired"), "{events:?}");
    assert_eq!(product.last_request().user_messages(), ["one", "two"], "said once");
}

#[test]
fn a_prompt_is_not_sent_again_where_nobody_can_tell_whether_it_was() {
    let (product, events) = interrupted(|lines| {
        let first = lines.iter().position(|line| line.contains("user.message")).unwrap();
        let mut lines = lines.to_vec();
        lines[first] = lines[first].replace("\"content\"", "\"contents\"");
        joined(&lines)
    });
    let end = events.last().unwrap();
    assert_eq!(end["type"], "blocked", "{events:?}");
    assert_eq!(end["error"]["class"], "session_corrupt", "{end}");
    assert!(end["error"]["hint"].as_str().unwrap().contains("sessions show"), "{end}");
    assert_eq!(product.model.requests().len(), 2, "nobody is asked again");
}

#[test]
fn a_run_leaves_a_transcript_of_another_kind_to_a_person() {
    let (product, id) = with_session("one");
    let foreign = |lines: &[String]| {
        let other = |line: &String| line.replace("\"timestamp\"", "\"at\"");
        let lines: Vec<_> =
            lines[..1].iter().cloned().chain(lines[1..].iter().map(other)).collect();
        joined(&lines)
    };
    let before = break_it(&events(&product, &id), foreign);
    let refused = product.chat(["two", "--resume", &id]).expect_code(3);
    assert!(refused.stderr.contains("copexctl sessions doctor"), "{}", refused.stderr);
    assert_eq!(std::fs::read(events(&product, &id)).unwrap(), before);
    assert_eq!(product.model.requests().len(), 1);
}
