//! What differs from run to run: who and where we are, ids, tickets, staff, the time.
//!
//! Stories hold placeholders, filled in when they are played:
//!
//! | placeholder | becomes |
//! | --- | --- |
//! | `{store}`, `{register}` | as the till names them |
//! | `{event_id}` | a new id in the shape of a UUID, at every use |
//! | `{ticket}`, `{ticket:3}` | the story's ticket, its third ticket (1 to 9) |
//! | `{order}`, `{order:3}` | the order of that ticket |
//! | `{staff}`, `{staff:3}` | somebody at the till (1 to 9); other people in every round |
//! | `{now}`, `{now-1500}` | RFC 3339 in UTC; 1,500 ms earlier |
//! | `{date}`, `{clock}` | `2025-10-04`, `14:34:15`, UTC |

use crate::random::split_mix;
use serde::Deserialize;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Who and where a simulated register is. The seed decides all ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The store as the till names it.
    pub store: String,
    /// The register as the till names it.
    pub register: String,
    /// Decides ids, tickets and staff. Two runs into the same gateway need different seeds.
    pub seed: u64,
}

impl Run {
    /// A run that can be repeated exactly.
    #[must_use]
    pub fn new(store: &str, register: &str, seed: u64) -> Self {
        Self {
            store: store.to_owned(),
            register: register.to_owned(),
            seed,
        }
    }

    /// A run unlike any before: the seed comes from the time and the process id.
    #[must_use]
    pub fn fresh(store: &str, register: &str) -> Self {
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        // The low 64 bits wrap after 584 years.
        #[allow(clippy::cast_possible_truncation)]
        let seed = split_mix(time as u64) ^ split_mix(u64::from(std::process::id()));
        Self::new(store, register, seed)
    }

    /// The id number `serial` of this run, in the shape of a random UUID (RFC 9562, version 4).
    #[must_use]
    pub fn event_id(&self, serial: u64) -> String {
        let high = split_mix(self.seed ^ split_mix(serial));
        let low = split_mix(high ^ self.seed);
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xFFFF,
            high & 0xFFF,
            low >> 48 & 0x3FFF | 0x8000,
            low & 0xFFFF_FFFF_FFFF
        )
    }
}

/// Everything a placeholder may ask for at one moment.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The run.
    pub run: &'a Run,
    /// How many schedules were played before.
    pub round: u32,
    /// Which story of the day.
    pub occasion: u32,
    /// Microseconds since 1970, UTC.
    pub utc_us: i64,
    /// Number of the next event id; grows with every use.
    pub serial: &'a mut u64,
}

impl Facts<'_> {
    /// Tickets ascend through stories and rounds; the seed decides where they start.
    fn number(&self, which: u8) -> u64 {
        let start = self.run.seed % 9_000 * 1_000;
        let round = u64::from(self.round) * 1_000;
        1_000_000 + start + round + u64::from(self.occasion) * 10 + u64::from(which)
    }

    fn staff(&self, which: u8) -> u64 {
        let team = split_mix(self.run.seed ^ u64::from(self.round)) % 9_000;
        10_000 + team * 10 + u64::from(which)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Store,
    Register,
    EventId,
    Ticket(u8),
    Order(u8),
    Staff(u8),
    /// Milliseconds ago.
    Now(u32),
    Date,
    Clock,
}

/// A text with placeholders, checked when it is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Vec<Part>);

/// A text with something in braces that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no placeholder")]
pub struct UnknownPlaceholder(pub String);

impl TryFrom<String> for Template {
    type Error = UnknownPlaceholder;

    fn try_from(text: String) -> Result<Self, UnknownPlaceholder> {
        Self::read(&text)
    }
}

