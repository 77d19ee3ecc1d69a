use crate::core::failure::Watchdog;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::backend::sdk::seam::transport::Body;
use crate::core::cassette::How;

const KEY: &str = "key-0123456789";

struct Deck {
    folder: tempfile::TempDir,
    signals: mpsc::Receiver<Signal>,
    sender: mpsc::Sender<Signal>,
}

impl Deck {
    fn new() -> Self {
        let (sender, signals) = mpsc::channel(8);
        Self { folder: tempfile::tempdir().unwrap(), signals, sender }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("a.jsonl")
    }

    fn keeper(&self) -> Keeper {
        let spec = crate::backend::cassette::tests::spec();
        let recorder = Recorder::open(&self.file(), "r", None, &spec).unwrap();
        Keeper::new(recorder, Redactor::new([KEY]), self.sender.clone())
    }

    fn player(&self, speed: f64) -> Player {
        let cassette = cassette::load(&self.file()).unwrap();
        Player::new(cassette, self.file(), speed, self.sender.clone())
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    fn notice(&mut self) -> Option<&'static str> {
        match self.signals.try_recv() {
            Ok(Signal::Notice { code, .. }) => Some(code),
            _ => None,
        }
    }
}

fn head() -> Head {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer key-0123456789"));
    headers.insert("x-initiator", HeaderValue::from_static("user"));
    Head {
        method: "POST".to_owned(),
        url: "http://h/v1/chat/completions?api-key=key-0123456789".to_owned(),
        headers,
        ..Head::default()
    }
}

fn asks(text: &str) -> Vec<u8> {
    json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string().into_bytes()
}

/// These pieces, 100 ms apart; a failure is the last.
fn answer(status: u16, pieces: Vec<Result<&'static str, Failure>>) -> Response {
    let body = stream::iter(pieces).then(|piece| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        piece.map(|text| Bytes::from_static(text.as_bytes()))
    });
    let status = StatusCode::from_u16(status).unwrap();
    Response { status, headers: HeaderMap::new(), body: body.boxed() }
}

async fn drain(body: Body) -> Vec<Result<String, Failure>> {
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    body.map(|piece| piece.map(text)).collect().await
}

