//! Secrets that are written out in a server's description.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::Servers;
use crate::secret::{Secret, looks_secret};

/// Names of secrets that were written out begin so.
pub(super) const HIDDEN: &str = "COPEX_MCP_";

/// Takes secrets that are written out away into `secrets`, and leaves references to them: in
/// `env` and `headers` by name, in `args` and `url` by the look of a flag or a parameter, or of
/// the value itself, of which `known` says whether it is a token of some service.
pub fn hide(
    servers: &mut Servers,
    secrets: &mut BTreeMap<String, Secret>,
    known: &dyn Fn(&str) -> bool,
) {
    for (server, fields) in servers {
        for table in ["env", "headers"] {
            let Some(map) = fields.get_mut(table).and_then(Value::as_object_mut) else { continue };
            for (name, value) in map {
                let Value::String(text) = value else { continue };
                if text.is_empty() || text.contains("${") || !(is_secret(name) || known(text)) {
                    continue;
                }
                keep(&format!("{server}_{name}"), text, 0, secrets);
            }
        }
        if let Some(args) = fields.get_mut("args").and_then(Value::as_array_mut) {
            for (at, from) in secret_args(args, known) {
                if let Some(Value::String(text)) = args.get_mut(at) {
                    keep(&format!("{server}_ARG_{}", at + 1), text, from, secrets);
                }
            }
        }
        if let Some(Value::String(url)) = fields.get_mut("url")
            && let Some(from) = url_part(url, known)
        {
            keep(&format!("{server}_URL"), url, from, secrets);
        }
    }
}

/// Puts a reference in the place of a text from byte `from` on.
fn keep(name: &str, text: &mut String, from: usize, secrets: &mut BTreeMap<String, Secret>) {
    let secret = text.split_off(from);
    let mut key = format!("{HIDDEN}{}", plain(name));
    while secrets.get(&key).is_some_and(|other| other.reveal() != secret) {
        key.push('_');
    }
    let _ = write!(text, "${{env:{key}}}");
    secrets.insert(key, Secret::new(secret));
}

/// Which arguments have a secret in them, and from which byte on. References are none.
pub fn secret_args(args: &[Value], known: &dyn Fn(&str) -> bool) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    // Whether the argument before is a flag that names a secret and has no value.
    let mut wanted = false;
    for (at, arg) in args.iter().enumerate() {
        let Some(text) = arg.as_str() else { continue };
        let value = wanted && !text.is_empty() && !text.starts_with("--") && !text.contains("${");
        wanted = text.starts_with('-') && !text.contains('=') && is_secret(text);
        if value {
            found.push((at, 0));
        } else if let Some(from) = secret_part(text, known) {
            found.push((at, from));
        }
    }
    found
}

/// From which byte on a text is secret: behind a name that says so, or all of it where it has
/// a known token.
fn secret_part(text: &str, known: &dyn Fn(&str) -> bool) -> Option<usize> {
    if text.contains("${") {
        return None;
    }
    let named = text.match_indices(['=', ':']).find_map(|(at, _)| {
        let name = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
        let before = &text[..at];
        let name = &before[before.trim_end_matches(name).len()..];
        let value = text[at + 1..].trim_start();
        let plain = value.is_empty() || value.starts_with("//") || value.parse::<bool>().is_ok();
        (is_secret(name) && !plain).then(|| text.len() - value.len())
    });
    named.or_else(|| known(text).then_some(0))
}

/// Names of parameters that are secret in an address, whatever they mean elsewhere: API keys,
/// signatures, codes of functions.
const PARAMETERS: [&str; 6] = ["key", "sig", "signature", "auth", "code", "access"];

/// From which byte on an address is secret: from a user's name with a password, or a parameter.
fn url_part(url: &str, known: &dyn Fn(&str) -> bool) -> Option<usize> {
    if url.contains("${") {
        return None;
    }
    let begin = url.find("://").map_or(0, |at| at + 3);
    let host = &url[begin..begin + url[begin..].find(['/', '?', '#']).unwrap_or(url.len() - begin)];
    let user = host.rfind('@').is_some_and(|at| host[..at].contains(':')).then_some(begin);
    let parameter = || {
        url.match_indices(['?', '&']).find_map(|(at, _)| {
            let (name, value) = url[at + 1..].split_once('=')?;
            let named = PARAMETERS.iter().any(|it| it.eq_ignore_ascii_case(name));
            (named && !value.is_empty()).then(|| at + 1 + name.len() + 1)
        })
    };
    user.into_iter().chain(parameter()).chain(secret_part(url, known)).min()
}

fn is_secret(name: &str) -> bool {
    let name = plain(name.trim_start_matches('-'));
    looks_secret(&name) || ["AUTHORIZATION", "COOKIE"].iter().any(|part| name.contains(part))
}

fn plain(name: &str) -> String {
    let sign = |it: char| if it.is_ascii_alphanumeric() { it.to_ascii_uppercase() } else { '_' };
    name.chars().map(sign).collect()
}
