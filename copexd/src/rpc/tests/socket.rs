//! The socket file: modes, races, and what else may be in the way.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::super::server::may_speak;
use super::super::uds::{LOCK_NAME, safe_folder};
use super::super::{BindError, Bound, adopt, bind};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o777
}

#[test]
fn the_socket_and_its_folder_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/copexd.sock");
    let bound = bind(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&path.with_file_name(LOCK_NAME)), 0o600);
    assert_eq!(bound.guard.path(), path);
    drop(bound);
    assert!(!path.exists());
    bind(&path).unwrap();
}

#[test]
fn a_second_daemon_is_told_who_has_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copexd.sock");
    let _bound = bind(&path).unwrap();
    let error = bind(&path).unwrap_err();
    let own = std::process::id();
    assert!(matches!(error, BindError::Locked { pid: Some(pid), .. } if pid == own), "{error}");
    assert!(error.to_string().contains(&own.to_string()));
}

#[test]
fn a_daemon_on_its_way_out_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copexd.sock");
    let Bound { listener, guard } = bind(&path).unwrap();
    // It takes no more connections, and still has work to end.
    drop(listener);
    let (begun, begins) = std::sync::mpsc::channel();
    let next = std::thread::scope(|scope| {
        let next = scope.spawn(|| {
            begun.send(()).unwrap();
            bind(&path)
        });
        begins.recv().unwrap();
        drop(guard);
        next.join().unwrap()
    });
    assert_eq!(next.unwrap().guard.path(), path);
    assert!(!path.exists());
}

#[test]
fn a_daemon_without_our_lock_is_found_by_asking() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copexd.sock");
    let other = UnixListener::bind(&path).unwrap();
    let error = bind(&path).unwrap_err();
    let own = i32::try_from(std::process::id()).unwrap();
    assert!(matches!(error, BindError::Answered { pid: Some(pid), .. } if pid == own), "{error}");
    drop(other);
    let _bound = bind(&path).unwrap();
}

#[test]
fn copies_that_a_killed_daemon_left_in_its_child_are_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copexd.sock");
    // A pid beyond the kernel's limit: nobody has it.
    let lock_path = path.with_file_name(LOCK_NAME);
    std::fs::write(&lock_path, "4194305\n").unwrap();
    let lock = std::fs::File::open(&lock_path).unwrap();
    lock.lock().unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    let waiting = std::thread::spawn({
        let path = path.clone();
        move || bind(&path).map(|bound| bound.guard.path().to_owned())
    });
    // Whether it comes to the lock before or after this, it gets it.
    drop((listener, lock));
    assert_eq!(waiting.join().unwrap().unwrap(), path);
}

#[test]
fn a_stale_socket_is_replaced_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copexd.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(bind(&path).unwrap());
    std::fs::write(&path, "precious").unwrap();
    let error = bind(&path).unwrap_err();
    assert!(matches!(error, BindError::NotASocket { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn the_guard_removes_its_own_socket_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copexd.sock");
    let bound = bind(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "somebody else's").unwrap();
    drop(bound);
    assert!(path.exists());
}

#[test]
fn a_folder_that_others_may_change_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = bind(&dir.path().join("copexd.sock")).unwrap_err();
    assert!(matches!(error, BindError::OpenFolder { mode: 0o777, .. }), "{error}");
    let foreign = safe_folder(dir.path(), 1001, 0o700, 1000).unwrap_err();
    assert!(matches!(foreign, BindError::ForeignFolder { owner: 1001, .. }));
    assert!(safe_folder(dir.path(), 1000, 0o755, 1000).is_ok());
}

#[test]
fn a_socket_from_systemd_is_taken_over_and_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copexd.sock");
    let handed_in = UnixListener::bind(&path).unwrap();
    let adopted = adopt(handed_in).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert!(matches!(bind(&path).unwrap_err(), BindError::Locked { .. }));
    drop(adopted);
    assert!(path.exists());
}

#[test]
fn only_our_own_user_may_speak() {
    assert!(may_speak(1000, 1000));
    assert!(!may_speak(0, 1000));
    assert!(!may_speak(1000, 0));
    assert!(!may_speak(1001, 1000));
}
