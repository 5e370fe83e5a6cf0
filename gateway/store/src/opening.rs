//! Single steps of opening a store.

use crate::atomic_file;
use crate::disk::Disk;
use crate::error::StoreError;
use crate::log::{LogInner, RawScan, Scan};
use crate::outbox::State;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use tillwatch_protocol::{LogId, Record, Seq};

/// Records looked through for the last boot when the identity file is lost.
const LOOK_BACK: u64 = 10_000;

/// The highest boot ordinal among the newest events; 0 when there are none.
pub(crate) fn last_boot(log: &Arc<LogInner>) -> u64 {
    let from = Seq(log.through().saturating_sub(LOOK_BACK));
    let records = Scan(RawScan::new(log, from)).filter_map(Result::ok);
    let boots = records.filter_map(|(_, record)| match record {
        Record::Event(event) => Some(event.stamp.boot),
        Record::Alert(alert) => Some(alert.stamp.boot),
        Record::Notice(notice) => Some(notice.stamp.boot),
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

/// Reserves space on the disk that the log may fall back on.
pub(crate) fn reserve(
    disk: &dyn Disk,
    path: &Path,
    bytes: u64,
    notices: &mut Vec<String>,
) -> Result<(), StoreError> {
    if bytes == 0 || disk.open(path).is_ok() {
        return Ok(());
    }
    if let Err(error) = disk.create(path, bytes) {
        notices.push(format!(
            "no reserve could be set aside on the disk: {error}"
        ));
        disk.remove(path).map_err(StoreError::io("remove", path))?;
    }
    Ok(())
}
