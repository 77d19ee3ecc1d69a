//! `copexctl mcp`, the formats that describe servers, and what becomes of their secrets. The
//! server is a real one, from npm.

use std::net::TcpListener;

use copex_tests::cli;
use copex_tests::model::Reply;
use copex_tests::process::{Launch, Running};
use serde_json::{Value, json};

use crate::product::{Product, of_type};

/// A secret that must not be found anywhere.
const SECRET: &str = "sesame-open-0123456789";

/// Another, among arguments.
const ARGUMENT: &str = "sk-argument-9f8e7d6c5b4a";

/// The server over HTTP, and the port where it listens.
fn over_http(product: &Product, kind: &str, ready: &str) -> (Running, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Launch::inside(product.daemon.sandbox(), cli::mcp_everything())
        .env("PORT", port.to_string())
        .args([kind])
        .start();
    let _line = server.wait_stderr(ready);
    (server, port)
}

#[test]
fn servers_of_every_transport_and_format_are_listed_and_checked() {
    let product = Product::start();
    let (_http, http) = over_http(&product, "streamableHttp", "listening on port");
    let (_sse, sse) = over_http(&product, "sse", "running on port");
    let sandbox = product.daemon.sandbox();
    let server = cli::mcp_everything();
    let copilot = json!({"mcpServers": {
        "local": {"type": "local", "command": server, "args": [], "tools": ["*"]},
        "web": {"type": "http", "url": format!("http://127.0.0.1:{http}/mcp")},
        "old": {"type": "sse", "url": format!("http://127.0.0.1:{sse}/sse")},
    }});
    let vs_code = json!({"inputs": [], "servers": {
        "code": {"type": "stdio", "command": server, "env": {"T": "${env:THE_TOKEN}"}},
    }});
    let copex = json!({"servers": [{"name": "copex", "command": server, "transport": "stdio",
        "restart_on_crash": true}]});
    for (name, text) in [("copilot", copilot), ("code", vs_code), ("copex", copex)] {
        // As people write it in an editor that allows it.
        let text = format!("// mine\n{}", text.to_string().replace("}}}", "}, }, /* last */ }"));
        sandbox.write(format!("work/{name}.json"), &text);
    }
    let files = ["copilot.json", "code.json", "copex.json"].map(|it| ["--mcp-config", it]);
    let files = files.concat();
    let words = ["mcp", "list", "--json"].iter().chain(&files);
    let list = product.ctl().run(words).expect_code(0).json();
    let of = |name: &str| {
        let mut servers = list["servers"].as_array().unwrap().iter();
        servers.find(|it| it["name"] == name).cloned().unwrap_or_else(|| panic!("{list:#}"))
    };
    assert_eq!((&of("web")["transport"], &of("old")["transport"]), (&json!("http"), &json!("sse")));
    assert_eq!(of("code")["variables"], json!(["THE_TOKEN"]));
    assert_eq!(of("copex")["from"], "copex.json");

    let ctl = product.ctl().with(|launch| launch.env("THE_TOKEN", SECRET));
    let words = ["mcp", "check", "--json"].iter().chain(&files);
    let report = ctl.run(words).expect_code(0).json();
    let servers = report["servers"].as_array().unwrap();
    assert_eq!(servers.len(), 5, "{report:#}");
    for server in servers {
        let tools = server["tools"].as_array().unwrap();
        assert!(tools.iter().any(|tool| tool["name"] == "echo"), "{server:#}");
        assert!(server["ok"] == true && server["took_ms"].is_u64(), "{server:#}");
    }
    // Who does not say the variable is told which.
    let words = ["mcp", "check", "code", "web", "--json"].iter().chain(&files);
    let report = product.ctl().run(words).expect_code(1).json();
    assert_eq!(report["servers"][1]["ok"], true, "{report:#}");
    assert!(report["servers"][0]["error"].as_str().unwrap().contains("THE_TOKEN"), "{report:#}");
}

