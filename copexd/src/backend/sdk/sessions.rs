//! Sessions as wholes: what the Copilot CLI itself does with one that is not open here.

use serde_json::{Value, json};

use super::runtime::{CALL_TIMEOUT, OPEN_TIMEOUT, Runtime};
use crate::core::failure::{Failure, FailureClass};

impl Runtime {
    /// Makes a new session with the history of another, which may be open in any process, and
    /// returns its id. Bounded by [`OPEN_TIMEOUT`]: the history is copied.
    ///
    /// # Errors
    /// `Unknown` with the CLI's words, for one that cannot be read in full.
    pub async fn fork_session(&self, id: &str) -> Result<String, Failure> {
        let forked = self.client().call("sessions.fork", Some(json!({ "sessionId": id })));
        let forked: Value = self.call("forking the session", OPEN_TIMEOUT, forked).await?;
        forked["sessionId"].as_str().map(str::to_owned).ok_or_else(|| {
            Failure::new(FailureClass::Unknown, "the Copilot CLI named no forked session")
        })
    }

    /// Removes a session from the disk and from the CLI's search.
    ///
    /// # Errors
    /// `Unknown` with the CLI's words, for one that another process has open.
    pub async fn delete_session(&self, id: &str) -> Result<(), Failure> {
        let deleted = self.client().call("sessions.delete", Some(json!({ "sessionId": id })));
        self.call("removing the session", CALL_TIMEOUT, deleted).await.map(drop)
    }
}
