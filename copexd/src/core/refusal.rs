//! What an HTTP answer says of a failure: its class, and how long to wait.
//!
//! Decided by status and by the error's code, never by its words.

use super::failure::{FailureClass, Scope};

/// Classifies an HTTP status, with the error code of the body where there is one.
pub fn class_of_status(status: u16, code: Option<&str>, has_body: bool) -> FailureClass {
    match code {
        Some("context_length_exceeded" | "model_max_prompt_tokens_exceeded") => {
            return FailureClass::ContextLimit;
        }
        Some(
            "quota_exceeded"
            | "session_quota_exceeded"
            | "billing_not_configured"
            | "insufficient_quota",
        ) => return FailureClass::Quota,
        Some("content_filter") => return FailureClass::ContentFilter,
        _ => {}
    }
    if let Some(scope) = scope_of(code) {
        return FailureClass::RateLimit(scope);
    }
    match status {
        401 | 403 => FailureClass::Auth,
        402 => FailureClass::Quota,
        413 => FailureClass::ContextLimit,
        429 => FailureClass::RateLimit(Scope::Account),
        400 if has_body => FailureClass::Client,
        400 | 408 | 409 | 500.. => FailureClass::Server,
        401..=499 => FailureClass::Client,
        _ => FailureClass::Unknown,
    }
}

/// Whom a limit holds for, by GitHub's codes. A limit that does not say holds for the account.
pub fn scope_of(code: Option<&str>) -> Option<Scope> {
    match code? {
        "user_model_rate_limited" | "model_rate_limited" => Some(Scope::Model),
        "user_weekly_rate_limited" => Some(Scope::Weekly),
        "integration_rate_limited" => Some(Scope::Integration),
        "user_global_rate_limited" => Some(Scope::Account),
        _ => None,
    }
}

/// Reads what a server asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as an
/// HTTP date (given by `date_ms`, Unix milliseconds).
pub fn retry_after_ms(
    millis: Option<&str>,
    seconds: Option<&str>,
    date_ms: Option<u64>,
    now_ms: u64,
) -> Option<u64> {
    if let Some(millis) = millis.and_then(|text| text.trim().parse::<f64>().ok()) {
        return whole(millis);
    }
    if let Some(seconds) = seconds.and_then(|text| text.trim().parse::<f64>().ok()) {
        return whole(seconds * 1_000.0);
    }
    date_ms.map(|date| date.saturating_sub(now_ms))
}

fn whole(ms: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be positive; a float beyond u64 saturates"
    )]
    (ms.is_finite() && ms >= 0.0).then_some(ms as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_their_class() {
        let table = [
            (429, None, true, FailureClass::RateLimit(Scope::Account)),
            (429, Some("rate_limited"), true, FailureClass::RateLimit(Scope::Account)),
            (429, Some("user_model_rate_limited"), true, FailureClass::RateLimit(Scope::Model)),
            (429, Some("user_weekly_rate_limited"), true, FailureClass::RateLimit(Scope::Weekly)),
            (
                429,
                Some("integration_rate_limited"),
                true,
                FailureClass::RateLimit(Scope::Integration),
            ),
            (429, Some("insufficient_quota"), true, FailureClass::Quota),
            (529, None, true, FailureClass::Server),
            (400, None, false, FailureClass::Server),
            (400, None, true, FailureClass::Client),
            (400, Some("context_length_exceeded"), true, FailureClass::ContextLimit),
            (401, None, true, FailureClass::Auth),
            (402, None, true, FailureClass::Quota),
        ];
        for (status, code, body, class) in table {
            assert_eq!(class_of_status(status, code, body), class, "{status} {code:?}");
        }
    }

    #[test]
    fn every_way_to_say_wait_is_read() {
        assert_eq!(retry_after_ms(Some("500"), Some("9"), None, 0), Some(500));
        assert_eq!(retry_after_ms(None, Some("2"), None, 0), Some(2_000));
        assert_eq!(retry_after_ms(None, Some("1.5"), None, 0), Some(1_500));
        assert_eq!(retry_after_ms(None, Some("Mon"), Some(5_000), 2_000), Some(3_000));
        assert_eq!(retry_after_ms(None, Some("-1"), None, 0), None);
        assert_eq!(retry_after_ms(None, None, None, 0), None);
    }
}
