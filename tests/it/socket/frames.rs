//! Nonsense and excess on every framing: answered in the protocol, and nobody else notices.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use copex_tests::clock::{Deadline, PATIENCE};
use copex_tests::daemon::TestDaemon;
use copex_tests::process::Launch;
use copex_tests::rpc::Rpc;
use copex_tests::tool;
use serde_json::{Value, json};

/// The largest message of the daemons here, in bytes: the least that may be configured.
const LIMIT: usize = 1 << 20;

fn small_daemon() -> TestDaemon {
    let config = format!("[limits]\nmax_message_bytes = {LIMIT}\n");
    TestDaemon::builder(copex_tests::bins!()).config(&config).start()
}

/// A connection that speaks in bytes.
fn raw(daemon: &TestDaemon) -> UnixStream {
    let stream = UnixStream::connect(daemon.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn call(id: u32, method: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method}).to_string()
}

fn framed(body: &str) -> String {
    format!("Content-Length: {}\r\n\r\n{body}", body.len())
}

/// The next `Content-Length` frame.
fn read_frame(stream: &mut UnixStream) -> Value {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a header");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.trim().strip_prefix("Content-Length: ").expect("one header");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// What comes until the daemon closes.
fn read_rest(stream: &mut UnixStream) -> String {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the daemon closes");
    String::from_utf8(rest).unwrap()
}

fn assert_error(answer: &Value, code: i32, id: &Value) {
    assert_eq!(answer["error"]["code"], code, "{answer}");
    assert_eq!(&answer["id"], id, "{answer}");
    let data = &answer["error"]["data"];
    assert_eq!(data["class"], "usage", "every error says its class: {answer}");
    assert_eq!(data["message"], answer["error"]["message"], "{answer}");
}

#[test]
fn lines_that_are_no_requests_are_answered_and_the_connection_goes_on() {
    let daemon = small_daemon();
    let mut rpc = daemon.rpc();
    let refused: [(&str, i32, Value); 7] = [
        ("{not json}", -32700, json!(null)),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":", -32700, json!(null)),
        ("{\"id\":3,\"method\":\"hello\"}", -32600, json!(3)),
        ("{\"jsonrpc\":\"2.0\",\"id\":4}", -32600, json!(4)),
        ("{\"jsonrpc\":\"2.0\",\"id\":-1,\"method\":\"hello\"}", -32600, json!(null)),
        ("[]", -32600, json!(null)),
        ("\"hello\"", -32600, json!(null)),
    ];
    for (line, code, id) in refused {
        rpc.send_bytes(format!("{line}\n").as_bytes());
        assert_error(&rpc.next_frame(), code, &id);
    }
    rpc.send_bytes(b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"\xff\"}\n");
    assert_error(&rpc.next_frame(), -32700, &json!(null));
    rpc.send_bytes(format!("\n  \r\n{}\r\n", call(10, "daemon.status")).as_bytes());
    assert_eq!(rpc.next_frame()["id"], 10);
}

#[test]
fn a_line_over_the_limit_is_skipped_and_the_connection_goes_on() {
    let daemon = small_daemon();
    let mut rpc = daemon.rpc();
    let padding = " ".repeat(LIMIT);
    rpc.send_bytes(format!("{{{padding}\n{}\n", call(2, "daemon.status")).as_bytes());
    assert_error(&rpc.next_frame(), -32007, &json!(null));
    assert_eq!(rpc.next_frame()["id"], 2);
    // What fits exactly is taken.
    let fits = call(3, "daemon.status");
    let padding = " ".repeat(LIMIT - fits.len());
    rpc.send_bytes(format!("{fits}{padding}\n").as_bytes());
    assert_eq!(rpc.next_frame()["result"]["phase"], "ready");
}

#[test]
fn a_batch_is_answered_as_one_and_bounded() {
    let daemon = small_daemon();
    let mut rpc = daemon.rpc();
    let entries = [call(1, "daemon.status"), "5".to_owned(), call(2, "no.such")];
    rpc.send_bytes(format!("[{}]\n", entries.join(",")).as_bytes());
    let answers = rpc.next_frame();
    let codes: Vec<_> = (0..3).map(|at| answers[at]["error"]["code"].clone()).collect();
    assert_eq!(codes, [json!(null), json!(-32600), json!(-32601)], "{answers}");
    let many = vec![call(1, "hello"); 257].join(",");
    rpc.send_bytes(format!("[{many}]\n").as_bytes());
    assert_error(&rpc.next_frame(), -32007, &json!(null));
}

#[test]
fn frames_with_headers_are_refused_one_by_one() {
    let daemon = small_daemon();
    let mut stream = raw(&daemon);
    let mut say = |text: &str| {
        stream.write_all(text.as_bytes()).unwrap();
        read_frame(&mut stream)
    };
    assert_error(&say(&framed("{not json}")), -32700, &json!(null));
    assert_error(&say(&framed("{}")), -32600, &json!(null));
    assert_error(&say(&framed(&" ".repeat(LIMIT + 1))), -32007, &json!(null));
    assert_eq!(say(&framed(&call(4, "daemon.status")))["id"], 4);

    // A header that cannot be read leaves nothing to go by: said, then closed.
    assert_error(&say("Content-Length: many\r\n\r\n{}"), -32700, &json!(null));
    assert_eq!(read_rest(&mut stream), "");
}

