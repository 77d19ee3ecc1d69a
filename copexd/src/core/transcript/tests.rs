use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

fn record(number: u64, kind: &str, data: &Value) -> String {
    let parent = number.checked_sub(1).map(id);
    json!({
        "type": kind, "data": data, "id": id(number), "parentId": parent,
        "timestamp": "2026-01-31T10:00:00.000Z",
    })
    .to_string()
}

/// A record with its fields in the CLI's order.
fn written(number: u64, kind: &str, data: &Value) -> String {
    let value: Value = serde_json::from_str(&record(number, kind, data)).unwrap();
    let (id, parent, at) = (&value["id"], &value["parentId"], &value["timestamp"]);
    format!(r#"{{"type":"{kind}","data":{data},"id":{id},"timestamp":{at},"parentId":{parent}}}"#)
}

fn start() -> String {
    let data = json!({"sessionId": "s", "version": 1, "producer": "p", "copilotVersion": "1", "startTime": "2026-01-31T10:00:00.000Z"});
    written(0, "session.start", &data)
}

fn lines() -> Vec<String> {
    vec![
        start(),
        written(1, "user.message", &json!({"content": "hi"})),
        written(2, "assistant.turn_start", &json!({"turnId": "0"})),
        written(3, "assistant.message", &json!({"messageId": "m", "content": "you"})),
        written(4, "assistant.turn_end", &json!({"turnId": "0"})),
    ]
}

fn text(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
}

fn known() -> Known {
    Known { session: "s".to_owned(), cwd: Some("/x".to_owned()), fresh_id: id(99) }
}

fn faults(bytes: &[u8]) -> Vec<(Fault, Option<u64>, u64)> {
    let (verdict, _) = mend(bytes, &known());
    verdict.findings.iter().map(|it| (it.fault, it.line, it.count)).collect()
}

fn mended(bytes: &[u8]) -> Vec<u8> {
    mend(bytes, &known()).1.expect("something to mend")
}

#[test]
fn a_sound_transcript_is_left_alone() {
    let sound = text(&lines());
    assert_eq!(mend(&sound, &known()).1, None);
    assert_eq!(faults(&sound), []);
    // Without its last line end, with the line ends of another system, and with what only a
    // later CLI knows.
    assert_eq!(faults(&sound[..sound.len() - 1]), []);
    assert_eq!(faults(&text(&lines().iter().map(|it| format!("{it}\r")).collect::<Vec<_>>())), []);
    let mut newer = lines();
    newer.insert(2, json!({"type": "hologram.begun"}).to_string());
    newer.insert(3, "[1]".to_owned());
    newer.insert(4, String::new());
    assert_eq!(faults(&text(&newer)), []);
}

#[test]
fn a_torn_end_and_zeros_are_left_out() {
    let sound = text(&lines());
    let torn = [&sound[..], b"{\"type\":\"user.mess"].concat();
    assert_eq!(faults(&torn), [(Fault::TornEnd, Some(6), 1)]);
    assert_eq!(mended(&torn), sound);
    let zeros = [&sound[..], &[0; 4096]].concat();
    assert_eq!(faults(&zeros), [(Fault::Nuls, Some(6), 1)]);
    assert_eq!(mended(&zeros), sound);
}

#[test]
fn a_record_behind_a_torn_one_or_behind_zeros_is_kept() {
    let (all, last) = (lines(), written(5, "user.message", &json!({"content": "again"})));
    let mut wanted = all.clone();
    wanted.push(last.clone());
    for gap in [&b"{\"type\":\"assistant.mess"[..], &[0; 512], all[1].as_bytes()] {
        let bytes = [&text(&all)[..], gap, last.as_bytes(), b"\n"].concat();
        let mended = mended(&bytes);
        assert!(mended.ends_with(
            last.as_bytes().iter().chain(b"\n").copied().collect::<Vec<_>>().as_slice()
        ));
        assert_eq!(faults(&mended), []);
    }
    // What a record holds inside is no record.
    let nested = json!({"content": "x", "attachments": [{"type": "file", "path": "/x"}]});
    let whole = written(5, "user.message", &nested);
    let torn = [&text(&all)[..], &whole.as_bytes()[..whole.len() - 4], b"\n"].concat();
    assert_eq!(mended(&torn), text(&all));
}

#[test]
fn a_line_in_the_middle_that_is_no_record_is_left_out() {
    let mut all = lines();
    all.insert(2, "not json".to_owned());
    all.insert(4, "{\"half".to_owned());
    assert_eq!(faults(&text(&all)), [(Fault::Unreadable, Some(3), 2)]);
    assert_eq!(mended(&text(&all)), text(&lines()));
}

#[test]
fn a_record_that_makes_the_cli_refuse_the_session_is_left_out() {
    let good: Value = serde_json::from_str(&lines()[1]).unwrap();
    let without = |field: &str| {
        let mut value = good.clone();
        value.as_object_mut().unwrap().remove(field);
        value
    };
    let with = |field: &str, to: Value| {
        let mut value = good.clone();
        value[field] = to;
        value
    };
    let misfits = [
        without("id"),
        without("parentId"),
        without("timestamp"),
        without("data"),
        with("id", json!("no-uuid")),
        with("id", json!("00000000000040008000000000000001")),
        with("timestamp", json!("2026-01-31")),
        with("timestamp", json!("2026-01-31 10:00:00+01:00")),
        with("data", json!({})),
        with("data", json!({"content": {}})),
        with("data", json!(null)),
    ];
    for misfit in misfits {
        let mut all = lines();
        all.insert(3, misfit.to_string());
        assert_eq!(faults(&text(&all)), [(Fault::Misfit, Some(4), 1)], "{misfit}");
        assert_eq!(mended(&text(&all)), text(&lines()), "{misfit}");
    }
}

#[test]
fn a_lost_beginning_is_made_anew_from_what_follows() {
    let rest = text(&lines()[1..]);
    for bytes in [rest.clone(), [&start().as_bytes()[..30], b"\n", &rest].concat()] {
        assert!(faults(&bytes).contains(&(Fault::NoStart, Some(1), 1)));
        let mended = mended(&bytes);
        assert!(mended.ends_with(&rest));
        assert_eq!(faults(&mended), []);
        let first: Value =
            serde_json::from_slice(mended.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
        assert_eq!(first["id"], id(0), "it is what the next one follows");
        assert_eq!(first["data"]["sessionId"], "s");
        assert_eq!(first["data"]["context"]["cwd"], "/x");
    }
}

#[test]
fn a_transcript_without_a_record_is_lost() {
    for bytes in [&b""[..], b"\n\n", &[0; 64], b"{\"type\":"] {
        let (verdict, mended) = mend(bytes, &known());
        assert!(verdict.findings.iter().any(|it| it.fault == Fault::NoEvents));
        assert_eq!((verdict.weight(), verdict.mendable(), mended), (Weight::Breaks, false, None));
    }
}

#[test]
fn an_open_tool_is_told_and_left_to_the_cli() {
    let mut all = lines();
    let call = json!({"toolCallId": "c", "toolName": "bash"});
    all.push(written(5, "tool.execution_start", &call));
    assert_eq!(faults(&text(&all)), [(Fault::OpenTool, Some(6), 1)]);
    assert_eq!(mend(&text(&all), &known()).1, None);
    all.push(written(6, "tool.execution_complete", &json!({"toolCallId": "c", "success": true})));
    assert_eq!(faults(&text(&all)), []);
}

#[test]
fn the_first_record_takes_another_name() {
    let line = named(start().as_bytes(), "t").unwrap();
    let value: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(value["data"]["sessionId"], "t");
    assert_eq!(named(lines()[1].as_bytes(), "t"), None);
    assert_eq!(named(b"{half", "t"), None);
}

proptest! {
    /// Whatever is cut off, the repair keeps every whole record before it and is sound.
    #[test]
    fn a_cut_anywhere_keeps_what_is_whole(at in 0_usize..2_000) {
        let sound = text(&lines());
        let cut = &sound[..at.min(sound.len())];
        let whole = cut.split(|byte| *byte == b'\n').count() - 1;
        let (verdict, mended) = mend(cut, &known());
        prop_assert!(verdict.events >= whole as u64);
        if let Some(mended) = mended {
            prop_assert_eq!(faults(&mended), []);
            prop_assert!(mended.starts_with(&text(&lines()[..whole])));
        }
    }

    /// Any bytes written over any place: the repair is sound, and a second one has no work.
    #[test]
    fn what_was_mended_is_sound(at in 0_usize..1_000, junk in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut bytes = text(&lines());
        let at = at.min(bytes.len());
        let end = (at + junk.len()).min(bytes.len());
        bytes.splice(at..end, junk);
        let (verdict, mended) = mend(&bytes, &known());
        match mended {
            Some(mended) => {
                let (again, rest) = mend(&mended, &known());
                prop_assert_eq!(again.weight(), Weight::Harmless);
                prop_assert_eq!(rest, None);
            }
            None => prop_assert!(verdict.weight() == Weight::Harmless || !verdict.mendable()),
        }
    }
}
