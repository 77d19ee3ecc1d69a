//! MCP servers: gathered from the configuration, a file and flags, each with where it is from.

use std::fs;
use std::path::{Path, PathBuf};

use copex_proto::mcp::{self, McpError, Servers};
use serde_json::Value;

use crate::context::Context;
use crate::conversation::secret::looks_secret;
use crate::error::{Failure, Result};
use crate::settings::Settings;

/// The Copilot CLI's own list of servers, in its folder.
const OWN_FILE: &str = "mcp-config.json";

/// A server with where it is from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named {
    /// Its name.
    pub(crate) name: String,
    /// As it is started, with references in place of secrets.
    pub(crate) server: Value,
    /// Where it was read.
    pub(crate) from: String,
}

/// The servers of a run: `mcp_servers`, else `mcp_config_file`, and `--mcp-config` over them.
pub(crate) fn gather(settings: &Settings, given: &[String]) -> Result<Vec<Named>> {
    let config = &settings.config;
    let mut all = Vec::new();
    match (&config.mcp_servers, &config.mcp_config_file) {
        (Some(servers), _) => {
            let origin = settings.merged.entry("mcp_servers").map(|entry| entry.origin.to_string());
            let from = origin.unwrap_or_else(|| "mcp_servers".to_owned());
            let map = servers.clone().into_iter().collect();
            add(&mut all, mcp::from_value(Value::Object(map)), &from)?;
        }
        (None, Some(path)) => read_file(&mut all, Path::new(path))?,
        (None, None) => {}
    }
    for given in given {
        if given.trim_start().starts_with(['{', '[']) {
            add(&mut all, mcp::read(given), "--mcp-config")?;
        } else {
            read_file(&mut all, Path::new(given.strip_prefix('@').unwrap_or(given)))?;
        }
    }
    Ok(all)
}

/// Those that the Copilot CLI has by itself: it adds them to every run.
pub(crate) fn own(ctx: &Context) -> Result<Vec<Named>> {
    let home = ctx.env.get("COPILOT_HOME").filter(|home| !home.is_empty());
    let home = home.map_or_else(|| ctx.home.join(".copilot"), PathBuf::from);
    let path = home.join(OWN_FILE);
    let mut all = Vec::new();
    if path.is_file() {
        read_file(&mut all, &path)?;
    }
    Ok(all)
}

/// The servers alone, as a request has them.
pub(crate) fn by_name(servers: Vec<Named>) -> Servers {
    servers.into_iter().map(|named| (named.name, named.server)).collect()
}

fn read_file(all: &mut Vec<Named>, path: &Path) -> Result<()> {
    let text = fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
    add(all, mcp::read(&text), &path.display().to_string())
}

/// One that comes later wins.
fn add(
    all: &mut Vec<Named>,
    servers: std::result::Result<Servers, McpError>,
    from: &str,
) -> Result<()> {
    let servers = servers.map_err(|error| {
        let failure = Failure::usage(format!("{from}: {}", error.message));
        match error.hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    })?;
    for (name, server) in servers {
        all.retain(|named| named.name != name);
        all.push(Named { name, server, from: from.to_owned() });
    }
    Ok(())
}

/// What is started or asked, for people: secrets are left out.
pub(crate) fn target(server: &Value) -> String {
    if let Some(url) = server["url"].as_str() {
        let plain = url.split(['?', '#']).next().unwrap_or_default();
        return match plain.split_once("://") {
            Some((scheme, rest)) => {
                let host = rest.split('/').next().unwrap_or_default();
                let user = host.rfind('@').map_or(0, |at| at + 1);
                format!("{scheme}://{}", &rest[user..])
            }
            None => plain.to_owned(),
        };
    }
    let args = server["args"].as_array().map_or(&[][..], Vec::as_slice);
    let secret = mcp::secret_args(args, &looks_secret);
    let mut words = vec![server["command"].as_str().unwrap_or_default().to_owned()];
    for (at, arg) in args.iter().enumerate() {
        let arg = arg.as_str().unwrap_or_default();
        let hidden = secret.iter().find(|(hidden, _)| *hidden == at);
        words.push(hidden.map_or(arg.to_owned(), |(_, from)| format!("{}…", &arg[..*from])));
    }
    words.join(" ")
}

/// The servers with a secret written out among their arguments.
pub(crate) fn careless(servers: &[Named]) -> Vec<&str> {
    let args = |it: &Named| it.server["args"].as_array().cloned().unwrap_or_default();
    let careless = |it: &&Named| !mcp::secret_args(&args(it), &looks_secret).is_empty();
    servers.iter().filter(careless).map(|it| it.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_shown_has_no_secrets() {
        let table = [
            (json!({"url": "https://me:pw@h.example/mcp?api_key=x#y"}), "https://h.example/mcp"),
            (
                json!({"command": "npx", "args": ["-y", "pkg", "--api-key", "sesame", "last"]}),
                "npx -y pkg --api-key … last",
            ),
            (json!({"command": "x", "args": ["--auth-token=sesame"]}), "x --auth-token=…"),
            (json!({"command": "x", "args": ["--token", "${env:T}"]}), "x --token ${env:T}"),
            (json!({"command": "x", "args": ["ghp_abcdefghijklmnop1234"]}), "x …"),
            (json!({"command": "x", "args": ["API_KEY=sesame", "a=b"]}), "x API_KEY=… a=b"),
        ];
        for (server, expected) in table {
            assert_eq!(target(&server), expected);
        }
    }

    #[test]
    fn a_server_that_comes_later_wins_and_errors_name_the_place() {
        let mut all = Vec::new();
        add(&mut all, mcp::read(r#"{"a": {"command": "x"}}"#), "one").unwrap();
        add(&mut all, mcp::read(r#"{"a": {"command": "y"}, "b": {"command": "z"}}"#), "two")
            .unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].from.as_str(), &all[0].server["command"]), ("two", &json!("y")));
        let failure = add(&mut all, mcp::read("{"), "three").unwrap_err();
        assert!(failure.to_string().starts_with("three: "), "{failure}");
    }
}
