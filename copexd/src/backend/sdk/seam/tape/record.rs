//! Keeping what passes, without its secrets.

use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use http::HeaderMap;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::sse;
use super::{Head, Response};
use crate::backend::cassette::Recorder;
use crate::core::cassette::{
    Chunk, Data, End, Exchange, Headers, How, Request, Response as Kept, stream,
};
use crate::core::failure::Failure;
use crate::core::redact::{MARK, Redactor, is_secret_header};
use crate::core::signal::Signal;

/// Bytes of one answer that are held until it ends: a million tokens and their wrapping.
const MOST_ANSWER: usize = 16 * 1024 * 1024;

/// Keeps the exchanges of one session.
#[derive(Clone)]
pub(in crate::backend::sdk) struct Keeper {
    inner: Arc<Inner>,
}

struct Inner {
    recorder: Recorder,
    redactor: Redactor,
    signals: mpsc::Sender<Signal>,
}

/// Tells the run that its recording ends here.
pub(super) fn stopped(signals: &mpsc::Sender<Signal>, file: &Path, why: &str) {
    let message = format!("the recording to {} stopped: {why}", file.display());
    tracing::warn!("{message}");
    // A run that has ended, or that drowns in signals, reads it in the log of the daemon.
    let _ = signals.try_send(Signal::Notice { code: "recording_stopped", message });
}

impl Keeper {
    pub(super) fn new(
        recorder: Recorder,
        redactor: Redactor,
        signals: mpsc::Sender<Signal>,
    ) -> Self {
        Self { inner: Arc::new(Inner { recorder, redactor, signals }) }
    }

    pub(super) fn is_over(&self) -> bool {
        self.inner.signals.is_closed()
    }

    /// Waits for an answer and keeps it, however it ends: also when nobody waits any longer.
    pub(in crate::backend::sdk::seam) async fn keep(
        &self,
        head: &Head,
        request: &[u8],
        answer: impl Future<Output = Result<Response, Failure>>,
    ) -> Result<Response, Failure> {
        let mut taken = Taken::new(self.inner.clone(), head, request);
        match answer.await {
            Ok(response) => Ok(taken.follow(response)),
            Err(failure) => {
                taken.end(how(&failure));
                Err(failure)
            }
        }
    }
}

fn how(failure: &Failure) -> How {
    How::Failed { message: failure.message.clone() }
}

/// One exchange under way.
struct Taken {
    inner: Arc<Inner>,
    redactor: Redactor,
    began: Instant,
    request: Request,
    response: Option<Kept>,
    pieces: Vec<(u64, Vec<u8>)>,
    held: usize,
    ended: bool,
}

impl Taken {
    fn new(inner: Arc<Inner>, head: &Head, request: &[u8]) -> Self {
        let keys = head.headers.iter().filter(|(name, _)| is_secret_header(name.as_str()));
        let keys = keys.filter_map(|(_, value)| value.to_str().ok());
        // `Bearer KEY`: the key may occur elsewhere by itself.
        let keys = keys.map(|value| value.rsplit(' ').next().unwrap_or(value));
        let redactor = inner.redactor.clone().with(keys);
        let mut document: Value = serde_json::from_slice(request)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(request).into_owned()));
        redactor.value(&mut document);
        let path = reqwest::Url::parse(&head.url).ok();
        let path = path.as_ref().map_or("", |url| url.path());
        let request = Request {
            at_ms: inner.recorder.elapsed_ms(),
            method: head.method.clone(),
            path: redactor.text(path).into_owned(),
            model: document["model"].as_str().map(str::to_owned),
            headers: headers(&redactor, &head.headers),
            body: document,
        };
        Self {
            inner,
            redactor,
            began: Instant::now(),
            request,
            response: None,
            pieces: Vec::new(),
            held: 0,
            ended: false,
        }
    }

    fn at_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Lets the answer through and remembers it.
    fn follow(mut self, response: Response) -> Response {
        let Response { status, headers: given, body: mut rest } = response;
        if given.contains_key("content-encoding") {
            // Secrets cannot be seen in there.
            self.give_up("the model's answers are compressed");
        }
        self.response = Some(Kept {
            status: status.as_u16(),
            headers: headers(&self.redactor, &given),
            at_ms: self.at_ms(),
            chunks: Vec::new(),
        });
        let mut taken = Some(self);
        let mut last = sse::End::last();
        let rest = futures_util::stream::poll_fn(move |context| {
            let piece = std::task::ready!(rest.poll_next_unpin(context));
            if let Some(open) = &mut taken {
                match &piece {
                    Some(Ok(piece)) => {
                        open.piece(piece);
                        last.feed(piece);
                        // The reader goes without waiting for the end of the connection.
                        if last.seen() && piece.ends_with(b"\n\n") {
                            open.end(How::Whole);
                        }
                    }
                    Some(Err(failure)) => open.end(how(failure)),
                    None => open.end(How::Whole),
                }
                if open.ended {
                    taken = None;
                }
            }
            std::task::Poll::Ready(piece)
        });
        Response { status, headers: given, body: rest.boxed() }
    }

    fn piece(&mut self, piece: &[u8]) {
        self.held += piece.len();
        if self.held > MOST_ANSWER {
            let why = format!("an answer is larger than {} MiB", MOST_ANSWER >> 20);
            return self.give_up(&why);
        }
        let at_ms = self.at_ms();
        self.pieces.push((at_ms, piece.to_vec()));
    }

    fn give_up(&mut self, why: &str) {
        self.ended = true;
        self.pieces.clear();
        if self.inner.recorder.stop() {
            stopped(&self.inner.signals, self.inner.recorder.file(), why);
        }
    }

    /// Writes the exchange down. Before the end of the answer is passed on, so that the
    /// recording is whole when the run ends.
    fn end(&mut self, how: How) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let pieces: Vec<&[u8]> = self.pieces.iter().map(|(_, piece)| piece.as_slice()).collect();
        let clean = stream::redact(&self.redactor, &pieces);
        let how = match how {
            How::Failed { message } => {
                How::Failed { message: self.redactor.text(&message).into_owned() }
            }
            how => how,
        };
        let at_ms = self.at_ms();
        let mut response = self.response.take();
        if let Some(response) = &mut response {
            let times = self.pieces.iter().map(|(at_ms, _)| *at_ms);
            let chunks =
                times.zip(clean).map(|(at_ms, piece)| Chunk { at_ms, data: Data::new(piece) });
            response.chunks = chunks.collect();
        }
        let exchange =
            Exchange { request: self.request.clone(), response, end: End { at_ms, how } };
        if let Err(why) = self.inner.recorder.write(&exchange) {
            stopped(&self.inner.signals, self.inner.recorder.file(), &why);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.end(How::Left);
    }
}

fn headers(redactor: &Redactor, given: &HeaderMap) -> Headers {
    let mut kept = Headers::new();
    for (name, value) in given {
        let value = if is_secret_header(name.as_str()) {
            MARK.to_owned()
        } else {
            redactor.text(&String::from_utf8_lossy(value.as_bytes())).into_owned()
        };
        kept.entry(name.as_str().to_owned()).or_default().push(value);
    }
    kept
}
