//! The public face.
use crate::{AppendError, Index, Numbers, Outbox, StoreError, StoreOptions, Usage};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillwatch_protocol::{LogId, Quarantined, Record, Seq};
use tokio::sync::watch;

/// How soon records must be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Urgency {
    /// With the next group.
    Normal,
    /// At once.
    Now,
}

/// Positions given to the records of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeqRange {
    /// Of the first record.
    pub first: Seq,
    /// Of the last record; one below `first` when there were none.
    pub last: Seq,
}

/// Part of the log that could not be read at open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Ordinal of the segment.
    pub segment: u64,
    /// Where in its file it begins.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// First record lost.
    pub from: Seq,
    /// Last record lost.
    pub to: Seq,
    /// Where a copy of the bytes was put.
    pub aside: Option<PathBuf>,
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opened {
    /// The directory was empty: a new log was begun.
    pub created: bool,
    /// Oldest record kept.
    pub first_seq: Seq,
    /// Newest record.
    pub last_seq: Seq,
    /// Unfinished records at the end that were dropped; none of them was ever acknowledged.
    pub torn_records: u64,
    /// Parts that could not be read.
    pub damages: Vec<Damage>,
    /// Sentences for the technician.
    pub notices: Vec<String>,
}

/// Reads records in order.
#[derive(Debug)]
pub struct Scan {}

impl Iterator for Scan {
    type Item = Result<(Seq, Record), StoreError>;
    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

/// The store.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    durable: watch::Sender<Seq>,
    snapshot_wanted: watch::Sender<Seq>,
    outbox: Outbox,
    index: Index,
}

#[expect(missing_docs, clippy::missing_errors_doc, reason = "replaced in the next step")]
impl Store {
    pub fn open(_dir: &Path, _options: StoreOptions) -> Result<(Store, Opened), StoreError> {
        let inner = Inner {
            durable: watch::Sender::new(Seq(0)),
            snapshot_wanted: watch::Sender::new(Seq(0)),
            outbox: Outbox { changed: watch::Sender::new(0) },
            index: Index::default(),
        };
        Ok((Store { inner: Arc::new(inner) }, Opened::default()))
    }
    #[must_use]
    pub fn log_id(&self) -> LogId {
        LogId(uuid::Uuid::nil())
    }
    #[must_use]
    pub fn boot_ordinal(&self) -> u64 {
        1
    }
    pub fn append(&self, _records: &[Record], _urgency: Urgency) -> Result<SeqRange, AppendError> {
        Err(AppendError::Closed)
    }
    pub fn append_with<F>(&self, _urgency: Urgency, build: F) -> Result<SeqRange, AppendError>
    where
        F: FnOnce(&mut Numbers) -> Vec<Record>,
    {
        build(&mut Numbers { first_seq: Seq(1), next: [1; 3] });
        Err(AppendError::Closed)
    }
    pub async fn room(&self) {}
    #[must_use]
    pub fn durable(&self) -> watch::Receiver<Seq> {
        self.inner.durable.subscribe()
    }
    pub async fn durable_through(&self, _seq: Seq) -> Result<(), StoreError> {
        Ok(())
    }
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        Seq(0)
    }
    pub fn read(&self, _seq: Seq) -> Result<Option<Record>, StoreError> {
        Ok(None)
    }
    pub fn scan(&self, _from: Seq) -> Result<Scan, StoreError> {
        Ok(Scan {})
    }
    #[must_use]
    pub fn first_seq(&self) -> Seq {
        Seq(1)
    }
    pub fn save_snapshot(&self, _through: Seq, _bytes: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }
    pub fn snapshots(&self) -> Result<Vec<(Seq, Vec<u8>)>, StoreError> {
        Ok(Vec::new())
    }
    /// Changes to a position when the log would like a snapshot that reaches it.
    #[must_use]
    pub fn snapshot_wanted(&self) -> watch::Receiver<Seq> {
        self.inner.snapshot_wanted.subscribe()
    }
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.inner.outbox
    }
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.inner.index
    }
    pub fn quarantine(&self, _item: Quarantined) -> Result<(), AppendError> {
        Ok(())
    }
    #[must_use]
    pub fn quarantined(&self, _limit: usize) -> Vec<Quarantined> {
        Vec::new()
    }
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::default()
    }
    pub fn close(self) {}
}
