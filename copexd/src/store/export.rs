//! A logical copy: one JSON object per line, readable by people and by the next engine.
//!
//! The first line is `{"copex_store":1,"epoch":..}`. Every other line is one record:
//! `{"tree":..,"key":..,"version":..,"json":..}`, with `key_hex` where the key is not
//! plain text and `hex` where the value is not one line of JSON. Bytes come back exactly.
//!
//! Invariant: import writes into an empty store only and keeps that store's own epoch:
//! an export may be older than what clients have seen. A commit that is written while an
//! export runs may be in it in part; close the store, or drain it, for an exact copy.
//!
//! It is also the compaction: sled's files never shrink, a new store from an export is small.

use std::borrow::Cow;
use std::io::{BufRead, Write};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::StoreError;
use super::handle::{Commit, Op, Store};
use super::keys::{TREES, Tree};

/// Version of the lines.
const FORMAT: u32 = 1;

/// Lines, or bytes, that import writes in one commit.
const BATCH_LINES: usize = 1024;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What an import brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Records written.
    pub records: u64,
    /// Lines of trees this build does not know, left out.
    pub skipped: u64,
}

#[derive(Serialize, Deserialize)]
struct Header {
    copex_store: u32,
    #[serde(default)]
    epoch: String,
}

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    tree: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_hex: Option<String>,
    version: u8,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    json: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

impl Store {
    /// Writes every record to `out` and returns how many. Blocks for as long as it takes.
    pub fn export(&self, mut out: impl Write) -> Result<u64, StoreError> {
        let dir = self.dir().to_owned();
        let header = Header { copex_store: FORMAT, epoch: self.epoch().to_owned() };
        write_line(&mut out, &header).map_err(|error| StoreError::io(&dir, error))?;
        let mut records = 0;
        for tree in exported() {
            self.shared.read(|db| {
                for entry in db.tree(tree) {
                    let (key, value) = entry.map_err(|error| db.error(error))?;
                    let payload = if tree.holds_records() {
                        db.scanned(tree, &key, value)?
                    } else {
                        Some((0, Bytes::copy_from_slice(&value)))
                    };
                    let Some((version, payload)) = payload else { continue };
                    write_record(&mut out, tree, &key, (version, &payload))
                        .map_err(|error| StoreError::io(&dir, error))?;
                    records += 1;
                }
                Ok(())
            })?;
        }
        out.flush().map_err(|error| StoreError::io(&dir, error))?;
        Ok(records)
    }

    /// Reads an export into this store, which must be empty. Blocks for as long as it
    /// takes: never call it from a task. When it fails the store holds a part: remove it.
    pub fn import(&self, input: impl BufRead) -> Result<ImportReport, StoreError> {
        if !self.shared.read(|db| Ok(db.is_empty()))? {
            return Err(StoreError::NotEmpty { path: self.dir().to_owned() });
        }
        let mut report = ImportReport::default();
        let mut ops = Vec::new();
        let mut bytes = 0;
        for (number, line) in (1..).zip(input.lines()) {
            let line = line.map_err(|error| StoreError::io(self.dir(), error))?;
            if number == 1 {
                check_header(&line)?;
                continue;
            }
            let Some(op) = read_line(&line, number)? else {
                report.skipped += 1;
                continue;
            };
            bytes += line.len();
            report.records += 1;
            ops.push(op);
            if ops.len() >= BATCH_LINES || bytes >= BATCH_BYTES {
                self.commit_blocking(std::mem::take(&mut ops))?;
                bytes = 0;
            }
        }
        self.commit_blocking(ops)?;
        Ok(report)
    }

    fn commit_blocking(&self, ops: Vec<Op>) -> Result<(), StoreError> {
        let answer = self.enqueue(Commit::synced(ops))?;
        answer.blocking_recv().unwrap_or_else(|_| Err(self.closed()))
    }
}

/// Pieces travel inside their records; `meta` belongs to the store itself.
fn exported() -> impl Iterator<Item = Tree> {
    TREES.into_iter().filter(|tree| !matches!(tree, Tree::Meta | Tree::Chunks))
}

fn write_record(
    out: &mut impl Write,
    tree: Tree,
    key: &[u8],
    (version, payload): (u8, &[u8]),
) -> std::io::Result<()> {
    let text = std::str::from_utf8(key).ok().filter(|key| !key.contains('\0'));
    let json = if payload.contains(&b'\n') || payload.contains(&b'\r') {
        None
    } else {
        serde_json::from_slice::<&RawValue>(payload)
            .ok()
            // Blanks around the value would not come back.
            .filter(|json| json.get().len() == payload.len())
    };
    let line = Line {
        tree: tree.name().into(),
        key: text.map(Cow::Borrowed),
        key_hex: text.is_none().then(|| to_hex(key)),
        version,
        json,
        hex: json.is_none().then(|| to_hex(payload)),
    };
    write_line(out, &line)
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

fn check_header(line: &str) -> Result<(), StoreError> {
    let refused = |detail: String| StoreError::Import { line: 1, detail };
    let header: Header = serde_json::from_str(line).map_err(|error| refused(error.to_string()))?;
    if header.copex_store > FORMAT {
        return Err(refused(format!("it is of format {}", header.copex_store)));
    }
    Ok(())
}

fn read_line(text: &str, number: u64) -> Result<Option<Op>, StoreError> {
    let refused = |detail: &str| StoreError::Import { line: number, detail: detail.to_owned() };
    let line: Line<'_> = serde_json::from_str(text).map_err(|error| refused(&error.to_string()))?;
    let Some(tree) = exported().find(|tree| tree.name() == line.tree) else { return Ok(None) };
    let key = match (line.key, line.key_hex) {
        (Some(key), None) => key.into_owned().into_bytes(),
        (None, Some(hex)) => from_hex(&hex).ok_or_else(|| refused("key_hex is not hex"))?,
        _ => return Err(refused("it needs either key or key_hex")),
    };
    let bytes = match (line.json, line.hex) {
        (Some(json), None) => Bytes::copy_from_slice(json.get().as_bytes()),
        (None, Some(hex)) => from_hex(&hex).ok_or_else(|| refused("hex is not hex"))?.into(),
        _ => return Err(refused("it needs either json or hex")),
    };
    Ok(Some(Op::Import { tree, key, version: line.version, bytes }))
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            u8::try_from(high << 4 | low).ok()
        })
        .collect()
}
