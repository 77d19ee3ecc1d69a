//! Clients that leave: politely, half, or in the middle of a word.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_half_closed_client_gets_what_it_is_owed() {
    let server = Server::start();
    let mut client = server.connect().await;
    client.say(&request(1, "slow", json!([]))).await;
    // The last line lacks its end, as `printf '{…}' | nc -N -U` sends it.
    client.send(request(2, "count", json!([2, false])).to_string()).await;
    client.write.shutdown().await.unwrap();
    taken(&server.stage.started).await;
    assert!(client.hear().await["result"].is_string());
    assert_eq!(client.hear().await["params"]["result"], 1);
    assert_eq!(client.hear().await["params"]["result"], 2);
    server.stage.gate.add_permits(1);
    assert_eq!(client.hear().await["result"], 1);
    assert!(client.is_over().await);
    server.deserted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_half_closed_client_that_leaves_is_noticed() {
    let server = Server::start();
    let mut client = server.connect().await;
    client.say(&request(1, "slow", json!([]))).await;
    client.say(&request(2, "count", json!([1, true]))).await;
    assert!(client.hear().await["result"].is_string());
    // What is accepted is told a moment before it is; its first item comes after both.
    assert_eq!(client.hear().await["params"]["result"], 1);
    taken(&server.stage.started).await;
    client.write.shutdown().await.unwrap();
    drop(client);
    taken(&server.stage.dropped).await;
    taken(&server.stage.left).await;
    server.deserted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_client_that_leaves_takes_its_calls_along() {
    let server = Server::start();
    let mut client = server.connect().await;
    assert_eq!(client.call("watch_me", json!([])).await["result"], true);
    client.say(&request(1, "slow", json!([]))).await;
    client.say(&json!([request(2, "slow", json!([]))])).await;
    client.say(&request(3, "count", json!([1, true]))).await;
    assert!(client.hear().await["result"].is_string());
    // What is accepted is told a moment before it is; its first item comes after both.
    assert_eq!(client.hear().await["params"]["result"], 1);
    taken(&server.stage.started).await;
    taken(&server.stage.started).await;
    drop(client);
    taken(&server.stage.dropped).await;
    taken(&server.stage.dropped).await;
    taken(&server.stage.left).await;
    taken(&server.stage.closed).await;
    server.deserted().await;
    assert_eq!(server.sockets(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_client_that_leaves_while_nobody_reads_is_noticed() {
    let server = Server::with(Limits { calls: 1, ..Limits::default() });
    let mut client = server.connect().await;
    client.say(&request(1, "slow", json!([]))).await;
    client.say(&request(2, "slow", json!([]))).await;
    taken(&server.stage.started).await;
    drop(client);
    taken(&server.stage.dropped).await;
    server.deserted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_client_that_never_reads_stops_its_subscription_only() {
    let server = Server::start();
    let mut deaf = server.connect().await;
    deaf.say(&request(1, "count", json!([1_000_000, true]))).await;
    let mut other = server.connect().await;
    assert_eq!(other.call("add", json!([1, 1])).await["result"], 2);
    drop(deaf);
    other.write.shutdown().await.unwrap();
    server.deserted().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn clients_that_vanish_leave_nothing_behind() {
    let server = Server::start();
    let beginnings = [
        "",
        "{\"jsonrpc\": \"2.0\", \"id\": 1, \"meth",
        "C",
        "Content-Le",
        "Content-Length: 100\r\n\r\n{",
        "Content-Length: 9000000000\r\n\r\n{",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Le",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "\x00\x01",
    ];
    for _ in 0..20 {
        for beginning in beginnings {
            let mut client = server.connect().await;
            client.send(beginning).await;
        }
    }
    // Accepted in order: once this one is served, all before it were let in.
    let mut last = server.connect().await;
    assert_eq!(last.call("add", json!([1, 1])).await["result"], 2);
    drop(last);
    server.deserted().await;
    assert_eq!(server.sockets(), 1, "only the listener is left");
}
