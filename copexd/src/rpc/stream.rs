//! One subscriber: events from the log to the sink, the same bytes for everybody.

use copex_proto::error::ErrorInfo;
use copex_proto::event::EventBody;
use jsonrpsee::PendingSubscriptionSink;
use jsonrpsee::SubscriptionMessage;

use crate::engine::{Overview, Watcher};

use super::error_object;

/// Sends what the watcher gives until the run's last event, the end of the subscription,
/// or the end of the connection. The log waits for nobody: a slow sink only slows itself.
pub(super) async fn pump(pending: PendingSubscriptionSink, mut watcher: Watcher) {
    let Ok(sink) = pending.accept().await else { return };
    loop {
        let events = tokio::select! {
            events = watcher.next() => events,
            () = sink.closed() => return,
        };
        match events {
            Ok(Some(events)) => {
                for (_, raw) in events {
                    let message = SubscriptionMessage::from((*raw).to_owned());
                    if sink.send(message).await.is_err() {
                        return;
                    }
                }
            }
            // The terminal event has been sent; it is how a client knows the end.
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "a subscription ends");
                let _ = warn(&sink, &error).await;
                return;
            }
        }
    }
}

/// Sends how all runs stand, until the end of the subscription, the connection or the daemon.
/// While a sink is slow nothing waits for it: what changed meanwhile is told as it is then.
pub(super) async fn pump_all(pending: PendingSubscriptionSink, mut overview: Overview) {
    let Ok(sink) = pending.accept().await else { return };
    loop {
        let change = tokio::select! {
            change = overview.next() => change,
            () = sink.closed() => return,
        };
        match change {
            Ok(Some(change)) => {
                let Ok(raw) = serde_json::value::to_raw_value(&change) else { return };
                if sink.send(SubscriptionMessage::from(raw)).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "a subscription to all runs ends");
                return;
            }
        }
    }
}

/// Tells a subscriber why nothing more comes. It can reconnect by number.
async fn warn(
    sink: &jsonrpsee::SubscriptionSink,
    error: &ErrorInfo,
) -> Result<(), jsonrpsee::DisconnectError> {
    let code = "log_unreadable".to_owned();
    let body = EventBody::Warning { code, message: error.message.clone() };
    let Ok(raw) = serde_json::value::to_raw_value(&body) else { return Ok(()) };
    sink.send(SubscriptionMessage::from(raw)).await
}

/// Refuses a subscription in the protocol.
pub(super) async fn refuse(pending: PendingSubscriptionSink, error: &ErrorInfo) {
    pending.reject(error_object(error.code(), error)).await;
}
