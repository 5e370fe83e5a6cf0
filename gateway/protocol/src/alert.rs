//! Alerts, their revisions and what people say of them.

use crate::finding::{Contribution, Evidence, Rule, Score, Severity, Subject};
use crate::ids::AlertId;
use crate::time::{Stamp, rfc3339};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether an alert still stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It stands.
    Open,
    /// A later event explained it.
    Cleared {
        /// What explained it.
        reason: String,
    },
}

/// An alert. A merged, raised or cleared alert is a new revision of the same id; the highest
/// revision wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Which alert.
    pub alert_id: AlertId,
    /// From 1.
    pub revision: u32,
    /// Whether it stands.
    pub state: AlertState,
    /// The rule that raised it first.
    pub rule: Rule,
    /// The short word for what it is about.
    pub kind: Cow<'static, str>,
    /// The risk score.
    pub score: Score,
    /// From the score.
    pub severity: Severity,
    /// Why; they add up to the score, capped at 1.
    pub contributions: Vec<Contribution>,
    /// The events it rests on.
    pub evidence: Vec<Evidence>,
    /// What it is about.
    pub subject: Subject,
    /// When its cause happened.
    pub stamp: Stamp,
}

impl Alert {
    /// The text block a person reads on the log, the console and the page.
    #[must_use]
    pub fn text_block(&self, minor_digits: u8) -> String {
        let mut text = String::new();
        let mut row = |label: &str, value: &str| {
            let _ = writeln!(text, "{label:<14} {}", printable(value));
        };
        let subject = &self.subject;
        let state = match &self.state {
            AlertState::Open => String::new(),
            AlertState::Cleared { reason } => format!(" (cleared: {reason})"),
        };
        row("Type:", &format!("{}{state}", self.kind));
        if let Some(order) = &subject.order_id {
            row("Order ID:", order);
        }
        if let Some(ticket) = &subject.ticket_no {
            row("Ticket:", ticket);
        }
        if let Some(staff) = &subject.staff_id {
            match subject.staff_alerts_today {
                Some(n) => row("Staff:", &format!("{staff} ({} alert today)", ordinal(n))),
                None => row("Staff:", staff),
            }
        }
        if let Some(amount) = subject.amount {
            let amount = amount.display(minor_digits);
            match subject.original_amount {
                Some(was) => row(
                    "Amount:",
                    &format!("{amount} (was {})", was.display(minor_digits)),
                ),
                None => row("Amount:", &amount.to_string()),
            }
        }
        row(
            "Risk score:",
            &format!("{} / 1.00 ({})", self.score, self.severity),
        );
        let at = subject
            .pos_time_us
            .map_or_else(|| self.stamp.to_rfc3339(), rfc3339);
        row("Timestamp:", &at);
        for contribution in &self.contributions {
            let said = printable(&contribution.text);
            let _ = writeln!(text, "  +{} {said}", contribution.points);
        }
        text
    }
}

/// What a till wrote must not draw lines of its own, nor speak to a terminal: control characters
/// show as `·`.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if c.is_control() { '·' } else { c };
    Cow::Owned(text.chars().map(shown).collect())
}

fn ordinal(n: u32) -> String {
    let suffix = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{suffix}")
}

/// What a person says of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was in order.
    Legitimate,
    /// It was not.
    Confirmed,
}

/// A verdict with who gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The alert.
    pub alert_id: AlertId,
    /// The verdict.
    pub verdict: Verdict,
    /// A note, at most 2,000 characters.
    pub note: String,
    /// Who judged, as far as the access method knows.
    pub reviewer: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seq;
    use crate::ids::LogId;
    use crate::money::Money;
    use crate::time::Clock;
    use uuid::Uuid;

    #[test]
    fn the_text_block_shows_what_a_person_asks_for() {
        let stamp = Stamp {
            boot: 1,
            monotonic_ns: 0,
            utc_us: 1_759_588_455_000_000,
            clock: Clock::Synced,
        };
        let contribution = |rule, text: &str, milli| Contribution {
            rule: Rule::of(rule),
            text: text.into(),
            points: Score::from_milli(milli),
        };
        let alert = Alert {
            alert_id: AlertId::derive(LogId(Uuid::nil()), "pos_score", &[Seq(1)]),
            revision: 1,
            state: AlertState::Open,
            rule: Rule::of("pos_score"),
            kind: "void".into(),
            score: Score::from_milli(700),
            severity: Severity::Critical,
            contributions: vec![
                contribution("void_transaction", "transaction voided", 400),
                contribution("repeat_staff", "2nd within 5 min", 300),
            ],
            evidence: vec![],
            subject: Subject {
                order_id: Some("ORD48592".into()),
                ticket_no: Some("T8923".into()),
                staff_id: Some("emp_12345".into()),
                staff_alerts_today: Some(2),
                amount: Some(Money(15_000)),
                original_amount: Some(Money(30_000)),
                ..Subject::default()
            },
            stamp,
        };
        let expected = "\
Type:          void
Order ID:      ORD48592
Ticket:        T8923
Staff:         emp_12345 (2nd alert today)
Amount:        150.00 (was 300.00)
Risk score:    0.70 / 1.00 (critical)
Timestamp:     2025-10-04T14:34:15.000000Z
  +0.40 transaction voided
  +0.30 2nd within 5 min
";
        assert_eq!(alert.text_block(2), expected);
    }

    #[test]
    fn ordinals_read_as_people_say_them() {
        let said: Vec<_> = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(ordinal).into();
        assert_eq!(
            said,
            [
                "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"
            ]
        );
    }
}
