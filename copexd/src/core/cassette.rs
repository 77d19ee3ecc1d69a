//! Recorded model traffic: what a cassette holds, and its form on the disk.
//!
//! A cassette is JSON Lines: one [`Header`], then one [`Exchange`] per line, in the order in
//! which they ended. Fields that are not known are left alone; a greater format number is
//! refused.
//!
//! Not here: files and time (`backend::cassette`), what counts as the same request
//! ([`likeness`]), what of a stream is secret ([`stream`]).

pub mod likeness;
pub mod stream;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::failure::FailureClass;

/// The format that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The format.
    pub copex_cassette: u32,
    /// The version of copex that recorded it.
    pub copex: String,
    /// The version of the Copilot CLI, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cli: Option<String>,
    /// What kind of endpoint was recorded.
    pub dialect: Dialect,
    /// When the recording began, in Unix milliseconds.
    pub created_at: u64,
    /// The run that was recorded.
    pub run: String,
}

/// What kind of endpoint it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    /// `openai`, `azure` or `anthropic`; `github` for GitHub's own.
    pub kind: String,
    /// `completions` or `responses`, where it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire_api: Option<String>,
}

/// One request and what came of it. Times are milliseconds since the request left, but for
/// the request's own, which counts from the beginning of the recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// What was asked.
    pub request: Request,
    /// What was answered, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// How it ended.
    pub end: End,
}

/// Headers by name.
pub type Headers = BTreeMap<String, Vec<String>>;

/// A request, without its secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// When it left.
    pub at_ms: u64,
    /// The HTTP method.
    pub method: String,
    /// The path of the URL, without host and query.
    pub path: String,
    /// The model asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The headers.
    #[serde(default)]
    pub headers: Headers,
    /// The body: a document where it is one, else its text.
    #[serde(default)]
    pub body: Value,
}

/// An answer, without its secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    #[serde(default)]
    pub headers: Headers,
    /// When the head was there.
    pub at_ms: u64,
    /// The body, as it came.
    #[serde(default)]
    pub chunks: Vec<Chunk>,
}

/// A piece of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// When it came.
    pub at_ms: u64,
    /// What it was.
    #[serde(flatten)]
    pub data: Data,
}

/// Bytes, as text where they are text: a piece may end inside a character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Data {
    /// Text.
    Text(String),
    /// Anything else.
    Base64(String),
}

impl Data {
    /// The bytes in their written form.
    pub fn new(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes)
            .map_or_else(|error| Self::Base64(STANDARD.encode(error.as_bytes())), Self::Text)
    }

    /// The bytes; `None` when the written form is broken.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Base64(text) => STANDARD.decode(text).ok(),
        }
    }
}

/// How an exchange ended, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at_ms: u64,
    /// How.
    #[serde(flatten)]
    pub how: How,
}

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum How {
    /// The answer came to its end.
    Whole,
    /// There was no answer, or it broke off.
    Failed {
        /// The kind of failure.
        class: FailureClass,
        /// Its words.
        message: String,
    },
    /// Nobody waited any longer: a watchdog fired, or the run was cancelled.
    Left,
}

/// A cassette that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Cassette {
    /// Its first line.
    pub header: Header,
    /// The others, in order.
    pub exchanges: Vec<Exchange>,
}

/// What is wrong with a cassette.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The line, from 1.
    pub line: usize,
    /// What it is, in words that follow "line N ".
    pub what: String,
}

impl Cassette {
    /// Reads a whole cassette.
    ///
    /// # Errors
    /// [`Wrong`] with the first line that cannot be read.
    pub fn read(bytes: &[u8]) -> Result<Self, Wrong> {
        let wrong = |line: usize, what: String| Wrong { line, what };
        let mut lines = Vec::new();
        for (at, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let Some(line) = line.strip_suffix(b"\n") else {
                return Err(wrong(at + 1, "is cut off in the middle".to_owned()));
            };
            lines.push(line);
        }
        let Some((first, rest)) = lines.split_first() else {
            return Err(wrong(1, "is missing: the file is empty".to_owned()));
        };
        let header = header(first).map_err(|what| wrong(1, what))?;
        let mut exchanges = Vec::with_capacity(rest.len());
        for (at, line) in rest.iter().enumerate() {
            let exchange = exchange(line).map_err(|what| wrong(at + 2, what))?;
            exchanges.push(exchange);
        }
        if exchanges.is_empty() {
            return Err(wrong(2, "is missing: no request was recorded".to_owned()));
        }
        Ok(Self { header, exchanges })
    }

    /// The kind of endpoint that a session of this cassette has to speak to. GitHub's own is
    /// spoken to as the provider whose dialect it used.
    pub fn dialect(&self) -> Dialect {
        if self.header.dialect.kind != "github" {
            return self.header.dialect.clone();
        }
        let asked = self.exchanges.iter().map(|exchange| &exchange.request);
        let path = asked.filter(|request| request.method == "POST").map(|request| &request.path);
        let path = path.map(String::as_str).next().unwrap_or_default();
        let (kind, wire_api) = match path.rsplit('/').next() {
            Some("messages") => ("anthropic", None),
            Some("responses") => ("openai", Some("responses")),
            _ => ("openai", Some("completions")),
        };
        Dialect { kind: kind.to_owned(), wire_api: wire_api.map(str::to_owned) }
    }

    /// The model that was asked first.
    pub fn model(&self) -> Option<&str> {
        self.exchanges.iter().find_map(|exchange| exchange.request.model.as_deref())
    }
}

fn header(line: &[u8]) -> Result<Header, String> {
    let no = |why: &str| format!("is not the beginning of a cassette: {why}");
    let value: Value = serde_json::from_slice(line).map_err(|error| no(&error.to_string()))?;
    let format = value["copex_cassette"].as_u64().ok_or_else(|| no("no `copex_cassette`"))?;
    if format > u64::from(FORMAT) {
        let by = value["copex"].as_str().unwrap_or("a newer version");
        return Err(format!(
            "says format {format}, written by copex {by}; this version reads up to {FORMAT}"
        ));
    }
    serde_json::from_value(value).map_err(|error| no(&error.to_string()))
}

fn exchange(line: &[u8]) -> Result<Exchange, String> {
    let exchange: Exchange = serde_json::from_slice(line)
        .map_err(|error| format!("is not a recorded request: {error}"))?;
    if let Some(response) = &exchange.response {
        http::StatusCode::from_u16(response.status)
            .map_err(|_| format!("has the HTTP status {}", response.status))?;
        if response.chunks.iter().any(|chunk| chunk.data.bytes().is_none()) {
            return Err("has a piece that is no base64".to_owned());
        }
    }
    Ok(exchange)
}

/// One line, with its end.
pub fn line(record: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(record).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests;
