//! Flags and settings become a complete request.

use std::fs;
use std::path::Path;

use copex_proto::config::{ClientConfig, Layer, Merged, Origin, Place, Ui};
use copex_proto::run::{
    ChatRequest, RalphRequest, RunOptions, RunRequest, SessionChoice, SystemMessage,
    SystemMessageMode,
};
use copex_proto::spend::SpendLimits;
use serde_json::{Value, json};

use crate::cli::{ChatFlags, LimitFlags, LoopFlags, OutputFlags, TurnFlags, UiFlags};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::settings::{self, Given, Settings};
use crate::{mcp, skills, snapshot};

/// Refuses flags that this version cannot honour.
pub(crate) fn refuse_unavailable(flags: &ChatFlags) -> Result<()> {
    let later = [(flags.template.is_some(), "--template")];
    match later.iter().find(|(given, _)| *given) {
        Some((_, name)) => Err(Failure::not_available(name)),
        None => Ok(()),
    }
}

/// The flags as the highest layer of the configuration.
pub(crate) fn layer(flags: &TurnFlags, home: &Path, here: &Path) -> Result<Layer> {
    let mut layer = Layer::default();
    let mut set = |key: &str, flag: &str, value: Option<Value>| -> Result<()> {
        let Some(value) = value else { return Ok(()) };
        let place = Place { origin: Origin::Flag(flag.to_owned()), base: here, home };
        Ok(layer.set(key, value, &place)?)
    };
    let list = |items: &[String]| (!items.is_empty()).then(|| json!(items));
    let (tools, approval) = (&flags.tools, &flags.approval);
    set("model", "--model", flags.model.as_deref().map(Value::from))?;
    set("reasoning_effort", "--reasoning", flags.reasoning.as_deref().map(Value::from))?;
    set("strict_model", "--strict-model", flags.strict_model.then_some(Value::Bool(true)))?;
    set("use_cli", "--use-cli", flags.use_cli.then_some(Value::Bool(true)))?;
    set("streaming", "--no-stream", flags.no_stream.then_some(Value::Bool(false)))?;
    set("instructions", "--system", flags.system.as_deref().map(Value::from))?;
    set("timeout", "--timeout", flags.timeout.map(Value::from))?;
    set("retry.max_retries", "--max-retries", flags.max_retries.map(Value::from))?;
    let none = flags.fallback.iter().any(|model| model == "none");
    let chain = (!flags.fallback.is_empty()).then(|| json!(&flags.fallback));
    set("fallback_chain", "--fallback", if none { Some(json!([])) } else { chain })?;
    set("retry.park", "--no-park", flags.no_park.then_some(Value::Bool(false)))?;
    set("retry.max_parks", "--max-parks", flags.max_parks.map(Value::from))?;
    set("limits.max_duration", "--max-duration", flags.max_duration.map(Value::from))?;
    set("context_budget", "--context-budget", flags.context_budget.map(Value::from))?;
    let limits = &flags.limits;
    set("limits.max_cost", "--max-cost", limits.max_cost.map(Value::from))?;
    set("limits.max_ai_credits", "--max-ai-credits", limits.max_ai_credits.map(Value::from))?;
    set("limits.max_tokens", "--max-tokens", limits.max_tokens.map(Value::from))?;
    set(
        "available_tools",
        "--available-tools",
        tools.available_tools.as_ref().map(|list| json!(list)),
    )?;
    set("excluded_tools", "--excluded-tools", list(&tools.excluded_tools))?;
    let folders: Vec<_> = tools.skill_dir.iter().map(|path| path.display().to_string()).collect();
    set("skill_directories", "--skill-dir", list(&folders))?;
    set("disabled_skills", "--disable-skill", list(&tools.disable_skill))?;
    set("skills", "--skill", list(&tools.skill))?;
    set(
        "auto_discover_skills",
        "--no-auto-skills",
        tools.no_auto_skills.then_some(Value::Bool(false)),
    )?;
    set("approval.mode", "--approval", approval.approval.as_deref().map(Value::from))?;
    let modes = [
        (approval.auto_approve, "--auto-approve", "auto"),
        (approval.allow_all, "--allow-all", "auto"),
        (approval.approve, "--approve", "ask"),
        (approval.dry_run, "--dry-run", "deny"),
    ];
    for (given, flag, mode) in modes {
        set("approval.mode", flag, given.then(|| json!(mode)))?;
    }
    let ui = &flags.output.ui;
    set("ui_theme", "--ui-theme", ui.ui_theme.as_deref().map(Value::from))?;
    set("ui_density", "--ui-density", ui.ui_density.as_deref().map(Value::from))?;
    set("screen_reader", "--screen-reader", ui.screen_reader.then_some(Value::Bool(true)))?;
    set("bell", "--bell", flags.output.bell.then_some(Value::Bool(true)))?;
    set("approval.allow", "--allow-tool", list(&approval.allow_tool))?;
    set("approval.deny", "--deny-tool", list(&approval.deny_tool))?;
    Ok(layer)
}