#[test]
fn a_first_word_of_no_framing_is_answered_with_a_line() {
    let daemon = small_daemon();
    let mut stream = raw(&daemon);
    stream.write_all(b"hello?\n").unwrap();
    let answer = serde_json::from_str(&read_rest(&mut stream)).unwrap();
    assert_error(&answer, -32700, &json!(null));
}

#[test]
fn http_refuses_what_is_no_request() {
    let Some(curl) = tool::find("curl") else { return };
    let daemon = small_daemon();
    let curl = |extra: &[&str], body: &str| {
        Launch::inside(daemon.sandbox(), &curl)
            .args(["-sS", "-w", "\n%{http_code}", "--unix-socket"])
            .args([daemon.socket()])
            .args(["-H", "content-type: application/json", "--data-binary", "@-"])
            .args(extra)
            .args(["http://copexd/"])
            .stdin(body)
            .run()
            .ok()
    };
    let answered = |text: &str, code: i32| {
        let (body, status) = text.rsplit_once('\n').unwrap();
        let answer: Value = serde_json::from_str(body).unwrap();
        assert_eq!(answer["error"]["code"], code, "{text}");
        status.to_owned()
    };
    answered(&curl(&[], "{not json}"), -32700);
    answered(&curl(&[], "[]"), -32600);
    assert_eq!(answered(&curl(&[], &call(1, "no.such")), -32601), "200");
    answered(&curl(&[], &format!("{}{}", " ".repeat(LIMIT), call(1, "hello"))), -32007);
    let get = curl(&["-X", "GET"], "");
    assert!(get.ends_with("405"), "{get}");
    assert_eq!(daemon.rpc().call("daemon.status", &json!({}))["phase"], "ready");
}

/// A WebSocket connection that speaks in bytes.
fn upgraded(daemon: &TestDaemon) -> UnixStream {
    let mut stream = raw(daemon);
    let request = "GET / HTTP/1.1\r\nhost: copexd\r\nconnection: upgrade\r\n\
                   upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a header");
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream
}

/// A text frame of a client, masked with zeros.
fn text_frame(text: &str) -> Vec<u8> {
    let length = u64::try_from(text.len()).unwrap();
    let mut frame = vec![0x81, 0x80 | 127];
    frame.extend(length.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

/// The text of the server's next frame.
fn read_text(stream: &mut UnixStream) -> Value {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0x81, "a whole text frame");
    let length = match head[1] {
        126 => {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            usize::from(u16::from_be_bytes(length))
        }
        short => usize::from(short),
    };
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn a_websocket_survives_nonsense_and_excess() {
    let daemon = small_daemon();
    let mut stream = upgraded(&daemon);
    let mut say = |text: &str| {
        stream.write_all(&text_frame(text)).unwrap();
        read_text(&mut stream)
    };
    assert_eq!(say("{not json}")["error"]["code"], -32700);
    assert_eq!(say(&" ".repeat(LIMIT + 1))["error"]["code"], -32007);
    assert_eq!(say(&call(5, "daemon.status"))["result"]["phase"], "ready");
}

/// Waits until only `rpc` itself is connected.
fn wait_alone(rpc: &mut Rpc) {
    let deadline = Deadline::after(PATIENCE);
    loop {
        let count = rpc.call("daemon.status", &json!({}))["connections"].clone();
        if count == 1 {
            return;
        }
        assert!(deadline.left().is_some(), "{count} connections are still open");
    }
}

/// Sockets that the daemon holds. Its store opens and closes files of its own.
fn sockets(daemon: &TestDaemon) -> usize {
    let folder = format!("/proc/{}/fd", daemon.process().pid());
    let links = std::fs::read_dir(folder).unwrap().flatten();
    let targets = links.filter_map(|link| std::fs::read_link(link.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

#[test]
fn a_client_that_vanishes_midway_leaves_nothing_behind() {
    let daemon = small_daemon();
    let mut rpc = daemon.rpc();
    wait_alone(&mut rpc);
    let before = sockets(&daemon);
    let halves = [
        "{",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"meth",
        "Content-Le",
        "Content-Length: 50\r\n\r\n{\"jsonrpc\"",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{",
        "GET / HTTP/1.1\r\n",
    ];
    for _ in 0..10 {
        for half in halves {
            raw(&daemon).write_all(half.as_bytes()).unwrap();
        }
        let mut stream = upgraded(&daemon);
        stream.write_all(&text_frame("{}")[..5]).unwrap();
        // A call that would be answered after a minute, and nobody to hear it.
        let call = framed(&call(1, "daemon.status"));
        raw(&daemon).write_all(call.as_bytes()).unwrap();
    }
    wait_alone(&mut rpc);
    // The one that told systemd of the start may have been open still.
    assert!(sockets(&daemon) <= before);
}
