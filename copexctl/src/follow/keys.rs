//! Handing over a key that only we have.

use copex_proto::event::{EventBody, RunEvent};
use serde_json::json;

use crate::connect::wire::Wire;
use crate::env::Env;
use crate::error::Result;
use crate::snapshot;

/// A key that the run is parked for is handed over where it is set; where nobody waits for it
/// any more, nobody takes it.
pub(super) fn offer(wire: &mut Wire, env: Option<&Env>, event: &RunEvent) -> Result<()> {
    let (EventBody::Parked { needs_key: Some(name), .. }, Some(env)) = (&event.body, env) else {
        return Ok(());
    };
    let secrets = snapshot::named(env, [name.clone()]);
    if !secrets.is_empty() {
        wire.queue("run.offer", &json!({ "run": event.run, "secrets": secrets }))?;
    }
    Ok(())
}
