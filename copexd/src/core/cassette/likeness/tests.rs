use serde_json::json;

use super::*;
use crate::core::cassette::tests::cassette;

fn like(body: &Value) -> Likeness {
    Likeness::of("POST", "/v1/chat/completions", body)
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn asks(model: &str, messages: &[Value]) -> Value {
    json!({"model": model, "messages": messages})
}

fn tool_turn(call: &str, result: &str) -> Vec<Value> {
    let function = json!({"name": "bash", "arguments": "{}"});
    vec![
        user("go"),
        json!({"role": "assistant", "tool_calls": [{"id": call, "function": function}]}),
        json!({"role": "tool", "tool_call_id": call, "content": result}),
    ]
}

#[test]
fn what_changes_by_itself_does_not_count() {
    let one = asks(
        "m",
        &[
            json!({"role": "system", "content": "You are in a folder."}),
            user(
                "<current_datetime>2026-01-01</current_datetime>\n\nhi 0198c7f2-0000-7000-8000-00000000000a",
            ),
        ],
    );
    let other = asks(
        "m",
        &[
            json!({"role": "system", "content": "You are elsewhere."}),
            json!({"role": "user", "content": [{
                "type": "text", "cache_control": {"type": "ephemeral"},
                "text": "<current_datetime>2027-07-07</current_datetime>\n\nhi 11111111-2222-3333-4444-555555555555\n<reminder>x</reminder>",
            }]}),
        ],
    );
    assert_eq!(like(&one), like(&other));
}

#[test]
fn model_words_and_order_count() {
    let base = asks("m", &[user("a"), user("b")]);
    for other in [
        asks("n", &[user("a"), user("b")]),
        asks("m", &[user("b"), user("a")]),
        asks("m", &[user("a")]),
        asks("m", &[user("a"), user("b2")]),
    ] {
        assert_ne!(like(&base), like(&other), "{other}");
    }
}

#[test]
fn calls_are_numbered_and_their_results_compared() {
    let a = like(&asks("m", &tool_turn("call_1", "ok")));
    assert_eq!(a, like(&asks("m", &tool_turn("call_xyz", "ok"))));
    let b = like(&asks("m", &tool_turn("call_1", "other")));
    assert_ne!(a, b);
    assert!(a.resembles(&b));
    let mut crossed = tool_turn("call_1", "ok");
    crossed[2]["tool_call_id"] = json!("another");
    assert_ne!(a, like(&asks("m", &crossed)));
}

#[test]
fn the_other_dialects_have_conversations_too() {
    let responses = |call: &str, output: &str| {
        json!({"model": "m", "instructions": "x", "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]},
            {"type": "function_call", "id": "fc_1", "call_id": call, "name": "bash", "arguments": "{}"},
            {"type": "function_call_output", "call_id": call, "output": output},
        ]})
    };
    assert_eq!(like(&responses("a", "ok")), like(&responses("b", "ok")));
    assert_ne!(like(&responses("a", "ok")), like(&responses("a", "no")));
    assert!(like(&responses("a", "ok")).resembles(&like(&responses("a", "no"))));
    let anthropic = |call: &str, output: &str| {
        json!({"model": "m", "system": "x", "messages": [
            {"role": "user", "content": [{"type": "text", "text": "go"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": call, "name": "bash", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": output}]},
        ]})
    };
    assert_eq!(like(&anthropic("a", "ok")), like(&anthropic("b", "ok")));
    assert_ne!(like(&anthropic("a", "ok")), like(&anthropic("a", "no")));
    assert!(like(&anthropic("a", "ok")).resembles(&like(&anthropic("a", "no"))));
}

#[test]
fn equal_requests_are_given_in_order_and_once() {
    let mut deck = Deck::of(&cassette(&[
        asks("m", &[user("a")]),
        asks("m", &[user("b")]),
        asks("m", &[user("a")]),
    ]));
    let asked = like(&asks("m", &[user("a")]));
    assert_eq!(deck.deal(&asked), Ok(Dealt { index: 0, exact: true }));
    assert_eq!(deck.deal(&asked), Ok(Dealt { index: 2, exact: true }));
    let why = deck.deal(&asked).unwrap_err();
    assert!(
        why.contains("more often") && why.contains("2 times") && why.contains("\"a\""),
        "{why}"
    );
}

#[test]
fn what_is_not_recorded_is_named_with_its_neighbour() {
    let mut deck = Deck::of(&cassette(&[
        asks("m", &[user("one thing")]),
        asks("m", &tool_turn("c", "ok")),
        asks("n", &[user("go"), user("x")]),
    ]));
    let why = deck.deal(&like(&asks("m", &[user("go"), user("else")]))).unwrap_err();
    assert!(why.contains("m after 2 messages, the last from user: \"else\""), "{why}");
    assert!(why.contains("line 3"), "{why}");
    assert!(why.contains("from tool"), "{why}");
}

#[test]
fn a_tool_that_gives_back_something_else_is_forgiven_once_nothing_fits() {
    let mut deck = Deck::of(&cassette(&[
        asks("m", &tool_turn("c", "first")),
        asks("m", &tool_turn("c", "second")),
    ]));
    let second = like(&asks("m", &tool_turn("c", "second")));
    assert_eq!(deck.deal(&second), Ok(Dealt { index: 1, exact: true }));
    let third = like(&asks("m", &tool_turn("c", "third")));
    assert_eq!(deck.deal(&third), Ok(Dealt { index: 0, exact: false }));
    assert!(deck.deal(&third).is_err());
}

#[test]
fn questions_without_a_conversation_are_answered_again() {
    let mut models = cassette(&[Value::Null]);
    models.exchanges[0].request.method = "GET".to_owned();
    models.exchanges[0].request.path = "/v1/models".to_owned();
    let mut deck = Deck::of(&models);
    let asked = Likeness::of("GET", "/models", &Value::Null);
    assert_eq!(deck.deal(&asked).unwrap().index, 0);
    assert_eq!(deck.deal(&asked).unwrap().index, 0);
    assert!(deck.deal(&Likeness::of("GET", "/agents", &Value::Null)).is_err());
}
