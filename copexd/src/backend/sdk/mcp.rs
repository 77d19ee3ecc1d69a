//! Whether MCP servers start: the Copilot CLI starts them as it would for a run.
//!
//! They are started in a session of their own, in which nobody speaks and that is removed
//! after it; no account and no model is needed for that.

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;
use github_copilot_sdk::SessionId;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::demo;
use super::runtime::{CALL_TIMEOUT, OPEN_TIMEOUT, Runtime};
use crate::core::failure::Failure;

/// Servers that start at the same time: each is a process, and some fetch themselves first.
const AT_ONCE: usize = 4;

/// Tools of one server that are told.
const MOST_TOOLS: usize = 1_000;

/// What came of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedServer {
    /// Its name.
    pub name: String,
    /// `stdio`, `http` or `sse`.
    pub transport: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Its tools, with what they say of themselves.
    pub tools: Vec<(String, Option<String>)>,
    /// Why it failed.
    pub error: Option<String>,
}

impl Runtime {
    /// Starts each server and asks for its tools, none for longer than `most`.
    ///
    /// # Errors
    /// When no session can be had for it. Not cancel safe: a session may stay behind, without
    /// a transcript.
    pub async fn check_mcp(
        &self,
        cwd: &str,
        servers: Vec<(String, Value)>,
        most: Duration,
    ) -> Result<Vec<CheckedServer>, Failure> {
        let id = uuid::Uuid::new_v4().to_string();
        let options = json!({
            "sessionId": id,
            "workingDirectory": Path::new(cwd),
            // One that is never asked: without any, somebody would have to be signed in.
            "provider": demo::provider(),
            "model": demo::MODEL,
            "envValueMode": "direct",
        });
        let open = self.client().call("session.create", Some(options));
        self.call("opening a session for MCP servers", OPEN_TIMEOUT, open).await?;
        let check = |(name, server): (String, Value)| self.check_one(&id, name, server, most);
        let checked = futures_util::stream::iter(servers).map(check).buffered(AT_ONCE);
        let checked: Vec<CheckedServer> = checked.collect().await;
        let close = self.client().call("session.destroy", Some(json!({ "sessionId": id })));
        let closed = self.call("closing the session of MCP servers", CALL_TIMEOUT, close).await;
        let session = SessionId::from(id.clone());
        let delete = self.client().delete_session(&session);
        let deleted = self.call("removing the session of MCP servers", CALL_TIMEOUT, delete).await;
        if let Err(error) = closed.map(drop).and(deleted) {
            tracing::debug!(session = id, %error, "the session of a check stays behind");
        }
        Ok(checked)
    }

    async fn check_one(
        &self,
        session: &str,
        name: String,
        server: Value,
        most: Duration,
    ) -> CheckedServer {
        let begun = Instant::now();
        let transport = server["type"].as_str().unwrap_or("stdio").to_owned();
        let ask = async {
            let start = json!({ "sessionId": session, "serverName": name, "config": server });
            self.client().call("session.mcp.startServer", Some(start)).await?;
            let list = json!({ "sessionId": session, "serverName": name });
            self.client().call("session.mcp.listTools", Some(list)).await
        };
        let (tools, error) = match tokio::time::timeout(most, ask).await {
            Ok(Ok(answer)) => (tools(&answer), None),
            Ok(Err(error)) => (Vec::new(), Some(in_words(&error.to_string()))),
            Err(_) => {
                let error = format!("it did not start within {} s", most.as_secs_f64());
                (Vec::new(), Some(error))
            }
        };
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        CheckedServer { name, transport, took_ms, tools, error }
    }
}

fn tools(answer: &Value) -> Vec<(String, Option<String>)> {
    let list = answer["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tool = |tool: &Value| {
        let text = |field: &str| tool[field].as_str().map(str::to_owned);
        Some((text("name")?, text("description")))
    };
    list.iter().filter_map(tool).take(MOST_TOOLS).collect()
}

/// What the server's failure is, without the words around it, and its last cause once.
fn in_words(error: &str) -> String {
    let (_, words) = error.rsplit_once("failed with message: ").unwrap_or(("", error));
    let twice = words.rsplit_once(": ").filter(|(outer, cause)| outer.ends_with(cause));
    twice.map_or(words, |(outer, _)| outer).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let words = |text: &str| in_words(&format!("RPC -32603 failed with message: {text}"));
        assert_eq!(words("no spawn: denied (13): denied (13)"), "no spawn: denied (13)");
        assert_eq!(words("exited; last stderr: away"), "exited; last stderr: away");
    }
}
