//! Recognising what the till sent twice: by (store, register, event id, body) for 24 hours.
//!
//! The index remembers; it follows the log with a little delay, so the newest are remembered here
//! as well.

use std::collections::{HashMap, VecDeque};
use tillwatch_protocol::time::SECOND_NS;
use tillwatch_protocol::{PosEvent, Seq, Stamp};
use tillwatch_store::Store;
use tillwatch_store::index::{pos_id_key, pos_key};

/// Events remembered here: far more than the index ever lags behind.
const RECENT: usize = 16_384;
/// How long a redelivery is recognised.
const MEMORY_NS: u64 = 24 * 3_600 * SECOND_NS;

/// Whether an event was here before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Never.
    New,
    /// The same event, at this position.
    Again(Seq),
    /// The same id with another body.
    IdReused,
}

/// The memory.
pub struct Redelivery {
    store: Store,
    recent: HashMap<[u8; 16], (Seq, Stamp)>,
    order: VecDeque<[u8; 16]>,
}

impl Redelivery {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            recent: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Whether `event` was here before.
    pub fn seen(&self, event: &PosEvent, now: &Stamp) -> Seen {
        let (with_body, id_only) = keys(event);
        let index = self.store.index();
        let recent = |key| self.recent.get(key).copied();
        let fresh = |(_, stamp): &(Seq, Stamp)| within_memory(stamp, now);
        let same = recent(&with_body)
            .or_else(|| index.seen_pos(&with_body))
            .filter(fresh);
        if let Some((seq, _)) = same {
            return Seen::Again(seq);
        }
        match recent(&id_only)
            .or_else(|| index.seen_pos_id(&id_only))
            .filter(fresh)
        {
            Some(_) => Seen::IdReused,
            None => Seen::New,
        }
    }

    /// Remembers it from now on.
    pub fn remember(&mut self, event: &PosEvent, now: &Stamp, seq: Seq) {
        let (with_body, id_only) = keys(event);
        for key in [with_body, id_only] {
            if self.recent.insert(key, (seq, *now)).is_none() {
                self.order.push_back(key);
            }
        }
        while self.order.len() > 2 * RECENT {
            if let Some(oldest) = self.order.pop_front() {
                self.recent.remove(&oldest);
            }
        }
    }
}

/// Within one boot by the monotonic clock; across boots by wall time, and when that makes no
/// sense the event counts as remembered (a duplicate is worse than a late repetition of an id).
fn within_memory(then: &Stamp, now: &Stamp) -> bool {
    match now.since_ns(then) {
        Some(age) => age < MEMORY_NS,
        None => {
            now.utc_us.saturating_sub(then.utc_us)
                < i64::try_from(MEMORY_NS / 1_000).unwrap_or(i64::MAX)
        }
    }
}

fn keys(event: &PosEvent) -> ([u8; 16], [u8; 16]) {
    (pos_key(event), pos_id_key(event))
}
