//! Scores, contributions, findings and notices: what a detector concludes.

use crate::ids::Seq;
use crate::money::Money;
use crate::time::Stamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::ops::Add;

/// A risk score in thousandths, 0 to 1000; JSON shows it as a number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Score(u16);

impl Score {
    /// No risk.
    pub const ZERO: Score = Score(0);
    /// The cap.
    pub const MAX: Score = Score(1000);

    /// From thousandths, capped at 1000.
    #[must_use]
    pub const fn from_milli(milli: u16) -> Score {
        Score(if milli > 1000 { 1000 } else { milli })
    }

    /// In thousandths.
    #[must_use]
    pub const fn milli(self) -> u16 {
        self.0
    }

    /// Severity: below 0.3 low, below 0.5 medium, below 0.7 high, else critical.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self.0 {
            0..300 => Severity::Low,
            300..500 => Severity::Medium,
            500..700 => Severity::High,
            _ => Severity::Critical,
        }
    }
}

impl Add for Score {
    type Output = Score;
    fn add(self, other: Score) -> Score {
        Score::from_milli(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = (self.0 + 5) / 10;
        write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

impl Serialize for Score {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_f64(f64::from(self.0) / 1000.0)
        } else {
            serializer.serialize_u16(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Score {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u16::deserialize(deserializer).map(Score::from_milli);
        }
        let number = f64::deserialize(deserializer)?;
        if !(0.0..=1.0).contains(&number) {
            return Err(serde::de::Error::custom("a score lies between 0 and 1"));
        }
        // Lossless here: 0..=1000 after the check above.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(Score::from_milli((number * 1000.0).round() as u16))
    }
}

/// How urgent a person should find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Below 0.3.
    Low,
    /// Below 0.5.
    Medium,
    /// Below 0.7.
    High,
    /// 0.7 and more.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// The name of a rule, snake_case, stable: it is part of alert ids and of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rule(pub Cow<'static, str>);

impl Rule {
    /// A rule known at compile time.
    #[must_use]
    pub const fn of(name: &'static str) -> Rule {
        Rule(Cow::Borrowed(name))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One summand of a score, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// The rule or modifier that adds it.
    pub rule: Rule,
    /// Why, for a person: `discount of 35 % is over the limit of 30 %`.
    pub text: String,
    /// What it adds. Contributions of a finding add up to its score, capped at 1.
    pub points: Score,
}

/// An event that a finding rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its position in the log.
    pub seq: Seq,
    /// When it happened.
    pub stamp: Stamp,
    /// What it was, in words: `drawer opened`, `receipt T8923, total 11.52`.
    pub what: String,
}

/// What a finding is about, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Subject {
    /// The till's id of the event.
    pub event_id: Option<String>,
    /// The order.
    pub order_id: Option<String>,
    /// The ticket or receipt number.
    pub ticket_no: Option<String>,
    /// Who was at the till.
    pub staff_id: Option<String>,
    /// The how-many-th alert-worthy event of that person today this is, from 1.
    pub staff_alerts_today: Option<u32>,
    /// The amount.
    pub amount: Option<Money>,
    /// The amount before a discount or override.
    pub original_amount: Option<Money>,
    /// When the till says it happened, microseconds since 1970 UTC.
    pub pos_time_us: Option<i64>,
}

/// How a finding counts when several rest on the same cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Stands by itself; of several for one cause the highest counts.
    Alone,
    /// Adds its points to whatever else is found for the same cause.
    OnTop,
}

/// What a detector concludes from events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// The short word for what it is about (`void`, `no_sale`, `forced`).
    pub kind: Cow<'static, str>,
    /// The score: the capped sum of the contributions.
    pub score: Score,
    /// The summands.
    pub contributions: Vec<Contribution>,
    /// How it counts beside others.
    pub weight: Weight,
    /// The events it rests on; the first is its cause. Never empty.
    pub evidence: Vec<Evidence>,
    /// What it is about.
    pub subject: Subject,
    /// Set when the rule takes back what it found earlier for the same cause, with the reason.
    pub cleared: Option<String>,
}

impl Finding {
    /// The capped sum of contributions.
    #[must_use]
    pub fn sum(contributions: &[Contribution]) -> Score {
        contributions
            .iter()
            .fold(Score::ZERO, |sum, c| sum + c.points)
    }
}

/// A rule could not be applied because a witness was not provably alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotJudged {
    /// The rule.
    pub rule: Rule,
    /// A short word for counting: `witness_lost`, `window_cut_by_start`, `feed_unreliable` …
    pub reason: Cow<'static, str>,
    /// Why, in words.
    pub text: String,
    /// The event that would have been judged.
    pub cause: Evidence,
}

/// Something for the technician; no risk, no alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// A short stable word, for counting and rate limits: `drawer_jam`, `edges_lost`.
    pub code: Cow<'static, str>,
    /// What is wrong and what to do, in one sentence.
    pub text: String,
    /// When.
    pub stamp: Stamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_follows_the_score() {
        let severity = |milli| Score::from_milli(milli).severity();
        assert_eq!(severity(299), Severity::Low);
        assert_eq!(severity(300), Severity::Medium);
        assert_eq!(severity(500), Severity::High);
        assert_eq!(severity(699), Severity::High);
        assert_eq!(severity(700), Severity::Critical);
    }

    #[test]
    fn scores_are_capped_and_shown_as_fractions() {
        let sum = Score::from_milli(700) + Score::from_milli(500);
        assert_eq!(sum, Score::MAX);
        assert_eq!(sum.to_string(), "1.00");
        assert_eq!(
            serde_json::to_string(&Score::from_milli(500)).unwrap(),
            "0.5"
        );
        assert_eq!(
            serde_json::from_str::<Score>("0.35").unwrap(),
            Score::from_milli(350)
        );
        assert!(serde_json::from_str::<Score>("1.5").is_err());
    }
}
