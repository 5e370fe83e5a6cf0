//! Recognising what the till sent twice: by (store, register, event id, body) for 24 hours.
//!
//! The newest events are remembered here; after a start they are read from the end of the log. On an
//! ordinary day that is all of them, and nobody else is asked. Where it is not, the index knows: it
//! follows the log with a little delay, so what leaves this memory is there already. A filter of what
//! left tells for nearly every new event that nobody needs to be asked, because asking may wait for
//! the index and is done outside the pipeline.

mod filter;

use filter::Filter;
use std::collections::{HashMap, VecDeque};
use tillwatch_protocol::time::SECOND_NS;
use tillwatch_protocol::{Event, EventBody, PosEvent, Record, Seq, Stamp};
use tillwatch_store::{SeenPos, Store, StoreError};

/// Events remembered here: some days of an ordinary register, far more than the index lags behind.
const RECENT: usize = 16_384;
/// Most events remembered while the index has not reached the oldest of them; beyond, they are
/// forgotten all the same, and counted in `redelivery_memory_incomplete_total`.
const RECENT_MOST: usize = 4 * RECENT;
/// Records at the end of the log that are looked through after a start: some days of an ordinary
/// register, and some megabytes of a busy one.
const LOOK_BACK: u64 = 32_768;
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
    /// Only the index can tell: [`Redelivery::judge`] what it says.
    AskIndex,
}

type Key = [u8; 16];

/// What an event is recognised by.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    with_body: Key,
    id: Key,
}

impl Keys {
    /// Equal keys mean the same event; equal ids with different bodies are different events that
    /// reuse an id.
    pub fn of(event: &PosEvent) -> Self {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        let texts = [
            event.store_id.as_deref(),
            event.register_id.as_deref(),
            Some(event.event_id.as_str()),
        ];
        for text in texts {
            let text = text.unwrap_or_default();
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
        let short = |hasher: Sha256| {
            let digest = hasher.finalize();
            digest.first_chunk::<16>().copied().unwrap_or_default()
        };
        let id = short(hasher.clone());
        hasher.update(&event.body_hash);
        Self {
            with_body: short(hasher),
            id,
        }
    }
}

/// The memory.
#[derive(Default)]
pub struct Redelivery {
    recent: HashMap<Key, (Seq, Stamp)>,
    order: VecDeque<(Keys, Seq, Stamp)>,
    older: Filter,
    /// Events before this moment are not known to `recent` and `older`.
    unknown_before: Option<Stamp>,
}

impl Redelivery {
    /// Reads the end of the log, at `now`.
    ///
    /// # Errors
    /// [`StoreError`] when the log cannot be read at all.
    pub fn load(store: &Store, now: Stamp) -> Result<Self, StoreError> {
        let mut memory = Self::default();
        let last = store.last_seq();
        let from = Seq(last.0.saturating_sub(LOOK_BACK).max(1));
        let whole = from <= store.first_seq();
        for item in store.scan(from)? {
            // What cannot be read was reported when the log was replayed.
            let Ok((seq, Record::Event(event))) = item else {
                continue;
            };
            let Event { stamp, body, .. } = event;
            if !whole && memory.unknown_before.is_none() {
                memory.unknown_before = Some(stamp);
            }
            if let EventBody::Pos(pos) = body {
                memory.remember(Keys::of(&pos), &stamp, seq, last);
            }
        }
        if !whole {
            // Behind a gap in positions the end of the log may hold no event at all.
            memory.unknown_before.get_or_insert(now);
        }
        Ok(memory)
    }

    /// Knows nothing of what was before `now`.
    pub fn unknown(now: Stamp) -> Self {
        Self {
            unknown_before: Some(now),
            ..Self::default()
        }
    }

    /// Whether every event that still counts is known without the index.
    pub fn is_complete(&self, now: &Stamp) -> bool {
        self.unknown_before
            .is_none_or(|before| !within_memory(&before, now))
    }

    /// Whether `event` was here before.
    pub fn seen(&self, keys: &Keys, now: &Stamp) -> Seen {
        let of_index = SeenPos::default();
        match self.judge(keys, now, of_index) {
            // An older one with the same body may hide behind one that only reuses its id.
            Seen::New | Seen::IdReused
                if !self.is_complete(now) || self.older.may_hold(&keys.id) =>
            {
                Seen::AskIndex
            }
            known => known,
        }
    }

    /// The same with the index's answer.
    pub fn judge(&self, keys: &Keys, now: &Stamp, of_index: SeenPos) -> Seen {
        let recent = |key| self.recent.get(key).copied();
        let fresh = |(_, stamp): &(Seq, Stamp)| within_memory(stamp, now);
        let same = recent(&keys.with_body).or(of_index.same).filter(fresh);
        if let Some((seq, _)) = same {
            return Seen::Again(seq);
        }
        match recent(&keys.id).or(of_index.id).filter(fresh) {
            Some(_) => Seen::IdReused,
            None => Seen::New,
        }
    }

    /// Remembers it from now on. What the index shows, up to `indexed`, may be forgotten here.
    pub fn remember(&mut self, keys: Keys, now: &Stamp, seq: Seq, indexed: Seq) {
        for key in [keys.with_body, keys.id] {
            self.recent.insert(key, (seq, *now));
        }
        self.order.push_back((keys, seq, *now));
        while self.order.len() > RECENT {
            let shown = self
                .order
                .front()
                .is_some_and(|(_, seq, _)| *seq <= indexed);
            if !shown && self.order.len() <= RECENT_MOST {
                break;
            }
            if !shown {
                metrics::counter!("redelivery_memory_incomplete_total").increment(1);
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((keys, seq, stamp)) = self.order.pop_front() else {
            return;
        };
        for key in [keys.with_body, keys.id] {
            if self.recent.get(&key).is_some_and(|(at, _)| *at == seq) {
                self.recent.remove(&key);
            }
        }
        self.older.add(&keys.id, &stamp);
    }
}

/// Within one boot by the monotonic clock; across boots by wall time, and when that makes no
/// sense the event counts as remembered (a duplicate is worse than a late repetition of an id).
fn age_ns(then: &Stamp, now: &Stamp) -> u64 {
    now.since_ns(then).unwrap_or_else(|| {
        let age_us = now.utc_us.saturating_sub(then.utc_us);
        u64::try_from(age_us).unwrap_or(0).saturating_mul(1_000)
    })
}

fn within_memory(then: &Stamp, now: &Stamp) -> bool {
    age_ns(then, now) < MEMORY_NS
}

#[cfg(test)]
mod tests;
