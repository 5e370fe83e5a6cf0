//! What head office was told of lately: the same notice goes there once in ten minutes, restarts
//! included, so that a program that ends again and again does not flood it.
//!
//! The memory is saved behind the detectors' state, and what the log holds behind that is added at
//! the start, like everything else that a replay restores. A program that does not know of it
//! reads the state before it all the same.

use serde::Deserialize;
use std::collections::BTreeMap;
use tillwatch_protocol::time::SECOND_NS;
use tillwatch_protocol::{Record, Stamp};

/// The same notice goes to head office once in this many nanoseconds.
const EVERY_NS: u64 = 600 * SECOND_NS;
/// Codes that are remembered; codes are few and fixed. Beyond that the oldest is forgotten.
const CODES: usize = 256;
/// Ends a saved state that has the memory; before it stands its length, 4 bytes.
const MARK: &[u8; 8] = b"tw-told1";

/// Codes of notices, and when each went to head office last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told(BTreeMap<String, Stamp>);

impl Told {
    /// Whether a notice with this code may go now; then it is taken for told.
    pub fn may(&mut self, code: &str, now: &Stamp) -> bool {
        let last = self.0.get(code);
        if last.is_some_and(|last| at_least_since(last, now) < EVERY_NS) {
            return false;
        }
        self.note(code, now);
        true
    }

    fn note(&mut self, code: &str, stamp: &Stamp) {
        let place = |stamp: &Stamp| (stamp.boot, stamp.monotonic_ns);
        match self.0.get_mut(code) {
            // The copy of an old message says nothing new.
            Some(last) if place(last) >= place(stamp) => {}
            Some(last) => *last = *stamp,
            None => {
                if self.0.len() >= CODES {
                    let oldest = self.0.iter().min_by_key(|(_, stamp)| place(stamp));
                    let oldest = oldest.map(|(code, _)| code.clone());
                    self.0.remove(&oldest.unwrap_or_default());
                }
                self.0.insert(code.to_owned(), *stamp);
            }
        }
    }

    /// The log holds this.
    pub fn found(&mut self, record: &Record) {
        #[derive(Deserialize)]
        struct Body {
            code: String,
        }
        let Record::Outbox(entry) = record else {
            return;
        };
        if entry.topic.ends_with("/telemetry/errors")
            && let Ok(body) = serde_json::from_slice::<Body>(&entry.payload)
        {
            self.note(&body.code, &entry.stamp);
        }
    }

    /// Puts itself behind a saved state.
    pub fn save(&self, state: &mut Vec<u8>) {
        // Codes and stamps always have a JSON form; without it the memory begins anew.
        let memory = serde_json::to_vec(&self.0).unwrap_or_default();
        // Bounded far below by the number of codes.
        let bytes = u32::try_from(memory.len()).unwrap_or(0);
        state.extend_from_slice(&memory);
        state.extend_from_slice(&bytes.to_le_bytes());
        state.extend_from_slice(MARK);
    }

    /// A saved state without what [`Told::save`] put behind it, and that; nothing when there is
    /// none.
    pub fn split(saved: &[u8]) -> (&[u8], Told) {
        let parts = || {
            let rest = saved.strip_suffix(MARK)?;
            let (rest, bytes) = rest.split_last_chunk()?;
            let bytes = usize::try_from(u32::from_le_bytes(*bytes)).ok()?;
            let (state, memory) = rest.split_at_checked(rest.len().checked_sub(bytes)?)?;
            Some((state, Told(serde_json::from_slice(memory).ok()?)))
        };
        parts().unwrap_or((saved, Told::default()))
    }
}

