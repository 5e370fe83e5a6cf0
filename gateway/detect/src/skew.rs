//! The till's clock against ours, from what each event says and when it arrives.

use crate::recent::ms;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use tillwatch_protocol::time::MonotonicNs;

/// Events with a timestamp that must have come before the skew counts as known.
pub const SKEW_KNOWN_AFTER: u32 = 5;
/// The skew is the minimum over this many blocks …
const SKEW_BLOCKS: usize = 8;
/// … of this many events.
const SKEW_BLOCK: u32 = 32;
/// The till's clock was set forward when a sum is smaller than the skew by this.
const SET_FORWARD_US: i64 = 5_000_000;
/// It was set back when this many events in a row …
const STEADY: usize = 5;
/// … over at least this long …
const STEADY_FOR_NS: u64 = ms(60_000);
/// … agree on another sum of skew and lag within this: lags vary.
const STEADY_WITHIN_US: i64 = 2_000_000;

/// Sums of skew and lag: arrival − timestamp, in microseconds of monotonic time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Skew {
    /// Minima, newest block last.
    blocks: VecDeque<i64>,
    in_block: u32,
    samples: u32,
    was_set: bool,
    /// The newest that did not wait for the link: arrival and sum.
    newest: VecDeque<(MonotonicNs, i64)>,
}

impl Skew {
    /// The smallest sum of the recent past, which is the skew; `sum_us` is part of it already.
    pub(crate) fn floor_us(&self) -> Option<i64> {
        self.blocks.iter().min().copied()
    }

    pub(crate) fn is_known(&self) -> bool {
        self.samples >= SKEW_KNOWN_AFTER
    }

    /// Whether the till's clock was set forward, by the sum of one event. It may be late besides, so
    /// nothing is known then: all is forgotten.
    pub(crate) fn is_set_forward(&mut self, sum_us: i64) -> bool {
        let ahead = |floor: i64| floor.saturating_sub(sum_us) > SET_FORWARD_US;
        let is_set = self.floor_us().is_some_and(ahead);
        if is_set {
            *self = Self {
                was_set: true,
                ..Self::default()
            };
        }
        is_set
    }

    /// Whether the till's clock was set forward in this boot.
    pub(crate) fn was_set(&self) -> bool {
        self.was_set
    }

    /// `counts`: it did not wait for the link. Says since when the till's clock is set anew, once
    /// that is plain.
    pub(crate) fn sample(
        &mut self,
        arrival_ns: MonotonicNs,
        sum_us: i64,
        counts: bool,
    ) -> Option<MonotonicNs> {
        match self
            .blocks
            .back_mut()
            .filter(|_| self.in_block < SKEW_BLOCK)
        {
            Some(block) => *block = (*block).min(sum_us),
            None => {
                if self.blocks.len() == SKEW_BLOCKS {
                    self.blocks.pop_front();
                }
                self.blocks.push_back(sum_us);
                self.in_block = 0;
            }
        }
        self.in_block += 1;
        if !counts {
            return None;
        }
        self.samples = self.samples.saturating_add(1);
        if self.newest.len() == STEADY {
            self.newest.pop_front();
        }
        self.newest.push_back((arrival_ns, sum_us));
        self.follow_a_set_clock()
    }

    /// A clock that was set back makes every event look late, and all alike.
    fn follow_a_set_clock(&mut self) -> Option<MonotonicNs> {
        let (first_ns, _) = *self.newest.front()?;
        let (last_ns, _) = *self.newest.back()?;
        let sums = || self.newest.iter().map(|(_, sum_us)| *sum_us);
        let (least, most) = (sums().min()?, sums().max()?);
        let is_steady = self.newest.len() == STEADY
            && last_ns.saturating_sub(first_ns) >= STEADY_FOR_NS
            && most.saturating_sub(least) <= STEADY_WITHIN_US;
        let is_another = least.saturating_sub(self.floor_us()?) > STEADY_WITHIN_US;
        if !(is_steady && is_another) {
            return None;
        }
        self.blocks.clear();
        self.blocks.push_back(least);
        self.in_block = 1;
        Some(first_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: i64 = 1_000_000;

    fn after(sums_s: &[i64]) -> Option<i64> {
        let mut skew = Skew::default();
        for (at, sum) in (0_u32..).zip(sums_s) {
            skew.is_set_forward(sum * SECOND_US);
            let _ = skew.sample(ms(20_000 * at), sum * SECOND_US, true);
        }
        skew.floor_us().map(|us| us / SECOND_US)
    }

    #[test]
    fn a_till_whose_clock_is_set_is_followed_either_way() {
        assert_eq!(after(&[100, 101, 100, 20, 20]), Some(20));
        assert_eq!(after(&[100, 100, 280, 280, 281, 280, 280]), Some(280));
        assert_eq!(after(&[100, 100, 280, 280, 281, 280]), Some(100));
    }

    #[test]
    fn a_till_whose_clock_was_set_forward_has_to_show_its_skew_anew() {
        let mut skew = Skew::default();
        for n in 0..5 {
            let _ = skew.sample(ms(n), 100 * SECOND_US, true);
        }
        assert!(skew.is_known());
        assert!(!skew.is_set_forward(96 * SECOND_US));
        assert!(skew.is_set_forward(60 * SECOND_US));
        assert!(!skew.is_known() && skew.was_set());
    }

    #[test]
    fn events_that_are_late_each_in_its_way_are_late() {
        assert_eq!(after(&[100, 160, 290, 130, 180, 250, 140]), Some(100));
    }

    #[test]
    fn what_was_late_together_is_no_set_clock() {
        let mut skew = Skew::default();
        let _ = skew.sample(0, 0, true);
        for n in 1..9 {
            assert_eq!(skew.sample(ms(100 * n), 280 * SECOND_US, true), None);
        }
        assert_eq!(skew.floor_us(), Some(0));
    }
}
