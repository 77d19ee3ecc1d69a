//! One frame of every type, with every field set that can be.

mod asks;
mod breakers;
mod events;
mod health;
mod notices;
mod requests;
mod sessions;
mod spend;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One kind of frame.
pub(crate) struct Frame {
    /// Its file's name, without version and ending.
    pub(crate) name: String,
    /// What is written when the file is missing.
    pub(crate) sample: Value,
    /// Reads and writes a frame of this kind.
    pub(crate) again: fn(Value) -> serde_json::Result<Value>,
}

/// Every kind of frame.
pub(crate) fn all() -> Vec<Frame> {
    let mut frames = requests::all();
    frames.extend(events::all());
    frames.extend(health::all());
    frames.extend(spend::all());
    frames.extend(breakers::all());
    frames.extend(asks::all());
    frames.extend(notices::all());
    frames.extend(sessions::all());
    frames
}

fn frame<T: Serialize + DeserializeOwned>(name: impl Into<String>, sample: &T) -> Frame {
    Frame {
        name: name.into(),
        sample: serde_json::to_value(sample).unwrap(),
        again: |value| serde_json::from_value::<T>(value).and_then(serde_json::to_value),
    }
}

/// A run's name that never changes.
fn run() -> copex_proto::id::RunId {
    copex_proto::id::RunId::new(1_760_000_000_000, 77)
}

fn text(text: &str) -> String {
    text.to_owned()
}