/// How long ago `last` is at least, in nanoseconds. Wall clocks may have been set meanwhile, and a
/// board without a clock chip begins each boot in the past; but what an earlier boot did is at least
/// as old as this boot.
fn at_least_since(last: &Stamp, now: &Stamp) -> u64 {
    now.since_ns(last).unwrap_or_else(|| {
        let wall_us = now.utc_us.saturating_sub(last.utc_us);
        let wall_ns = u64::try_from(wall_us).unwrap_or(0).saturating_mul(1_000);
        wall_ns.max(now.monotonic_ns)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tillwatch_detect::Engine;
    use tillwatch_protocol::lane::Envelope;
    use tillwatch_protocol::{Clock, Lane, LogId, RegisterId, StoreCode};

    const MINUTE: u64 = 60;

    /// `boot` began at `began`, both in seconds.
    fn at(boot: u64, uptime: u64, began: u64) -> Stamp {
        Stamp {
            boot,
            monotonic_ns: uptime * SECOND_NS,
            utc_us: i64::try_from((began + uptime) * 1_000_000).unwrap(),
            clock: Clock::Unsynced,
        }
    }

    fn message(code: &str, stamp: Stamp) -> Record {
        let envelope = Envelope {
            store: &StoreCode::new("S03").unwrap(),
            register: &RegisterId::new("reg_02").unwrap(),
            epoch: LogId(uuid::Uuid::nil()),
            lane: Lane::Urgent,
            lane_seq: 1,
            stamp,
        };
        let body = serde_json::Map::from_iter([("code".to_owned(), code.into())]);
        Record::Outbox(envelope.entry("stores/S03/telemetry/errors".into(), body))
    }

    #[test]
    fn the_same_notice_goes_once_in_ten_minutes_and_others_go_beside_it() {
        let mut told = Told::default();
        assert!(told.may("a", &at(1, 0, 0)));
        assert!(!told.may("a", &at(1, 10 * MINUTE - 1, 0)));
        assert!(told.may("b", &at(1, 10 * MINUTE - 1, 0)));
        assert!(told.may("a", &at(1, 10 * MINUTE, 0)));
    }

    #[test]
    fn what_the_log_holds_counts() {
        let mut told = Told::default();
        told.found(&message("a", at(1, 0, 0)));
        assert!(!told.may("a", &at(1, MINUTE, 0)));
        // A copy of an older message, made when its segment was recycled.
        assert!(told.may("b", &at(1, 20 * MINUTE, 0)));
        told.found(&message("b", at(1, 0, 0)));
        assert!(!told.may("b", &at(1, 25 * MINUTE, 0)));
    }

    #[test]
    fn it_lives_behind_the_detectors_state_and_does_not_disturb_it() {
        let engine = Engine::new(LogId(uuid::Uuid::nil()));
        let state = engine.snapshot().unwrap();
        let mut told = Told::default();
        told.found(&message("a", at(1, 0, 0)));
        let mut saved = state.clone();
        told.save(&mut saved);
        assert_eq!(Told::split(&saved), (state.as_slice(), told));
        assert_eq!(Told::split(&state), (state.as_slice(), Told::default()));
        // As a program reads it that does not know what lies behind.
        Engine::new(LogId(uuid::Uuid::nil()))
            .restore(&saved)
            .unwrap();
        for cut in 0..saved.len() {
            let _ = Told::split(&saved[cut..]);
        }
    }

    #[test]
    fn a_reboot_does_not_make_it_forget_whatever_the_wall_clock_says() {
        let told = || {
            let mut told = Told::default();
            told.found(&message("a", at(1, 5 * MINUTE, 1_000_000)));
            told
        };
        // A minute later, by a clock that is right and by one that began in the past again.
        for began in [1_000_000 + 5 * MINUTE, 1_000_000, 0] {
            assert!(!told().may("a", &at(2, MINUTE, began)), "{began}");
        }
        // Ten minutes later.
        assert!(told().may("a", &at(2, MINUTE, 1_000_000 + 14 * MINUTE)));
        assert!(told().may("a", &at(2, 10 * MINUTE, 0)));
    }

    #[test]
    fn it_is_bounded() {
        let mut told = Told::default();
        for n in 0..1_000 {
            assert!(told.may(&n.to_string(), &at(1, n, 0)));
        }
        assert_eq!(told.0.len(), CODES);
        assert!(!told.may("999", &at(1, 1_000, 0)));
    }
}
