//! Who is logged in. Pure: time is passed in, and the file around it is somebody else's.
//!
//! A session is known by the hash of its cookie: whoever reads the file cannot use it. Its age is
//! measured on the monotonic clock as long as the machine runs, and on the wall clock across a
//! start, where a clock that jumped back makes it no younger than just used.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use tillwatch_protocol::Stamp;
use tillwatch_protocol::time::SECOND_NS;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Most sessions at once; the one that was not used for longest makes room.
pub const SESSIONS: usize = 64;

/// How long a session lasts, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// After the login, whatever happens.
    pub whole_s: u64,
    /// Without a request.
    pub idle_s: u64,
}

/// The hash of a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CookieHash([u8; 32]);

impl CookieHash {
    /// Of what the browser shows.
    #[must_use]
    pub fn of(cookie: &str) -> Self {
        Self(Sha256::digest(cookie.as_bytes()).into())
    }
}

/// One browser of one person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    hash: CookieHash,
    /// The login's name.
    pub name: String,
    /// The version of the login that it was made with.
    pub version: Uuid,
    /// When the person logged in.
    pub made: Stamp,
    used: Stamp,
    /// Cancelled when it ends, so that streams end with it.
    #[serde(skip)]
    pub ends: CancellationToken,
}

impl Session {
    fn is_over(&self, now: &Stamp, limits: Limits) -> bool {
        age_s(now, &self.made) >= limits.whole_s || age_s(now, &self.used) >= limits.idle_s
    }

    /// When it ends, whatever happens, in microseconds since 1970 UTC: to the second, and as the
    /// wall clock is believed now.
    #[must_use]
    pub fn expires_us(&self, now: &Stamp, limits: Limits) -> i64 {
        let age_us = match now.since_ns(&self.made) {
            Some(ns) => i64::try_from(ns / 1_000).unwrap_or(i64::MAX),
            None => now.utc_us.saturating_sub(self.made.utc_us).max(0),
        };
        let whole_us =
            i64::try_from(limits.whole_s).map_or(i64::MAX, |s| s.saturating_mul(SECOND_US));
        let end_us = now.utc_us.saturating_add(whole_us).saturating_sub(age_us);
        end_us.saturating_add(SECOND_US / 2).div_euclid(SECOND_US) * SECOND_US
    }
}

/// Microseconds.
const SECOND_US: i64 = 1_000_000;

fn age_s(now: &Stamp, then: &Stamp) -> u64 {
    match now.since_ns(then) {
        Some(ns) => ns / SECOND_NS,
        None => u64::try_from((now.utc_us - then.utc_us) / SECOND_US).unwrap_or(0),
    }
}

/// All sessions.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Sessions {
    rows: Vec<Session>,
    /// When somebody last logged in, by name, in microseconds since 1970 UTC.
    last: BTreeMap<String, i64>,
    /// Everything ends with it.
    #[serde(skip)]
    root: CancellationToken,
}

impl Sessions {
    /// The same, whose streams end with `root` at the latest.
    #[must_use]
    pub fn under(mut self, root: CancellationToken) -> Self {
        for row in &mut self.rows {
            row.ends = root.child_token();
        }
        self.root = root;
        self
    }

    /// Begins one. Says whether another had to make room.
    pub fn begin(&mut self, hash: CookieHash, name: &str, version: Uuid, now: Stamp) -> bool {
        let full = self.rows.len() >= SESSIONS;
        if full {
            let least_used =
                (0..self.rows.len()).max_by_key(|at| age_s(&now, &self.rows[*at].used));
            if let Some(at) = least_used {
                self.rows.swap_remove(at).ends.cancel();
            }
        }
        self.rows.push(Session {
            hash,
            name: name.to_owned(),
            version,
            made: now,
            used: now,
            ends: self.root.child_token(),
        });
        self.last.insert(name.to_owned(), now.utc_us);
        full
    }

    /// The session of a cookie, which is used now; `None` when there is none or it is over. Says
    /// also when it was used before.
    pub fn used(
        &mut self,
        hash: CookieHash,
        now: Stamp,
        limits: Limits,
    ) -> Option<(&Session, Stamp)> {
        self.end_those(|session| session.is_over(&now, limits));
        let session = self.rows.iter_mut().find(|row| row.hash == hash)?;
        let before = std::mem::replace(&mut session.used, now);
        Some((session, before))
    }

    /// Ends one.
    pub fn end(&mut self, hash: CookieHash) {
        self.end_those(|session| session.hash == hash);
    }

