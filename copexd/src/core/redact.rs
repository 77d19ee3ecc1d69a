//! Takes secrets out of what people will pass on.
//!
//! Two kinds go: texts that are known to be secret, wherever they occur, and words that look
//! like the tokens of well-known services. Invariant: what is cut into pieces is judged as a
//! whole, so a secret that crosses a border is found as well.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

/// What stands in a secret's place.
pub const MARK: &str = "[redacted]";

/// Bytes of the shortest text that is looked for. Shorter ones (`none`, `ollama`) are no
/// secrets, and taking them out would eat ordinary words.
pub const LEAST: usize = 8;

/// Bytes of what a server or a process says about a failure that are kept: each try's words
/// go into the log, and some servers answer with a page.
pub const MOST_SAID: usize = 4 * 1024;

/// Parts of the names of headers that hold secrets.
const SECRET_HEADERS: [&str; 8] =
    ["auth", "api-key", "apikey", "cookie", "token", "secret", "password", "credential"];

/// Names of fields that hold secrets. A field called `token` may be a piece of text.
const SECRET_FIELDS: [&str; 8] = [
    "authorization",
    "api_key",
    "api-key",
    "apikey",
    "password",
    "client_secret",
    "access_token",
    "refresh_token",
];

/// How a token of a well-known service looks.
struct Shape {
    prefix: &'static str,
    /// Bytes after the prefix, at least.
    least: usize,
    /// Other signs than letters and digits.
    signs: &'static [u8],
    /// Whether it may begin inside a word.
    anywhere: bool,
    /// Whether the prefix stays, since it is no part of the secret.
    keeps: bool,
}

const fn shape(prefix: &'static str, least: usize, signs: &'static [u8], anywhere: bool) -> Shape {
    Shape { prefix, least, signs, anywhere, keeps: false }
}

const SHAPES: [Shape; 21] = [
    shape("ghp_", 20, b"_", true),
    shape("gho_", 20, b"_", true),
    shape("ghu_", 20, b"_", true),
    shape("ghs_", 20, b"_", true),
    shape("ghr_", 20, b"_", true),
    shape("github_pat_", 20, b"_", true),
    shape("glpat-", 16, b"_-", true),
    shape("xoxb-", 10, b"-", true),
    shape("xoxp-", 10, b"-", true),
    shape("xoxa-", 10, b"-", true),
    shape("xoxs-", 10, b"-", true),
    shape("sk-", 16, b"_-", false),
    shape("AKIA", 16, b"", false),
    shape("ASIA", 16, b"", false),
    shape("AIza", 30, b"_-", false),
    shape("hf_", 20, b"", false),
    shape("npm_", 30, b"", false),
    shape("eyJ", 30, b"_-.", false),
    Shape { prefix: "Bearer ", least: 8, signs: b"._-~+/=", anywhere: false, keeps: true },
    Shape { prefix: "bearer ", least: 8, signs: b"._-~+/=", anywhere: false, keeps: true },
    Shape { prefix: "token=", least: 8, signs: b"._-~+/", anywhere: true, keeps: true },
];

const PRIVATE_KEY: &[u8] = b"PRIVATE KEY-----";
const PRIVATE_KEY_END: &[u8] = b"-----END";

/// Whether a header of this name holds a secret.
pub fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_HEADERS.iter().any(|part| name.contains(part))
}

fn is_secret_field(name: &str) -> bool {
    SECRET_FIELDS.contains(&name.to_ascii_lowercase().as_str())
}

/// Knows what is secret.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a secret inside another one does not leave its rest behind.
    secrets: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

