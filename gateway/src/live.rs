//! What just became durable, for the live feed. Slow readers lose items, never events: they see
//! how many they missed and read the rest from the log.

use std::sync::Arc;
use tillwatch_protocol::{EventBody, Record, Seq};
use tillwatch_store::Store;
use tokio::sync::{broadcast, mpsc};

/// Items that wait for a slow reader before it loses the oldest.
pub const LIVE_BACKLOG: usize = 1_024;

/// One durable record.
#[derive(Debug, Clone)]
pub struct LiveItem {
    /// Its position in the log.
    pub seq: Seq,
    /// The record: event, alert, finding, notice or not judged.
    pub record: Arc<Record>,
}

/// Items that wait to become durable; more are left out of the live feed (readers catch up from
/// the log).
const NOT_YET_DURABLE: usize = 4_096;

/// Whether a record is worth showing live.
#[must_use]
pub fn is_shown(record: &Record) -> bool {
    match record {
        Record::Event(event) => !matches!(
            event.body,
            EventBody::Tick | EventBody::Settings(_) | EventBody::CameraMotion { .. }
        ),
        Record::Alert(_) | Record::Finding(_) | Record::NotJudged(_) | Record::Notice(_) => true,
        Record::Outbox(_)
        | Record::OutboxMark(_)
        | Record::Quarantined(_)
        | Record::ClipRequest(_)
        | Record::ClipReport(_)
        | Record::Look(_) => false,
    }
}

/// Starts the task that passes records on once they are on disk.
#[must_use]
pub fn publisher(store: Store, live: broadcast::Sender<LiveItem>) -> mpsc::Sender<LiveItem> {
    let (sender, mut waiting) = mpsc::channel::<LiveItem>(NOT_YET_DURABLE);
    tokio::spawn(async move {
        while let Some(item) = waiting.recv().await {
            if store.durable_through(item.seq).await.is_err() {
                return;
            }
            // Nobody may be listening.
            let _ = live.send(item);
        }
    });
    sender
}
