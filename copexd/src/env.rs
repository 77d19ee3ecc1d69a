//! SEAM: the only reader of the environment.

use std::collections::BTreeMap;

/// The environment as it was at the start. Variables that are not UTF-8 are left out: no
/// setting of ours can be one, and JSON could not carry them to a tool.
pub fn read() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
