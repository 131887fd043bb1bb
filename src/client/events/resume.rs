//! The resume point of an event stream, and where it is stored.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A position in the event stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    /// The epoch of the log; the hub begins a new log when it starts.
    pub epoch: String,
    /// The last event's number in the log.
    pub seq: i64,
    /// The newest time that an event named, by the hub's clock, ms.
    pub time: i64,
}

impl ResumePoint {
    /// Whether an event with this number was delivered before.
    pub(super) fn has_seen(&self, epoch: &str, seq: i64) -> bool {
        self.epoch == epoch && seq <= self.seq
    }

    /// Advances to an event.
    pub(super) fn advance(&mut self, epoch: &str, seq: i64, time: Option<i64>) {
        if self.epoch != epoch {
            epoch.clone_into(&mut self.epoch);
            self.seq = seq;
        }
        self.seq = self.seq.max(seq);
        self.time = self.time.max(time.unwrap_or(i64::MIN));
    }
}

/// Stores the position in the event stream, so that it outlives the process. Both methods are called from the task of the
/// stream or of its reader, so they should be quick.
pub trait ResumeStore: std::fmt::Debug + Send + Sync {
    /// The position that was saved last; with `None` the stream begins now.
    ///
    /// # Errors
    /// When it cannot be read. The stream then ends with that error: starting over would skip events.
    fn load(&self) -> io::Result<Option<ResumePoint>>;

    /// Saves the position after an event that was processed.
    ///
    /// # Errors
    /// When it cannot be written. The stream goes on and logs a warning.
    fn save(&self, point: &ResumePoint) -> io::Result<()>;
}

/// A small file that is replaced atomically.
#[derive(Debug, Clone)]
pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    /// Stores the position in this file, whose folder must exist.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl ResumeStore for FileStore {
    fn load(&self) -> io::Result<Option<ResumePoint>> {
        match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn save(&self, point: &ResumePoint) -> io::Result<()> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        std::fs::write(&beside, serde_json::to_vec(point)?)?;
        std::fs::rename(&beside, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(epoch: &str, seq: i64, time: i64) -> ResumePoint {
        ResumePoint { epoch: epoch.to_owned(), seq, time }
    }

    #[test]
    fn a_position_moves_forward_within_its_log() {
        let mut at = point("a", 5, 100);
        assert!(at.has_seen("a", 5) && !at.has_seen("a", 6) && !at.has_seen("b", 1));
        at.advance("a", 7, None);
        at.advance("a", 6, Some(90));
        assert_eq!(at, point("a", 7, 100));
        at.advance("b", 1, Some(110));
        assert_eq!(at, point("b", 1, 110));
    }

    #[test]
    fn a_file_keeps_the_position() {
        let path = std::env::temp_dir().join(format!("hxa-client-{}.json", uuid::Uuid::new_v4()));
        let store = FileStore::new(&path);
        assert_eq!(store.load().unwrap(), None);
        store.save(&point("a", 1, 2)).unwrap();
        store.save(&point("a", 2, 3)).unwrap();
        assert_eq!(store.load().unwrap(), Some(point("a", 2, 3)));
        std::fs::write(&path, "{").unwrap();
        assert!(store.load().is_err(), "a broken file is not taken for none");
        std::fs::remove_file(path).unwrap();
    }
}
