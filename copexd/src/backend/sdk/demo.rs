//! The demonstration model: a small responder behind the SDK's request handler.
//!
//! It makes copex work with no account and no endpoint, through the same runtime, session
//! and journal as any other model. It says what it is and never pretends to know anything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use github_copilot_sdk::Client;
use github_copilot_sdk::types::ProviderConfig;
use serde_json::{Value, json};

use crate::core::failure::{Failure, FailureClass};
use crate::runtime::tasks::Tasks;

/// The demonstration model's name.
pub const MODEL: &str = "copex-demo";

/// A port that never answers: no request may leave the process.
const NOWHERE: &str = "http://127.0.0.1:9/v1";

/// The CLI hides keys from its output wherever they occur; a long one hides nothing else.
const KEY: &str = "copex-demo-needs-no-key";

/// Bytes of one request body that are kept; the prompt of a demonstration is small.
const MOST_BODY: usize = 64 * 1024 * 1024;

/// The provider that sessions of a demonstration runtime are given.
pub fn provider() -> ProviderConfig {
    let mut provider = ProviderConfig::default();
    provider.provider_type = Some("openai".to_owned());
    NOWHERE.clone_into(&mut provider.base_url);
    provider.api_key = Some(KEY.to_owned());
    provider
}

/// Answers every model request of this runtime in here.
///
/// # Errors
/// `Unavailable` when the CLI does not let itself be served.
pub async fn install(client: &Client, tasks: &Tasks) -> Result<(), Failure> {
    let bodies: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    let tasks = tasks.clone();
    let refused = |error: github_copilot_sdk::Error| {
        let message = format!("the Copilot CLI does not take the demonstration model: {error}");
        Failure::new(FailureClass::Unavailable, message)
    };
    client
        .register_request_handler("llmInference.httpRequestStart", |_, _| async { Ok(json!({})) })
        .map_err(refused)?;
    client
        .register_request_handler("llmInference.httpRequestChunk", move |params, client| {
            let complete = collect(&bodies, &params);
            let tasks = tasks.clone();
            async move {
                if let Some((request, body)) = complete {
                    tasks.spawn("demo answer", answer(client, request, body));
                }
                Ok(json!({}))
            }
        })
        .map_err(refused)?;
    client.rpc().llm_inference().set_provider().await.map_err(refused)?;
    Ok(())
}

/// Adds a piece of a request's body; gives the whole at its end.
fn collect(bodies: &Mutex<HashMap<String, String>>, params: &Value) -> Option<(String, String)> {
    let request = params["requestId"].as_str()?.to_owned();
    let mut bodies = bodies.lock().unwrap_or_else(PoisonError::into_inner);
    if params["cancel"] == true {
        bodies.remove(&request);
        return None;
    }
    let body = bodies.entry(request.clone()).or_default();
    let piece = params["data"].as_str().unwrap_or_default();
    if body.len() + piece.len() <= MOST_BODY {
        body.push_str(piece);
    }
    if params["end"] == true {
        let body = bodies.remove(&request)?;
        return Some((request, body));
    }
    None
}

async fn answer(client: Client, request: String, body: String) {
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let text = words(&prompt(&body));
    let head = json!({
        "requestId": request, "status": 200,
        "headers": { "content-type": ["text/event-stream"] },
    });
    let chunk = |data: String, end: bool| json!({"requestId": request, "data": data, "end": end});
    let mut frames = Vec::new();
    for piece in text.split_inclusive(' ') {
        frames.push(frame(&json!({"role": "assistant", "content": piece}), None));
    }
    let tokens = text.split_whitespace().count();
    frames.push(frame(&json!({}), Some(tokens)) + "data: [DONE]\n\n");
    let mut result = client.call("llmInference.httpResponseStart", Some(head)).await;
    for data in frames {
        if result.is_err() {
            break;
        }
        let params = chunk(data, false);
        result = client.call("llmInference.httpResponseChunk", Some(params)).await;
    }
    if result.is_ok() {
        let params = chunk(String::new(), true);
        result = client.call("llmInference.httpResponseChunk", Some(params)).await;
    }
    if let Err(error) = result {
        tracing::debug!(%error, "the demonstration answer was not taken");
    }
}

fn frame(delta: &Value, finished: Option<usize>) -> String {
    let reason = finished.map(|_| "stop");
    let choices = json!([{ "index": 0, "delta": delta, "finish_reason": reason }]);
    let mut chunk = json!({ "id": "demo", "model": MODEL, "choices": choices });
    if let Some(tokens) = finished {
        chunk["usage"] =
            json!({ "prompt_tokens": 0, "completion_tokens": tokens, "total_tokens": tokens });
    }
    format!("data: {chunk}\n\n")
}

/// The user's last words, without what the CLI puts around them.
fn prompt(body: &Value) -> String {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let last = messages.iter().rev().find(|message| message["role"] == "user");
    let content = last.map_or(&Value::Null, |message| &message["content"]);
    let text = match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    };
    let text = text.rsplit("</current_datetime>").next().unwrap_or_default();
    text.split("<reminder>").next().unwrap_or_default().trim().to_owned()
}

fn words(prompt: &str) -> String {
    const MOST: usize = 200;
    let clipped: String = prompt.chars().take(MOST).collect();
    let more = if clipped.len() < prompt.len() { "…" } else { "" };
    format!(
        "This is copex's built-in demonstration model. It cannot think, but everything around it \
         is real: the Copilot CLI ran this turn, copexd journaled it, and it came to you over the \
         daemon's socket. You said: \"{clipped}{more}\". For real answers, sign in with \
         `copexctl login`, or set [provider] in ~/.config/copex/config.toml."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_words_are_found_inside_what_the_cli_sends() {
        let content = "<current_datetime>2026</current_datetime>\n\nhello there\n\n<reminder>x";
        let body = json!({"messages": [
            {"role": "user", "content": "first"},
            {"role": "user", "content": content},
        ]});
        assert_eq!(prompt(&body), "hello there");
    }

    #[test]
    fn a_body_in_pieces_is_put_together_and_a_cancelled_one_forgotten() {
        let bodies = Mutex::default();
        let piece =
            |id: &str, data: &str, end: bool| json!({"requestId": id, "data": data, "end": end});
        assert_eq!(collect(&bodies, &piece("a", "x", false)), None);
        assert_eq!(collect(&bodies, &piece("a", "y", true)), Some(("a".into(), "xy".into())));
        collect(&bodies, &piece("b", "x", false));
        collect(&bodies, &json!({"requestId": "b", "data": "", "cancel": true}));
        assert!(bodies.lock().unwrap().is_empty());
    }
}
