//! From a file's text to servers in one form.

use serde_json::{Map, Value, json};

use super::{McpError, Servers, comments};

/// The tables that hold the servers: the Copilot CLI's, Python copex's, VS Code's.
const WRAPPERS: [&str; 3] = ["mcpServers", "mcp_servers", "servers"];

/// Fields that go on to the Copilot CLI as they are.
const KEPT: [&str; 4] = ["cwd", "tools", "timeout", "oauthClientId"];

/// Reads servers as the Copilot CLI (`mcpServers`), VS Code (`servers`, or `mcp` with that in
/// it) and Python copex (`servers`, a table or a list with `name`) write them, or the table
/// alone. Servers that are switched off are left out. Comments, and a comma behind the last part,
/// are as good as nothing.
///
/// # Errors
/// For anything else, naming the server.
pub fn read(text: &str) -> Result<Servers, McpError> {
    let value = serde_json::from_str(&comments::plain(text))
        .map_err(|error| McpError::new(format!("broken JSON: {error}")))?;
    from_value(value)
}

/// The same of what was read already.
///
/// # Errors
/// As [`read`].
pub fn from_value(mut value: Value) -> Result<Servers, McpError> {
    if let Some(inner) = value.get_mut("mcp").filter(|inner| inner.get("servers").is_some()) {
        value = inner.take();
    }
    if let Some(inner) = WRAPPERS.iter().find_map(|name| value.get_mut(name).map(Value::take)) {
        value = inner;
    }
    named(value)?.into_iter().filter_map(|(name, server)| one(name, server).transpose()).collect()
}

fn one(name: String, server: Value) -> Result<Option<(String, Value)>, McpError> {
    Ok(normalise(&name, server)?.map(|server| (name, server)))
}

fn named(value: Value) -> Result<Vec<(String, Value)>, McpError> {
    match value {
        Value::Object(map) if map.values().all(Value::is_object) => Ok(map.into_iter().collect()),
        Value::Array(list) => list
            .into_iter()
            .map(|mut server| {
                let name = server.as_object_mut().and_then(|server| server.remove("name"));
                match name {
                    Some(Value::String(name)) => Ok((name, server)),
                    _ => Err(McpError::new("a server in the list has no `name`")),
                }
            })
            .collect(),
        _ => Err(McpError::new("a JSON object of MCP servers by name is needed")),
    }
}

/// A server in the Copilot CLI's form: `type` is `stdio`, `http` or `sse`, `tools` is there.
/// Nothing, where it is switched off.
///
/// # Errors
/// When it cannot be started as described, with the reason.
pub fn normalise(name: &str, server: Value) -> Result<Option<Value>, McpError> {
    let wrong = |words: &str| McpError::new(format!("the MCP server `{name}` {words}"));
    let odd = |it: char| it.is_control() || it.is_whitespace();
    if name.is_empty() || name.contains(odd) {
        return Err(wrong("has a name that is empty or has white space in it"));
    }
    let Value::Object(mut fields) = server else {
        return Err(wrong("is no table"));
    };
    let off = |field: &str, value: bool| fields.get(field) == Some(&Value::Bool(value));
    if off("disabled", true) || off("enabled", false) || off("auto_start", false) {
        return Ok(None);
    }
    if fields.contains_key("envFile") {
        return Err(wrong("names an `envFile`, which is not read here")
            .hint("put the variables in `env`, secrets as ${env:NAME}"));
    }
    let kind = transport_of(&fields).map_err(|words| wrong(&words).hint(WAYS))?;
    let mut server = Map::new();
    server.insert("type".to_owned(), kind.into());
    if kind == "stdio" {
        let command = text(&fields, "command").ok_or_else(|| wrong("has no `command`"))?;
        server.insert("command".to_owned(), command.into());
        let args = texts(fields.remove("args")).ok_or_else(|| wrong("has odd `args`"))?;
        server.insert("args".to_owned(), args);
    } else {
        let url = text(&fields, "url").ok_or_else(|| wrong("has no `url`"))?;
        if !["http://", "https://", "${"].iter().any(|start| url.starts_with(start)) {
            return Err(wrong("has a `url` that is neither http:// nor https://"));
        }
        server.insert("url".to_owned(), url.into());
    }
    for table in if kind == "stdio" { ["env"] } else { ["headers"] } {
        if let Some(value) = fields.remove(table) {
            let value = table_of_texts(value).ok_or_else(|| {
                wrong(&format!("has an odd `{table}`: a table of texts is needed"))
            })?;
            server.insert(table.to_owned(), value);
        }
    }
    for field in KEPT {
        server.extend(fields.remove_entry(field));
    }
    server.entry("tools").or_insert_with(|| json!(["*"]));
    Ok(Some(Value::Object(server)))
}

/// How a server is described.
const WAYS: &str = "give it `command` and `args`, or `url` and `type` (http or sse)";

/// How a normalised server is spoken with.
pub fn transport(server: &Value) -> &str {
    server["type"].as_str().unwrap_or("stdio")
}

fn transport_of(fields: &Map<String, Value>) -> Result<&'static str, String> {
    let named = ["type", "transport"].iter().find_map(|field| fields.get(*field));
    let (by_command, by_url) = (fields.contains_key("command"), fields.contains_key("url"));
    match named.map(|it| it.as_str().unwrap_or_default()) {
        Some("stdio" | "local") => Ok("stdio"),
        Some("http" | "streamable-http" | "streamable_http" | "streamableHttp") => Ok("http"),
        Some("sse") => Ok("sse"),
        Some(other) => Err(format!("has the type `{other}`; it is stdio (or local), http or sse")),
        None if by_command && by_url => {
            Err("has both `command` and `url`, and no `type`".to_owned())
        }
        None if by_command => Ok("stdio"),
        None if by_url => Ok("http"),
        None => Err("has neither `command` nor `url`".to_owned()),
    }
}

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    let text = fields.get(name)?.as_str()?;
    (!text.trim().is_empty()).then(|| text.to_owned())
}

fn texts(value: Option<Value>) -> Option<Value> {
    match value {
        None => Some(json!([])),
        Some(Value::Array(items)) => items.into_iter().map(as_text).collect(),
        Some(_) => None,
    }
}

fn table_of_texts(value: Value) -> Option<Value> {
    let Value::Object(map) = value else { return None };
    let pairs = map.into_iter().map(|(name, value)| Some((name, as_text(value)?)));
    pairs.collect::<Option<Map<_, _>>>().map(Value::Object)
}

/// Numbers and truth values are written without quotes by many.
fn as_text(value: Value) -> Option<Value> {
    match value {
        Value::String(_) => Some(value),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(truth) => Some(truth.to_string().into()),
        _ => None,
    }
}
