//! Secrets in an answer that comes in pieces.
//!
//! A model writes a secret over several events, a few letters in each. So texts that belong
//! together (the same field of the same part of the answer) are judged joined, and what is
//! found is taken out of each event; after that the bytes are looked at as they are.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::core::redact::{Edit, Redactor, apply};

/// Fields that tell parts of an answer apart.
const INDEX: [&str; 5] = ["type", "index", "output_index", "content_index", "item_id"];

/// A `data:` line: where its document is, and the document.
struct Event {
    start: usize,
    end: usize,
    body: Value,
}

/// The pieces without secrets. Their number stays.
pub fn redact(redactor: &Redactor, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let whole = pieces.concat();
    let mut edits = Vec::new();
    if let Ok(mut body) = serde_json::from_slice::<Value>(&whole) {
        if redactor.value(&mut body) {
            edits.push(Edit { range: 0..whole.len(), text: body.to_string().into_bytes() });
        }
    } else {
        let mut events = events(&whole);
        let changed = clean(redactor, &mut events);
        for (event, _) in events.into_iter().zip(changed).filter(|(_, changed)| *changed) {
            let text = event.body.to_string().into_bytes();
            edits.push(Edit { range: event.start..event.end, text });
        }
    }
    let edited = apply(pieces, edits);
    redactor.pieces(&edited.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn events(whole: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut start = 0;
    for line in whole.split_inclusive(|byte| *byte == b'\n') {
        if let Some(data) = line.strip_prefix(b"data:")
            && let Ok(body) = serde_json::from_slice(data)
        {
            let end = start + line.trim_ascii_end().len();
            events.push(Event { start: start + b"data:".len(), end, body });
        }
        start += line.len();
    }
    events
}

/// Takes the secrets out of the events; says which ones changed.
fn clean(redactor: &Redactor, events: &mut [Event]) -> Vec<bool> {
    let mut texts: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
    for (at, event) in events.iter_mut().enumerate() {
        leaves(&mut event.body, String::new(), &mut |path, text| {
            texts.entry(path).or_default().push((at, std::mem::take(text)));
        });
    }
    let mut changed = vec![false; events.len()];
    let mut cleaned: BTreeMap<String, std::vec::IntoIter<String>> = BTreeMap::new();
    for (path, pieces) in texts {
        let bytes: Vec<&[u8]> = pieces.iter().map(|(_, text)| text.as_bytes()).collect();
        let clean = redactor.pieces(&bytes);
        let clean = clean.into_iter().map(|text| String::from_utf8_lossy(&text).into_owned());
        let clean: Vec<String> = clean.collect();
        for ((at, before), after) in pieces.iter().zip(&clean) {
            changed[*at] |= before != after;
        }
        cleaned.insert(path, clean.into_iter());
    }
    for event in events.iter_mut() {
        leaves(&mut event.body, String::new(), &mut |path, text| {
            *text = cleaned.get_mut(&path).and_then(Iterator::next).unwrap_or_default();
        });
        // Fields whose names say it all.
        changed.push(redactor.value(&mut event.body));
    }
    let named = changed.split_off(events.len());
    changed.iter().zip(named).map(|(text, named)| *text || named).collect()
}

/// Visits every text with the path of what it is a piece of.
fn leaves(value: &mut Value, path: String, visit: &mut impl FnMut(String, &mut String)) {
    match value {
        Value::String(text) => visit(path, text),
        Value::Array(items) => {
            for item in items {
                leaves(item, format!("{path}[]"), visit);
            }
        }
        Value::Object(fields) => {
            let mut path = path;
            for name in INDEX {
                match fields.get(name) {
                    Some(Value::String(text)) => path = format!("{path}<{text}>"),
                    Some(Value::Number(number)) => path = format!("{path}<{number}>"),
                    _ => {}
                }
            }
            for (name, field) in fields.iter_mut() {
                // They name the place; taken out, a second visit would not find it again.
                if !INDEX.contains(&name.as_str()) {
                    leaves(field, format!("{path}.{name}"), visit);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn said(stream: &[u8]) -> String {
        let words = |event: Event| {
            let delta = &event.body["choices"][0]["delta"];
            let call = &delta["tool_calls"][0]["function"]["arguments"];
            delta["content"].as_str().or(call.as_str()).unwrap_or_default().to_owned()
        };
        events(stream).into_iter().map(words).collect()
    }

    fn stream(deltas: &[Value]) -> String {
        let event = |delta: &Value| {
            format!("data: {}\n\n", json!({"id": "c", "choices": [{"index": 0, "delta": delta}]}))
        };
        deltas.iter().map(event).collect::<String>() + "data: [DONE]\n\n"
    }

    #[test]
    fn a_stream_without_secrets_stays_byte_for_byte() {
        let text = stream(&[json!({"role": "assistant"}), json!({"content": "hé\"llo"})]);
        let (a, b) = text.as_bytes().split_at(70);
        assert_eq!(redact(&Redactor::new(["absent-key"]), &[a, b]), [a, b]);
    }

    #[test]
    fn arguments_of_two_tools_are_not_mixed_up() {
        let call = |index: u32, text: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]});
        let text = stream(&[call(0, "the-"), call(1, "other"), call(0, "key-1")]);
        let clean = redact(&Redactor::new(["the-key-1"]), &[text.as_bytes()]).concat();
        assert_eq!(said(&clean), "[redacted]other");
    }

    #[test]
    fn a_document_is_cleaned_as_one() {
        let text = json!({"error": {"message": "bad key the-key-1 given"}}).to_string();
        let (a, b) = text.as_bytes().split_at(33);
        let clean = redact(&Redactor::new(["the-key-1"]), &[a, b]).concat();
        let clean: Value = serde_json::from_slice(&clean).unwrap();
        assert_eq!(clean["error"]["message"], "bad key [redacted] given");
    }

    proptest! {
        #[test]
        fn a_key_is_found_however_it_is_cut(
            key in "[!-~]{8,30}",
            before in "[a-z \"é]{0,20}",
            after in "[a-z \"é]{0,20}",
            words in prop::collection::vec(1usize..9, 1..20),
            cuts in prop::collection::vec(0usize..3000, 0..20),
        ) {
            prop_assume!(!crate::core::redact::MARK.contains(&key));
            // In events of a few letters each …
            let said_before: Vec<char> = format!("{before}{key}{after}").chars().collect();
            let mut deltas = Vec::new();
            let (mut at, mut word) = (0, words.iter().cycle());
            while at < said_before.len() {
                let end = (at + word.next().unwrap()).min(said_before.len());
                deltas.push(json!({"content": String::from_iter(&said_before[at..end])}));
                at = end;
            }
            let text = stream(&deltas);
            // … which arrive in pieces that end anywhere.
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let bytes = text.as_bytes();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let clean = redact(&Redactor::new([key.as_str()]), &pieces);
            prop_assert_eq!(clean.len(), pieces.len());
            let clean = clean.concat();
            prop_assert!(!said(&clean).contains(&key), "{}", said(&clean));
            prop_assert_eq!(
                said(&clean),
                format!("{before}{}{after}", crate::core::redact::MARK)
            );
            prop_assert!(!String::from_utf8(clean).unwrap().contains(&key));
        }
    }
}
