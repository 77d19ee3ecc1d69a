//! `mcp`: which servers a run is given, and whether they start.

use std::time::Duration;

use copex_proto::mcp::{self as wire, McpCheck, McpChecked, McpReport};
use serde_json::{Value, json};

use crate::cli::{McpCommand, McpFrom};
use crate::commands::models;
use crate::connect::Connection;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::mcp::{self, Named};
use crate::settings::{self, Given, Settings};
use crate::{render, snapshot};

/// Characters of what is started, in the list.
const TARGET_CHARS: usize = 60;

/// How long a runtime may take to be there and to open a session.
const RUNTIME: Duration = Duration::from_secs(150);

/// Lists servers, or starts them.
pub(crate) fn run(ctx: &Context, command: McpCommand) -> Result<Exit> {
    match command {
        McpCommand::List { from } => list(ctx, from),
        McpCommand::Check { name, timeout, from } => check(ctx, &name, timeout, from),
    }
}

/// Every server that a run has: ours, and those that the Copilot CLI adds by itself.
fn gather(ctx: &Context, from: McpFrom) -> Result<(Settings, Vec<Named>)> {
    let given = Given { file: from.config, cwd: from.cwd, ..Given::default() };
    let settings = settings::load(ctx, given)?;
    let mut servers = mcp::gather(&settings, &from.mcp_config)?;
    let own = mcp::own(ctx)?;
    let own = own.into_iter().filter(|own| !servers.iter().any(|it| it.name == own.name));
    let own: Vec<Named> = own.collect();
    servers.extend(own);
    servers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((settings, servers))
}

fn list(ctx: &Context, from: McpFrom) -> Result<Exit> {
    let as_json = from.json;
    let (_, servers) = gather(ctx, from)?;
    warn(&servers);
    if as_json {
        let servers: Vec<Value> = servers.iter().map(value).collect();
        render::value(&json!({ "servers": servers }))?;
        return Ok(Exit::Done);
    }
    let row = |named: &Named| {
        vec![
            render::clean(&named.name),
            wire::transport(&named.server).to_owned(),
            render::brief(&mcp::target(&named.server), TARGET_CHARS),
            named.from.clone(),
        ]
    };
    let rows: Vec<_> = servers.iter().map(row).collect();
    render::text(render::table(&rows).as_bytes())?;
    if rows.is_empty() {
        render::note(NONE);
    }
    Ok(Exit::Done)
}

/// What to do when there is none.
const NONE: &str = "there are no MCP servers; write [mcp_servers.NAME] into the configuration, or \
                    give a file with --mcp-config";

/// Says once which servers show a secret to everybody.
fn warn(servers: &[Named]) {
    let careless = mcp::careless(servers);
    if !careless.is_empty() {
        render::note(&format!(
            "warning: a secret is written out among the arguments of {}, and whoever may list \
             processes reads it while the server runs; where the server takes it from its \
             environment, write it in `env` as ${{env:NAME}}",
            careless.join(", ")
        ));
    }
}

fn value(named: &Named) -> Value {
    let needs: Vec<_> = wire::references(&[(named.name.clone(), named.server.clone())].into())
        .into_iter()
        .collect();
    json!({
        "name": named.name,
        "transport": wire::transport(&named.server),
        "target": mcp::target(&named.server),
        "from": named.from,
        "variables": needs,
    })
}

fn check(ctx: &Context, names: &[String], timeout: f64, from: McpFrom) -> Result<Exit> {
    let as_json = from.json;
    let (settings, mut servers) = gather(ctx, from)?;
    if let Some(name) = names.iter().find(|name| !servers.iter().any(|it| it.name == **name)) {
        let known: Vec<&str> = servers.iter().map(|it| it.name.as_str()).collect();
        let hint = match known.as_slice() {
            [] => NONE.to_owned(),
            known => format!("known: {}", known.join(", ")),
        };
        return Err(Failure::usage(format!("no MCP server is called `{name}`")).with_hint(hint));
    }
    servers.retain(|it| names.is_empty() || names.contains(&it.name));
    if servers.is_empty() {
        render::note(NONE);
        if as_json {
            render::value(&McpReport::default())?;
        }
        return Ok(Exit::Done);
    }
    warn(&servers);
    let servers = mcp::by_name(servers);
    let mut query = models::query(ctx, &settings);
    query.secrets.extend(snapshot::referenced(&ctx.env, &servers));
    let cwd = Some(settings.cwd.display().to_string());
    let check = McpCheck { servers, cwd, timeout_s: Some(timeout), query };
    let mut ctx = ctx.clone();
    ctx.auto_start = settings.config.auto_start;
    let mut connection = Connection::open(&ctx)?;
    // In the worst case one starts after the other, in a runtime that has to be started.
    let most = Duration::try_from_secs_f64(timeout).unwrap_or_default();
    let count = u32::try_from(check.servers.len()).unwrap_or(u32::MAX);
    connection.patience(RUNTIME.saturating_add(most.saturating_mul(count)));
    let report: McpReport = connection.call("mcp.check", &json!({ "check": check }))?;
    let failed = report.servers.iter().any(|server| !server.ok);
    if as_json {
        render::value(&report)?;
    } else {
        let rows: Vec<_> = report.servers.iter().map(row).collect();
        render::text(render::table(&rows).as_bytes())?;
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn row(server: &McpChecked) -> Vec<String> {
    let tools: Vec<&str> = server.tools.iter().map(|tool| tool.name.as_str()).collect();
    let told = match &server.error {
        Some(error) => error.clone(),
        None if tools.is_empty() => "no tools".to_owned(),
        None if tools.len() == 1 => format!("1 tool: {}", tools[0]),
        None => format!("{} tools: {}", tools.len(), tools.join(", ")),
    };
    vec![
        render::clean(&server.name),
        server.transport.clone(),
        if server.ok { "ok" } else { "failed" }.to_owned(),
        render::duration(server.took_ms),
        render::clean(&told).replace('\n', " "),
    ]
}
