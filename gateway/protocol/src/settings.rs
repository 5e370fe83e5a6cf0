//! What the detectors may be told. A change of it is an event of the log, so that a replay judges
//! as the register did.

use crate::finding::{Rule, Score};
use crate::money::Money;
use crate::pos::Percent;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// When the shop hands out paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptPolicy {
    /// Every payment is printed.
    #[default]
    Always,
    /// Only when the customer asks.
    OnRequest,
    /// Never.
    Never,
}

/// When a POS event of some type becomes an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertPolicy {
    /// Each one.
    Always,
    /// When its discount is over the discount threshold.
    OverDiscountThreshold,
    /// When its amount is over the high-value threshold.
    HighValue,
    /// Only by its score.
    ScoreOnly,
}

/// Base score and policy of one type of POS event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTypeSettings {
    /// Where its score starts, 0 to 1.
    pub base: Score,
    /// When it becomes an alert.
    pub policy: AlertPolicy,
}

/// Points for circumstances, 0 to 1 each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Modifiers {
    /// The amount is over the high-value threshold.
    pub high_value: Score,
    /// The discount is over the discount threshold.
    pub discount: Score,
    /// Outside opening hours.
    pub outside_hours: Score,
    /// The same person again.
    pub repeat_staff: Score,
}

impl Default for Modifiers {
    fn default() -> Self {
        Self {
            high_value: Score::from_milli(200),
            discount: Score::from_milli(300),
            outside_hours: Score::from_milli(100),
            repeat_staff: Score::from_milli(300),
        }
    }
}

/// Windows and scores of the witness rules; times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WitnessRules {
    /// A kick on the kick line at most this long before an opening explains it.
    pub kick_before_opening_ms: u32,
    /// A drawer command on the wire at most this long before an opening explains it (a kick in
    /// print order comes after a long receipt).
    pub command_before_opening_ms: u32,
    /// Forced opening where the kick line is wired.
    pub forced_score: Score,
    /// Forced opening judged by the printer's wire alone.
    pub forced_without_kick_line_score: Score,
    /// A sale at most this long before an opening explains it.
    pub sale_before_opening_ms: u32,
    /// … or at most this long after.
    pub sale_after_opening_ms: u32,
    /// Opening by a kick without a sale.
    pub no_sale_score: Score,
    /// A drawer may stay open this long.
    pub left_open_after_ms: u32,
    /// Score when it stayed open longer.
    pub left_open_score: Score,
    /// What every further minute adds.
    pub left_open_step: Score,
    /// Where it ends.
    pub left_open_max_score: Score,
    /// A kick must open the drawer within this time.
    pub jam_after_ms: u32,
    /// POS and paper must agree within this time.
    pub paper_and_pos_ms: u32,
    /// A payment that was never printed.
    pub receipt_suppressed_score: Score,
    /// Added when only one of paper and POS tells of a void or refund.
    pub unreported_score: Score,
}

impl Default for WitnessRules {
    fn default() -> Self {
        Self {
            kick_before_opening_ms: 2_000,
            command_before_opening_ms: 15_000,
            forced_score: Score::from_milli(800),
            forced_without_kick_line_score: Score::from_milli(500),
            sale_before_opening_ms: 10_000,
            sale_after_opening_ms: 20_000,
            no_sale_score: Score::from_milli(600),
            left_open_after_ms: 60_000,
            left_open_score: Score::from_milli(300),
            left_open_step: Score::from_milli(100),
            left_open_max_score: Score::from_milli(700),
            jam_after_ms: 1_000,
            paper_and_pos_ms: 30_000,
            receipt_suppressed_score: Score::from_milli(500),
            unreported_score: Score::from_milli(200),
        }
    }
}

/// Opening hours as minutes of the local day, both ends included: 360 and 1379 are 06:00–22:59.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpeningHours {
    /// First minute of the day that is open, 0 to 1439.
    pub from_minute: u16,
    /// Last minute of the day that is open, 0 to 1439; before `from_minute` when open past
    /// midnight.
    pub to_minute: u16,
}

