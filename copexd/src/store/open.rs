//! The ladder from a folder to an open store.
//!
//! 1. The folder (0700) and the lock. Somebody else has it: refuse.
//! 2. Finish a salvage that was interrupted; remove `snap.*.generating`, which a kill in
//!    the middle of an open leaves behind and sled 0.34 cannot start over.
//! 3. Open. Full, forbidden, read-only: refuse in the system's words and touch nothing.
//! 4. Schema newer than ours: refuse.
//! 5. After an unclean stop read every byte once: sled notices damage only when it reads.
//! 6. Below the high-water mark: the tail is gone. After a power cut that is the price of
//!    [`Durability::Flushed`](super::Durability) and is reported; else it is damage.
//! 7. Damage in 3 to 6: move the database aside, salvage it, say so.
//!
//! Invariant: no rung deletes data. What does not open is in the quarantine, whole.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, RwLock};

use tokio::sync::{Semaphore, watch};

use super::error::StoreError;
use super::handle::{Health, QUEUE_SPARE, QUEUE_UNITS, Shared, Store, StoreOptions};
use super::keys::{EPOCH_KEY, SCHEMA_KEY, Tree};
use super::lock::{self, StoreLock};
use super::mark::Mark;
use super::salvage::{self, Salvage};
use super::sled_dir::{self, Changes, Database};
use super::stage::Memory;
use super::writer::Writer;

/// The database's folder inside the store's.
pub(super) const SLED: &str = "sled";

/// The marker of an orderly close.
pub(super) const CLEAN: &str = "clean";

/// The newest schema this build knows. Raised with a migration in `migrate`.
pub(super) const SCHEMA: u32 = 1;

/// How an open went.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenReport {
    /// There was nothing before.
    pub fresh: bool,
    /// The last owner closed it in order.
    pub was_clean: bool,
    /// The epoch is new: numbers that clients hold from before are void.
    pub epoch_changed: bool,
    /// Groups of commits that a power cut took. They were [`super::Durability::Flushed`].
    pub cut_off: u64,
    /// It was damaged, and this is what became of it.
    pub salvaged: Option<Salvage>,
}

/// See [`Store::open`].
pub(super) fn open(dir: &Path, options: StoreOptions) -> Result<(Store, OpenReport), StoreError> {
    make_dir(dir)?;
    let lock = lock::acquire(dir, options.lock_wait)?;
    salvage::finish_interrupted(dir)?;
    let fresh = !dir.join(SLED).exists();
    let clean = dir.join(CLEAN);
    let was_clean = fresh || clean.exists();

    let mark = Mark::open(dir)?;
    if fresh {
        mark.write(0);
    }
    let opened = open_checked(dir, &options, was_clean).and_then(|db| {
        let cut_off = mark.read().saturating_sub(db.group()?);
        if cut_off == 0 || (!was_clean && lock.rebooted) {
            return Ok((db, cut_off));
        }
        db.close();
        let detail = format!("its newest {cut_off} groups of commits are missing");
        Err(StoreError::Damaged { path: dir.to_owned(), detail })
    });
    let ((db, cut_off), salvaged) = match opened {
        Ok(opened) => (opened, None),
        Err(cause) if cause.is_damage() => {
            tracing::error!(error = %cause, "the store is damaged and is being salvaged");
            let expected = mark.read();
            let mut salvage = salvage::salvage(dir, &options, &cause)?;
            let db = sled_dir::open(dir, SLED, options.cache_bytes)?;
            salvage.note_missing(expected.saturating_sub(db.group()?));
            ((db, 0), Some(salvage))
        }
        Err(refusal) => return Err(refusal),
    };
    unmark_clean(dir, &clean)?;
    // What is missing was reported once; from here on the mark is what there is.
    mark.write(db.group()?);

    // A salvage cannot prove that the tail of the log was not lost, nor can a start after
    // the machine itself went down without a close: numbers given out before are void.
    let void = fresh || salvaged.is_some() || (!was_clean && lock.rebooted);
    let (epoch, epoch_changed) = settle_meta(&db, &options, void)?;
    let report = OpenReport { fresh, was_clean, epoch_changed, cut_off, salvaged };
    Ok((start(dir, options, Files { lock, mark }, (db, epoch))?, report))
}

