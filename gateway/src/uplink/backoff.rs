//! How long to wait before the next connection. No I/O; the jitter is passed in.

use crate::broker::Reaction;
use std::time::Duration;

/// First pause.
const FIRST: Duration = Duration::from_millis(500);

/// Longest pause, by what went wrong.
const fn most(reaction: Reaction) -> Duration {
    match reaction {
        Reaction::Network | Reaction::Protocol => Duration::from_secs(30),
        Reaction::Busy | Reaction::Setup | Reaction::TakenOver => Duration::from_secs(120),
    }
}

/// Shortest pause, by what went wrong.
const fn least(reaction: Reaction) -> Duration {
    match reaction {
        Reaction::Network | Reaction::Protocol => FIRST,
        Reaction::Busy => Duration::from_secs(2),
        Reaction::Setup | Reaction::TakenOver => Duration::from_secs(10),
    }
}

/// Pauses that double, are spread across the fleet, and start over only after real progress: a
/// broker that accepts connections and breaks them is not progress.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A message was acknowledged, or the connection held for long.
    pub fn progress(&mut self) {
        self.failures = 0;
    }

    /// The pause before the next try; `random` is any number, evenly spread. The pause is between
    /// half and all of its nominal length, so that a thousand gateways do not come back at once.
    pub fn next(&mut self, reaction: Reaction, random: u64) -> Duration {
        let nominal = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .clamp(least(reaction), most(reaction));
        self.failures = self.failures.saturating_add(1);
        let half = nominal / 2;
        let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_micros(random % spread)
    }
}

/// A number that is different each time. Not for secrets.
#[must_use]
pub fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0_u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_start_over_after_progress() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..9)
            .map(|_| backoff.next(Reaction::Network, 0).as_millis())
            .collect();
        assert_eq!(
            pauses,
            [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]
        );
        backoff.progress();
        assert_eq!(backoff.next(Reaction::Network, 0).as_millis(), 250);
    }

    #[test]
    fn jitter_spreads_over_half_of_the_pause() {
        for random in [0, 1, 249_999, 250_000, u64::MAX] {
            let pause = Backoff::default().next(Reaction::Network, random);
            assert!(pause >= FIRST / 2 && pause < FIRST, "{pause:?}");
        }
        assert_ne!(random(), random());
    }

    #[test]
    fn what_somebody_has_to_put_right_is_tried_at_a_calm_pace() {
        assert!(Backoff::default().next(Reaction::Setup, 0) >= Duration::from_secs(5));
    }
}
