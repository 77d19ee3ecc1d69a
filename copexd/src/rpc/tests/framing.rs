//! What each line framing carries, and what it answers to nonsense.

use copex_proto::error::ErrorInfo;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn lines_carry_calls_by_name_and_by_position() {
    let server = Server::start();
    let mut client = server.connect().await;
    let named = client.call("add", json!({"left": 2, "right": 3})).await;
    assert_eq!(named, json!({"jsonrpc": "2.0", "id": 1, "result": 5}));
    assert_eq!(client.call("add", json!([4, 5])).await["result"], 9);
    let who = client.call("who", json!([])).await["result"].clone();
    assert_eq!(who["transport"], "Ndjson");
    assert_eq!(who["pid"], std::process::id());
    assert_eq!(who["connection"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn frames_carry_calls_and_subscriptions() {
    let server = Server::start();
    let mut client = server.connect().await;
    client.frame(&request(1, "add", json!([1, 2])).to_string()).await;
    assert_eq!(client.hear_frame().await["result"], 3);
    client.frame(&request(2, "count", json!([2, true])).to_string()).await;
    let id = client.hear_frame().await["result"].clone();
    for number in 1..=2 {
        let item = client.hear_frame().await;
        assert_eq!(item["method"], "counted");
        assert_eq!(item["params"], json!({"subscription": id, "result": number}));
    }
    client.frame(&request(3, "uncount", json!([id])).to_string()).await;
    assert_eq!(client.hear_frame().await["result"], true);
    taken(&server.stage.left).await;
    client.frame(&request(4, "who", json!([])).to_string()).await;
    assert_eq!(client.hear_frame().await["result"]["transport"], "Lsp");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_frame_may_come_in_pieces_and_with_other_headers() {
    let server = Server::start();
    let mut client = server.connect().await;
    let body = request(7, "echo", json!(["ü"])).to_string();
    let text = format!(
        "content-length: {}\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n{body}",
        body.len()
    );
    for byte in text.as_bytes() {
        client.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.hear_frame().await["result"], json!(["ü"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn lines_carry_subscriptions() {
    let server = Server::start();
    let mut client = server.connect().await;
    let id = client.call("count", json!([3, true])).await["result"].clone();
    assert!(id.is_string());
    for number in 1..=3 {
        assert_eq!(client.hear().await["params"]["result"], number);
    }
    assert_eq!(client.call("uncount", json!([id])).await["result"], true);
    taken(&server.stage.left).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn calls_of_one_connection_overtake_each_other() {
    let server = Server::start();
    let mut client = server.connect().await;
    client.say(&request(1, "slow", json!([]))).await;
    taken(&server.stage.started).await;
    assert_eq!(client.ask(request(2, "add", json!([1, 1]))).await["id"], 2);
    server.stage.gate.add_permits(1);
    assert_eq!(client.hear().await, json!({"jsonrpc": "2.0", "id": 1, "result": 1}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_batch_is_answered_as_one() {
    let server = Server::start();
    let mut client = server.connect().await;
    let answers = client
        .ask(json!([
            request(1, "add", json!([1, 1])),
            {"jsonrpc": "2.0", "method": "echo"},
            request(2, "count", json!([1, true])),
            5,
            request(3, "nope", json!([])),
        ]))
        .await;
    let codes: Vec<_> = answers.as_array().unwrap().iter().map(code).collect();
    assert_eq!(codes, [0, -32600, -32600, -32601]);
    assert_eq!(answers[0]["result"], 2);
    assert_eq!(answers[1]["id"], 2);
    assert_eq!(code(&client.ask(json!([])).await), -32600);
    client.say(&json!([{"jsonrpc": "2.0", "method": "echo"}])).await;
    assert_eq!(client.call("add", json!([2, 2])).await["result"], 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nonsense_is_answered_and_the_connection_lives() {
    let server = Server::start();
    let mut client = server.connect().await;
    let cases = [
        ("{\"jsonrpc\":", -32700, Value::Null),
        ("[1,", -32700, Value::Null),
        ("{} {}", -32700, Value::Null),
        ("{}", -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":3}"#, -32600, json!(3)),
        (r#"{"id":4,"method":"echo"}"#, -32600, json!(4)),
        (r#"{"jsonrpc":"2.0","id":-1,"method":"echo"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"echo"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":[],"method":"echo"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"echo"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":5,"method":"ecko"}"#, -32601, json!(5)),
        (r#"{"jsonrpc":"2.0","id":6,"method":"add","params":{"left":1}}"#, -32602, json!(6)),
        (r#"{"jsonrpc":"2.0","id":"p","method":"panic"}"#, -32603, json!("p")),
    ];
    for (line, expected, id) in cases {
        client.send(format!("{line}\n\n  \n")).await;
        let answer = client.hear().await;
        assert_eq!((code(&answer), &answer["id"]), (expected, &id), "{line} -> {answer}");
        let info = serde_json::from_value::<ErrorInfo>(answer["error"]["data"].clone());
        assert!(info.is_ok(), "{line} -> {answer}");
    }
    client.send(b"{\"\xff\"}\n").await;
    assert_eq!(code(&client.hear().await), -32700);
    let unknown = client.call("ecko", json!([])).await;
    assert_eq!(unknown["error"]["data"]["hint"], "did you mean `echo`?");
    assert_eq!(client.call("add", json!([1, 1])).await["result"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_null_id_is_a_call_and_a_notification_runs_without_an_answer() {
    let server = Server::start();
    let mut client = server.connect().await;
    let answer = client.ask(json!({"jsonrpc": "2.0", "id": null, "method": "echo"})).await;
    assert_eq!(answer, json!({"jsonrpc": "2.0", "id": null, "result": null}));
    client.say(&json!({"jsonrpc": "2.0", "method": "slow"})).await;
    taken(&server.stage.started).await;
    client.say(&json!({"jsonrpc": "2.0", "method": "panic"})).await;
    server.stage.gate.add_permits(1);
    assert_eq!(client.call("add", json!([1, 2])).await["result"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_client_cancels_its_own_call() {
    let server = Server::start();
    let mut client = server.connect().await;
    client.say(&request(1, "slow", json!([]))).await;
    let cancel = json!({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 1}});
    let cancelled = client.ask(cancel).await;
    assert_eq!((code(&cancelled), &cancelled["id"]), (-32800, &json!(1)));
    client.say(&request(2, "slow", json!([]))).await;
    client.say(&request(3, "cancel", json!({"id": 2}))).await;
    let (first, second) = (client.hear().await, client.hear().await);
    let both = [&first, &second];
    assert!(both.iter().any(|answer| answer["id"] == 2 && code(answer) == -32800));
    assert!(both.iter().any(|answer| answer["id"] == 3 && answer["result"] == true));
    let late = client.ask(request(4, "cancel", json!({"id": 2}))).await;
    assert_eq!(late["result"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_broken_header_is_answered_and_ends_the_connection() {
    let server = Server::start();
    for header in [
        "Content-Length: many\r\n\r\n".to_owned(),
        "Content-Type: x\r\n\r\n".to_owned(),
        "Content-Length 5\r\n\r\n".to_owned(),
        format!("Content-Type: {}", "x".repeat(5000)),
    ] {
        let mut client = server.connect().await;
        client.send(header).await;
        assert_eq!(code(&client.hear_frame().await), -32700);
        assert!(client.is_over().await);
    }
    let mut client = server.connect().await;
    client.send("hello?\n").await;
    assert_eq!(code(&client.hear().await), -32700);
    assert!(client.is_over().await);
}
