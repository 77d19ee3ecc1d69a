//! Folders that do not open by themselves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;
use crate::store::StoreError;
use crate::store::keys::{SCHEMA_KEY, Tree};
use crate::store::sled_dir::{self, Changes};

/// A store with 400 runs, closed in order. The folder lies inside the temporary one, as
/// quarantines appear beside it.
async fn filled(clean: bool) -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("store");
    let (store, _) = open(&dir);
    for n in 0..400 {
        let _written = store.enqueue(submit(n)).unwrap();
    }
    store.commit(submit(400)).await.unwrap();
    store.close().await.unwrap();
    // sled writes its first snapshot when it opens the second time.
    let (store, _) = open(&dir);
    store.close().await.unwrap();
    if !clean {
        fs::remove_file(dir.join("clean")).unwrap();
    }
    (temp, dir)
}

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir.join("sled")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("snap."));
    files
}

/// How many of the 401 runs are there as they were written.
fn right(store: &Store) -> usize {
    (0..=400)
        .filter(|n| matches!(store.get_run(id(*n)), Ok(Some(found)) if found == run(*n)))
        .count()
}

#[tokio::test]
async fn the_folder_is_private_and_has_one_owner() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("store");
    let (store, _) = open(&dir);
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    let error = Store::open(&dir, impatient()).unwrap_err();
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    assert!(matches!(error, StoreError::Locked { pid: Some(_), .. }));
    store.close().await.unwrap();
    Store::open(&dir, impatient()).unwrap();
}

#[tokio::test]
async fn dropping_every_handle_lets_the_next_one_in() {
    let temp = tempfile::tempdir().unwrap();
    let (store, _) = open(temp.path());
    let answer = store.enqueue(submit(1)).unwrap();
    drop(store);
    answer.await.unwrap().unwrap();
    let (store, report) = open(temp.path());
    assert!(!report.was_clean && report.salvaged.is_none() && !report.epoch_changed);
    assert_eq!(store.get_run(id(1)).unwrap(), Some(run(1)));
}

#[tokio::test]
async fn a_snapshot_cut_short_is_no_obstacle() {
    let (_temp, dir) = filled(true).await;
    fs::write(dir.join("sled/snap.00000000000000FF.generating"), b"").unwrap();
    let (store, report) = open(&dir);
    assert!(report.salvaged.is_none());
    assert_eq!(right(&store), 401);
}

#[tokio::test]
async fn a_damaged_snapshot_costs_nothing() {
    let (_temp, dir) = filled(true).await;
    let snapshot = snapshots(&dir).pop().expect("sled writes one when it opens");
    fs::write(snapshot, b"nonsense").unwrap();
    let before = fs::read(dir.join("sled/db")).unwrap();
    let (store, report) = open(&dir);
    let salvage = report.salvaged.unwrap();
    assert!(report.epoch_changed);
    assert_eq!(salvage.lost_hint, None, "{salvage:?}");
    assert_eq!(salvage.quarantine, dir.with_file_name(format!("store.quarantine-{NOW}")));
    assert_eq!(fs::read(salvage.quarantine.join("db")).unwrap(), before, "moved, not changed");
    assert_eq!(right(&store), 401);
    assert_eq!(store.unfinished_runs().unwrap().len(), 401);
    store.commit(submit(500)).await.unwrap();
}

#[tokio::test]
async fn a_damaged_conf_costs_nothing() {
    let (_temp, dir) = filled(true).await;
    fs::write(dir.join("sled/conf"), b"nonsense").unwrap();
    let (store, report) = open(&dir);
    assert_eq!(right(&store), 401, "{report:?}");
}

#[tokio::test]
async fn a_flipped_byte_is_found_after_an_unclean_stop() {
    let (_temp, dir) = filled(false).await;
    let path = dir.join("sled/db");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(12).position(|window| window == b"question 200").unwrap();
    bytes[at] ^= 0xff;
    fs::write(&path, bytes).unwrap();
    let (store, report) = open(&dir);
    assert!(!report.was_clean);
    let right = right(&store);
    // sled may have written the page again elsewhere, then nothing is wrong at all.
    match report.salvaged {
        Some(salvage) => assert!(right == 401 || salvage.lost_hint.is_some(), "{salvage:?}"),
        None => assert_eq!(right, 401),
    }
    store.commit(submit(500)).await.unwrap();
}

