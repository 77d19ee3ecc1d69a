//! The store as a file and back: backup, compaction (the database's own files never
//! shrink), and the way out to another program.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::StartError;
use crate::serve::store_options;
use crate::store::Store;

/// Writes every record to `file`, which only the user may read. The daemon must not run.
pub(crate) fn export(state_dir: &Path, file: &Path) -> Result<(), StartError> {
    let fail = |doing| move |source| StartError::Transfer { doing, path: file.to_owned(), source };
    let (dir, options) = store_options(state_dir);
    let (store, _) = Store::open(&dir, options)?;
    let records = if file == Path::new("-") {
        store.export(io::stdout().lock())?
    } else {
        let mut open = OpenOptions::new();
        open.write(true).create_new(true).mode(0o600);
        let out = open.open(file).map_err(fail("create"))?;
        let mut out = BufWriter::new(out);
        let records = store.export(&mut out)?;
        out.flush().map_err(fail("write"))?;
        out.get_ref().sync_all().map_err(fail("write"))?;
        records
    };
    tracing::info!(records, "exported");
    close(&store)
}

/// Reads an export into an empty store. The daemon must not run.
pub(crate) fn import(state_dir: &Path, file: &Path) -> Result<(), StartError> {
    let input = File::open(file).map_err(|source| StartError::Transfer {
        doing: "read",
        path: file.to_owned(),
        source,
    })?;
    let (dir, options) = store_options(state_dir);
    let (store, _) = Store::open(&dir, options)?;
    let report = store.import(BufReader::new(input))?;
    tracing::info!(report.records, report.skipped, "imported");
    close(&store)
}

fn close(store: &Store) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime =
        runtime.map_err(|source| StartError::System { doing: "close the store", source })?;
    Ok(runtime.block_on(store.close())?)
}
