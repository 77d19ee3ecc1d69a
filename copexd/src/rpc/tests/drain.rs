//! The end of the server: everybody is answered, then sent home.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn calls_in_flight_are_answered_and_subscriptions_end() {
    let server = Server::start();
    let mut lines = server.connect().await;
    let mut frames = server.connect().await;
    let mut idle = server.connect().await;
    let mut silent = server.connect().await;
    assert_eq!(idle.call("add", json!([1, 1])).await["result"], 2);
    lines.say(&request(1, "slow", json!([]))).await;
    frames.frame(&request(1, "slow", json!([])).to_string()).await;
    let mut post = server.connect().await;
    post.send(web::post("slow")).await;
    for _ in 0..3 {
        taken(&server.stage.started).await;
    }
    lines.say(&request(2, "count", json!([1, true]))).await;
    assert!(lines.hear().await["result"].is_string());
    assert_eq!(lines.hear().await["params"]["result"], 1);
    server.stop.cancel();
    assert!(idle.is_over().await);
    assert!(silent.is_over().await);
    server.stage.gate.add_permits(3);
    assert_eq!(lines.hear().await["result"], 1);
    assert!(lines.is_over().await);
    assert_eq!(frames.hear_frame().await["result"], 1);
    assert_eq!(web::body(&mut post).await["result"], 1);
    taken(&server.stage.left).await;
    assert!(UnixStream::connect(&server.path).await.is_err());
    assert_eq!(server.stopped().await, Drained { cut: 0 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn calls_that_do_not_end_are_cut() {
    let server = Server::with(Limits { drain: Duration::from_millis(50), ..Limits::default() });
    let mut lines = server.connect().await;
    lines.say(&request(1, "slow", json!([]))).await;
    let mut post = server.connect().await;
    post.send(web::post("slow")).await;
    let socket = web::connect(&server).await;
    let called = socket.clone();
    let calling = TaskTracker::new();
    let call = calling.spawn(async move { web::call(&called, "slow").await });
    for _ in 0..3 {
        taken(&server.stage.started).await;
    }
    server.stop.cancel();
    assert!(lines.is_over().await);
    assert!(post.is_over().await);
    assert!(soon(call).await.unwrap().is_err());
    for _ in 0..3 {
        taken(&server.stage.dropped).await;
    }
    let connections = server.connections.clone();
    assert_eq!(server.stopped().await, Drained { cut: 3 });
    assert_eq!(connections.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_deaf_client_does_not_hold_the_server_up() {
    let server = Server::with(Limits { drain: Duration::from_millis(50), ..Limits::default() });
    let mut deaf = server.connect().await;
    for id in 0..3 {
        deaf.say(&request(id, "big", json!([3_000_000]))).await;
    }
    deaf.say(&request(9, "slow", json!([]))).await;
    taken(&server.stage.started).await;
    assert_eq!(server.stopped().await, Drained { cut: 1 });
}
