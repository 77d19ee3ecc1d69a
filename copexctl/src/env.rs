//! SEAM: the only reader of the environment, of the working folder and of our own path.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// The environment as it was at the start. Names and values that are not UTF-8 cannot
/// travel in JSON and are left out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Env {
    variables: BTreeMap<String, String>,
}

impl Env {
    /// Takes the process's environment.
    pub(crate) fn read() -> Self {
        let pairs = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self { variables: pairs.collect() }
    }

    /// An environment for tests.
    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { variables: pairs.collect() }
    }

    /// A variable; empty counts as unset.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// All variables.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The working folder.
pub(crate) fn working_folder() -> io::Result<PathBuf> {
    std::env::current_dir()
}

/// Our own executable.
pub(crate) fn own_program() -> Option<PathBuf> {
    std::env::current_exe().ok()
}
