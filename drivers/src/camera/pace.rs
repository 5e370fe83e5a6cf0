//! When the frames of a camera that is played are due.

use std::time::Duration;

use crate::clock::monotonic_ns;

/// Frames that wait for a slow reader, as in a driver's queue; older ones are lost.
const QUEUE: u64 = 4;

/// A steady rate.
#[derive(Debug)]
pub(super) struct Pace {
    period_ns: u64,
    next_ns: Option<u64>,
}

/// A frame's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// Its time, in monotonic nanoseconds.
    pub(super) at_ns: u64,
    /// Frames before it whose time passed while nobody asked.
    pub(super) lost: u64,
}

impl Pace {
    pub(super) fn new(period_ns: u64) -> Self {
        Self {
            period_ns: period_ns.max(1),
            next_ns: None,
        }
    }

    /// Waits for the next frame's turn, up to `timeout`.
    pub(super) fn wait(&mut self, timeout: Duration) -> Option<Due> {
        let now = monotonic_ns();
        let next = *self.next_ns.get_or_insert(now);
        let wait = Duration::from_nanos(next.saturating_sub(now));
        if wait > timeout {
            std::thread::sleep(timeout);
            return None;
        }
        std::thread::sleep(wait);
        Some(self.take(next, monotonic_ns()))
    }

    fn take(&mut self, next: u64, now: u64) -> Due {
        let late = now.saturating_sub(next) / self.period_ns;
        let lost = late.saturating_sub(QUEUE);
        let at_ns = next + lost * self.period_ns;
        self.next_ns = Some(at_ns + self.period_ns);
        Due { at_ns, lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_finds_the_last_frames_and_a_count_of_the_rest() {
        let mut pace = Pace::new(100);
        let due = |at_ns, lost| Due { at_ns, lost };
        assert_eq!(pace.take(1000, 1005), due(1000, 0));
        assert_eq!(pace.take(1100, 1500), due(1100, 0));
        assert_eq!(pace.take(1200, 2150), due(1700, 5));
        assert_eq!(pace.next_ns, Some(1800));
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let mut pace = Pace::new(3_600_000_000_000);
        assert!(pace.wait(Duration::ZERO).is_some());
        assert_eq!(pace.wait(Duration::from_millis(1)), None);
    }
}
