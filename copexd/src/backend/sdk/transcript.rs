//! What a session's own transcript says of a turn.

use github_copilot_sdk::SessionEvent;

use crate::core::machine::Found;

/// User messages in a transcript. What the CLI injects by itself (skills, notifications)
/// is marked with a source and does not count.
pub fn user_messages(events: &[SessionEvent]) -> u64 {
    events.iter().filter(|event| is_prompt(event)).count() as u64
}

/// What users said after the prompt that comes after `before` others, in order.
pub fn said(events: &[SessionEvent], before: u64) -> Vec<String> {
    let after = usize::try_from(before).unwrap_or(usize::MAX).saturating_add(1);
    let prompts = events.iter().filter(|event| is_prompt(event)).skip(after);
    prompts.map(|event| words(event).to_owned()).collect()
}

/// What the transcript has of the turn whose prompt comes after `before` others.
///
/// The turn has ended when its last `assistant.turn_end` follows its last message and
/// that message calls no tool; a `session.error` after the prompt leaves it unfinished,
/// since a turn that failed can be run again. A turn that another prompt followed belongs to
/// the past: what it did not say it will not say, and its prompt would have to be sent anew.
/// What is among `steers` was said to this turn and is no other's prompt.
pub fn look(events: &[SessionEvent], before: u64, steers: &[String]) -> Found {
    let mut prompts = 0;
    let start = events.iter().position(|event| {
        prompts += u64::from(is_prompt(event));
        prompts > before
    });
    let Some(start) = start else { return Found::Nothing };
    let steers =
        |event: &SessionEvent| steers.iter().any(|steer| steer.trim() == words(event).trim());
    let another = |event: &SessionEvent| is_prompt(event) && !steers(event);
    let next = events[start + 1..].iter().position(another).map(|next| start + 1 + next);
    let turn = &events[start..next.unwrap_or(events.len())];
    let mut messages = Vec::new();
    let mut ended = false;
    for event in turn.iter().filter(|event| event.agent_id.is_none()) {
        match event.event_type.as_str() {
            "assistant.message" => {
                let text = event.data["content"].as_str().unwrap_or_default();
                messages.push(text.to_owned());
                ended = false;
                let tools = event.data["toolRequests"].as_array();
                calls_tools(&mut messages, tools.is_some_and(|tools| !tools.is_empty()));
            }
            "assistant.turn_end" => ended = messages.last().is_some_and(|last| !last.is_empty()),
            "user.message" if is_prompt(event) => {
                // What was said after the first answer waits for its own.
                ended = false;
                calls_tools(&mut messages, true);
            }
            "assistant.turn_start" | "tool.execution_start" | "session.error" | "abort" => {
                ended = false;
            }
            _ => {}
        }
    }
    if ended {
        messages.retain(|text| !text.is_empty());
        return Found::Finished { messages };
    }
    match next {
        Some(_) => Found::Nothing,
        None => Found::Unfinished { waiting: Vec::new() },
    }
}

/// A message that calls tools is not the last of its turn: mark its end with an empty one.
fn calls_tools(messages: &mut Vec<String>, calls: bool) {
    if calls {
        messages.push(String::new());
    }
}

fn words(event: &SessionEvent) -> &str {
    event.data["content"].as_str().unwrap_or_default()
}

fn is_prompt(event: &SessionEvent) -> bool {
    event.event_type == "user.message"
        && event.agent_id.is_none()
        && event.data["source"].as_str().is_none_or(|source| source == "user")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn events(list: &[(&str, Value)]) -> Vec<SessionEvent> {
        list.iter()
            .map(|(kind, data)| {
                let event =
                    json!({"id":"", "timestamp":"", "parentId":null, "type":kind, "data":data});
                serde_json::from_value(event).unwrap()
            })
            .collect()
    }

    fn answer(text: &str) -> (&'static str, Value) {
        ("assistant.message", json!({"content": text, "toolRequests": []}))
    }

    const PROMPT: &str = "user.message";

    #[test]
    fn a_prompt_that_never_arrived_is_sent_for_the_first_time() {
        let earlier =
            events(&[(PROMPT, json!({})), answer("a"), ("assistant.turn_end", json!({}))]);
        assert_eq!(user_messages(&earlier), 1);
        assert_eq!(look(&earlier, 1, &[]), Found::Nothing);
        assert_eq!(look(&[], 0, &[]), Found::Nothing);
    }

    #[test]
    fn an_ended_turn_gives_its_messages() {
        let all = events(&[
            (PROMPT, json!({})),
            ("assistant.turn_start", json!({})),
            (
                "assistant.message",
                json!({"content": "looking", "toolRequests": [{"name": "bash"}]}),
            ),
            ("tool.execution_start", json!({})),
            ("assistant.turn_end", json!({})),
            ("assistant.turn_start", json!({})),
            answer("found"),
            ("assistant.turn_end", json!({})),
        ]);
        let messages = vec!["looking".to_owned(), "found".to_owned()];
        assert_eq!(look(&all, 0, &[]), Found::Finished { messages });
        assert_eq!(look(&all[..5], 0, &[]), Found::Unfinished { waiting: Vec::new() });
        assert_eq!(look(&all[..7], 0, &[]), Found::Unfinished { waiting: Vec::new() });
    }

    #[test]
    fn a_failed_turn_is_unfinished() {
        let failed = events(&[
            (PROMPT, json!({})),
            ("assistant.turn_start", json!({})),
            ("assistant.turn_end", json!({})),
            ("session.error", json!({})),
        ]);
        assert_eq!(look(&failed, 0, &[]), Found::Unfinished { waiting: Vec::new() });
    }

    #[test]
    fn the_answer_to_a_later_prompt_is_not_ours() {
        let other = |ours: &[(&'static str, Value)]| {
            let mut all = vec![(PROMPT, json!({}))];
            all.extend_from_slice(ours);
            all.extend([(PROMPT, json!({})), answer("b"), ("assistant.turn_end", json!({}))]);
            look(&events(&all), 0, &[])
        };
        assert_eq!(other(&[]), Found::Nothing);
        let ended = [answer("a"), ("assistant.turn_end", json!({}))];
        assert_eq!(other(&ended), Found::Finished { messages: vec!["a".to_owned()] });
    }

    #[test]
    fn what_the_cli_injects_is_no_prompt() {
        let injected = events(&[(PROMPT, json!({"source": "skill-pdf"}))]);
        assert_eq!(user_messages(&injected), 0);
    }
}
