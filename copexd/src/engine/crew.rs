//! From a request to its machine and to whom its lanes ask.

use std::collections::BTreeMap;
use std::sync::Arc;

use copex_proto::error::ErrorInfo;
use copex_proto::run::RunRequest;

use super::chain::Chain;
use super::registry::Live;
use super::{Engine, council, plan, prepare};
use crate::core::chat::ChatSpec;
use crate::core::machine::{Lane, MAIN, Machine};
use crate::core::stored::Stored;

/// A run's machine, and the models of lanes that do not ask the run's own.
pub(super) struct Crew {
    pub(super) machine: Box<dyn Machine>,
    pub(super) chains: BTreeMap<Lane, Arc<Chain>>,
}

impl Engine {
    /// The crew of a request, new or where it stood.
    ///
    /// # Errors
    /// `Usage` for what cannot work, though it was checked: files and models change.
    pub(super) async fn crew(
        &self,
        request: &RunRequest,
        (spec, cwd): (ChatSpec, &str),
        live: &Live,
        progress: Option<Stored>,
    ) -> Result<Crew, ErrorInfo> {
        let mut chains = BTreeMap::new();
        let machine = match request {
            RunRequest::Plan(request) => {
                let chain = Arc::new(self.chain(&plan::draft_options(request), live).await?);
                chains.insert(MAIN, chain.clone());
                let ambient = &self.inner.ambient;
                plan::machine(request, (spec, &chain, cwd), ambient, progress)?
            }
            RunRequest::Council(request) => {
                let own = council::chains(self, request, live).await?;
                let machine = council::machine(request, (spec, &own, cwd), progress)?;
                chains = own;
                machine
            }
            RunRequest::Fleet(request) => {
                return self.fleet_crew(request, (spec, cwd), live, progress).await;
            }
            request => prepare::machine(request, spec, progress),
        };
        Ok(Crew { machine, chains })
    }
}
