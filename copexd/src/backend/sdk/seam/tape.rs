//! A session's cassette between the seam and the network: it keeps what passes, or answers
//! in the network's place.
//!
//! Invariant: a session that plays a cassette never reaches the network, whatever it asks.

mod play;
mod record;

use tokio::sync::mpsc;

use super::exchange::Head;
use super::transport::Response;
use crate::backend::cassette::{self, NotRecording, Recorder};
use crate::backend::spec::{SessionSpec, TapeSpec};
use crate::core::failure::{Failure, FailureClass};
use crate::core::redact::Redactor;
use crate::core::signal::Signal;
use play::Player;
use record::Keeper;

/// A session's cassette.
#[derive(Clone)]
pub(in crate::backend::sdk) enum Tape {
    /// It keeps what passes.
    Record(Keeper),
    /// It answers.
    Play(Player),
}

impl Tape {
    /// The cassette that a session asks for. `cli` is the version of the Copilot CLI.
    ///
    /// # Errors
    /// `Usage` when the file cannot be played, or is there already and cannot be recorded.
    pub(in crate::backend::sdk) async fn open(
        spec: &SessionSpec,
        cli: Option<String>,
        signals: &mpsc::Sender<Signal>,
    ) -> Result<Option<Self>, Failure> {
        let Some(tape) = spec.tape.clone() else { return Ok(None) };
        let blocking = |error: tokio::task::JoinError| {
            Failure::new(FailureClass::Unknown, format!("the cassette was not opened: {error}"))
        };
        match tape {
            TapeSpec::Replay { file, speed } => {
                let path = file.clone();
                let loaded = tokio::task::spawn_blocking(move || cassette::load(&path));
                let loaded = loaded.await.map_err(blocking)??;
                Ok(Some(Self::Play(Player::new(loaded, file, speed, signals.clone()))))
            }
            TapeSpec::Record { file, run } => {
                let (path, of) = (file.clone(), spec.clone());
                let begun = move || Recorder::open(&path, &run, cli, &of);
                let recorder = tokio::task::spawn_blocking(begun).await.map_err(blocking)?;
                match recorder {
                    Ok(recorder) => {
                        let redactor = Redactor::new(cassette::secrets(spec));
                        Ok(Some(Self::Record(Keeper::new(recorder, redactor, signals.clone()))))
                    }
                    Err(NotRecording::Refused(failure)) => Err(failure),
                    Err(NotRecording::Impossible(why)) => {
                        record::stopped(signals, &file, &why);
                        Ok(None)
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
