//! Clients that nobody wrote for copex: curl, nc, socat, Python, an editor's library, and
//! jsonrpsee's own WebSocket client.

use std::time::Duration;

use copex_proto::PROTOCOL_VERSION;
use copex_proto::api::CopexApiClient as _;
use copex_proto::event::{EventBody, RunEvent};
use copex_proto::health::{ClientInfo, RunFilter};
use copex_proto::run::RunRequest;
use copex_tests::cli::vscode_jsonrpc;
use copex_tests::clock::PATIENCE;
use copex_tests::daemon::TestDaemon;
use copex_tests::model::{ModelServer, Reply};
use copex_tests::process::Launch;
use copex_tests::tool;
use jsonrpsee::client_transport::ws::{Url, WsTransportClientBuilder};
use jsonrpsee::core::client::{Client, ClientBuilder, Subscription};
use serde_json::{Value, json};

use super::{answer, assert_numbered, chat, daemon, kinds};

/// A run whose answer comes in three pieces.
fn scripted() -> (ModelServer, TestDaemon) {
    let server = ModelServer::start();
    server.push(Reply::chunks(["one ", "two ", "three"]));
    let daemon = daemon(&server);
    (server, daemon)
}

fn call(id: u64, method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

/// What an NDJSON client printed: the answer, then the items of its subscription.
fn assert_followed(stdout: &str) {
    let frames: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str(line).expect("a frame a line")).collect();
    let subscription = &frames[0]["result"];
    assert!(subscription.is_string(), "{}", frames[0]);
    let events: Vec<Value> = frames[1..]
        .iter()
        .map(|frame| {
            assert_eq!(frame["method"], "run.event");
            assert_eq!(&frame["params"]["subscription"], subscription);
            frame["params"]["result"].clone()
        })
        .collect();
    assert_numbered(&events, 1);
    assert_eq!(answer(&events), "one two three");
}

#[test]
fn curl_calls_and_follows_by_long_polls() {
    let Some(curl) = tool::find("curl") else { return };
    let (server, daemon) = scripted();
    let socket = daemon.socket();
    let post = |method: &str, params: &Value| {
        let body = call(7, method, params);
        let launch = Launch::inside(daemon.sandbox(), &curl)
            .args(["-sS", "--fail", "--unix-socket"])
            .args([&socket])
            .args(["-H", "content-type: application/json", "-d", &body, "http://copexd/"]);
        let answer = launch.run().expect_code(0).json();
        assert_eq!(answer["id"], 7);
        assert_eq!(answer.get("error"), None, "{answer}");
        answer["result"].clone()
    };
    let status = post("daemon.status", &json!([]));
    assert_eq!(status["phase"], "ready", "{status}");
    assert_eq!(status["pid"], daemon.process().pid().as_raw());
    assert_eq!(status["connections"], 1);

    let request = chat(&server, &daemon, "go");
    let run = post("run.submit", &json!({"request": request}))["run"].clone();
    let mut events = Vec::new();
    loop {
        let after = events.len();
        let page = post("run.events", &json!({"run": run, "after": after, "wait_ms": 20_000}));
        events.extend(page["events"].as_array().cloned().unwrap_or_default());
        assert_eq!(page["next_after"], events.len());
        if page["ended"] == true {
            break;
        }
    }
    assert_numbered(&events, 1);
    assert_eq!(kinds(&events)[0], "accepted");
    assert_eq!(answer(&events), "one two three");
}

#[test]
fn curl_is_told_that_http_carries_no_subscriptions() {
    let Some(curl) = tool::find("curl") else { return };
    let (server, daemon) = scripted();
    let body = call(1, "run.start", &json!({"request": chat(&server, &daemon, "go")}));
    let output = Launch::inside(daemon.sandbox(), curl)
        .args(["-sS", "--unix-socket"])
        .args([daemon.socket()])
        .args(["-H", "content-type: application/json", "-d", &body, "http://copexd/"])
        .run()
        .expect_code(0);
    let error = output.json()["error"].clone();
    assert!(error["code"].is_i64(), "{}", output.stdout);
    let runs = daemon.rpc().call("run.list", &json!({}));
    assert_eq!(runs["runs"], json!([]), "nothing was started by a refused call");
}

#[test]
fn nc_sends_a_line_closes_its_half_and_reads_to_the_end() {
    let Some(nc) = tool::find("nc") else { return };
    let (server, daemon) = scripted();
    let nc = |input: String| {
        Launch::inside(daemon.sandbox(), &nc)
            .args(["-N", "-U"])
            .args([daemon.socket()])
            .stdin(input)
            .run()
            .ok()
    };
    let hello: Value = serde_json::from_str(&nc(call(1, "hello", &json!({})))).unwrap();
    assert_eq!(hello["result"]["protocol"], PROTOCOL_VERSION, "{hello}");
    assert_followed(&nc(call(2, "run.start", &json!([chat(&server, &daemon, "go")])) + "\n"));
}

