//! The outbox.
use crate::{AppendError, StoreError};
use tillwatch_protocol::{Lane, OutboxEntry, Seq, Stamp};
use tokio::sync::watch;

/// Where a pending outbox entry lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRef {
    /// Its lane.
    pub lane: Lane,
    /// Its number in that lane.
    pub lane_seq: u64,
    /// Its position in the log.
    pub seq: Seq,
    /// Bytes of its record in the log: payload, topic and header.
    pub bytes: u32,
    /// When it was accepted.
    pub stamp: Stamp,
    /// How often the connection broke with it as the oldest in flight.
    pub attempts: u32,
}

/// An entry that will never be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its lane.
    pub lane: Lane,
    /// Its number in that lane.
    pub lane_seq: u64,
    /// Where it lay in the log when it was given up.
    pub seq: Seq,
    /// Why.
    pub reason: String,
}

/// Numbers for records that are being built under the append lock.
#[derive(Debug)]
pub struct Numbers {
    pub(crate) first_seq: Seq,
    pub(crate) next: [u64; 3],
}

impl Numbers {
    /// Takes the next number of a lane.
    #[expect(clippy::should_implement_trait, reason = "lanes have numbers; this is no iterator")]
    pub fn next(&mut self, lane: Lane) -> u64 {
        let slot = &mut self.next[lane.index()];
        let number = *slot;
        *slot += 1;
        number
    }

    /// The position that the first record will have.
    #[must_use]
    pub fn first_seq(&self) -> Seq {
        self.first_seq
    }
}

/// The messages accepted for head office.
#[derive(Debug)]
pub struct Outbox {
    pub(crate) changed: watch::Sender<u64>,
}

impl Outbox {
    /// Durable entries of a lane that are not acknowledged, with numbers above `after`, in order.
    #[must_use]
    pub fn pending(&self, _lane: Lane, _after: u64, _max: usize) -> Vec<OutboxRef> {
        Vec::new()
    }
    /// Reads an entry.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn entry(&self, r: &OutboxRef) -> Result<OutboxEntry, StoreError> {
        Err(StoreError::NoSuchEntry { lane: r.lane, lane_seq: r.lane_seq, seq: r.seq })
    }
    /// Ticks whenever entries became durable and pending.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
    /// Acknowledge.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn acknowledge(&self, _lane: Lane, _lane_seq: u64) -> Result<(), AppendError> {
        Ok(())
    }
    /// Abandon.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn abandon(&self, _lane: Lane, _lane_seq: u64, _reason: &str) -> Result<(), AppendError> {
        Ok(())
    }
    /// Suspect.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn suspect(&self, _lane: Lane, _lane_seq: u64, _attempts: u32) -> Result<(), AppendError> {
        Ok(())
    }
    /// Entries not acknowledged, by [`Lane::index`].
    #[must_use]
    pub fn depth(&self) -> [u64; 3] {
        [0; 3]
    }
    /// When the oldest pending entry was accepted.
    #[must_use]
    pub fn oldest(&self) -> Option<Stamp> {
        None
    }
    /// Entries that will never be sent, oldest first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        Vec::new()
    }
    /// The numbers that the next entries will get, by [`Lane::index`].
    #[must_use]
    pub fn next_numbers(&self) -> [u64; 3] {
        [1; 3]
    }
}
