//! Time as a box without a clock chip knows it.
//!
//! Durations and windows use the monotonic clock of one boot; boots are numbered; wall time is a
//! mapping that may be wrong until NTP answered, and says so.

use jiff::{Timestamp, civil, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// Nanoseconds of `CLOCK_MONOTONIC` within one boot.
pub type MonotonicNs = u64;

/// One second in nanoseconds.
pub const SECOND_NS: u64 = 1_000_000_000;
/// One millisecond in nanoseconds.
pub const MILLISECOND_NS: u64 = 1_000_000;

/// Whether wall time can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// The kernel says that the clock is disciplined (`adjtimex` without `STA_UNSYNC`).
    Synced,
    /// Nobody has set the clock since boot: wall time is a guess.
    Unsynced,
}

/// When something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// Ordinal of the boot, persisted, from 1.
    pub boot: u64,
    /// `CLOCK_MONOTONIC` in nanoseconds; comparable within one boot only.
    pub monotonic_ns: MonotonicNs,
    /// Wall time in microseconds since 1970 UTC, as believed at that moment.
    pub utc_us: i64,
    /// Whether that wall time was believable.
    pub clock: Clock,
}

impl Stamp {
    /// Nanoseconds from `earlier` to `self`, 0 if `earlier` is later, `None` across boots.
    #[must_use]
    pub fn since_ns(&self, earlier: &Stamp) -> Option<u64> {
        (self.boot == earlier.boot).then(|| self.monotonic_ns.saturating_sub(earlier.monotonic_ns))
    }

    /// The same moment moved back to an earlier monotonic time of this boot (a kernel timestamp
    /// of something that was read later).
    #[must_use]
    pub fn at_monotonic(&self, monotonic_ns: MonotonicNs) -> Stamp {
        let shift_us = (i128::from(monotonic_ns) - i128::from(self.monotonic_ns)) / 1_000;
        let utc_us = i128::from(self.utc_us).saturating_add(shift_us);
        Stamp {
            monotonic_ns,
            utc_us: i64::try_from(utc_us).unwrap_or(self.utc_us),
            ..*self
        }
    }

    /// RFC 3339 in UTC with microseconds, for example `2026-03-14T15:09:26.535897Z`.
    #[must_use]
    pub fn to_rfc3339(&self) -> String {
        rfc3339(self.utc_us)
    }
}

/// Microseconds since 1970 as RFC 3339 in UTC with six decimals.
#[must_use]
pub fn rfc3339(utc_us: i64) -> String {
    format!("{:.6}", timestamp(utc_us))
}

/// Out of jiff's range (beyond the year 9999) only for a broken clock: taken as the epoch.
/// `Timestamp::from_microsecond` would take the last second of that range as out of it, too.
fn timestamp(utc_us: i64) -> Timestamp {
    let nanoseconds = utc_us.rem_euclid(1_000_000) * 1_000;
    i32::try_from(nanoseconds)
        .ok()
        .and_then(|nanoseconds| Timestamp::new(utc_us.div_euclid(1_000_000), nanoseconds).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A timestamp as a foreign system wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignTime {
    /// Microseconds since 1970 UTC.
    pub utc_us: i64,
    /// Whether the text named its zone; if not, a zone was assumed.
    pub zoned: bool,
}

/// Reads a timestamp: RFC 3339, or the same without a zone (then `zone` is assumed), with `T` or
/// a space between date and time. `None` when it is no timestamp.
#[must_use]
pub fn read_timestamp(text: &str, zone: &TimeZone) -> Option<ForeignTime> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(ForeignTime {
            utc_us: at.as_microsecond(),
            zoned: true,
        });
    }
    let local: civil::DateTime = text.parse().ok()?;
    let at = zone.to_ambiguous_timestamp(local).compatible().ok()?;
    Some(ForeignTime {
        utc_us: at.as_microsecond(),
        zoned: false,
    })
}

/// Wall-clock time of day and date in a zone.
#[must_use]
pub fn local_time(utc_us: i64, zone: &TimeZone) -> civil::DateTime {
    zone.to_datetime(timestamp(utc_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_read_with_and_without_a_zone() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let with = read_timestamp("2025-10-04T14:34:15Z", &berlin).unwrap();
        assert!(with.zoned);
        let without = read_timestamp("2025-10-04T16:34:15", &berlin).unwrap();
        assert!(!without.zoned);
        assert_eq!(with.utc_us, without.utc_us);
        let space = read_timestamp("2025-10-04 16:34:15.25", &berlin).unwrap();
        assert_eq!(space.utc_us - without.utc_us, 250_000);
        assert_eq!(read_timestamp("yesterday", &berlin), None);
        assert_eq!(read_timestamp("", &berlin), None);
    }

    #[test]
    fn the_last_second_of_time_is_shown_as_it_was_read() {
        let text = "9999-12-30T22:00:00.999999Z";
        let at = read_timestamp(text, &TimeZone::UTC).unwrap();
        assert_eq!(rfc3339(at.utc_us), text);
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(rfc3339(i64::MAX), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn a_local_time_that_a_clock_change_skips_is_still_a_time() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert!(read_timestamp("2026-03-29T02:30:00", &berlin).is_some());
    }

    #[test]
    fn a_stamp_moves_back_to_the_kernels_time() {
        let now = Stamp {
            boot: 3,
            monotonic_ns: 5_000_000_000,
            utc_us: 1_000_000,
            clock: Clock::Synced,
        };
        let edge = now.at_monotonic(4_990_000_000);
        assert_eq!(edge.utc_us, 990_000);
        assert_eq!(now.since_ns(&edge), Some(10_000_000));
        assert_eq!(edge.since_ns(&now), Some(0));
        assert_eq!(now.since_ns(&Stamp { boot: 2, ..edge }), None);
        assert_eq!(now.to_rfc3339(), "1970-01-01T00:00:01.000000Z");
    }
}
