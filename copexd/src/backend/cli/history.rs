//! A session's transcript on the disk, where the CLI writes it: one event per line.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use github_copilot_sdk::SessionEvent;

use crate::core::failure::{Failure, FailureClass};

/// Where one session's transcript is.
#[derive(Debug, Clone)]
pub(super) struct History {
    path: PathBuf,
}

impl History {
    /// The transcript of the session `id`, there or not.
    pub(super) fn of(copilot_home: &Path, id: &str) -> Self {
        Self { path: copilot_home.join("session-state").join(id).join("events.jsonl") }
    }

    /// Whether there is one.
    pub(super) fn exists(&self) -> bool {
        self.path.is_file()
    }

    /// Its length in bytes; 0 where there is none.
    pub(super) fn length(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |meta| meta.len())
    }

    /// Its events from this byte on; none where there is no transcript. What cannot be read,
    /// such as a last line that was cut off, is left out.
    ///
    /// # Errors
    /// `SessionCorrupt`, when the file cannot be read.
    pub(super) async fn events(&self, from: u64) -> Result<Vec<SessionEvent>, Failure> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || read(&path, from)).await;
        let read = read.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        read.map_err(|error| {
            let message = format!("the transcript {} cannot be read: {error}", self.path.display());
            Failure::new(FailureClass::SessionCorrupt, message)
        })
    }
}

fn read(path: &Path, from: u64) -> std::io::Result<Vec<SessionEvent>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    file.seek(SeekFrom::Start(from))?;
    let (mut reader, mut line, mut events) = (BufReader::new(file), Vec::new(), Vec::new());
    while reader.read_until(b'\n', &mut line)? > 0 {
        events.extend(serde_json::from_slice::<SessionEvent>(&line).ok());
        line.clear();
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cut_off_line_is_left_out_and_an_absent_transcript_is_empty() {
        let home = tempfile::tempdir().unwrap();
        let history = History::of(home.path(), "s");
        assert!(!history.exists());
        assert_eq!(history.events(0).await.unwrap().len(), 0);
        std::fs::create_dir_all(history.path.parent().unwrap()).unwrap();
        let event = r#"{"type":"user.message","data":{},"id":"1","timestamp":"","parentId":null}"#;
        let first = format!("{event}\n");
        std::fs::write(&history.path, format!("{first}{event}\n{}", &event[..20])).unwrap();
        assert_eq!(history.events(0).await.unwrap().len(), 2);
        assert_eq!(history.events(first.len() as u64).await.unwrap().len(), 1);
        assert_eq!(history.events(history.length()).await.unwrap().len(), 0);
    }
}
