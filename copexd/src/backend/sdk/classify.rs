//! From the CLI's typed error fields to a failure class.
//!
//! The fields are those of `session.error` and `model.call_failure` in CLI 1.0.102. Text is
//! carried along for people and never decides.

use github_copilot_sdk::{Error, ErrorKind, ProtocolErrorKind, SessionErrorKind};
use serde_json::Value;

use crate::core::failure::{Failure, FailureClass, Scope};
use crate::core::refusal;

/// What to type when nobody is signed in.
pub const SIGN_IN: &str = "sign in with `copexctl login`, or set [provider] in the configuration \
                           to use an endpoint of your own; `--demo` answers without either";

/// Classifies `session.error`. `last_call` is the newest `model.call_failure` of the turn:
/// it knows the status and kind that the session-level error sometimes leaves out.
pub fn session_error(data: &Value, last_call: Option<&Value>) -> Failure {
    let field = |name: &str| {
        let own = data[name].as_str();
        own.or_else(|| last_call.and_then(|call| call[name].as_str()))
    };
    let status = data["statusCode"]
        .as_u64()
        .or_else(|| last_call.and_then(|call| call["statusCode"].as_u64()))
        .and_then(|status| u16::try_from(status).ok());
    let message = data["message"].as_str().unwrap_or("the Copilot CLI reported an error");
    let class = class_of(data["errorType"].as_str(), field("errorCode"), status, last_call);
    hinted(Failure::new(class, message).with_status(status))
}

/// What the seam saw of the request knows better than what the CLI makes of it.
pub fn with_seen(reported: Failure, seen: Option<Failure>) -> Failure {
    seen.map_or(reported, hinted)
}

fn hinted(failure: Failure) -> Failure {
    match failure.class {
        // Whoever asked a provider knows a better one.
        FailureClass::Auth if failure.hint.is_some() => failure,
        FailureClass::Auth => failure.with_hint(SIGN_IN),
        FailureClass::Quota => failure.with_hint("wait for the reset, buy more, or use [provider]"),
        FailureClass::RateLimit(_) => failure.with_hint("wait a while, or ask another model"),
        FailureClass::ContextLimit => {
            failure.with_hint("start a new session, or ask a model with a larger context")
        }
        FailureClass::Network => failure.with_hint("check the network and the provider's base_url"),
        _ => failure,
    }
}

fn class_of(
    kind: Option<&str>,
    code: Option<&str>,
    status: Option<u16>,
    last_call: Option<&Value>,
) -> FailureClass {
    match code {
        Some("context_length_exceeded" | "model_max_prompt_tokens_exceeded") => {
            return FailureClass::ContextLimit;
        }
        Some("quota_exceeded" | "session_quota_exceeded" | "billing_not_configured") => {
            return FailureClass::Quota;
        }
        Some("content_filter") => return FailureClass::ContentFilter,
        _ => {}
    }
    match kind {
        Some("rate_limit") => {
            return FailureClass::RateLimit(refusal::scope_of(code).unwrap_or(Scope::Account));
        }
        Some("quota") => return FailureClass::Quota,
        Some("authentication" | "authorization") => return FailureClass::Auth,
        Some("context_limit") => return FailureClass::ContextLimit,
        _ => {}
    }
    match status {
        Some(401 | 403) => FailureClass::Auth,
        Some(402) => FailureClass::Quota,
        Some(429) => FailureClass::RateLimit(Scope::Account),
        Some(413) => FailureClass::ContextLimit,
        Some(500..) => FailureClass::Server,
        Some(400) if last_call.is_some_and(|call| call["badRequestKind"] == "bodyless") => {
            FailureClass::Server
        }
        Some(400..=499) => FailureClass::Client,
        _ => match last_call.and_then(|call| call["failureKind"].as_str()) {
            Some("transport") => FailureClass::Network,
            _ => FailureClass::Unknown,
        },
    }
}

