//! Where a provider's key comes from when it is needed. It is held in memory and nowhere else.
//!
//! What only a client had is gone with the daemon that was told. A run that goes on without it
//! parks, and [`Engine::offer`] is how a client brings it again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::id::RunId;
use copex_proto::mcp;
use copex_proto::run::{KeySource, RunOptions, RunRequest};
use copex_proto::secret::Secret;

use super::Engine;
use super::prepare::{Ambient, CLI_SECRETS};
use super::registry::{Command, Live};

use crate::backend::process::{self, Owner, Program};
use crate::backend::spec::SecretText;
use crate::core::failure::{Failure, FailureClass};

/// How long a key command may take: time for a person to unlock a password store.
const KEY_COMMAND_TIMEOUT: Duration = Duration::from_mins(1);

/// Secrets by name.
pub(super) type Secrets = BTreeMap<String, Secret>;

/// What clients handed over for a run, for this process's lifetime only.
pub(super) struct Keys {
    known: Mutex<Arc<Secrets>>,
    /// Whether the daemon that was told is gone.
    lost: bool,
}

impl Keys {
    /// What came with a request.
    pub(super) fn of(secrets: Secrets) -> Self {
        Self { known: Mutex::new(Arc::new(secrets)), lost: false }
    }

    /// Of a run whose daemon is gone.
    pub(super) fn lost() -> Self {
        Self { lost: true, ..Self::of(Secrets::new()) }
    }

    /// All of them.
    pub(super) fn known(&self) -> Arc<Secrets> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, more: Secrets) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut known).extend(more);
    }

    /// Whether a missing key was there once, so that somebody may bring it again; in a run
    /// that begins it was never there.
    pub(super) fn judge(&self, mut failure: Failure) -> Failure {
        if self.lost {
            failure.unasked = failure.needs_key.is_some();
        } else {
            failure.needs_key = None;
        }
        failure
    }
}

impl Engine {
    /// Takes keys for a run that is parked for one of them, which goes on. Returns whether it
    /// was.
    ///
    /// # Errors
    /// `NotFound` for a run nobody knows.
    pub async fn offer(&self, run: RunId, secrets: Secrets) -> Result<bool, ErrorInfo> {
        let needed = self.record(run)?.needs_key;
        let has = |name: &String| secrets.get(name).is_some_and(|key| !key.reveal().is_empty());
        let live = self.inner.registry.get(run);
        let Some(live) = live.filter(|_| needed.as_ref().is_some_and(has)) else {
            return Ok(false);
        };
        live.keys.add(secrets);
        // One that ended meanwhile hears nothing any more.
        let _ = live.commands.send(Command::Wake).await;
        Ok(true)
    }

    /// What to tell who lets a run go on that is parked for a key, and does not bring it.
    pub(super) fn still_needs(&self, run: RunId) -> Result<(), ErrorInfo> {
        let Some(name) = self.record(run)?.needs_key else { return Ok(()) };
        let message = format!("run {run} needs the key in {name}, and did not get it");
        let hint = format!("`copexctl runs resume {run}` where {name} is set");
        Err(ErrorInfo::new(ErrorClass::Auth, message).with_hint(hint))
    }
}

/// The variables that a stored request refers to for secrets.
pub(super) fn names(request: &serde_json::Value) -> Vec<String> {
    let Ok(request) = serde_json::from_value::<RunRequest>(request.clone()) else {
        return Vec::new();
    };
    let options = request.options();
    let mut names: BTreeSet<String> = mcp::references(&options.mcp_servers);
    match &options.provider {
        Some(provider) => names.extend(match &provider.key {
            Some(KeySource::Env(name)) => Some(name.clone()),
            _ => None,
        }),
        None => names.extend(CLI_SECRETS.map(str::to_owned)),
    }
    if let RunRequest::Fleet(fleet) = &request {
        for task in &fleet.tasks {
            names.extend(mcp::references(&task.mcp_servers));
        }
    }
    names.into_iter().collect()
}

/// The variable with the sign-in that came with a request and that the daemon itself does not
/// have: the first in the Copilot CLI's order counts.
pub(super) fn lent_sign_in(secrets: &Secrets, ambient: &Ambient) -> Option<String> {
    let given = |name: &&str| secrets.get(*name).is_some_and(|key| !key.reveal().is_empty());
    let name = CLI_SECRETS.into_iter().find(given)?;
    let own = ambient.env.get(name).is_some_and(|key| !key.is_empty());
    (!own).then(|| name.to_owned())
}

/// Whether the sign-in that a run began with is still there, where it needs one.
///
/// # Errors
/// `Auth`, naming the variable: another sign-in is perhaps another person's.
pub(super) fn sign_in(options: &RunOptions, live: &Live, ambient: &Ambient) -> Result<(), Failure> {
    let unneeded = options.provider.is_some() || options.demo || options.replay.is_some();
    let Some(name) = live.summary.borrow().sign_in.clone().filter(|_| !unneeded) else {
        return Ok(());
    };
    if find(&name, &live.keys.known(), &ambient.env).is_some() {
        return Ok(());
    }
    let words = format!("the sign-in in {name} is gone with the daemon that was told it");
    let mut failure = Failure::new(FailureClass::Auth, words)
        .with_hint(format!("`copexctl runs resume` where {name} is set"));
    failure.needs_key = Some(name);
    Err(live.keys.judge(failure))
}

/// A secret's value; one that is empty is none.
fn find<'a>(
    name: &str,
    offered: &'a Secrets,
    own: &'a BTreeMap<String, String>,
) -> Option<&'a str> {
    let offered = offered.get(name).map(Secret::reveal).filter(|key| !key.is_empty());
    offered.or_else(|| own.get(name).map(String::as_str)).filter(|key| !key.is_empty())
}

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
            if let Some(key) = find(name, ring.offered, ring.own_env) {
                return Ok(SecretText::new(key));
            }
            let words = format!("the provider's key is not known: the variable {name} is not set");
            let mut failure = Failure::new(FailureClass::Auth, words).with_hint(
                "set it where you run copexctl and start the run again with \
                 `copexctl runs resume`, or use `key_command` in [provider]",
            );
            failure.needs_key = Some(name.clone());
            Err(failure)
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
