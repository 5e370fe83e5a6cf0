//! What waits for its deadline.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tillwatch_protocol::Seq;
use tillwatch_protocol::time::MonotonicNs;

/// Things that wait, by deadline; at most `CAP`, the one due first gives way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiting<T, const CAP: usize> {
    by_deadline: BTreeMap<(MonotonicNs, Seq), T>,
}

impl<T, const CAP: usize> Default for Waiting<T, CAP> {
    fn default() -> Self {
        Self {
            by_deadline: BTreeMap::new(),
        }
    }
}

impl<T, const CAP: usize> Waiting<T, CAP> {
    /// Adds one; gives back what had to go for it.
    pub(crate) fn add(&mut self, deadline: MonotonicNs, cause: Seq, item: T) -> Option<T> {
        let evicted = (self.by_deadline.len() >= CAP)
            .then(|| self.by_deadline.pop_first().map(|(_, item)| item))
            .flatten();
        self.by_deadline.insert((deadline, cause), item);
        evicted
    }

    pub(crate) fn deadline(&self) -> Option<MonotonicNs> {
        self.by_deadline
            .first_key_value()
            .map(|((deadline, _), _)| *deadline)
    }

    /// Takes one whose deadline has passed.
    pub(crate) fn take_due(&mut self, now: MonotonicNs) -> Option<T> {
        let entry = self.by_deadline.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.by_deadline.values()
    }

    /// Takes the one caused by the record at `cause`.
    pub(crate) fn take(&mut self, cause: Seq) -> Option<T> {
        let key = *self.by_deadline.keys().find(|(_, seq)| *seq == cause)?;
        self.by_deadline.remove(&key)
    }

    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = T> + use<T, CAP> {
        std::mem::take(&mut self.by_deadline).into_values()
    }
}