/// Classifies a failure of a call to the runtime.
pub fn sdk_error(error: &Error, doing: &str) -> Failure {
    let message = format!("{doing}: {error}");
    match error.kind() {
        ErrorKind::Protocol(ProtocolErrorKind::VersionMismatch { server, min, .. }) => {
            let message = format!("the Copilot CLI speaks protocol {server}, copex needs {min}");
            Failure::new(FailureClass::Unavailable, message)
                .with_hint("update it with `npm i -g @github/copilot@latest`")
        }
        ErrorKind::Session(SessionErrorKind::NotFound(_)) => {
            Failure::new(FailureClass::SessionGone, message)
        }
        ErrorKind::Session(SessionErrorKind::SessionIdMismatch { .. }) => {
            Failure::new(FailureClass::SessionCorrupt, message)
        }
        // Only a broken connection speaks of the process; a call that was refused does not,
        // and must not cost the other sessions of the runtime their home.
        ErrorKind::Io
        | ErrorKind::Protocol(_)
        | ErrorKind::Session(SessionErrorKind::EventLoopClosed) => {
            Failure::new(FailureClass::RuntimeDied, message)
        }
        _ => Failure::new(FailureClass::Unknown, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn recorded_errors_of_the_real_cli_have_the_right_class() {
        let call = |failure_kind: &str| json!({"failureKind": failure_kind});
        let table = [
            (
                json!({"errorType":"rate_limit","statusCode":429}),
                None,
                FailureClass::RateLimit(Scope::Account),
            ),
            (
                json!({"errorType":"rate_limit","errorCode":"user_weekly_rate_limited"}),
                None,
                FailureClass::RateLimit(Scope::Weekly),
            ),
            (json!({"errorType":"authentication","statusCode":401}), None, FailureClass::Auth),
            (json!({"errorType":"authorization","statusCode":403}), None, FailureClass::Auth),
            (json!({"errorType":"quota","errorCode":"quota_exceeded"}), None, FailureClass::Quota),
            (json!({"errorType":"query","statusCode":503}), None, FailureClass::Server),
            (json!({"errorType":"query","statusCode":404}), None, FailureClass::Client),
            (
                json!({"errorType":"query","statusCode":400}),
                Some(json!({"errorCode":"context_length_exceeded"})),
                FailureClass::ContextLimit,
            ),
            (
                json!({"errorType":"query","statusCode":400}),
                Some(json!({"badRequestKind":"bodyless"})),
                FailureClass::Server,
            ),
            (json!({"errorType":"query"}), Some(call("transport")), FailureClass::Network),
            (json!({"errorType":"query"}), None, FailureClass::Unknown),
        ];
        for (data, last, expected) in table {
            assert_eq!(session_error(&data, last.as_ref()).class, expected, "{data}");
        }
    }

    #[test]
    fn an_error_about_one_session_does_not_condemn_the_runtime_of_all() {
        let class = |kind: ErrorKind| sdk_error(&Error::from(kind), "opening").class;
        let gone = SessionErrorKind::NotFound("s".to_owned().into());
        assert_eq!(class(ErrorKind::Session(gone)), FailureClass::SessionGone);
        let detached = ErrorKind::Session(SessionErrorKind::DetachFailed);
        assert_eq!(class(detached), FailureClass::Unknown);
        assert_eq!(class(ErrorKind::InvalidConfig), FailureClass::Unknown);
        assert_eq!(class(ErrorKind::Rpc { code: -32603 }), FailureClass::Unknown);
        let closed = ErrorKind::Session(SessionErrorKind::EventLoopClosed);
        assert_eq!(class(closed), FailureClass::RuntimeDied);
        assert_eq!(class(ErrorKind::Io), FailureClass::RuntimeDied);
    }

    #[test]
    fn text_that_only_looks_like_a_limit_does_not_decide() {
        let data = json!({"errorType":"query","statusCode":400,"message":"429 rate limit quota"});
        let failure = session_error(&data, None);
        assert_eq!(failure.class, FailureClass::Client);
        assert!(failure.message.contains("429"), "the words are kept");
    }
}
