//! Events of the till that were appended and are not in the index yet, so that a redelivery within
//! that moment is recognised too.

use super::keys::{pos_id_key, pos_key};
use std::collections::{HashMap, VecDeque};
use tillwatch_protocol::{PosEvent, Seq, Stamp};

/// Most events remembered; beyond it the oldest are forgotten, and then the index alone decides.
const MAX_RECENT: usize = 16_384;

type Key = [u8; 16];

/// What was appended lately.
#[derive(Debug, Default)]
pub(super) struct Recent {
    order: VecDeque<(Seq, Key, Key)>,
    by_key: HashMap<Key, (Seq, Stamp)>,
    by_id: HashMap<Key, (Seq, Stamp)>,
}

impl Recent {
    pub(super) fn add(&mut self, event: &PosEvent, seq: Seq, stamp: Stamp) {
        let (key, id) = (pos_key(event), pos_id_key(event));
        self.by_key.insert(key, (seq, stamp));
        self.by_id.insert(id, (seq, stamp));
        self.order.push_back((seq, key, id));
        if self.order.len() > MAX_RECENT
            && let Some((oldest, ..)) = self.order.front()
        {
            self.forget(*oldest);
        }
    }

    pub(super) fn by_key(&self, key: &Key) -> Option<(Seq, Stamp)> {
        self.by_key.get(key).copied()
    }

    pub(super) fn by_id(&self, key: &Key) -> Option<(Seq, Stamp)> {
        self.by_id.get(key).copied()
    }

    /// Forgets what the index holds by now.
    pub(super) fn forget(&mut self, through: Seq) {
        while let Some((seq, key, id)) = self.order.pop_front_if(|(seq, ..)| *seq <= through) {
            if self.by_key.get(&key).is_some_and(|(at, _)| *at == seq) {
                self.by_key.remove(&key);
            }
            if self.by_id.get(&id).is_some_and(|(at, _)| *at == seq) {
                self.by_id.remove(&id);
            }
        }
    }
}
