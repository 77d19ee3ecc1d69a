//! What is wrong with a configuration, and exactly where.

use std::fmt;
use std::path::PathBuf;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth saying; the command goes on.
    Warning,
    /// A name that means nothing: a warning at run time, an error in `config check`.
    Unknown,
    /// The command stops.
    Error,
}

/// One finding, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file, when it came from one.
    pub path: Option<PathBuf>,
    /// The line from 1, when it came from a file.
    pub line: Option<u32>,
    /// The column from 1, where known.
    pub column: Option<u32>,
    /// The key, where one is named.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

impl Problem {
    /// A finding without a place.
    pub fn new(severity: Severity, message: impl Into<String>) -> Self {
        Self {
            severity,
            path: None,
            line: None,
            column: None,
            key: None,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds the way out.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the key.
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}", path.display())?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
                if let Some(column) = self.column {
                    write!(f, ":{column}")?;
                }
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}
