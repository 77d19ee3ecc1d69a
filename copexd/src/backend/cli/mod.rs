//! The Copilot CLI, one process per turn: `copilot` in prompt mode with JSON output.
//!
//! The prompt goes by standard input, so its size is nobody's concern; rules for tools go
//! by flags, since nobody can be asked while the process works; secrets go by environment
//! or by a private file that is removed once it was read. The CLI asks the model again by
//! itself, up to five times, and says nothing of the waits.
//!
//! Invariant: a session lives on the disk, between two turns nothing of it runs.
//! Invariant: the answer, its failure and its end are read off typed events; only where the
//! process ends before it has a session are there no events, and its words are looked at
//! ([`classify`]).
//!
//! Not here: what the events mean (`sdk::convert`, they are the same), and what the
//! transcript says of a turn (`sdk::transcript`).

mod classify;
mod command;
mod history;
mod home;
mod lines;
mod permission;
mod session;
mod turn;
mod usage;

use std::sync::Arc;

use async_trait::async_trait;

use super::process::Owner;
use super::spec::SessionSpec;
use super::{Auth, Backend, Capabilities, Model, Opening, Session, locate};
use crate::core::failure::{Failure, FailureClass};
use crate::runtime::tasks::Tasks;
pub use command::sweep;
use history::History;
pub use permission::{reads_by_command, widened};
use session::CliSession;

/// Its name in events.
pub const NAME: &str = "cli";

/// What a process per turn can do.
pub const CAPABILITIES: Capabilities = Capabilities {
    asks: false,
    questions: false,
    rerun: false,
    request_policy: false,
    continues_waiting: false,
    compacts: false,
    steers: false,
    enquiries: false,
};

/// Opens sessions that are a process per turn. Nothing runs before the first prompt.
#[derive(Debug, Clone)]
pub struct CliBackend {
    /// Marks its processes.
    pub owner: Owner,
    /// Where its turns run.
    pub tasks: Tasks,
}

#[async_trait]
impl Backend for CliBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn open(
        &self,
        spec: &SessionSpec,
        opening: &Opening,
    ) -> Result<Arc<dyn Session>, Failure> {
        command::check(spec)?;
        let program = locate::native(&locate::find_cli(&spec.runtime)?);
        if program.file_name().is_some_and(|name| name == "copilot-runtime") {
            let message = format!("{} takes no prompts by itself", program.display());
            let hint = "name the program `copilot` in cli_path, or leave out use_cli";
            return Err(Failure::new(FailureClass::Unavailable, message).with_hint(hint));
        }
        let Some(home) = spec.runtime.copilot_home() else {
            let message = "the environment has neither COPILOT_HOME nor HOME";
            return Err(Failure::new(FailureClass::Unavailable, message));
        };
        let id = match opening {
            Opening::New => uuid::Uuid::new_v4().to_string(),
            Opening::Resume(id) | Opening::ResumeWaiting(id) => id.clone(),
        };
        let history = History::of(&home, &id);
        if *opening != Opening::New && !history.exists() {
            let hint = "`copexctl sessions list` shows those that there are";
            let failure =
                Failure::new(FailureClass::SessionGone, format!("there is no session {id}"));
            return Err(failure.with_hint(hint));
        }
        Ok(Arc::new(CliSession::new(self, spec, id, program, history)))
    }

    async fn models(&self) -> Result<Vec<Model>, Failure> {
        Err(cannot("list models"))
    }

    async fn catalogue(&self) -> Result<Vec<String>, Failure> {
        Err(cannot("list models"))
    }

    async fn auth(&self) -> Result<Auth, Failure> {
        Err(cannot("tell who is signed in"))
    }
}

/// What a process per turn has no way to do.
fn cannot(what: &str) -> Failure {
    let message = format!("one Copilot CLI process per turn (use_cli) cannot {what}");
    Failure::new(FailureClass::Unknown, message).with_hint("do it without use_cli")
}
