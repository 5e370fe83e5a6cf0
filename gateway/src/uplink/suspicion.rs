//! Finds the one message that a broker dies of. No I/O.
//!
//! A message that makes the broker close the connection every time would block everything behind
//! it for ever. After [`STRIKES`] lost connections with the same oldest message, messages go
//! **alone**: one in flight, and on each connection only after a control message (the birth
//! message) got its answer, so that a broker that is simply broken never makes an innocent message
//! look guilty. What breaks [`ATTEMPTS`] such connections is given up; its number goes to the dead
//! letters, and the rest flows again. The count is kept in the outbox, across restarts.

use super::pump::Key;
use std::collections::{BTreeMap, BTreeSet};

/// Connections lost in a row with the same oldest message before messages go alone.
pub const STRIKES: u32 = 3;
/// Connections that a message must break alone before it is given up.
pub const ATTEMPTS: u32 = 5;
/// Connections in a row that broke without an answer to the control message, after which going
/// alone ends: the broker is broken, no message.
pub const CONTROLS_LOST: u32 = 3;
/// Acknowledgements after which going alone ends in any case.
const ALONE_ACKNOWLEDGED: u32 = 300;

/// How a connection ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lost {
    /// Entries without an answer, in sending order.
    pub unanswered: Vec<Key>,
    /// Whether the control message, the birth message, was answered.
    pub control_answered: bool,
    /// Whether the broker said that it closes because of what we published (DISCONNECT 0x87).
    pub denied: bool,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: send again.
    Innocent,
    /// This one was alone in flight: note the attempts in the outbox.
    Suspect {
        /// Which.
        key: Key,
        /// How often so far.
        attempts: u32,
    },
    /// This one was alone in flight too often: give it up.
    Guilty {
        /// Which.
        key: Key,
        /// How often.
        attempts: u32,
    },
    /// The broker closes whenever this one is published, and says that it is forbidden: treat it
    /// like a PUBACK with 0x87.
    Forbidden {
        /// Which.
        key: Key,
    },
}

#[derive(Debug)]
struct Alone {
    suspects: BTreeSet<Key>,
    controls_lost: u32,
    acknowledged: u32,
}

/// Who is suspected; outlives connections.
#[derive(Debug, Default)]
pub struct Suspicion {
    oldest: Option<Key>,
    strikes: u32,
    alone: Option<Alone>,
    attempts: BTreeMap<Key, u32>,
}

impl Suspicion {
    /// Whether messages go alone, each connection starting with a control message.
    #[must_use]
    pub fn alone(&self) -> bool {
        self.alone.is_some()
    }

    /// An entry was read that was suspected before the program started.
    pub fn remember(&mut self, key: Key, attempts: u32) {
        if attempts > 0 && !self.attempts.contains_key(&key) {
            self.attempts.insert(key, attempts);
            self.go_alone([key]);
        }
    }

    /// An entry was answered, or no longer exists.
    pub fn cleared(&mut self, key: Key) {
        self.attempts.remove(&key);
        let Some(alone) = &mut self.alone else {
            return;
        };
        alone.suspects.remove(&key);
        alone.controls_lost = 0;
        alone.acknowledged += 1;
        if alone.suspects.is_empty() || alone.acknowledged >= ALONE_ACKNOWLEDGED {
            self.end();
        }
    }

    /// An entry is not sent for now: it cannot be what breaks connections.
    pub fn set_aside(&mut self, key: Key) {
        if let Some(alone) = &mut self.alone {
            alone.suspects.remove(&key);
            if alone.suspects.is_empty() {
                self.end();
            }
        }
    }

    /// A connection ended that nobody here wanted to end.
    pub fn connection_lost(&mut self, lost: &Lost) -> Verdict {
        match &mut self.alone {
            None => {
                self.count(lost);
                Verdict::Innocent
            }
            Some(alone) if !lost.control_answered => {
                alone.controls_lost += 1;
                if alone.controls_lost >= CONTROLS_LOST {
                    self.end();
                }
                Verdict::Innocent
            }
            Some(_) => match lost.unanswered.as_slice() {
                [key] => self.blame(*key, lost.denied),
                _ => Verdict::Innocent,
            },
        }
    }

    fn count(&mut self, lost: &Lost) {
        // Other messages may well have been acknowledged meanwhile: Mosquitto 2.0 closes on a
        // forbidden topic, and whether the answer before that arrives is a race.
        let oldest = lost.unanswered.first().copied();
        if oldest != self.oldest {
            self.strikes = 0;
        }
        self.oldest = oldest;
        if oldest.is_some() {
            self.strikes += 1;
        }
        if self.strikes >= STRIKES || (lost.denied && oldest.is_some()) {
            self.go_alone(lost.unanswered.iter().copied());
        }
    }

