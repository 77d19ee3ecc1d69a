use std::io::{BufRead as _, BufReader, Write as _};
use std::thread::{self, JoinHandle};

use serde_json::Value;

use super::*;
use crate::asks::Terminal;

#[derive(Default)]
struct Seen {
    seqs: Vec<Seq>,
    notes: Vec<String>,
}

impl View for Seen {
    fn event(&mut self, event: &RunEvent, _raw: &str) -> io::Result<()> {
        self.seqs.push(event.seq);
        Ok(())
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.notes.push(text.to_owned());
        Ok(())
    }
}

fn event(seq: Seq) -> String {
    let body = if seq == 4 {
        r#""type":"done","content":"hi""#
    } else {
        r#""type":"message_delta","text":"x""#
    };
    let run = RunId::new(1, 1);
    format!(
        r#"{{"jsonrpc":"2.0","method":"run.event","params":{{"subscription":7,"result":{{"run":"{run}","seq":{seq},"at":1,{body}}}}}}}"#
    )
}

const HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"version":"0","protocol":1,"min_protocol":1,"epoch":"e","max_message_bytes":1}}"#;

/// Answers one connection with these lines, then breaks it; gives what it was asked.
fn serve(lines: Vec<String>) -> (UnixStream, JoinHandle<Vec<Value>>) {
    let (near, far) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || {
        let mut asked = Vec::new();
        let mut reader = BufReader::new(far.try_clone().unwrap());
        for _ in 0..2 {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            asked.push(serde_json::from_str(&line).unwrap());
        }
        let mut far = far;
        for line in lines {
            writeln!(far, "{line}").unwrap();
        }
        asked
    });
    (near, server)
}

fn start() -> Source {
    let request = serde_json::value::to_raw_value(&json!({ "mode": "chat" })).unwrap();
    Source::Start { request, key: "k".to_owned() }
}

fn follow(source: Source, scripts: Vec<Vec<String>>) -> (Result<Ended>, Seen, Vec<Vec<Value>>) {
    let (mut streams, servers): (Vec<_>, Vec<_>) = scripts.into_iter().map(serve).unzip();
    streams.reverse();
    let mut seen = Seen::default();
    let mut connect = |_| streams.pop().ok_or_else(|| Failure::unavailable("no more connections"));
    let asks = Asks::new(Terminal::Nobody, String::new());
    let ended = Follow::new(source, &mut seen, &mut connect, asks).run();
    drop(streams);
    let asked = servers.into_iter().map(|server| server.join().unwrap_or_default()).collect();
    (ended, seen, asked)
}

fn lines(seqs: &[Seq]) -> Vec<String> {
    std::iter::once(HELLO.to_owned()).chain(seqs.iter().map(|seq| event(*seq))).collect()
}

#[test]
fn a_broken_connection_goes_on_after_the_last_number() {
    let scripts = vec![lines(&[1, 2]), lines(&[2, 3, 4])];
    let (ended, seen, asked) = follow(start(), scripts);
    assert!(matches!(ended, Ok(Ended::Terminal(event)) if event.seq == 4));
    assert_eq!(seen.seqs, [1, 2, 3, 4]);
    assert_eq!(asked[0][1]["method"], "run.start");
    assert_eq!(asked[0][1]["params"], json!({ "request": { "mode": "chat" }, "key": "k" }));
    assert_eq!(asked[1][1]["method"], "run.watch");
    assert_eq!(asked[1][1]["params"], json!({ "run": RunId::new(1, 1), "after": 2 }));
    assert_eq!(seen.notes.len(), 1);
}

#[test]
fn a_run_that_never_answered_is_asked_for_again_under_its_key() {
    let (ended, seen, asked) = follow(start(), vec![vec![], lines(&[1, 2, 3, 4])]);
    assert!(matches!(ended, Ok(Ended::Terminal(_))));
    assert_eq!(seen.seqs, [1, 2, 3, 4]);
    assert_eq!(asked[1][1]["method"], "run.start");
    assert_eq!(asked[0][1]["params"]["key"], asked[1][1]["params"]["key"]);
}

#[test]
fn a_gap_is_read_again_from_the_log() {
    let (ended, seen, _) = follow(start(), vec![lines(&[1, 3]), lines(&[2, 3, 4])]);
    assert!(matches!(ended, Ok(Ended::Terminal(_))));
    assert_eq!(seen.seqs, [1, 2, 3, 4]);
}

#[test]
fn a_daemon_of_another_protocol_is_refused() {
    let told = [
        HELLO.replace("\"protocol\":1,\"min_protocol\":1", "\"protocol\":9,\"min_protocol\":8"),
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}"#
            .to_owned(),
    ];
    for line in told {
        let (ended, _, _) = follow(start(), vec![vec![line]]);
        let failure = ended.unwrap_err();
        assert_eq!(failure.exit() as u8, 69);
        let Failure::Told { info, .. } = failure else { panic!() };
        assert_eq!(info.hint.as_deref(), Some("restart it: copexctl daemon restart"));
    }
}

#[test]
fn a_refusal_is_told_and_a_busy_daemon_is_asked_again() {
    let error = |data: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":2,"error":{{"code":-32001,"message":"m","data":{data}}}}}"#
        )
    };
    let busy =
        error(r#"{"class":"overloaded","message":"full","retryable":true,"retry_after_ms":1}"#);
    let (ended, seen, _) =
        follow(start(), vec![vec![HELLO.to_owned(), busy], lines(&[1, 2, 3, 4])]);
    assert!(matches!(ended, Ok(Ended::Terminal(_))));
    assert_eq!(seen.notes, ["full; waiting"]);

    let wrong = error(r#"{"class":"usage","message":"no such folder"}"#);
    let (ended, _, _) = follow(start(), vec![vec![HELLO.to_owned(), wrong]]);
    assert_eq!(ended.unwrap_err().exit() as u8, 2);
}

#[test]
fn a_daemon_that_never_holds_is_given_up() {
    let scripts = (0..20).map(|_| vec![]).collect();
    let source = Source::Watch { run: RunId::new(1, 1) };
    let (ended, _, _) = follow(source, scripts);
    assert_eq!(ended.unwrap_err().exit() as u8, 69);
}

#[test]
fn a_question_nobody_can_answer_here_is_told() {
    let run = RunId::new(1, 1);
    let ask = format!(
        r#"{{"jsonrpc":"2.0","method":"run.event","params":{{"subscription":7,"result":{{"run":"{run}","seq":3,"at":1,"type":"ask","ask":"q1","kind":"permission","title":"shell: rm"}}}}}}"#
    );
    let mut script = lines(&[1, 2]);
    script.extend([ask, event(4)]);
    let (_, seen, _) = follow(start(), vec![script]);
    assert!(seen.notes[0].contains("copexctl inbox answer q1 yes|always|no"), "{:?}", seen.notes);
}
