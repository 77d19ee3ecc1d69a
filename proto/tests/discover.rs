//! The OpenRPC document says what the trait says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use copex_proto::discover::{ERRORS, openrpc};
use serde_json::Value;

const API: &str = include_str!("../src/api.rs");
const ERROR: &str = include_str!("../src/error.rs");

/// One method as the trait's source states it.
#[derive(Debug, PartialEq, Eq)]
struct Stated {
    name: String,
    summary: String,
    /// Names, and whether each is required.
    params: Vec<(String, bool)>,
    /// Notification and unsubscribe.
    subscription: Option<(String, String)>,
}

fn quoted(text: &str, before: &str) -> Option<String> {
    let rest = &text[text.find(before)? + before.len()..];
    let rest = &rest[rest.find('"')? + 1..];
    Some(rest[..rest.find('"')?].to_owned())
}

fn stated() -> Vec<Stated> {
    let body = &API[API.find("pub trait").unwrap()..];
    let mut methods = Vec::new();
    let mut summary = Vec::new();
    let mut lines = body.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            summary.push(text.trim().to_owned());
        } else if line.starts_with("#[") {
            let mut signature = String::new();
            while !signature.contains(';') {
                signature.push_str(lines.next().unwrap().trim());
            }
            let arguments = &signature[signature.find('(').unwrap() + 1..];
            let arguments = &arguments[..arguments.find(')').unwrap()];
            let param = |text: &str| {
                let (name, kind) = text.split_once(": ")?;
                Some((name.trim().to_owned(), !kind.starts_with("Option<")))
            };
            methods.push(Stated {
                name: quoted(line, "name = ").unwrap(),
                summary: summary.join(" "),
                params: arguments.split(',').filter_map(param).collect(),
                subscription: quoted(line, "=> ").zip(quoted(line, "unsubscribe = ")),
            });
            summary.clear();
        }
    }
    methods
}

fn documented() -> Vec<Stated> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let document = openrpc();
    let method = |method: &Value| Stated {
        name: text(&method["name"]),
        summary: text(&method["summary"]),
        params: method["params"]
            .as_array()
            .unwrap()
            .iter()
            .map(|param| (text(&param["name"]), param["required"] == true))
            .collect(),
        subscription: method.get("x-subscription").map(|subscription| {
            (text(&subscription["notification"]), text(&subscription["unsubscribe"]))
        }),
    };
    document["methods"].as_array().unwrap().iter().map(method).collect()
}

#[test]
fn the_document_and_the_trait_agree() {
    let (mut stated, mut documented) = (stated(), documented());
    stated.sort_by(|a, b| a.name.cmp(&b.name));
    documented.sort_by(|a, b| a.name.cmp(&b.name));
    for (stated, documented) in stated.iter().zip(&documented) {
        assert_eq!(stated, documented);
    }
    assert_eq!(stated.len(), documented.len());
}

#[test]
fn every_error_code_is_in_the_document() {
    let stated: BTreeSet<i32> = ERROR
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub const ")?.split_once(": i32 = "))
        .map(|(_, number)| number.trim_end_matches(';').parse().unwrap())
        .collect();
    let documented: BTreeSet<i32> = ERRORS.iter().map(|(code, _, _)| *code).collect();
    assert_eq!(stated, documented);
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    if let ("$ref", Some(target)) = (name.as_str(), field.as_str()) {
                        found.push(target.to_owned());
                    }
                    walk(field, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let document = openrpc();
    let mut references = Vec::new();
    walk(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}
