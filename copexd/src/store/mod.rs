//! Everything that must outlive the process: runs, their event logs, checkpoints, asks,
//! sessions and small counters, in one sled database behind one writer thread.
//!
//! Invariant: a [`Commit`] is there as a whole or not at all, and it is on its way to
//! the disk before it is acknowledged. `kill -9` loses nothing acknowledged; a power
//! cut loses nothing that was committed with [`Durability::Synced`].
//! Invariant: an event is never overwritten, and [`Store::events`] never shows one
//! that is not durable yet.
//! Invariant: a store that cannot be opened is never in the way and never deleted: it
//! is moved aside, salvaged, and the [`OpenReport`] says so.
//!
//! Not here: what the records mean. Specs, events and checkpoints are opaque bytes,
//! states and modes are text. No clock is read and no chance is taken: both are
//! arguments.
//!
//! Layout of the folder: `lock` (pid of the owner), `clean` (present after an orderly
//! close), `mark` (how far the database must reach), `sled/` (the database). Beside the folder: `<name>.quarantine-<ms>`.

mod chunk;
mod disk;
mod error;
mod export;
mod handle;
mod index;
mod keys;
mod lock;
mod mark;
mod open;
mod read;
mod record;
mod retention;
mod salvage;
mod sled_dir;
mod stage;
mod writer;

pub use disk::{Disk, RealDisk};
pub use error::StoreError;
pub use export::ImportReport;
pub use handle::{Commit, Durability, Health, Op, Store, StoreOptions};
pub use keys::RawTree;
pub use open::OpenReport;
pub use read::{RunPage, RunQuery};
pub use record::{AskRecord, RunSummary, SessionRecord};
pub use retention::{Retention, RetentionReport, StoreSize};
pub use salvage::Salvage;

#[cfg(test)]
mod tests;
