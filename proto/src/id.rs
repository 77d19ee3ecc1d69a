//! Identifiers as they travel: short, sortable by time, safe in a shell and a URL.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Characters of an id: Crockford's base 32 in lower case (no i, l, o, u).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Length of a run id in characters: 42 bits of milliseconds and 23 of chance.
pub const RUN_ID_LEN: usize = 13;

/// A number in a run's event log, from 1. `0` stands for "before the first".
pub type Seq = u64;

/// Names one run. Ids sort by the time the run was accepted, to the millisecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String")]
pub struct RunId([u8; RUN_ID_LEN]);

impl RunId {
    /// Builds an id from Unix milliseconds (42 bits are kept) and chance (23 bits).
    pub fn new(unix_ms: u64, chance: u32) -> Self {
        let mut bits =
            (u128::from(unix_ms & ((1 << 42) - 1)) << 23) | u128::from(chance & 0x7f_ffff);
        let mut text = [b'0'; RUN_ID_LEN];
        for slot in text.iter_mut().rev() {
            *slot = ALPHABET[usize::try_from(bits & 31).unwrap_or(0)];
            bits >>= 5;
        }
        Self(text)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("")
    }

    /// The id as the bytes of its text, for store keys.
    pub fn as_bytes(&self) -> &[u8; RUN_ID_LEN] {
        &self.0
    }
}

/// A text that is not a run id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a run id ({RUN_ID_LEN} characters of 0-9 and a-z without i, l, o, u)")]
pub struct InvalidRunId(pub String);

impl FromStr for RunId {
    type Err = InvalidRunId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes: [u8; RUN_ID_LEN] =
            text.as_bytes().try_into().map_err(|_| InvalidRunId(text.to_owned()))?;
        if bytes.iter().all(|byte| ALPHABET.contains(byte)) {
            Ok(Self(bytes))
        } else {
            Err(InvalidRunId(text.to_owned()))
        }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RunId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Names one question that only a person may answer. Unique within the daemon's store.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct AskId(pub String);

impl fmt::Display for AskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one Copilot conversation: the Copilot CLI's own session id.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct SessionId(pub String);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_survive_text() {
        let early = RunId::new(1_700_000_000_000, 0x7f_ffff);
        let late = RunId::new(1_700_000_000_001, 0);
        assert!(early < late);
        assert_eq!(early.as_str().len(), RUN_ID_LEN);
        assert_eq!(early.as_str().parse::<RunId>(), Ok(early));
    }

    #[test]
    fn foreign_text_is_refused_by_name() {
        let error = "not-a-run-id!".parse::<RunId>().unwrap_err();
        assert!(error.to_string().contains("not-a-run-id!"));
        assert!("abc".parse::<RunId>().is_err());
    }
}