/// What the writer holds beside the database.
struct Files {
    lock: StoreLock,
    mark: Mark,
}

fn start(
    dir: &Path,
    options: StoreOptions,
    files: Files,
    (db, epoch): (Database, String),
) -> Result<Store, StoreError> {
    let memory = Memory::of(&db)?;
    let shared = Arc::new(Shared {
        dir: dir.to_owned(),
        epoch,
        db: RwLock::new(Some(db)),
        health: watch::Sender::new(Health::Open),
        unflushed: Mutex::default(),
        suspect: AtomicBool::new(false),
    });
    let (jobs, queue) = sync_channel(QUEUE_UNITS + QUEUE_SPARE);
    let Files { lock, mark } = files;
    let shared_too = Arc::clone(&shared);
    let writer = Writer { shared: shared_too, options, memory, mark, lock, frozen: None };
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || writer.run(&queue))
        .map_err(|error| StoreError::io(dir, error))?;
    Ok(Store { shared, jobs, room: Arc::new(Semaphore::new(QUEUE_UNITS)) })
}

/// Rungs 2 to 5.
fn open_checked(
    dir: &Path,
    options: &StoreOptions,
    was_clean: bool,
) -> Result<Database, StoreError> {
    remove_half_snapshots(&dir.join(SLED))?;
    let db = sled_dir::open(dir, SLED, options.cache_bytes)?;
    let path = dir.to_owned();
    sled_dir::caught(dir, "reading", move || {
        check_schema(&path, &db)?;
        if !was_clean {
            db.read_everything()?;
        }
        Ok(db)
    })
}

fn check_schema(dir: &Path, db: &Database) -> Result<(), StoreError> {
    match schema(db)? {
        Some(found) if found > SCHEMA => {
            Err(StoreError::Newer { path: dir.to_owned(), found, known: SCHEMA })
        }
        _ => Ok(()),
    }
}

fn schema(db: &Database) -> Result<Option<u32>, StoreError> {
    let value = db.bare(Tree::Meta, SCHEMA_KEY)?;
    Ok(value.and_then(|value| value.as_ref().try_into().ok()).map(u32::from_be_bytes))
}

/// Migrates, and writes schema and epoch where they are missing or void.
fn settle_meta(
    db: &Database,
    options: &StoreOptions,
    void: bool,
) -> Result<(String, bool), StoreError> {
    let mut changes = Changes::new();
    if schema(db)? != Some(SCHEMA) {
        // Migrations go here, forward only, one step per version, in these changes.
        let value = SCHEMA.to_be_bytes().to_vec();
        changes.insert((Tree::Meta, SCHEMA_KEY.to_vec()), Some(value));
    }
    let stored = db.bare(Tree::Meta, EPOCH_KEY)?;
    let stored = stored.and_then(|epoch| String::from_utf8(epoch.to_vec()).ok());
    let (epoch, changed) = match stored {
        Some(epoch) if !void => (epoch, false),
        _ => (options.fresh_epoch.clone(), true),
    };
    if changed {
        changes.insert((Tree::Meta, EPOCH_KEY.to_vec()), Some(epoch.clone().into_bytes()));
    }
    db.apply(changes)?;
    db.flush()?;
    db.sync()?;
    Ok((epoch, changed))
}

/// Writes the marker, so that it is on disk after everything it speaks for.
pub(super) fn mark_clean(path: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::io(path, error);
    File::create(path).and_then(|file| file.sync_all()).map_err(failed)?;
    sync_parent(path).map_err(failed)
}

/// Removes it, so that it is gone from disk before the first write.
fn unmark_clean(dir: &Path, path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_parent(path).map_err(|error| StoreError::io(dir, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io(path, error)),
    }
}

/// Makes a change of names durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn make_dir(dir: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::io(dir, error);
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let mode = std::fs::metadata(dir).map_err(failed)?.permissions();
    if mode.mode() & 0o077 != 0 {
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(dir, private).map_err(failed)?;
    }
    Ok(())
}

fn remove_half_snapshots(sled: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::io(sled, error);
    let entries = match std::fs::read_dir(sled) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            std::fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}
