//! Remembers which event was being judged when the process died, so that one event cannot keep
//! a register down for ever.
//!
//! The note is 24 bytes, written in place before each event of a replay is judged and voided right
//! after, so that a death in between, while the log is read, is no event's fault. It is not synced:
//! it must survive the death of the process, not a power cut. Power cuts are no event's fault
//! either, so what another boot left behind does not count.

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
    boot: u64,
    suspect: Option<(Seq, u64)>,
}

impl PoisonGuard {
    /// Reads the note that an earlier replay of this boot (its ordinal) left behind, if it died.
    pub fn open(path: &Path, boot: u64) -> Self {
        let suspect = std::fs::read(path).ok().and_then(|bytes| {
            let number = |at: usize| {
                let bytes = bytes.get(at..at + 8)?;
                Some(u64::from_le_bytes(bytes.try_into().ok()?))
            };
            let (seq, deaths) = (number(0)?, number(8)?.saturating_add(1));
            (seq != 0 && number(16)? == boot).then_some((Seq(seq), deaths))
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
            boot,
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
        let mut note = [0; 24];
        note[..8].copy_from_slice(&seq.0.to_le_bytes());
        note[8..16].copy_from_slice(&deaths.to_le_bytes());
        note[16..].copy_from_slice(&self.boot.to_le_bytes());
        self.write(&note);
    }

    /// The event is judged. What is known of a suspect further on stays.
    pub fn leave(&mut self) {
        let mut note = [0; 24];
        if let Some((seq, deaths)) = self.suspect {
            // One less: opening the note counts the death that left it behind.
            note[..8].copy_from_slice(&seq.0.to_le_bytes());
            note[8..16].copy_from_slice(&deaths.saturating_sub(1).to_le_bytes());
            note[16..].copy_from_slice(&self.boot.to_le_bytes());
        }
        self.write(&note);
    }

    fn write(&mut self, note: &[u8]) {
        if let Some(file) = &self.file
            && file.write_all_at(note, 0).is_err()
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

    /// A replay that ends the process at this event, unless it is left out.
    fn dies_at(path: &Path, boot: u64, seq: u64) -> bool {
        let mut guard = PoisonGuard::open(path, boot);
        if guard.is_poison(Seq(seq)) {
            return false;
        }
        guard.enter(Seq(seq - 1));
        guard.leave();
        guard.enter(Seq(seq));
        true
    }

    #[test]
    fn an_event_that_kills_two_replays_is_left_out_of_the_third() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("replay.state");
        assert!(dies_at(&path, 1, 7));
        assert!(dies_at(&path, 1, 7));
        assert!(!dies_at(&path, 1, 7), "the third replay must leave it out");
        PoisonGuard::open(&path, 1).done();
        assert!(!path.exists());
    }

    #[test]
    fn deaths_at_different_events_do_not_add_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("replay.state");
        assert!(dies_at(&path, 1, 7));
        assert!(dies_at(&path, 1, 9));
        assert!(dies_at(&path, 1, 7));
    }

    #[test]
    fn power_cuts_at_the_same_event_are_not_its_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("replay.state");
        for boot in 1..9 {
            assert!(dies_at(&path, boot, 7), "boot {boot}");
        }
    }

    #[test]
    fn deaths_between_two_events_are_nobodys_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("replay.state");
        for _ in 0..5 {
            let mut guard = PoisonGuard::open(&path, 1);
            assert!(!guard.is_poison(Seq(7)));
            guard.enter(Seq(7));
            guard.leave();
        }
    }
}
