//! HTTP and WebSocket on the same socket.

use jsonrpsee::async_client::{Client as WebSocket, ClientBuilder};
use jsonrpsee::client_transport::ws::WsTransportClientBuilder;
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::{ClientT, Subscription, SubscriptionClientT};
use jsonrpsee::core::params::BatchRequestBuilder;
use jsonrpsee::rpc_params;

use super::*;

/// One request that closes its connection.
pub(super) fn post_body(body: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(super) fn post(method: &str) -> String {
    post_body(&request(1, method, json!([])).to_string())
}

/// The body of the answer.
pub(super) async fn body(client: &mut Client) -> Value {
    let mut text = String::new();
    soon(client.read.read_to_string(&mut text)).await.unwrap();
    let (_, body) = text.split_once("\r\n\r\n").expect("an HTTP answer");
    serde_json::from_str(body).unwrap_or_else(|_| json!(body))
}

pub(super) async fn connect(server: &Server) -> Arc<WebSocket> {
    let url = "ws://localhost/".parse().unwrap();
    let stream = server.stream().await;
    let transport = WsTransportClientBuilder::default().build_with_stream(url, stream);
    let (sender, receiver) = soon(transport).await.unwrap();
    Arc::new(ClientBuilder::default().build_with_tokio(sender, receiver))
}

pub(super) async fn call(client: &WebSocket, method: &str) -> Result<Value, ClientError> {
    soon(client.request(method, rpc_params![])).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn http_carries_calls_and_batches() {
    let server = Server::start();
    let mut client = server.connect().await;
    client.send(post("who")).await;
    let who = body(&mut client).await["result"].clone();
    assert_eq!((&who["transport"], &who["pid"]), (&json!("Http"), &json!(std::process::id())));
    let cases = [
        (request(1, "add", json!({"left": 1, "right": 2})), 0),
        (request(1, "panic", json!([])), -32603),
        (request(1, "ecko", json!([])), -32601),
        (request(1, "count", json!([1, false])), -32603),
    ];
    for (message, expected) in cases {
        let mut client = server.connect().await;
        client.send(post_body(&message.to_string())).await;
        let answer = body(&mut client).await;
        assert_eq!(code(&answer), expected, "{message} -> {answer}");
    }
    let mut client = server.connect().await;
    let batch = json!([request(1, "add", json!([1, 1])), request(2, "panic", json!([]))]);
    client.send(post_body(&batch.to_string())).await;
    let answers = body(&mut client).await;
    assert_eq!((&answers[0]["result"], code(&answers[1])), (&json!(2), -32603));
    server.deserted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn http_keeps_its_limits() {
    let server = Server::with(Limits { request_bytes: 1000, batch: 2, ..Limits::default() });
    let mut client = server.connect().await;
    client.send(post_body(&request(1, "echo", json!(["x".repeat(2000)])).to_string())).await;
    assert_eq!(code(&body(&mut client).await), -32007);
    let mut client = server.connect().await;
    client.send(post_body("[1, 2, 3]")).await;
    assert_eq!(code(&body(&mut client).await), -32010);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn websocket_carries_calls_batches_and_subscriptions() {
    let server = Server::start();
    let client = connect(&server).await;
    let who = call(&client, "who").await.unwrap();
    assert_eq!((&who["transport"], &who["uid"]), (&json!("WebSocket"), &json!(nix_uid())));
    let mut items: Subscription<u32> =
        soon(client.subscribe("count", rpc_params![2, true], "uncount")).await.unwrap();
    assert_eq!(soon(items.next()).await.unwrap().unwrap(), 1);
    assert_eq!(soon(items.next()).await.unwrap().unwrap(), 2);
    soon(items.unsubscribe()).await.unwrap();
    taken(&server.stage.left).await;
    let mut batch = BatchRequestBuilder::new();
    batch.insert("add", rpc_params![1, 1]).unwrap();
    batch.insert("panic", rpc_params![]).unwrap();
    batch.insert("count", rpc_params![1, true]).unwrap();
    let answers = soon(client.batch_request::<Value>(batch)).await.unwrap();
    let codes: Vec<_> =
        answers.into_iter().map(|answer| answer.map_or_else(|error| error.code(), |_| 0)).collect();
    assert_eq!(codes, [0, -32603, -32600]);
    let panicked = call(&client, "panic").await.unwrap_err();
    assert!(matches!(panicked, ClientError::Call(error) if error.code() == -32603));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_websocket_that_leaves_is_noticed() {
    let server = Server::start();
    let client = connect(&server).await;
    assert_eq!(call(&client, "watch_me").await.unwrap(), true);
    let items: Subscription<u32> =
        soon(client.subscribe("count", rpc_params![0, true], "uncount")).await.unwrap();
    let calling = TaskTracker::new();
    let called = Arc::clone(&client);
    let call = calling.spawn(async move { call(&called, "slow").await });
    taken(&server.stage.started).await;
    call.abort();
    drop((soon(call).await, client, items));
    taken(&server.stage.left).await;
    taken(&server.stage.dropped).await;
    taken(&server.stage.closed).await;
    server.deserted().await;
    assert_eq!(server.sockets(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_http_client_that_leaves_takes_its_call_along() {
    let server = Server::start();
    let mut client = server.connect().await;
    client.send(post("slow")).await;
    taken(&server.stage.started).await;
    drop(client);
    taken(&server.stage.dropped).await;
    server.deserted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_stopping_server_answers_websockets_and_closes_them() {
    let server = Server::start();
    let client = connect(&server).await;
    let mut items: Subscription<u32> =
        soon(client.subscribe("count", rpc_params![0, true], "uncount")).await.unwrap();
    let calling = TaskTracker::new();
    let called = Arc::clone(&client);
    let call = calling.spawn(async move { call(&called, "slow").await });
    taken(&server.stage.started).await;
    server.stop.cancel();
    server.stage.gate.add_permits(1);
    assert_eq!(soon(call).await.unwrap().unwrap(), 1);
    assert!(soon(items.next()).await.is_none());
    soon(client.on_disconnect()).await;
    assert_eq!(server.stopped().await, Drained { cut: 0 });
}

fn nix_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}