impl Redactor {
    /// One that also looks for these texts. Those shorter than [`LEAST`] are left out.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Self::default().with(secrets)
    }

    /// The same, with further texts.
    pub fn with<'a>(mut self, secrets: impl IntoIterator<Item = &'a str>) -> Self {
        for secret in secrets.into_iter().map(str::trim).filter(|text| text.len() >= LEAST) {
            self.secrets.push(secret.as_bytes().to_vec());
            // Inside the text of a JSON document it may look different.
            let quoted = Value::from(secret).to_string();
            self.secrets.push(quoted.as_bytes()[1..quoted.len() - 1].to_vec());
        }
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        self.secrets.dedup();
        self
    }

    /// A text without its secrets.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let found = self.find(text.as_bytes());
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let edits = found.into_iter().map(|range| Edit { range, text: MARK.into() }).collect();
        let mut pieces = apply(&[text.as_bytes()], edits);
        let bytes = pieces.pop().unwrap_or_default();
        Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What somebody else says of a failure, for people: without the secrets, which some servers
    /// repeat, and no more than [`MOST_SAID`] bytes of it.
    pub fn said(&self, text: &str) -> String {
        super::turn::clip(&self.text(text), MOST_SAID)
    }

    /// Takes the secrets out of every text of a document; whether there were any.
    pub fn value(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => {
                let Cow::Owned(clean) = self.text(text) else { return false };
                *text = clean;
                true
            }
            Value::Array(items) => items.iter_mut().fold(false, |any, item| self.value(item) | any),
            Value::Object(fields) => {
                let mut any = false;
                for (name, field) in fields.iter_mut() {
                    if is_secret_field(name)
                        && let Value::String(text) = field
                        && !text.is_empty()
                        && text != MARK
                    {
                        MARK.clone_into(text);
                        any = true;
                    } else {
                        any |= self.value(field);
                    }
                }
                let keys: Vec<String> = fields.keys().cloned().collect();
                for key in keys {
                    if let Cow::Owned(clean) = self.text(&key) {
                        let field = fields.remove(&key);
                        fields.insert(clean, field.unwrap_or_default());
                        any = true;
                    }
                }
                any
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// Takes the secrets out of a whole that came in pieces. Their number stays; what stands
    /// for a secret is in the piece where it began.
    pub fn pieces(&self, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let whole = pieces.concat();
        let found = self.find(&whole);
        let edits = found.into_iter().map(|range| Edit { range, text: MARK.into() }).collect();
        apply(pieces, edits)
    }

    /// Where the secrets are: in order, not touching each other.
    fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut at = 0;
        while at < text.len() {
            match self.at(text, at) {
                Some(range) => {
                    at = range.end.max(at + 1);
                    match found.last_mut() {
                        Some(last) if range.start <= last.end => last.end = range.end,
                        _ => found.push(range),
                    }
                }
                None => at += 1,
            }
        }
        found
    }

    /// The longest secret that begins here, with what of it overlaps the next one.
    fn at(&self, text: &[u8], at: usize) -> Option<Range<usize>> {
        let rest = &text[at..];
        let known = self.secrets.iter().find(|secret| rest.starts_with(secret));
        let known = known.map(|secret| at..at + secret.len());
        let shaped = shaped(text, at);
        let mut range = match (known, shaped) {
            (Some(a), Some(b)) => a.start.min(b.start)..a.end.max(b.end),
            (a, b) => a.or(b)?,
        };
        // A secret that begins inside this one may reach further.
        let mut inside = range.start + 1;
        while inside < range.end {
            let rest = &text[inside..];
            let end = self.secrets.iter().filter(|secret| rest.starts_with(secret));
            let end = end.map(|secret| inside + secret.len()).max().unwrap_or(0);
            range.end = range.end.max(end);
            inside += 1;
        }
        Some(range)
    }
}

fn shaped(text: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    if rest.starts_with(PRIVATE_KEY) {
        let body = at + PRIVATE_KEY.len();
        let end = find(&text[body..], PRIVATE_KEY_END).map_or(text.len(), |end| body + end);
        return (end > body).then_some(body..end);
    }
    let inside_word = at > 0 && text[at - 1].is_ascii_alphanumeric();
    let fits = |shape: &&Shape| {
        rest.starts_with(shape.prefix.as_bytes()) && (shape.anywhere || !inside_word)
    };
    let shape = SHAPES.iter().find(fits)?;
    let body = at + shape.prefix.len();
    let belongs = |byte: &&u8| byte.is_ascii_alphanumeric() || shape.signs.contains(byte);
    let length = text[body..].iter().take_while(belongs).count();
    let start = if shape.keeps { body } else { at };
    (length >= shape.least).then_some(start..body + length)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// A range of a whole and what takes its place.
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) text: Vec<u8>,
}

/// Carries out edits (in order, not overlapping) on a whole that is cut into pieces.
pub(super) fn apply(pieces: &[&[u8]], edits: Vec<Edit>) -> Vec<Vec<u8>> {
    let mut edits = edits.into_iter().peekable();
    let mut open: Option<usize> = None;
    let mut start = 0;
    let mut done = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let end = start + piece.len();
        let mut kept = Vec::with_capacity(piece.len());
        let mut at = start;
        while at < end {
            if let Some(until) = open {
                at = until.min(end);
                if until <= end {
                    open = None;
                } else {
                    break;
                }
                continue;
            }
            let next = edits.peek().map_or(end, |edit| edit.range.start.min(end));
            kept.extend_from_slice(&piece[at - start..next - start]);
            at = next;
            if at < end
                && let Some(edit) = edits.next()
            {
                kept.extend(edit.text);
                open = Some(edit.range.end);
            }
        }
        done.push(kept);
        start = end;
    }
    done
}

#[cfg(test)]
mod tests;
