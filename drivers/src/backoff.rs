//! When to try a lost device again. The clock is the caller's.

const FIRST_NS: u64 = 250_000_000;
/// A device that comes back is in use again within three seconds, opening included.
const CAP_NS: u64 = 2_000_000_000;
/// A device that held this long starts over at the first delay.
const STABLE_NS: u64 = 5_000_000_000;

/// Delays of 0.25 s, doubling, capped at 2 s; reset once the device held for 5 s.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    delay_ns: u64,
    opened_ns: Option<u64>,
}

impl Backoff {
    /// No failure yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The device was opened at `now_ns` (monotonic).
    pub fn opened(&mut self, now_ns: u64) {
        self.opened_ns = Some(now_ns);
    }

    /// Opening or using the device failed at `now_ns`; returns when to try again.
    pub fn failed(&mut self, now_ns: u64) -> u64 {
        let held = self
            .opened_ns
            .take()
            .is_some_and(|opened| now_ns.saturating_sub(opened) >= STABLE_NS);
        self.delay_ns = if held || self.delay_ns == 0 {
            FIRST_NS
        } else {
            (self.delay_ns * 2).min(CAP_NS)
        };
        now_ns.saturating_add(self.delay_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_a_cap_and_start_over_after_a_stable_time() {
        let mut backoff = Backoff::new();
        let delays: Vec<u64> = (0..5).map(|_| backoff.failed(0) / 1_000_000).collect();
        assert_eq!(delays, [250, 500, 1000, 2000, 2000]);

        // A device that opens and fails at once is not hammered.
        backoff.opened(10);
        assert_eq!(backoff.failed(20), 20 + CAP_NS);

        backoff.opened(0);
        assert_eq!(backoff.failed(STABLE_NS), STABLE_NS + FIRST_NS);
    }
}
