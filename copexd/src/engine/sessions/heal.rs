//! A run that meets a session which cannot be opened: one repair, then it goes on.

use super::change::check;
use super::doctor::repair;
use crate::backend::disk::Disk;
use crate::backend::disk::lock::Copilots;
use crate::backend::spec::RuntimeSpec;
use crate::core::failure::{Failure, FailureClass};
use crate::core::transcript::{Fault, Weight};

/// One record in so many may be left out by a run's own repair. More is no accident of a disk, but
/// perhaps a transcript of another version: a person decides about that.
const LEFT_OUT: u64 = 10;

/// Repairs a session that the Copilot CLI did not open, and says what was done, in words.
/// Nothing where nothing that we know is wrong with it, where too much would be left out, or
/// somebody else has it open. The
/// caller has the session's place. `sent` says whether a prompt of the run may be in it.
///
/// # Errors
/// `SessionCorrupt` after a repair that left out what a user said, where a prompt was sent: by
/// counting prompts nobody can tell any more whether it is there.
pub(in crate::engine) async fn heal(
    spec: &RuntimeSpec,
    id: &str,
    sent: bool,
) -> Result<Option<String>, Failure> {
    let Some(folder) = Disk::of(spec).and_then(|disk| disk.folder(id)) else { return Ok(None) };
    let Ok(checked) = check(&folder, &Copilots::now()).await else { return Ok(None) };
    let misfits = checked.findings().into_iter().filter(|it| it.fault == Fault::Misfit);
    let left_out: u64 = misfits.map(|it| it.count).sum();
    let few = left_out <= (checked.transcript.events / LEFT_OUT).max(1);
    let curable = few && checked.transcript.mendable() && checked.holders.is_empty();
    if !curable || checked.weight() == Weight::Harmless {
        return Ok(None);
    }
    let faults = checked.findings().into_iter().filter(|it| it.fault.weight() > Weight::Harmless);
    let faults: Vec<&str> = faults.map(|finding| finding.fault.words()).collect();
    let unsure = sent && checked.transcript.lost_prompts > 0;
    let mended = match repair(&folder, checked).await {
        Ok(mended) => mended,
        Err(error) => {
            tracing::warn!(session = id, error = error.message, "the session is not repaired");
            return Ok(None);
        }
    };
    let kept: Vec<_> = mended.backups.iter().map(|path| path.display().to_string()).collect();
    let words = format!(
        "session {id} could not be opened and was repaired ({}); as it was, it is kept in {}",
        faults.join(", "),
        kept.join(" and "),
    );
    if unsure {
        let message = format!("{words}; whether this run's prompt was in it cannot be told");
        let hint = format!("look: copexctl sessions show {id}; then say it again, or go on");
        return Err(Failure::new(FailureClass::SessionCorrupt, message).with_hint(hint));
    }
    Ok(Some(words))
}
