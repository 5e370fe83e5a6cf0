//! How often somebody may try. Pure: time is passed in.
//!
//! | by | free | then waits | at most |
//! | --- | --- | --- | --- |
//! | source (address; of IPv6 the /64) | 5 | 1, 2, 4 … s | 15 min |
//! | name, whether it exists or not | 10 | 1, 2, 4 … s | 1 min, so that nobody can lock somebody out |
//!
//! An attempt counts when it begins, so that many at once count as many; one that succeeds takes
//! its name's count back. Quarter of an hour without an attempt, and all is forgotten.

use std::collections::BTreeMap;
use std::net::IpAddr;
use tillwatch_protocol::time::SECOND_NS;

/// Sources and names that are remembered; the one that was quiet for longest makes room.
pub const REMEMBERED: usize = 2_048;
/// After so many seconds without an attempt a count is forgotten.
const FORGET_S: u64 = 900;
/// Longest part of a name that is remembered, in bytes.
const NAME_BYTES: usize = 64;

/// Where an attempt comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The network or loopback.
    Address(IpAddr),
    /// Somebody of this machine.
    Local,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Source(Source),
    Name(String),
}

impl Key {
    fn source(source: Source) -> Self {
        Self::Source(match source {
            // Whoever has one IPv6 address has a /64 of them.
            Source::Address(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
                Some(address) => Source::Address(address.into()),
                None => {
                    let network = u128::from(address) >> 64 << 64;
                    Source::Address(IpAddr::V6(network.into()))
                }
            },
            source => source,
        })
    }

    fn name(name: &str) -> Self {
        let mut folded = super::book::folded(name);
        let end = (0..=NAME_BYTES.min(folded.len())).rev();
        let end = end.into_iter().find(|end| folded.is_char_boundary(*end));
        folded.truncate(end.unwrap_or(0));
        Self::Name(folded)
    }

    fn wait_s(&self, attempts: u32) -> u64 {
        let (free, most) = match self {
            Self::Source(_) => (5, 900),
            Self::Name(_) => (10, 60),
        };
        match attempts.checked_sub(free) {
            Some(beyond) => 1_u64
                .checked_shl(beyond)
                .map_or(most, |wait| wait.min(most)),
            None => 0,
        }
    }
}

#[derive(Debug)]
struct Count {
    attempts: u32,
    last_ns: u64,
    /// Not before this.
    next_ns: u64,
}

/// Who tried how often.
#[derive(Debug, Default)]
pub struct Attempts(BTreeMap<Key, Count>);

impl Attempts {
    /// An attempt begins. It counts.
    ///
    /// # Errors
    /// Seconds to wait, 1 or more; then it does not count.
    pub fn begin(&mut self, source: Source, name: &str, now_ns: u64) -> Result<(), u64> {
        let keys = [Key::source(source), Key::name(name)];
        let wait_ns = keys
            .iter()
            .filter_map(|key| self.0.get(key))
            .map(|count| count.next_ns.saturating_sub(now_ns))
            .max()
            .unwrap_or(0);
        if wait_ns > 0 {
            return Err(wait_ns.div_ceil(SECOND_NS));
        }
        for key in keys {
            self.count(key, now_ns);
        }
        Ok(())
    }

