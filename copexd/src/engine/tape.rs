//! What `record` and `replay` make of a run.

use std::path::PathBuf;

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::id::RunId;
use copex_proto::run::{RunOptions, RunRequest};

use super::events;
use crate::backend::cassette;
use crate::backend::spec::{ProviderSpec, SecretText, SessionSpec, TapeSpec};
use crate::core::cassette::Cassette;
use crate::core::failure::{Failure, FailureClass};

/// A port that never answers: nothing of a replay may leave the process.
const NOWHERE: &str = "http://127.0.0.1:9/v1";

/// The CLI hides keys from its output wherever they occur; a long one hides nothing else.
const KEY: &str = "copex-replay-needs-no-key";

/// The fastest replay, in times the recorded speed; 0 does not wait at all.
const MOST_SPEED: f64 = 1_000.0;

/// Checks the files before anything is recorded of the run.
///
/// # Errors
/// `Usage`: the options do not go together, a cassette cannot be read, or there is something
/// where a recording is to be made.
pub(super) async fn check(options: &RunOptions) -> Result<(), ErrorInfo> {
    let usage = |message: String| Err(ErrorInfo::new(ErrorClass::Usage, message));
    let speed = options.replay_speed;
    if let Some(speed) = speed.filter(|speed| !(0.0..=MOST_SPEED).contains(speed)) {
        return usage(format!("replay_speed is {speed}; it goes from 0 (at once) to {MOST_SPEED}"));
    }
    let (name, file) = match (&options.record, &options.replay) {
        (None, None) if speed.is_some() => {
            return usage("replay_speed has no effect without replay".to_owned());
        }
        (None, None) => return Ok(()),
        (Some(_), Some(_)) => return usage("record and replay do not go together".to_owned()),
        (Some(file), None) => ("record", PathBuf::from(file)),
        (None, Some(file)) => ("replay", PathBuf::from(file)),
    };
    if options.demo || options.demo_fallback {
        return usage(format!("{name} and the demonstration model do not go together"));
    }
    if file.is_relative() {
        return usage(format!("{name} wants an absolute path, not {}", file.display()));
    }
    let result =
        if name == "record" { cassette::check_new(&file) } else { load(file).await.map(drop) };
    result.map_err(|failure| events::error_info(&failure))
}

/// A replay asks nobody: neither for a sign-in nor for what a model can do. The model is
/// the recorded one, unless another was named.
pub(super) async fn settle(request: &mut RunRequest) {
    let options = request.options_mut();
    let Some(file) = &options.replay else { return };
    // One that became unreadable meanwhile is told when the session is opened.
    if let (None, Ok(cassette)) = (&options.model, load(file.into()).await) {
        options.model = cassette.model().map(str::to_owned);
    }
    options.provider = None;
    options.reasoning_effort = None;
}

/// What a reader of the log should know.
pub(super) fn warning(options: &RunOptions) -> Option<(String, String)> {
    let file = options.replay.as_ref()?;
    let text = format!("no model is asked: its answers come from the cassette {file}");
    Some(("replay".to_owned(), text))
}

/// Gives the session its cassette.
///
/// # Errors
/// `Usage` when the cassette cannot be read any more.
pub(super) async fn apply(
    spec: &mut SessionSpec,
    options: &RunOptions,
    run: RunId,
) -> Result<(), Failure> {
    if let Some(file) = &options.record {
        spec.tape = Some(TapeSpec::Record { file: file.into(), run: run.to_string() });
    }
    let Some(file) = &options.replay else { return Ok(()) };
    let dialect = load(file.into()).await?.dialect();
    spec.tape =
        Some(TapeSpec::Replay { file: file.into(), speed: options.replay_speed.unwrap_or(1.0) });
    spec.provider = Some(ProviderSpec {
        kind: dialect.kind,
        base_url: NOWHERE.to_owned(),
        wire_api: dialect.wire_api,
        key: Some(SecretText::new(KEY)),
        bearer: false,
        azure_api_version: None,
        headers: std::collections::BTreeMap::new(),
        max_prompt_tokens: None,
    });
    // The runtime itself is told as well to stay at home.
    spec.runtime.secret_env.clear();
    let offline = [("COPILOT_OFFLINE", "true"), ("COPILOT_PROVIDER_BASE_URL", NOWHERE)];
    let offline = offline.map(|(name, value)| (name.to_owned(), value.to_owned()));
    spec.runtime.env.extend(offline);
    Ok(())
}

async fn load(file: PathBuf) -> Result<Cassette, Failure> {
    let loaded = tokio::task::spawn_blocking(move || cassette::load(&file)).await;
    loaded.unwrap_or_else(|error| Err(Failure::new(FailureClass::Unknown, error.to_string())))
}