    /// Ends those that were made with another version of their login, or whose login is gone.
    pub fn end_stale(&mut self, version_of: impl Fn(&str) -> Option<Uuid>) {
        self.end_those(|session| version_of(&session.name) != Some(session.version));
        self.last.retain(|name, _| version_of(name).is_some());
    }

    fn end_those(&mut self, over: impl Fn(&Session) -> bool) {
        self.rows.retain(|session| {
            let over = over(session);
            if over {
                session.ends.cancel();
            }
            !over
        });
    }

    /// When somebody of this name last logged in.
    #[must_use]
    pub fn last_us(&self, name: &str) -> Option<i64> {
        self.last.get(name).copied()
    }

    /// How many there are, those that are over among them until somebody looks.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tillwatch_protocol::Clock;

    const LIMITS: Limits = Limits {
        whole_s: 12 * 3_600,
        idle_s: 1_800,
    };
    const VERSION: Uuid = Uuid::from_u128(7);

    fn at(boot: u64, second: u64) -> Stamp {
        Stamp {
            boot,
            monotonic_ns: second * SECOND_NS,
            utc_us: 1_759_588_455_000_000 + i64::try_from(second).unwrap() * 1_000_000,
            clock: Clock::Synced,
        }
    }

    fn one() -> (Sessions, CookieHash) {
        let (mut sessions, hash) = (Sessions::default(), CookieHash::of("cookie"));
        sessions.begin(hash, "ann", VERSION, at(1, 0));
        (sessions, hash)
    }

    fn is_in(sessions: &mut Sessions, hash: CookieHash, now: Stamp) -> bool {
        sessions.used(hash, now, LIMITS).is_some()
    }

    #[test]
    fn a_session_ends_when_it_is_not_used() {
        let (mut sessions, hash) = one();
        assert!(!is_in(&mut sessions, CookieHash::of("other"), at(1, 1)));
        assert!(is_in(&mut sessions, hash, at(1, 1_799)));
        assert!(is_in(&mut sessions, hash, at(1, 3_598)));
        let ends = sessions.rows[0].ends.clone();
        assert!(!is_in(&mut sessions, hash, at(1, 5_398)));
        assert!(ends.is_cancelled(), "its streams end with it");
        assert!(!is_in(&mut sessions, hash, at(1, 5_398)));
    }

    #[test]
    fn a_session_ends_after_its_time_however_much_it_is_used() {
        let (mut sessions, hash) = one();
        for second in (0..LIMITS.whole_s).step_by(600) {
            assert!(is_in(&mut sessions, hash, at(1, second)), "{second}");
        }
        assert!(!is_in(&mut sessions, hash, at(1, LIMITS.whole_s)));
    }

    #[test]
    fn a_start_of_the_machine_keeps_sessions_as_old_as_the_wall_clock_says() {
        let (sessions, hash) = one();
        let text = serde_json::to_string(&sessions).unwrap();
        assert!(!text.contains("cookie"), "{text}");
        let again = || serde_json::from_str::<Sessions>(&text).unwrap();
        let after = |second| Stamp {
            monotonic_ns: 5 * SECOND_NS,
            ..at(2, second)
        };
        assert!(is_in(&mut again(), hash, after(1_799)));
        assert!(!is_in(&mut again(), hash, after(1_800)));
        let back = Stamp {
            utc_us: 0,
            ..after(0)
        };
        assert!(is_in(&mut again(), hash, back));
    }

    #[test]
    fn the_one_that_is_used_least_makes_room() {
        let mut sessions = Sessions::default();
        let hash = |n: usize| CookieHash::of(&n.to_string());
        for n in 0..SESSIONS {
            assert!(!sessions.begin(hash(n), "ann", VERSION, at(1, n as u64)));
        }
        assert!(is_in(&mut sessions, hash(0), at(1, 100)));
        assert!(sessions.begin(hash(SESSIONS), "ann", VERSION, at(1, 101)));
        assert_eq!(sessions.count(), SESSIONS);
        assert!(is_in(&mut sessions, hash(0), at(1, 102)));
        assert!(!is_in(&mut sessions, hash(1), at(1, 102)));
    }

    #[test]
    fn another_password_and_a_login_that_is_gone_end_sessions() {
        let (mut sessions, hash) = one();
        sessions.end_stale(|_| Some(VERSION));
        assert!(is_in(&mut sessions, hash, at(1, 1)));
        sessions.end_stale(|_| Some(Uuid::from_u128(8)));
        assert!(!is_in(&mut sessions, hash, at(1, 1)));
        assert_eq!(sessions.last_us("ann"), Some(at(1, 0).utc_us));
        sessions.end_stale(|_| None);
        assert_eq!(sessions.last_us("ann"), None);
    }
}
