//! At start: spares for the kinds of runs used last, where the user wants that.
//!
//! What a kind is made of is read from the requests of the latest runs: nothing else is
//! stored for it, and no secret is. A run whose key only its client had gets no spare.

use copex_proto::run::RunRequest;

use super::{Engine, prepare};
use crate::backend::spec::SessionSpec;
use crate::store::{RunQuery, StoreError};

/// Runs that are looked at for different kinds: an afternoon of chats in one folder.
const MOST_LOOKED_AT: usize = 64;

impl Engine {
    /// Opens spares for the last `kinds` kinds of runs, in the background. An empty store
    /// has none, so a fresh installation starts nothing.
    pub fn prewarm(&self, kinds: u32) {
        let most = usize::try_from(kinds).unwrap_or(usize::MAX);
        if most == 0 {
            return;
        }
        let engine = self.clone();
        self.inner.tasks.spawn("prewarm", async move {
            let requests = match engine.latest_requests() {
                Ok(requests) => requests,
                Err(error) => return tracing::warn!(%error, "nothing is opened ahead"),
            };
            let mut specs: Vec<SessionSpec> = Vec::new();
            for (cwd, request) in requests {
                let Some(spec) = engine.kind_of(&cwd, request).await else { continue };
                if !specs.contains(&spec) {
                    specs.push(spec);
                }
                if specs.len() == most {
                    break;
                }
            }
            // The kind used last is the last to be forgotten.
            for spec in specs.iter().rev() {
                engine.inner.pool.prepare_spares(spec).await;
            }
        });
    }

    /// Folder and request of the latest runs, newest first.
    fn latest_requests(&self) -> Result<Vec<(String, RunRequest)>, StoreError> {
        let store = &self.inner.store;
        let query = RunQuery { limit: MOST_LOOKED_AT, ..RunQuery::default() };
        let mut requests = Vec::new();
        for summary in store.list_runs(&query)?.runs {
            let Some(spec) = store.get_spec(summary.run)? else { continue };
            // One of another version has its own shape.
            let Ok(request) = serde_json::from_slice::<RunRequest>(&spec) else { continue };
            requests.push((summary.cwd.unwrap_or_default(), request));
        }
        Ok(requests)
    }

    /// What the session of such a run was made of, as far as that can be had without its
    /// client.
    async fn kind_of(&self, cwd: &str, mut request: RunRequest) -> Option<SessionSpec> {
        let secrets = std::collections::BTreeMap::new();
        let ambient = &self.inner.ambient;
        let options = request.options();
        if options.replay.is_some() || options.record.is_some() {
            // A session with a cassette belongs to its run.
            return None;
        }
        if options.demo_fallback && !options.demo {
            // Who answers such a run is settled when it begins.
            return None;
        }
        if options.reasoning_effort.is_some() && !options.demo {
            let runtime = prepare::runtime_spec(options, &secrets, ambient);
            let resolved = super::effort::resolve(options, &runtime, &self.inner.pool).await;
            request.options_mut().reasoning_effort =
                resolved.effort.map(super::events::wire_effort);
        }
        prepare::session_spec(request.options(), &secrets, cwd, ambient).await.ok()
    }
}
