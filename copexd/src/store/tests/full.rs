//! A disk that is full, and then is not.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::store::{Disk, Health, StoreError};

/// Has this many bytes free, and refuses flushes when there are none.
#[derive(Debug)]
struct SmallDisk(AtomicU64);

impl SmallDisk {
    fn check(&self) -> io::Result<()> {
        match self.0.load(Ordering::SeqCst) {
            0 => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

impl Disk for SmallDisk {
    fn before_flush(&self) -> io::Result<()> {
        self.check()
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.0.load(Ordering::SeqCst))
    }
}

fn small(dir: &Path, thaw_every: Duration) -> (Store, Arc<SmallDisk>) {
    let disk = Arc::new(SmallDisk(AtomicU64::new(u64::MAX)));
    let options = StoreOptions { disk: Arc::clone(&disk) as _, thaw_every, ..options() };
    (Store::open(dir, options).unwrap().0, disk)
}

#[tokio::test]
async fn a_full_disk_freezes_and_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (store, disk) = small(dir.path(), Duration::from_hours(1));
    store.commit(submit(1)).await.unwrap();
    disk.0.store(0, Ordering::SeqCst);
    let error = store.commit(Commit::synced(vec![event(1, 2, "two")])).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(matches!(*store.health().borrow(), Health::Frozen(StoreError::Full { .. })));
    // Reads go on, and do not show what was not acknowledged.
    assert_eq!(store.get_run(id(1)).unwrap(), Some(run(1)));
    assert_eq!(store.last_seq(id(1)).unwrap(), 1);
    assert_eq!(store.events(id(1), 0, 10, 1 << 20).unwrap().len(), 1);
    assert!(matches!(store.commit(submit(2)).await, Err(StoreError::Full { .. })));
    assert!(matches!(store.thaw().await, Err(StoreError::Full { .. })));

    disk.0.store(u64::MAX, Ordering::SeqCst);
    store.thaw().await.unwrap();
    assert!(matches!(*store.health().borrow(), Health::Open));
    store.commit(submit(3)).await.unwrap();
    let next = store.last_seq(id(1)).unwrap() + 1;
    store.commit(Commit::synced(vec![event(1, next, "again")])).await.unwrap();
    store.close().await.unwrap();

    let (store, report) = open(dir.path());
    assert!(report.was_clean);
    assert_eq!(store.get_run(id(1)).unwrap(), Some(run(1)));
    assert_eq!(store.get_run(id(2)).unwrap(), None);
    assert_eq!(store.get_run(id(3)).unwrap(), Some(run(3)));
    assert_eq!(store.last_seq(id(1)).unwrap(), next);
}

#[tokio::test]
async fn a_commit_finds_the_space_that_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let (store, disk) = small(dir.path(), Duration::from_hours(1));
    disk.0.store(0, Ordering::SeqCst);
    assert!(store.commit(submit(1)).await.is_err());
    disk.0.store(1, Ordering::SeqCst);
    assert!(store.commit(submit(2)).await.is_err(), "one byte is not space");
    disk.0.store(u64::MAX, Ordering::SeqCst);
    store.commit(submit(3)).await.unwrap();
}

#[tokio::test]
async fn a_frozen_store_thaws_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (store, disk) = small(dir.path(), Duration::from_millis(1));
    let mut health = store.health();
    disk.0.store(0, Ordering::SeqCst);
    assert!(store.commit(submit(1)).await.is_err());
    health.wait_for(|health| matches!(health, Health::Frozen(_))).await.unwrap();
    disk.0.store(u64::MAX, Ordering::SeqCst);
    health.wait_for(|health| matches!(health, Health::Open)).await.unwrap();
    store.commit(submit(2)).await.unwrap();
}

#[tokio::test]
async fn a_frozen_store_closes_without_the_clean_marker() {
    let dir = tempfile::tempdir().unwrap();
    let (store, disk) = small(dir.path(), Duration::from_hours(1));
    store.commit(submit(1)).await.unwrap();
    disk.0.store(0, Ordering::SeqCst);
    assert!(store.commit(submit(2)).await.is_err());
    assert!(matches!(store.close().await, Err(StoreError::Full { .. })));
    let (store, report) = open(dir.path());
    assert!(!report.was_clean);
    assert_eq!(store.get_run(id(1)).unwrap(), Some(run(1)));
}
