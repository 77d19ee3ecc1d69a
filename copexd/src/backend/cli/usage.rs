//! What a turn has cost.
//!
//! The transcript has a `session.usage_record` per model call, also of a turn that was cut
//! off. The file of `--usage-output-file` sums over the whole session and is written at an
//! orderly end only: it counts where the transcript says nothing and the session is new.

use std::path::Path;

use github_copilot_sdk::SessionEvent;
use serde_json::Value;

use crate::backend::sdk::convert;
use crate::core::signal::CallUsage;

/// Nano AI units per AI credit.
const NANO: f64 = 1e9;

/// The model calls among these events of a transcript.
pub(super) fn recorded(events: &[SessionEvent]) -> Vec<CallUsage> {
    let records = events.iter().filter(|event| event.event_type == "session.usage_record");
    records.map(|event| convert::usage(&event.data["usage"])).collect()
}

/// What the file of `--usage-output-file` says, by model.
pub(super) fn of_file(path: &Path) -> Vec<CallUsage> {
    let read = std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let Some(Value::Object(models)) = read.map(|file: Value| file["modelMetrics"].clone()) else {
        return Vec::new();
    };
    let of_model = |(name, metrics): (&String, &Value)| {
        let tokens = |field: &str| metrics["usage"][field].as_u64().unwrap_or(0);
        CallUsage {
            model: Some(name.clone()),
            calls: metrics["requests"]["count"].as_u64().unwrap_or(0),
            input_tokens: tokens("inputTokens"),
            output_tokens: tokens("outputTokens"),
            cached_tokens: tokens("cacheReadTokens"),
            reasoning_tokens: tokens("reasoningTokens"),
            premium_requests: metrics["requests"]["cost"].as_f64().unwrap_or(0.0),
            ai_credits: (metrics["aiCreditsStatus"] != "unavailable")
                .then(|| metrics["totalNanoAiu"].as_f64().map(|nano| nano / NANO))
                .flatten(),
            estimated_cost: None,
        }
    };
    models.iter().map(of_model).filter(|usage| usage.calls > 0).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_file_of_the_real_cli_is_read_by_model() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.json");
        assert_eq!(of_file(&path), []);
        let metrics = json!({"requests": {"count": 2, "cost": 1}, "totalNanoAiu": 5e8, "usage": {
            "inputTokens": 22, "outputTokens": 14, "cacheReadTokens": 3, "cacheWriteTokens": 0,
            "reasoningTokens": 2}});
        let file = json!({"totalUserRequests": 1, "modelMetrics": {"m": metrics,
            "unused": {"requests": {"count": 0}}}});
        std::fs::write(&path, file.to_string()).unwrap();
        let expected = CallUsage {
            model: Some("m".to_owned()),
            calls: 2,
            input_tokens: 22,
            output_tokens: 14,
            cached_tokens: 3,
            reasoning_tokens: 2,
            premium_requests: 1.0,
            ai_credits: Some(0.5),
            estimated_cost: None,
        };
        assert_eq!(of_file(&path), [expected]);
    }
}
