//! Reading outbox entries for a [`super::feed::Feed`].

use super::feed::{BATCH, BATCH_BYTES, Loaded, Want};
use super::pump::Key;
use tillwatch_protocol::Lane;
use tillwatch_store::{ErrorKind, OutboxRef, Store, StoreError};

/// What to read for a [`Want`].
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// These, in order.
    pub(super) places: Vec<OutboxRef>,
    /// The outbox does not have these any more.
    pub(super) gone: Vec<u64>,
    /// These were asked for and did not fit.
    pub(super) later: Vec<u64>,
    /// Highest number that was looked at, 0 if nothing new was.
    pub(super) looked_through: u64,
    /// Whether nothing follows it.
    pub(super) exhausted: bool,
}

/// Looks up what is wanted, without reading from disk. `skip` tells what is not to be read.
pub(super) fn plan(
    store: &Store,
    want: &Want,
    exhausted: bool,
    skip: impl Fn(Key) -> bool,
) -> Plan {
    let outbox = store.outbox();
    let lane = want.lane;
    let mut plan = Plan {
        exhausted,
        ..Plan::default()
    };
    let mut bytes = 0_u64;
    for lane_seq in &want.again {
        let place = outbox
            .pending(lane, lane_seq.saturating_sub(1), 1)
            .into_iter()
            .find(|place| place.lane_seq == *lane_seq);
        match place {
            None => plan.gone.push(*lane_seq),
            Some(_) if bytes >= BATCH_BYTES => plan.later.push(*lane_seq),
            Some(place) => {
                bytes += u64::from(place.bytes);
                plan.places.push(place);
            }
        }
    }
    let Some(after) = want.after else {
        return plan;
    };
    let found = outbox.pending(lane, after, BATCH);
    plan.exhausted = found.len() < BATCH;
    plan.looked_through = after;
    for place in found {
        let lane_seq = place.lane_seq;
        if !skip(Key { lane, lane_seq }) {
            if bytes >= BATCH_BYTES {
                plan.exhausted = false;
                break;
            }
            bytes += u64::from(place.bytes);
            plan.places.push(place);
        }
        plan.looked_through = lane_seq;
    }
    plan
}

/// What a read brought.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) lane: Lane,
    pub(super) loaded: Vec<Loaded>,
    pub(super) gone: Vec<u64>,
    pub(super) unreadable: Vec<(u64, String)>,
    pub(super) failed: Vec<u64>,
}

/// Reads from disk; for a blocking thread.
pub(super) fn read(store: &Store, lane: Lane, places: Vec<OutboxRef>) -> Batch {
    let mut batch = Batch {
        lane,
        loaded: Vec::with_capacity(places.len()),
        gone: Vec::new(),
        unreadable: Vec::new(),
        failed: Vec::new(),
    };
    for place in places {
        match store.outbox().entry(&place) {
            Ok(entry) => batch.loaded.push(Loaded::new(place, entry)),
            Err(StoreError::NoSuchEntry { .. }) => batch.gone.push(place.lane_seq),
            Err(error) if error.kind() == ErrorKind::Skip => {
                batch.unreadable.push((place.lane_seq, error.to_string()));
            }
            Err(error) => {
                tracing::warn!(%error, "an outbox entry cannot be read now");
                batch.failed.push(place.lane_seq);
            }
        }
    }
    batch
}
