//! `breakers`: what the daemon has learned of models and endpoints.

use copex_proto::breaker::{BreakerList, BreakerState, BreakerStatus, LimitStatus, ResetResponse};
use serde_json::json;

use crate::cli::BreakersCommand;
use crate::clock;
use crate::connect::Connection;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::render::{self, brief, duration};

/// Lists or resets.
pub(crate) fn run(ctx: &Context, command: Option<BreakersCommand>) -> Result<Exit> {
    let mut connection = Connection::open(ctx)?;
    match command.unwrap_or(BreakersCommand::List { json: false }) {
        BreakersCommand::List { json } => {
            let list: BreakerList = connection.call("breaker.list", &json!({}))?;
            if json {
                render::value(&list)?;
                return Ok(Exit::Done);
            }
            let mut rows: Vec<Vec<String>> = list.breakers.iter().map(breaker_row).collect();
            rows.extend(list.limits.iter().map(limit_row));
            if rows.is_empty() {
                render::note("no model was asked yet");
            }
            render::text(render::table(&rows).as_bytes())?;
        }
        BreakersCommand::Reset { endpoint, model } => {
            let params = json!({ "endpoint": endpoint, "model": model });
            let done: ResetResponse = connection.call("breaker.reset", &params)?;
            render::line(&format!("{} closed or forgotten", done.reset))?;
        }
    }
    Ok(Exit::Done)
}

/// One breaker as a row.
pub(crate) fn breaker_row(breaker: &BreakerStatus) -> Vec<String> {
    let model = if breaker.model.is_empty() { "default model" } else { &breaker.model };
    let state = match breaker.state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half-open",
    };
    let until = breaker.until.filter(|_| breaker.state == BreakerState::Open);
    let until = until.map(|until| format!(", asked again in {}", left(until))).unwrap_or_default();
    let score = format!("{} of {} failed{until}", breaker.failures, breaker.samples);
    vec!["breaker".to_owned(), state.to_owned(), format!("{model} at {}", breaker.endpoint), score]
}

/// One limit as a row.
pub(crate) fn limit_row(limit: &LimitStatus) -> Vec<String> {
    let whom = limit.model.as_deref().unwrap_or("every model");
    let until = if limit.told { "for" } else { "assumed for" };
    let words = format!("{until} {}: {}", left(limit.until), brief(&limit.message, 60));
    vec!["limit".to_owned(), limit.scope.clone(), format!("{whom} at {}", limit.endpoint), words]
}

fn left(until: u64) -> String {
    duration(until.saturating_sub(clock::unix_ms()))
}
