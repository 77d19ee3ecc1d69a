//! `models`: what can be asked.

use copex_proto::health::{BackendQuery, ModelInfo, ModelList};
use serde_json::json;

use crate::cli::ModelsArgs;
use crate::connect::Connection;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::settings::{self, Given, Settings};
use crate::{render, snapshot};

/// Prints the models.
pub(crate) fn run(ctx: &Context, args: ModelsArgs) -> Result<Exit> {
    let settings = settings::load(ctx, Given { file: args.config, ..Given::default() })?;
    let mut ctx = ctx.clone();
    ctx.auto_start = settings.config.auto_start;
    let mut connection = Connection::open(&ctx)?;
    let params = json!({ "query": query(&ctx, &settings) });
    let list: ModelList = connection.call("model.list", &params)?;
    if args.json {
        render::value(&list)?;
        return Ok(Exit::Done);
    }
    let mut rows = Vec::new();
    for model in &list.models {
        rows.push(row(model));
    }
    render::text(render::table(&rows).as_bytes())?;
    for text in &list.notes {
        render::note(text);
    }
    Ok(Exit::Done)
}

/// Where this user's models and sign-in are.
pub(crate) fn query(ctx: &Context, settings: &Settings) -> BackendQuery {
    let config = &settings.config;
    BackendQuery {
        cli_path: config.cli_path.clone(),
        env: Some(snapshot::take(&ctx.env)),
        provider: config.provider.clone(),
        secrets: snapshot::secrets(
            &ctx.env,
            config.provider.as_ref(),
            config.github_token.as_ref(),
        ),
    }
}

fn row(model: &ModelInfo) -> Vec<String> {
    let efforts: Vec<_> = model.efforts.iter().map(|effort| effort.as_str()).collect();
    let mut details = Vec::new();
    if !efforts.is_empty() {
        details.push(efforts.join("|"));
    }
    if let Some(multiplier) = model.multiplier {
        details.push(format!("{multiplier}x"));
    }
    if let Some(tokens) = model.context_tokens {
        details.push(format!("{}k tokens", tokens / 1000));
    }
    vec![model.id.clone(), model.source.clone(), details.join("  ")]
}
