use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::backend::spec::{ProviderSpec, RuntimeSpec};
use crate::core::cassette::{End, Headers, How, Request};

pub(in crate::backend) fn spec() -> SessionSpec {
    let headers = [("x-team", "red-and-blue"), ("x-gateway-token", "gateway-secret")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    SessionSpec {
        runtime: RuntimeSpec {
            cli_path: None,
            env: BTreeMap::new(),
            secret_env: BTreeMap::from([("GH_TOKEN".to_owned(), SecretText::new("gh-secret"))]),
            demo: false,
        },
        cwd: "/".into(),
        model: None,
        effort: None,
        provider: Some(ProviderSpec {
            kind: "anthropic".to_owned(),
            base_url: "http://h".to_owned(),
            wire_api: None,
            key: Some(SecretText::new("key-secret")),
            bearer: false,
            azure_api_version: None,
            headers: headers.into(),
            max_prompt_tokens: None,
        }),
        system_message: None,
        available_tools: None,
        excluded_tools: Vec::new(),
        skill_directories: Vec::new(),
        disabled_skills: Vec::new(),
        built_in_skills: None,
        mcp_servers: BTreeMap::new(),
        streaming: true,
        context_budget: None,
        tape: None,
        cli: None,
    }
}

fn exchange(prompt: &str) -> Exchange {
    let request = Request {
        at_ms: 0,
        method: "POST".to_owned(),
        path: "/v1/messages".to_owned(),
        model: Some("m".to_owned()),
        headers: Headers::new(),
        body: serde_json::json!({"model": "m", "messages": [{"role": "user", "content": prompt}]}),
    };
    Exchange { request, response: None, end: End { at_ms: 1, how: How::Left } }
}

fn open(file: &Path, run: &str) -> Result<Recorder, NotRecording> {
    Recorder::open(file, run, Some("1.0.102".to_owned()), &spec())
}

#[test]
fn what_was_recorded_can_be_loaded_and_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.jsonl");
    check_new(&file).unwrap();
    let recorder = open(&file, "r1").unwrap();
    recorder.write(&exchange("one")).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let loaded = load(&file).unwrap();
    assert_eq!(loaded.header.run, "r1");
    assert_eq!(loaded.header.dialect.kind, "anthropic");
    assert_eq!(loaded.exchanges, [exchange("one")]);
}

#[test]
fn the_same_run_goes_on_and_another_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.jsonl");
    open(&file, "r1").unwrap().write(&exchange("one")).unwrap();
    // What a killed daemon leaves.
    let mut half = OpenOptions::new().append(true).open(&file).unwrap();
    half.write_all(b"{\"request\":").unwrap();
    assert!(load(&file).unwrap_err().message.contains("line 3 is cut off"));
    open(&file, "r1").unwrap().write(&exchange("two")).unwrap();
    assert_eq!(load(&file).unwrap().exchanges, [exchange("one"), exchange("two")]);

    let before = std::fs::read(&file).unwrap();
    let refused = open(&file, "r2").unwrap_err();
    assert!(
        matches!(refused, NotRecording::Refused(failure) if failure.class == FailureClass::Usage)
    );
    std::fs::write(folder.path().join("notes"), "mine").unwrap();
    assert!(matches!(open(&folder.path().join("notes"), "r1"), Err(NotRecording::Refused(_))));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert!(check_new(&file).unwrap_err().message.contains("is there already"));
}

#[test]
fn a_recording_that_cannot_go_on_says_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.jsonl");
    let recorder = open(&file, "r1").unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(recorder.write(&exchange("one")).is_err());
    assert_eq!(recorder.write(&exchange("two")), Ok(()));
    assert!(!file.exists(), "it is not made anew");
    assert!(!recorder.stop(), "it had stopped already");
    let nowhere = folder.path().join("absent/a.jsonl");
    assert!(check_new(&nowhere).unwrap_err().message.contains("folder"));
    assert!(matches!(open(&nowhere, "r1"), Err(NotRecording::Impossible(_))));
}

#[test]
fn a_recording_is_bounded_and_stays_readable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.jsonl");
    let recorder = open(&file, "r1").unwrap();
    recorder.write(&exchange("one")).unwrap();
    let grown = OpenOptions::new().write(true).open(&file).unwrap();
    let length = grown.metadata().unwrap().len();
    grown.set_len(MOST_BYTES - 10).unwrap();
    let why = recorder.write(&exchange("two")).unwrap_err();
    assert!(why.contains("64 MiB"), "{why}");
    assert_eq!(grown.metadata().unwrap().len(), MOST_BYTES - 10);
    grown.set_len(length).unwrap();
    assert_eq!(load(&file).unwrap().exchanges.len(), 1);
    grown.set_len(MOST_BYTES + 1).unwrap();
    assert!(load(&file).unwrap_err().message.contains("larger than 64 MiB"));
}

#[test]
fn a_full_disk_leaves_no_half_line() {
    // Every write to it fails as on a full disk; it cannot be cut either.
    let why = append(Path::new("/dev/full"), b"line\n").unwrap_err();
    assert!(why.contains("No space left"), "{why}");
}

#[test]
fn every_secret_of_a_session_is_known() {
    let spec = spec();
    assert_eq!(secrets(&spec), ["key-secret", "gateway-secret", "gh-secret"]);
}
