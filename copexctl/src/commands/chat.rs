//! `chat`: one prompt, one answer.

use std::path::{Path, PathBuf};

use copex_proto::health::SubmitResponse;
use copex_proto::run::RunRequest;
use serde_json::json;
use serde_json::value::RawValue;

use crate::cli::{ChatArgs, ChatFlags};
use crate::commands::watch::watch;
use crate::connect::Connection;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::follow::{OnInterrupt, Source};
use crate::prompt::{self, Parts};
use crate::render;
use crate::request;
use crate::settings::{self, Given, Settings};

/// Sends the prompt and shows the answer.
pub(crate) fn run(mut ctx: Context, args: ChatArgs) -> Result<Exit> {
    let ChatArgs { prompt, flags } = args;
    request::refuse_unavailable(&flags)?;
    let (settings, prompt) = prepare(&mut ctx, prompt.as_deref(), &flags)?;
    let request = request::chat(&ctx, &settings, &flags, prompt)?;
    launch(&ctx, &request, &settings, &flags)
}

/// The settings that hold with these flags, and the whole prompt.
pub(super) fn prepare(
    ctx: &mut Context,
    prompt: Option<&str>,
    flags: &ChatFlags,
) -> Result<(Settings, String)> {
    let settings = settle(ctx, flags)?;
    let prompt = self::prompt(prompt, flags, &here()?)?;
    Ok((settings, prompt))
}

fn here() -> Result<PathBuf> {
    crate::env::working_folder()
        .map_err(|error| Failure::file("find", "the working folder".as_ref(), &error))
}

/// The settings that hold with these flags.
pub(crate) fn settle(ctx: &mut Context, flags: &ChatFlags) -> Result<Settings> {
    let layer = request::layer(&flags.turn, &ctx.home, &here()?)?;
    let given =
        Given { file: flags.turn.config.clone(), cwd: flags.turn.cwd.clone(), flags: layer };
    let settings = settings::load(ctx, given)?;
    ctx.auto_start = settings.config.auto_start;
    ctx.ui = Some(settings.config.ui);
    Ok(settings)
}

/// The whole prompt.
pub(super) fn prompt(prompt: Option<&str>, flags: &ChatFlags, here: &Path) -> Result<String> {
    prompt::assemble(Parts { prompt, from_stdin: flags.turn.stdin, context: &flags.context, here })
}

/// Starts a run, and follows it unless it is to go on by itself.
pub(super) fn launch(
    ctx: &Context,
    request: &RunRequest,
    settings: &Settings,
    flags: &ChatFlags,
) -> Result<Exit> {
    if flags.turn.detach && flags.turn.output.output.is_some() {
        return Err(Failure::usage("--output and --detach do not go together")
            .with_hint("fetch the answer with `copexctl runs attach RUN --output FILE`"));
    }
    let request = serde_json::value::to_raw_value(request)
        .map_err(|error| Failure::failed(format!("cannot encode the request: {error}")))?;
    let key = uuid::Uuid::new_v4().to_string();
    let warnings = settings.warnings();
    if flags.turn.detach {
        if !flags.turn.output.quiet {
            for text in &warnings {
                render::note(text);
            }
        }
        return submit(ctx, &request, &key);
    }
    let source = Source::Start { request, key };
    watch(ctx, source, &flags.turn.output, OnInterrupt::Cancel, &warnings)
}

fn submit(ctx: &Context, request: &RawValue, key: &str) -> Result<Exit> {
    let mut connection = Connection::open(ctx)?;
    let params = json!({ "request": request, "key": key });
    let answer: SubmitResponse = connection.call("run.submit", &params)?;
    ctx.meet(answer.run);
    render::line(answer.run.as_str())?;
    Ok(Exit::Done)
}