#[test]
fn a_server_that_fails_says_why_and_none_is_waited_for_for_ever() {
    let product = Product::start();
    let dies = json!({"command": "sh", "args": ["-c", "echo the database is away >&2; exit 3"]});
    let waits = json!({"command": "sh", "args": ["-c", "exec sleep 613"]});
    let servers = json!({"dies": dies, "waits": waits, "absent": {"command": "no-such-program"}});
    let text = servers.to_string();
    let failed = |seconds: &str, names: &[&str]| {
        let words = ["mcp", "check", "--timeout", seconds, "--json", "--mcp-config", &text];
        let report = product.ctl().run(words.iter().chain(names)).expect_code(1).json();
        let servers = report["servers"].as_array().unwrap();
        servers.iter().map(|one| one["error"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let errors = failed("60", &["absent", "dies"]);
    let absent = "`no-such-program` is not on the PATH; install it, or write its path";
    assert!(errors[0].starts_with(absent) && !errors[0].contains("os error"), "{errors:?}");
    assert!(errors[1].contains("the database is away"), "{errors:?}");
    let errors = failed("2", &["waits"]);
    assert!(errors[0].contains("2 s"), "{errors:?}");
    let left = copex_tests::process::marked(product.daemon.sandbox().marker());
    assert!(!left.iter().any(|(_, line)| line.contains("sleep 613")), "{left:?}");

    // What is written out in a server is not repeated in its failure, and neither is a cause.
    let file = product.daemon.sandbox().write("work/plain.txt", "no program");
    let servers = json!({
        "gone": {"command": "/nowhere/server"},
        "page": {"type": "http", "url": "http://127.0.0.1:9/mcp?api-key=a-secret-key-0123456789"},
        "plain": {"command": file},
    });
    let output = product.ctl().run(["mcp", "check", "--mcp-config", &servers.to_string()]);
    let output = output.expect_code(1);
    for words in ["`/nowhere/server` is not there; ", "plain.txt may not be executed; `chmod +x`"] {
        assert_eq!(output.stdout.matches(words).count(), 1, "{words}: {}", output.stdout);
    }
    let words = "nobody answers at http://127.0.0.1:9/mcp; start it, or correct `url`";
    assert!(output.stdout.contains(words), "{}", output.stdout);
    assert!(!output.stdout.contains("a-secret-key"), "{}", output.stdout);

    let output = product.ctl().run(["mcp", "check", "nobody", "--mcp-config", &text]);
    let output = output.expect_code(2);
    assert!(output.stderr.contains("`nobody`") && output.stderr.contains("waits"), "{output:?}");
    let table = [
        (r#"{"a": {"type": "pigeon", "command": "x"}}"#, "pigeon"),
        (r#"{"a": {"command": "x", "envFile": ".env"}}"#, "envFile"),
        (r#"{"a": {"command": "x", "args": ["${input:key}"]}}"#, "VS Code"),
        (r#"{"a": {"command": "x", "args": ["${env:NOT_SET_AT_ALL}"]}}"#, "NOT_SET_AT_ALL"),
    ];
    for (config, words) in table {
        let output = product.chat(["go", "--mcp-config", config]).expect_code(2);
        assert!(output.stderr.contains(words), "{config}: {}", output.stderr);
        assert!(output.stderr.contains("`a`"), "{config}: {}", output.stderr);
    }
    assert_eq!(product.model.requests().len(), 0);
}

/// Whether a text is in any file below a folder.
fn found_below(folder: &std::path::Path, text: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(found_below(&path, text));
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).unwrap_or_default();
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_servers_secrets_reach_it_and_nothing_else() {
    for way in [&[][..], &["--use-cli"]] {
        let product = Product::start();
        let server = json!({
            "command": cli::mcp_everything(),
            "env": {"MY_API_KEY": SECRET, "MY_TOKEN": "${env:THE_TOKEN}"},
        });
        let config = json!({"mcpServers": {"everything": server}}).to_string();
        let file = product.daemon.sandbox().path("home").join("servers.json");
        std::fs::write(&file, &config).unwrap();
        product.model.push(Reply::tool("everything-get-env", &json!({})));
        product.model.push(Reply::text("the end"));
        let ctl = product.ctl().with(|launch| launch.env("THE_TOKEN", "other-9876543210-secret"));
        let file = file.display().to_string();
        let words = ["chat", "go", "--jsonl", "--allow-tool", "everything", "--mcp-config", &file];
        let events = ctl.run(words.iter().chain(way)).expect_code(0).json_lines();
        let result: &Value = &of_type(&events, "tool_end")[0]["result"];
        for secret in [SECRET, "other-9876543210-secret"] {
            // The server has it: this one tells all it has.
            assert!(result.as_str().unwrap().contains(secret), "{way:?}: {result}");
        }
        // The request, as the daemon keeps it, does not.
        let run = events[0]["run"].as_str().unwrap();
        let kept = product.rpc().call("run.get", &json!({"run": run})).to_string();
        assert!(!kept.contains(SECRET), "{way:?}: {kept}");
        assert!(!product.daemon.log().contains(SECRET), "{way:?}");
    }
}

#[test]
fn a_servers_secrets_are_not_on_the_disk() {
    let product = Product::start();
    let script = product.daemon.sandbox().write("server.py", include_str!("mcp_server.py"));
    let told = product.daemon.sandbox().path("work/told");
    // What it is started with is seen by everybody, the server itself first.
    let start =
        "tr '\\0' '\\n' < /proc/$$/cmdline | grep -c \"$2\" > told; exec python3 \"$1\" /dev/null";
    let key = format!("--api-key={ARGUMENT}");
    let server = json!({"command": "sh", "args": ["-c", start, "sh", script, key],
        "env": {"MY_API_KEY": SECRET}});
    let config = json!({"mcpServers": {"adder": server}}).to_string();
    let listed = product.ctl().run(["mcp", "list", "--mcp-config", &config]).expect_code(0);
    assert!(!(listed.stdout.clone() + &listed.stderr).contains(ARGUMENT), "{listed:?}");
    assert_eq!(listed.stderr.matches("among the arguments of adder").count(), 1, "{listed:?}");
    assert!(listed.stderr.contains("${env:NAME}"), "{listed:?}");
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "go", json!({"mcp_servers": {"adder": server}}));
    let events = crate::product::follow(&mut rpc, &run);
    assert_eq!(events.last().unwrap()["type"], "done", "{events:#?}");
    assert!(product.last_request().tools().contains(&"adder-add"));
    assert_ne!(std::fs::read_to_string(told).unwrap().trim(), "0", "it is started with it");
    let kept = product.rpc().call("run.get", &json!({"run": run})).to_string();
    assert!(kept.contains("--api-key=${env:COPEX_MCP_ADDER_ARG_5}"), "{kept}");
    let _stopped = product.daemon.stop();
    let state = product.daemon.sandbox().path(".");
    for secret in [SECRET, ARGUMENT] {
        assert_eq!(found_below(&state, secret), Vec::<std::path::PathBuf>::new());
    }
}
