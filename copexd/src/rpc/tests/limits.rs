//! Every bound, reached.

use super::*;

fn small() -> Limits {
    Limits {
        connections: 2,
        request_bytes: 1000,
        response_bytes: 2000,
        subscriptions: 2,
        batch: 3,
        calls: 2,
        ..Limits::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_message_over_the_limit_is_skipped_not_kept() {
    let server = Server::with(small());
    let mut client = server.connect().await;
    for length in [1001, 1002, 500_000] {
        client.send(format!("{{{}\n", "x".repeat(length - 1))).await;
        let answer = client.hear().await;
        assert_eq!((code(&answer), &answer["id"]), (-32007, &Value::Null), "{length}");
    }
    assert_eq!(client.call("add", json!([1, 1])).await["result"], 2);

    let mut client = server.connect().await;
    client.frame(&"x".repeat(1_000_000)).await;
    client.frame(&request(2, "add", json!([1, 1])).to_string()).await;
    assert_eq!(code(&client.hear_frame().await), -32007);
    assert_eq!(client.hear_frame().await["result"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_endless_line_is_refused_before_it_ends() {
    let server = Server::with(small());
    let mut client = server.connect().await;
    client.send(format!("{{{}", "x".repeat(5000))).await;
    assert_eq!(code(&client.hear().await), -32007);
    client.send("still the same line\n").await;
    assert_eq!(client.call("add", json!([1, 1])).await["result"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_answer_over_the_limit_is_an_error() {
    let server = Server::with(small());
    let mut client = server.connect().await;
    assert_eq!(code(&client.call("big", json!([5000])).await), -32008);
    let big = |id| request(id, "big", json!([900]));
    assert_eq!(code(&client.ask(json!([big(1), big(2), big(3)])).await), -32008);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_batch_has_a_limit() {
    let server = Server::with(small());
    let mut client = server.connect().await;
    assert_eq!(code(&client.ask(json!([1, 2, 3, 4])).await), -32007);
    assert_eq!(client.ask(json!([1, 2, 3])).await.as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn subscriptions_are_counted_per_connection() {
    let server = Server::with(small());
    let mut client = server.connect().await;
    let first = client.call("count", json!([0, true])).await["result"].clone();
    assert!(client.call("count", json!([0, true])).await["result"].is_string());
    assert_eq!(code(&client.call("count", json!([0, true])).await), -32006);
    assert_eq!(client.call("uncount", json!([first])).await["result"], true);
    taken(&server.stage.left).await;
    // The handler gives its place back a moment after it saw the end.
    soon(async { while client.call("count", json!([0, true])).await["result"].is_null() {} }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn with_enough_calls_in_flight_reading_stops() {
    let server = Server::with(small());
    let mut client = server.connect().await;
    for id in 1..=2 {
        client.say(&request(id, "slow", json!([]))).await;
        taken(&server.stage.started).await;
    }
    client.say(&request(3, "slow", json!([]))).await;
    client.say(&request(4, "add", json!([1, 1]))).await;
    let nothing = tokio::time::timeout(Duration::from_millis(50), client.hear()).await;
    assert!(nothing.is_err() && server.stage.started.available_permits() == 0);
    server.stage.gate.add_permits(3);
    let mut answered = Vec::new();
    for _ in 0..4 {
        answered.push(client.hear().await["id"].as_u64().unwrap());
    }
    answered.sort_unstable();
    assert_eq!(answered, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_connection_too_many_is_told_so() {
    let server = Server::with(small());
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    assert_eq!(first.call("add", json!([1, 1])).await["result"], 2);
    assert_eq!(second.call("add", json!([1, 1])).await["result"], 2);
    assert_eq!(server.connections.count(), 2);
    let mut third = server.connect().await;
    let refused = third.hear().await;
    assert_eq!(code(&refused), -32009);
    assert_eq!(refused["error"]["data"]["class"], "overloaded");
    assert!(refused["error"]["data"]["retry_after_ms"].is_u64());
    drop(first);
    soon(async {
        while server.connections.count() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut fourth = server.connect().await;
    assert_eq!(fourth.call("add", json!([1, 1])).await["result"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_silent_client_is_let_go() {
    let limits = Limits { sniff: Duration::from_millis(20), ..small() };
    let server = Server::with(limits);
    let mut silent = server.connect().await;
    assert!(silent.is_over().await);
    let mut undecided = server.connect().await;
    undecided.send("Con").await;
    assert!(undecided.is_over().await);
    server.deserted().await;
}
