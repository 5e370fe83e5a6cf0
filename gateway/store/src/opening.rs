//! Single steps of opening a store, and what it found.

use crate::atomic_file;
use crate::disk::Disk;
use crate::error::StoreError;
use crate::log::{Damage, LogInner, RawScan, Scan};
use crate::outbox::State;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use tillwatch_protocol::{LogId, Record, Seq};

/// Records looked through for the last boot when the identity file is lost.
const LOOK_BACK: u64 = 10_000;

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opened {
    /// There was no log: a new one was begun.
    pub created: bool,
    /// Oldest record kept; one above `last_seq` when there is none.
    pub first_seq: Seq,
    /// Newest record.
    pub last_seq: Seq,
    /// Unfinished records at the end that were dropped; none of them was ever acknowledged.
    pub torn_records: u64,
    /// Records accepted before that are missing at the log's end, at least: it was deleted or
    /// shortened.
    pub lost_records: u64,
    /// Parts that could not be read.
    pub damages: Vec<Damage>,
    /// Sentences for the technician.
    pub notices: Vec<String>,
}

/// The highest boot ordinal among the newest events; 0 when there are none.
pub(crate) fn last_boot(log: &Arc<LogInner>) -> u64 {
    let last = log.gap.map_or_else(|| log.through(), |gap| gap.after);
    let from = Seq(last.saturating_sub(LOOK_BACK));
    let records = Scan(RawScan::new(log, from)).filter_map(Result::ok);
    let boots = records.filter_map(|(_, record)| match record {
        Record::Event(event) => Some(event.stamp.boot),
        Record::Alert(alert) => Some(alert.stamp.boot),
        Record::Notice(notice) => Some(notice.stamp.boot),
        Record::ClipRequest(request) => Some(request.cause.boot),
        Record::ClipReport(report) => Some(report.stamp.boot),
        Record::Look(look) => Some(look.stamp.boot),
        _ => None,
    });
    boots.max().unwrap_or(0)
}

/// Takes the data directory for this process.
pub(crate) fn take_lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(StoreError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The number is for the message only: without it the answer is the same.
            let _ = file.read_to_string(&mut text);
            let pid = text.trim().parse().unwrap_or(0);
            return Err(StoreError::Locked {
                dir: dir.to_owned(),
                pid,
            });
        }
        Err(std::fs::TryLockError::Error(error)) => {
            return Err(StoreError::io("lock", &path)(error));
        }
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(StoreError::io("write", &path))?;
    Ok(file)
}

/// The process that has the data directory open, as the kernel says; `None` when nobody has, or
/// when the kernel does not tell. Takes nothing away from anybody.
#[must_use]
pub fn holder(dir: &Path) -> Option<u32> {
    let lock = std::fs::metadata(dir.join("lock")).ok()?;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    holder_among(&locks, lock.ino())
}

/// `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`: process, then device and inode.
fn holder_among(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        if words.next()? != "FLOCK" {
            return None;
        }
        let pid = words.nth(2)?.parse().ok()?;
        let file = words.next()?.rsplit(':').next()?;
        (file.parse() == Ok(inode)).then_some(pid)
    })
}

/// The outbox as its state file has it; empty when there is none that can be used.
pub(crate) fn read_state(
    disk: &dyn Disk,
    path: &Path,
    log_id: LogId,
    notices: &mut Vec<String>,
) -> Result<State, StoreError> {
    let decoded = atomic_file::read(disk, path).and_then(|body| {
        body.map_or_else(|| Ok(State::default()), |body| State::decode(&body, log_id))
    });
    match decoded {
        Err(error @ StoreError::StateFile { .. }) => {
            notices.push(format!(
                "the outbox's state is rebuilt from the whole log: {error}"
            ));
            Ok(State::default())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_directory_is_told_without_taking_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(holder(dir.path()), None);
        let lock = take_lock(dir.path()).unwrap();
        assert_eq!(holder(dir.path()), Some(std::process::id()));
        lock.unlock().unwrap();
        assert_eq!(holder(dir.path()), None);
    }

    #[test]
    fn only_locks_of_the_same_file_and_kind_count() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 08:01:99 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 12 08:01:99 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 13 08:01:199 0 EOF\n\
                     garbage\n\
                     4: FLOCK  ADVISORY  WRITE 14 08:01:99 0 EOF\n";
        assert_eq!(holder_among(locks, 99), Some(14));
        assert_eq!(holder_among(locks, 1), None);
    }
}