#[tokio::test]
async fn flipped_bytes_anywhere_never_keep_the_store_from_opening() {
    let (_temp, dir) = filled(false).await;
    let pristine = fs::read(dir.join("sled/db")).unwrap();
    let length = pristine.iter().rposition(|byte| *byte != 0).unwrap();
    for step in 0..12 {
        let temp = tempfile::tempdir().unwrap();
        let copy = temp.path().join("store");
        copy_dir(&dir, &copy);
        let mut bytes = pristine.clone();
        bytes[length * step / 12] ^= 0x10;
        fs::write(copy.join("sled/db"), bytes).unwrap();
        let (store, report) = open(&copy);
        let right = right(&store);
        let known = report.salvaged.as_ref().is_some_and(|salvage| salvage.lost_hint.is_some());
        assert!(right == 401 || known, "{right} kept, {report:?}");
        store.commit(submit(500)).await.unwrap();
        store.close().await.unwrap();
    }
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn a_truncated_database_is_moved_aside_and_the_store_starts() {
    let (_temp, dir) = filled(false).await;
    let file = fs::OpenOptions::new().write(true).open(dir.join("sled/db")).unwrap();
    file.set_len(100_000).unwrap();
    let (store, report) = open(&dir);
    let salvage = report.salvaged.unwrap();
    assert!(salvage.quarantine.join("db").exists());
    assert!(report.epoch_changed);
    store.commit(submit(500)).await.unwrap();
    store.close().await.unwrap();
    let (store, report) = open(&dir);
    assert!(report.was_clean && report.salvaged.is_none());
    assert_eq!(store.get_run(id(500)).unwrap(), Some(run(500)));
}

#[tokio::test]
async fn a_power_cut_is_told_from_damage() {
    let (_temp, dir) = filled(false).await;
    // Another boot wrote the lock file, and it had got further than the disk.
    fs::write(dir.join("lock"), "1\nanother-boot\n").unwrap();
    let mark = fs::read(dir.join("mark")).unwrap();
    let further = u64::from_be_bytes(mark.try_into().unwrap()) + 5;
    fs::write(dir.join("mark"), further.to_be_bytes()).unwrap();
    let (store, report) = open(&dir);
    assert_eq!((report.cut_off, &report.salvaged), (5, &None));
    assert!(report.epoch_changed);
    assert_eq!(right(&store), 401);
    store.commit(submit(500)).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(open(&dir).1.cut_off, 0);
}

#[tokio::test]
async fn a_salvage_that_was_interrupted_is_finished() {
    let (_temp, dir) = filled(true).await;
    // Killed between the two renames.
    fs::rename(dir.join("sled"), dir.join("sled.salvaged")).unwrap();
    let (store, report) = open(&dir);
    assert!(!report.fresh);
    assert_eq!(right(&store), 401);
    store.close().await.unwrap();
    // Killed before the first.
    fs::create_dir(dir.join("sled.salvaged")).unwrap();
    fs::create_dir(dir.join("sled.new")).unwrap();
    let (store, _) = open(&dir);
    assert_eq!(right(&store), 401);
    assert!(!dir.join("sled.salvaged").exists() && !dir.join("sled.new").exists());
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let (_temp, dir) = filled(true).await;
    let db = sled_dir::open(&dir, "sled", 1 << 20).unwrap();
    let newer = Some(2_u32.to_be_bytes().to_vec());
    db.apply(Changes::from([((Tree::Meta, SCHEMA_KEY.to_vec()), newer)])).unwrap();
    db.flush().unwrap();
    db.close();
    let error = Store::open(&dir, options()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 2, known: 1, .. }), "{error}");
    assert!(dir.join("clean").exists());
    assert!(!dir.with_file_name(format!("store.quarantine-{NOW}")).exists());
}

#[test]
fn a_place_that_cannot_be_a_folder_is_refused_in_the_systems_words() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("file");
    fs::write(&file, b"mine").unwrap();
    let error = Store::open(&file.join("store"), options()).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[tokio::test]
async fn a_refusal_of_the_system_is_not_damage() {
    let (_temp, dir) = filled(true).await;
    // A folder where sled's file should be: opening it is EISDIR, whoever we are.
    fs::rename(dir.join("sled/db"), dir.join("db-elsewhere")).unwrap();
    fs::create_dir(dir.join("sled/db")).unwrap();
    let error = Store::open(&dir, options()).unwrap_err();
    assert!(matches!(error, StoreError::Engine { .. }), "{error}");
    assert!(dir.join("sled").exists());
    assert!(!dir.with_file_name(format!("store.quarantine-{NOW}")).exists());
}