fn broke() -> Failure {
    Failure::new(FailureClass::Network, "the model's stream broke off: reset")
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_not_changed_and_what_is_kept_has_no_key() {
    let mut deck = Deck::new();
    let pieces = ["data: {\"a\":\"key-01234", "56789 gho_", "0123456789012345678901\"}\n\n"];
    let response = answer(200, pieces.map(Ok).to_vec());
    let kept =
        deck.keeper().keep(&head(), &asks("my key-0123456789"), async { Ok(response) }).await;
    let passed = drain(kept.unwrap().body).await;
    assert_eq!(passed, pieces.map(|piece| Ok(piece.to_owned())));
    let text = deck.text();
    assert!(!text.contains("key-0123") && !text.contains("gho_"), "{text}");
    let loaded = cassette::load(&deck.file()).unwrap();
    let exchange = &loaded.exchanges[0];
    assert_eq!(exchange.request.path, "/v1/chat/completions");
    assert_eq!(exchange.request.headers["authorization"], ["[redacted]"]);
    assert_eq!(exchange.request.headers["x-initiator"], ["user"]);
    assert_eq!(exchange.request.body["messages"][0]["content"], "my [redacted]");
    let chunks = &exchange.response.as_ref().unwrap().chunks;
    assert_eq!(chunks.iter().map(|chunk| chunk.at_ms).collect::<Vec<_>>(), [100, 200, 300]);
    assert_eq!(exchange.end.how, How::Whole);
    assert_eq!(deck.notice(), None);
}

#[tokio::test(start_paused = true)]
async fn a_replay_takes_the_recorded_time_or_none() {
    let deck = Deck::new();
    let late = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(answer(429, vec![Ok("a"), Ok("b")]))
    };
    let kept = deck.keeper().keep(&head(), &asks("x"), late).await.unwrap();
    drain(kept.body).await;
    for (speed, millis) in [(1.0, 3_200), (2.0, 1_600), (0.0, 0)] {
        let began = Instant::now();
        let played = deck.player(speed).answer(&head(), &asks("x")).await.unwrap();
        assert_eq!(played.status, 429);
        assert_eq!(drain(played.body).await, [Ok("a".to_owned()), Ok("b".to_owned())]);
        assert_eq!(began.elapsed().as_millis(), millis, "{speed}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_kept_and_played() {
    let deck = Deck::new();
    let keeper = deck.keeper();
    let none = keeper.keep(&head(), &asks("x"), async { Err(broke()) }).await;
    assert_eq!(none.err(), Some(broke()));
    let cut = answer(200, vec![Ok("a"), Err(broke())]);
    let cut = keeper.keep(&head(), &asks("x"), async { Ok(cut) }).await.unwrap();
    drain(cut.body).await;

    let player = deck.player(1.0);
    assert_eq!(player.answer(&head(), &asks("x")).await.err(), Some(broke()));
    let played = player.answer(&head(), &asks("x")).await.unwrap();
    assert_eq!(drain(played.body).await, [Ok("a".to_owned()), Err(broke())]);
    let more = player.answer(&head(), &asks("x")).await.err().unwrap();
    assert_eq!(more.class, FailureClass::Client);
    assert!(more.message.contains("a.jsonl") && more.message.contains("more often"), "{more}");
}

#[tokio::test(start_paused = true)]
async fn a_hang_is_played_up_to_where_nobody_waited() {
    let deck = Deck::new();
    let keeper = deck.keeper();
    let (head, request) = (head(), asks("head"));
    let silent = keeper.keep(&head, &request, std::future::pending());
    assert!(tokio::time::timeout(Duration::from_mins(2), silent).await.is_err());
    let stalls = stream::iter([Ok(Bytes::from_static(b"a"))]).chain(stream::pending()).boxed();
    let stalls = Response { status: StatusCode::OK, headers: HeaderMap::new(), body: stalls };
    let body = keeper.keep(&head, &asks("body"), async { Ok(stalls) }).await.unwrap().body;
    assert!(tokio::time::timeout(Duration::from_secs(9), drain(body)).await.is_err());

    let player = deck.player(1.0);
    let began = Instant::now();
    let failure = player.answer(&head, &request).await.err().unwrap();
    assert_eq!(
        (failure.class, began.elapsed().as_secs()),
        (FailureClass::Timeout(Watchdog::FirstEvent), 120)
    );
    assert!(failure.message.contains("recording ends here"), "{failure}");
    let played = drain(player.answer(&head, &asks("body")).await.unwrap().body).await;
    assert_eq!(played[0], Ok("a".to_owned()));
    assert_eq!(played[1].as_ref().unwrap_err().class, FailureClass::Timeout(Watchdog::FirstEvent));
    assert_eq!((played.len(), began.elapsed().as_secs()), (2, 129));
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_stops_says_so_once_and_disturbs_nothing() {
    let mut deck = Deck::new();
    let keeper = deck.keeper();
    std::fs::remove_file(deck.file()).unwrap();
    for _ in 0..2 {
        let response = answer(200, vec![Ok("a")]);
        let kept = keeper.keep(&head(), &asks("x"), async { Ok(response) }).await.unwrap();
        assert_eq!(drain(kept.body).await, [Ok("a".to_owned())]);
    }
    assert_eq!(deck.notice(), Some("recording_stopped"));
    assert_eq!(deck.notice(), None);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_into_is_not_kept() {
    let mut deck = Deck::new();
    let mut response = answer(200, vec![Ok("packed")]);
    response.headers.insert("content-encoding", HeaderValue::from_static("gzip"));
    let kept = deck.keeper().keep(&head(), &asks("x"), async { Ok(response) }).await.unwrap();
    assert_eq!(drain(kept.body).await, [Ok("packed".to_owned())]);
    assert_eq!(deck.notice(), Some("recording_stopped"));
    assert!(!deck.text().contains("packed"));
}

#[tokio::test]
async fn a_session_records_where_it_can_and_is_refused_where_it_must_not() {
    let mut deck = Deck::new();
    let mut spec = crate::backend::cassette::tests::spec();
    assert!(Tape::open(&spec, None, &deck.sender).await.unwrap().is_none());
    let record =
        |file: &Path| Some(TapeSpec::Record { file: file.to_owned(), run: "r".to_owned() });
    spec.tape = record(&deck.file());
    assert!(matches!(Tape::open(&spec, None, &deck.sender).await, Ok(Some(Tape::Record(_)))));
    spec.tape = record(&deck.folder.path().join("absent/a.jsonl"));
    assert!(matches!(Tape::open(&spec, None, &deck.sender).await, Ok(None)));
    assert_eq!(deck.notice(), Some("recording_stopped"));
    std::fs::write(deck.folder.path().join("notes"), "mine").unwrap();
    spec.tape = record(&deck.folder.path().join("notes"));
    let refused = Tape::open(&spec, None, &deck.sender).await.err().unwrap();
    assert_eq!(refused.class, FailureClass::Usage);
    spec.tape = Some(TapeSpec::Replay { file: deck.file(), speed: 1.0 });
    let empty = Tape::open(&spec, None, &deck.sender).await.err().unwrap();
    assert!(empty.message.contains("line 2"), "{empty}");
}
