//! Whether a runtime still answers, and how fast.

use std::time::Duration;

use super::classify;
use super::runtime::Runtime;
use crate::core::failure::FailureClass;

/// What came of a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ping {
    /// It answered after so long.
    Answered(Duration),
    /// It did not answer in time. The runtime is condemned.
    Silent,
    /// Its process or its connection ended.
    Gone,
}

impl Runtime {
    /// Asks for a sign of life and waits for it, `most` long. Cancel safe.
    pub async fn ping(&self, most: Duration) -> Ping {
        let (began, death) = (tokio::time::Instant::now(), self.death());
        let answer = tokio::select! {
            answer = tokio::time::timeout(most, self.client().ping(None)) => answer,
            () = death.cancelled() => return Ping::Gone,
        };
        match answer {
            Err(_) => {
                self.condemn();
                Ping::Silent
            }
            Ok(Err(error)) if died(&error) => {
                self.condemn();
                Ping::Gone
            }
            // A CLI that does not know the question has answered all the same.
            Ok(_) => {
                self.heard().now();
                Ping::Answered(began.elapsed())
            }
        }
    }
}

fn died(error: &github_copilot_sdk::Error) -> bool {
    classify::sdk_error(error, "asking for a sign of life").class == FailureClass::RuntimeDied
}
