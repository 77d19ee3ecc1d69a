//! A string that never shows itself.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ends of names that look like a secret.
const SECRET_ENDS: &[&str] = &["TOKEN", "_KEY", "_PAT", "_PASS", "_PASSWD", "_PWD", "APIKEY"];

/// Parts of names that look like a secret.
const SECRET_PARTS: &[&str] = &[
    "SECRET",
    "PASSWORD",
    "PASSPHRASE",
    "CREDENTIAL",
    "API_KEY",
    "PRIVATE_KEY",
    "ACCESS_KEY",
    "_TOKEN_",
];

/// Whether a variable of this name holds a secret, by the look of it.
pub fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_ENDS.iter().any(|end| name.ends_with(end))
        || SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// A secret in transit. `Debug` and `Display` print a placeholder; only
/// [`Secret::reveal`] gives the text. It does serialise, since it has to reach the
/// daemon over the private socket; nothing that is stored or logged may hold one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Call it where the secret is used, never to store or print it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
