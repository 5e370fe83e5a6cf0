//! The index: what can be asked about the log.
use tillwatch_protocol::{Alert, AlertId, Event, PosEvent, Record, Review, Seq, Stamp};

/// What became of an alert's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivery {
    /// No message was made for it.
    None,
    /// Its message is in the log, not yet acknowledged by the broker.
    Accepted,
    /// The broker said Success for its latest message.
    Acknowledged,
    /// Its message will never be sent.
    Abandoned,
}

/// Which alerts are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlertFilter {
    /// Only open alerts without a review.
    pub pending_only: bool,
    /// Only alerts whose cause is not before this, in microseconds since 1970 UTC.
    pub since_us: Option<i64>,
    /// At most so many; 0 means the default of 100.
    pub limit: usize,
}

/// An alert as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRow {
    /// Its highest revision.
    pub alert: Alert,
    /// The newest review.
    pub review: Option<Review>,
    /// The position of that revision.
    pub seq: Seq,
    /// Whether it is in the log on disk; always so for what the index shows.
    pub accepted: bool,
    /// What became of its message.
    pub delivery: Delivery,
}

/// Queries.
#[derive(Debug, Default)]
pub struct Index {}

impl Index {
    /// How far the index reflects the log.
    #[must_use]
    pub fn through(&self) -> Seq {
        Seq(0)
    }
    /// Resolves when the index reflects the log up to `seq`.
    pub async fn caught_up(&self, _seq: Seq) {}
    /// Newest first: events (without ticks and settings), alerts, findings, notices.
    #[must_use]
    pub fn recent_events(&self, _limit: usize) -> Vec<(Seq, Record)> {
        Vec::new()
    }
    /// The same kinds with wall time from `start_us` up to `end_us` (excluded), oldest first.
    #[must_use]
    pub fn events_between(&self, _start_us: i64, _end_us: i64, _limit: usize) -> Vec<(Seq, Record)> {
        Vec::new()
    }
    /// Alerts, newest first.
    #[must_use]
    pub fn alerts(&self, _filter: AlertFilter) -> Vec<AlertRow> {
        Vec::new()
    }
    /// One alert.
    #[must_use]
    pub fn alert(&self, _id: AlertId) -> Option<AlertRow> {
        None
    }
    /// All records with this id: the till's event id, a log position, or an alert's UUID.
    #[must_use]
    pub fn by_event_id(&self, _id: &str) -> Vec<Seq> {
        Vec::new()
    }
    /// Receipts with all words of `q`, newest first.
    #[must_use]
    pub fn receipts(&self, _q: &str, _limit: usize) -> Vec<(Seq, Event)> {
        Vec::new()
    }
    /// The newest event of the till with this key ([`pos_key`]).
    #[must_use]
    pub fn seen_pos(&self, _key: &[u8; 16]) -> Option<(Seq, Stamp)> {
        None
    }
    /// The newest event of the till with this key ([`pos_id_key`]).
    #[must_use]
    pub fn seen_pos_id(&self, _key: &[u8; 16]) -> Option<(Seq, Stamp)> {
        None
    }
}

/// Redelivery key: store, register, event id and body.
#[must_use]
pub fn pos_key(event: &PosEvent) -> [u8; 16] {
    let _ = event;
    [0; 16]
}

/// Key of store, register and event id.
#[must_use]
pub fn pos_id_key(event: &PosEvent) -> [u8; 16] {
    let _ = event;
    [0; 16]
}
