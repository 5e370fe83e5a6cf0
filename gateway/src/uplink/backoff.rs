//! How long to wait before the next connection. No I/O; the jitter is passed in.

use crate::broker::{Distance, Reaction};
use std::time::Duration;

/// First pause.
const FIRST: Duration = Duration::from_millis(500);

/// Longest pause, by what went wrong and how far it is. A broker in the shop is in use again within
/// three seconds of its return, connecting included; one far away serves a whole fleet.
const fn most(reaction: Reaction, distance: Distance) -> Duration {
    match (reaction, distance) {
        (Reaction::Network | Reaction::Protocol, Distance::Local) => Duration::from_secs(2),
        (Reaction::Network | Reaction::Protocol, Distance::Remote) => Duration::from_secs(30),
        (Reaction::Busy | Reaction::Setup | Reaction::TakenOver, _) => Duration::from_secs(120),
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
    pub fn next(&mut self, reaction: Reaction, distance: Distance, random: u64) -> Duration {
        let nominal = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .clamp(least(reaction), most(reaction, distance));
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

    fn pause(backoff: &mut Backoff, distance: Distance, random: u64) -> Duration {
        backoff.next(Reaction::Network, distance, random)
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_start_over_after_progress() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..9)
            .map(|_| pause(&mut backoff, Distance::Remote, 0).as_millis())
            .collect();
        assert_eq!(
            pauses,
            [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]
        );
        backoff.progress();
        assert_eq!(pause(&mut backoff, Distance::Remote, 0).as_millis(), 250);
    }

    #[test]
    fn a_broker_in_the_shop_is_tried_again_within_two_seconds_for_ever() {
        let mut backoff = Backoff::default();
        for _ in 0..1_000 {
            let pause = pause(&mut backoff, Distance::Local, u64::MAX);
            assert!(pause <= Duration::from_secs(2), "{pause:?}");
        }
        assert!(pause(&mut backoff, Distance::Local, 0) >= Duration::from_secs(1));
    }

    #[test]
    fn jitter_spreads_over_half_of_the_pause() {
        for random in [0, 1, 249_999, 250_000, u64::MAX] {
            let pause = pause(&mut Backoff::default(), Distance::Remote, random);
            assert!(pause >= FIRST / 2 && pause < FIRST, "{pause:?}");
        }
        assert_ne!(random(), random());
    }

    #[test]
    fn what_somebody_has_to_put_right_is_tried_at_a_calm_pace() {
        for distance in [Distance::Local, Distance::Remote] {
            let pause = Backoff::default().next(Reaction::Setup, distance, 0);
            assert!(pause >= Duration::from_secs(5));
        }
    }
}