/// How everything looks with these flags, for a command that reads no other setting.
pub(crate) fn ui(ctx: &Context, flags: &UiFlags) -> Result<Ui> {
    let output = OutputFlags { ui: flags.clone(), ..OutputFlags::default() };
    let flags = TurnFlags { output, ..TurnFlags::default() };
    let layer = layer(&flags, &ctx.home, Path::new("/"))?;
    let given = Given { flags: layer, ..Given::default() };
    Ok(settings::load(ctx, given)?.config.ui)
}

/// The limits of a run that is resumed, checked as the keys of the same names are.
pub(crate) fn limits(flags: &LimitFlags) -> Result<SpendLimits> {
    let flags = TurnFlags { limits: flags.clone(), ..TurnFlags::default() };
    let layer = layer(&flags, Path::new("/"), Path::new("/"))?;
    Ok(ClientConfig::from_merged(&Merged::new([layer]))?.limits)
}

/// The request of a chat.
pub(crate) fn chat(
    ctx: &Context,
    settings: &Settings,
    flags: &ChatFlags,
    prompt: String,
) -> Result<RunRequest> {
    Ok(RunRequest::Chat(ChatRequest {
        prompt,
        compact: false,
        options: options(ctx, settings, flags)?,
    }))
}

/// The request of a loop.
pub(crate) fn ralph(
    ctx: &Context,
    settings: &Settings,
    (of_loop, flags): (LoopFlags, &ChatFlags),
    prompt: String,
) -> Result<RunRequest> {
    Ok(RunRequest::Ralph(RalphRequest {
        prompt,
        promise: of_loop.promise,
        verify: of_loop.verify,
        max_iterations: of_loop.max_iterations,
        verify_timeout_s: of_loop.verify_timeout,
        context: of_loop.context.unwrap_or_default(),
        max_errors: of_loop.max_errors,
        delay_s: of_loop.delay,
        commit: of_loop.commit,
        pause: of_loop.pause,
        options: options(ctx, settings, flags)?,
    }))
}

/// What every mode shares. A run that is not detached ends with its client.
pub(crate) fn options(ctx: &Context, settings: &Settings, flags: &ChatFlags) -> Result<RunOptions> {
    let config = &settings.config;
    let session = match (&flags.resume, flags.continue_last) {
        (Some(id), _) => SessionChoice::Resume(id.clone()),
        (None, true) => SessionChoice::Continue,
        (None, false) => SessionChoice::New,
    };
    skills::refuse_absent(settings)?;
    let servers = mcp::by_name(mcp::gather(settings, &flags.turn.tools.mcp_config)?);
    let mut secrets =
        snapshot::secrets(&ctx.env, config.provider.as_ref(), config.github_token.as_ref());
    secrets.extend(snapshot::referenced(&ctx.env, &servers));
    Ok(RunOptions {
        cwd: Some(settings.cwd.display().to_string()),
        // A replay asks the model that was recorded, whatever the configuration says.
        model: config.model.clone().filter(|_| flags.replay.is_none()),
        reasoning_effort: config.reasoning_effort,
        strict_model: config.strict_model,
        provider: config.provider.clone(),
        secrets,
        demo: flags.demo,
        demo_fallback: flags.or_demo,
        system_message: system_message(settings)?,
        available_tools: config.available_tools.clone(),
        excluded_tools: config.excluded_tools.clone(),
        skill_directories: skills::folders(ctx, settings),
        disabled_skills: config.disabled_skills.clone(),
        skills: config.skills.clone(),
        mcp_servers: servers,
        streaming: (!config.streaming).then_some(false),
        approval: config.approval.clone(),
        env: Some(snapshot::take(&ctx.env)),
        session,
        cli_path: config.cli_path.clone(),
        use_cli: config.use_cli,
        timeout_s: config.timeout_s,
        max_retries: config.max_retries,
        retry: config.retry.clone(),
        context_budget: config.context_budget,
        max_cost: config.limits.max_cost,
        max_ai_credits: config.limits.max_ai_credits,
        max_tokens: config.limits.max_tokens,
        prices: config.prices.clone(),
        fallback_chain: config.fallback_chain.clone(),
        on_content_filter: config.on_content_filter,
        on_lost_session: config.on_lost_session,
        auto_continue: config.auto_continue,
        no_park: !config.park,
        max_parks: config.max_parks,
        max_duration_s: config.max_duration_s,
        record: absolute(flags.record.as_deref())?,
        replay: absolute(flags.replay.as_deref())?,
        replay_speed: flags.replay_speed,
        foreground: !flags.turn.detach,
        outlives_client: false,
    })
}