impl Template {
    /// Reads a text with placeholders.
    ///
    /// # Errors
    /// [`UnknownPlaceholder`] for braces around anything that the module does not list.
    pub fn read(text: &str) -> Result<Self, UnknownPlaceholder> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, inside_on)) = rest.split_once('{') {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let unknown = || UnknownPlaceholder(format!("{{{inside_on}"));
            let (inside, after) = inside_on.split_once('}').ok_or_else(unknown)?;
            let part = part(inside).ok_or_else(|| UnknownPlaceholder(format!("{{{inside}}}")))?;
            parts.push(part);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// No text at all.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// Puts facts in the places.
    #[must_use]
    pub fn fill(&self, facts: &mut Facts<'_>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            // Writing into a string does not fail.
            let _ = match part {
                Part::Text(plain) => text.write_str(plain),
                Part::Store => text.write_str(&facts.run.store),
                Part::Register => text.write_str(&facts.run.register),
                Part::EventId => {
                    let id = facts.run.event_id(*facts.serial);
                    *facts.serial += 1;
                    text.write_str(&id)
                }
                Part::Ticket(which) => write!(text, "T{}", facts.number(*which)),
                Part::Order(which) => write!(text, "ORD{}", facts.number(*which)),
                Part::Staff(which) => write!(text, "emp_{}", facts.staff(*which)),
                Part::Now(ago_ms) => {
                    text.write_str(&rfc3339(facts.utc_us - i64::from(*ago_ms) * 1_000))
                }
                Part::Date => text.write_str(rfc3339(facts.utc_us).get(..10).unwrap_or("")),
                Part::Clock => text.write_str(rfc3339(facts.utc_us).get(11..19).unwrap_or("")),
            };
        }
        text
    }
}

fn part(inside: &str) -> Option<Part> {
    if let Some(ago) = inside.strip_prefix("now-") {
        return ago.parse().ok().map(Part::Now);
    }
    let (word, which) = match inside.split_once(':') {
        Some((word, which)) => (word, Some(which.parse().ok()?)),
        None => (inside, None),
    };
    let numbered = which.unwrap_or(1);
    if !(1..=9).contains(&numbered) {
        return None;
    }
    Some(match (word, which) {
        ("store", None) => Part::Store,
        ("register", None) => Part::Register,
        ("event_id", None) => Part::EventId,
        ("ticket", _) => Part::Ticket(numbered),
        ("order", _) => Part::Order(numbered),
        ("staff", _) => Part::Staff(numbered),
        ("now", None) => Part::Now(0),
        ("date", None) => Part::Date,
        ("clock", None) => Part::Clock,
        _ => return None,
    })
}

/// RFC 3339 with milliseconds, in UTC, from microseconds since 1970.
#[must_use]
pub fn rfc3339(utc_us: i64) -> String {
    let ms = utc_us.div_euclid(1_000);
    let days = ms.div_euclid(86_400_000);
    let in_day = ms.rem_euclid(86_400_000);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        in_day / 3_600_000,
        in_day / 60_000 % 60,
        in_day / 1_000 % 60,
        in_day % 1_000
    )
}

/// Year, month and day of a day since 1970-01-01, in the proleptic Gregorian calendar
/// (Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn placeholders_are_filled_in() {
        let run = Run::new("store_001", "reg_02", 5);
        let mut serial = 0;
        let mut facts = Facts {
            run: &run,
            round: 0,
            occasion: 2,
            utc_us: 1_759_588_455_250_000,
            serial: &mut serial,
        };
        let template =
            Template::read("{store}/{register} {ticket:3} {now} {now-1250} {date} {clock}")
                .unwrap();
        assert_eq!(
            template.fill(&mut facts),
            "store_001/reg_02 T1005023 2025-10-04T14:34:15.250Z 2025-10-04T14:34:14.000Z 2025-10-04 14:34:15"
        );
    }

    #[test]
    fn what_is_no_placeholder_is_refused() {
        for text in [
            "{nwo}",
            "{ticket:0}",
            "{ticket:10}",
            "{now:2}",
            "{now",
            "{}",
        ] {
            assert!(Template::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn event_ids_are_unique_and_look_like_uuids() {
        let runs = [Run::new("a", "b", 1), Run::new("a", "b", 2)];
        let ids: BTreeSet<String> = (0..2_000)
            .flat_map(|serial| runs.iter().map(move |run| run.event_id(serial)))
            .collect();
        assert_eq!(ids.len(), 4_000);
        for id in ids {
            let groups: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(groups, [8, 4, 4, 4, 12], "{id}");
            assert_eq!(&id[14..15], "4");
        }
    }

    proptest! {
        #[test]
        fn dates_agree_with_the_calendar(utc_us in -10_000_000_000_000_000_i64..100_000_000_000_000_000) {
            let written = rfc3339(utc_us);
            let read: jiff::Timestamp = written.parse().unwrap();
            prop_assert_eq!(read.as_microsecond(), utc_us.div_euclid(1_000) * 1_000);
        }
    }
}
