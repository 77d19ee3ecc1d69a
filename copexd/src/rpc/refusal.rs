//! Errors in the shape that every client can decide by: code, message, [`ErrorInfo`].

use copex_proto::error::{ErrorClass, ErrorInfo, code};
use jsonrpsee::Methods;
use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};
use serde_json::value::RawValue;

/// An error under `code` with `info` as its data.
pub fn error_object(code: i32, info: &ErrorInfo) -> ErrorObjectOwned {
    ErrorObject::owned(code, info.message.clone(), Some(info))
}

/// The same error with an [`ErrorInfo`] as its data; nothing when it has one.
pub(super) fn with_info(error: &ErrorObjectOwned) -> Option<ErrorObjectOwned> {
    let data = error.data().map(RawValue::get);
    if data.is_some_and(|data| serde_json::from_str::<ErrorInfo>(data).is_ok()) {
        return None;
    }
    let class = match error.code() {
        code::INVALID_PARAMS | code::INVALID_REQUEST | code::ANSWER_TOO_LARGE => ErrorClass::Usage,
        _ => ErrorClass::Unknown,
    };
    let detail = data.and_then(|data| serde_json::from_str::<String>(data).ok());
    let message = match detail {
        Some(detail) => format!("{}: {detail}", error.message()),
        None => error.message().to_owned(),
    };
    let mut info = ErrorInfo::new(class, message);
    if error.code() == code::ANSWER_TOO_LARGE {
        info.hint = Some("ask for less at once, with `limit`".to_owned());
    }
    Some(error_object(error.code(), &info))
}

/// The frame is not JSON.
pub(super) fn not_json(cause: &str) -> ErrorObjectOwned {
    let hint = "send one JSON-RPC 2.0 message per frame";
    let message = format!("the frame is not JSON: {cause}");
    error_object(code::PARSE, &ErrorInfo::new(ErrorClass::Usage, message).with_hint(hint))
}

/// The frame is JSON, but not a request.
pub(super) fn not_a_request(why: impl Into<String>) -> ErrorObjectOwned {
    error_object(code::INVALID_REQUEST, &ErrorInfo::new(ErrorClass::Usage, why))
}

/// No such method; names the nearest one.
pub(super) fn no_such_method(methods: &Methods, name: &str) -> ErrorObjectOwned {
    let mut info = ErrorInfo::new(ErrorClass::Usage, format!("there is no method `{name}`"));
    info.hint = Some(match copex_proto::config::nearest(name, methods.method_names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`rpc.discover` lists the methods".to_owned(),
    });
    error_object(code::METHOD_NOT_FOUND, &info)
}

/// A handler panicked. The reason is in the log, not on the wire.
pub(super) fn panicked(method: &str) -> ErrorObjectOwned {
    let message = format!("`{method}` failed inside the daemon; the log says how");
    error_object(code::INTERNAL, &ErrorInfo::new(ErrorClass::Unknown, message))
}

/// The client cancelled its own call.
pub(super) fn cancelled() -> ErrorObjectOwned {
    let info = ErrorInfo::new(ErrorClass::Cancelled, "the call was cancelled by its client");
    error_object(code::CALL_CANCELLED, &info)
}

/// One message is larger than the limit.
pub(super) fn too_large(limit: u32) -> ErrorObjectOwned {
    let message = format!("the message is larger than {limit} bytes");
    error_object(code::TOO_LARGE, &ErrorInfo::new(ErrorClass::Usage, message))
}

/// A batch has more entries than the limit.
pub(super) fn batch_too_long(limit: u32) -> ErrorObjectOwned {
    let message = format!("the batch has more than {limit} entries");
    error_object(code::TOO_LARGE, &ErrorInfo::new(ErrorClass::Usage, message))
}

/// The answers of a batch are larger than the limit together.
pub(super) fn batch_answer_too_large(limit: u32) -> ErrorObjectOwned {
    let message = format!("the answers to the batch are larger than {limit} bytes");
    error_object(code::ANSWER_TOO_LARGE, &ErrorInfo::new(ErrorClass::Usage, message))
}

/// A subscription in a batch could only be answered twice or out of place.
pub(super) fn subscription_in_batch(method: &str) -> ErrorObjectOwned {
    let message = format!("`{method}` is a subscription and cannot start inside a batch");
    let info = ErrorInfo::new(ErrorClass::Usage, message).with_hint("send it on its own");
    error_object(code::INVALID_REQUEST, &info)
}

/// Too many subscriptions on this connection.
pub(super) fn too_many_subscriptions(limit: u32) -> ErrorObjectOwned {
    let message = format!("this connection has {limit} subscriptions, which is the limit");
    let info = ErrorInfo::new(ErrorClass::Overloaded, message)
        .with_hint("end one, or open another connection");
    error_object(code::TOO_MANY_SUBSCRIPTIONS, &info)
}

/// Too many connections.
pub(super) fn too_many_connections(limit: u32) -> ErrorObjectOwned {
    /// Long enough for a shell loop's client to end.
    const RETRY_MS: u64 = 500;
    let message = format!("the daemon has {limit} connections, which is the limit");
    let info = ErrorInfo::new(ErrorClass::Overloaded, message).retry_after(RETRY_MS);
    error_object(code::TOO_MANY_CONNECTIONS, &info)
}
