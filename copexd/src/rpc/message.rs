//! One frame, read: a call, a batch of them, or a reason why it is neither. No IO.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use jsonrpsee::types::{ErrorObjectOwned, Id};
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::refusal;

/// A request, or a notification when it has no id.
#[derive(Debug)]
pub(super) struct Call {
    /// What to answer under; nothing for a notification.
    pub(super) id: Option<Id<'static>>,
    /// The method's name.
    pub(super) method: String,
    /// The JSON text of the parameters, inside the frame's own memory.
    pub(super) params: Option<Bytes>,
}

/// A request that is answered without running anything.
#[derive(Debug)]
pub(super) struct Refused {
    /// What to answer under; null when the request does not say.
    pub(super) id: Id<'static>,
    /// The answer.
    pub(super) error: ErrorObjectOwned,
}

/// What a frame says.
#[derive(Debug)]
pub(super) enum Message {
    /// One call.
    Single(Call),
    /// Calls to run in order and answer as one.
    Batch(Vec<Result<Call, Refused>>),
}

#[derive(serde::Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// Keeps `null` apart from absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads one frame.
pub(super) fn read(frame: &Bytes, batch_limit: u32) -> Result<Message, Refused> {
    if frame.trim_ascii_start().first() != Some(&b'[') {
        return call(frame, frame).map(Message::Single);
    }
    let unread = |error: &serde_json::Error| Refused {
        id: Id::Null,
        error: refusal::not_json(&error.to_string()),
    };
    let batch: Entries<'_> = serde_json::from_slice(frame).map_err(|error| unread(&error))?;
    let limit = usize::try_from(batch_limit).unwrap_or(usize::MAX);
    if batch.kept.len() > limit {
        let error = refusal::batch_too_long(batch_limit);
        return Err(Refused { id: Id::Null, error });
    }
    if batch.kept.is_empty() {
        let error = refusal::not_a_request("the batch is empty");
        return Err(Refused { id: Id::Null, error });
    }
    let read = |entry: &&RawValue| call(frame, entry.get().as_bytes());
    Ok(Message::Batch(batch.kept.iter().map(read).collect()))
}

/// Reads one request, a part of `frame`.
fn call(frame: &Bytes, text: &[u8]) -> Result<Call, Refused> {
    let envelope: Envelope<'_> = serde_json::from_slice(text).map_err(|error| {
        let error = match error.classify() {
            serde_json::error::Category::Data => refusal::not_a_request(error.to_string()),
            _ => refusal::not_json(&error.to_string()),
        };
        Refused { id: Id::Null, error }
    })?;
    let id = envelope.id.map(|id| serde_json::from_str::<Id<'_>>(id.get()).map(Id::into_owned));
    let Ok(id) = id.transpose() else {
        let why = "an id is a text, a whole number from 0, or null";
        return Err(Refused { id: Id::Null, error: refusal::not_a_request(why) });
    };
    let refuse = |why: &str| Refused {
        id: id.clone().unwrap_or(Id::Null),
        error: refusal::not_a_request(why),
    };
    if envelope.jsonrpc.as_deref() != Some("2.0") {
        return Err(refuse("`\"jsonrpc\": \"2.0\"` is missing"));
    }
    let Some(method) = &envelope.method else {
        return Err(refuse("`method` is missing"));
    };
    let params = envelope.params.map(|params| frame.slice_ref(params.get().as_bytes()));
    Ok(Call { method: method.clone().into_owned(), params, id })
}

/// The entries of a batch. Stops keeping them past any limit, so that a frame full of
/// commas costs no more memory than itself.
struct Entries<'a> {
    kept: Vec<&'a RawValue>,
}

/// More entries than any limit of a batch; the count above it does not matter.
const ENTRIES_KEPT: usize = 4096;

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keep;
        impl<'de> Visitor<'de> for Keep {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a batch of requests")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < ENTRIES_KEPT {
                    match list.next_element::<&'de RawValue>()? {
                        Some(entry) => kept.push(entry),
                        None => return Ok(Entries { kept }),
                    }
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Entries { kept })
            }
        }
        deserializer.deserialize_seq(Keep)
    }
}
