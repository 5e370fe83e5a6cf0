//! Birth and health: live messages that are never queued. No I/O; time is passed in.
//!
//! They pass through the pump like everything else of QoS 1, because only an answer tells that the
//! broker forbids them; Mosquitto 2.0 closes the connection on a forbidden topic whatever the
//! QoS, and a health message that may not be published must not flap the connection for the
//! alerts. Each kind is paused on its own when it is refused, or when connections keep breaking
//! with it in flight.

use std::time::Duration;

/// Connections lost in a row with it in flight before it is paused.
const LOST: u32 = 2;
/// First and longest pause.
const PAUSE: (u64, u64) = (60, 3_600);

/// A message that is not queued: only the newest matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Live {
    /// `online`, retained. Also shows whether the broker answers at all.
    Birth,
    /// Every minute.
    Health,
}

impl Live {
    /// Both.
    pub const ALL: [Live; 2] = [Live::Birth, Live::Health];

    /// For logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Birth => "state",
            Self::Health => "health",
        }
    }
}

/// Whether one kind may be sent; outlives connections.
#[derive(Debug, Default)]
pub struct Guard {
    denied: u32,
    lost: u32,
    until: Duration,
}

impl Guard {
    /// Whether it may be sent now.
    #[must_use]
    pub fn allows(&self, now: Duration) -> bool {
        self.until <= now
    }

    /// The broker answered, with anything but a denial.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// The broker does not let us publish it. Returns the pause.
    pub fn denied(&mut self, now: Duration) -> Duration {
        self.lost = 0;
        self.denied = self.denied.saturating_add(1);
        self.pause(self.denied - 1, now)
    }

    /// A connection broke with it in flight. Returns the pause, if it is paused.
    pub fn lost(&mut self, now: Duration) -> Option<Duration> {
        self.lost = self.lost.saturating_add(1);
        (self.lost >= LOST).then(|| self.pause(self.lost - LOST, now))
    }

    fn pause(&mut self, tries: u32, now: Duration) -> Duration {
        let pause = Duration::from_secs((PAUSE.0 << tries.min(16)).min(PAUSE.1));
        self.until = now + pause;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_denied_kind_is_tried_again_ever_more_rarely_until_it_is_taken() {
        let mut guard = Guard::default();
        assert!(guard.allows(s(0)));
        assert_eq!(guard.denied(s(0)), s(60));
        assert!(!guard.allows(s(59)) && guard.allows(s(60)));
        assert_eq!(guard.denied(s(60)), s(120));
        guard.answered();
        assert!(guard.allows(s(61)));
        assert_eq!(guard.denied(s(61)), s(60));
    }

    #[test]
    fn a_connection_may_break_once_without_blame() {
        let mut guard = Guard::default();
        assert_eq!(guard.lost(s(0)), None);
        assert!(guard.allows(s(0)));
        assert_eq!(guard.lost(s(1)), Some(s(60)));
        assert!(!guard.allows(s(60)));
    }
}