    fn count(&mut self, key: Key, now_ns: u64) {
        let forgotten =
            |count: &Count| now_ns.saturating_sub(count.last_ns) >= FORGET_S * SECOND_NS;
        if self.0.get(&key).is_some_and(&forgotten) {
            self.0.remove(&key);
        }
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&key) {
            self.0.retain(|_, count| !forgotten(count));
            let quiet = self.0.iter().min_by_key(|(_, count)| count.last_ns);
            if self.0.len() >= REMEMBERED
                && let Some(quiet) = quiet.map(|(key, _)| key.clone())
            {
                self.0.remove(&quiet);
                metrics::counter!("login_attempts_forgotten_total").increment(1);
            }
        }
        let count = self.0.entry(key.clone()).or_insert(Count {
            attempts: 0,
            last_ns: now_ns,
            next_ns: 0,
        });
        count.attempts = count.attempts.saturating_add(1);
        count.last_ns = now_ns;
        count.next_ns = now_ns.saturating_add(key.wait_s(count.attempts) * SECOND_NS);
    }

    /// It was the right password. The source's count stays but for this one: who has a login of
    /// his own gets no more tries at others.
    pub fn succeeded(&mut self, source: Source, name: &str) {
        self.0.remove(&Key::name(name));
        let source = Key::source(source);
        if let Some(count) = self.0.get_mut(&source) {
            count.attempts = count.attempts.saturating_sub(1);
            count.next_ns = 0;
            if count.attempts == 0 {
                self.0.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> Source {
        Source::Address(IpAddr::V4(n.into()))
    }

    /// Tries until it is told to wait; seconds between attempts that were let through.
    fn waits(tries: usize, mut attempt: impl FnMut(usize, u64) -> Result<(), u64>) -> Vec<u64> {
        let mut now_ns = 0;
        (0..tries)
            .map(|n| {
                let mut waited = 0;
                while let Err(wait) = attempt(n, now_ns) {
                    waited += wait;
                    now_ns += wait * SECOND_NS;
                }
                waited
            })
            .collect()
    }

    #[test]
    fn a_source_waits_twice_as_long_each_time_up_to_a_quarter_of_an_hour() {
        let mut attempts = Attempts::default();
        let waited = waits(17, |n, now| attempts.begin(address(1), &n.to_string(), now));
        assert_eq!(waited[..8], [0, 0, 0, 0, 0, 1, 2, 4]);
        assert_eq!(waited[14..16], [512, 900]);
        assert_eq!(attempts.begin(address(2), "ann", 0), Ok(()));
    }

    #[test]
    fn a_name_waits_a_minute_at_most_whoever_tries_it() {
        let mut attempts = Attempts::default();
        let waited = waits(18, |n, now| {
            attempts.begin(address(u32::try_from(n).unwrap()), " ANN", now)
        });
        assert_eq!(waited[..12], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(waited[16..], [60, 60]);
    }

    #[test]
    fn the_right_password_frees_the_name_and_not_the_source() {
        let mut attempts = Attempts::default();
        for _ in 0..4 {
            attempts.begin(address(1), "ann", 0).unwrap();
        }
        attempts.begin(address(1), "eve", 0).unwrap();
        attempts.succeeded(address(1), "eve");
        attempts.begin(address(1), "ann", 0).unwrap();
        assert_eq!(attempts.begin(address(1), "eve", 0), Err(1));
        assert_eq!(attempts.begin(address(2), "eve", 0), Ok(()));
    }

    #[test]
    fn a_quarter_of_an_hour_forgets() {
        let mut attempts = Attempts::default();
        for _ in 0..5 {
            attempts.begin(address(1), "ann", 0).unwrap();
        }
        let later = FORGET_S * SECOND_NS;
        assert!((0..5).all(|_| attempts.begin(address(1), "ann", later).is_ok()));
        assert!(attempts.begin(address(1), "ann", later).is_err());
    }

    #[test]
    fn one_network_is_one_source() {
        let source = |text: &str| Key::source(Source::Address(text.parse().unwrap()));
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:2"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
        assert_ne!(source("10.0.0.1"), source("10.0.0.2"));
    }

    #[test]
    fn memory_is_bounded_and_the_quiet_ones_go_first() {
        let mut attempts = Attempts::default();
        for n in 0..3_000_u32 {
            let name = "ü".repeat(usize::try_from(n % 99).unwrap());
            attempts
                .begin(address(n), &format!("{n}{name}"), u64::from(n))
                .unwrap();
        }
        assert_eq!(attempts.0.len(), REMEMBERED);
        assert!(attempts.0.contains_key(&Key::source(address(2_999))));
        assert!(!attempts.0.contains_key(&Key::source(address(0))));
    }
}
