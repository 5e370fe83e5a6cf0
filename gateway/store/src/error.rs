//! What can go wrong in the store, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use tillwatch_protocol::{Lane, RecordError, Seq};

/// What a caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Wait and try again: the disk or the queue may recover.
    Retry,
    /// This one item is lost or unusable; go on with the next.
    Skip,
    /// The request itself is wrong; trying again changes nothing.
    Refuse,
    /// The store cannot be used by this process.
    Fatal,
}

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data directory.
    #[error("the data directory {} is in use by process {pid}", dir.display())]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// The other process; 0 when it has not written its number yet.
        pid: u32,
    },
    /// A call to the operating system failed.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// The call.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Part of the log cannot be read any more.
    #[error("records {from} to {to} cannot be read: segment {segment} is damaged at byte {offset}")]
    Damaged {
        /// Ordinal of the segment.
        segment: u64,
        /// Where in its file the damage begins.
        offset: u64,
        /// First record lost.
        from: Seq,
        /// Last record lost.
        to: Seq,
    },
    /// The record is whole, its content is not readable.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The outbox does not have this entry, or no longer.
    #[error("the {} lane has no entry {lane_seq} at log position {seq}", lane.word())]
    NoSuchEntry {
        /// The lane.
        lane: Lane,
        /// The number in the lane.
        lane_seq: u64,
        /// Where it should be.
        seq: Seq,
    },
    /// A state file is not whole.
    #[error("{} is not whole: {why}", path.display())]
    StateFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing can be written at present.
    #[error("the log cannot be written: {why}")]
    Broken {
        /// The last error.
        why: String,
    },
    /// The options contradict each other.
    #[error("the store's options cannot be used: {0}")]
    Options(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// The reaction that fits.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Locked { .. } | Self::Options(_) | Self::Closed => ErrorKind::Fatal,
            Self::Io { .. } | Self::Broken { .. } => ErrorKind::Retry,
            Self::Damaged { .. }
            | Self::Record(_)
            | Self::NoSuchEntry { .. }
            | Self::StateFile { .. } => ErrorKind::Skip,
        }
    }

    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        move |source| StoreError::Io {
            what,
            path: path.to_owned(),
            source,
        }
    }
}

/// Why records were not accepted. Nothing of the call was, and no number was used up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Too much waits to be written: wait for room.
    #[error("{waiting} bytes wait to be written: the log is full for the moment")]
    Full {
        /// Bytes that wait.
        waiting: usize,
    },
    /// The outbox is at its limit and nothing less important could be dropped.
    #[error("the outbox is full for the {} lane", lane.word())]
    OutboxFull {
        /// The lane that was refused.
        lane: Lane,
    },
    /// An outbox entry has another number than the next of its lane.
    #[error("an entry of the {} lane has number {got}, the next is {expected}", lane.word())]
    Number {
        /// The lane.
        lane: Lane,
        /// The number it should have.
        expected: u64,
        /// The number it has.
        got: u64,
    },
    /// The records are larger than one segment can take, or one is larger than 1 MiB.
    #[error("{bytes} bytes are more than the log takes at once ({most})")]
    TooLarge {
        /// Their size.
        bytes: usize,
        /// The bound.
        most: usize,
    },
    /// A record has no encoding.
    #[error(transparent)]
    Encode(#[from] RecordError),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl AppendError {
    /// The reaction that fits.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Full { .. } | Self::OutboxFull { .. } => ErrorKind::Retry,
            Self::Number { .. } | Self::TooLarge { .. } | Self::Encode(_) => ErrorKind::Refuse,
            Self::Closed => ErrorKind::Fatal,
        }
    }
}