#[test]
fn socat_follows_a_run() {
    let Some(socat) = tool::find("socat") else { return };
    let (server, daemon) = scripted();
    let input = call(1, "run.start", &json!({"request": chat(&server, &daemon, "go")}));
    let output = Launch::inside(daemon.sandbox(), socat)
        .args(["-t60", "-", &format!("UNIX-CONNECT:{}", daemon.socket().display())])
        .stdin(input + "\n")
        .run();
    assert_followed(&output.ok());
}

#[test]
fn python_needs_only_its_standard_library() {
    let Some(python) = tool::find("python3") else { return };
    let (server, daemon) = scripted();
    let output = Launch::inside(daemon.sandbox(), python)
        .args(["-c", include_str!("ndjson.py")])
        .args([daemon.socket()])
        .stdin(chat(&server, &daemon, "go").to_string())
        .run();
    assert_eq!(output.ok(), "one two three\n");
}

#[test]
fn an_editors_library_calls_and_subscribes() {
    let Some(node) = tool::find("node") else { return };
    let (server, daemon) = scripted();
    server.push(Reply::hang_before_head());
    let output = Launch::inside(daemon.sandbox(), node)
        .env("NODE_PATH", vscode_jsonrpc())
        .args(["-e", include_str!("editor.js")])
        .args([daemon.socket()])
        .stdin(chat(&server, &daemon, "go").to_string())
        .run();
    let said = output.expect_code(0).json();
    assert_eq!(said["protocol"], PROTOCOL_VERSION, "{said}");
    assert_eq!(said["content"], "one two three", "{said}");
    assert_eq!(said["types"][0], "accepted", "{said}");
    assert_eq!(said["refused"], -32601, "{said}");
    assert_eq!(said["cancelled"], -32800, "{said}");
}

/// jsonrpsee's client over a WebSocket on the daemon's socket.
async fn websocket(daemon: &TestDaemon) -> Client {
    let stream = tokio::net::UnixStream::connect(daemon.socket()).await.unwrap();
    let url: Url = "ws://copexd/".parse().unwrap();
    let builder = WsTransportClientBuilder::default();
    let (sender, receiver) = builder.build_with_stream(url, stream).await.unwrap();
    ClientBuilder::default().build_with_tokio(sender, receiver)
}

async fn to_the_end(mut events: Subscription<RunEvent>) -> Vec<RunEvent> {
    let mut seen: Vec<RunEvent> = Vec::new();
    while !seen.last().is_some_and(|event| event.body.is_terminal()) {
        let next = tokio::time::timeout(PATIENCE, events.next()).await.expect("a next event");
        seen.push(next.expect("the subscription lives").expect("an event of the contract"));
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_generated_client_speaks_websocket() {
    let (server, daemon) = tokio::task::spawn_blocking(scripted).await.unwrap();
    let client = websocket(&daemon).await;
    let me =
        ClientInfo { name: "test".to_owned(), version: "0".to_owned(), protocol: PROTOCOL_VERSION };
    let hello = client.hello(Some(me)).await.unwrap();
    assert_eq!(hello.protocol, PROTOCOL_VERSION);

    let request: RunRequest = serde_json::from_value(chat(&server, &daemon, "go")).unwrap();
    let events = to_the_end(client.run_start(request, None).await.unwrap()).await;
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
    let Some(EventBody::Done(outcome)) = events.last().map(|event| &event.body) else {
        panic!("{events:#?}")
    };
    assert_eq!(outcome.content, "one two three");

    let listed = client.run_list(Some(RunFilter::default()), None, None).await.unwrap();
    assert_eq!(listed.runs.len(), 1);
    assert_eq!(listed.runs[0].run, events[0].run);
    assert_eq!(listed.runs[0].last_seq, events.len() as u64);

    let again = to_the_end(client.run_watch(events[0].run, Some(2)).await.unwrap()).await;
    assert_eq!(again, events[2..]);
    // A run that has ended is answered at once, however long the poll may wait.
    let wait = u64::try_from(Duration::from_secs(50).as_millis()).ok();
    let last = events.last().map(|event| event.seq);
    let page = client.run_events(events[0].run, last, None, wait).await.unwrap();
    assert!(page.ended && page.events.is_empty(), "{page:?}");
    drop(client);
    tokio::task::spawn_blocking(move || drop((server, daemon))).await.unwrap();
}