    fn blame(&mut self, key: Key, denied: bool) -> Verdict {
        if let Some(alone) = &mut self.alone {
            alone.controls_lost = 0;
        }
        if denied {
            self.attempts.remove(&key);
            self.end();
            return Verdict::Forbidden { key };
        }
        let count = self.attempts.entry(key).or_insert(0);
        *count += 1;
        let attempts = *count;
        if attempts < ATTEMPTS {
            return Verdict::Suspect { key, attempts };
        }
        self.attempts.remove(&key);
        self.end();
        Verdict::Guilty { key, attempts }
    }

    fn go_alone(&mut self, suspects: impl IntoIterator<Item = Key>) {
        self.alone
            .get_or_insert(Alone {
                suspects: BTreeSet::new(),
                controls_lost: 0,
                acknowledged: 0,
            })
            .suspects
            .extend(suspects);
    }

    fn end(&mut self) {
        self.alone = None;
        self.oldest = None;
        self.strikes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tillwatch_protocol::Lane;

    fn key(lane_seq: u64) -> Key {
        Key {
            lane: Lane::Business,
            lane_seq,
        }
    }

    fn lost(unanswered: &[u64]) -> Lost {
        Lost {
            unanswered: unanswered.iter().map(|n| key(*n)).collect(),
            ..Lost::default()
        }
    }

    fn alone_with(n: u64) -> Lost {
        Lost {
            control_answered: true,
            ..lost(&[n])
        }
    }

    fn gone_alone() -> Suspicion {
        let mut suspicion = Suspicion::default();
        for _ in 0..STRIKES {
            suspicion.connection_lost(&lost(&[7, 8, 9]));
        }
        assert!(suspicion.alone());
        suspicion
    }

    #[test]
    fn a_bad_line_makes_nobody_suspect() {
        let mut suspicion = Suspicion::default();
        for n in 0..20 {
            assert_eq!(
                suspicion.connection_lost(&lost(&[n, n + 1])),
                Verdict::Innocent
            );
            suspicion.connection_lost(&lost(&[]));
        }
        assert!(!suspicion.alone());
    }

    #[test]
    fn only_what_breaks_connections_alone_is_given_up() {
        let mut suspicion = gone_alone();
        suspicion.cleared(key(7));
        for attempts in 1..ATTEMPTS {
            let verdict = suspicion.connection_lost(&alone_with(8));
            assert_eq!(
                verdict,
                Verdict::Suspect {
                    key: key(8),
                    attempts
                }
            );
            assert!(suspicion.alone());
        }
        assert_eq!(
            suspicion.connection_lost(&alone_with(8)),
            Verdict::Guilty {
                key: key(8),
                attempts: ATTEMPTS
            }
        );
        assert!(!suspicion.alone());
    }

    #[test]
    fn a_broken_broker_blames_nobody() {
        let mut suspicion = gone_alone();
        for n in 1..=CONTROLS_LOST {
            let unanswered_control = Lost { ..lost(&[7]) };
            assert_eq!(
                suspicion.connection_lost(&unanswered_control),
                Verdict::Innocent
            );
            assert_eq!(suspicion.alone(), n < CONTROLS_LOST);
        }
    }

    #[test]
    fn going_alone_ends_when_all_suspects_got_through() {
        let mut suspicion = gone_alone();
        for n in [7, 8] {
            suspicion.cleared(key(n));
            assert!(suspicion.alone());
        }
        suspicion.cleared(key(9));
        assert!(!suspicion.alone());
    }

    #[test]
    fn what_is_parked_is_no_longer_suspected() {
        let mut suspicion = gone_alone();
        suspicion.cleared(key(7));
        suspicion.set_aside(key(8));
        suspicion.set_aside(key(9));
        assert!(!suspicion.alone());
    }

    #[test]
    fn a_broker_that_closes_as_not_authorised_is_asked_which_one_it_means() {
        let mut suspicion = Suspicion::default();
        suspicion.connection_lost(&Lost {
            denied: true,
            ..lost(&[1, 2])
        });
        assert!(suspicion.alone());
        let verdict = suspicion.connection_lost(&Lost {
            denied: true,
            ..alone_with(2)
        });
        assert_eq!(verdict, Verdict::Forbidden { key: key(2) });
        assert!(!suspicion.alone());
    }

    #[test]
    fn suspicion_survives_a_restart_of_the_program() {
        let mut suspicion = Suspicion::default();
        suspicion.remember(key(8), ATTEMPTS - 1);
        assert!(suspicion.alone());
        assert!(matches!(
            suspicion.connection_lost(&alone_with(8)),
            Verdict::Guilty { .. }
        ));
    }
}
