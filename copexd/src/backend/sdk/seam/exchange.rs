//! One request on its way in: head and body arrive in frames, in any order.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Bytes of a request body that are taken: what the CLI itself may send at most.
const MOST_BODY: usize = 64 * 1024 * 1024;

/// Headers that belong to one connection and not to the request.
const HOP: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// The head of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) session: Option<String>,
    pub(super) websocket: bool,
}

/// A request on its way.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    pub(super) head: Option<Head>,
    pub(super) body: Vec<u8>,
    pub(super) cancel: CancellationToken,
    ended: bool,
    taken: bool,
}

impl Exchange {
    pub(super) fn start(&mut self, params: &Value) {
        let text = |name: &str| params[name].as_str().unwrap_or_default().to_owned();
        let mut headers = HeaderMap::new();
        for (name, values) in params["headers"].as_object().into_iter().flatten() {
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
            if HOP.contains(&name.as_str()) {
                continue;
            }
            for value in values.as_array().into_iter().flatten() {
                let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
                if let Some(value) = value {
                    headers.append(name.clone(), value);
                }
            }
        }
        self.head = Some(Head {
            method: text("method"),
            url: text("url"),
            headers,
            session: params["sessionId"].as_str().map(str::to_owned),
            websocket: params["transport"] == "websocket",
        });
    }

    pub(super) fn feed(&mut self, params: &Value) {
        let data = params["data"].as_str().unwrap_or_default();
        if self.body.len() + data.len() <= MOST_BODY {
            if params["binary"] == true {
                self.body.extend(STANDARD.decode(data).unwrap_or_default());
            } else {
                self.body.extend_from_slice(data.as_bytes());
            }
        }
        self.ended |= params["end"] == true;
    }

    /// The whole request, once; its cancel stays reachable.
    pub(super) fn take_whole(&mut self) -> Option<Self> {
        let whole = self.head.is_some() && self.ended && !self.taken;
        if !whole {
            return None;
        }
        self.taken = true;
        Some(Self {
            head: self.head.take(),
            body: std::mem::take(&mut self.body),
            cancel: self.cancel.clone(),
            ended: true,
            taken: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_body_may_come_before_its_head() {
        let mut exchange = Exchange::default();
        exchange.feed(&json!({"data": "a"}));
        exchange.feed(&json!({"data": "Yg==", "binary": true, "end": true}));
        assert!(exchange.take_whole().is_none());
        exchange.start(&json!({
            "method": "POST", "url": "http://x/", "sessionId": "s",
            "headers": {"Host": ["x"], "x-a": ["1", "2"]},
        }));
        let whole = exchange.take_whole().unwrap();
        assert_eq!(whole.body, b"ab");
        let head = whole.head.unwrap();
        assert_eq!(head.headers.get_all("x-a").iter().count(), 2);
        assert!(!head.headers.contains_key("host"));
        assert!(exchange.take_whole().is_none(), "only once");
    }
}
