//! Copilot sessions as a whole: looking at them, forking, removing and repairing them.
//!
//! What lies on the disk is the truth; the store adds which run used a session last. Nothing
//! here needs a run, and nothing touches a session that a run or another process has.

mod change;
mod doctor;
pub(super) mod heal;
mod look;

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::health::BackendQuery;
use copex_proto::session::Holder;

use super::{Engine, enquire, prepare};
use crate::backend::disk::{Disk, Folder, Found};
use crate::backend::spec::RuntimeSpec;

pub use look::MOST_SESSIONS_LISTED;

/// Where sessions are asked for.
struct Place {
    spec: RuntimeSpec,
    disk: Disk,
}

impl Engine {
    fn place(&self, query: BackendQuery) -> Result<Place, ErrorInfo> {
        let (options, secrets) = enquire::as_options(query);
        let spec = prepare::runtime_spec(&options, &secrets, &self.inner.ambient);
        let disk = Disk::of(&spec).ok_or_else(|| {
            let message = "the environment has neither COPILOT_HOME nor HOME";
            ErrorInfo::new(ErrorClass::Usage, message)
        })?;
        Ok(Place { spec, disk })
    }

    /// The first of these processes, as clients see it.
    fn holder(&self, pids: &[u32]) -> Option<Holder> {
        let ours = self.inner.pool.pids();
        // Another process' matters more than ours.
        let other = pids.iter().find(|pid| !ours.contains(pid)).or_else(|| pids.first())?;
        Some(Holder { pid: *other, ours: ours.contains(other) })
    }

    /// The whole id of a session that a request names by its beginning: one that a run used, or
    /// one on the disk. Nothing where neither knows it.
    ///
    /// # Errors
    /// `Usage` when more than one begins like this.
    pub(super) async fn session_named(
        &self,
        spec: &RuntimeSpec,
        beginning: &str,
    ) -> Result<Option<String>, ErrorInfo> {
        let known = self.inner.store.sessions().map_err(|error| super::store_error(&error))?;
        let mut fits: Vec<String> = known.into_iter().map(|record| record.session.0).collect();
        fits.retain(|id| id.starts_with(beginning));
        if !fits.iter().any(|id| id == beginning)
            && let Some(disk) = Disk::of(spec)
        {
            let beginning = beginning.to_owned();
            // One that cannot be listed is one that nobody knows: the CLI will say.
            match blocking(move || disk.find(&beginning)).await.unwrap_or(Found::Nothing) {
                Found::One(folder) => fits.push(folder.id().to_owned()),
                Found::Many(one, other) => fits.extend([one, other]),
                Found::Nothing => {}
            }
        }
        fits.sort();
        fits.dedup();
        match fits.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            many => match many.iter().find(|id| *id == beginning) {
                Some(whole) => Ok(Some(whole.clone())),
                None => Err(ambiguous(beginning, &many[0], &many[1])),
            },
        }
    }
}

/// The one session on the disk whose id begins like this.
async fn find(disk: &Disk, beginning: &str) -> Result<Folder, ErrorInfo> {
    let (disk, name) = (disk.clone(), beginning.to_owned());
    match blocking(move || disk.find(&name)).await? {
        Found::One(folder) => Ok(folder),
        Found::Many(one, other) => Err(ambiguous(beginning, &one, &other)),
        Found::Nothing => {
            let message = format!("there is no session `{beginning}` on the disk");
            Err(ErrorInfo::new(ErrorClass::NotFound, message)
                .with_hint("copexctl sessions list shows them"))
        }
    }
}

fn ambiguous(beginning: &str, one: &str, other: &str) -> ErrorInfo {
    let message = format!("more than one session begins with `{beginning}`: {one}, {other}");
    ErrorInfo::new(ErrorClass::Usage, message).with_hint("give more of the id")
}

/// Does something with the disk off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, ErrorInfo> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(|error| {
        ErrorInfo::new(ErrorClass::Unknown, format!("the sessions on the disk: {error}"))
    })
}
