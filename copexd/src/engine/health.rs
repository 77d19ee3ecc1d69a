//! What is remembered of models and endpoints over a restart: breakers and limits.

use std::time::Duration;

use bytes::Bytes;

use super::Engine;
use crate::backend::upstream::Upstream;
use crate::core::governor::{Memory, Setup};
use crate::store::{Commit, Op, RawTree, Store, StoreError};

/// The one record.
const KEY: &[u8] = b"health";

/// How often plain outcomes are written: they only matter together. What opens, closes or
/// limits is written at once.
const PERIOD: Duration = Duration::from_secs(5);

/// The shared view, as a store remembers it. A record that cannot be read is forgotten: it is
/// learned again.
///
/// # Errors
/// When the store cannot be read.
pub fn recall(store: &Store, setup: Setup) -> Result<std::sync::Arc<Upstream>, StoreError> {
    let bytes = store.get_raw(RawTree::Breakers, KEY)?;
    let memory = bytes.and_then(|bytes| serde_json::from_slice::<Memory>(&bytes).ok());
    Ok(Upstream::new(setup, memory.unwrap_or_default()))
}

impl Engine {
    /// Writes down what is learned, until the daemon stops.
    pub fn remember(&self) {
        let (engine, stopping) = (self.clone(), self.inner.tasks.stopping());
        self.inner.tasks.spawn("health", async move {
            loop {
                tokio::select! {
                    () = engine.inner.upstream.to_remember() => {}
                    () = tokio::time::sleep(PERIOD) => {}
                    () = stopping.cancelled() => {
                        engine.write_health().await;
                        return;
                    }
                }
                engine.write_health().await;
            }
        });
    }

    async fn write_health(&self) {
        let Some(memory) = self.inner.upstream.lock().take_memory() else { return };
        let bytes = Bytes::from(serde_json::to_vec(&memory).unwrap_or_default());
        let op = Op::PutRaw { tree: RawTree::Breakers, key: KEY.to_vec(), bytes };
        if let Err(error) = self.inner.store.commit(Commit::flushed(vec![op])).await {
            tracing::debug!(%error, "what was learned of models is not written down");
        }
    }
}
