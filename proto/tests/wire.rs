//! The frames that clients and daemons of version 1 exchange, kept for ever.
//!
//! `golden/*.json` holds one frame per type. Each must be read by the types of today and
//! written again as it was. `UPDATE=1` writes frames that are missing; it never changes
//! one: a frame that does not fit any more is a broken promise, not an old test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod samples;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use copex_proto::event::EventBody;
use copex_proto::run::RunRequest;
use serde_json::{Value, json};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[expect(clippy::disallowed_methods, reason = "the developer's own switch, in a test")]
fn update() -> bool {
    std::env::var_os("UPDATE").is_some()
}

#[test]
fn frames_are_read_and_written_as_ever() {
    for frame in samples::all() {
        let path = folder().join(format!("{}.v1.json", frame.name));
        if !path.exists() && update() {
            let text = serde_json::to_string_pretty(&frame.sample).unwrap();
            std::fs::write(&path, format!("{text}\n")).unwrap();
        }
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; UPDATE=1 writes it", path.display()));
        let golden: Value = serde_json::from_str(&text).unwrap();
        let again = (frame.again)(golden.clone())
            .unwrap_or_else(|error| panic!("{} is not read any more: {error}", frame.name));
        assert_eq!(again, golden, "{} is written differently", frame.name);
    }
}

#[test]
fn every_kept_frame_is_still_tested() {
    let known: BTreeSet<_> =
        samples::all().into_iter().map(|frame| format!("{}.v1.json", frame.name)).collect();
    let kept: BTreeSet<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(kept.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn every_event_type_and_mode_has_a_frame() {
    let names: BTreeSet<_> = samples::all().into_iter().map(|frame| frame.name).collect();
    let tags = |schema: schemars::Schema, tag: &str| -> Vec<String> {
        let branches = schema.get("oneOf").and_then(Value::as_array).cloned().unwrap();
        let constant =
            |branch: &Value| branch["properties"][tag]["const"].as_str().map(str::to_owned);
        branches.iter().filter_map(constant).collect()
    };
    let events = tags(schemars::schema_for!(EventBody), "type");
    assert!(events.len() > 25, "{events:?}");
    let expected = |event: &&String| event.as_str() != "unknown";
    for event in events.iter().filter(expected) {
        assert!(names.contains(&format!("event.{event}")), "no frame for event {event}");
    }
    for mode in tags(schemars::schema_for!(RunRequest), "mode") {
        assert!(names.contains(&format!("request.{mode}")), "no frame for mode {mode}");
    }
}

#[test]
fn no_event_hides_a_field_that_all_events_have() {
    let schema = serde_json::to_value(schemars::schema_for!(EventBody)).unwrap();
    let shared = ["run", "seq", "at", "path"];
    let mut shadowing = Vec::new();
    for branch in schema["oneOf"].as_array().unwrap() {
        let mut fields = branch["properties"].as_object().cloned().unwrap_or_default();
        if let Some(target) = branch["$ref"].as_str() {
            let target = schema.pointer(target.trim_start_matches('#')).unwrap();
            fields.extend(target["properties"].as_object().cloned().unwrap_or_default());
        }
        if shared.iter().any(|name| fields.contains_key(*name)) {
            shadowing.push(fields["type"]["const"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(shadowing, Vec::<String>::new());
}

#[test]
fn a_misspelt_option_is_refused_with_the_right_one() {
    for (mode, wrong, right) in [
        ("chat", "promt", "prompt"),
        ("chat", "reasoning_efort", "reasoning_effort"),
        ("ralph", "max_iteration", "max_iterations"),
        ("fleet", "max_concurent", "max_concurrent"),
    ] {
        let request = json!({"mode": mode, wrong: 1});
        let error = serde_json::from_value::<RunRequest>(request).unwrap_err().to_string();
        assert!(error.contains(&format!("unknown field `{wrong}`")), "{error}");
        assert!(error.contains(&format!("did you mean `{right}`?")), "{error}");
    }
    let error = serde_json::from_value::<RunRequest>(json!({"mode": "chat", "zzz": 1}));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("`zzz`") && !error.contains("did you mean"), "{error}");
}

#[test]
fn a_newer_daemons_fields_and_types_are_skipped() {
    for frame in samples::all().into_iter().filter(|frame| frame.name.starts_with("event.")) {
        let mut newer = frame.sample.clone();
        newer["hologram"] = json!({"depth": 3});
        let again = (frame.again)(newer).unwrap();
        assert_eq!(again, frame.sample, "{}", frame.name);
    }
}
