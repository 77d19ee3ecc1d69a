//! Sees a client go away while nobody reads from it.

use std::io;
use std::os::fd::AsFd;

use tokio::io::Interest;
use tokio::net::UnixStream;

/// Ends when both directions of `socket` are closed; a client that only half-closed its
/// end is still there to be answered.
///
/// The socket's own registration cannot tell: its "closed for writing" arrives together
/// with "writable", which is nearly always on and may not be cleared under the writer.
/// So a second descriptor is watched, for as long as this future lives. Where none is to
/// be had it never ends, and the next write finds out instead.
pub(super) async fn hung_up(socket: &impl AsFd) {
    if let Ok(watch) = watch(socket) {
        while let Ok(ready) = watch.ready(Interest::WRITABLE).await {
            if ready.is_write_closed() {
                return;
            }
            // Nothing is written: this only forgets that it could be.
            let _forgotten: io::Result<()> =
                watch.try_io(Interest::WRITABLE, || Err(io::ErrorKind::WouldBlock.into()));
        }
    }
    std::future::pending::<()>().await;
}

fn watch(socket: &impl AsFd) -> io::Result<UnixStream> {
    UnixStream::from_std(socket.as_fd().try_clone_to_owned()?.into())
}