/// A file as the daemon has to name it: it does not know where we are.
fn absolute(file: Option<&Path>) -> Result<Option<String>> {
    let Some(file) = file else { return Ok(None) };
    let here = std::path::absolute(file).map_err(|error| Failure::file("find", file, &error))?;
    let text = here.to_str().map(str::to_owned);
    let text =
        text.ok_or_else(|| Failure::usage(format!("the path {} is not UTF-8", file.display())))?;
    Ok(Some(text))
}

fn system_message(settings: &Settings) -> Result<Option<SystemMessage>> {
    let text = match (&settings.config.instructions, &settings.config.instructions_file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => fs::read_to_string(path)
            .map_err(|error| Failure::file("read instructions_file", Path::new(path), &error))?,
        (None, None) => return Ok(None),
    };
    Ok(Some(SystemMessage { mode: SystemMessageMode::Append, text }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        let flags = ChatFlags { template: Some("t".to_owned()), ..ChatFlags::default() };
        let failure = refuse_unavailable(&flags).unwrap_err();
        assert_eq!(failure.to_string(), "--template is not available in this version");
        assert_eq!(failure.exit() as u8, 2);
    }

    #[test]
    fn flags_are_checked_like_keys() {
        let flags = TurnFlags { reasoning: Some("huge".to_owned()), ..TurnFlags::default() };
        let failure = layer(&flags, Path::new("/h"), Path::new("/w")).unwrap_err();
        assert!(failure.to_string().starts_with("--reasoning: "), "{failure}");
        let mut flags = TurnFlags { max_retries: Some(0), use_cli: true, ..TurnFlags::default() };
        flags.approval.allow_all = true;
        let layer = layer(&flags, Path::new("/h"), Path::new("/w")).unwrap();
        assert_eq!(layer.entries["approval.mode"].value, json!("auto"));
        assert_eq!(layer.entries["retry.max_retries"].value, json!(0));
        assert_eq!(layer.entries["use_cli"].value, json!(true));
    }

    #[test]
    fn limits_that_make_no_sense_are_refused_by_the_flags_name() {
        let wrong = [
            (LimitFlags { max_cost: Some(-1.0), ..LimitFlags::default() }, "--max-cost"),
            (LimitFlags { max_cost: Some(f64::NAN), ..LimitFlags::default() }, "--max-cost"),
            (LimitFlags { max_cost: Some(1e9), ..LimitFlags::default() }, "--max-cost"),
            (
                LimitFlags { max_ai_credits: Some(-0.5), ..LimitFlags::default() },
                "--max-ai-credits",
            ),
            (LimitFlags { max_tokens: Some(0), ..LimitFlags::default() }, "--max-tokens"),
            (LimitFlags { max_tokens: Some(i64::MAX), ..LimitFlags::default() }, "--max-tokens"),
        ];
        for (flags, name) in wrong {
            let failure = limits(&flags).unwrap_err();
            assert!(failure.to_string().starts_with(&format!("{name}: ")), "{failure}");
            assert_eq!(failure.exit() as u8, 2);
        }
        let good = LimitFlags { max_tokens: Some(5), ..LimitFlags::default() };
        assert_eq!(limits(&good).unwrap().max_tokens, Some(5));
    }
}
