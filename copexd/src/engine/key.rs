//! Where a provider's key comes from when it is needed. It is held in memory and nowhere else.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use copex_proto::run::KeySource;
use copex_proto::secret::Secret;

use crate::backend::process::{self, Owner, Program};
use crate::backend::spec::SecretText;
use crate::core::failure::{Failure, FailureClass};

/// How long a key command may take: time for a person to unlock a password store.
const KEY_COMMAND_TIMEOUT: Duration = Duration::from_mins(1);

/// Where keys may be looked for.
pub struct KeyRing<'a> {
    /// What came with the request.
    pub offered: &'a BTreeMap<String, Secret>,
    /// The daemon's own environment.
    pub own_env: &'a BTreeMap<String, String>,
    /// The run's environment, for key commands.
    pub run_env: &'a BTreeMap<String, String>,
    /// The run's folder, for key commands.
    pub cwd: &'a Path,
    /// Marks the processes.
    pub owner: &'a Owner,
}

/// Gets a key.
///
/// # Errors
/// `Auth`, naming the source and never the key.
pub async fn resolve(source: &KeySource, ring: &KeyRing<'_>) -> Result<SecretText, Failure> {
    let fail = |message: String, hint: &str| {
        Err(Failure::new(FailureClass::Auth, message).with_hint(hint.to_owned()))
    };
    match source {
        KeySource::Env(name) => {
            let offered = ring.offered.get(name).map(Secret::reveal);
            let own = || ring.own_env.get(name).map(String::as_str);
            match offered.or_else(own).filter(|key| !key.is_empty()) {
                Some(key) => Ok(SecretText::new(key)),
                None => fail(
                    format!("the provider's key is not known: the variable {name} is not set"),
                    "set it where you run copexctl and start the run again with \
                     `copexctl runs resume`, or use `key_command` in [provider]",
                ),
            }
        }
        KeySource::File(path) => match tokio::fs::read_to_string(path).await {
            Ok(text) => first_line(&text).map_or_else(
                || fail(format!("the key file {path} is empty"), "put the key in"),
                Ok,
            ),
            Err(error) => fail(format!("the key file {path} cannot be read: {error}"), "check it"),
        },
        KeySource::Command(command) => {
            let env = process::child_env(ring.run_env);
            let args = ["-c", command.as_str()];
            let program = Program { path: Path::new("/bin/sh"), args: &args, env, cwd: ring.cwd };
            let Ok((child, _tree)) = process::start(&program, ring.owner) else {
                return fail("the key command cannot be started".to_owned(), "check `key_command`");
            };
            let output = tokio::time::timeout(KEY_COMMAND_TIMEOUT, child.wait_with_output()).await;
            match output {
                Ok(Ok(output)) if output.status.success() => first_line(&String::from_utf8_lossy(
                    &output.stdout,
                ))
                .map_or_else(
                    || fail("the key command printed nothing".to_owned(), "check `key_command`"),
                    Ok,
                ),
                Ok(Ok(output)) => fail(
                    format!("the key command failed ({})", output.status),
                    "run it by hand and check `key_command`",
                ),
                Ok(Err(error)) => {
                    fail(format!("the key command failed: {error}"), "check `key_command`")
                }
                Err(_) => fail("the key command did not end".to_owned(), "check `key_command`"),
            }
        }
    }
}

fn first_line(text: &str) -> Option<SecretText> {
    let line = text.lines().next().unwrap_or_default().trim();
    (!line.is_empty()).then(|| SecretText::new(line))
}
