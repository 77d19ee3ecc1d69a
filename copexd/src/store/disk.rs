//! The seam to the disk: what the writer asks before it trusts it.
//!
//! A full disk is rarely at hand, so tests put their own [`Disk`] here.

use std::io;
use std::path::Path;

/// What the store wants to know of the disk. Called from the writer thread, may block.
pub trait Disk: Send + Sync {
    /// Called before each write of a group of commits. An error fails the group as if
    /// the disk had refused it.
    fn before_write(&self) -> io::Result<()> {
        Ok(())
    }

    /// Called after a group is written and before it is flushed. An error fails the
    /// group like a failing flush.
    fn before_flush(&self) -> io::Result<()> {
        Ok(())
    }

    /// Bytes that the user may still write where `dir` lies.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// The disk as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = nix::sys::statvfs::statvfs(dir)?;
        Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
    }
}