impl OpeningHours {
    /// Whether a minute of the day lies within.
    #[must_use]
    pub fn contains(&self, minute_of_day: u16) -> bool {
        if self.from_minute <= self.to_minute {
            (self.from_minute..=self.to_minute).contains(&minute_of_day)
        } else {
            minute_of_day >= self.from_minute || minute_of_day <= self.to_minute
        }
    }
}

/// Everything that the detectors may be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectionSettings {
    /// IANA name of the store's time zone.
    pub timezone: String,
    /// Decimals of the currency's minor unit.
    pub minor_digits: u8,
    /// When the shop hands out paper.
    pub receipt_policy: ReceiptPolicy,
    /// Amounts above are of high value.
    pub high_value_threshold: Money,
    /// Discounts above are large.
    pub discount_threshold: Percent,
    /// Opening hours.
    pub opening_hours: OpeningHours,
    /// The how-many-th alert-worthy event of one person within the window is a repetition.
    pub repeat_staff_count: u32,
    /// That window, in milliseconds.
    pub repeat_staff_window_ms: u32,
    /// Events and findings above this score are alerts, whatever their type.
    pub alert_above: Score,
    /// Points for circumstances.
    pub modifiers: Modifiers,
    /// Base score and policy by event type; others score [`Self::other_event_base`].
    pub event_types: BTreeMap<String, EventTypeSettings>,
    /// Base score of types that are not listed.
    pub other_event_base: Score,
    /// The witness rules.
    pub witness: WitnessRules,
    /// Rules that are switched off.
    pub disabled_rules: BTreeSet<Rule>,
    /// Rules whose findings are kept but are no alerts.
    pub silent_rules: BTreeSet<Rule>,
    /// How many alerts a day a person is asked to look at.
    pub review_queue_per_day: u32,
}

impl Default for DetectionSettings {
    fn default() -> Self {
        use AlertPolicy::{Always, HighValue, OverDiscountThreshold, ScoreOnly};
        let event_types = [
            ("void_transaction", 400, Always),
            ("refund_issued", 500, Always),
            ("suspicious_return", 700, Always),
            ("no_sale_opened", 600, Always),
            ("discount_applied", 200, OverDiscountThreshold),
            ("price_override", 300, HighValue),
            ("cash_drawer_opened", 300, ScoreOnly),
            // Its base grows with the amount, up to this; see the risk score's specification.
            ("high_value_transaction", 600, HighValue),
            ("payment_cleared", 0, ScoreOnly),
        ];
        Self {
            timezone: "UTC".into(),
            minor_digits: 2,
            receipt_policy: ReceiptPolicy::default(),
            high_value_threshold: Money(100_000),
            discount_threshold: Percent(30_000),
            opening_hours: OpeningHours {
                from_minute: 6 * 60,
                to_minute: 22 * 60 + 59,
            },
            repeat_staff_count: 2,
            repeat_staff_window_ms: 5 * 60 * 1000,
            alert_above: Score::from_milli(600),
            modifiers: Modifiers::default(),
            event_types: event_types
                .into_iter()
                .map(|(name, base, policy)| {
                    (
                        name.to_owned(),
                        EventTypeSettings {
                            base: Score::from_milli(base),
                            policy,
                        },
                    )
                })
                .collect(),
            other_event_base: Score::from_milli(100),
            witness: WitnessRules::default(),
            disabled_rules: BTreeSet::new(),
            silent_rules: BTreeSet::new(),
            review_queue_per_day: 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_hours_include_both_ends_and_may_pass_midnight() {
        let day = DetectionSettings::default().opening_hours;
        assert!(!day.contains(5 * 60 + 59));
        assert!(day.contains(6 * 60));
        assert!(day.contains(22 * 60 + 59));
        assert!(!day.contains(23 * 60));
        let bar = OpeningHours {
            from_minute: 18 * 60,
            to_minute: 2 * 60,
        };
        assert!(bar.contains(23 * 60) && bar.contains(60) && !bar.contains(12 * 60));
    }

    #[test]
    fn settings_survive_the_disk() {
        let settings = DetectionSettings::default();
        let bytes = postcard::to_stdvec(&settings).unwrap();
        assert_eq!(
            postcard::from_bytes::<DetectionSettings>(&bytes).unwrap(),
            settings
        );
    }
}
