//! Remembers which event was being judged when the process died, so that one event cannot keep
//! a register down for ever.
//!
//! The note is 16 bytes, written in place before each event of a replay and removed after it. It
//! is not synced: it must survive the death of the process, not a power cut.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tillwatch_protocol::Seq;

/// With the first death, in live processing, this makes three.
const DEATHS_IN_REPLAY: u64 = 2;

/// The guard of one replay.
pub struct PoisonGuard {
    path: PathBuf,
    file: Option<File>,
    suspect: Option<(Seq, u64)>,
}

impl PoisonGuard {
    /// Reads the note that an earlier replay left behind, if it died.
    pub fn open(path: &Path) -> Self {
        let suspect = std::fs::read(path).ok().and_then(|bytes| {
            let seq = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
            let deaths = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
            (seq != 0).then_some((Seq(seq), deaths + 1))
        });
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(path);
        let file = file.inspect_err(|why| {
            tracing::warn!(path = %path.display(), %why, "cannot guard the replay against events that end the program");
        });
        Self {
            path: path.to_owned(),
            file: file.ok(),
            suspect,
        }
    }

    /// Whether this event has ended the process often enough.
    pub fn is_poison(&self, seq: Seq) -> bool {
        self.suspect
            .is_some_and(|(suspect, deaths)| suspect == seq && deaths >= DEATHS_IN_REPLAY)
    }

    /// The event that is judged next.
    pub fn enter(&mut self, seq: Seq) {
        let deaths = match self.suspect {
            Some((suspect, deaths)) if suspect == seq => deaths,
            _ => 0,
        };
        let mut note = [0; 16];
        note[..8].copy_from_slice(&seq.0.to_le_bytes());
        note[8..].copy_from_slice(&deaths.to_le_bytes());
        if let Some(file) = &self.file
            && file.write_all_at(&note, 0).is_err()
        {
            self.file = None;
        }
    }

    /// The replay got through.
    pub fn done(self) {
        // Still there at the next start at worst, naming an event that will not be replayed again.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dies_at(path: &Path, seq: u64) -> bool {
        let mut guard = PoisonGuard::open(path);
        if guard.is_poison(Seq(seq)) {
            return false;
        }
        guard.enter(Seq(seq - 1));
        guard.enter(Seq(seq));
        true
    }

    #[test]
    fn an_event_that_kills_two_replays_is_left_out_of_the_third() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("replay.state");
        assert!(dies_at(&path, 7));
        assert!(dies_at(&path, 7));
        assert!(!dies_at(&path, 7), "the third replay must leave it out");
        PoisonGuard::open(&path).done();
        assert!(!path.exists());
    }

    #[test]
    fn deaths_at_different_events_do_not_add_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("replay.state");
        assert!(dies_at(&path, 7));
        assert!(dies_at(&path, 9));
        assert!(dies_at(&path, 7));
    }
}
