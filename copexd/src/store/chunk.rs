//! The envelope of a value, and how a large one is cut into pieces.
//!
//! A record is `[version][payload]` when it fits into one key, else
//! `[version | 0x80][set: u64][length: u64]`, and its payload lies in the `chunks` tree
//! under `set` and an index. Head and pieces are written in one transaction.
//!
//! Invariant: no sled value is above [`PIECE`] bytes (and a few). A leaf of sled holds
//! up to 17 values, and a page above 128 KiB becomes a file in `blobs/` that sled never
//! deletes: 17 times 7 KiB stays below.

use super::keys::chunk_key;

/// Largest payload in one key. See the invariant above.
pub(super) const PIECE: usize = 7 * 1024;

/// Largest payload of one record: a message at the wire's limit, with room to spare.
pub(super) const VALUE_LIMIT: usize = 64 * 1024 * 1024;

/// Marks a head whose payload is elsewhere.
const CHUNKED: u8 = 0x80;

/// Length of such a head.
const HEAD_LEN: usize = 17;

/// A stored value, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// The payload is here.
    Inline {
        /// Version of the record.
        version: u8,
        /// The payload.
        payload: &'a [u8],
    },
    /// The payload is in pieces.
    Chunked {
        /// Version of the record.
        version: u8,
        /// Where the pieces are, and how many bytes they make.
        pieces: Pieces,
    },
}

/// The pieces of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pieces {
    /// The number they are filed under.
    pub(super) set: u64,
    /// Bytes in all of them together.
    pub(super) len: usize,
}

impl Pieces {
    /// The keys of all pieces.
    pub(super) fn keys(self) -> impl Iterator<Item = [u8; 12]> {
        let count = u32::try_from(self.len.div_ceil(PIECE)).unwrap_or(u32::MAX);
        (0..count).map(move |index| chunk_key(self.set, index))
    }
}

/// Takes a stored value apart. `None`: not an envelope.
pub(super) fn parse(value: &[u8]) -> Option<Value<'_>> {
    let (&first, payload) = value.split_first()?;
    if first & CHUNKED == 0 {
        return Some(Value::Inline { version: first, payload });
    }
    let set = u64::from_be_bytes(payload.get(..8)?.try_into().ok()?);
    let len = u64::from_be_bytes(payload.get(8..HEAD_LEN - 1)?.try_into().ok()?);
    let len = usize::try_from(len).ok().filter(|len| *len <= VALUE_LIMIT)?;
    Some(Value::Chunked { version: first & !CHUNKED, pieces: Pieces { set, len } })
}

/// The envelope of a payload that fits into one key.
pub(super) fn inline(version: u8, payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(payload.len() + 1);
    value.push(version);
    value.extend_from_slice(payload);
    value
}

/// The head of a payload that does not.
pub(super) fn head(version: u8, pieces: Pieces) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEAD_LEN);
    value.push(version | CHUNKED);
    value.extend_from_slice(&pieces.set.to_be_bytes());
    value.extend_from_slice(&(pieces.len as u64).to_be_bytes());
    value
}
