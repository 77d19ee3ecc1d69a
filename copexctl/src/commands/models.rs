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
    let mut list: ModelList = connection.call("model.list", &params)?;
    let chosen = chosen(&settings);
    if let (Some((id, _)), true) = (&chosen, settings.config.provider.is_some())
        && !list.models.iter().any(|model| model.id == *id)
    {
        // It is asked all the same: many endpoints list nothing, or not all.
        list.models.insert(0, configured(id));
    }
    if args.json {
        render::value(&list)?;
        return Ok(Exit::Done);
    }
    let mut rows = Vec::new();
    for model in &list.models {
        let origin = chosen.as_ref().filter(|(id, _)| *id == model.id).map(|(_, origin)| origin);
        rows.push(row(model, origin));
    }
    render::text(render::table(&rows).as_bytes())?;
    for text in &list.notes {
        render::note(text);
    }
    if let Some(entry) = settings.merged.entry("provider.base_url") {
        render::note(&format!(
            "a provider is set by {}, so these are its models; Copilot's own are asked where \
             there is none, and need `copexctl login`",
            entry.origin
        ));
    }
    Ok(Exit::Done)
}

/// The model that a run asks when it names none, and where that is said.
fn chosen(settings: &Settings) -> Option<(String, String)> {
    let id = settings.config.model.clone()?;
    let entries = ["provider.model", "model"].map(|key| settings.merged.entry(key));
    let entry = entries.into_iter().flatten().find(|entry| entry.value == id.as_str())?;
    Some((id, entry.origin.to_string()))
}

fn configured(id: &str) -> ModelInfo {
    ModelInfo {
        id: id.to_owned(),
        name: None,
        source: "configured".to_owned(),
        efforts: Vec::new(),
        multiplier: None,
        context_tokens: None,
    }
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

fn row(model: &ModelInfo, origin: Option<&String>) -> Vec<String> {
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
    details.extend(origin.map(|origin| format!("asked by default ({origin})")));
    vec![model.id.clone(), model.source.clone(), details.join("  ")]
}
