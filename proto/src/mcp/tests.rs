use serde_json::json;

use super::*;

fn nothing(_: &str) -> Option<String> {
    None
}

fn known(name: &str) -> Option<String> {
    (name == "KEY").then(|| "the-key".to_owned())
}

fn put_in(server: Value, variable: &dyn Fn(&str) -> Option<String>) -> Result<Value, McpError> {
    let from = Surroundings { variable, folder: "/w", home: "/h" };
    let servers = [("a".to_owned(), server)].into();
    resolve(&servers, &from).map(|mut servers| servers.remove("a").unwrap())
}

#[test]
fn the_three_formats_become_one() {
    let stdio = json!({"type": "stdio", "command": "x", "args": [], "tools": ["*"]});
    let forms = [
        r#"{"mcpServers": {"a": {"command": "x"}}}"#,
        r#"{"mcpServers": {"a": {"type": "local", "command": "x", "args": []}}}"#,
        r#"{"servers": {"a": {"type": "stdio", "command": "x"}}, "inputs": []}"#,
        r#"{"mcp": {"servers": {"a": {"command": "x"}}}}"#,
        r#"{"a": {"command": "x"}}"#,
        r#"[{"name": "a", "command": "x", "restart_on_crash": true}]"#,
        r#"{"servers": [{"name": "a", "command": "x", "transport": "stdio"}]}"#,
    ];
    for form in forms {
        assert_eq!(read(form).unwrap()["a"], stdio, "{form}");
    }
    let remote = |kind: &str, fields: &str| {
        let text = format!(r#"{{"mcpServers": {{"a": {{"url": "https://x/y"{fields}}}}}}}"#);
        assert_eq!(transport(&read(&text).unwrap()["a"]), kind, "{fields}");
    };
    remote("http", "");
    remote("http", r#", "type": "http""#);
    remote("http", r#", "type": "streamable-http""#);
    remote("sse", r#", "transport": "sse", "headers": {"X": "1"}"#);
}

#[test]
fn what_is_switched_off_is_left_out() {
    let text = r#"{"a": {"command": "x", "disabled": true}, "b": {"command": "x", "auto_start":
        false}, "c": {"url": "http://x", "timeout": 5, "cwd": "/", "tools": ["t"]}}"#;
    let servers = read(text).unwrap();
    assert_eq!(servers.len(), 1);
    assert_eq!(servers["c"]["tools"], json!(["t"]));
    assert_eq!(servers["c"]["timeout"], 5);
}

#[test]
fn what_cannot_be_started_is_named() {
    let table = [
        ("{", "broken JSON"),
        ("3", "object of MCP servers"),
        (r#"{"a": 1}"#, "object of MCP servers"),
        (r#"[{"command": "x"}]"#, "no `name`"),
        (r#"{"a": {}}"#, "`a` has neither"),
        (r#"{"a": {"command": "x", "url": "http://x"}}"#, "both"),
        (r#"{"a": {"type": "stdio"}}"#, "`a` has no `command`"),
        (r#"{"a": {"type": "http"}}"#, "`a` has no `url`"),
        (r#"{"a": {"type": "carrier-pigeon", "command": "x"}}"#, "carrier-pigeon"),
        (r#"{"a": {"url": "ftp://x"}}"#, "http://"),
        (r#"{"a": {"command": "x", "args": "y"}}"#, "args"),
        (r#"{"a": {"command": "x", "env": {"A": []}}}"#, "env"),
        (r#"{"a": {"command": "x", "envFile": ".env"}}"#, "envFile"),
        (r#"{"a b": {"command": "x"}}"#, "white space"),
    ];
    for (text, words) in table {
        let error = read(text).unwrap_err();
        assert!(error.message.contains(words), "{text}: {error}");
    }
}

#[test]
fn numbers_without_quotes_are_texts() {
    let server = normalise("a", json!({"command": "x", "args": [1, "b"], "env": {"P": 80}}));
    let server = server.unwrap().unwrap();
    assert_eq!((&server["args"], &server["env"]["P"]), (&json!(["1", "b"]), &json!("80")));
}

#[test]
fn variables_are_put_in_late() {
    let server = json!({
        "command": "${userHome}/x", "cwd": "${workspaceFolder}/y",
        "args": ["${KEY}", "${NONE}", "${NONE:-z}", "${#n} $KEY", "a${env:KEY}b"],
        "env": {"TOKEN": "${env:KEY}"}, "headers": {"A": "Bearer ${env:KEY}"},
    });
    let servers: Servers = [("a".to_owned(), server.clone())].into();
    let names: Vec<_> = references(&servers).into_iter().collect();
    assert_eq!(names, ["KEY", "NONE"]);
    let resolved = put_in(server, &known).unwrap();
    let expected = json!({
        "command": "/h/x", "cwd": "/w/y",
        "args": ["the-key", "${NONE}", "z", "${#n} $KEY", "athe-keyb"],
        "env": {"TOKEN": "the-key"}, "headers": {"A": "Bearer the-key"},
    });
    assert_eq!(resolved, expected);
}

#[test]
fn what_cannot_be_put_in_is_named() {
    let table = [
        ("${env:KEY}", "`a`: ${env:KEY} is not set"),
        ("${input:token}", "VS Code"),
        ("${config:x}", "${config:x} is not known"),
        ("${command:x}", "not known"),
        ("${env:COPEX_MCP_A_TOKEN}", "in memory only"),
    ];
    for (text, words) in table {
        let error = put_in(json!({"command": "x", "args": [text]}), &nothing).unwrap_err();
        assert!(error.message.contains(words) && error.hint.is_some(), "{text}: {error}");
    }
}

#[test]
fn secrets_that_are_written_out_are_taken_away() {
    let mut servers: Servers = [(
        "git-hub".to_owned(),
        json!({"env": {"API_TOKEN": "sesame", "PORT": "80", "MY_KEY": "${env:K}"},
               "headers": {"Authorization": "Bearer x", "X-Api-Key": "y", "Accept": "z"}}),
    )]
    .into();
    let mut secrets = BTreeMap::new();
    hide(&mut servers, &mut secrets, &|_| false);
    let left = serde_json::to_string(&servers).unwrap();
    assert!(!left.contains("sesame") && !left.contains("Bearer"), "{left}");
    assert!(left.contains(r#""PORT":"80""#) && left.contains("${env:K}"), "{left}");
    let names: Vec<_> = secrets.keys().map(String::as_str).collect();
    let expected = [
        "COPEX_MCP_GIT_HUB_API_TOKEN",
        "COPEX_MCP_GIT_HUB_AUTHORIZATION",
        "COPEX_MCP_GIT_HUB_X_API_KEY",
    ];
    assert_eq!(names, expected);
    let variable = |name: &str| secrets.get(name).map(|it| it.reveal().to_owned());
    let from = Surroundings { variable: &variable, folder: "/", home: "/" };
    servers.get_mut("git-hub").unwrap()["env"]["MY_KEY"] = json!("k");
    let back = resolve(&servers, &from).unwrap();
    assert_eq!(back["git-hub"]["env"]["API_TOKEN"], "sesame");
}

#[test]
fn secrets_among_arguments_are_taken_away() {
    let known = |text: &str| text.contains("ghp_");
    let args = json!([
        "-y",
        "pkg",
        "--api-key=sk-1",
        "--token",
        "two",
        "--verbose",
        "--password",
        "--other",
        "--header",
        "Authorization: Bearer three",
        "at ghp_four",
        "--token",
        "${env:T}",
        "--api-key=${env:K}",
        "https://h/?access_token=five&x=1",
        "--use-api-key=true",
        "a=b",
        "--max-tokens=100",
        "--token-file=/x",
    ]);
    let server = json!({"args": args, "url": "https://h/mcp?api_key=six"});
    let mut servers: Servers = [("s".to_owned(), server.clone())].into();
    let mut secrets = BTreeMap::new();
    hide(&mut servers, &mut secrets, &known);
    let hidden: Vec<_> = secrets.iter().map(|(name, it)| (name.as_str(), it.reveal())).collect();
    let expected = [
        ("COPEX_MCP_S_ARG_10", "Bearer three"),
        ("COPEX_MCP_S_ARG_11", "at ghp_four"),
        ("COPEX_MCP_S_ARG_15", "five&x=1"),
        ("COPEX_MCP_S_ARG_3", "sk-1"),
        ("COPEX_MCP_S_ARG_5", "two"),
        ("COPEX_MCP_S_URL", "six"),
    ];
    assert_eq!(hidden, expected);
    assert_eq!(servers["s"]["args"][2], "--api-key=${env:COPEX_MCP_S_ARG_3}");
    let variable = |name: &str| match secrets.get(name) {
        Some(secret) => Some(secret.reveal().to_owned()),
        None => Some(format!("${{env:{name}}}")),
    };
    let from = Surroundings { variable: &variable, folder: "/", home: "/" };
    assert_eq!(resolve(&servers, &from).unwrap()["s"], server, "it is started as it was written");
}

#[test]
fn an_address_has_a_user_or_a_key_that_is_secret() {
    for (url, kept, secret) in [
        ("https://h/mcp?key=one", "https://h/mcp?key=", "one"),
        ("https://h/mcp?x=1&Sig=two&y=2", "https://h/mcp?x=1&Sig=", "two&y=2"),
        ("https://me:three@h/mcp?key=k", "https://", "me:three@h/mcp?key=k"),
        ("https://h:80/a@b:c?monkey=1&key=", "https://h:80/a@b:c?monkey=1&key=", ""),
        ("https://me@h/mcp", "https://me@h/mcp", ""),
        ("https://h/mcp?key=${env:K}", "https://h/mcp?key=${env:K}", ""),
    ] {
        let mut servers: Servers = [("s".to_owned(), json!({ "url": url }))].into();
        let mut secrets = BTreeMap::new();
        hide(&mut servers, &mut secrets, &|_| false);
        let hidden: String = secrets.values().map(crate::secret::Secret::reveal).collect();
        assert_eq!(hidden, secret, "{url}");
        let left = servers["s"]["url"].as_str().unwrap();
        assert_eq!(left.trim_end_matches("${env:COPEX_MCP_S_URL}"), kept, "{url}");
    }
}
