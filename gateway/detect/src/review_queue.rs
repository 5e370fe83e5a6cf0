//! What a person is asked to look at: ranked and capped, or nobody will look.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tillwatch_protocol::alert::{Alert, AlertState};
use tillwatch_protocol::ids::AlertId;
use tillwatch_protocol::time::local_time;

/// One day of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewDay<'a> {
    /// The day in the store's zone.
    pub date: Date,
    /// What to look at, the most important first.
    pub shown: Vec<&'a Alert>,
    /// How many more there are.
    pub left_out: usize,
}

/// Ranks pending alerts (those without a verdict) for each day of the store, newest day first, at
/// most `per_day` a day: by score, then the newest. Of several revisions the highest counts;
/// cleared alerts are not shown.
pub fn review_queue<'a>(
    pending: impl IntoIterator<Item = &'a Alert>,
    zone: &TimeZone,
    per_day: usize,
) -> Vec<ReviewDay<'a>> {
    let mut newest: BTreeMap<AlertId, &Alert> = BTreeMap::new();
    for alert in pending {
        let kept = newest.entry(alert.alert_id).or_insert(alert);
        if alert.revision > kept.revision {
            *kept = alert;
        }
    }
    let mut days: BTreeMap<Reverse<Date>, Vec<&Alert>> = BTreeMap::new();
    for alert in newest
        .into_values()
        .filter(|alert| alert.state == AlertState::Open)
    {
        let date = local_time(alert.stamp.utc_us, zone).date();
        days.entry(Reverse(date)).or_default().push(alert);
    }
    days.into_iter()
        .map(|(Reverse(date), mut shown)| {
            shown.sort_by_key(|a| (Reverse(a.score), Reverse(a.stamp.utc_us), a.alert_id));
            let left_out = shown.len().saturating_sub(per_day);
            shown.truncate(per_day);
            ReviewDay {
                date,
                shown,
                left_out,
            }
        })
        .collect()
}
